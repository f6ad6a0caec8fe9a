//! Fragments: a message means the same, however it is cut.

use crate::server::{Response, Server, responses};
use crate::support::bounded;

/// What is said, and the methods of its requests.
const SAID: &[(&[u8], &[&str])] = &[
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &["GET"]),
    (b"\r\n\r\nHEAD / HTTP/1.0\nConnection: keep-alive\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", &["HEAD", "GET"]),
    (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: x\r\n\r\n", &["POST", "GET"]),
    (
        b"PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
          3;a=\"b\"\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n",
        &["PUT", "GET"],
    ),
    (b"DELETE / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nFROB / HTTP/1.1\r\nHost: x\r\n\r\n", &[]),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n folded\r\n\r\n", &[]),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", &[]),
    (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[]),
    (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", &[]),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[]),
    (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", &[]),
];

#[test]
fn two_fragments_mean_the_same_wherever_they_are_cut() {
    bounded(120, move || {
        let server = Server::start(&[]);
        for (said, methods) in SAID {
            let whole = told(&server, &[said], methods);
            assert!(!whole.is_empty());
            for at in 1..said.len() {
                let cut = told(&server, &[&said[..at], &said[at..]], methods);
                assert_eq!(cut, whole, "{} | {}", said[..at].escape_ascii(), said[at..].escape_ascii());
            }
        }
    });
}

#[test]
fn single_bytes_mean_the_same() {
    bounded(120, move || {
        let server = Server::start(&[]);
        for (said, methods) in SAID {
            let bytes: Vec<&[u8]> = said.chunks(1).collect();
            assert_eq!(told(&server, &bytes, methods), told(&server, &[said], methods), "{}", said.escape_ascii());
        }
    });
}

/// What the server says to fragments each of which it reads by itself.
fn told(server: &Server, fragments: &[&[u8]], methods: &[&str]) -> Vec<Response> {
    let mut client = server.connect();
    for fragment in fragments {
        client.send_apart(fragment);
    }
    client.end();
    // Of a request that was refused early, the rest may come to a connection that is gone.
    responses(&client.remains(), methods)
}

#[test]
fn a_long_head_may_come_by_single_bytes() {
    bounded(120, move || {
        let server = Server::start(&["--max-head", "64K", "--head-timeout", "100"]);
        let mut client = server.connect();
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ");
        for _ in 0..20_000 {
            client.send_apart(b"y");
        }
        client.send(b"\r\n\r\n");
        client.end();
        assert_eq!(responses(&client.rest(), &["GET"])[0].status, 200);
    });
}
