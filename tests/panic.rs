//! A panic stays in its coroutine, and its worker goes on.

#![allow(clippy::map_identity, reason = "gives a type to what only panics")]

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, panic_any, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, child, is_cancelled, message, run};

#[test]
fn the_worker_goes_on() {
    bounded(10, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let failing: Vec<_> = (0..100).map(|_| spawn(|| resume_unwind(Box::new("quiet")))).collect();
                let working: Vec<_> = (0..100)
                    .map(|n| {
                        spawn(move || {
                            thread::yield_now();
                            n
                        })
                    })
                    .collect();
                assert!(failing.into_iter().all(|handle| handle.join().map(|()| ()).is_err()));
                assert_eq!(working.into_iter().map(|handle| handle.join().unwrap()).sum::<i32>(), 4950);
            })
            .unwrap();
    });
}

#[test]
fn one_that_nobody_joins_disturbs_nobody() {
    bounded(10, || {
        run(|| {
            drop(spawn(|| panic!("on purpose, and nobody joins")));
            thread::yield_now();
            assert_eq!(spawn(|| 1).join().unwrap(), 1);
        });
    });
}

#[test]
fn destructors_run_on_the_way() {
    bounded(10, || {
        run(|| {
            let order = Rc::new(RefCell::new(Vec::new()));
            let seen = Rc::clone(&order);
            let handle = spawn_local(move || {
                let log = |name| {
                    let seen = Rc::clone(&seen);
                    OnDrop(move || seen.borrow_mut().push(name))
                };
                let _outer = log("outer");
                thread::yield_now();
                let _inner = log("inner");
                resume_unwind(Box::new(()));
            });
            assert!(handle.join().map(|()| ()).is_err());
            assert_eq!(*order.borrow(), ["inner", "outer"]);
        });
    });
}

#[test]
fn a_caught_one_is_over() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| {
                let caught = catch_unwind(|| panic_any("caught")).unwrap_err();
                assert!(!std::thread::panicking());
                thread::sleep(Duration::from_micros(100));
                message(&*caught)
            });
            assert_eq!(handle.join().unwrap(), "caught");
        });
    });
}

#[test]
fn a_drop_may_park_sleep_yield_spawn_and_join_on_the_way() {
    bounded(10, || {
        static STEPS: AtomicUsize = AtomicUsize::new(0);
        run(|| {
            let handle = spawn(|| {
                let _on_drop = OnDrop(|| {
                    thread::yield_now();
                    thread::sleep(Duration::from_millis(1));
                    thread::park_timeout(Duration::from_micros(10));
                    thread::current().unpark();
                    thread::park();
                    assert_eq!(spawn(|| 3).join().unwrap(), 3);
                    STEPS.fetch_add(1, SeqCst);
                });
                resume_unwind(Box::new("first"));
            });
            assert_eq!(message(&*handle.join().map(|()| ()).unwrap_err()), "first");
        });
        assert_eq!(STEPS.load(SeqCst), 1);
    });
}

/// While one is suspended in a Drop during its unwind, others panic, catch, are joined and are cancelled as ever.
#[test]
fn others_panic_while_one_is_suspended_in_a_drop_of_its_unwind() {
    bounded(10, || {
        run(|| {
            let go_on = Rc::new(Cell::new(false));
            let (waits, ended) = (Rc::clone(&go_on), Rc::new(Cell::new(false)));
            let ends = Rc::clone(&ended);
            let first = spawn_local(move || {
                let _on_drop = OnDrop(|| {
                    while !waits.get() {
                        thread::park();
                    }
                    ends.set(true);
                });
                resume_unwind(Box::new("first"));
            });
            thread::yield_now();
            let second = spawn(|| {
                let caught = catch_unwind(|| panic_any("caught")).unwrap_err();
                thread::yield_now();
                panic_any(message(&*caught));
            });
            assert_eq!(message(&*second.join().map(|()| ()).unwrap_err()), "caught");
            let third = spawn(|| {
                let _on_drop = OnDrop(thread::yield_now);
                resume_unwind(Box::new("third"));
            });
            assert_eq!(message(&*third.join().map(|()| ()).unwrap_err()), "third");
            assert!(!ended.get() && !first.is_finished());
            go_on.set(true);
            first.thread().unpark();
            assert_eq!(message(&*first.join().map(|()| ()).unwrap_err()), "first");
            assert!(ended.get());
            assert!(!std::thread::panicking());
        });
    });
}

