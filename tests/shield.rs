//! `cancel::shield`, `cancel::check` and `cancel::is_cancelled`.

mod support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::thread::no_park;
use dormouse::{Builder, Runtime, cancel, spawn, thread, time};
use std::io::{Read, Write};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, eventually, is_cancelled, run};

const SOON: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_secs(3600);

/// Runs `body` as a coroutine on one worker, and on a plain thread.
fn everywhere(body: fn()) {
    bounded(20, move || run(body));
    bounded(20, body);
}

#[test]
fn a_cancel_strikes_at_the_first_point_after_it() {
    bounded(10, || {
        run(|| {
            let stage = Arc::new(AtomicUsize::new(0));
            let sets = Arc::clone(&stage);
            let handle = spawn(move || {
                cancel::shield(|| {
                    cancel::shield(thread::park);
                    sets.store(1, SeqCst);
                    thread::sleep(Duration::from_millis(1));
                    thread::yield_now();
                    cancel::check();
                    assert!(cancel::is_cancelled());
                });
                sets.store(2, SeqCst);
                thread::yield_now();
                unreachable!("a point after the shield");
            });
            thread::yield_now();
            handle.cancel();
            (0..5).for_each(|_| thread::yield_now());
            assert!(!handle.is_finished() && stage.load(SeqCst) == 0);
            handle.thread().unpark();
            assert!(is_cancelled(&handle.join()));
            assert_eq!(stage.load(SeqCst), 2);
        });
    });
}

#[test]
fn it_ends_with_a_panic_too() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| {
                let panicked = catch_unwind(|| cancel::shield(|| resume_unwind(Box::new(1))));
                assert!(panicked.is_err());
                thread::park();
            });
            thread::yield_now();
            handle.cancel();
            assert!(is_cancelled(&handle.join()));
        });
    });
}

#[test]
fn a_timeout_around_it_strikes_at_the_first_wait_after_it() {
    everywhere(|| {
        let mut whole = false;
        let late = time::timeout(SOON, || {
            let start = Instant::now();
            cancel::shield(|| thread::sleep(3 * SOON));
            whole = start.elapsed() >= 3 * SOON;
            thread::sleep(LONG);
        });
        assert!(late.is_err() && whole);
    });
}

#[test]
fn a_timeout_inside_ends_its_call() {
    everywhere(|| {
        let inner = cancel::shield(|| time::timeout(SOON, || thread::sleep(LONG)));
        assert!(inner.is_err());
        let mut inner = Ok(());
        let outer = time::timeout(SOON, || {
            inner = cancel::shield(|| time::timeout(3 * SOON, || thread::sleep(LONG)));
            thread::sleep(LONG);
        });
        assert!(inner.is_err() && outer.is_err());
    });
}

#[test]
fn a_timeout_inside_strikes_while_a_cancel_waits() {
    bounded(10, || {
        run(|| {
            let inside = Arc::new(AtomicBool::new(false));
            let sets = Arc::clone(&inside);
            let handle = spawn(move || {
                cancel::shield(|| {
                    let start = Instant::now();
                    let inner = time::timeout(SOON, || thread::sleep(LONG));
                    sets.store(inner.is_err() && start.elapsed() >= SOON, SeqCst);
                });
                thread::park();
            });
            thread::yield_now();
            handle.cancel();
            assert!(is_cancelled(&handle.join()));
            assert!(inside.load(SeqCst));
        });
    });
}

/// As in no Drop of an unwind, a socket waits for its peer.
#[test]
fn a_socket_inside_waits_for_its_peer() {
    bounded(10, || {
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut ours, _) = listener.accept().unwrap();
            let reads = spawn(move || {
                let mut buffer = [0; 4];
                cancel::shield(|| ours.read_exact(&mut buffer)).unwrap();
                assert_eq!(&buffer, b"late");
                ours.read_exact(&mut buffer)
            });
            thread::yield_now();
            reads.cancel();
            thread::sleep(SOON);
            theirs.write_all(b"late").unwrap();
            assert!(is_cancelled(&reads.join()));
        });
    });
}

