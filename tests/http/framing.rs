//! Where a message ends: what could be read in two ways is refused, and what follows it is not a request.

use crate::server::Server;
use crate::support::bounded;

/// What a smuggler wants to be taken for a request.
const SMUGGLED: &str = "GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n";

/// Fields, and the status that they get, with what body.
const REFUSED: &[(u16, &str, &str)] = &[
    (400, "Content-Length: 5\r\nContent-Length: 6\r\n", "abcdef"),
    (400, "Content-Length: 5\r\nContent-Length: 5\r\n", "abcde"),
    (400, "Content-Length: 5, 5\r\n", "abcde"),
    (400, "Content-Length: 5, 6\r\n", "abcde"),
    (400, "Content-Length: +5\r\n", "abcde"),
    (400, "Content-Length: -5\r\n", "abcde"),
    (400, "Content-Length: 0x5\r\n", "abcde"),
    (400, "Content-Length: 5 5\r\n", "abcde"),
    (400, "Content-Length: \r\n", ""),
    (400, "Content-Length: 5;\r\n", "abcde"),
    (400, "Content-Length: \x0b5\r\n", "abcde"),
    (413, "Content-Length: 99999999999999999999\r\n", "abcde"),
    (413, "Content-Length: 18446744073709551615\r\n", "abcde"),
    (400, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", "abcde"),
    (400, "Transfer-Encoding: gzip\r\n", "abcde"),
    (400, "Transfer-Encoding: identity\r\n", "abcde"),
    (400, "Transfer-Encoding:\r\n", "abcde"),
    (400, "Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding\r\n : chunked\r\n", "0\r\n\r\n"),
    (400, "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    (400, "X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    (501, "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
    // Chunks.
    (400, "Transfer-Encoding: chunked\r\n", "\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "x\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "+1\r\na\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", " 1\r\na\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "1 \r\na\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "1\na\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "1\r\na\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "1\r\na\rb0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "1\rxa\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "0\r\n\rx"),
    (400, "Transfer-Encoding: chunked\r\n", "0\r\nX: y\rz\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "0\r\nX: y\r\n folded\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "1;x\na\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "1;x\rx\r\na\r\n0\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "0\r\n\n"),
    (400, "Transfer-Encoding: chunked\r\n", "0\r\nX: y\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "0\r\nX y\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "0\r\n X: y\r\n\r\n"),
    (400, "Transfer-Encoding: chunked\r\n", "10000000000000000\r\na\r\n0\r\n\r\n"),
    (413, "Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\na\r\n0\r\n\r\n"),
];

#[test]
fn what_is_ambiguous_is_refused_and_smuggles_nothing() {
    bounded(60, move || {
        let server = Server::start(&[]);
        for (status, fields, body) in REFUSED {
            let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}{SMUGGLED}");
            let all = server.ask(request.as_bytes(), &["POST"]);
            assert_eq!(all.len(), 1, "{fields:?} {body:?}: {all:?}");
            assert_eq!(all[0].status, *status, "{fields:?} {body:?}");
            assert!(all[0].closes(), "{fields:?} {body:?}");
        }
    });
}

#[test]
fn what_is_right_is_followed_by_the_next_request() {
    let right: &[(&str, &str)] = &[
        ("", ""),
        ("Content-Length: 0\r\n", ""),
        ("Content-Length: \t 5 \t\r\n", "abcde"),
        ("content-LENGTH:00005\r\n", "abcde"),
        ("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: , chunked ,\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nabcde\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "00001\r\na\r\n2\r\nbc\r\n000\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "A ; x = \"y;\"\r\n0123456789\r\n0;z\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "2\r\n\r\n\r\n0\r\nX: y\r\nZ:\r\n\r\n"),
        // A trailer does not change what came before it.
        ("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nContent-Length: 40\r\n\r\n"),
    ];
    let echoed = ["", "", "abcde", "abcde", "", "", "abcde", "abc", "0123456789", "\r\n", "a"];
    bounded(60, move || {
        let server = Server::start(&[]);
        for ((fields, body), echoed) in right.iter().zip(echoed) {
            let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}{SMUGGLED}");
            let all = server.ask(request.as_bytes(), &["POST", "GET"]);
            assert_eq!(all.len(), 2, "{fields:?} {body:?}: {all:?}");
            assert_eq!(all[0].is(200).body, echoed.as_bytes(), "{fields:?} {body:?}");
            assert_eq!(all[1].is(200).body, b"Hello, World!");
        }
    });
}

#[test]
fn http_1_0_has_no_chunks() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let request = format!("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}");
        let all = server.ask(request.as_bytes(), &["POST"]);
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].is(400).closes());
    });
}

#[test]
fn extensions_and_trailers_have_an_end() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let long = "x".repeat(20_000);
        server.ask_one(format!("{chunked}1;{long}\r\na\r\n0\r\n\r\n").as_bytes()).is(431);
        server.ask_one(format!("{chunked}0\r\nX: {long}\r\n\r\n").as_bytes()).is(431);
        server.ask_one(format!("{chunked}{}1\r\na\r\n0\r\n\r\n", "0".repeat(20_000)).as_bytes()).is(431);
        // So many in all, not each.
        let many = "1;xxxxxxxxx\r\na\r\n".repeat(2000);
        server.ask_one(format!("{chunked}{many}0\r\n\r\n").as_bytes()).is(431);
    });
}
