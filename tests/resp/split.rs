//! Fragments: commands mean the same, however their bytes are cut.

use std::io::Write;
use std::net::TcpStream;

use crate::server::Server;
use crate::support::bounded;

const SAID: &[&[u8]] = &[
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nQUIT\r\n",
    b"\r\nPING\r\nECHO \"a b\"\r\n*1\r\n$4\r\nPING\r\n*0\r\n*-1\r\nFOO a\nQUIT\n",
    b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n*1\r\n$4\r\nQUIT\r\n",
    b"PING\r\n*1\r\n$x\r\n",
    b"PING\r\n*1\r\nPING\r\n",
    b"MULTI\r\nSET a 1\r\nEXEC\r\nECHO \"open\r\n",
];

/// What is said to fragments that are sent one by one.
fn told(server: &Server, fragments: &[&[u8]]) -> Vec<u8> {
    let client = server.connect();
    let mut stream: &TcpStream = client.stream();
    for fragment in fragments {
        let _ = stream.write_all(fragment);
        // So that they come apart, mostly.
        std::thread::yield_now();
    }
    client.rest()
}

#[test]
fn two_fragments_mean_the_same_wherever_they_are_cut() {
    bounded(120, || {
        let server = Server::start(&[]);
        for said in SAID {
            let whole = told(&server, &[said]);
            assert!(!whole.is_empty());
            for at in 1..said.len() {
                let cut = told(&server, &[&said[..at], &said[at..]]);
                let shown = format!("{} | {}", said[..at].escape_ascii(), said[at..].escape_ascii());
                assert_eq!(cut.escape_ascii().to_string(), whole.escape_ascii().to_string(), "{shown}");
            }
        }
    });
}

#[test]
fn single_bytes_mean_the_same() {
    bounded(120, || {
        let server = Server::start(&[]);
        for said in SAID {
            let bytes: Vec<&[u8]> = said.chunks(1).collect();
            assert_eq!(told(&server, &bytes), told(&server, &[said]), "{}", said.escape_ascii());
        }
    });
}

#[test]
fn a_value_may_be_longer_than_any_buffer() {
    bounded(120, || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        let value = vec![b'x'; 5_000_000];
        let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len());
        client.send(&[head.as_bytes(), &value, b"\r\nSTRLEN k\r\nGET k\r\nQUIT\r\n"].concat());
        let answer = [b"+OK\r\n:5000000\r\n$5000000\r\n", &value[..], b"\r\n+OK\r\n"].concat();
        assert!(client.rest() == answer);
    });
}

#[test]
fn a_client_may_send_all_before_it_reads_anything() {
    bounded(120, || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        client.send(&[&b"SET k "[..], &[b'v'; 1000], b"\r\n"].concat());
        client.hears("+OK\r\n");
        // Far more answers than any socket holds, and commands as well.
        let (count, piece) = (40_000, b"GET k\r\n");
        client.send(&piece.repeat(count));
        client.send(b"QUIT\r\n");
        assert_eq!(client.rest().len(), count * 1009 + 5);
    });
}
