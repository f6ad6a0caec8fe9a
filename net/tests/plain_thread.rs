//! TCP streams on plain OS threads: each behaviour is std's. Nothing here runs in a coroutine.

mod support;

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net as std_net;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::thread;
use std::time::{Duration, Instant};

use dormouse_net::{Shutdown, TcpListener, TcpStream};
use socket2::SockRef;

use support::*;

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
