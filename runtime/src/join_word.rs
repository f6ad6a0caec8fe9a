//! The word between a coroutine's end and the holder of its handle.
//!
//! Owns who of the two comes first, and the waiter of a holder that waits. Does not know what a result is: it says whose
//! the result is now. Two parties touch it: the *runner* calls `finish` once; the *holder* calls everything else.
//!
//! ```text
//!             leave                  finish
//!   PENDING ---------> a waiter ---------------> DONE     the result is the holder's, the waiter is woken
//!      |   \_______________________ finish ____/          the result is the holder's
//!      |  detach        | detach
//!      v                v            finish
//!   DETACHED <----------+  --------------------> DONE     the result is the runner's, to drop
//! ```
//!
//! Invariant 1: the word is `PENDING`, `DETACHED`, `DONE`, or a waiter's box that it owns.
//! Invariant 2: the result is written before `finish` and read after the word was seen `DONE`.

#![allow(unsafe_code)]

use crate::atomic::{AtomicPtr, Ordering};

/// Not finished, nobody waits.
const PENDING: usize = 0;
/// Finished.
const DONE: usize = 1;
/// Not finished, and nobody ever will wait.
const DETACHED: usize = 2;

/// What `finish` found.
pub(crate) enum Finished<W> {
    /// The holder will look.
    Held,
    /// The holder waits.
    Awaited(Box<W>),
    /// There is no holder: the result is the runner's.
    Detached,
}

/// See the heading.
pub(crate) struct JoinWord<W> {
    /// Invariant 1.
    word: AtomicPtr<W>,
}

fn mark<W>(mark: usize) -> *mut W {
    std::ptr::without_provenance_mut(mark)
}

fn waiter<W>(word: *mut W) -> Option<Box<W>> {
    let is_mark = word.addr() <= DETACHED;
    // SAFETY: invariant 1: not a mark, so a box; the caller has just taken it out of the word.
    (!is_mark).then(|| unsafe { Box::from_raw(word) })
}

impl<W> JoinWord<W> {
    pub(crate) fn new() -> JoinWord<W> {
        JoinWord { word: AtomicPtr::new(mark(PENDING)) }
    }

    /// Runner only, once, after the result was written.
    pub(crate) fn finish(&self) -> Finished<W> {
        // ORDERING: Release publishes the result to the Acquire loads of `is_done`, `leave` and `detach`; Acquire pairs with
        // the Release of `leave` (the waiter's content) and of `detach`.
        let before = self.word.swap(mark(DONE), Ordering::AcqRel);
        match waiter(before) {
            Some(waiter) => Finished::Awaited(waiter),
            None if before.addr() == DETACHED => Finished::Detached,
            None => Finished::Held,
        }
    }

    /// Holder only: whether the result is there, for the holder.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        // ORDERING: Acquire; pairs with the Release half of `finish`.
        self.word.load(Ordering::Acquire).addr() == DONE
    }

    /// Holder only: leaves a waiter to be woken, in place of an earlier one; `false` if the result is there already.
    pub(crate) fn leave(&self, waiting: Box<W>) -> bool {
        let fresh = Box::into_raw(waiting);
        // ORDERING: Release publishes the waiter to `finish`; Acquire pairs with its Release half if that came first.
        let put =
            self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| (word.addr() != DONE).then_some(fresh));
        // Either the earlier waiter, or the new one, which nobody has seen.
        drop(waiter(if let Ok(before) = put { before } else { fresh }));
        put.is_ok()
    }

    /// Holder only, last: nobody will look. `true` if the result is there already, and the holder's to drop.
    pub(crate) fn detach(&self) -> bool {
        // ORDERING: Acquire pairs with the Release half of `finish`; Release lets `finish` see what came before.
        let put = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| (word.addr() != DONE).then_some(mark(DETACHED)));
        drop(put.map(waiter));
        put.is_err()
    }
}

impl<W> Drop for JoinWord<W> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self`, so both parties are gone. A load, since an exchange locks the bus for nothing.
        drop(waiter(self.word.load(Ordering::Relaxed)));
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn whoever_comes_second_has_the_result() {
        let finished_first = JoinWord::<u64>::new();
        assert!(matches!(finished_first.finish(), Finished::Held));
        assert!(finished_first.is_done() && finished_first.detach());
        assert!(!finished_first.leave(Box::new(1)));
        let detached_first = JoinWord::<u64>::new();
        assert!(!detached_first.detach());
        assert!(matches!(detached_first.finish(), Finished::Detached));
    }

    #[test]
    fn the_last_waiter_is_woken_and_none_is_leaked() {
        let (first, second) = (Arc::new(1), Arc::new(2));
        let word = JoinWord::new();
        assert!(word.leave(Box::new(Arc::clone(&first))));
        assert!(word.leave(Box::new(Arc::clone(&second))));
        assert_eq!(Arc::strong_count(&first), 1);
        assert!(matches!(word.finish(), Finished::Awaited(waiter) if **waiter == 2));
        let abandoned = JoinWord::new();
        abandoned.leave(Box::new(Arc::clone(&second)));
        drop(abandoned);
        assert_eq!(Arc::strong_count(&second), 1);
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::sync::{Arc, Notify};

    /// A holder that joins gets the result, whatever the interleaving; the cell reports a read that is not ordered.
    #[test]
    fn a_joiner_gets_the_result() {
        loom::model(|| {
            let shared = Arc::new((JoinWord::<Arc<Notify>>::new(), Cell::new(0)));
            let runner = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                runner.1.set(7);
                if let Finished::Awaited(waiter) = runner.0.finish() {
                    waiter.notify();
                }
            });
            let wake = Arc::new(Notify::new());
            if !shared.0.is_done() && shared.0.leave(Box::new(Arc::clone(&wake))) {
                wake.wait();
            }
            while !shared.0.is_done() {
                loom::thread::yield_now();
            }
            assert_eq!(shared.1.get(), 7);
            thread.join().unwrap();
        });
    }

    /// Exactly one of the two drops the result of a detached coroutine.
    #[test]
    fn a_detached_result_is_dropped_once() {
        loom::model(|| {
            let shared = Arc::new((JoinWord::<()>::new(), Cell::new(0)));
            let runner = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                runner.1.set(1);
                if let Finished::Detached = runner.0.finish() {
                    runner.1.set(runner.1.get() - 1);
                }
            });
            if shared.0.detach() {
                shared.1.set(shared.1.get() - 1);
            }
            thread.join().unwrap();
            assert_eq!(shared.1.get(), 0);
        });
    }
}
