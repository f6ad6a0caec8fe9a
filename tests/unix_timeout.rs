//! Timeouts, non-blocking mode and conversions of the Unix types: what one handle sets, each other sees.
mod net_support;

use dormouse::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use net_support::*;
use socket2::SockRef;
use std::fmt::Debug;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as std_net;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[track_caller]
fn would_block<T: Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    SockRef::from(&fd).nonblocking().unwrap()
}

/// A stream whose peer takes nothing, full already.
fn full_stream() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    while (&ours).write(&[0; 4096]).is_ok() {}
    ours.set_nonblocking(false).unwrap();
    (ours, theirs)
}

/// A sender that is connected to a full receiver.
fn full_datagram() -> (UnixDatagram, UnixDatagram, SocketAddr) {
    let receiver = UnixDatagram::bind("").unwrap();
    let addr = receiver.local_addr().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect_addr(&addr).unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send(b"full").is_ok() {}
    sender.set_nonblocking(false).unwrap();
    (sender, receiver, addr)
}

#[test]
fn reads_and_writes_expire_as_would_block() {
    in_three_settings(|on| {
        on.server(|| {
            let (ours, _theirs) = full_stream();
            let (sender, _receiver, addr) = full_datagram();
            for timeout in [Duration::from_nanos(1), Duration::from_micros(300), ms(3), ms(40)] {
                ours.set_read_timeout(Some(timeout)).unwrap();
                ours.set_write_timeout(Some(timeout)).unwrap();
                expires(timeout, || (&ours).read(&mut [0; 4]));
                expires(timeout, || ours.peek(&mut [0; 4]));
                expires(timeout, || (&ours).write(&[0; 1 << 20]));
                sender.set_read_timeout(Some(timeout)).unwrap();
                sender.set_write_timeout(Some(timeout)).unwrap();
                expires(timeout, || sender.recv(&mut [0; 4]));
                expires(timeout, || sender.recv_from(&mut [0; 4]));
                expires(timeout, || sender.peek(&mut [0; 4]));
                expires(timeout, || sender.peek_from(&mut [0; 4]));
                expires(timeout, || sender.send(b"x"));
                expires(timeout, || sender.send_to_addr(b"x", &addr));
            }
        })
        .join();
    });
}

#[test]
fn several_wait_on_one_socket_each_as_long_as_its_own_timeout() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = Arc::new(ours);
        let mut waiting = Vec::new();
        for (index, timeout) in [30, 60, 90, 120].into_iter().map(ms).cycle().take(8).enumerate() {
            let (stream, begun) = (Arc::clone(&ours), Channel::new());
            let tell = Arc::clone(&begun);
            waiting.push(on.nth(index, move || {
                stream.set_read_timeout(Some(timeout)).unwrap();
                tell.send(());
                // The timeout of the socket may be another's by now, but each is at least the shortest.
                expires(ms(30), || (&*stream).read(&mut [0]));
            }));
            begun.recv();
        }
        waiting.into_iter().for_each(Started::join);
        ours.set_read_timeout(None).unwrap();
        let reader = on.server(move || (&*ours).read(&mut [0; 8]).unwrap());
        on.client(move || (&theirs).write_all(b"abc").unwrap()).join();
        assert_eq!(reader.join(), 3);
    });
}

/// Data and the timeout meet: each datagram is received once, by a call that says so.
#[test]
fn a_datagram_that_races_with_the_timeout_is_never_lost() {
    const COUNT: usize = 200;
    in_three_settings(|on| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let ours = Arc::new(ours);
        ours.set_read_timeout(Some(ms(1))).unwrap();
        let got = Channel::new();
        let readers: Vec<_> = (0..4)
            .map(|index| {
                let (ours, got) = (Arc::clone(&ours), Arc::clone(&got));
                on.nth(index, move || {
                    loop {
                        let mut bytes = [0; 2];
                        match ours.recv(&mut bytes) {
                            Ok(0) => return,
                            Ok(_) => got.send(u16::from_ne_bytes(bytes)),
                            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                        }
                    }
                })
            })
            .collect();
        let writer = on.client(move || {
            let mut random = Random(5);
            for number in 0..COUNT as u16 {
                dormouse::thread::sleep(Duration::from_micros(800 + random.below(500)));
                theirs.send(&number.to_ne_bytes()).unwrap();
            }
            (0..4).for_each(|_| assert_eq!(theirs.send(&[]).unwrap(), 0));
            theirs
        });
        let mut numbers: Vec<_> = (0..COUNT).map(|_| got.recv()).collect();
        readers.into_iter().for_each(Started::join);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..COUNT as u16).collect::<Vec<_>>());
        writer.join();
    });
}

