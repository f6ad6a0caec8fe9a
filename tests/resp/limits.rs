//! What is bounded: clients, and answers that wait for one.

use crate::server::{Server, info};
use crate::support::bounded;

#[test]
fn one_client_too_many_is_turned_away() {
    bounded(60, || {
        let server = Server::start(&["--max-clients", "2"]);
        let (mut one, mut other) = (server.connect(), server.connect());
        one.ask("PING", "+PONG\r\n");
        other.ask("PING", "+PONG\r\n");
        assert_eq!(server.connect().rest(), b"-ERR max number of clients reached\r\n");
        drop(other);
        crate::support::eventually(20, "there is room again", || {
            let mut next = server.connect();
            next.say("PING");
            next.line() == "+PONG"
        });
        assert!(server.ended_when_asked().rejected >= 1);
    });
}

#[test]
fn a_client_that_reads_nothing_is_disconnected_beyond_its_limit() {
    bounded(60, || {
        let server = Server::start(&["--output-limit", "1M"]);
        let mut client = server.connect();
        client.send(&[&b"SET k "[..], &[b'v'; 60_000], b"\r\n"].concat());
        client.hears("+OK\r\n");
        client.send(&b"GET k\r\n".repeat(2000));
        let mut other = server.connect();
        crate::support::eventually(20, "it is disconnected", || {
            info(&mut other, "clients").contains("connected_clients:1\r\n")
        });
        let heard = client.rest().len();
        assert!(heard < 2000 * 60_000, "{heard} bytes");
        server.connect().ask("PING", "+PONG\r\n");
    });
}

#[test]
fn nothing_waits_for_a_client_that_left() {
    bounded(60, || {
        let server = Server::start(&["--drain", "60"]);
        let mut client = server.connect();
        client.send(&[&b"SET k "[..], &[b'v'; 60_000], b"\r\n"].concat());
        client.hears("+OK\r\n");
        client.send(&b"GET k\r\n".repeat(1000));
        let _ = client.stream().shutdown(std::net::Shutdown::Write);
        let mut other = server.connect();
        crate::support::eventually(20, "it has left", || {
            info(&mut other, "clients").contains("connected_clients:1\r\n")
        });
        // Else this would take as long as the drain may.
        let start = std::time::Instant::now();
        server.ended_when_asked();
        assert!(start.elapsed() < std::time::Duration::from_secs(20));
        drop(client);
    });
}

#[test]
fn a_client_that_is_silent_for_too_long_is_disconnected() {
    bounded(60, || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        client.ask("CONFIG SET timeout 1", "+OK\r\n");
        assert!(client.rest().is_empty());
    });
}
