//! Calls that block leave their worker to others; and what becomes of them when nobody waits any more.

mod support;

use dormouse::thread::{no_park, sleep, yield_now};
use dormouse::{Builder, spawn, spawn_local};
use dormouse_runtime::blocking;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use support::run;
use support::*;

/// A call that says it has begun and lasts until its gate is opened; and what opens the gate.
fn gate() -> (Sender<()>, Receiver<()>, impl FnOnce() + Send + 'static) {
    let ((open, opens), (begun, begins)) = (channel::<()>(), channel());
    let call = move || {
        let _ = begun.send(());
        let _ = opens.recv_timeout(Duration::from_secs(10));
    };
    (open, begins, call)
}

fn here() -> ThreadId {
    std::thread::current().id()
}

/// Counts where it is dropped.
struct Tracked(Arc<AtomicUsize>, Sender<ThreadId>);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        let _ = self.1.send(here());
    }
}

fn tracked() -> (Tracked, Arc<AtomicUsize>, Receiver<ThreadId>) {
    let (count, (says, said)) = (Arc::new(AtomicUsize::new(0)), channel());
    (Tracked(Arc::clone(&count), says), count, said)
}

#[test]
fn the_worker_goes_on() {
    bounded(20, || {
        run(|| {
            let (open, begins, call) = gate();
            let waits = spawn_local(move || {
                let worker = here();
                assert_ne!(blocking::run(move || (call(), here()).1).unwrap(), worker);
                assert_eq!(here(), worker);
            });
            eventually(5, "the call begins", || begins.try_recv().is_ok());
            (0..100).for_each(|_| yield_now());
            assert!(!waits.is_finished());
            drop(open);
            waits.join().unwrap();
        });
    });
}

#[test]
fn a_plain_thread_makes_its_call_itself() {
    bounded(20, || {
        let own = here();
        let mut calls = 0;
        calls += blocking::run(move || usize::from(here() == own)).unwrap();
        calls += blocking::run_until(Some(Instant::now()), move || usize::from(here() == own)).unwrap();
        assert_eq!(calls, 2);
        let (says, said) = channel();
        blocking::finish(move || says.send(here()).unwrap());
        assert_eq!(said.try_recv().unwrap(), own);
        let (says, said) = channel();
        blocking::hand_over(move || says.send(here()).unwrap());
        assert_ne!(said.recv_timeout(Duration::from_secs(5)).unwrap(), own);
    });
}

#[test]
fn a_panic_comes_out_at_the_caller() {
    bounded(20, || {
        run(|| {
            let caught = catch_unwind(|| blocking::run(|| -> () { panic!("as planned") })).unwrap_err();
            assert_eq!(message(&*caught), "as planned");
            assert_eq!(blocking::run(|| 7).unwrap(), 7);
        });
    });
}

#[test]
fn a_cancelled_caller_unwinds_at_once_and_the_result_is_dropped_where_it_was_made() {
    bounded(20, || {
        run(|| {
            let (open, begins, call) = gate();
            let (tracked, dropped, said) = tracked();
            let waits = spawn_local(move || {
                let result = blocking::run(move || {
                    call();
                    (here(), tracked)
                });
                unreachable!("{:?}", result.is_ok());
            });
            eventually(5, "the call begins", || begins.try_recv().is_ok());
            waits.cancel();
            assert!(is_cancelled(&waits.join()));
            assert_eq!(dropped.load(SeqCst), 0);
            drop(open);
            eventually(5, "the result is dropped", || dropped.load(SeqCst) == 1);
            assert_ne!(said.recv().unwrap(), here());
        });
    });
}

#[test]
fn one_that_is_cancelled_already_calls_nothing() {
    bounded(20, || {
        run(|| {
            let calls = Arc::new(AtomicUsize::new(0));
            // Often, and with a thread that is there already: it would be quick enough to call one of them.
            for _ in 0..200 {
                blocking::run(|| ()).unwrap();
                let counts = Arc::clone(&calls);
                let waits = spawn_local(move || {
                    let _ = catch_unwind(dormouse::thread::park);
                    let _ = blocking::run(move || counts.fetch_add(1, SeqCst));
                });
                yield_now();
                waits.cancel();
                assert!(is_cancelled(&waits.join()));
            }
            assert_eq!((calls.load(SeqCst), Arc::strong_count(&calls)), (0, 1));
        });
    });
}

#[test]
fn a_deadline_ends_the_wait_and_not_the_call() {
    bounded(20, || {
        run(|| {
            let (open, begins, call) = gate();
            let (tracked, dropped, _said) = tracked();
            let start = Instant::now();
            let deadline = start + Duration::from_millis(20);
            let late = blocking::run_until(Some(deadline), move || (call(), tracked).1);
            assert_eq!(late.err().unwrap().kind(), ErrorKind::TimedOut);
            assert!(Instant::now() >= deadline && dropped.load(SeqCst) == 0);
            begins.recv_timeout(Duration::from_secs(5)).unwrap();
            drop(open);
            eventually(5, "the result is dropped", || dropped.load(SeqCst) == 1);
            assert_eq!(blocking::run_until(Some(Instant::now() + Duration::from_secs(10)), || 4).unwrap(), 4);
        });
    });
}

