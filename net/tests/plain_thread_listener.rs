//! TCP listeners and connecting on plain OS threads: each behaviour is std's. Nothing here runs in a coroutine.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net as std_net;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use dormouse_net::{SocketAddr, TcpListener, TcpStream};
use socket2::SockRef;

use support::*;

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

/// What strangers set is theirs.
#[test]
fn the_mode_that_a_stranger_set_stays() {
    let (ours, _) = listener();
    let duplicate = std_net::TcpListener::from(ours.as_fd().try_clone_to_owned().unwrap());
    duplicate.set_nonblocking(true).unwrap();
    drop(ours);
    assert!(is_nonblocking(&duplicate), "it was only borrowed");

    // One that never accepts has nothing to give back.
    for is_dropped in [true, false] {
        let theirs = std_net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpListener::from(theirs.try_clone().unwrap());
        theirs.set_nonblocking(true).unwrap();
        if is_dropped {
            drop(ours)
        } else {
            drop(OwnedFd::from(ours))
        }
        assert!(is_nonblocking(&theirs));
    }
}

#[test]
fn the_mode_that_accept_changed_is_given_back() {
    bounded(|| {
        let theirs = std_net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpListener::from(theirs.try_clone().unwrap());
        let clone = ours.try_clone().unwrap();
        let _client = TcpStream::connect(theirs.local_addr().unwrap()).unwrap();
        ours.accept().unwrap();
        assert!(is_nonblocking(&theirs));
        drop(ours);
        assert!(is_nonblocking(&theirs), "a clone of ours lives");
        drop(clone);
        assert!(!is_nonblocking(&theirs));
    });
}

#[test]
fn the_mode_that_the_user_asked_for_is_left_to_strangers() {
    let theirs = std_net::TcpListener::bind("127.0.0.1:0").unwrap();
    for nonblocking in [true, false, true, false] {
        let ours = TcpListener::from(theirs.try_clone().unwrap());
        ours.set_nonblocking(nonblocking).unwrap();
        drop(ours);
        assert_eq!(is_nonblocking(&theirs), nonblocking);
    }
}

/// The one that is given away leaves before or after the one that is dropped: one of the two gives the mode back.
#[test]
fn a_clone_dropped_during_a_conversion_gives_the_mode_back() {
    bounded(|| {
        let (clones, drops) = mpsc::sync_channel::<TcpListener>(0);
        let (dropped, ends) = mpsc::sync_channel(0);
        let (starts, start) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let dropper = thread::spawn({
            let (starts, start) = (Arc::clone(&starts), Arc::clone(&start));
            move || {
                for clone in drops {
                    starts.fetch_add(1, Ordering::Relaxed);
                    while start.load(Ordering::Relaxed) < starts.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                    drop(clone);
                    dropped.send(()).unwrap();
                }
            }
        });
        let begin = Instant::now();
        for round in (1..=2_000).take_while(|_| begin.elapsed() < Duration::from_secs(4)) {
            let (ours, _) = listener();
            clones.send(ours.try_clone().unwrap()).unwrap();
            while starts.load(Ordering::Relaxed) < round {
                thread::yield_now();
            }
            start.store(round, Ordering::Relaxed);
            (0..round % 100).for_each(|_| std::hint::spin_loop());
            let theirs = std_net::TcpListener::from(ours);
            ends.recv().unwrap();
            assert!(!is_nonblocking(&theirs), "round {round}");
        }
        drop(clones);
        dropper.join().unwrap();
    });
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
