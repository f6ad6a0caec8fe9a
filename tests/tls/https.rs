//! HTTPS: the page, what is not one, and which protocol is spoken.

use std::io::{Read, Write};

use crate::peer::{BOTH, Client, Server, client, rest, start};
use crate::support::bounded;

fn ask(server: &Server, request: &str) -> String {
    let mut client = client(server, BOTH, &["http/1.1"]);
    client.write_all(request.as_bytes()).unwrap();
    client.flush().unwrap();
    String::from_utf8(rest(&mut client)).unwrap()
}

#[test]
fn a_page_is_there_and_nothing_else() {
    bounded(60, || {
        let server = start(&["--https"]);
        let get =
            |target: &str| ask(&server, &format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        let page = get("/");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("Hello over TLS"), "{page}");
        assert!(get("/?a").starts_with("HTTP/1.1 200 ") && get("https://x/").starts_with("HTTP/1.1 200 "));
        assert!(get("https://x/else").starts_with("HTTP/1.1 404 "));
        assert!(get("/else").starts_with("HTTP/1.1 404 "));
        let head = ask(&server, "HEAD / HTTP/1.0\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(
            ask(&server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").starts_with("HTTP/1.1 405 ")
        );
        assert!(ask(&server, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000));
        assert!(ask(&server, &long).starts_with("HTTP/1.1 431 "));
    });
}

/// What is said in two ways, or not at all, is not the beginning of another request.
#[test]
fn nothing_is_read_behind_what_could_be_a_body_or_the_end() {
    bounded(60, || {
        let server = start(&["--https"]);
        let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
        let length = hidden.len();
        let last = [
            format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
            format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".into(),
            "Connection: keep-alive\r\nConnection: close\r\n".into(),
            "Connection: TE, Close\r\n".into(),
        ];
        for fields in last {
            let said = ask(&server, &format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n{hidden}"));
            assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("Connection: close\r\n"), "{said}");
            assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{fields}{said}");
        }
        for fields in ["", "Host: x\r\nhost: y\r\n"] {
            let said = ask(&server, &format!("GET / HTTP/1.1\r\n{fields}\r\n{hidden}"));
            assert!(said.starts_with("HTTP/1.1 400 ") && said.matches("HTTP/1.1 ").count() == 1, "{said}");
        }
    });
}

#[test]
fn a_connection_goes_on_until_somebody_wants_its_end() {
    bounded(60, || {
        let server = start(&["--https"]);
        let mut client = client(&server, BOTH, &["http/1.1"]);
        client.write_all(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET / HT").unwrap();
        let mut got = String::new();
        until(&mut client, &mut got, 2);
        client.write_all(b"TP/1.1\r\nHost: x\r\n\r\n").unwrap();
        until(&mut client, &mut got, 3);
        assert!(!got.contains("Connection: close"), "{got}");
        server.ask_to_end();
        assert!(rest(&mut client).is_empty());
        drop(client);
        assert_eq!(server.ended().failures, 0);
    });
}

/// Reads until so many responses are here.
fn until(client: &mut Client, got: &mut String, count: usize) {
    while got.matches("only /\n").count() + got.matches("coroutine.\n").count() < count {
        let mut piece = [0; 4096];
        let read = client.read(&mut piece).unwrap();
        got.push_str(str::from_utf8(&piece[..read]).unwrap());
    }
}

#[test]
fn both_agree_on_the_protocol_or_do_not_speak() {
    bounded(60, || {
        let server = start(&["--https"]);
        let mut agreed = client(&server, BOTH, &["h2", "http/1.1"]);
        agreed.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        agreed.flush().unwrap();
        agreed.read_exact(&mut [0]).unwrap();
        assert_eq!(agreed.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut other = client(&server, BOTH, &["h2"]);
        let error = other.write_all(b"GET").and_then(|()| other.flush()).and_then(|()| other.read_exact(&mut [0]));
        let said = error.unwrap_err().to_string();
        assert!(said.contains("NoApplicationProtocol"), "{said}");
    });
}
