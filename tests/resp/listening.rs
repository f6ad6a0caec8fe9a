//! Channels, between clients.

use crate::server::Server;
use crate::support::bounded;

#[test]
fn listeners_get_messages_in_either_version() {
    bounded(60, || {
        let server = Server::start(&[]);
        let (mut old, mut new, mut says) = (server.connect(), server.connect(), server.connect());
        old.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        new.say("HELLO 3");
        while new.line() != "$7" || new.line() != "modules" {}
        new.hears("*0\r\n");
        new.ask("PSUBSCRIBE [a-c]*", ">3\r\n$10\r\npsubscribe\r\n$6\r\n[a-c]*\r\n:1\r\n");
        says.ask("PUBLISH c hi", ":2\r\n");
        old.hears("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n");
        new.hears(">4\r\n$8\r\npmessage\r\n$6\r\n[a-c]*\r\n$1\r\nc\r\n$2\r\nhi\r\n");
        // Version 3 may ask meanwhile.
        new.ask("ECHO x", "$1\r\nx\r\n");
        says.ask("PUBSUB NUMSUB c", "*2\r\n$1\r\nc\r\n:1\r\n");
        drop(old);
        crate::support::eventually(20, "who has gone does not listen", || {
            says.say("PUBLISH c hi");
            says.line() == ":1"
        });
    });
}

#[test]
fn messages_come_in_order_and_none_is_lost() {
    bounded(60, || {
        let server = Server::start(&[]);
        let (mut listens, mut says) = (server.connect(), server.connect());
        listens.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        for at in 1000..6000 {
            says.say(&format!("PUBLISH c {at}"));
        }
        for at in 1000..6000 {
            listens.hears(&format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n{at}\r\n"));
        }
    });
}

#[test]
fn who_does_not_listen_fast_enough_is_disconnected_and_holds_up_nobody() {
    bounded(60, || {
        let server = Server::start(&["--pubsub-limit", "1M"]);
        let (mut slow, mut fast, mut says) = (server.connect(), server.connect(), server.connect());
        slow.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        fast.ask("SUBSCRIBE d", "*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:1\r\n");
        let message = "x".repeat(100_000);
        let mut told = 0;
        loop {
            says.say(&format!("PUBLISH c {message}"));
            if says.line() == ":0" {
                break;
            }
            told += 1;
            assert!(told < 1000, "nobody is disconnected");
        }
        says.ask("PUBLISH d hi", ":1\r\n");
        fast.hears("*3\r\n$7\r\nmessage\r\n$1\r\nd\r\n$2\r\nhi\r\n");
        assert!(slow.rest().len() < told * 100_100);
    });
}