/// Many coroutines unwind at once, each suspended in its Drops again and again, in no order.
#[test]
fn many_unwind_interleaved() {
    bounded(20, || {
        run(|| {
            let handles: Vec<_> = (0..100u64)
                .map(|n| {
                    spawn(move || {
                        let _first = OnDrop(|| thread::sleep(Duration::from_micros(n * 37 % 900)));
                        let _second = OnDrop(|| (0..n % 7).for_each(|_| thread::yield_now()));
                        if n % 3 == 0 {
                            let _ = catch_unwind(|| {
                                let _third = OnDrop(thread::yield_now);
                                resume_unwind(Box::new(()));
                            });
                        }
                        resume_unwind(Box::new(n));
                    })
                })
                .collect();
            for (n, handle) in handles.into_iter().enumerate() {
                let payload = handle.join().map(|()| ()).unwrap_err();
                assert_eq!(*payload.downcast::<u64>().unwrap(), n as u64);
            }
            assert!(!std::thread::panicking());
            // Nothing is left that would make this one think it unwinds.
            let parked = spawn(thread::park);
            thread::yield_now();
            parked.cancel();
            assert!(is_cancelled(&parked.join()));
        });
    });
}

#[test]
fn a_cancel_during_an_unwind_waits_for_its_end() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| {
                let _on_drop = OnDrop(|| {
                    let start = Instant::now();
                    thread::sleep(Duration::from_millis(5));
                    assert!(start.elapsed() >= Duration::from_millis(5), "the cancel ended a sleep in a Drop");
                });
                resume_unwind(Box::new("mine"));
            });
            thread::yield_now();
            handle.cancel();
            assert_eq!(message(&*handle.join().map(|()| ()).unwrap_err()), "mine");
        });
    });
}

#[test]
fn the_message_names_the_place() {
    let ended = child("the_message_names_the_place", 10, || {
        run(|| assert!(spawn(|| panic!("on purpose {}", 7)).join().map(|()| ()).is_err()));
    });
    ended.succeeded();
    ended.said(&["on purpose 7", "tests/panic.rs"]);
}

#[test]
fn a_payload_that_panics_when_dropped_by_nobody_aborts_with_a_message_as_std() {
    let ended = child("a_payload_that_panics_when_dropped_by_nobody_aborts_with_a_message_as_std", 10, || {
        run(|| {
            drop(spawn(|| OnDrop(|| panic!("in the result's drop"))));
            thread::yield_now();
        });
    });
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
    ended.said(&["result of a coroutine panicked when dropped"]);
}

/// Panics (quietly), with a Drop on the way that sleeps.
fn fail_slowly(millis: u64) {
    let _on_drop = OnDrop(|| thread::sleep(Duration::from_millis(millis)));
    resume_unwind(Box::new("on purpose"));
}

#[test]
fn two_that_panicked_sleep_in_their_drops_at_shutdown() {
    let ended = child("two_that_panicked_sleep_in_their_drops_at_shutdown", 8, || {
        run(|| {
            spawn(|| fail_slowly(50));
            spawn(|| fail_slowly(50));
            (0..2).for_each(|_| thread::yield_now());
        });
    });
    ended.succeeded();
}

#[test]
fn after_two_that_panicked_a_third_is_still_cancelled_at_shutdown() {
    let ended = child("after_two_that_panicked_a_third_is_still_cancelled_at_shutdown", 10, || {
        run(|| {
            let first = spawn(|| fail_slowly(10));
            let second = spawn(|| fail_slowly(60));
            assert!(first.join().is_err());
            // The second is still in its Drop; this one is not unwinding, and so can be cancelled.
            spawn(thread::park);
            thread::yield_now();
            assert!(second.join().is_err());
        });
    });
    ended.succeeded();
    assert!(!ended.stderr.contains("is leaked"), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(3));
}

#[test]
fn a_cancel_that_was_swallowed_strikes_again_though_another_is_suspended_in_a_drop() {
    let ended = child("a_cancel_that_was_swallowed_strikes_again_though_another_is_suspended_in_a_drop", 10, || {
        let start = Instant::now();
        run(|| {
            spawn(|| fail_slowly(50));
            spawn(|| {
                let _ = catch_unwind(thread::park);
                thread::park();
            });
            (0..2).for_each(|_| thread::yield_now());
        });
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    });
    ended.succeeded();
    assert!(!ended.stderr.contains("is leaked"), "{}", ended.stderr);
}
