//! `time::timeout` and `time::deadline`: whose call ends, when, and what is left of it.

mod support;

use dormouse::time::{self, Elapsed};
use dormouse::{Builder, Cancelled, spawn, thread};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, child, is_cancelled, message, run};

const SOON: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_secs(3600);

fn elapsed<T>(result: &Result<T, Elapsed>) -> bool {
    result.is_err()
}

/// Keeps the worker, or the thread, busy.
fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

/// Runs `body` as a coroutine on one worker and on three, and on a plain thread.
fn everywhere(body: fn()) {
    for workers in [1, 3] {
        bounded(20, move || Builder::new().workers(workers).run(body).unwrap());
    }
    bounded(20, body);
}

#[test]
fn a_call_that_waits_ends_at_its_limit_and_never_before() {
    everywhere(|| {
        let waits: [fn(); 4] = [
            thread::park,
            || thread::sleep(LONG),
            || thread::park_timeout(LONG),
            || {
                let start = Instant::now();
                thread::sleep_until(start + LONG);
            },
        ];
        for wait in waits {
            let start = Instant::now();
            assert!(elapsed(&time::timeout(SOON, wait)));
            assert!(start.elapsed() >= SOON);
            let at = Instant::now() + SOON;
            assert!(elapsed(&time::deadline(at, wait)));
            assert!(Instant::now() >= at);
        }
    });
}

#[test]
fn a_call_that_returns_has_its_result_however_late() {
    everywhere(|| {
        assert_eq!(time::timeout(LONG, || 1), Ok(1));
        assert_eq!(time::timeout(Duration::MAX, || 2), Ok(2));
        assert_eq!(time::timeout(Duration::ZERO, || 3), Ok(3));
        let late = time::timeout(Duration::from_micros(1), || {
            spin(SOON);
            4
        });
        assert_eq!(late, Ok(4));
        // Neither is left behind.
        thread::sleep(Duration::from_millis(1));
    });
}

#[test]
fn a_limit_of_no_time_strikes_at_the_first_wait() {
    everywhere(|| {
        let begun = AtomicBool::new(false);
        let late = time::timeout(Duration::ZERO, || {
            begun.store(true, SeqCst);
            thread::sleep(LONG);
        });
        assert!(elapsed(&late) && begun.load(SeqCst));
    });
}

#[test]
fn where_nothing_waits_a_yield_tells_the_time() {
    everywhere(|| {
        let late = time::timeout(SOON, || {
            loop {
                thread::yield_now();
            }
        });
        assert!(elapsed::<()>(&late));
    });
}

#[test]
fn the_inner_one_ends_its_own_call_only() {
    everywhere(|| {
        let outer = time::timeout(LONG, || {
            assert!(elapsed(&time::timeout(SOON, thread::park)));
            thread::sleep(Duration::from_millis(1));
            7
        });
        assert_eq!(outer, Ok(7));
    });
}

#[test]
fn the_outer_one_ends_the_inner_call_as_well() {
    everywhere(|| {
        let dropped = AtomicUsize::new(0);
        let start = Instant::now();
        let outer = time::timeout(SOON, || {
            let _outer = OnDrop(|| _ = dropped.fetch_add(1, SeqCst));
            let inner = time::timeout(LONG, || {
                let _inner = OnDrop(|| _ = dropped.fetch_add(10, SeqCst));
                thread::park();
            });
            unreachable!("{inner:?}");
        });
        assert!(elapsed::<()>(&outer) && start.elapsed() < LONG);
        assert_eq!(dropped.load(SeqCst), 11);
    });
}

#[test]
fn of_two_that_are_over_at_once_the_inner_one_is_first() {
    everywhere(|| {
        let at = Instant::now() + SOON;
        let mut inner = None;
        let outer = time::deadline(at, || {
            inner = Some(time::deadline(at, thread::park));
            thread::park();
        });
        assert!(elapsed(&outer) && inner.is_some_and(|inner| elapsed(&inner)));
    });
}

/// Nobody looked when the outer one was over, and when somebody does, both are.
#[test]
fn the_inner_one_is_first_also_if_the_outer_one_was_over_before() {
    everywhere(|| {
        let mut inner = None;
        let outer = time::timeout(Duration::from_millis(1), || {
            inner = Some(time::timeout(Duration::from_millis(2), || {
                spin(Duration::from_millis(4));
                thread::park();
            }));
            thread::sleep(LONG);
        });
        assert!(elapsed(&outer) && inner.is_some_and(|inner| elapsed(&inner)));
    });
}

#[test]
fn an_outer_one_that_is_over_during_the_inner_unwind_comes_after_it() {
    everywhere(|| {
        let mut inner = None;
        let outer = time::timeout(SOON, || {
            inner = Some(time::timeout(Duration::from_millis(1), || {
                // Not cut short: it is part of an unwind.
                let start = Instant::now();
                let _slow = OnDrop(move || {
                    thread::sleep(2 * SOON);
                    assert!(start.elapsed() >= 2 * SOON);
                });
                thread::park();
            }));
            thread::park();
        });
        assert!(elapsed(&outer) && inner.is_some_and(|inner| elapsed(&inner)));
    });
}

