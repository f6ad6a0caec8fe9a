//! `thread::scope` and cancellation: children are cancelled with their parent, end before it, and are leaked only with it.

mod support;

use dormouse::{Builder, spawn, thread};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::{OnDrop, bounded, child, eventually, is_cancelled, run};

/// Runs `body` as a coroutine on one worker and on three, and on a plain thread.
fn everywhere(body: fn()) {
    for workers in [1, 3] {
        bounded(20, move || Builder::new().workers(workers).run(body).unwrap());
    }
    bounded(20, body);
}

#[test]
fn a_cancelled_scope_cancels_its_children_and_waits_on() {
    for workers in [1, 3] {
        bounded(20, move || {
            Builder::new()
                .workers(workers)
                .run(|| {
                    let (ended, parked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                    let parent = spawn({
                        let (ended, parked) = (Arc::clone(&ended), Arc::clone(&parked));
                        move || {
                            let (count, lent) = (&*ended, String::from("lent"));
                            thread::scope(|s| {
                                for _ in 0..10 {
                                    let (parked, lent) = (&parked, &lent);
                                    s.spawn(move || {
                                        let _on_drop = OnDrop(|| {
                                            thread::sleep(Duration::from_millis(2));
                                            assert_eq!(lent, "lent");
                                            count.fetch_add(1, SeqCst);
                                        });
                                        parked.fetch_add(1, SeqCst);
                                        thread::park();
                                    });
                                }
                            });
                            unreachable!("what the children were to do is not done");
                        }
                    });
                    eventually(5, "all are parked", || parked.load(SeqCst) == 10);
                    parent.cancel();
                    assert!(is_cancelled(&parent.join()));
                    assert_eq!(ended.load(SeqCst), 10);
                })
                .unwrap();
        });
    }
}

#[test]
fn a_cancel_that_strikes_in_the_closure_cancels_the_children() {
    bounded(20, || {
        run(|| {
            let ended = Arc::new(AtomicBool::new(false));
            let sets = Arc::clone(&ended);
            let parent = spawn(move || {
                thread::scope(|s| {
                    s.spawn(|| {
                        let _on_drop = OnDrop(|| sets.store(true, SeqCst));
                        thread::park();
                    });
                    thread::park();
                });
            });
            (0..4).for_each(|_| thread::yield_now());
            parent.cancel();
            assert!(is_cancelled(&parent.join()));
            assert!(ended.load(SeqCst));
        });
    });
}

/// The wait itself is no cancellation point: where nothing was cut short, the scope returns.
#[test]
fn a_cancel_that_cuts_nothing_short_lets_the_scope_return() {
    bounded(20, || {
        run(|| {
            let parent = spawn(|| {
                let given = thread::scope(|s| {
                    s.spawn(|| {
                        for _ in 0..5 {
                            assert!(catch_unwind(|| thread::sleep(Duration::from_millis(1))).is_err());
                        }
                    });
                    // Lets nothing strike here.
                    7
                });
                assert!(catch_unwind(thread::yield_now).unwrap_err().is::<dormouse::Cancelled>());
                given
            });
            // The child is not asleep yet when this comes.
            thread::yield_now();
            parent.cancel();
            assert_eq!(parent.join().unwrap(), 7);
        });
    });
}

#[test]
fn a_child_spawned_after_the_cancel_is_cancelled_too() {
    bounded(20, || {
        run(|| {
            let parent = spawn(|| {
                thread::scope(|s| {
                    s.spawn(move || {
                        let _ = catch_unwind(thread::park);
                        s.spawn(thread::park);
                    });
                });
            });
            (0..4).for_each(|_| thread::yield_now());
            parent.cancel();
            assert!(is_cancelled(&parent.join()));
        });
    });
}

#[test]
fn a_child_cancelled_for_itself_is_no_panic() {
    everywhere(|| {
        let given = thread::scope(|s| {
            let handle = s.spawn(thread::park);
            thread::sleep(Duration::from_millis(1));
            handle.cancel();
            5
        });
        assert_eq!(given, 5);
        thread::scope(|s| {
            let handle = s.spawn(thread::park);
            handle.cancel();
            assert!(is_cancelled(&handle.join()));
        });
    });
}

#[test]
fn at_shutdown_children_end_before_their_parents() {
    for workers in [1, 3] {
        bounded(20, move || {
            let order = Arc::new(AtomicUsize::new(0));
            let counts = Arc::clone(&order);
            Builder::new()
                .workers(workers)
                .run(move || {
                    let started = Arc::new(AtomicUsize::new(0));
                    for _ in 0..20 {
                        let (counts, started) = (Arc::clone(&counts), Arc::clone(&started));
                        spawn(move || {
                            let lent = AtomicUsize::new(0);
                            let whole = OnDrop(|| _ = counts.fetch_add(lent.load(SeqCst), SeqCst));
                            thread::scope(|s| {
                                for _ in 0..5 {
                                    s.spawn(|| {
                                        let _on_drop = OnDrop(|| {
                                            thread::sleep(Duration::from_millis(2));
                                            lent.fetch_add(1, SeqCst);
                                        });
                                        started.fetch_add(1, SeqCst);
                                        thread::park();
                                    });
                                }
                            });
                            drop(whole);
                        });
                    }
                    eventually(5, "all have started", || started.load(SeqCst) == 100);
                })
                .unwrap();
            assert_eq!(order.load(SeqCst), 100, "each parent saw all of its children's ends");
        });
    }
}

/// A child that the grace does not end is leaked, and so is the frame it borrows from: nothing of that is dropped.
#[test]
fn with_a_leaked_child_its_parent_is_leaked() {
    let ended = child("with_a_leaked_child_its_parent_is_leaked", 20, || {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        for workers in [1, 2] {
            let parent = Builder::new().workers(workers).shutdown_timeout(Duration::from_millis(100)).run(|| {
                let started = Arc::new(AtomicBool::new(false));
                let sets = Arc::clone(&started);
                let parent = thread::Builder::new().name("parent".into());
                let parent = parent.spawn(move || {
                    let lent = OnDrop(|| _ = DROPPED.fetch_add(1, SeqCst));
                    thread::scope(|s| {
                        let stubborn = thread::Builder::new().name("stubborn".into());
                        let stubborn = stubborn.spawn_scoped(s, || {
                            let _lent = &lent;
                            let _on_drop = OnDrop(|| thread::sleep(Duration::from_secs(3600)));
                            sets.store(true, SeqCst);
                            thread::park();
                        });
                        drop(stubborn.unwrap());
                    });
                });
                eventually(5, "the child has started", || started.load(SeqCst));
                parent.unwrap()
            });
            assert!(is_cancelled(&parent.unwrap().join()));
            assert_eq!(DROPPED.load(SeqCst), 0);
        }
        eprintln!("went on");
    });
    ended.succeeded();
    ended.said(&["coroutine 'stubborn'", "coroutine 'parent'", "went on"]);
    assert_eq!(ended.stderr.matches("is leaked").count(), 4, "{}", ended.stderr);
}

/// Somebody else on the worker unwinds, so that nothing but the scope knows that its caller does not.
#[test]
fn one_that_is_cut_short_unwinds_also_while_another_unwinds() {
    bounded(10, || {
        run(|| {
            let went_on = Arc::new(AtomicUsize::new(0));
            let sees = Arc::clone(&went_on);
            let parent = spawn(move || {
                let mut result = None;
                thread::scope(|s| {
                    s.spawn(|| {
                        thread::park();
                        result = Some(1);
                    });
                });
                sees.store(1 + usize::from(result.is_some()), SeqCst);
            });
            (0..10).for_each(|_| thread::yield_now());
            let other = spawn(|| {
                let _parks = OnDrop(thread::park);
                panic!("unwinds slowly");
            });
            (0..10).for_each(|_| thread::yield_now());
            parent.cancel();
            assert!(parent.join().is_err());
            assert_eq!(went_on.load(SeqCst), 0, "the scope returned, though its child was cut short");
            other.thread().unpark();
            assert!(other.join().is_err());
        });
    });
}
