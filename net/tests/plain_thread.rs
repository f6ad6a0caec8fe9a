//! TCP from plain OS threads: each behaviour is std's. Nothing here runs in a coroutine.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net as std_net;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dormouse_net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use socket2::SockRef;

/// How long a test may take before it is called a hang.
const LIMIT: Duration = Duration::from_secs(20);

/// Longer than any scheduling delay that a test should be confused by.
const TIMEOUT: Duration = Duration::from_millis(60);

/// Runs a test body on a thread of its own, and fails instead of hanging.
fn bounded(body: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let test = thread::spawn(move || {
        body();
        done.send(()).ok();
    });
    if finished.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("hangs");
    }
    if let Err(payload) = test.join() {
        std::panic::resume_unwind(payload);
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A client and a server end.
fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listener();
    let client = TcpStream::connect(addr).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}

fn fill(mut stream: &TcpStream) {
    let block = [7; 65536];
    while stream.write(&block).is_ok() {}
}

/// Asserts that `call` takes at least `TIMEOUT` and fails as a timeout of std does on Linux.
#[track_caller]
fn assert_times_out<T: std::fmt::Debug>(call: impl FnOnce() -> io::Result<T>) {
    let start = Instant::now();
    let error = call().unwrap_err();
    assert!(start.elapsed() >= TIMEOUT, "early: {:?}", start.elapsed());
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
}

#[track_caller]
fn assert_would_block<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    SockRef::from(&fd).nonblocking().unwrap()
}

#[test]
fn the_types_have_the_auto_traits_of_std() {
    fn check<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + std::fmt::Debug>() {}
    check::<TcpStream>();
    check::<TcpListener>();
    check::<dormouse_net::Incoming<'static>>();
}

#[test]
fn echoes() {
    bounded(|| {
        let (listener, addr) = listener();
        let server = thread::spawn(move || {
            let mut stream = listener.incoming().next().unwrap().unwrap();
            let mut buf = [0; 1024];
            loop {
                match stream.read(&mut buf).unwrap() {
                    0 => break,
                    n => stream.write_all(&buf[..n]).unwrap(),
                }
            }
        });
        let mut client = TcpStream::connect(addr).unwrap();
        for round in 0..100u8 {
            client.write_all(&[round; 64]).unwrap();
            let mut buf = [0; 64];
            client.read_exact(&mut buf).unwrap();
            assert_eq!(buf, [round; 64]);
        }
        drop(client);
        server.join().unwrap();
    });
}

#[test]
fn reading_and_writing_one_stream_at_once() {
    bounded(|| {
        let (client, server) = pair();
        let total = 8 << 20;
        thread::scope(|scope| {
            for stream in [&client, &server] {
                scope.spawn(move || {
                    let (mut stream, block) = (stream, [1; 10_000]);
                    let mut left = total;
                    while left > 0 {
                        left -= stream.write(&block[..left.min(block.len())]).unwrap();
                    }
                    stream.shutdown(Shutdown::Write).unwrap();
                });
                scope.spawn(move || {
                    let n = io::copy(&mut { stream }, &mut io::sink()).unwrap();
                    assert_eq!(n, total as u64);
                });
            }
        });
    });
}

#[test]
fn a_large_write_waits_for_a_slow_reader() {
    bounded(|| {
        let (mut client, mut server) = pair();
        let data: Vec<u8> = (0..16 << 20).map(|i: u32| (i / 7) as u8).collect();
        let expected = data.clone();
        let writer = thread::spawn(move || client.write_all(&data).unwrap());
        thread::sleep(TIMEOUT);
        let mut received = Vec::new();
        server.read_to_end(&mut received).unwrap();
        assert!(received == expected);
        writer.join().unwrap();
    });
}

