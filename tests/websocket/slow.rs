//! Those who read slowly, or are silent: they are told, or left, and nobody else waits for them.

use std::io::ErrorKind;
use std::time::Duration;

use tungstenite::{Bytes, Error, Message};

use crate::peer::{Client, closed, echoed, enter, open, open_on, start, text};
use crate::served::connect_small;
use crate::support::{bounded, eventually};

/// Several of these fill any buffer of the kernels.
const PIECE: usize = 64 * 1024;

/// What one member of a room has heard of the messages that were counted there, and what it was told that it missed.
#[derive(Default)]
struct Heard {
    heard: usize,
    missed: usize,
}

impl Heard {
    /// Reads a line, which says what comes next.
    fn listen(&mut self, client: &mut Client) {
        let line = text(client);
        match line.strip_prefix("* you read too slowly: ") {
            Some(rest) => self.missed += rest.split(' ').next().unwrap().parse::<usize>().unwrap(),
            None => {
                assert!(line.starts_with(&format!("#1: {} ", self.heard + self.missed)), "out of order");
                self.heard += 1;
            }
        }
    }
}

#[test]
fn who_reads_slowly_misses_stretches_and_is_told_of_them() {
    bounded(60, || {
        // A queue that the kernel does not take as a whole when it has room.
        let server = start(&["--write-timeout", "60", "--queue", "4M"]);
        let mut talker = enter(server.address, "loud");
        let mut slow = open_on(connect_small(server.address), "/chat/loud");
        assert_eq!(text(&mut slow), "* #2 has come; 2 here");
        assert_eq!(text(&mut talker), "* #2 has come; 2 here");
        let (piece, pieces, mut count) = ("x".repeat(PIECE), 400, Heard::default());
        for number in 0..pieces {
            talker.send(Message::text(format!("{number} {piece}"))).unwrap();
            // Nobody holds it up.
            assert!(text(&mut talker).starts_with(&format!("#1: {number} ")));
            // At first it hears nothing, and then as much as is said.
            if number > pieces / 2 {
                count.listen(&mut slow);
            }
        }
        while count.heard + count.missed < pieces {
            count.listen(&mut slow);
        }
        assert!(count.missed > 0 && count.heard > 4, "{} heard, {} missed", count.heard, count.missed);
        // From here on it hears all again.
        talker.send(Message::text("and now?")).unwrap();
        assert_eq!(text(&mut slow), "#1: and now?");
        drop((talker, slow));
        let summary = server.ended_when_asked();
        assert_eq!(summary.missed, count.missed as u64);
        eprintln!("{summary}");
    });
}

#[test]
fn who_reads_nothing_is_not_read_from() {
    bounded(60, || {
        let server = start(&["--write-timeout", "60", "--close-timeout", "0.1"]);
        for message in [Message::binary(vec![0; PIECE]), Message::Ping(Bytes::from_static(&[7; 125]))] {
            let mut client = open_on(connect_small(server.address), "/echo");
            client.get_ref().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut sent = 0;
            // Until all buffers are full, of which those of the kernels have some megabytes.
            while client.write(message.clone()).and_then(|()| client.flush()).is_ok() {
                sent += message.len();
                assert!(sent < 60_000_000, "there are buffers for all of it");
            }
        }
    });
}

#[test]
fn who_takes_nothing_back_is_left() {
    bounded(60, || {
        let server = start(&["--write-timeout", "0.3"]);
        let mut client = open(server.address, "/echo");
        let mut sent = 0;
        let error = loop {
            match client.send(Message::binary(vec![0; PIECE])) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            assert!(sent < 4000, "there are buffers for all of it");
        };
        let was_left = matches!(&error, Error::Io(error) if error.kind() != ErrorKind::WouldBlock);
        assert!(was_left, "{error}");
        let mut other = open(server.address, "/echo");
        assert_eq!(echoed(&mut other, Message::text("others")), Message::text("others"));
        other.close(None).unwrap();
        closed(&mut other);
        assert_eq!(server.ended_when_asked().failures, 1);
    });
}

/// Reads until a ping comes, which is answered only by what is sent or read next.
fn asked(client: &mut Client) {
    assert!(matches!(client.read().unwrap(), Message::Ping(_)));
}

#[test]
fn who_is_silent_is_asked_and_left_if_it_does_not_answer() {
    bounded(60, || {
        let server = start(&["--ping-after", "0.1", "--pong-timeout", "0.2"]);
        let mut client = open(server.address, "/echo");
        for _ in 0..3 {
            asked(&mut client);
        }
        // A message is a sign as well.
        client.send(Message::text("I am")).unwrap();
        assert_eq!(text(&mut client), "I am");
        asked(&mut client);
        // The answer to that is kept back, and all else.
        let stream = client.get_ref().try_clone().unwrap();
        let end = std::io::Read::read(&mut &stream, &mut [0; 64]);
        assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        assert_eq!(server.ended_when_asked().failures, 1);
    });
}

#[test]
fn a_member_that_is_left_has_gone_from_its_room() {
    bounded(60, || {
        let server = start(&["--ping-after", "0.2", "--pong-timeout", "0.4"]);
        let mut talker = enter(server.address, "room");
        let silent = enter(server.address, "room");
        let mut heard = Vec::new();
        eventually(20, "it is left", || {
            match talker.read().unwrap() {
                Message::Text(text) => heard.push(text.to_string()),
                other => assert!(other.is_ping()),
            }
            heard.iter().any(|line| line == "* #2 has gone; 1 here")
        });
        drop(silent);
    });
}
