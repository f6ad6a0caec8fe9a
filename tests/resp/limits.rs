//! What is bounded: clients, and answers that wait for one.

use std::os::fd::BorrowedFd;

use socket2::SockRef;

use crate::server::{Server, info};
use crate::support::bounded;

#[test]
fn one_client_too_many_is_turned_away() {
    bounded(60, || {
        let server = Server::start(&["--max-clients", "2"]);
        let (mut one, mut other) = (server.connect(), server.connect());
        one.ask("PING", "+PONG\r\n");
        other.ask("PING", "+PONG\r\n");
        assert_eq!(server.connect().rest(), b"-ERR max number of clients reached\r\n");
        drop(other);
        crate::support::eventually(20, "there is room again", || {
            let mut next = server.connect();
            next.say("PING");
            next.line() == "+PONG"
        });
        assert!(server.ended_when_asked().rejected >= 1);
    });
}

#[test]
fn a_client_that_reads_nothing_is_disconnected_beyond_its_limit() {
    bounded(60, || {
        let server = Server::start(&["--output-limit", "1M"]);
        let mut client = server.connect();
        client.send(&[&b"SET k "[..], &[b'v'; 60_000], b"\r\n"].concat());
        client.hears("+OK\r\n");
        client.send(&b"GET k\r\n".repeat(2000));
        let mut other = server.connect();
        crate::support::eventually(20, "it is disconnected", || {
            info(&mut other, "clients").contains("connected_clients:1\r\n")
        });
        let heard = client.rest().len();
        assert!(heard < 2000 * 60_000, "{heard} bytes");
        server.connect().ask("PING", "+PONG\r\n");
    });
}

#[test]
fn nothing_waits_for_a_client_that_left() {
    bounded(60, || {
        let server = Server::start(&["--drain", "60"]);
        let mut client = server.connect();
        client.send(&[&b"SET k "[..], &[b'v'; 60_000], b"\r\n"].concat());
        client.hears("+OK\r\n");
        client.send(&b"GET k\r\n".repeat(1000));
        let _ = client.stream().shutdown(std::net::Shutdown::Write);
        let mut other = server.connect();
        crate::support::eventually(20, "it has left", || {
            info(&mut other, "clients").contains("connected_clients:1\r\n")
        });
        // Else this would take as long as the drain may.
        let start = std::time::Instant::now();
        server.ended_when_asked();
        assert!(start.elapsed() < std::time::Duration::from_secs(20));
        drop(client);
    });
}

#[test]
fn a_client_that_is_silent_for_too_long_is_disconnected() {
    bounded(60, || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        client.ask("CONFIG SET timeout 1", "+OK\r\n");
        assert!(client.rest().is_empty());
    });
}

/// Far more than there is memory for, even of places alone.
const FAR_TOO_MANY: &str = "-100000000000";

#[test]
fn what_is_chosen_again_and_again_is_bounded_by_the_limit() {
    bounded(60, || {
        let server = Server::start(&["--output-limit", "1M"]);
        server.connect().ask("SADD s member", ":1\r\n");
        server.connect().ask("HSET h field value", ":1\r\n");
        for (command, with) in [("SRANDMEMBER s", ""), ("HRANDFIELD h", ""), ("HRANDFIELD h", " WITHVALUES")] {
            let mut client = server.connect();
            client.say(&format!("{command} {FAR_TOO_MANY}{with}"));
            assert!(client.rest().is_empty(), "{command}{with}");
        }
        server.connect().ask("SRANDMEMBER s -2", "*2\r\n$6\r\nmember\r\n$6\r\nmember\r\n");
    });
}

#[test]
fn what_is_chosen_again_and_again_is_bounded_without_a_limit() {
    bounded(100, || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        client.send(&[&b"SADD s "[..], &[b'v'; 60_000], b"\r\n"].concat());
        client.hears(":1\r\n");
        client.say(&format!("SRANDMEMBER s {FAR_TOO_MANY}"));
        assert!(client.rest().is_empty());
        server.connect().ask("SCARD s", ":1\r\n");
    });
}

#[test]
fn a_transaction_with_too_long_an_answer_is_executed_and_not_answered() {
    // In a process of its own, whose memory is not that of other tests.
    let name = "limits::a_transaction_with_too_long_an_answer_is_executed_and_not_answered";
    let ended = crate::support::child(name, 60, || {
        let server = Server::start(&["--output-limit", "1M"]);
        let mut client = server.connect();
        client.send(&[&b"SET k "[..], &[b'v'; 60_000], b"\r\n"].concat());
        client.hears("+OK\r\n");
        // Twelve gigabytes, if they were all put together.
        let keys = b" k".repeat(1000);
        client
            .send(&[b"MULTI\r\n", &[b"MGET", &keys[..], b"\r\n"].concat().repeat(200)[..], b"SET done 1\r\n"].concat());
        client.hears("+OK\r\n");
        (0..201).for_each(|_| client.hears("+QUEUED\r\n"));
        let before = crate::support::status_field("/proc/self/status", "VmHWM:");
        client.say("EXEC");
        assert!(client.rest().is_empty());
        let grown = crate::support::status_field("/proc/self/status", "VmHWM:") - before;
        // Less than the answer to one of the commands.
        assert!(grown < 32 << 10, "{grown} KiB more");
        server.connect().ask("GET done", "$1\r\n1\r\n");
    });
    ended.succeeded();
}

#[test]
fn a_silent_client_is_asked_whether_it_is_there() {
    bounded(60, || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        client.ask("PING", "+PONG\r\n");
        assert_eq!(probes(&client), Some((300, 100, 3)));
        client.ask("CONFIG SET tcp-keepalive 60", "+OK\r\n");
        let mut other = server.connect();
        other.ask("PING", "+PONG\r\n");
        assert_eq!(probes(&other), Some((60, 20, 3)));
        other.ask("CONFIG SET tcp-keepalive 0", "+OK\r\n");
        let mut last = server.connect();
        last.ask("PING", "+PONG\r\n");
        assert_eq!(probes(&last), None);
    });
}

/// How the server's end of a connection, which is in this process, too, asks for its client: after so many seconds, then
/// at this interval, and so often.
fn probes(client: &crate::server::Client) -> Option<(u64, u64, u32)> {
    let address = client.stream().local_addr().unwrap();
    let names = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name());
    let all: Vec<i32> = names.map(|name| name.to_str().unwrap().parse().unwrap()).collect();
    for descriptor in all {
        // SAFETY: it is only asked what it is, and used no further unless it is the one that is open for this client.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let socket = SockRef::from(&descriptor);
        if socket.peer_addr().is_ok_and(|peer| peer.as_socket() == Some(address)) {
            return socket.keepalive().unwrap().then(|| {
                let (time, interval) = (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
                (time.as_secs(), interval.as_secs(), socket.tcp_keepalive_retries().unwrap())
            });
        }
    }
    panic!("the server has no socket for {address}");
}
