//! What clients do wrong before there is a connection: it ends theirs, and nobody else's.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::peer::{BOTH, Client, client, connected, echoed, start};
use crate::support::{Random, bounded};

/// A fatal alert's record.
const ALERT: u8 = 21;

/// All until the server ends the connection, which it must not do by a reset.
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

/// The first thing that a client says.
fn client_hello(client: &mut Client) -> Vec<u8> {
    let mut hello = Vec::new();
    client.conn.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn what_is_no_handshake_is_answered_by_an_alert() {
    bounded(60, || {
        let server = start(&[]);
        let mut random = Random(7);
        let noise: Vec<u8> = (0..100_000).map(|_| random.below(256) as u8).collect();
        let mut hello = client_hello(&mut client(&server, BOTH, &[]));
        // Its first cipher suite's place, and more: lengths that do not fit together.
        hello[40..60].fill(0xff);
        let wrong: [&[u8]; 4] = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &noise, &hello, &[22, 3, 1, 0xff, 0xff, 0]];
        for bytes in wrong {
            let mut stream = server.connect();
            // It may have had enough before the end.
            let _ = stream.write_all(bytes);
            assert_eq!(rest(&stream).first(), Some(&ALERT), "to {}", bytes[..20.min(bytes.len())].escape_ascii());
        }
        assert_eq!(echoed(&mut connected(&server), b"others"), b"others");
        assert!(server.ended_when_asked().failures >= 4);
    });
}

#[test]
fn half_a_handshake_has_a_limit_of_time() {
    bounded(60, || {
        let server = start(&["--handshake-timeout", "0.3"]);
        let hello = client_hello(&mut client(&server, BOTH, &[]));
        for part in [&hello[..0], &hello[..hello.len() / 2], &hello] {
            let mut stream = server.connect();
            let start = Instant::now();
            stream.write_all(part).unwrap();
            rest(&stream);
            assert!(start.elapsed() >= Duration::from_millis(300));
        }
        // The limit is for all of it: it does not help that something comes.
        let mut stream = server.connect();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let sent = hello.iter().take_while(|byte| {
            let sent = stream.write_all(&[**byte]);
            sent.is_ok() && stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        assert!(sent.count() < hello.len());
        assert_eq!(server.ended_when_asked().handshakes, 0);
    });
}

#[test]
fn half_a_handshake_that_ends_is_no_connection() {
    bounded(60, || {
        let server = start(&[]);
        let hello = client_hello(&mut client(&server, BOTH, &[]));
        for part in [&hello[..0], &hello[..hello.len() / 2], &hello] {
            let mut stream = server.connect();
            stream.write_all(part).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            rest(&stream);
        }
        let summary = server.ended_when_asked();
        // The one that made the hello among them.
        assert_eq!((summary.totals.connections, summary.handshakes, summary.truncated), (4, 0, 4));
    });
}
