//! Unix listeners: crowds of acceptors, nobody stranded, no descriptors left, and the iterators.
mod net_support;

use dormouse::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use dormouse::spawn;
use net_support::*;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as std_net;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A listener of the calling test's own.
fn listener(tag: &str) -> (Arc<UnixListener>, SocketAddr) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("dormouse-{tag}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let addr = SocketAddr::from_abstract_name(name).unwrap();
    (Arc::new(UnixListener::bind_addr(&addr).unwrap()), addr)
}

/// Connects and waits for the acceptor's byte.
fn knock(addr: &SocketAddr) {
    let stream = UnixStream::connect_addr(addr).unwrap();
    (&stream).read_exact(&mut [0]).unwrap();
}

/// 200 acceptors, 2,400 connections, 12 for each acceptor: if any starved, the test would not end.
#[test]
fn two_hundred_acceptors_share_thousands_of_connections() {
    const ACCEPTORS: usize = 200;
    const EACH: usize = 12;
    const KNOCKERS: usize = 8;
    in_three_settings(|on| {
        let (listener, addr) = listener("crowd");
        let answered = Arc::new(AtomicUsize::new(0));
        let acceptors: Vec<_> = (0..ACCEPTORS)
            .map(|_| {
                let (listener, answered) = (Arc::clone(&listener), Arc::clone(&answered));
                on.server(move || {
                    for _ in 0..EACH {
                        let (stream, _) = listener.accept().unwrap();
                        answered.fetch_add(1, Ordering::Relaxed);
                        // Whoever knocks may have gone only after it was answered.
                        (&stream).write_all(b"!").unwrap();
                    }
                })
            })
            .collect();
        let knockers: Vec<_> = (0..KNOCKERS)
            .map(|_| {
                let addr = addr.clone();
                on.client(move || (0..ACCEPTORS * EACH / KNOCKERS).for_each(|_| knock(&addr)))
            })
            .collect();
        knockers.into_iter().for_each(Started::join);
        acceptors.into_iter().for_each(Started::join);
        assert_eq!(answered.load(Ordering::Relaxed), ACCEPTORS * EACH);
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

/// The same in one burst: all clients connect at once and stay.
#[test]
fn a_burst_of_two_thousand_connections_is_accepted_whole() {
    const CONNECTIONS: usize = 2000;
    const NAME: &str = "a_burst_of_two_thousand_connections_is_accepted_whole";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    allow_descriptors(8192);
    run_with(2, || {
        let (listener, addr) = listener("burst");
        let acceptors: Vec<_> = (0..200)
            .map(|_| {
                let listener = Arc::clone(&listener);
                spawn(move || {
                    for stream in listener.incoming().take(CONNECTIONS / 200) {
                        let stream = stream.unwrap();
                        let mut byte = [0; 1];
                        (&stream).read_exact(&mut byte).unwrap();
                        (&stream).write_all(&byte).unwrap();
                    }
                })
            })
            .collect();
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let addr = addr.clone();
                spawn(move || {
                    let stream = UnixStream::connect_addr(&addr).unwrap();
                    (&stream).write_all(&[number as u8]).unwrap();
                    let mut byte = [0; 1];
                    (&stream).read_exact(&mut byte).unwrap();
                    assert_eq!(byte[0], number as u8);
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        acceptors.into_iter().for_each(|acceptor| acceptor.join().unwrap());
    });
}

fn allow_descriptors(count: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one rlimit.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    limit.rlim_cur = limit.rlim_max.min(count);
    // SAFETY: reads one rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

/// Acceptors come and go by cancellation while connections come in; whoever is left answers each of them.
#[test]
fn acceptors_that_are_cancelled_strand_nobody() {
    run_with(2, || {
        let (listener, addr) = listener("leavers");
        let workers = workers(2);
        let finished = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let (finished, addr) = (Arc::clone(&finished), addr.clone());
            std::thread::spawn(move || {
                (0..250).for_each(|_| {
                    let stream = UnixStream::connect_addr(&addr).unwrap();
                    // Nothing, if the acceptor was cancelled before it could answer.
                    assert!((&stream).read(&mut [0]).unwrap() <= 1);
                });
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut random = Random(11);
        while finished.load(Ordering::Relaxed) < 2 {
            let acceptor = |index: usize, times: usize| {
                let listener = Arc::clone(&listener);
                workers[index % 2].spawn(move || {
                    (0..times).for_each(|_| {
                        let (stream, _) = listener.accept().unwrap();
                        (&stream).write_all(b"!").unwrap();
                    });
                })
            };
            let leavers: Vec<_> = (0..6).map(|index| acceptor(index, 100)).collect();
            dormouse::thread::sleep(Duration::from_micros(random.below(1500)));
            leavers.iter().for_each(Task::cancel);
        }
    });
}

/// The way to end a loop around accept from outside; on Linux it works on listeners.
#[test]
fn shutting_a_borrowed_listener_down_ends_who_accepts() {
    in_three_settings(|on| {
        let (listener, _) = listener("shut");
        let begun = Channel::new();
        let acceptors: Vec<_> = (0..4)
            .map(|index| {
                let (listener, tell) = (Arc::clone(&listener), Arc::clone(&begun));
                on.nth(index, move || {
                    tell.send(());
                    listener.accept().unwrap_err().raw_os_error()
                })
            })
            .collect();
        (0..4).for_each(|_| begun.recv());
        let shut = Arc::clone(&listener);
        on.client(move || socket2::SockRef::from(&shut).shutdown(Shutdown::Read).unwrap()).join();
        for acceptor in acceptors {
            assert_eq!(acceptor.join(), Some(libc::EINVAL), "as a blocking accept(2)");
        }
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn the_iterators_are_those_of_std() {
    in_three_settings(|on| {
        let (listener, addr) = listener("iterators");
        let clients = on.client(move || (0..3).map(|_| UnixStream::connect_addr(&addr).unwrap()).collect::<Vec<_>>());
        on.server(move || {
            assert_eq!(listener.incoming().size_hint(), (usize::MAX, None));
            assert_eq!(listener.incoming().take(2).filter(Result::is_ok).count(), 2);
            let mut left = 1;
            for stream in &*listener {
                stream.unwrap();
                left -= 1;
                if left == 0 {
                    break;
                }
            }
            assert!(format!("{:?}", listener.incoming()).starts_with("Incoming { listener: UnixListener { fd: "));
        })
        .join();
        clients.join();
    });
}

#[test]
fn running_out_of_descriptors_is_an_error_after_a_pause() {
    const NAME: &str = "running_out_of_descriptors_is_an_error_after_a_pause";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    bounded(|| {
        run(|| {
            let (listener, addr) = listener("exhausted");
            let clients: Vec<_> = (0..3).map(|_| std_net::UnixStream::connect_addr(&addr).unwrap()).collect();
            // The worker's own descriptors come first.
            allow_descriptors(256);
            let mut taken = Vec::new();
            while let Ok(file) = std::fs::File::open("/dev/null") {
                taken.push(file);
            }
            let start = std::time::Instant::now();
            for pause in [5, 10, 20] {
                let before = start.elapsed();
                assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(libc::EMFILE));
                assert!(start.elapsed() - before >= ms(pause));
            }
            drop(taken);
            for _ in &clients {
                listener.accept().unwrap();
            }
        });
    });
}

#[test]
fn nothing_is_left_open() {
    const NAME: &str = "nothing_is_left_open";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    bounded(|| {
        run(|| {
            let before = fds();
            for _ in 0..50 {
                let (listener, addr) = listener("closed");
                let acceptor = spawn(move || {
                    let (stream, _) = listener.accept().unwrap();
                    let _clone = stream.try_clone().unwrap();
                    (&stream).write_all(b"!").unwrap();
                });
                knock(&addr);
                acceptor.join().unwrap();
                let path = Directory::new();
                assert!(UnixStream::connect(path.join("nobody")).is_err());
                assert!(UnixStream::connect("\0").is_err());
                assert!(UnixListener::bind("/no/such/directory/x").is_err());
            }
            assert_eq!(fds(), before);
        });
    });
}
