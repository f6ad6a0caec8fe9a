//! Limits of time: each wait for a client ends.

use std::time::Instant;

use crate::server::{BOUND, Server, responses};
use crate::support::bounded;

#[test]
fn a_connection_without_a_request_is_closed_without_a_word() {
    bounded(60, move || {
        let server = Server::start(&["--idle-timeout", "0.1"]);
        assert!(server.connect().rest().is_empty());
        // After one, too.
        let mut client = server.connect();
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(responses(&client.rest(), &["GET"]).len(), 1);
        // Empty lines are no request.
        let mut client = server.connect();
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client.send_apart(b"\r\n\r");
        assert_eq!(responses(&client.rest(), &["GET"]).len(), 1);
        assert_eq!(server.ended_when_asked().refusals, 0);
    });
}

#[test]
fn a_head_that_comes_slowly_is_refused_however_many_bytes_come() {
    bounded(60, move || {
        let server = Server::start(&["--head-timeout", "0.3"]);
        let mut client = server.connect();
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ");
        let start = Instant::now();
        // The limit is for all of it: this goes on until the server says something.
        while start.elapsed() < BOUND && !client.has_answer() {
            client.send(b"y");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(start.elapsed().as_millis() >= 300);
        client.end();
        let all = responses(&client.rest(), &["GET"]);
        assert!(all[0].is(408).closes());
    });
}

#[test]
fn a_body_that_comes_slowly_is_refused() {
    bounded(60, move || {
        let server = Server::start(&["--min-rate", "1000", "--min-rate-window", "0.2"]);
        let heads = [
            "Content-Length: 10\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n5",
        ];
        for head in heads {
            let mut client = server.connect();
            client.send(format!("POST /echo HTTP/1.1\r\nHost: x\r\n{head}").as_bytes());
            let head = client.head();
            client.end();
            let all = responses(&[head.as_bytes(), &client.rest()].concat(), &["POST"]);
            assert!(all[0].is(408).closes());
        }
        // Between two requests it may be as slow as it likes.
        let mut client = server.connect();
        for _ in 0..2 {
            client.send_apart(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
            client.send(b"hello");
            client.head();
            assert_eq!(client.exactly(5), b"hello");
            std::thread::sleep(std::time::Duration::from_millis(400));
        }
    });
}

#[test]
fn a_client_that_does_not_read_is_left() {
    bounded(60, move || {
        let server = Server::start(&["--write-timeout", "0.2"]);
        let mut client = server.connect();
        let head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n";
        client.send(head.as_bytes());
        client.find_server();
        // Until the buffers of both are full, and the server has enough.
        let sent = client.send_until_closed();
        assert!(sent < 60_000_000, "there were buffers for all of it");
        client.until_closed();
    });
}
