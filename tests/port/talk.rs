//! What clients hear of each other and of the server.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use crate::server::{Client, on_both};

#[test]
fn clients_hear_each_other() {
    on_both("talk::clients_hear_each_other", "", &[], |server| {
        let mut alice = server.named("alice", &mut []);
        let mut bob = server.named("bob", &mut [&mut alice]);
        let (mut guest, name) = server.guest();
        alice.say("good morning");
        [&mut bob, &mut guest].into_iter().for_each(|other| other.hears("alice: good morning"));
        guest.say("/who");
        guest.hears(&format!("* alice bob {name}"));
        bob.say("/nick alice");
        bob.hears("* alice is taken");
        bob.say("/nick guest1");
        bob.hears("* a name has 1 to 20 letters and digits, and does not begin with guest");
        bob.say("/wave");
        bob.hears("* there are only /nick NAME, /who, /quit");
        server.type_in("tea is ready");
        [&mut alice, &mut bob, &mut guest].into_iter().for_each(|all| all.hears("* tea is ready"));
        bob.say("/quit");
        bob.hears_the_end();
        alice.hears("* bob has left");
    });
}

#[test]
fn lines_come_in_any_pieces() {
    on_both("talk::lines_come_in_any_pieces", "", &[": too long a line"], |server| {
        let (mut listener, _) = server.guest();
        let (mut talker, name) = server.guest();
        let mut say = |pieces: &[&str], lines: &[&str]| {
            pieces.iter().for_each(|piece| talker.send(piece));
            lines.iter().for_each(|line| listener.hears(&format!("{name}: {line}")));
        };
        say(&["o", "n", "e", "\r\n"], &["one"]);
        say(&["two\nthree\nfo", "ur\n"], &["two", "three", "four"]);
        say(&["\u{1b}[2Jfive\u{7}\n"], &["[2Jfive"]);
        let longest = "6".repeat(1023);
        say(&[&longest, "\n"], &[&longest]);
        // Exactly what may be read of a line: nothing of it is left behind.
        talker.send(&"7".repeat(1024));
        talker.hears_the_end();
    });
}

#[test]
fn one_too_many_waits_for_a_seat() {
    on_both("talk::one_too_many_waits_for_a_seat", "--clients 2", &[], |server| {
        let (mut first, _) = server.guest();
        let (second, _) = server.guest();
        let mut third = Client::connect(server.address);
        third.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(third.stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        third.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        drop(second);
        assert!(third.line().is_some_and(|greeting| greeting.starts_with("* you are guest3,")));
        third.say("here I am");
        first.hears("guest3: here I am");
    });
}
