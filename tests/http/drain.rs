//! The end: requests under way are answered, connections without one are closed, and nobody else is let in.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::example;
use crate::server::{BOUND, Client, Server, options, responses};
use crate::support::{bounded, child};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const BEGUN: &[u8] = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel";

#[test]
fn requests_under_way_are_answered_and_all_else_is_closed() {
    bounded(60, move || {
        let server = Server::start(&["--drain", "30"]);
        let (mut silent, mut idle, mut busy) = (server.connect(), server.connect(), server.connect());
        // No more than an empty line.
        silent.send_apart(b"\r\n");
        idle.send(GET);
        idle.head();
        idle.exactly(13);
        busy.send_apart(BEGUN);
        server.ask_to_end();
        assert!(silent.rest().is_empty());
        assert!(idle.rest().is_empty());
        assert!(TcpStream::connect(server.address).is_err(), "the listener is open");
        // What is pipelined behind it is not served.
        busy.send(&[b"lo", GET].concat());
        busy.end();
        let all = responses(&busy.rest(), &["POST"]);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].is(200).body, b"hello");
        assert!(all[0].closes());
        let start = Instant::now();
        let summary = server.ended();
        assert!(start.elapsed() < Duration::from_secs(10), "it waits for nobody");
        assert_eq!((summary.totals.connections, summary.requests, summary.refusals), (3, 2, 0));
    });
}

/// What one client has not taken yet of an answer is not lost by a request that it sends too late.
#[test]
fn an_answer_in_flight_outlives_the_end_of_its_connection() {
    bounded(60, move || {
        for (arguments, asks) in [(["--idle-timeout", "0.1"], false), (["--drain", "30"], true)] {
            let server = Server::start(&arguments);
            let mut client = Client::connect_small(server.address);
            client.find_server();
            client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
            client.send_apart(&[b'x'; 60_000]);
            // The answer has begun to come, and is sent as a whole.
            assert!(client.head().starts_with("HTTP/1.1 200 "));
            if asks {
                server.ask_to_end();
            }
            client.until_parted();
            client.send(GET);
            client.end();
            assert!(client.rest() == [b'x'; 60_000]);
        }
    });
}

#[test]
fn a_root_that_is_no_directory_is_told_at_the_start() {
    bounded(60, || {
        let file = std::env::current_exe().unwrap();
        let options = options(&["--root", file.to_str().unwrap()]);
        let error = example::run(&options, |_| panic!("it listens"), || Ok(())).unwrap_err();
        assert!(error.to_string().contains("--root"), "{error}");
    });
}

#[test]
fn a_response_under_way_is_sent_to_its_end() {
    bounded(60, move || {
        let server = Server::start(&["--drain", "30"]);
        let mut client = server.connect();
        let length = 8_000_000;
        client.send(format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        client.send(&vec![b'x'; 100_000]);
        client.head();
        server.ask_to_end();
        client.echo(length, 100_000);
        client.end();
        assert!(client.rest().is_empty());
        assert_eq!(server.ended().requests, 1);
    });
}

#[test]
fn a_client_that_takes_too_long_is_not_waited_for() {
    let ended = child("drain::a_client_that_takes_too_long_is_not_waited_for", 60, || {
        let server = Server::start(&["--drain", "0.2"]);
        let mut client = server.connect();
        client.send_apart(BEGUN);
        let start = Instant::now();
        assert_eq!(server.ended_when_asked().requests, 0);
        assert!(start.elapsed() >= Duration::from_millis(200));
    });
    ended.succeeded();
}

#[test]
fn a_signal_ends_it_in_good_order() {
    let ended = child("drain::a_signal_ends_it_in_good_order", 60, || {
        let summary = example::until_asked(&options(&[]), |address| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                client.send_apart(BEGUN);
                // SAFETY: any signal may be raised; this one is handled.
                assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGINT) }, 0);
                // Until nobody is let in any more.
                let start = Instant::now();
                while TcpStream::connect(address).is_ok() {
                    assert!(start.elapsed() < BOUND, "the listener is open");
                }
                client.send(b"lo");
                assert!(client.head().contains("\r\nConnection: close\r\n"));
                assert_eq!(client.exactly(5), b"hello");
            });
        });
        let summary = summary.unwrap();
        assert_eq!(summary.requests, 1);
        assert!(summary.totals.stack >= 4096, "{summary}");
        assert!(summary.to_string().contains("stack high water: "), "{summary}");
    });
    ended.succeeded();
}