#[test]
fn inside_no_park_it_panics_and_calls_nothing() {
    bounded(20, || {
        run(|| {
            let calls = Arc::new(AtomicUsize::new(0));
            for _ in 0..200 {
                blocking::run(|| ()).unwrap();
                let counts = Arc::clone(&calls);
                let call = AssertUnwindSafe(|| no_park(|| blocking::run(move || counts.fetch_add(1, SeqCst))));
                assert!(message(&*catch_unwind(call).unwrap_err()).contains("no_park"));
            }
            assert_eq!((calls.load(SeqCst), Arc::strong_count(&calls)), (0, 1));
        });
    });
}

#[test]
fn in_an_unwind_a_call_is_waited_for() {
    bounded(20, || {
        run(|| {
            let (says, said) = channel();
            let unwinds = spawn_local(move || {
                let _on_drop = OnDrop(move || says.send(blocking::run(|| 5).unwrap()).unwrap());
                dormouse::thread::park();
            });
            yield_now();
            unwinds.cancel();
            assert!(is_cancelled(&unwinds.join()));
            assert_eq!(said.try_recv().unwrap(), 5);
        });
    });
}

#[test]
fn finish_is_not_cut_short_by_a_cancel() {
    bounded(20, || {
        run(|| {
            let (open, begins, call) = gate();
            let (says, said) = channel();
            let waits = spawn_local(move || {
                blocking::finish(call);
                says.send(()).unwrap();
                dormouse::thread::park();
            });
            eventually(5, "the call begins", || begins.try_recv().is_ok());
            waits.cancel();
            (0..100).for_each(|_| yield_now());
            assert!(!waits.is_finished() && said.try_recv().is_err());
            drop(open);
            assert!(is_cancelled(&waits.join()));
            said.try_recv().unwrap();
        });
    });
}

#[test]
fn finish_hands_over_where_a_drop_may_not_wait() {
    bounded(20, || {
        run(|| {
            let (open, begins, call) = gate();
            no_park(|| blocking::finish(call));
            begins.recv_timeout(Duration::from_secs(5)).unwrap();
            drop(open);
            let (open, begins, call) = gate();
            let mut call = Some(call);
            let unwinds = spawn_local(move || {
                let _on_drop = OnDrop(move || blocking::finish(call.take().unwrap()));
                panic!("as planned");
            });
            // It ends although its gate is closed.
            assert!(unwinds.join().is_err());
            begins.recv_timeout(Duration::from_secs(5)).unwrap();
            drop(open);
        });
    });
}

#[test]
fn a_runtime_ends_while_a_call_of_its_own_goes_on() {
    bounded(20, || {
        for workers in [1, 2] {
            let (open, begins, call) = gate();
            let start = Instant::now();
            let runtime = Builder::new().workers(workers);
            let waits = runtime.run(move || {
                let waits = spawn(move || blocking::run(call));
                eventually(5, "the call begins", || begins.try_recv().is_ok());
                waits
            });
            assert!(is_cancelled(&waits.unwrap().join()));
            assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
            drop(open);
        }
    });
}

/// What may not be cut short is waited for as long as the runtime's end allows, then left to the pool.
#[test]
fn a_finish_past_the_grace_is_leaked_and_named() {
    let ended = child("a_finish_past_the_grace_is_leaked_and_named", 20, || {
        let (open, begins, call) = gate();
        let start = Instant::now();
        let runtime = Builder::new().shutdown_timeout(Duration::from_millis(100));
        let waits = runtime.run(move || {
            let waits = spawn(move || blocking::finish(call));
            eventually(5, "the call begins", || begins.try_recv().is_ok());
            waits
        });
        assert!(is_cancelled(&waits.unwrap().join()));
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        drop(open);
        // Its end wakes nobody; the thread goes on with what comes next.
        let mut answers = Vec::new();
        run(|| (0..10).for_each(|n| answers.push(blocking::run(move || n).unwrap())));
        assert_eq!(answers, Vec::from_iter(0..10));
    });
    ended.succeeded();
    ended.said(&["tests/blocking.rs", "is leaked"]);
}

