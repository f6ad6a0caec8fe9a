//! Heads: what is a request, what is refused, and when the connection goes on.

use crate::server::Server;
use crate::support::bounded;

const GREETING: &[u8] = b"Hello, World!";

#[test]
fn the_greeting_has_a_date_and_a_length() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let said = server.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let said = String::from_utf8(said).unwrap();
        let date = said.split("\r\n").find_map(|line| line.strip_prefix("Date: ")).unwrap();
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
        let response = server.ask_one(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(response.is(200).body, GREETING);
        assert_eq!(response.field("content-type"), Some("text/plain"));
        assert_eq!(response.field("connection"), None);
    });
}

#[test]
fn a_head_request_gets_the_head_alone() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let said = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nHEAD /none HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let all = server.ask(said, &["HEAD", "HEAD", "GET"]);
        assert_eq!(all.iter().map(|response| response.status).collect::<Vec<_>>(), [200, 404, 200]);
        assert_eq!(all[0].fields, all[2].fields);
        assert_eq!(all[2].body, GREETING);
        // Also where it is refused before there is a body.
        let long = b"HEAD /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
        assert!(server.ask_one(long).is(413).body.is_empty());
    });
}

#[test]
fn heads_that_are_unusual_but_right_are_served() {
    let served: &[&[u8]] = &[
        b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\nHost: x\r\n\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET / HTTP/1.1\r\nhOST:x:80 \t\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        b"GET /?a=/../b|c HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x:80/ HTTP/1.1\r\nHost: y\r\n\r\n",
        b"GET HTTP://x?q HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: \xe4\xf6\xfc\r\nY:\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"FROB /echo HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    bounded(60, move || {
        let server = Server::start(&[]);
        for request in served {
            assert_eq!(server.ask(request, &["GET"]).len(), 1, "{}", request.escape_ascii());
            assert_eq!(server.ask(request, &["GET"])[0].status, 200, "{}", request.escape_ascii());
        }
    });
}

#[test]
fn heads_that_are_wrong_are_refused_and_nothing_behind_them_is_read() {
    let refused: &[(u16, &[u8])] = &[
        (400, b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b" GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /\r\n\r\n"),
        (400, b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n"),
        (400, b"GET / http/1.1\r\nHost: x\r\n\r\n"),
        (400, b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\rHost: x\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: user@x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x, y z\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n\tfolded\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nX y\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n"),
        (400, b"GET x HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET * HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /#f HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET http:/// HTTP/1.1\r\nHost: x\r\n\r\n"),
        (417, b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n"),
        (501, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (505, b"GET / HTTP/0.9\r\nHost: x\r\n\r\n"),
        (400, b"GET / HTTP/11.1\r\nHost: x\r\n\r\n"),
    ];
    bounded(60, move || {
        let server = Server::start(&[]);
        for (status, request) in refused {
            let said = [request, &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..]].concat();
            let all = server.ask(&said, &["GET"]);
            assert_eq!(all.len(), 1, "{}: {all:?}", request.escape_ascii());
            assert_eq!(all[0].status, *status, "{}", request.escape_ascii());
            assert!(all[0].closes(), "{}", request.escape_ascii());
        }
        let server = server.ended_when_asked();
        assert_eq!(server.refusals, refused.len() as u64);
    });
}

#[test]
fn heads_without_end_are_refused() {
    bounded(60, move || {
        let server = Server::start(&["--max-head", "2K"]);
        let long = "x".repeat(10_000);
        server.ask_one(format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).is(414);
        server.ask_one(format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n").as_bytes()).is(431);
        let many = "X: y\r\n".repeat(101);
        server.ask_one(format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n").as_bytes()).is(431);
        server.ask_one(format!("{}GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n".repeat(100)).as_bytes()).is(400);
        // To the byte.
        let head = |length: usize| {
            let head = "GET / HTTP/1.1\r\nHost: x\r\nX: \r\n\r\n";
            head.replace("X: ", &format!("X: {}", "y".repeat(length - head.len())))
        };
        server.ask_one(head(2048).as_bytes()).is(200);
        server.ask_one(head(2049).as_bytes()).is(431);
        // What ends in the middle of a head is not answered as if it were whole.
        server.ask_one(b"GET / HTTP/1.1\r\nHost: x\r\n").is(400);
    });
}

#[test]
fn a_method_that_a_target_does_not_have_is_told_which_it_has() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let response = server.ask_one(b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(response.is(405).field("allow"), Some("GET, HEAD, OPTIONS"));
        server.ask_one(b"FROB / HTTP/1.1\r\nHost: x\r\n\r\n").is(501);
    });
}

#[test]
fn the_connection_goes_on_as_both_want() {
    let goes_on: &[(&[u8], Option<&str>)] = &[
        (b"GET / HTTP/1.1\r\nHost: x\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n", None),
        (b"GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n", Some("keep-alive")),
    ];
    let ends: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, CLOSE\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nConnection: close\r\n",
        b"GET / HTTP/1.0\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n",
    ];
    bounded(60, move || {
        let server = Server::start(&[]);
        for (request, said) in goes_on {
            let twice = [request, &b"\r\n"[..]].concat().repeat(2);
            let all = server.ask(&twice, &["GET", "GET"]);
            assert_eq!(all.len(), 2, "{}", request.escape_ascii());
            assert_eq!(all[0].field("connection"), *said);
        }
        for request in ends {
            let twice = [request, &b"\r\n"[..]].concat().repeat(2);
            let all = server.ask(&twice, &["GET", "GET"]);
            assert_eq!(all.len(), 1, "{}", request.escape_ascii());
            assert!(all[0].closes());
        }
    });
}

#[test]
fn a_thousand_pipelined_requests_are_answered_in_order() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let request = |number: usize| match number % 3 {
            0 => "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            1 => format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{number:05}"),
            _ => format!(
                "PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{number:05}\r\n0\r\n\r\n"
            ),
        };
        let said: String = (0..1000).map(request).collect();
        let all = server.ask(said.as_bytes(), &["POST"; 1000]);
        assert_eq!(all.len(), 1000);
        for (number, response) in all.iter().enumerate() {
            let echoed = format!("{number:05}");
            let body = if number % 3 == 0 { GREETING } else { echoed.as_bytes() };
            assert_eq!(response.body, body, "number {number}");
        }
        assert_eq!(server.ended_when_asked().requests, 1000);
    });
}

#[test]
fn an_answer_does_not_wait_for_the_next_request() {
    bounded(60, move || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        // The first is answered although half of the second is here.
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na");
        assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(client.exactly(GREETING.len()), GREETING);
        client.send(b"b");
        client.head();
        assert_eq!(client.exactly(2), b"ab");
        client.send(b"GET / HT");
        client.send_apart(b"TP/1.1\r\nHost: x\r\n\r\nGET");
        client.head();
        assert_eq!(client.exactly(GREETING.len()), GREETING);
    });
}
