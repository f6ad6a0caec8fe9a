//! What counts as overload, and what a listener does then: refuse, delay, drop, and let in again.

mod support;

use dormouse::net::{Admission, OnOverload, TcpListener, TcpStream};
use dormouse::{Builder, Runtime, spawn, thread};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use support::{bounded, child, eventually, is_cancelled, run, thread_number, wake_ups};

fn sharp() -> Admission {
    Admission::new().smoothing(Duration::ZERO)
}

/// Coroutines that can always run, until told to end.
struct Busy {
    ends: Arc<AtomicBool>,
    all: Vec<thread::JoinHandle<()>>,
}

impl Busy {
    fn start(count: usize, work: fn()) -> Busy {
        let ends = Arc::new(AtomicBool::new(false));
        let busy = |ends: Arc<AtomicBool>| {
            move || {
                while !ends.load(SeqCst) {
                    work();
                    thread::yield_now();
                }
            }
        };
        let all = (0..count).map(|_| spawn(busy(Arc::clone(&ends)))).collect();
        Busy { ends, all }
    }

    fn end(self) {
        self.ends.store(true, SeqCst);
        self.all.into_iter().for_each(|busy| busy.join().unwrap());
    }
}

#[test]
fn ready_coroutines_count_and_those_that_wait_for_their_start() {
    bounded(10, || {
        run(|| {
            let admission = sharp().max_ready(10);
            assert!(!admission.is_overloaded());
            let busy = Busy::start(10, || ());
            assert!(!admission.is_overloaded(), "none has started: ten");
            let more = Busy::start(1, || ());
            assert!(admission.is_overloaded());
            thread::yield_now();
            assert!(admission.is_overloaded(), "all have started");
            more.end();
            assert!(admission.is_overloaded(), "less than the limit, but not much");
            busy.end();
            assert!(!admission.is_overloaded());
            let parked: Vec<_> = (0..50).map(|_| spawn(thread::park)).collect();
            (0..3).for_each(|_| thread::yield_now());
            assert!(!admission.is_overloaded(), "they wait for something");
            parked.iter().for_each(|parked| parked.thread().unpark());
        });
    });
}

#[test]
fn a_moment_is_smoothed_away_and_a_while_is_not() {
    bounded(10, || {
        run(|| {
            let admission = Admission::new().max_ready(10).smoothing(Duration::from_secs(1));
            assert!(!admission.is_overloaded());
            let busy = Busy::start(15, || ());
            assert!(!admission.is_overloaded());
            eventually(5, "the average is above the limit", || admission.is_overloaded());
            let many = Busy::start(6, || ());
            let fresh = admission.clone().smoothing(Duration::from_secs(3600));
            assert!(fresh.is_overloaded(), "more than twice the limit, at once");
            [busy, many].into_iter().for_each(Busy::end);
            assert!(!admission.is_overloaded(), "there is room, whatever the average");
        });
    });
}

#[test]
fn live_coroutines_count_whatever_they_do() {
    bounded(10, || {
        run(|| {
            let admission = Admission::new().max_live(50);
            let parked: Vec<_> = (0..49).map(|_| spawn(thread::park)).collect();
            assert!(!admission.is_overloaded());
            let one_more = spawn(thread::park);
            assert!(admission.is_overloaded());
            thread::yield_now();
            assert!(admission.is_overloaded());
            parked[..20].iter().for_each(|parked| parked.thread().unpark());
            parked.into_iter().take(20).for_each(|parked| parked.join().unwrap());
            assert!(!admission.is_overloaded());
            drop(one_more);
        });
    });
}

#[test]
fn the_time_until_a_ready_coroutine_runs_counts() {
    bounded(20, || {
        run(|| {
            let admission = sharp().max_queue_delay(Duration::from_millis(8));
            assert!(!admission.is_overloaded());
            thread::yield_now();
            let busy = Busy::start(10, || std::thread::sleep(Duration::from_millis(1)));
            eventually(10, "a round takes ten milliseconds", || admission.is_overloaded());
            busy.end();
            eventually(10, "nobody waits", || !admission.is_overloaded());
            // A worker that sleeps keeps nobody waiting.
            thread::sleep(Duration::from_millis(100));
            assert!(!admission.is_overloaded());
        });
    });
}

#[test]
fn resident_memory_counts() {
    let ended = child("resident_memory_counts", 20, || {
        let limit = (support::resident_kib() as usize + (32 << 10)) << 10;
        let admission = Admission::new().max_resident(limit);
        assert!(!admission.is_overloaded());
        let large = std::hint::black_box(vec![1u8; 2 * limit]);
        eventually(5, "it is known", || admission.is_overloaded());
        drop(large);
        eventually(5, "it is known to be gone", || !admission.is_overloaded());
    });
    ended.succeeded();
}