/// The first call, which starts a thread, and an unwind from one.
#[test]
fn the_smallest_stack_is_enough() {
    let ended = child("the_smallest_stack_is_enough", 20, || {
        run(|| {
            let smallest = || dormouse::thread::Builder::new().stack_size(16 << 10);
            let calls = smallest().spawn(|| blocking::run(|| 5).unwrap());
            assert_eq!(calls.unwrap().join().unwrap(), 5);
            let (open, begins, call) = gate();
            let waits = smallest().spawn(move || blocking::run(call)).unwrap();
            eventually(5, "the call begins", || begins.try_recv().is_ok());
            waits.cancel();
            assert!(is_cancelled(&waits.join()));
            drop(open);
        });
    });
    ended.succeeded();
}

#[test]
fn a_thousand_runtimes_share_a_few_threads() {
    let ended = child("a_thousand_runtimes_share_a_few_threads", 60, || {
        let cycle = |n: usize| {
            let calls = || (0..3).for_each(|_| blocking::run(|| ()).unwrap());
            Builder::new().workers(1 + n % 2).run(|| spawn(calls).join().unwrap()).unwrap();
        };
        let own = threads();
        (0..1000).for_each(cycle);
        // A thread that has answered may not be idle yet when the next call comes.
        assert!(threads() <= own + 8, "{} threads", threads() - own);
    });
    ended.succeeded();
}

#[test]
fn without_threads_it_is_an_error() {
    let ended = child("without_threads_it_is_an_error", 20, || {
        run(|| {
            let size = status_field("/proc/self/status", "VmSize");
            limit(libc::RLIMIT_AS, (size + 1000) << 10);
            let (tracked, dropped, said) = tracked();
            let refused = blocking::run(move || (here(), tracked)).err().unwrap();
            assert_eq!(refused.raw_os_error(), Some(libc::EAGAIN), "{refused}");
            assert_eq!((dropped.load(SeqCst), said.recv().unwrap()), (1, here()));
            limit(libc::RLIMIT_AS, u64::MAX);
            assert_eq!(blocking::run(|| 6).unwrap(), 6);
        });
    });
    ended.succeeded();
}

/// 512 closes that linger hold up no name lookup, nor the other way round.
#[test]
fn calls_for_a_result_and_calls_for_a_drop_do_not_wait_for_each_other() {
    let ended = child("calls_for_a_result_and_calls_for_a_drop_do_not_wait_for_each_other", 60, || {
        run(|| {
            let occupy = |hand_over: fn(Box<dyn FnOnce() + Send>)| {
                let (open, begins): (Vec<_>, Vec<_>) = (0..512)
                    .map(|_| {
                        let (open, begins, call) = gate();
                        hand_over(Box::new(call));
                        (open, begins)
                    })
                    .unzip();
                begins.iter().for_each(|begins| eventually(5, "it begins", || begins.try_recv().is_ok()));
                open
            };
            let deadline = || Some(Instant::now() + Duration::from_secs(5));
            let open = occupy(blocking::hand_over);
            assert_eq!(blocking::run_until(deadline(), || 7).unwrap(), 7);
            drop(open);
            let open = occupy(|call| drop(spawn_local(|| blocking::run(call))));
            let (says, said) = channel();
            blocking::hand_over(move || says.send(8).unwrap());
            assert_eq!(said.recv_timeout(Duration::from_secs(5)), Ok(8));
            drop(open);
        });
    });
    ended.succeeded();
}

/// Calls of all lengths, some given up at their deadline, some with their coroutine: whatever they hold is dropped once.
#[test]
fn many_calls_given_up_at_random_leave_nothing() {
    bounded(60, || {
        let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (says, _said) = channel();
        let (counts, drops) = (Arc::clone(&made), Arc::clone(&dropped));
        Builder::new()
            .workers(2)
            .run(move || {
                let handles: Vec<_> = (0..1500u64)
                    .map(|seed| {
                        let (counts, tracked) = (Arc::clone(&counts), Tracked(Arc::clone(&drops), says.clone()));
                        spawn(move || {
                            let mut random = Random(seed * 7919 + 1);
                            let length = Duration::from_micros(random.below(500));
                            let patience = Duration::from_micros(random.below(800));
                            let deadline = (seed % 3 != 0).then(|| Instant::now() + patience);
                            let result = blocking::run_until(deadline, move || {
                                std::thread::sleep(length);
                                (tracked, seed)
                            });
                            counts.fetch_add(1, SeqCst);
                            match result {
                                Ok((_, made)) => assert_eq!(made, seed),
                                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                            }
                        })
                    })
                    .collect();
                let mut random = Random(11);
                for handle in &handles {
                    if random.below(4) == 0 {
                        handle.cancel();
                        sleep(Duration::from_micros(random.below(50)));
                    }
                }
                for handle in handles {
                    let joined = handle.join();
                    assert!(joined.is_ok() || is_cancelled(&joined));
                }
            })
            .unwrap();
        assert!(made.load(SeqCst) > 500, "only {} ended by themselves", made.load(SeqCst));
        eventually(10, "all is dropped", || dropped.load(SeqCst) == 1500);
    });
}
