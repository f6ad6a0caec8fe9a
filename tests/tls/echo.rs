//! What is sent comes back, to one client and to many, by both versions of the protocol.

use std::io::{Read, Write};

use crate::peer::{BOTH, client, connected, echoed, end, rest, start};
use crate::support::bounded;

#[test]
fn messages_of_all_lengths_come_back_by_both_versions() {
    bounded(60, || {
        let server = start(&[]);
        for version in BOTH {
            let mut client = client(&server, &[version], &[]);
            for length in [1, 2, 100, 16_383, 16_384, 16_385, 60_000] {
                let sent: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
                assert!(echoed(&mut client, &sent) == sent, "{length} bytes by {version:?}");
            }
            assert_eq!(client.conn.protocol_version(), Some(version.version));
            end(&mut client);
            assert!(rest(&mut client).is_empty());
        }
        let summary = server.ended_when_asked();
        assert_eq!((summary.totals.connections, summary.handshakes, summary.failures), (2, 2, 0));
        // A page is the least that there is.
        assert!(summary.totals.stack > 4096, "{summary}");
        eprintln!("{summary}");
    });
}

#[test]
fn a_long_stream_comes_back_while_it_is_sent() {
    bounded(60, || {
        let server = start(&[]);
        let mut client = connected(&server);
        let (piece, pieces) = (vec![b'x'; 10_000], 300);
        let (mut sent, mut back) = (0, vec![0; 64 * 1024]);
        let mut missing = piece.len() * pieces;
        while missing > 0 {
            if sent < pieces {
                client.write_all(&piece).unwrap();
                sent += 1;
            }
            // The server's buffers, and this one's, hold a few pieces at the least.
            while missing > piece.len() * (pieces - sent) + 8 * piece.len() || sent == pieces && missing > 0 {
                let count = client.read(&mut back).unwrap();
                assert!(count > 0 && back[..count].iter().all(|byte| *byte == b'x'));
                missing -= count;
            }
        }
    });
}

#[test]
fn many_clients_are_served_at_once() {
    bounded(120, || {
        let server = start(&[]);
        let mut clients: Vec<_> = (0..48).map(|_| connected(&server)).collect();
        for (at, client) in clients.iter_mut().enumerate() {
            let message = format!("from number {at}");
            assert_eq!(echoed(client, message.as_bytes()), message.as_bytes());
        }
        for client in &mut clients {
            end(client);
            assert!(rest(client).is_empty());
        }
        drop(clients);
        let summary = server.ended_when_asked();
        assert_eq!((summary.handshakes, summary.failures), (48, 0));
    });
}
