//! Clients that wait for a list.

use std::time::{Duration, Instant};

use crate::server::{Server, until_blocked};
use crate::support::bounded;

#[test]
fn who_waits_first_is_served_first() {
    bounded(60, || {
        let server = Server::start(&[]);
        let mut other = server.connect();
        let mut waiting: Vec<_> = (0..5).map(|_| server.connect()).collect();
        for (at, client) in waiting.iter_mut().enumerate() {
            client.say("BLPOP none k 0");
            until_blocked(&mut other, at + 1);
        }
        other.ask("RPUSH k 0 1 2", ":3\r\n");
        for (at, client) in waiting[..3].iter_mut().enumerate() {
            client.hears(&format!("*2\r\n$1\r\nk\r\n$1\r\n{at}\r\n"));
        }
        assert!(!waiting[3].has_answer());
        other.ask("RPUSH k 3 4 5", ":3\r\n");
        waiting[3].hears("*2\r\n$1\r\nk\r\n$1\r\n3\r\n");
        waiting[4].hears("*2\r\n$1\r\nk\r\n$1\r\n4\r\n");
        other.ask("LRANGE k 0 -1", "*1\r\n$1\r\n5\r\n");
        until_blocked(&mut other, 0);
    });
}

#[test]
fn moves_are_served_in_a_chain() {
    bounded(60, || {
        let server = Server::start(&[]);
        let (mut other, mut mover, mut popper) = (server.connect(), server.connect(), server.connect());
        popper.say("BRPOP b 0");
        until_blocked(&mut other, 1);
        mover.say("BLMOVE a b LEFT RIGHT 0");
        until_blocked(&mut other, 2);
        other.ask("RPUSH a x", ":1\r\n");
        mover.hears("$1\r\nx\r\n");
        popper.hears("*2\r\n$1\r\nb\r\n$1\r\nx\r\n");
        other.ask("EXISTS a b", ":0\r\n");
    });
}

#[test]
fn a_wait_ends_in_time_and_the_client_goes_on() {
    bounded(60, || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        let start = Instant::now();
        client.say("BLPOP k 0.1");
        client.say("PING");
        client.hears("*-1\r\n+PONG\r\n");
        assert!(start.elapsed() >= Duration::from_millis(100));
        // What was in line is not any more.
        client.ask("RPUSH k x", ":1\r\n");
        client.ask("LLEN k", ":1\r\n");
    });
}

#[test]
fn nothing_is_given_to_a_client_that_has_gone() {
    bounded(60, || {
        let server = Server::start(&[]);
        let (mut other, mut gone, mut killed) = (server.connect(), server.connect(), server.connect());
        killed.say("CLIENT ID");
        let id = killed.line()[1..].to_owned();
        killed.say("BLPOP k 0");
        gone.say("BLPOP k 0");
        until_blocked(&mut other, 2);
        drop(gone);
        until_blocked(&mut other, 1);
        other.ask(&format!("CLIENT KILL ID {id}"), ":1\r\n");
        other.ask("RPUSH k x", ":1\r\n");
        other.ask("LRANGE k 0 -1", "*1\r\n$1\r\nx\r\n");
        assert!(killed.rest().is_empty());
    });
}

#[test]
fn a_transaction_is_over_before_anybody_is_served() {
    bounded(60, || {
        let server = Server::start(&[]);
        let (mut other, mut client) = (server.connect(), server.connect());
        client.say("BLPOP k 0");
        until_blocked(&mut other, 1);
        for words in ["MULTI", "RPUSH k a", "DEL k", "RPUSH k b c", "EXEC"] {
            other.say(words);
        }
        other.hears("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:1\r\n:2\r\n");
        client.hears("*2\r\n$1\r\nk\r\n$1\r\nb\r\n");
    });
}

#[test]
fn a_client_is_unblocked_by_another() {
    bounded(60, || {
        let server = Server::start(&[]);
        let (mut other, mut client) = (server.connect(), server.connect());
        client.ask("CLIENT ID", ":2\r\n");
        client.say("BLPOP k 0");
        until_blocked(&mut other, 1);
        other.ask("CLIENT UNBLOCK 2 ERROR", ":1\r\n");
        client.hears("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
        client.say("BLPOP k 0");
        until_blocked(&mut other, 1);
        other.ask("CLIENT UNBLOCK 2", ":1\r\n");
        client.hears("*-1\r\n");
    });
}

#[test]
fn what_many_push_many_pop_each_once() {
    bounded(100, || {
        let server = Server::start(&[]);
        let (address, each) = (server.address, 300);
        let poppers: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut client = crate::server::Client::connect(address);
                    for _ in 0..each {
                        client.ask("BLPOP k 0", "*2\r\n$1\r\nk\r\n$1\r\nx\r\n");
                    }
                })
            })
            .collect();
        let mut pusher = server.connect();
        for _ in 0..4 * each {
            pusher.say("RPUSH k x");
        }
        poppers.into_iter().for_each(|popper| popper.join().unwrap());
        until_blocked(&mut server.connect(), 0);
        server.connect().ask("EXISTS k", ":0\r\n");
    });
}
