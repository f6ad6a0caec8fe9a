//! Connecting to a listener whose queue is full: no event tells of room, and still everybody gets through.
mod net_support;

use dormouse::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use dormouse::{spawn, spawn_local, thread};
use net_support::*;
use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as std_net;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A listener with room for `backlog + 1` connections, of which none is accepted yet.
fn listener(backlog: i32) -> (UnixListener, SocketAddr) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("dormouse-backlog-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let addr = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket.bind(&socket2::SockAddr::unix(format!("\0{name}")).unwrap()).unwrap();
    socket.listen(backlog).unwrap();
    (UnixListener::from(OwnedFd::from(socket)), addr)
}

/// A listener whose queue is full; the connections in it.
fn full(backlog: i32) -> (UnixListener, SocketAddr, Vec<std_net::UnixStream>) {
    let (listener, addr) = listener(backlog);
    let queue = (0..=backlog).map(|_| std_net::UnixStream::connect_addr(&addr).unwrap()).collect();
    let probe = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    probe.set_nonblocking(true).unwrap();
    let name = [b"\0", addr.as_abstract_name().unwrap()].concat();
    let name = socket2::SockAddr::unix(String::from_utf8(name).unwrap()).unwrap();
    assert_eq!(probe.connect(&name).unwrap_err().kind(), ErrorKind::WouldBlock, "not full");
    (listener, addr, queue)
}

#[test]
fn connects_wait_for_room_and_all_get_through() {
    const CLIENTS: usize = 40;
    in_three_settings(|on| {
        let (listener, addr, queue) = full(1);
        let begun = Channel::new();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (addr, begun) = (addr.clone(), Arc::clone(&begun));
                on.client(move || {
                    begun.send(());
                    let stream = UnixStream::connect_addr(&addr).unwrap();
                    assert!(!socket2::SockRef::from(&stream).nonblocking().unwrap());
                    (&stream).write_all(&[number as u8]).unwrap();
                    let mut byte = [0];
                    (&stream).read_exact(&mut byte).unwrap();
                    assert_eq!(byte[0], number as u8);
                })
            })
            .collect();
        (0..CLIENTS).for_each(|_| begun.recv());
        assert!(clients.iter().all(|client| !client.is_finished()), "there was room");
        let server = on.server(move || {
            for _ in &queue {
                listener.accept().unwrap();
            }
            for _ in 0..CLIENTS {
                let (stream, _) = listener.accept().unwrap();
                let mut byte = [0];
                (&stream).read_exact(&mut byte).unwrap();
                (&stream).write_all(&byte).unwrap();
            }
        });
        clients.into_iter().for_each(Started::join);
        server.join();
    });
}

/// Thousands through a queue of one, with std's blocking connects among them.
#[test]
fn a_storm_through_a_short_queue_loses_nobody() {
    const CLIENTS: usize = 8;
    const EACH: usize = 125;
    in_three_settings(|on| {
        let (listener, addr) = listener(0);
        let knock = move |addr: &SocketAddr, round: usize| match round % 5 {
            0 => {
                // std's would block the worker, and with it perhaps the acceptor: on a thread of its own.
                let addr = addr.clone();
                Kind::Thread.spawn(move || drop(std_net::UnixStream::connect_addr(&addr).unwrap())).join();
            }
            _ => drop(UnixStream::connect_addr(addr).unwrap()),
        };
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let addr = addr.clone();
                on.client(move || (0..EACH).for_each(|round| knock(&addr, round)))
            })
            .collect();
        let listener = Arc::new(listener);
        let servers: Vec<_> = (0..4)
            .map(|_| {
                let listener = Arc::clone(&listener);
                on.server(move || (0..CLIENTS * EACH / 4).for_each(|_| drop(listener.accept().unwrap())))
            })
            .collect();
        clients.into_iter().for_each(Started::join);
        servers.into_iter().for_each(Started::join);
    });
}

#[test]
fn others_run_while_connects_wait_and_a_cancel_ends_them() {
    const NAME: &str = "others_run_while_connects_wait_and_a_cancel_ends_them";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    run_with(1, || {
        let (_listener, addr, _queue) = full(0);
        let before = fds();
        let ticked = Rc::new(Cell::new(0));
        let ticking = Rc::clone(&ticked);
        let ticks = spawn_local(move || {
            loop {
                thread::sleep(ms(1));
                ticking.set(ticking.get() + 1);
            }
        });
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let addr = addr.clone();
                spawn(move || UnixStream::connect_addr(&addr))
            })
            .collect();
        wait_until(|| ticked.get() > 100);
        assert_eq!(fds(), before + waiting.len(), "each of them is in the middle of its connect");
        assert!(waiting.iter().all(|one| !one.is_finished()));
        let start = Instant::now();
        waiting.iter().for_each(|one| one.cancel());
        waiting.into_iter().for_each(|one| assert!(one.join().is_err()));
        assert!(start.elapsed() < ms(1000), "a cancel does not wait for anything");
        assert_eq!(fds(), before, "a cancelled connect keeps no descriptor");
        ticks.cancel();
    });
}

#[test]
fn a_coroutine_that_unwinds_does_not_wait_for_room() {
    struct Connect(SocketAddr, Arc<Channel<std::io::Result<UnixStream>>>);
    impl Drop for Connect {
        fn drop(&mut self) {
            self.1.send(UnixStream::connect_addr(&self.0));
        }
    }
    run_with(1, || {
        let (_listener, addr, _queue) = full(0);
        let answer = Channel::new();
        let tell = Arc::clone(&answer);
        let unwinding = spawn(move || {
            let _connect = Connect(addr, tell);
            thread::park();
        });
        settle();
        unwinding.cancel();
        assert!(unwinding.join().is_err());
        let error = answer.try_recv().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
    });
}

#[test]
fn a_listener_that_goes_away_refuses_who_waits() {
    in_three_settings(|on| {
        let (listener, addr, queue) = full(0);
        let begun = Channel::new();
        let tell = Arc::clone(&begun);
        let client = on.client(move || {
            tell.send(());
            UnixStream::connect_addr(&addr).unwrap_err().kind()
        });
        begun.recv();
        on.server(move || drop(listener)).join();
        assert_eq!(client.join(), ErrorKind::ConnectionRefused);
        drop(queue);
    });
}

/// As many as the system allows, as std.
#[test]
fn the_queue_is_as_long_as_the_system_allows() {
    const NAME: &str = "the_queue_is_as_long_as_the_system_allows";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    bounded(|| {
        run(|| {
            let directory = Directory::new();
            let (ours, theirs) = (directory.join("ours"), directory.join("theirs"));
            let _listener = UnixListener::bind(&ours).unwrap();
            let _std = std_net::UnixListener::bind(&theirs).unwrap();
            let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
            let more = limit.trim().parse::<usize>().unwrap().min(400);
            let queue: Vec<_> = (0..more).map(|_| UnixStream::connect(&ours).unwrap()).collect();
            let by_std: Vec<_> = (0..more).map(|_| UnixStream::connect(&theirs).unwrap()).collect();
            assert_eq!(queue.len(), by_std.len());
        });
    });
}