#[test]
fn who_swallows_it_is_thrown_into_again_but_only_inside() {
    everywhere(|| {
        let mut swallowed = 0;
        let result = time::timeout(SOON, || {
            for _ in 0..5 {
                let payload = catch_unwind(|| thread::sleep(LONG)).unwrap_err();
                assert!(payload.downcast_ref::<Cancelled>().unwrap().is_timeout());
                swallowed += 1;
            }
            8
        });
        assert_eq!((result, swallowed), (Ok(8), 5));
        thread::sleep(Duration::from_millis(1));
    });
}

#[test]
fn who_swallows_the_outer_one_inside_an_inner_one_is_thrown_into_again() {
    everywhere(|| {
        let mut after = false;
        let outer = time::timeout(SOON, || {
            let inner = time::timeout(LONG, || {
                assert!(catch_unwind(|| thread::sleep(LONG)).is_err());
                assert!(catch_unwind(thread::park).is_err());
                9
            });
            assert_eq!(inner, Ok(9));
            after = true;
            thread::park();
        });
        assert!(elapsed(&outer) && after);
    });
}

#[test]
fn what_is_caught_and_thrown_on_arrives() {
    everywhere(|| {
        let late = time::timeout(SOON, || {
            let payload = catch_unwind(thread::park).unwrap_err();
            // Meanwhile another one comes and goes.
            assert!(elapsed(&time::timeout(Duration::ZERO, || thread::sleep(LONG))));
            resume_unwind(payload);
        });
        assert!(elapsed::<()>(&late));
    });
}

#[test]
fn a_panic_inside_is_a_panic() {
    everywhere(|| {
        let panicked = catch_unwind(|| time::timeout(SOON, || -> () { panic!("of the user's") }));
        assert_eq!(message(&*panicked.unwrap_err()), "of the user's");
        // And one on the way of the unwind, as ever, caught by its own Drop.
        let late = time::timeout(SOON, || {
            let _caught = OnDrop(|| drop(catch_unwind(|| resume_unwind(Box::new(1)))));
            thread::park();
        });
        assert!(elapsed(&late));
    });
}

#[test]
fn a_cancel_passes_through_and_goes_first() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| {
                let inner = time::timeout(LONG, thread::park);
                unreachable!("{inner:?}");
            });
            thread::yield_now();
            handle.cancel();
            assert!(is_cancelled(&handle.join()));
            // Both are due.
            let handle = spawn(|| {
                let inner = time::timeout(Duration::from_millis(1), || {
                    thread::yield_now();
                    spin(SOON);
                    thread::park();
                });
                unreachable!("{inner:?}");
            });
            thread::yield_now();
            handle.cancel();
            assert!(is_cancelled(&handle.join()));
        });
    });
}