#[test]
fn timeouts_are_never_early_and_cover_each_call() {
    bounded(|| {
        let (mut client, server) = pair();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        client.set_write_timeout(Some(TIMEOUT)).unwrap();
        for _ in 0..3 {
            assert_times_out(|| client.read(&mut [0]));
            assert_times_out(|| client.peek(&mut [0]));
        }
        let block = [0; 65536];
        let error = loop {
            let start = Instant::now();
            if let Err(error) = client.write(&block) {
                assert!(start.elapsed() >= TIMEOUT);
                break error;
            }
        };
        assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
        drop(server);
    });
}

#[test]
fn timeouts_read_back_as_std_and_reject_zero() {
    let (client, _server) = pair();
    let std_stream = std_net::TcpStream::from(client.try_clone().unwrap());
    for timeout in [Some(Duration::from_millis(1500)), Some(Duration::from_nanos(1)), None] {
        client.set_read_timeout(timeout).unwrap();
        assert_eq!(client.read_timeout().unwrap(), std_stream.read_timeout().unwrap());
        client.set_write_timeout(timeout).unwrap();
        assert_eq!(client.write_timeout().unwrap(), std_stream.write_timeout().unwrap());
        assert_eq!(client.read_timeout().unwrap().is_some(), timeout.is_some());
    }
    let ours = client.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
    let theirs = std_stream.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
    assert_eq!((ours.kind(), ours.to_string()), (theirs.kind(), theirs.to_string()));
    client.set_write_timeout(Some(Duration::MAX)).unwrap();
}

#[test]
fn clones_and_conversions_share_timeouts() {
    bounded(|| {
        let (client, server) = pair();
        let mut clone = client.try_clone().unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        assert_times_out(|| clone.read(&mut [0]));

        let mut theirs = std_net::TcpStream::from(client);
        assert_times_out(|| theirs.read(&mut [0]));
        theirs.set_read_timeout(Some(2 * TIMEOUT)).unwrap();
        let start = Instant::now();
        assert_would_block(clone.read(&mut [0]));
        assert!(start.elapsed() >= 2 * TIMEOUT, "a timeout changed through std holds");

        let mut back = TcpStream::from(theirs);
        drop(clone);
        assert_times_out(|| back.read(&mut [0]));
        drop(server);
    });
}

#[test]
fn a_borrower_of_the_fd_may_change_mode_and_timeout() {
    bounded(|| {
        let (mut client, _server) = pair();
        SockRef::from(&client).set_read_timeout(Some(TIMEOUT)).unwrap();
        assert_times_out(|| client.read(&mut [0]));
        SockRef::from(&client).set_nonblocking(true).unwrap();
        let start = Instant::now();
        assert_would_block(client.read(&mut [0]));
        assert!(start.elapsed() < TIMEOUT);
    });
}

#[test]
fn nonblocking_mode_is_shared_by_clones_and_std() {
    bounded(|| {
        let (client, mut server) = pair();
        let mut clone = client.try_clone().unwrap();
        client.set_nonblocking(true).unwrap();
        assert_would_block(clone.read(&mut [0]));
        assert_would_block(clone.peek(&mut [0]));
        fill(&clone);

        let mut theirs = std_net::TcpStream::from(client);
        assert_would_block(theirs.read(&mut [0]));
        theirs.set_nonblocking(false).unwrap();
        clone.set_read_timeout(Some(TIMEOUT)).unwrap();
        assert_times_out(|| clone.read(&mut [0]));
        server.write_all(b"x").unwrap();
        assert_eq!(clone.read(&mut [0; 9]).unwrap(), 1);
    });
}

#[test]
fn a_nonblocking_read_looks_again_after_a_short_one() {
    bounded(|| {
        let (mut client, mut server) = pair();
        client.set_nonblocking(true).unwrap();
        for _ in 0..3 {
            server.write_all(b"abc").unwrap();
            let start = Instant::now();
            while client.read(&mut [0; 8]).is_err() {
                assert!(start.elapsed() < LIMIT / 2);
                thread::yield_now();
            }
        }
    });
}

