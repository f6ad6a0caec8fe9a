//! How connections end: as both wanted, cut short, by a limit of time, and with the server.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::peer::{connected, echoed, end, rest, start};
use crate::support::bounded;

#[test]
fn who_says_that_this_is_all_hears_the_same() {
    bounded(60, || {
        let server = start(&[]);
        let mut client = connected(&server);
        client.write_all(b"goodbye").unwrap();
        end(&mut client);
        assert_eq!(rest(&mut client), b"goodbye");
        drop(client);
        let summary = server.ended_when_asked();
        assert_eq!((summary.failures, summary.truncated), (0, 0));
    });
}

#[test]
fn an_end_without_a_word_is_a_truncation() {
    bounded(60, || {
        let server = start(&[]);
        let mut client = connected(&server);
        client.sock.shutdown(Shutdown::Write).unwrap();
        // The server's own end is one in good order all the same.
        assert!(rest(&mut client).is_empty());
        drop(client);
        let summary = server.ended_when_asked();
        assert_eq!((summary.handshakes, summary.failures, summary.truncated), (1, 1, 1));
    });
}

#[test]
fn a_connection_without_a_word_is_closed_in_good_order() {
    bounded(60, || {
        let server = start(&["--idle-timeout", "0.2"]);
        let mut client = connected(&server);
        assert!(rest(&mut client).is_empty());
        // A part of a record is no word, however often some more of it comes.
        let mut client = connected(&server);
        let mut dripping = client.sock.try_clone().unwrap();
        let drips = std::thread::spawn(move || {
            let record = [&[23, 3, 3, 1, 0][..], &[0; 256]].concat();
            record
                .iter()
                .take_while(|byte| {
                    std::thread::sleep(Duration::from_millis(20));
                    dripping.write_all(&[**byte]).is_ok()
                })
                .count()
        });
        assert!(rest(&mut client).is_empty());
        drop(client);
        assert!(drips.join().unwrap() < 200, "as long as anything comes");
        assert_eq!(server.ended_when_asked().failures, 2);
    });
}

#[test]
fn a_client_that_does_not_read_is_left() {
    bounded(60, || {
        let server = start(&["--write-timeout", "0.2"]);
        let mut client = connected(&server);
        client.sock.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        // Until the buffers of both are full, and the server has enough.
        let piece = vec![0; 64 * 1024];
        let mut sent = 0;
        let error = loop {
            match client.write_all(&piece).and_then(|()| client.flush()) {
                Ok(()) => sent += piece.len(),
                Err(error) => break error,
            }
            assert!(sent < 200_000_000, "there were buffers for all of it");
        };
        assert!(error.kind() != ErrorKind::WouldBlock, "it was not left");
        assert_eq!(server.ended_when_asked().failures, 1);
    });
}

#[test]
fn the_end_of_the_server_is_told() {
    bounded(60, || {
        let server = start(&["--drain", "30"]);
        let (mut idle, mut other) = (connected(&server), connected(&server));
        let silent = server.connect();
        assert_eq!(echoed(&mut other, b"still here"), b"still here");
        server.ask_to_end();
        assert!(rest(&mut idle).is_empty());
        assert!(rest(&mut other).is_empty());
        drop((idle, other));
        // One whose handshake has not begun gets that alert, too, and nothing else.
        let mut told = Vec::new();
        (&silent).read_to_end(&mut told).unwrap();
        assert!(told.is_empty() || told[0] == 21, "{told:?}");
        drop(silent);
        let address = server.address;
        let summary = server.ended();
        assert!(TcpStream::connect(address).is_err(), "the listener is open");
        assert_eq!((summary.totals.connections, summary.handshakes, summary.failures), (3, 2, 0));
    });
}
