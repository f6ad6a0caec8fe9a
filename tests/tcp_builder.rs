//! Options that count only before a socket is bound or connected, and those that only Linux has.
mod tcp_support;

use dormouse::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use dormouse::os::linux::net::TcpStreamExt;
use dormouse::{spawn_local, thread};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tcp_support::*;

/// Longer than any delay that a test should be confused by.
const TIMEOUT: Duration = Duration::from_millis(60);

/// Runs it on a plain thread and in a coroutine.
fn both(f: fn()) {
    bounded(f);
    bounded(move || run(f));
}

fn own() -> (IpAddr, u16) {
    (IpAddr::from(own_ip()), 0)
}

/// Whether this host has IPv6 at all.
fn has_v6() -> bool {
    std::net::TcpListener::bind("[::1]:0").is_ok()
}

fn echoes(mut client: TcpStream, listener: &TcpListener) {
    let (mut server, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    client.write_all(b"hello").unwrap();
    let mut bytes = [0; 5];
    server.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
}

#[test]
fn by_default_they_are_what_bind_and_connect_make() {
    both(|| {
        let listener = TcpListener::builder().bind(own()).unwrap();
        let addr = listener.local_addr().unwrap();
        assert!(SockRef::from(&listener).reuse_address().unwrap() && !SockRef::from(&listener).reuse_port().unwrap());
        let client = TcpStream::builder().connect(addr).unwrap();
        let plain = TcpStream::connect(addr).unwrap();
        for stream in [&client, &plain] {
            let options = SockRef::from(stream);
            assert!(!options.reuse_address().unwrap() && !options.reuse_port().unwrap());
            assert!(!options.nonblocking().unwrap());
        }
        echoes(client, &listener);
        drop((listener.accept().unwrap(), plain));
        echoes(TcpStream::builder().connect_timeout(&addr, LIMIT).unwrap(), &listener);
    });
}

#[test]
fn listeners_share_a_port_if_each_says_so() {
    both(|| {
        let builder = TcpListener::builder().reuse_port(true);
        let first = builder.bind(own()).unwrap();
        let addr = first.local_addr().unwrap();
        assert_eq!(TcpListener::bind(addr).unwrap_err().kind(), ErrorKind::AddrInUse);
        let second = builder.bind(addr).unwrap();
        // The kernel chooses by the client's port, so that both have some of many.
        let clients: Vec<_> = (0..100).map(|_| TcpStream::connect(addr).unwrap()).collect();
        let taken = [&first, &second].map(|listener| {
            listener.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| listener.accept().ok()).count()
        });
        assert!(taken[0] > 0 && taken[1] > 0 && taken[0] + taken[1] == clients.len(), "{taken:?}");
    });
}

#[test]
fn a_port_with_a_connection_that_is_ending_needs_reuse_address() {
    both(|| {
        let listener = TcpListener::bind(own()).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(addr).unwrap();
        // Whoever closes first keeps the address in TIME_WAIT.
        drop(listener.accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop((client, listener));
        let refused = TcpListener::builder().reuse_address(false).bind(addr).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
        let listener = TcpListener::builder().reuse_address(true).bind(addr).unwrap();
        assert_eq!(listener.local_addr().unwrap(), addr);
    });
}

/// Connects until the listener's queue is full, for that many times.
fn queued(addr: &SocketAddr, most: usize) -> usize {
    let connect = || TcpStream::connect_timeout(addr, Duration::from_millis(100)).ok();
    (0..most).map_while(|_| connect()).collect::<Vec<_>>().len()
}

#[test]
fn the_backlog_bounds_the_queue() {
    both(|| {
        let short = TcpListener::builder().backlog(2).bind(own()).unwrap();
        let taken = queued(&short.local_addr().unwrap(), 20);
        assert!((2..=4).contains(&taken), "{taken}");
        let long = TcpListener::builder().backlog(u32::MAX).bind(own()).unwrap();
        assert_eq!(queued(&long.local_addr().unwrap(), 20), 20);
    });
}

#[test]
fn only_v6_leaves_the_other_family_alone() {
    both(|| {
        let four = TcpListener::builder().only_v6(true).bind(own()).unwrap();
        assert!(four.local_addr().unwrap().is_ipv4());
        if !has_v6() {
            return;
        }
        for only_v6 in [true, false] {
            let listener = TcpListener::builder().only_v6(only_v6).bind("[::]:0").unwrap();
            assert_eq!(SockRef::from(&listener).only_v6().unwrap(), only_v6);
            let port = listener.local_addr().unwrap().port();
            assert!(TcpStream::connect(("::1", port)).is_ok());
            assert_eq!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(), !only_v6);
        }
    });
}