#[test]
fn streams_stay_blocking_as_others_see_them() {
    let (client, server) = pair();
    for stream in [client, server] {
        assert!(!is_nonblocking(&stream));
        assert!(!is_nonblocking(OwnedFd::from(stream)));
    }
}

#[test]
fn half_close_ends_one_direction() {
    bounded(|| {
        let (mut client, mut server) = pair();
        client.write_all(b"last").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last");
        server.write_all(b"answer").unwrap();
        drop(server);
        text.clear();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "answer");
        assert_eq!(client.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn shutdown_wakes_who_waits() {
    bounded(|| {
        let (client, _server) = pair();
        thread::scope(|scope| {
            let reader = scope.spawn(|| (&client).read(&mut [0]).unwrap());
            thread::sleep(TIMEOUT);
            client.shutdown(Shutdown::Both).unwrap();
            assert_eq!(reader.join().unwrap(), 0);
        });
    });
}

#[test]
fn a_reset_is_reported_and_raises_no_signal() {
    bounded(|| {
        let (mut client, server) = pair();
        server.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(server.linger().unwrap(), Some(Duration::ZERO));
        let reader = thread::spawn(move || {
            let error = client.read(&mut [0]).unwrap_err();
            (client, error)
        });
        thread::sleep(TIMEOUT);
        drop(server);
        let (mut client, error) = reader.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(client.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let error = client.write_vectored(&[IoSlice::new(b"x")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_refused_connect_says_so() {
    bounded(|| {
        let (listener, addr) = listener();
        drop(listener);
        let refused = TcpStream::connect(addr).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
        let refused = TcpStream::connect_timeout(&addr, LIMIT).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
    });
}

#[test]
fn connect_tries_each_address_and_needs_one() {
    bounded(|| {
        let (closed, dead) = listener();
        drop(closed);
        let (_open, live) = listener();
        let stream = TcpStream::connect(&[dead, live][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);

        let none: &[SocketAddr] = &[];
        let ours = TcpStream::connect(none).unwrap_err();
        let theirs = std_net::TcpStream::connect(none).unwrap_err();
        assert_eq!((ours.kind(), ours.to_string()), (theirs.kind(), theirs.to_string()));
        let ours = TcpListener::bind(none).unwrap_err();
        assert_eq!((ours.kind(), ours.to_string()), (theirs.kind(), theirs.to_string()));
        let in_use = TcpListener::bind(live).unwrap_err();
        assert_eq!(in_use.kind(), ErrorKind::AddrInUse);
    });
}

/// A listener whose queue is full drops further SYNs, so that a connect to it stays in progress.
fn deaf_listener() -> (socket2::Socket, SocketAddr, Vec<socket2::Socket>) {
    let deaf = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    deaf.listen(0).unwrap();
    let addr = deaf.local_addr().unwrap();
    let fillers = (0..4)
        .map(|_| {
            let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&addr);
            filler
        })
        .collect();
    thread::sleep(Duration::from_millis(20));
    (deaf, addr.as_socket().unwrap(), fillers)
}

#[test]
fn connect_timeout_gives_up_in_time() {
    bounded(|| {
        let (deaf, addr, fillers) = deaf_listener();
        let start = Instant::now();
        let error = TcpStream::connect_timeout(&addr, TIMEOUT).unwrap_err();
        assert!(start.elapsed() >= TIMEOUT);
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "connection timed out");
        let error = TcpStream::connect_timeout(&addr, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "cannot set a 0 duration timeout");
        drop((deaf, fillers));
    });
}

#[test]
fn peek_leaves_the_data() {
    bounded(|| {
        let (mut client, mut server) = pair();
        client.write_all(b"abc").unwrap();
        let mut buf = [0; 8];
        for _ in 0..2 {
            assert_eq!(server.peek(&mut buf).unwrap(), 3);
        }
        assert_eq!(server.read(&mut buf).unwrap(), 3);
        assert_eq!(&buf[..3], b"abc");
    });
}

#[test]
fn vectored_calls_take_lists_longer_than_the_kernel_does() {
    bounded(|| {
        let (mut client, mut server) = pair();
        let slices = [IoSlice::new(b"ab"); 3000];
        let sent = client.write_vectored(&slices).unwrap();
        assert_eq!(sent, 2048, "cut to 1024 buffers, as std does");
        let mut bytes = [0; 3000];
        let mut bufs: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
        assert_eq!(server.read_vectored(&mut bufs).unwrap(), 1024);
        assert_eq!(server.read_vectored(&mut bufs).unwrap(), 1024);
        assert_eq!(&bytes[..4], b"abab");
    });
}

#[test]
fn empty_lists_return_at_once() {
    bounded(|| {
        let (mut client, _server) = pair();
        assert_eq!(client.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(client.read_vectored(&mut [IoSliceMut::new(&mut [])]).unwrap(), 0);
        assert_eq!(client.write_vectored(&[]).unwrap(), 0);
        assert_eq!(client.write(&[]).unwrap(), 0);
    });
}

#[test]
fn options_pass_through() {
    let (client, _server) = pair();
    for on in [true, false] {
        client.set_nodelay(on).unwrap();
        assert_eq!(client.nodelay().unwrap(), on);
    }
    client.set_ttl(42).unwrap();
    assert_eq!(client.ttl().unwrap(), 42);
    assert!(client.take_error().unwrap().is_none());
    client.set_linger(None).unwrap();
    assert_eq!(client.linger().unwrap(), None);

    let (listener, _) = listener();
    listener.set_ttl(33).unwrap();
    assert_eq!(listener.ttl().unwrap(), 33);
    assert!(listener.take_error().unwrap().is_none());
}

#[test]
fn debug_output_is_that_of_std() {
    let (listener, _) = listener();
    let (client, _server) = pair();
    let ours = [format!("{client:?}"), format!("{client:#?}"), format!("{listener:?}")];
    let client = std_net::TcpStream::from(client);
    let listener = std_net::TcpListener::from(listener);
    let theirs = [format!("{client:?}"), format!("{client:#?}"), format!("{listener:?}")];
    assert_eq!(ours, theirs);
}

#[test]
fn the_listener_is_blocking_to_its_user() {
    bounded(|| {
        let (listener, addr) = listener();
        listener.set_nonblocking(true).unwrap();
        let clone = listener.try_clone().unwrap();
        assert_would_block(clone.accept());
        clone.set_nonblocking(false).unwrap();
        let acceptor = thread::spawn(move || listener.accept().unwrap().1);
        thread::sleep(TIMEOUT);
        let client = TcpStream::connect(addr).unwrap();
        assert_eq!(acceptor.join().unwrap(), client.local_addr().unwrap());
    });
}

#[test]
fn a_listener_given_away_gets_its_mode_back() {
    let (blocking, _) = listener();
    assert!(!is_nonblocking(std_net::TcpListener::from(blocking)));

    let (nonblocking, _) = listener();
    nonblocking.set_nonblocking(true).unwrap();
    let theirs = std_net::TcpListener::from(nonblocking);
    assert!(is_nonblocking(&theirs));
    let ours = TcpListener::from(theirs);
    assert_would_block(ours.accept());
    ours.set_nonblocking(false).unwrap();
    assert!(!is_nonblocking(OwnedFd::from(ours)));
}

#[test]
fn the_last_of_our_listeners_restores_the_mode() {
    let (first, _) = listener();
    let last = first.try_clone().unwrap();
    let theirs = std_net::TcpListener::from(first);
    assert!(is_nonblocking(&theirs), "a clone of ours lives");
    drop(last);
    assert!(!is_nonblocking(&theirs));
}

#[test]
fn a_listener_from_outside_waits_even_if_its_mode_is_changed_behind_our_back() {
    bounded(|| {
        let theirs = std_net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = theirs.local_addr().unwrap();
        let spare = theirs.try_clone().unwrap();
        let ours = TcpListener::from(theirs);
        for round in 0..2 {
            spare.set_nonblocking(round == 1).unwrap();
            thread::scope(|scope| {
                let acceptor = scope.spawn(|| ours.accept().unwrap());
                thread::sleep(TIMEOUT);
                TcpStream::connect(addr).unwrap();
                acceptor.join().unwrap();
            });
            assert!(is_nonblocking(&spare), "accept must never block a worker");
        }
        SockRef::from(&ours).set_read_timeout(Some(TIMEOUT)).unwrap();
        assert_times_out(|| ours.accept());
    });
}

#[test]
fn accepted_streams_inherit_the_timeouts_of_a_lent_listener() {
    bounded(|| {
        let (listener, addr) = listener();
        SockRef::from(&listener).set_read_timeout(Some(TIMEOUT)).unwrap();
        let _client = TcpStream::connect(addr).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        assert_times_out(|| server.read(&mut [0]));
    });
}

#[test]
fn many_threads_accept_from_one_listener() {
    bounded(|| {
        let (listener, addr) = listener();
        thread::scope(|scope| {
            let acceptors: Vec<_> = (0..10).map(|_| scope.spawn(|| listener.accept().unwrap())).collect();
            let clients: Vec<_> = (0..10).map(|_| TcpStream::connect(addr).unwrap()).collect();
            acceptors.into_iter().for_each(|a| drop(a.join().unwrap()));
            drop(clients);
        });
    });
}

#[test]
fn raw_fds_go_out_and_come_back() {
    bounded(|| {
        let (client, mut server) = pair();
        let number = client.as_raw_fd();
        let raw = client.into_raw_fd();
        assert_eq!(raw, number);
        // SAFETY: `raw` was just given up by its owner.
        let mut client = unsafe { TcpStream::from_raw_fd(raw) };
        server.write_all(b"ok").unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 2);
        drop(client);
        assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn a_unix_socket_in_tcp_clothes_loses_nothing_at_short_reads() {
    bounded(|| {
        let (a, b) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let mut ours = TcpStream::from(OwnedFd::from(a));
        b.send(b"one").unwrap();
        b.send(b"three").unwrap();
        let mut buf = [0; 16];
        assert_eq!(ours.read(&mut buf).unwrap(), 3);
        assert_eq!(ours.read(&mut buf).unwrap(), 5);
        assert_eq!(ours.local_addr().unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn into_incoming_owns_the_listener() {
    bounded(|| {
        let (listener, addr) = listener();
        let mut incoming = listener.into_incoming();
        let client = TcpStream::connect(addr).unwrap();
        let server = incoming.next().unwrap().unwrap();
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    });
}

#[test]
fn running_out_of_descriptors_is_an_error_after_a_pause() {
    bounded(|| {
        if std::env::var_os("DORMOUSE_TEST_NO_FDS").is_some() {
            return accept_without_descriptors();
        }
        // The limit belongs to a process, so a child lowers its own.
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["running_out_of_descriptors_is_an_error_after_a_pause", "--exact"])
            .env("DORMOUSE_TEST_NO_FDS", "1")
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    });
}

fn accept_without_descriptors() {
    let (listener, addr) = listener();
    let mut client = TcpStream::connect(addr).unwrap();
    let mut hoard = Vec::new();
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: `limit` lives through the call, which only reads it.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    while let Ok(fd) = listener.as_fd().try_clone_to_owned() {
        hoard.push(fd);
    }
    let start = Instant::now();
    for _ in 0..4 {
        let error = listener.accept().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    }
    assert!(start.elapsed() >= Duration::from_millis(5 + 10 + 20 + 40));
    hoard.clear();
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(b"served").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();
}
