//! `thread::nursery`, `Scope::cancel` and `Thread::cancel`: coroutines that end together.

mod support;

use dormouse::{Builder, spawn, thread, time};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::{OnDrop, bounded, eventually, is_cancelled, message, run};

/// Runs `body` as a coroutine on one worker and on three, and on a plain thread.
fn everywhere(body: fn()) {
    for workers in [1, 3] {
        bounded(20, move || Builder::new().workers(workers).run(body).unwrap());
    }
    bounded(20, body);
}

fn fails() {
    resume_unwind(Box::new("fails"));
}

#[test]
fn one_that_panics_cancels_the_others_and_comes_out() {
    everywhere(|| {
        let (ended, parked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failed = catch_unwind(AssertUnwindSafe(|| {
            thread::nursery(|s| {
                for _ in 0..10 {
                    s.spawn(|| {
                        let _on_drop = OnDrop(|| _ = ended.fetch_add(1, SeqCst));
                        parked.fetch_add(1, SeqCst);
                        thread::park();
                        unreachable!("nobody unparks it");
                    });
                }
                eventually(5, "all are parked", || parked.load(SeqCst) == 10);
                s.spawn(fails);
            });
        }));
        assert_eq!(message(&*failed.unwrap_err()), "a scoped thread panicked");
        assert_eq!(ended.load(SeqCst), 10);
    });
}

#[test]
fn one_that_comes_after_a_panic_is_cancelled_too() {
    everywhere(|| {
        let failed = catch_unwind(|| {
            thread::nursery(|s| {
                let first = s.spawn(fails);
                eventually(5, "it has failed", || first.is_finished());
                assert!(is_cancelled(&s.spawn(thread::park).join()));
            });
        });
        assert!(failed.is_err());
    });
}

/// Whoever joins the one that failed has its failure; the others are cancelled all the same.
#[test]
fn a_failure_that_was_joined_does_not_come_out() {
    everywhere(|| {
        let given = thread::nursery(|s| {
            let waits = s.spawn(thread::park);
            assert_eq!(message(&*s.spawn(fails).join().unwrap_err()), "fails");
            assert!(is_cancelled(&waits.join()));
            3
        });
        assert_eq!(given, 3);
    });
}

#[test]
fn one_that_is_cancelled_for_itself_cancels_nobody() {
    everywhere(|| {
        let given = thread::nursery(|s| {
            let works = s.spawn(|| {
                thread::sleep(Duration::from_millis(3));
                5
            });
            s.spawn(thread::park).cancel();
            works.join().unwrap()
        });
        assert_eq!(given, 5);
    });
}

#[test]
fn a_scope_lets_the_others_go_on() {
    everywhere(|| {
        let went_on = AtomicUsize::new(0);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|s| {
                s.spawn(fails);
                s.spawn(|| {
                    thread::sleep(Duration::from_millis(2));
                    went_on.fetch_add(1, SeqCst);
                });
            });
        }));
        assert!(failed.is_err() && went_on.load(SeqCst) == 1);
    });
}

#[test]
fn nurseries_nest_and_a_failure_goes_outwards() {
    everywhere(|| {
        let ended = AtomicUsize::new(0);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            thread::nursery(|outer| {
                outer.spawn(|| {
                    let _on_drop = OnDrop(|| _ = ended.fetch_add(1, SeqCst));
                    thread::park();
                });
                outer.spawn(|| {
                    thread::nursery(|inner| {
                        inner.spawn(|| {
                            let _on_drop = OnDrop(|| _ = ended.fetch_add(10, SeqCst));
                            thread::park();
                        });
                        inner.spawn(|| {
                            thread::sleep(Duration::from_millis(2));
                            fails();
                        });
                    });
                });
            });
        }));
        assert!(failed.is_err());
        // One that had not begun when it was cancelled has dropped its closure instead.
        assert!(ended.load(SeqCst) <= 11);
    });
}

#[test]
fn a_scope_that_is_cancelled_ends_its_coroutines_and_returns() {
    everywhere(|| {
        let ended = AtomicUsize::new(0);
        let parked = AtomicUsize::new(0);
        let given = thread::scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    let _on_drop = OnDrop(|| _ = ended.fetch_add(1, SeqCst));
                    parked.fetch_add(1, SeqCst);
                    thread::park();
                });
            }
            eventually(5, "all are parked", || parked.load(SeqCst) == 10);
            s.cancel();
            assert!(is_cancelled(&s.spawn(thread::park).join()), "one to come");
            thread::sleep(Duration::from_millis(1));
            6
        });
        assert_eq!((given, ended.load(SeqCst)), (6, 10));
    });
}

#[test]
fn one_of_them_may_cancel_the_scope_itself_included() {
    everywhere(|| {
        let after = AtomicUsize::new(0);
        thread::scope(|s| {
            s.spawn(thread::park);
            s.spawn(|| {
                s.cancel();
                thread::park();
                after.fetch_add(1, SeqCst);
            });
        });
        assert_eq!(after.load(SeqCst), 0);
    });
}

#[test]
fn a_scope_within_a_timeout_that_is_over_ends_with_its_coroutines() {
    everywhere(|| {
        let ended = AtomicUsize::new(0);
        let late = time::timeout(Duration::from_millis(3), || {
            thread::scope(|s| {
                for _ in 0..5 {
                    s.spawn(|| {
                        let _on_drop = OnDrop(|| {
                            thread::sleep(Duration::from_millis(1));
                            ended.fetch_add(1, SeqCst);
                        });
                        thread::park();
                    });
                }
            });
            unreachable!("what they were to do is not done");
        });
        assert!(late.is_err());
        assert!(ended.load(SeqCst) <= 5);
        // In its closure, not in its end.
        let late = time::timeout(Duration::from_millis(3), || {
            thread::scope(|s| {
                s.spawn(thread::park);
                thread::sleep(Duration::from_secs(3600));
            });
        });
        assert!(late.is_err());
    });
}

/// Where nothing was cut short, the scope returns, and what comes next unwinds.
#[test]
fn a_timeout_that_cuts_nothing_short_lets_the_scope_return() {
    everywhere(|| {
        let mut given = None;
        let late = time::timeout(Duration::from_millis(2), || {
            given = Some(thread::scope(|s| {
                s.spawn(|| _ = catch_unwind(|| thread::sleep(Duration::from_secs(3600))));
                7
            }));
            thread::sleep(Duration::from_secs(3600));
        });
        assert!(late.is_err() && given == Some(7));
    });
}

#[test]
fn a_coroutine_is_cancelled_by_its_thread() {
    bounded(10, || {
        run(|| {
            let waiting = spawn(thread::park);
            let thread = waiting.thread().clone();
            thread::yield_now();
            thread.cancel();
            assert!(is_cancelled(&waiting.join()));
            // It has ended.
            thread.cancel();
            let own = spawn(|| {
                thread::current().cancel();
                thread::park();
            });
            assert!(is_cancelled(&own.join()));
        });
        // A plain thread is not asked.
        thread::current().cancel();
        thread::park_timeout(Duration::from_millis(1));
    });
}