#[test]
fn a_cancel_that_comes_during_the_unwind_strikes_after_it() {
    bounded(10, || {
        run(|| {
            let (unwinds, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let (says, sets) = (Arc::clone(&unwinds), Arc::clone(&ended));
            let handle = spawn(move || {
                let late = time::timeout(SOON, || {
                    let _slow = OnDrop(|| {
                        says.store(true, SeqCst);
                        thread::park();
                    });
                    thread::sleep(LONG);
                });
                sets.store(elapsed(&late), SeqCst);
                thread::park();
                unreachable!("it was cancelled");
            });
            support::eventually(5, "it unwinds", || unwinds.load(SeqCst));
            handle.cancel();
            (0..5).for_each(|_| thread::yield_now());
            assert!(!handle.is_finished(), "nothing is thrown into an unwind");
            handle.thread().unpark();
            assert!(is_cancelled(&handle.join()));
            assert!(ended.load(SeqCst));
        });
    });
}

/// Asking in a loop leaves those who make the answer unsure a turn to end that.
#[test]
fn a_loop_that_asks_ends_although_another_unwinds() {
    bounded(20, || {
        run(|| {
            let other = spawn(|| {
                let _sleeps = OnDrop(|| thread::sleep(2 * SOON));
                panic!("unwinds slowly");
            });
            (0..10).for_each(|_| thread::yield_now());
            let asks: fn() = || {
                loop {
                    dormouse::cancel::check();
                }
            };
            assert!(elapsed(&time::timeout(SOON, asks)));
            assert!(other.join().is_err());
        });
    });
}

/// While another coroutine of the worker is suspended in its unwind, nobody knows who unwinds, and nothing is thrown.
#[test]
fn it_waits_until_it_is_certain_that_nothing_else_unwinds() {
    bounded(20, || {
        run(|| {
            let other = spawn(|| {
                let _parks = OnDrop(thread::park);
                panic!("unwinds slowly");
            });
            (0..10).for_each(|_| thread::yield_now());
            let park: fn() = thread::park;
            for wait in [park, || thread::sleep(LONG), || drop(spawn(thread::park).join())] {
                let start = Instant::now();
                let unsure = spawn(move || elapsed(&time::timeout(SOON, wait)));
                while start.elapsed() < 3 * SOON {
                    thread::yield_now();
                }
                assert!(!unsure.is_finished());
                drop(unsure);
            }
            // What has an end of its own still ends by it.
            let start = Instant::now();
            let sleeps = spawn(|| time::timeout(SOON, || thread::sleep(4 * SOON)));
            assert_eq!(sleeps.join().unwrap(), Ok(()));
            assert!(start.elapsed() >= 4 * SOON);
            let unsure = spawn(move || elapsed(&time::timeout(SOON, park)));
            thread::sleep(3 * SOON);
            assert!(!unsure.is_finished());
            other.thread().unpark();
            assert!(other.join().is_err());
            assert!(unsure.join().unwrap(), "it is certain now");
        });
    });
}

/// The other waits, in a Drop of its unwind, for what is held inside.
#[test]
fn it_lets_go_of_what_an_unwind_waits_for_if_it_waited_before() {
    bounded(20, || {
        run(|| {
            let held = Arc::new(dormouse::sync::Mutex::new(()));
            let wanted = Arc::clone(&held);
            let other = spawn(move || {
                let _locks = OnDrop(move || drop(wanted.lock()));
                thread::park();
            });
            (0..10).for_each(|_| thread::yield_now());
            let late = time::timeout(SOON, || {
                let _held = held.lock().unwrap();
                other.cancel();
                thread::sleep(LONG);
            });
            assert!(elapsed(&late));
            assert!(is_cancelled(&other.join()));
        });
    });
}

#[test]
fn in_a_drop_of_an_unwind_it_never_strikes() {
    everywhere(|| {
        let slept = Arc::new(AtomicBool::new(false));
        let sets = Arc::clone(&slept);
        let panicked = catch_unwind(move || {
            let _drop = OnDrop(move || {
                let start = Instant::now();
                let waited = time::timeout(Duration::from_millis(1), || thread::sleep(SOON));
                sets.store(waited == Ok(()) && start.elapsed() >= SOON, SeqCst);
            });
            resume_unwind(Box::new("any"));
        });
        assert!(panicked.is_err() && slept.load(SeqCst));
    });
}

#[test]
fn a_coroutine_spawned_inside_is_not_inside() {
    everywhere(|| {
        let late = time::timeout(SOON, || {
            let free = spawn(|| {
                thread::sleep(2 * SOON);
                5
            });
            let given = catch_unwind(std::panic::AssertUnwindSafe(|| thread::sleep(LONG)));
            drop(given);
            free
        });
        assert_eq!(late.unwrap().join().unwrap(), 5);
    });
}

#[test]
fn a_mutex_that_was_locked_inside_is_poisoned_and_free() {
    everywhere(|| {
        let mutex = dormouse::sync::Mutex::new(1);
        let late = time::timeout(SOON, || {
            let _guard = mutex.lock().unwrap();
            thread::park();
        });
        assert!(elapsed(&late) && mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap_err().into_inner(), 1);
    });
}

#[test]
fn at_the_end_of_the_runtime_its_call_unwinds_as_any() {
    bounded(10, || {
        let handle = run(|| {
            let handle = spawn(|| {
                let inner = time::timeout(LONG, thread::park);
                unreachable!("{inner:?}");
            });
            thread::yield_now();
            handle
        });
        assert!(is_cancelled(&handle.join()));
    });
}

#[test]
fn no_panic_message_is_printed() {
    let ended = child("no_panic_message_is_printed", 10, || {
        assert!(run(|| time::timeout(SOON, thread::park)).is_err());
        assert!(time::timeout(SOON, thread::park).is_err());
    });
    ended.succeeded();
    assert_eq!(ended.stderr, "");
}

#[test]
fn its_error_is_one_of_io_too() {
    let error: std::io::Error = time::timeout(Duration::ZERO, || thread::sleep(LONG)).unwrap_err().into();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "the time was over first");
    assert!(error.get_ref().unwrap().is::<Elapsed>());
}

/// Many at once, on many workers, nested at random: each ends, none before its time.
#[test]
fn many_at_once_nested_at_random() {
    fn nest(random: &mut support::Random, depth: u64, outer: Instant) {
        let limit = Instant::now() + Duration::from_micros(random.below(3000));
        let result = time::deadline(limit, || {
            if depth > 0 && random.below(3) > 0 {
                nest(random, depth - 1, limit.min(outer));
            }
            thread::sleep(Duration::from_micros(random.below(2000)));
        });
        assert!(result.is_ok() || Instant::now() >= limit);
    }
    for workers in [1, 3] {
        bounded(30, move || {
            let run = || {
                let handles: Vec<_> = (1..200)
                    .map(|seed| {
                        spawn(move || {
                            let mut random = support::Random(seed * 7919);
                            (0..5).for_each(|_| nest(&mut random, 4, Instant::now() + LONG));
                        })
                    })
                    .collect();
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            };
            Builder::new().workers(workers).run(run).unwrap();
        });
    }
}
