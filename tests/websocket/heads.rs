//! Requests that want no WebSocket, or do not know how to ask for one.

use std::io::{Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::example;
use crate::peer::{say, start};
use crate::served::is_here;
use crate::support::bounded;

/// As in RFC 6455.
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn requests_without_an_upgrade_are_answered() {
    bounded(60, || {
        let server = start(&[]);
        let ask =
            |line: &str, fields: &str| say(&server, format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
        let page = ask("GET /", "");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("new WebSocket("), "{page}");
        assert!(ask("GET /nowhere", "").starts_with("HTTP/1.1 404 "));
        assert!(ask("GET /chat/", "").starts_with("HTTP/1.1 404 "));
        assert!(ask("GET /chat/a%20room", "").starts_with("HTTP/1.1 404 "));
        assert!(ask(&format!("GET /chat/{}", "x".repeat(65)), "").starts_with("HTTP/1.1 404 "));
        assert!(ask("POST /echo", "").starts_with("HTTP/1.1 405 "));
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let version = ask("GET /echo", &format!("{upgrade}Sec-WebSocket-Version: 8\r\n"));
        assert!(version.starts_with("HTTP/1.1 426 ") && version.contains("Sec-WebSocket-Version: 13\r\n"), "{version}");
        let version = "Sec-WebSocket-Version: 13\r\n";
        assert!(ask("GET /echo", &format!("{upgrade}{version}")).starts_with("HTTP/1.1 400 "));
        let malformed = ask("GET /echo", &format!("{upgrade}{version}Sec-WebSocket-Key: short\r\n"));
        assert!(malformed.starts_with("HTTP/1.1 400 "), "{malformed}");
        let twice = ask("GET /echo", &format!("{upgrade}{version}{KEY}{KEY}"));
        assert!(twice.starts_with("HTTP/1.1 400 "), "{twice}");
        assert!(ask("GET /", "Host: y\r\n").starts_with("HTTP/1.1 400 "));
        assert!(say(&server, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
        let head = ask("HEAD /", "");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(page.contains(head.lines().nth(1).unwrap()), "the length is that of the page");
        assert!(ask("HEAD /echo", "").starts_with("HTTP/1.1 405 "));
        assert!(ask("GET /chat/lobby", "").starts_with("HTTP/1.1 426 "));
        assert!(ask("nonsense", "").starts_with("HTTP/1.1 400 "));
        assert!(ask("GET /", &format!("X: {}\r\n", "x".repeat(9000))).starts_with("HTTP/1.1 "));
        let endless = say(&server, &[b'x'; 12_000]);
        assert!(endless.starts_with("HTTP/1.1 4"), "{endless}");
        let summary = server.ended_when_asked();
        assert_eq!((summary.sessions, summary.failures), (0, 0));
    });
}

#[test]
fn a_websocket_may_be_one_offer_of_several() {
    bounded(60, || {
        let server = start(&[]);
        for upgrade in ["h2c, WebSocket", "h2c\r\nUpgrade: websocket"] {
            let fields = format!("Connection: Upgrade\r\nUpgrade: {upgrade}\r\nSec-WebSocket-Version: 13\r\n{KEY}");
            let mut stream = server.connect();
            stream.write_all(format!("GET /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).unwrap();
            let mut status = [0; 13];
            stream.read_exact(&mut status).unwrap();
            assert_eq!(&status, b"HTTP/1.1 101 ", "{upgrade}");
        }
    });
}

#[test]
fn half_a_head_has_a_limit_of_time() {
    bounded(60, || {
        let server = start(&["--head-timeout", "0.3"]);
        for part in ["", "GET / HTTP/1.1\r\nX: "] {
            let (mut stream, start) = (server.connect(), Instant::now());
            stream.write_all(part.as_bytes()).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            assert!(start.elapsed() >= Duration::from_millis(300));
        }
        assert_eq!(server.ended_when_asked().failures, 2);
    });
}

#[test]
fn curl_gets_the_page() {
    if !is_here("curl", "--version") {
        return;
    }
    bounded(60, || {
        let server = start(&[]);
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--noproxy", "*"]);
        let output = command.arg(format!("http://{}/", server.address)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == include_bytes!("../../examples/websocket/page.html"));
    });
}

#[test]
fn a_stack_that_is_too_small_is_refused_at_the_start() {
    let parsed = |stack| example::Options::try_parse_from(["websocket", "--stack", stack]);
    let error = parsed("16K").unwrap_err().to_string();
    assert!(error.contains("must be at least 24576 bytes"), "{error}");
    assert_eq!(parsed("24K").unwrap().serve.stack, Some(24 * 1024));
}
