//! How clients end: in good order, by half, not at all, and all together when the server does.

use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::server::{Client, on_both};
use crate::support::eventually;

#[test]
fn who_has_no_more_to_say_still_hears() {
    on_both("ends::who_has_no_more_to_say_still_hears", "", &[], |server| {
        let mut alice = server.named("alice", &mut []);
        let mut bob = server.named("bob", &mut [&mut alice]);
        let questions = 500;
        bob.send(&"/who\n".repeat(questions));
        bob.send("bye");
        bob.end();
        alice.hears("bob: bye");
        alice.hears("* bob has left");
        (0..questions).for_each(|_| bob.hears("* alice bob"));
        bob.hears_the_end();
    });
}

#[test]
fn who_vanishes_has_left() {
    on_both("ends::who_vanishes_has_left", "", &[": Connection reset by peer"], |server| {
        let mut alice = server.named("alice", &mut []);
        let bob = server.named("bob", &mut [&mut alice]);
        SockRef::from(&bob.stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(bob);
        alice.hears("* bob has left");
        alice.say("/who");
        alice.hears("* alice");
    });
}

#[test]
fn who_says_nothing_is_ended() {
    on_both("ends::who_says_nothing_is_ended", "--idle 1", &[": says nothing"], |server| {
        let start = Instant::now();
        let mut alice = server.named("alice", &mut []);
        let mut bob = server.named("bob", &mut [&mut alice]);
        // Alice goes on asking, so that only Bob is silent.
        eventually(15, "Bob has been ended", || {
            alice.say("/who");
            alice.line().unwrap() == "* bob has left"
        });
        assert!(start.elapsed() >= Duration::from_secs(1));
        alice.hears("* alice");
        bob.hears_the_end();
    });
}

#[test]
fn who_takes_nothing_is_out() {
    on_both("ends::who_takes_nothing_is_out", "--patience 1", &[": takes nothing"], |server| {
        let mut alice = server.named("alice", &mut []);
        let mut bob = server.named("bob", &mut [&mut alice]);
        let slow = server.named("slow", &mut [&mut alice, &mut bob]);
        let line = "x".repeat(1000);
        let many = format!("{line}\n").repeat(50);
        let mut out = false;
        for _ in 0..1000 {
            alice.send(&many);
            let mut heard = 0;
            while heard < 50 {
                match bob.line().unwrap().as_str() {
                    "* slow cannot keep up" | "* slow has left" => out = true,
                    said => heard += usize::from(said.strip_prefix("alice: ") == Some(&line)),
                }
            }
            if out {
                break;
            }
        }
        assert!(out, "who takes nothing of 50 MB is still there");
        alice.say("/who");
        while alice.line().unwrap() != "* alice bob" {}
        // Nor does it hold up the server's end.
        slow
    });
}

#[test]
fn all_are_told_when_the_server_ends() {
    on_both("ends::all_are_told_when_the_server_ends", "--clients 3", &[], |server| {
        let mut guests: Vec<_> = (0..3).map(|_| server.guest().0).collect();
        let mut waiting = Client::connect(server.address);
        server.type_in("quit");
        for guest in &mut guests {
            guest.hears("* the server ends");
            guest.hears_the_end();
        }
        // The one without a seat is not served; it is gone with the listener.
        assert!(!waiting.is_greeted());
    });
}
