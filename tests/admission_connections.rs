//! A listener's limit of connections: who is let in, and that a permit comes back however its connection ends.

mod support;

use dormouse::net::{Admission, OnOverload, TcpListener, TcpStream};
use dormouse::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use dormouse::{Builder, spawn, thread};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::Duration;
use support::{bounded, eventually, is_cancelled, run};

/// A listener that lets in `limit` at a time.
fn limited(limit: usize, what: OnOverload) -> (TcpListener, Admission) {
    let admission = Admission::new().max_connections(limit).on_overload(what);
    (TcpListener::bind("127.0.0.1:0").unwrap().with_admission(&admission), admission)
}

fn connect(listener: &TcpListener) -> std::net::TcpStream {
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client
}

/// The next connection, ours and the peer's end, if it is let in at once.
fn both_ends(listener: &TcpListener) -> Option<(TcpStream, std::net::TcpStream)> {
    let client = connect(listener);
    listener.set_nonblocking(true).unwrap();
    let answer = listener.accept();
    listener.set_nonblocking(false).unwrap();
    match answer {
        Ok((stream, peer)) => {
            assert_eq!(peer, client.local_addr().unwrap());
            Some((stream, client))
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert_eq!((&client).read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
            None
        }
    }
}

/// The same, of a peer that leaves at once.
fn lets_in(listener: &TcpListener) -> Option<TcpStream> {
    both_ends(listener).map(|(stream, _)| stream)
}

#[test]
fn one_too_many_is_reset_and_the_next_after_an_end_let_in() {
    bounded(10, || {
        let (listener, admission) = limited(2, OnOverload::Refuse);
        let first = lets_in(&listener).unwrap();
        let second = lets_in(&listener).unwrap();
        assert!(lets_in(&listener).is_none() && lets_in(&listener).is_none());
        drop(first);
        let third = lets_in(&listener).unwrap();
        assert!(lets_in(&listener).is_none());
        let figures = admission.metrics();
        assert_eq!((figures.admitted, figures.refused, figures.held), (3, 3, 0));
        drop((second, third));
    });
}

/// A way to end a connection.
type End = fn(TcpStream);

/// Each of these gives the permit back.
const ENDS: &[(&str, End)] = &[
    ("dropped", drop),
    ("dropped in an unwind", |stream| {
        let ended = spawn(move || {
            let _stream = stream;
            panic!("ends its connection");
        });
        assert!(ended.join().is_err());
    }),
    ("dropped by a cancellation", |stream| {
        let waiting = spawn(move || (&stream).read(&mut [0]));
        thread::yield_now();
        waiting.cancel();
        assert!(is_cancelled(&waiting.join()));
    }),
    ("dropped without a start", |stream| {
        let unstarted = spawn(move || drop(stream));
        unstarted.cancel();
        let _ = unstarted.join();
    }),
    ("dropped while it lingers", |stream| {
        stream.set_linger(Some(Duration::from_secs(1))).unwrap();
        drop(stream);
    }),
    ("a raw descriptor", |stream| {
        let fd = stream.into_raw_fd();
        // SAFETY: the descriptor that the stream has just given away.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }),
    ("an owned descriptor", |stream| drop(OwnedFd::from(stream))),
    ("a stream of std", |stream| drop(std::net::TcpStream::from(stream))),
    ("a stream of std and back", |stream| drop(TcpStream::from(std::net::TcpStream::from(stream)))),
    ("lent, then dropped", |stream| {
        assert!(stream.as_raw_fd() > 0);
        drop(stream);
    }),
    ("both of two handles", |stream| {
        let other = stream.try_clone().unwrap();
        drop(stream);
        drop(other);
    }),
    ("forgotten by nobody, dropped on a thread", |stream| std::thread::spawn(|| drop(stream)).join().unwrap()),
];

#[test]
fn a_permit_comes_back_however_the_connection_ends() {
    bounded(30, || {
        for workers in [1, 2] {
            let everything = move || {
                for (how, end) in ENDS {
                    let (listener, _) = limited(1, OnOverload::Refuse);
                    for round in 0..3 {
                        let (stream, peer) = both_ends(&listener).unwrap_or_else(|| panic!("{how}: lost, {round}"));
                        assert!(lets_in(&listener).is_none(), "{how}: given back too early, or twice");
                        end(stream);
                        drop(peer);
                    }
                }
            };
            Builder::new().workers(workers).run(everything).unwrap();
        }
    });
}

#[test]
fn a_clone_of_a_connection_keeps_its_permit() {
    bounded(10, || {
        let (listener, _) = limited(1, OnOverload::Refuse);
        let stream = lets_in(&listener).unwrap();
        let clone = stream.try_clone().unwrap();
        drop(stream);
        assert!(lets_in(&listener).is_none());
        let given_away = OwnedFd::from(clone);
        let _next = lets_in(&listener).unwrap();
        drop(given_away);
        assert!(lets_in(&listener).is_none());
    });
}

#[test]
fn clones_of_a_listener_count_together_and_others_apart() {
    bounded(10, || {
        let (listener, admission) = limited(1, OnOverload::Refuse);
        let clone = listener.try_clone().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap().with_admission(&admission);
        let first = lets_in(&listener).unwrap();
        assert!(lets_in(&clone).is_none());
        let _second = lets_in(&other).unwrap();
        drop(first);
        assert!(lets_in(&clone).is_some());
        assert_eq!(admission.metrics().admitted, 3);
    });
}

#[test]
fn the_end_of_the_listener_is_not_that_of_its_connections() {
    bounded(10, || {
        let (listener, _) = limited(1, OnOverload::Refuse);
        let mut client = connect(&listener);
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        client.write_all(b"still here").unwrap();
        let mut buffer = [0; 10];
        stream.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"still here");
    });
}

#[test]
fn iterators_pass_the_gate_too() {
    bounded(10, || {
        let (listener, _) = limited(1, OnOverload::Refuse);
        let (first, mut refused) = (connect(&listener), connect(&listener));
        let mut incoming = listener.into_incoming();
        let stream = incoming.next().unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), first.local_addr().unwrap());
        let waits = std::thread::spawn(move || incoming.next().unwrap().unwrap().peer_addr());
        assert_eq!(refused.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        drop(stream);
        // The iterator's listener is the thread's; whoever is let in ends it.
        drop(first);
        drop(waits);
    });
}

/// On a coroutine and on a plain thread.
#[test]
fn a_delayed_connection_is_let_in_when_another_ends() {
    fn waits_and_goes_on() {
        let (listener, admission) = limited(1, OnOverload::Delay);
        let clients = [connect(&listener), connect(&listener)];
        let (first, _) = listener.accept().unwrap();
        let (says, said) = channel();
        let acceptor = spawn(move || {
            let (stream, peer) = listener.accept().unwrap();
            says.send(peer).unwrap();
            drop(stream);
        });
        eventually(5, "the second is held", || admission.metrics().held == 1);
        assert!(said.try_recv().is_err());
        drop(first);
        acceptor.join().unwrap();
        assert_eq!(said.recv().unwrap(), clients[1].local_addr().unwrap());
        assert_eq!((admission.metrics().admitted, admission.metrics().refused), (2, 0));
    }
    bounded(10, || run(waits_and_goes_on));
    bounded(10, || {
        let (listener, admission) = limited(1, OnOverload::Delay);
        let clients = [connect(&listener), connect(&listener)];
        let (first, _) = listener.accept().unwrap();
        let acceptor = std::thread::spawn(move || listener.accept().unwrap().1);
        eventually(5, "the second is held", || admission.metrics().held == 1);
        assert!(!acceptor.is_finished());
        drop(first);
        assert_eq!(acceptor.join().unwrap(), clients[1].local_addr().unwrap());
    });
}

/// Cancelled while it is held, and at the moment when it is given the permit.
#[test]
fn a_cancelled_acceptor_takes_neither_permit_nor_connection_with_it() {
    bounded(20, || {
        run(|| {
            let (listener, admission) = limited(1, OnOverload::Delay);
            let listener = Arc::new(listener);
            let mut clients = vec![connect(&listener)];
            let mut present = listener.accept().unwrap().0;
            for round in 1..60 {
                clients.push(connect(&listener));
                let held = Arc::clone(&listener);
                let acceptor = spawn(move || held.accept().unwrap().0);
                eventually(5, "it is held", || admission.metrics().held == round);
                if round % 2 == 0 {
                    acceptor.cancel();
                    drop(present);
                } else {
                    drop(present);
                    acceptor.cancel();
                }
                present = acceptor.join().unwrap_or_else(|_| listener.accept().unwrap().0);
                let peer = clients[round as usize].local_addr().unwrap();
                assert_eq!(present.peer_addr().unwrap(), peer, "in the order of the backlog");
                assert_eq!(admission.metrics().admitted, round + 1);
            }
            // There is still one permit, and one connection has it.
            clients.push(connect(&listener));
            listener.set_nonblocking(true).unwrap();
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
            drop(present);
            assert!(listener.accept().is_ok());
        });
    });
}

/// More acceptors than permits, on workers and plain threads; each connection is served, never more at a time than the limit.
#[test]
fn acceptors_that_wait_keep_no_permit_from_those_with_work() {
    const CLIENTS: usize = 200;
    for limit in [1, 3] {
        bounded(30, move || {
            Builder::new()
                .workers(2)
                .run(move || {
                    let (listener, admission) = limited(limit, OnOverload::Delay);
                    let (listener, idle) = (Arc::new(listener), Arc::new(limited(limit, OnOverload::Delay).0));
                    let (present, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                    let serve = {
                        let (listener, present, most) =
                            (Arc::clone(&listener), Arc::clone(&present), Arc::clone(&most));
                        move || {
                            let (mut stream, _) = listener.accept().unwrap();
                            most.fetch_max(present.fetch_add(1, SeqCst) + 1, SeqCst);
                            stream.write_all(b"!").unwrap();
                            thread::yield_now();
                            present.fetch_sub(1, SeqCst);
                            drop(stream);
                        }
                    };
                    let idle_acceptors: Vec<_> = (0..5)
                        .map(|_| {
                            let idle = Arc::clone(&idle);
                            spawn(move || idle.accept().map(drop))
                        })
                        .collect();
                    let threads: Vec<_> = (0..4)
                        .map(|_| {
                            let serve = serve.clone();
                            std::thread::spawn(move || (0..CLIENTS / 10).for_each(|_| serve()))
                        })
                        .collect();
                    let acceptors: Vec<_> = (0..CLIENTS - 4 * (CLIENTS / 10)).map(|_| spawn(serve.clone())).collect();
                    let addr = listener.local_addr().unwrap();
                    let clients: Vec<_> = (0..CLIENTS)
                        .map(|_| {
                            spawn(move || {
                                let mut client = TcpStream::connect(addr).unwrap();
                                client.read_exact(&mut [0]).unwrap();
                            })
                        })
                        .collect();
                    clients.into_iter().for_each(|client| client.join().unwrap());
                    acceptors.into_iter().for_each(|acceptor| acceptor.join().unwrap());
                    threads.into_iter().for_each(|thread| thread.join().unwrap());
                    idle_acceptors.iter().for_each(|idle| idle.cancel());
                    assert!(most.load(SeqCst) <= limit);
                    assert_eq!(admission.metrics().admitted, CLIENTS as u64);
                })
                .unwrap();
        });
    }
}

#[test]
fn unix_listeners_refuse_and_delay_as_well() {
    bounded(10, || {
        let addr = |n: u32| SocketAddr::from_abstract_name(format!("admission-{}-{n}", std::process::id())).unwrap();
        for (n, what) in [(1, OnOverload::Refuse), (2, OnOverload::Delay), (3, OnOverload::Drop)] {
            let addr = addr(n);
            let admission = Admission::new().max_connections(1).on_overload(what);
            let listener = UnixListener::bind_addr(&addr).unwrap().with_admission(&admission);
            let _first = UnixStream::connect_addr(&addr).unwrap();
            let (present, _) = listener.accept().unwrap();
            let mut second = UnixStream::connect_addr(&addr).unwrap();
            listener.set_nonblocking(true).unwrap();
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
            if what == OnOverload::Refuse {
                assert_eq!(second.read(&mut [0]).unwrap(), 0);
                second = UnixStream::connect_addr(&addr).unwrap();
            }
            drop(present);
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"?").unwrap();
            second.read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn a_limit_of_zero_lets_nobody_in() {
    bounded(10, || {
        let (listener, _) = limited(0, OnOverload::Refuse);
        assert!(lets_in(&listener).is_none());
        let open = TcpListener::bind("127.0.0.1:0").unwrap().with_admission(&Admission::new());
        assert!(lets_in(&open).is_some());
    });
}

/// The line for a permit is not left by those who would only wait for some time.
#[test]
fn a_permit_won_under_a_deadline_is_kept_for_the_connection() {
    bounded(20, || {
        run(|| {
            let (listener, admission) = limited(1, OnOverload::Delay);
            let listener = Arc::new(listener);
            let clients = [connect(&listener), connect(&listener), connect(&listener)];
            let (present, _) = listener.accept().unwrap();
            set_accept_timeout(&listener, 20);
            let acceptors: Vec<_> = (1..=2)
                .map(|number| {
                    let (held, counts) = (Arc::clone(&listener), admission.clone());
                    let acceptor = spawn(move || held.accept().unwrap().0);
                    eventually(5, "it is held", || counts.metrics().held == number);
                    acceptor
                })
                .collect();
            drop(present);
            let mut acceptors = acceptors.into_iter();
            let first = acceptors.next().unwrap().join().unwrap();
            assert_eq!(first.peer_addr().unwrap(), clients[1].local_addr().unwrap(), "it came first");
            drop(first);
            let second = acceptors.next().unwrap().join().unwrap();
            assert_eq!(second.peer_addr().unwrap(), clients[2].local_addr().unwrap());
        });
    });
}

/// SO_RCVTIMEO, which accept obeys.
fn set_accept_timeout(listener: &TcpListener, seconds: libc::time_t) {
    let time = libc::timeval { tv_sec: seconds, tv_usec: 0 };
    let (value, length) = ((&raw const time).cast(), size_of::<libc::timeval>() as libc::socklen_t);
    // SAFETY: the descriptor is open, and as many bytes are read as there are.
    let set = unsafe { libc::setsockopt(listener.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, length) };
    assert_eq!(set, 0);
}