/// All workers count; asked from a coroutine of the runtime, from another one, and from a plain thread.
#[test]
fn the_figures_are_those_of_the_runtime_that_is_watched() {
    bounded(20, || {
        let watched = Builder::new().workers(2).build().unwrap();
        let admission = Admission::new().max_live(50);
        let elsewhere = admission.clone().watch(watched.handle());
        let parked: Vec<_> = (0..60).map(|_| watched.spawn(thread::park)).collect();
        eventually(5, "all live", || elsewhere.is_overloaded());
        let other = Runtime::new().unwrap();
        let inside = admission.clone();
        assert!(watched.run(move || inside.is_overloaded()).unwrap());
        let (inside, outside) = (admission, elsewhere.clone());
        assert_eq!(other.run(move || (inside.is_overloaded(), outside.is_overloaded())).unwrap(), (false, true));
        parked.iter().for_each(|parked| parked.thread().unpark());
        parked.into_iter().for_each(|parked| parked.join().unwrap());
        eventually(5, "none live", || !elsewhere.is_overloaded());
    });
}

/// A listener in a runtime that is overloaded until `Busy` ends.
fn overloaded(what: OnOverload) -> (Arc<TcpListener>, Admission, Busy) {
    let admission = sharp().max_ready(5).on_overload(what);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap().with_admission(&admission);
    (Arc::new(listener), admission, Busy::start(12, || ()))
}

fn connect(listener: &TcpListener) -> std::net::TcpStream {
    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap()
}

#[test]
fn refused_while_there_is_too_much_to_do_and_let_in_after() {
    bounded(20, || {
        run(|| {
            let (listener, admission, busy) = overloaded(OnOverload::Refuse);
            let mut refused: Vec<_> = (0..20).map(|_| connect(&listener)).collect();
            let acceptor = {
                let listener = Arc::clone(&listener);
                spawn(move || listener.accept().unwrap().1)
            };
            eventually(5, "all are refused", || admission.metrics().refused == 20);
            for client in &mut refused {
                assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
            }
            busy.end();
            let client = connect(&listener);
            assert_eq!(acceptor.join().unwrap(), client.local_addr().unwrap());
            assert_eq!((admission.metrics().admitted, admission.metrics().held), (1, 0));
        });
    });
}

#[test]
fn delayed_while_there_is_too_much_to_do_and_let_in_after() {
    bounded(20, || {
        run(|| {
            let (listener, admission, busy) = overloaded(OnOverload::Delay);
            let mut client = connect(&listener);
            client.write_all(b"patience").unwrap();
            let (coroutine, thread) = (Arc::clone(&listener), Arc::clone(&listener));
            let acceptor = spawn(move || coroutine.accept().unwrap());
            eventually(5, "it is held", || admission.metrics().held == 1);
            let second = connect(&listener);
            let blocked = std::thread::spawn(move || thread.accept().unwrap());
            busy.end();
            let (mut stream, _) = acceptor.join().unwrap();
            eventually(5, "the thread has the other", || blocked.is_finished());
            let (other, _) = blocked.join().unwrap();
            let ours = [stream.peer_addr().unwrap(), other.peer_addr().unwrap()];
            assert!(ours.contains(&client.local_addr().unwrap()) && ours.contains(&second.local_addr().unwrap()));
            if ours[1] == client.local_addr().unwrap() {
                stream = other;
            }
            let mut buffer = [0; 8];
            stream.read_exact(&mut buffer).unwrap();
            assert_eq!((&buffer, admission.metrics().refused), (b"patience", 0));
        });
    });
}

/// How many connections may wait, as the kernel has it.
fn backlog(listener: &TcpListener) -> u32 {
    // SAFETY: an array of integers, for which all zeroes is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    let (fd, place) = (listener.as_raw_fd(), (&raw mut info).cast());
    // SAFETY: writes as many bytes as there are, of an open descriptor.
    let asked = unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length) };
    assert_eq!(asked, 0);
    info.tcpi_sacked
}

