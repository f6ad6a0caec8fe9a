//! Bodies: echoed in each framing, waited for by `Expect`, too long, or cut short.

use crate::server::{Client, Server, responses};
use crate::support::bounded;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let chunks = body.chunks(size).map(|chunk| [format!("{:X}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    [chunks.collect::<Vec<_>>().concat(), b"0\r\n\r\n".to_vec()].concat()
}

#[test]
fn bodies_of_all_lengths_come_back_in_the_framing_that_they_came_in() {
    bounded(60, move || {
        let server = Server::start(&[]);
        for length in [0, 1, 511, 512, 513, 8191, 8193, 65_535, 65_536, 65_537, 300_000] {
            let body = bytes(length);
            let head = format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
            let response = server.ask_one(&[head.as_bytes(), &body].concat());
            assert_eq!(response.is(200).field("content-length"), Some(length.to_string().as_str()));
            assert!(response.body == body, "{length} bytes");
            for size in [7, 4096, 100_000] {
                let head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
                let response = server.ask_one(&[head, &chunked(&body, size)[..]].concat());
                assert_eq!(response.is(200).field("transfer-encoding"), Some("chunked"));
                assert!(response.body == body, "{length} bytes by {size}");
            }
        }
    });
}

#[test]
fn a_long_body_comes_back_while_it_is_sent() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let body = bytes(100_000);
        client.send(&chunked(&body, 50_000)[..chunked(&body, 50_000).len() - 5]);
        // The end has not been sent, and what was sent is here.
        assert!(client.head().contains("\r\nTransfer-Encoding: chunked\r\n"));
        assert_eq!(client.exactly(7), b"10000\r\n");
        assert!(client.exactly(65_536) == body[..65_536]);
        client.send(b"0\r\n\r\n");
        client.end();
        let rest = client.rest();
        assert!(rest.ends_with(b"\r\n0\r\n\r\n") && rest.len() > 100_000 - 65_536);
    });
}

#[test]
fn who_expects_a_word_gets_it_before_the_body_is_read() {
    let head = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
    bounded(60, move || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        for _ in 0..2 {
            client.send_apart(head);
            assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
            client.send(b"hello");
            assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
            assert_eq!(client.exactly(5), b"hello");
        }
        // Not who has begun to send it, who sends none, or who cannot know.
        let begun = [&head[..], b"hello"].concat();
        let none = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n";
        let old = b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
        for request in [&begun[..], none, old] {
            server.ask_one(request).is(200);
        }
    });
}

#[test]
fn who_expects_a_word_and_is_refused_sends_no_body() {
    bounded(60, move || {
        let server = Server::start(&["--max-body", "1K"]);
        let cases = [("POST /echo", 2000, "413"), ("POST /none", 5, "404"), ("POST /", 5, "405")];
        for (target, length, status) in cases {
            let mut client = server.connect();
            client.send(
                format!("{target} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
                    .as_bytes(),
            );
            // The server cannot know whether the client sends it all the same: it does not go on.
            let all = responses(&finished(client), &["POST"]);
            assert_eq!(all.len(), 1);
            assert_eq!(all[0].status.to_string(), status);
            assert!(all[0].closes());
        }
    });
}

/// What comes up to the server's end, and then this one's.
fn finished(mut client: Client) -> Vec<u8> {
    let mut said = client.head().into_bytes();
    client.end();
    said.extend(client.rest());
    said
}

#[test]
fn a_body_that_nobody_reads_is_in_nobodys_way() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let short = format!("DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{}{get}", "x".repeat(1000));
        let all = server.ask(short.as_bytes(), &["DELETE", "GET"]);
        assert_eq!((all.len(), all[0].status, all[1].status), (2, 405, 200));
        // A long one is not waited for.
        let long = format!("DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000));
        let all = server.ask(long.as_bytes(), &["DELETE"]);
        assert_eq!(all.len(), 1);
        assert!(all[0].is(405).closes());
        // One of which that is known too late, either.
        let chunks = chunked(&bytes(500_000), 1000);
        let head = b"DELETE / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let all = server.ask(&[head, &chunks[..], get.as_bytes()].concat(), &["DELETE"]);
        assert_eq!(all.len(), 1);
    });
}

#[test]
fn chunks_that_nobody_reads_end_the_connection() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let head = "DELETE / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        for part in ["", "5", "5\r\nhel", "5\r\nhello\r\n0\r\n\r\n"] {
            let mut client = server.connect();
            client.send(format!("{head}{part}").as_bytes());
            assert!(client.head().contains("\r\nConnection: close\r\n"), "{part}");
        }
    });
}

#[test]
fn bodies_that_are_too_long_are_refused() {
    bounded(60, move || {
        let server = Server::start(&["--max-body", "1K"]);
        let head = |length| format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        server.ask_one(&[head(1024).as_bytes(), &bytes(1024)].concat()).is(200);
        assert!(server.ask_one(&[head(1025).as_bytes(), &bytes(1025)].concat()).is(413).closes());
        let head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        server.ask_one(&[head, &chunked(&bytes(1024), 10)[..]].concat()).is(200);
        assert!(server.ask_one(&[head, &chunked(&bytes(1025), 10)[..]].concat()).is(413).closes());
    });
}

#[test]
fn a_body_that_ends_early_is_refused() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let half = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell";
        assert!(server.ask_one(half).is(400).closes());
        let chunked = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
        assert!(server.ask_one(chunked).is(400).closes());
    });
}

#[test]
fn a_body_that_goes_wrong_late_has_no_end() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body = chunked(&bytes(200_000), 1000);
        let said = server.say(&[head, &body[..body.len() - 5], b"nonsense"].concat());
        assert!(said.starts_with(b"HTTP/1.1 200 OK\r\n") && said.len() > 65_536);
        assert!(!said.ends_with(b"0\r\n\r\n"), "it looks complete");
        let heads = said.windows(9).filter(|window| window == b"HTTP/1.1 ").count();
        assert_eq!(heads, 1, "a second response in the body of the first");
    });
}
