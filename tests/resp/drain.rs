//! The end: commands that are here are answered, and who waits is let go.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::example;
use crate::server::{BOUND, Client, Server, info, options, until_blocked};
use crate::support::{bounded, child};

#[test]
fn what_is_executed_is_answered_and_all_else_is_closed() {
    bounded(60, || {
        let server = Server::start(&["--drain", "30"]);
        let (mut idle, mut waits, mut busy) = (server.connect(), server.connect(), server.connect());
        let mut listens = server.connect();
        listens.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        waits.say("BLPOP k 0");
        until_blocked(&mut idle, 1);
        busy.ask("PING", "+PONG\r\n");
        busy.say("DEBUG SLEEP 0.3");
        std::thread::sleep(Duration::from_millis(50));
        server.ask_to_end();
        busy.hears("+OK\r\n");
        for client in [idle, waits, busy, listens] {
            assert!(client.rest().is_empty());
        }
        assert!(TcpStream::connect(server.address).is_err(), "the listener is open");
        let start = Instant::now();
        drop(server);
        assert!(start.elapsed() < Duration::from_secs(10), "it waits for nobody");
    });
}

#[test]
fn a_signal_ends_it_in_good_order() {
    let ended = child("drain::a_signal_ends_it_in_good_order", 60, || {
        let summary = example::until_asked(&options(&[]), |address| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                client.ask("SET a 1", "+OK\r\n");
                // SAFETY: any signal may be raised; this one is handled.
                assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGINT) }, 0);
                let start = Instant::now();
                while TcpStream::connect(address).is_ok() {
                    assert!(start.elapsed() < BOUND, "the listener is open");
                }
            });
        });
        let summary = summary.unwrap();
        assert_eq!(summary.commands, 1);
        assert!(summary.totals.stack >= 4096, "{summary}");
        assert!(summary.to_string().contains("stack high water: "), "{summary}");
    });
    ended.succeeded();
}

/// Sends one more command at the server's end, as it is, and then reads what was said before.
fn hears_all_though_it_says_more(server: Server, mut client: Client, answer: &[u8]) {
    server.ask_to_end();
    let start = Instant::now();
    while TcpStream::connect(server.address).is_ok() {
        assert!(start.elapsed() < BOUND, "the listener is open");
    }
    // Were it closed by then, this would reset it; if it is not, it may be answered.
    std::thread::sleep(Duration::from_millis(300));
    client.say("PING");
    std::thread::sleep(Duration::from_millis(100));
    assert!(client.rest().starts_with(answer), "not all of the answer came");
}

#[test]
fn an_answer_on_its_way_is_not_lost_to_what_the_client_says_at_the_end() {
    bounded(60, || {
        let server = Server::start(&["--drain", "30"]);
        let mut client = server.connect();
        client.ask(&format!("SET k {}", "v".repeat(300_000)), "+OK\r\n");
        // Most of the answer stays with the server's kernel.
        socket2::SockRef::from(client.stream()).set_recv_buffer_size(4096).unwrap();
        client.say("GET k");
        crate::support::eventually(20, "it is answered", || client.has_answer());
        let answer = [&b"$300000\r\n"[..], &[b'v'; 300_000], b"\r\n"].concat();
        hears_all_though_it_says_more(server, client, &answer);
    });
}

#[test]
fn answers_in_the_queue_are_not_lost_to_what_the_client_says_at_the_end() {
    bounded(60, || {
        let server = Server::start(&["--drain", "30"]);
        let mut client = server.connect();
        client.send(&[&b"SET k "[..], &[b'v'; 60_000], b"\r\n"].concat());
        client.hears("+OK\r\n");
        // More than the kernel takes for a client that does not read.
        client.send(&b"GET k\r\n".repeat(400));
        let mut other = server.connect();
        let mut asked = 0;
        crate::support::eventually(20, "all is executed", || {
            asked += 1;
            let stats = info(&mut other, "stats");
            let line = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
            line.unwrap().parse::<u64>().unwrap() == 401 + asked
        });
        drop(other);
        let answer = [&b"$60000\r\n"[..], &[b'v'; 60_000], b"\r\n"].concat().repeat(400);
        hears_all_though_it_says_more(server, client, &answer);
    });
}