#[test]
fn zero_is_no_timeout_and_timeouts_read_back_as_in_std() {
    bounded(|| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (std, _other) = std_net::UnixStream::pair().unwrap();
        let datagram = UnixDatagram::unbound().unwrap();
        same_error(ours.set_read_timeout(Some(Duration::ZERO)), std.set_read_timeout(Some(Duration::ZERO)));
        same_error(ours.set_write_timeout(Some(Duration::ZERO)), std.set_write_timeout(Some(Duration::ZERO)));
        same_error(datagram.set_read_timeout(Some(Duration::ZERO)), std.set_read_timeout(Some(Duration::ZERO)));
        same_error(datagram.set_write_timeout(Some(Duration::ZERO)), std.set_write_timeout(Some(Duration::ZERO)));
        for timeout in [None, Some(Duration::from_nanos(1)), Some(ms(7)), Some(Duration::from_secs(5)), None] {
            std.set_read_timeout(timeout).unwrap();
            std.set_write_timeout(timeout).unwrap();
            ours.set_read_timeout(timeout).unwrap();
            ours.set_write_timeout(timeout).unwrap();
            datagram.set_read_timeout(timeout).unwrap();
            datagram.set_write_timeout(timeout).unwrap();
            let by_std = (std.read_timeout().unwrap(), std.write_timeout().unwrap());
            assert_eq!((ours.read_timeout().unwrap(), ours.write_timeout().unwrap()), by_std);
            assert_eq!((datagram.read_timeout().unwrap(), datagram.write_timeout().unwrap()), by_std);
        }
    });
}

#[test]
fn clones_see_the_mode_at_once() {
    in_three_settings(|on| {
        let (ours, theirs) = full_stream();
        let clone = ours.try_clone().unwrap();
        let (sender, receiver, addr) = full_datagram();
        let other = sender.try_clone().unwrap();
        let listener = UnixListener::bind("").unwrap();
        let second = listener.try_clone().unwrap();
        on.client(move || {
            ours.set_nonblocking(true).unwrap();
            sender.set_nonblocking(true).unwrap();
            listener.set_nonblocking(true).unwrap();
        })
        .join();
        on.server(move || {
            would_block((&clone).read(&mut [0]));
            would_block((&clone).write(&[0; 1 << 20]));
            would_block(clone.peek(&mut [0]));
            would_block(other.recv(&mut [0]));
            would_block(other.send(b"x"));
            let start = Instant::now();
            would_block(other.send_to_addr(b"x", &addr));
            assert!(start.elapsed() < ms(1000), "no pauses in non-blocking mode");
            would_block(second.accept());
            other.set_nonblocking(false).unwrap();
            other.set_write_timeout(Some(ms(10))).unwrap();
            expires(ms(10), || other.send(b"x"));
            drop((theirs, receiver));
        })
        .join();
    });
}

#[test]
fn streams_stay_blocking_as_others_see_them() {
    in_three_settings(|on| {
        let directory = Directory::new();
        let path = directory.join("listener");
        let listener = UnixListener::bind(&path).unwrap();
        let client = on.client(move || UnixStream::connect(path).unwrap());
        let (server, _) = on.server(move || listener.accept().unwrap()).join();
        let (one, other) = UnixStream::pair().unwrap();
        for stream in [client.join(), server, one, other] {
            assert!(!is_nonblocking(std_net::UnixStream::from(stream)));
        }
        let (one, other) = UnixDatagram::pair().unwrap();
        for datagram in [one, other, UnixDatagram::unbound().unwrap(), UnixDatagram::bind("").unwrap()] {
            assert!(!is_nonblocking(std_net::UnixDatagram::from(datagram)));
        }
    });
}

