//! The two parties at once, in every order that loom finds.

use super::as_parties::{End, detach, finish, leave, poll};
use super::*;
use loom::cell::Cell;
use loom::sync::{Arc, Notify};

/// A holder that joins gets the result, whatever the interleaving; the cell reports a read that is not ordered.
#[test]
fn a_joiner_gets_the_result() {
    loom::model(|| {
        let shared = Arc::new((JoinWord::<Arc<Notify>, Arc<Notify>>::new(), Cell::new(0)));
        let runner = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || {
            runner.1.set(7);
            if let End::Awaited(waiter) = finish(&runner.0) {
                waiter.notify();
            }
        });
        let wake = Arc::new(Notify::new());
        if !shared.0.is_done() && leave(&shared.0, Arc::clone(&wake)) {
            wake.wait();
        }
        while !shared.0.is_done() {
            loom::thread::yield_now();
        }
        assert_eq!(shared.1.get(), 7);
        thread.join().unwrap();
    });
}

/// A holder that returned for no reason leaves another waiter in place of the first: whichever the runner takes is whole, and
/// the one that counts is woken.
#[test]
fn a_joiner_may_wait_again() {
    loom::model(|| {
        let shared = Arc::new(JoinWord::<Arc<Notify>, Arc<Notify>>::new());
        let runner = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || {
            if let End::Awaited(waiter) = finish(&runner) {
                waiter.notify();
            }
        });
        let (stale, wake) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        if leave(&shared, Arc::clone(&stale)) && leave(&shared, Arc::clone(&wake)) {
            wake.wait();
        }
        while !shared.is_done() {
            loom::thread::yield_now();
        }
        thread.join().unwrap();
    });
}

/// A holder that is polled again leaves another task in place of the first, or of a waiter: the end meets each step, and either
/// the last task is woken or the holder learns of the end.
#[test]
fn a_task_may_be_polled_again() {
    for first_blocks in [false, true] {
        loom::model(move || {
            let shared = Arc::new((JoinWord::<Arc<Notify>, Arc<Notify>>::new(), Cell::new(0)));
            let runner = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                runner.1.set(7);
                if let End::Polled(task) | End::Awaited(task) = finish(&runner.0) {
                    task.notify();
                }
            });
            let (stale, wake) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let first = if first_blocks { leave(&shared.0, stale) } else { poll(&shared.0, stale) };
            if first && poll(&shared.0, Arc::clone(&wake)) {
                wake.wait();
            }
            while !shared.0.is_done() {
                loom::thread::yield_now();
            }
            assert_eq!(shared.1.get(), 7);
            thread.join().unwrap();
        });
    }
}

/// Whatever the holder does, each waiter is dropped once and one of the two has the result.
#[test]
fn every_waiter_is_dropped_and_the_result_has_one_owner() {
    for (leaves, polls) in [(0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (1, 1)] {
        loom::model(move || {
            let shared = Arc::new((JoinWord::<std::sync::Arc<()>, std::sync::Arc<()>>::new(), Cell::new(0)));
            let runner = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || match finish(&runner.0) {
                End::Detached => runner.1.set(runner.1.get() + 1),
                End::Awaited(left) | End::Polled(left) => drop(left),
                End::Held => {}
            });
            let waiter = std::sync::Arc::new(());
            for _ in 0..leaves {
                leave(&shared.0, std::sync::Arc::clone(&waiter));
            }
            for _ in 0..polls {
                poll(&shared.0, std::sync::Arc::clone(&waiter));
            }
            if detach(&shared.0) {
                shared.1.set(shared.1.get() + 1);
            }
            thread.join().unwrap();
            assert_eq!((shared.1.get(), std::sync::Arc::strong_count(&waiter)), (1, 1));
        });
    }
}

/// Exactly one of the two drops the result of a detached coroutine.
#[test]
fn a_detached_result_is_dropped_once() {
    loom::model(|| {
        let shared = Arc::new((JoinWord::<(), ()>::new(), Cell::new(0)));
        let runner = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || {
            runner.1.set(1);
            if let End::Detached = finish(&runner.0) {
                runner.1.set(runner.1.get() - 1);
            }
        });
        if detach(&shared.0) {
            shared.1.set(shared.1.get() - 1);
        }
        thread.join().unwrap();
        assert_eq!(shared.1.get(), 0);
    });
}

/// A holder that sees `DONE` may free the word (`Leftover::Nothing`): the runner must not touch it any more. The holder's
/// access to the waiter stands for the free.
#[test]
fn once_done_the_word_is_the_holders_to_free() {
    for (leaves, polls) in [(0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (1, 1)] {
        loom::model(move || {
            let shared = Arc::new(JoinWord::<u64, u64>::new());
            let runner = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || drop(finish(&runner)));
            let mut waits = true;
            for _ in 0..leaves {
                waits = leave(&shared, 7);
            }
            for _ in 0..polls {
                waits = poll(&shared, 8);
            }
            if !waits || detach(&shared) {
                shared.left.with_mut(|_freed| ());
            }
            thread.join().unwrap();
        });
    }
}