#[test]
fn buffer_sizes_hold_and_are_inherited() {
    both(|| {
        let (receives, sends) = (20_000, 30_000);
        let builder = TcpListener::builder().recv_buffer_size(receives).send_buffer_size(sends);
        let listener = builder.bind(own()).unwrap();
        let builder = TcpStream::builder().recv_buffer_size(receives).send_buffer_size(sends);
        let client = builder.connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        for stream in [&client, &server] {
            assert_eq!(SockRef::from(stream).recv_buffer_size().unwrap(), 2 * receives);
            assert_eq!(SockRef::from(stream).send_buffer_size().unwrap(), 2 * sends);
        }
    });
}

#[test]
fn a_connection_comes_from_the_chosen_address() {
    both(|| {
        let listener = TcpListener::bind(own()).unwrap();
        let addr = listener.local_addr().unwrap();
        let from = SocketAddr::from(([127, 9, 8, 7], 0));
        let client = TcpStream::builder().local_addr(from).connect(addr).unwrap();
        let chosen = client.local_addr().unwrap();
        assert!(chosen.ip() == from.ip() && chosen.port() != 0);
        echoes(client, &listener);
        // The port as well.
        let spare = TcpListener::bind(from).unwrap().local_addr().unwrap();
        let client = TcpStream::builder().local_addr(spare).connect_timeout(&addr, LIMIT).unwrap();
        assert_eq!(client.local_addr().unwrap(), spare);
        let taken = TcpStream::builder().local_addr(spare).connect(addr).unwrap_err();
        assert!(matches!(taken.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable), "{taken}");
        echoes(client, &listener);
        let foreign = SocketAddr::from(([192, 0, 2, 1], 0));
        let foreign = TcpStream::builder().local_addr(foreign).connect(addr).unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn a_port_is_chosen_late() {
    both(|| {
        let listener = TcpListener::bind(own()).unwrap();
        let builder = TcpStream::builder().local_addr(SocketAddr::from(([127, 9, 8, 7], 0)));
        let client = builder.connect(listener.local_addr().unwrap()).unwrap();
        let (mut late, mut length) = (0, size_of::<libc::c_int>() as libc::socklen_t);
        let (level, name) = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
        let value = (&raw mut late).cast();
        // SAFETY: the kernel writes an int, whose length it is told.
        let asked = unsafe { libc::getsockopt(client.as_raw_fd(), level, name, value, &raw mut length) };
        let late: libc::c_int = late;
        assert_eq!((asked, late), (0, 1));
    });
}

#[test]
fn addresses_of_the_other_family_are_left_out() {
    both(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let six = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1));
        let builder = TcpStream::builder().local_addr(SocketAddr::from(([127, 0, 0, 1], 0)));
        for peers in [[six, live], [live, six]] {
            assert_eq!(builder.connect(&peers[..]).unwrap().peer_addr().unwrap(), live);
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // The error is that of the address which was tried.
        assert_eq!(builder.connect(&[closed, six][..]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(builder.connect(six).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(builder.connect(("localhost", live.port())).is_ok());
    });
}

#[test]
fn connecting_leaves_the_worker_to_others() {
    run_with(1, || {
        let deaf = TcpListener::builder().backlog(0).bind(own()).unwrap();
        let addr = deaf.local_addr().unwrap();
        let _fill: Vec<_> = (0..4).map_while(|_| TcpStream::connect_timeout(&addr, TIMEOUT).ok()).collect();
        let turns = Rc::new(std::cell::Cell::new(0));
        let counts = Rc::clone(&turns);
        let others = spawn_local(move || {
            loop {
                counts.set(counts.get() + 1);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let start = Instant::now();
        let builder = TcpStream::builder().local_addr(SocketAddr::from(([127, 9, 8, 6], 0)));
        let late = builder.connect_timeout(&addr, TIMEOUT).unwrap_err();
        assert_eq!((late.kind(), late.to_string().as_str()), (ErrorKind::TimedOut, "connection timed out"));
        assert!(start.elapsed() >= TIMEOUT && turns.get() > 2, "{} turns", turns.get());
        assert_eq!(builder.connect_timeout(&addr, Duration::ZERO).unwrap_err().kind(), ErrorKind::InvalidInput);
        others.cancel();
    });
}

#[test]
fn options_of_linux_pass_through() {
    both(|| {
        let listener = TcpListener::bind(own()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for on in [true, false] {
            client.set_quickack(on).unwrap();
            assert_eq!(client.quickack().unwrap(), on);
        }
        assert_eq!(client.deferaccept().unwrap(), Duration::ZERO);
        client.set_deferaccept(Duration::from_millis(1900)).unwrap();
        assert_eq!(client.deferaccept().unwrap(), Duration::from_secs(1));
        client.set_deferaccept(Duration::MAX).unwrap();
        assert!(client.deferaccept().unwrap() > Duration::from_secs(60));
    });
}