/// There and back through each kind of conversion, with mode and timeouts.
#[test]
fn conversions_keep_mode_and_timeouts() {
    in_three_settings(|on| {
        on.server(|| {
            let (ours, _theirs) = UnixStream::pair().unwrap();
            ours.set_read_timeout(Some(ms(20))).unwrap();
            let std: std_net::UnixStream = ours.into();
            assert_eq!(std.read_timeout().unwrap(), Some(ms(20)));
            expires(ms(20), || (&std).read(&mut [0]));
            std.set_read_timeout(Some(ms(40))).unwrap();
            let ours = UnixStream::from(std);
            expires(ms(40), || (&ours).read(&mut [0]));
            ours.set_nonblocking(true).unwrap();
            // SAFETY: the fd is open and nobody else's.
            let ours = unsafe { UnixStream::from_raw_fd(ours.into_raw_fd()) };
            would_block((&ours).read(&mut [0]));
            SockRef::from(&ours.as_fd()).set_nonblocking(false).unwrap();
            SockRef::from(&ours).set_read_timeout(Some(ms(30))).unwrap();
            expires(ms(30), || (&ours).read(&mut [0]));
            drop(UnixStream::from(OwnedFd::from(ours)));

            let (ours, _theirs) = UnixDatagram::pair().unwrap();
            ours.set_read_timeout(Some(ms(20))).unwrap();
            let std: std_net::UnixDatagram = ours.into();
            expires(ms(20), || std.recv(&mut [0]));
            std.set_nonblocking(true).unwrap();
            let ours = UnixDatagram::from(std);
            would_block(ours.recv(&mut [0]));
            // SAFETY: the fd is open and nobody else's.
            let ours = unsafe { UnixDatagram::from_raw_fd(ours.into_raw_fd()) };
            ours.set_nonblocking(false).unwrap();
            expires(ms(20), || ours.recv_from(&mut [0]));
            assert!(ours.as_raw_fd() >= 0);
            drop(UnixDatagram::from(OwnedFd::from(ours)));
        })
        .join();
    });
}

#[test]
fn listeners_go_out_and_come_back() {
    in_three_settings(|on| {
        let name = format!("dormouse-convert-{}-{on:?}", std::process::id());
        let addr = SocketAddr::from_abstract_name(name).unwrap();
        let there = addr.clone();
        let knock = move || drop(std_net::UnixStream::connect_addr(&there).unwrap());
        let listener = UnixListener::bind_addr(&addr).unwrap();
        on.server(move || {
            let std: std_net::UnixListener = listener.into();
            assert!(!is_nonblocking(&std), "ours only while we accept");
            knock();
            std.accept().unwrap();
            std.set_nonblocking(true).unwrap();
            let listener = UnixListener::from(std);
            would_block(listener.accept());
            listener.set_nonblocking(false).unwrap();
            // SAFETY: the fd is open and nobody else's.
            let listener = unsafe { UnixListener::from_raw_fd(listener.into_raw_fd()) };
            SockRef::from(&listener.as_fd()).set_read_timeout(Some(ms(20))).unwrap();
            expires(ms(20), || listener.accept());
            knock();
            let (stream, _) = listener.accept().unwrap();
            // Unlike TCP's, a Unix listener's timeouts are its own: the kernel hands none on, nor do we.
            assert_eq!((stream.read_timeout().unwrap(), stream.write_timeout().unwrap()), (None, None));
            assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
            let clone = listener.try_clone().unwrap();
            drop(OwnedFd::from(listener));
            knock();
            clone.accept().unwrap();
            assert!(clone.take_error().unwrap().is_none());
            assert!(clone.as_raw_fd() >= 0);
        })
        .join();
    });
}