#[test]
fn dropped_by_the_kernel_while_there_is_too_much_to_do() {
    bounded(20, || {
        run(|| {
            let builder = TcpListener::builder().backlog(77);
            let admission = sharp().max_ready(5).on_overload(OnOverload::Drop);
            let listener = Arc::new(builder.bind("127.0.0.1:0").unwrap().with_admission(&admission));
            let busy = Busy::start(12, || ());
            let addr = listener.local_addr().unwrap();
            let first = connect(&listener);
            assert_eq!(backlog(&listener), 77);
            let acceptor = spawn({
                let listener = Arc::clone(&listener);
                move || listener.accept().unwrap().1
            });
            eventually(5, "the backlog is cut", || backlog(&listener) == 0);
            // One waits already; none gets in beside it.
            let stuck = |addr: &SocketAddr| std::net::TcpStream::connect_timeout(addr, Duration::from_millis(300));
            assert_eq!(stuck(&addr).unwrap_err().kind(), ErrorKind::TimedOut);
            busy.end();
            assert_eq!(acceptor.join().unwrap(), first.local_addr().unwrap());
            assert_eq!(backlog(&listener), 77);
            let client = connect(&listener);
            let (_, peer) = loop {
                // The kernel may have kept the one that gave up.
                let accepted = listener.accept().unwrap();
                if accepted.1 == client.local_addr().unwrap() {
                    break accepted;
                }
            };
            assert_eq!(peer, client.local_addr().unwrap());
        });
    });
}

#[test]
fn a_cancelled_acceptor_leaves_the_backlog_as_it_was() {
    bounded(20, || {
        run(|| {
            let (listener, admission, busy) = overloaded(OnOverload::Drop);
            let before = backlog(&listener);
            assert!(before > 0);
            let client = connect(&listener);
            for round in 1..20 {
                let held = Arc::clone(&listener);
                let acceptor = spawn(move || held.accept().map(drop));
                eventually(5, "it is held", || admission.metrics().held == round);
                assert_eq!(backlog(&listener), 0);
                acceptor.cancel();
                assert!(is_cancelled(&acceptor.join()));
                assert_eq!(backlog(&listener), before);
            }
            busy.end();
            assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
        });
    });
}

/// Many who accept, in and out of overload, on two workers: the backlog ends as it began, and nobody is lost.
#[test]
fn the_backlog_is_whole_after_any_number_of_overloads() {
    const ROUNDS: usize = 4;
    bounded(60, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let admission = sharp().max_ready(30).on_overload(OnOverload::Drop);
                let builder = TcpListener::builder().backlog(99);
                let listener = Arc::new(builder.bind("127.0.0.1:0").unwrap().with_admission(&admission));
                let addr = listener.local_addr().unwrap();
                let acceptors: Vec<_> = (0..8)
                    .map(|_| {
                        let listener = Arc::clone(&listener);
                        spawn(move || {
                            loop {
                                let (mut stream, _) = listener.accept().unwrap();
                                // The peer may have given up.
                                let _ = stream.write_all(b"!");
                            }
                        })
                    })
                    .collect();
                for _ in 0..ROUNDS {
                    let busy = Busy::start(100, || ());
                    let clients: Vec<_> = (0..10)
                        .map(|_| {
                            spawn(move || {
                                let mut client = TcpStream::connect(addr).unwrap();
                                client.read_exact(&mut [0]).unwrap();
                            })
                        })
                        .collect();
                    thread::sleep(Duration::from_millis(5));
                    busy.end();
                    clients.into_iter().for_each(|client| client.join().unwrap());
                }
                eventually(5, "the backlog is whole", || backlog(&listener) == 99);
                acceptors.iter().for_each(|acceptor| acceptor.cancel());
            })
            .unwrap();
    });
}

#[test]
fn a_listener_that_is_shut_down_does_not_hold_its_acceptor() {
    bounded(20, || {
        run(|| {
            for what in [OnOverload::Delay, OnOverload::Drop] {
                let (listener, admission, busy) = overloaded(what);
                let _client = connect(&listener);
                let held = Arc::clone(&listener);
                let acceptor = spawn(move || held.accept().map(drop));
                eventually(5, "it is held", || admission.metrics().held == 1);
                // SAFETY: the descriptor is open.
                assert_eq!(unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) }, 0);
                assert_eq!(acceptor.join().unwrap().unwrap_err().kind(), ErrorKind::InvalidInput);
                busy.end();
            }
        });
    });
}

/// The limit is passed for good, and nobody comes: then nothing is to be looked at.
#[test]
fn who_waits_for_a_first_connection_makes_no_wake_ups() {
    let ended = child("who_waits_for_a_first_connection_makes_no_wake_ups", 20, || {
        for what in [OnOverload::Refuse, OnOverload::Delay, OnOverload::Drop] {
            let runtime = Builder::new().workers(1).build().unwrap();
            let worker = runtime.run(thread_number).unwrap();
            let admission = Admission::new().max_live(0).max_connections(0).on_overload(what);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap().with_admission(&admission);
            let acceptor = runtime.spawn(move || listener.accept().map(drop));
            // The alarm for the stacks goes off after a second.
            std::thread::sleep(Duration::from_millis(1500));
            let before = wake_ups(worker);
            std::thread::sleep(Duration::from_millis(500));
            assert_eq!(wake_ups(worker), before, "{what:?}");
            acceptor.cancel();
        }
    });
    ended.succeeded();
}