#[test]
fn the_end_of_the_runtime_waits_for_it() {
    for workers in [1, 3] {
        bounded(10, move || {
            let whole = Arc::new(AtomicUsize::new(0));
            let counts = Arc::clone(&whole);
            let begun = Arc::new(AtomicUsize::new(0));
            Builder::new()
                .workers(workers)
                .run(move || {
                    for _ in 0..10 {
                        let (begun, counts) = (Arc::clone(&begun), Arc::clone(&counts));
                        spawn(move || {
                            cancel::shield(|| {
                                begun.fetch_add(1, SeqCst);
                                thread::sleep(3 * SOON);
                            });
                            counts.fetch_add(1, SeqCst);
                            thread::park();
                        });
                    }
                    eventually(5, "all have begun", || begun.load(SeqCst) == 10);
                })
                .unwrap();
            assert_eq!(whole.load(SeqCst), 10);
        });
    }
}

/// Neither yields to the loop that would read the letter.
#[test]
fn a_cancel_from_another_thread_is_seen_by_code_that_only_computes() {
    bounded(10, || {
        let runtime = Runtime::new().unwrap();
        let computing = Arc::new(AtomicUsize::new(0));
        let says = Arc::clone(&computing);
        let checks = runtime.handle().spawn(move || {
            loop {
                says.store(1, SeqCst);
                cancel::check();
            }
        });
        eventually(5, "it computes", || computing.load(SeqCst) == 1);
        checks.cancel();
        assert!(is_cancelled::<()>(&checks.join()));
        let says = Arc::clone(&computing);
        let asks = runtime.handle().spawn(move || {
            while !cancel::is_cancelled() {
                says.store(2, SeqCst);
            }
            3
        });
        eventually(5, "it computes", || computing.load(SeqCst) == 2);
        asks.cancel();
        assert_eq!(asks.join().unwrap(), 3);
    });
}

#[test]
fn the_end_of_the_runtime_is_seen_by_code_that_only_computes() {
    bounded(10, || {
        let runtime = Runtime::new().unwrap();
        let computing = Arc::new(AtomicUsize::new(0));
        let (first, second) = (Arc::clone(&computing), Arc::clone(&computing));
        let checks = runtime.handle().spawn(move || {
            first.fetch_add(1, SeqCst);
            loop {
                cancel::check();
            }
        });
        eventually(5, "one computes", || computing.load(SeqCst) == 1);
        let asks = runtime.handle().spawn(move || {
            second.fetch_add(1, SeqCst);
            while !cancel::is_cancelled() {}
            4
        });
        // On a worker of its own, if there are two.
        if thread::available_parallelism().unwrap().get() > 1 {
            eventually(5, "both compute", || computing.load(SeqCst) == 2);
        }
        runtime.shutdown_timeout(Duration::from_secs(5));
        assert!(is_cancelled::<()>(&checks.join()));
        assert!(asks.join().map_or_else(|error| error.is::<dormouse::Cancelled>(), |four| four == 4));
    });
}

#[test]
fn a_check_strikes_where_no_park_may_be() {
    everywhere(|| {
        let endless = time::timeout(SOON, || {
            no_park(|| {
                loop {
                    cancel::check();
                }
            })
        });
        assert!(endless.is_err());
        // And `no_park` has ended.
        thread::sleep(Duration::from_millis(1));
    });
}

#[test]
fn a_check_in_a_drop_of_an_unwind_does_not_strike() {
    everywhere(|| {
        let checked = Arc::new(AtomicBool::new(false));
        let sets = Arc::clone(&checked);
        let late = time::timeout(SOON, move || {
            let _checks = OnDrop(move || {
                cancel::check();
                assert!(cancel::is_cancelled());
                sets.store(true, SeqCst);
            });
            thread::sleep(LONG);
        });
        assert!(late.is_err() && checked.load(SeqCst));
    });
}

#[test]
fn what_is_over_is_said_inside_only() {
    everywhere(|| {
        assert!(!cancel::is_cancelled());
        let said = time::timeout(Duration::ZERO, || {
            assert!(cancel::is_cancelled());
            assert!(!cancel::shield(cancel::is_cancelled));
            assert!(cancel::shield(|| time::timeout(Duration::ZERO, cancel::is_cancelled)).unwrap());
            time::timeout(LONG, cancel::is_cancelled).unwrap()
        });
        assert_eq!(said, Ok(true));
        assert!(!cancel::is_cancelled());
        assert!(!time::timeout(LONG, cancel::is_cancelled).unwrap());
    });
}
