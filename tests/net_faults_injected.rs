//! Faults that the kernel reports when it is short of something, or a connection went away at the wrong moment. They
//! are brought about by a seccomp(2) filter that refuses one system call on the test's own thread: a coroutine's
//! worker, or a plain thread.
mod net_support;
#[path = "support/seccomp.rs"]
mod seccomp;

use dormouse::net::{TcpListener, TcpStream};
use net_support::*;
use seccomp::answer_calls;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// From now on, system call `number` fails with `errno` on this thread.
fn refuse(number: libc::c_long, errno: i32) {
    answer_calls(number, libc::SECCOMP_RET_ERRNO | errno as u32);
}

/// Runs `body` on a plain thread, and in a coroutine, each on a thread of its own.
#[track_caller]
fn as_thread_and_as_coroutine(body: fn()) {
    bounded(body);
    run_with(1, body);
}

/// A plain thread that was started before any call was refused, for what is done elsewhere.
struct Elsewhere {
    jobs: std::sync::mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Elsewhere {
    fn start() -> Elsewhere {
        let (jobs, todo) = std::sync::mpsc::channel::<Box<dyn FnOnce() + Send>>();
        std::thread::spawn(move || todo.into_iter().for_each(|job| job()));
        Elsewhere { jobs }
    }

    fn run<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        let result = Channel::new();
        let answer = Arc::clone(&result);
        self.jobs.send(Box::new(move || answer.send(f()))).unwrap();
        result.recv()
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn pair() -> (TcpStream, std::net::TcpStream) {
    let (listener, addr) = listener();
    let peer = std::net::TcpStream::connect(addr).unwrap();
    (listener.accept().unwrap().0, peer)
}

#[track_caller]
fn fails_with<T: std::fmt::Debug>(errno: i32, answer: std::io::Result<T>) {
    assert_eq!(answer.unwrap_err().raw_os_error(), Some(errno));
}

#[test]
fn an_aborted_connection_is_an_error_and_the_listener_goes_on() {
    as_thread_and_as_coroutine(|| {
        let (elsewhere, (listener, addr)) = (Elsewhere::start(), listener());
        let client = std::net::TcpStream::connect(addr).unwrap();
        refuse(libc::SYS_accept4, libc::ECONNABORTED);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::ConnectionAborted);
            fails_with(libc::ECONNABORTED, listener.incoming().next().unwrap());
        }
        assert!(start.elapsed() < SLACK, "an aborted connection is no reason to wait");
        let (_stream, peer) = elsewhere.run(move || listener.accept().unwrap());
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

/// Whoever waits is told, and what it could not take is left to the next.
#[test]
fn an_acceptor_that_is_parked_learns_of_an_aborted_connection() {
    run_with(1, || {
        let (elsewhere, (listener, addr)) = (Elsewhere::start(), listener());
        let listener = Arc::new(listener);
        let parked = [(); 3].map(|()| {
            let listener = Arc::clone(&listener);
            dormouse::spawn_local(move || listener.accept().map(drop))
        });
        settle();
        refuse(libc::SYS_accept4, libc::ECONNABORTED);
        let client = elsewhere.run(move || std::net::TcpStream::connect(addr).unwrap());
        parked.into_iter().for_each(|one| fails_with(libc::ECONNABORTED, one.join().unwrap()));
        let (_stream, peer) = elsewhere.run(move || listener.accept().unwrap());
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

/// A loop that ignores errors must not spin: 5, 10, 20, 40 and 80 ms.
fn accepts_without(errno: i32) {
    let (listener, addr) = listener();
    let _client = std::net::TcpStream::connect(addr).unwrap();
    refuse(libc::SYS_accept4, errno);
    let start = Instant::now();
    (0..5).for_each(|_| fails_with(errno, listener.accept()));
    assert!((ms(155)..ms(155) + SLACK).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn an_accept_without_memory_says_so_and_slows_down() {
    as_thread_and_as_coroutine(|| accepts_without(libc::ENOMEM));
    as_thread_and_as_coroutine(|| accepts_without(libc::ENOBUFS));
}

#[test]
fn a_write_without_buffers_says_so_and_loses_nothing() {
    as_thread_and_as_coroutine(|| {
        let (elsewhere, (mut ours, mut peer)) = (Elsewhere::start(), pair());
        ours.write_all(b"before ").unwrap();
        refuse(libc::SYS_sendto, libc::ENOBUFS);
        fails_with(libc::ENOBUFS, ours.write(b"lost"));
        fails_with(libc::ENOBUFS, ours.write_all(b"lost"));
        assert_eq!(ours.write_vectored(&[IoSlice::new(b"and "), IoSlice::new(b"mid")]).unwrap(), 7);
        refuse(libc::SYS_sendmsg, libc::ENOMEM);
        fails_with(libc::ENOMEM, ours.write_vectored(&[IoSlice::new(b"lost")]));
        elsewhere.run(move || ours.write_all(b" after").unwrap());
        let mut all = String::new();
        peer.read_to_string(&mut all).unwrap();
        assert_eq!(all, "before and mid after");
    });
}

#[test]
fn a_read_without_memory_says_so_and_loses_nothing() {
    as_thread_and_as_coroutine(|| {
        let (elsewhere, (mut ours, mut peer)) = (Elsewhere::start(), pair());
        peer.write_all(b"kept").unwrap();
        refuse(libc::SYS_recvfrom, libc::ENOBUFS);
        fails_with(libc::ENOBUFS, ours.read(&mut [0; 4]));
        fails_with(libc::ENOBUFS, ours.read_exact(&mut [0; 4]));
        fails_with(libc::ENOBUFS, ours.peek(&mut [0; 4]));
        refuse(libc::SYS_recvmsg, libc::ENOMEM);
        fails_with(libc::ENOMEM, ours.read_vectored(&mut [IoSliceMut::new(&mut [0; 4])]));
        let kept = elsewhere.run(move || {
            let mut kept = [0; 4];
            ours.read_exact(&mut kept).unwrap();
            kept
        });
        assert_eq!(&kept, b"kept");
    });
}

/// What a parked reader could not take wakes the next, which cannot either, and stays for who can.
#[test]
fn readers_that_are_parked_learn_of_a_failure() {
    run_with(1, || {
        let (elsewhere, (ours, mut peer)) = (Elsewhere::start(), pair());
        let ours = Arc::new(ours);
        let parked = [(); 3].map(|()| {
            let ours = Arc::clone(&ours);
            dormouse::spawn_local(move || (&*ours).read(&mut [0; 4]))
        });
        settle();
        refuse(libc::SYS_recvfrom, libc::ENOMEM);
        peer.write_all(b"kept").unwrap();
        parked.into_iter().for_each(|one| fails_with(libc::ENOMEM, one.join().unwrap()));
        assert_eq!(elsewhere.run(move || (&*ours).read(&mut [0; 8]).unwrap()), 4);
    });
}

/// A reader whose stream the poller cannot take says so; it has nothing to wait for, but reads what is there.
#[test]
fn a_stream_that_cannot_be_watched_says_so() {
    run_with(1, || {
        let (mut ours, mut peer) = pair();
        refuse(libc::SYS_epoll_ctl, libc::ENOSPC);
        fails_with(libc::ENOSPC, ours.read(&mut [0; 4]));
        peer.write_all(b"here").unwrap();
        assert_eq!(ours.read(&mut [0; 4]).unwrap(), 4);
        fails_with(libc::ENOSPC, ours.read(&mut [0; 4]));
    });
}

#[test]
fn a_thread_that_cannot_wait_says_so() {
    bounded(|| {
        let (mut ours, mut peer) = pair();
        refuse(libc::SYS_ppoll, libc::ENOMEM);
        fails_with(libc::ENOMEM, ours.read(&mut [0; 4]));
        peer.write_all(b"here").unwrap();
        assert_eq!(ours.read(&mut [0; 4]).unwrap(), 4);
    });
}

fn connects_without(call: libc::c_long, errno: i32) {
    let (listener, addr) = listener();
    let before = fds();
    refuse(call, errno);
    fails_with(errno, TcpStream::connect(addr));
    fails_with(errno, TcpStream::connect_timeout(&addr, LIMIT));
    if call == libc::SYS_socket {
        fails_with(errno, TcpListener::bind(("127.0.0.1", 0)));
    }
    assert_eq!(fds(), before, "what failed keeps no descriptor");
    drop(listener);
}

#[test]
fn a_connect_that_lacks_something_says_so_and_keeps_nothing() {
    const NAME: &str = "a_connect_that_lacks_something_says_so_and_keeps_nothing";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    as_thread_and_as_coroutine(|| connects_without(libc::SYS_socket, libc::ENOBUFS));
    as_thread_and_as_coroutine(|| connects_without(libc::SYS_socket, libc::ENFILE));
    as_thread_and_as_coroutine(|| connects_without(libc::SYS_connect, libc::ENOMEM));
    as_thread_and_as_coroutine(|| connects_without(libc::SYS_connect, libc::EADDRNOTAVAIL));
    as_thread_and_as_coroutine(|| connects_without(libc::SYS_connect, libc::EHOSTUNREACH));
}
