//! The word between a coroutine's end and the holder of its handle.
//!
//! Owns who of the two comes first, and the waiter of a holder that waits. Does not know what a result is: it says whose
//! the result is now. Two parties touch it: the *runner* calls `finish` once; the *holder* calls everything else.
//!
//! ```text
//!             leave              finish
//!   PENDING <-------> WAITING ---------------> DONE     the result is the holder's, the waiter is woken
//!      |   \__________________ finish ________/         the result is the holder's
//!      |  detach        | detach
//!      v                v          finish
//!   DETACHED <----------+  ------------------> DONE     the result is the runner's, to drop
//! ```
//!
//! Invariant 1: the waiter is there while the word says `WAITING`. It belongs to the holder, who may take it back by leaving
//! that state; whoever makes `DONE` of `WAITING` has it instead.
//! Invariant 2: the result is written before `finish` and read after the word was seen `DONE`.
//! Invariant 3: the holder is one thread at a time, and one call at a time.

#![allow(unsafe_code)]

use crate::atomic::{AtomicU32, Ordering, SharedCell};
use std::mem::MaybeUninit;

/// Not finished, nobody waits.
const PENDING: u32 = 0;
/// Not finished, and the holder waits.
const WAITING: u32 = 1;
/// Finished.
const DONE: u32 = 2;
/// Not finished, and nobody ever will wait.
const DETACHED: u32 = 3;

/// What `finish` found.
pub(crate) enum Finished<W> {
    /// The holder will look.
    Held,
    /// The holder waits.
    Awaited(W),
    /// There is no holder: the result is the runner's.
    Detached,
}

/// See the heading.
pub(crate) struct JoinWord<W> {
    /// One of the four.
    word: AtomicU32,
    /// Invariant 1.
    waiter: SharedCell<MaybeUninit<W>>,
}

// SAFETY: the waiter goes from the holder's thread to the runner's, one of them at a time (invariant 1).
unsafe impl<W: Send> Send for JoinWord<W> {}
// SAFETY: as above.
unsafe impl<W: Send> Sync for JoinWord<W> {}

impl<W> JoinWord<W> {
    pub(crate) fn new() -> JoinWord<W> {
        JoinWord { word: AtomicU32::new(PENDING), waiter: SharedCell::new(MaybeUninit::uninit()) }
    }

    /// Runner only, once, after the result was written.
    #[inline]
    pub(crate) fn finish(&self) -> Finished<W> {
        // ORDERING: Release publishes the result to the Acquire loads of `is_done`, `leave` and `detach`; Acquire pairs with
        // the Release of `leave` (the waiter) and of `detach`.
        match self.word.swap(DONE, Ordering::AcqRel) {
            // SAFETY: invariant 1: this was the step from `WAITING` to `DONE`.
            WAITING => Finished::Awaited(unsafe { self.take_waiter() }),
            DETACHED => Finished::Detached,
            _ => Finished::Held,
        }
    }

    /// # Safety
    ///
    /// The waiter is there and the caller's, by invariant 1.
    #[inline]
    unsafe fn take_waiter(&self) -> W {
        // SAFETY: the caller's word.
        self.waiter.with_mut(|waiter| unsafe { (*waiter).assume_init_read() })
    }

    /// Holder only: whether the result is there, for the holder.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        // ORDERING: Acquire; pairs with the Release half of `finish`.
        self.word.load(Ordering::Acquire) == DONE
    }

    /// Leaves the waiter that `make` gives to be woken, in place of an earlier one; `false` if the result is there already.
    ///
    /// # Safety
    ///
    /// The caller is the holder (invariant 3).
    #[inline]
    pub(crate) unsafe fn leave(&self, make: impl FnOnce() -> W) -> bool {
        // ORDERING: Acquire pairs with the Release half of `finish`: the result is the caller's to read after a `false`.
        match self.word.load(Ordering::Acquire) {
            DONE => return false,
            // SAFETY: the caller's word.
            WAITING if !unsafe { self.withdraw() } => return false,
            _ => {}
        }
        // SAFETY: the word said `PENDING`, since when only the holder can have said `WAITING`: the cell is the holder's.
        self.waiter.with_mut(|place| unsafe { (*place).write(make()) });
        // ORDERING: Release publishes the waiter to `finish`; Acquire pairs with its Release half if that came first.
        let left = self.word.compare_exchange(PENDING, WAITING, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !left {
            // SAFETY: invariant 1: it was `PENDING` that became `DONE`, so the waiter is still the holder's.
            drop(unsafe { self.take_waiter() });
        }
        left
    }

    /// Takes the waiter back and drops it; `false` if the runner has it.
    ///
    /// # Safety
    ///
    /// The caller is the holder (invariant 3).
    #[cold]
    unsafe fn withdraw(&self) -> bool {
        // ORDERING: Acquire pairs with the Release half of `finish`, if that came first; nothing is published.
        let back = self.word.compare_exchange(WAITING, PENDING, Ordering::Acquire, Ordering::Acquire).is_ok();
        if back {
            // SAFETY: invariant 1: the holder left the state.
            drop(unsafe { self.take_waiter() });
        }
        back
    }

    /// Last: nobody will look. `true` if the result is there already, and the holder's to drop.
    ///
    /// # Safety
    ///
    /// The caller is the holder (invariant 3).
    pub(crate) unsafe fn detach(&self) -> bool {
        // ORDERING: Acquire pairs with the Release half of `finish`; Release lets `finish` see what came before.
        let put =
            self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| (word != DONE).then_some(DETACHED));
        if put == Ok(WAITING) {
            // SAFETY: invariant 1: the holder left the state.
            drop(unsafe { self.take_waiter() });
        }
        put.is_err()
    }
}

impl<W> Drop for JoinWord<W> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self`, so both parties are gone. A load, since an exchange locks the bus for nothing.
        if self.word.load(Ordering::Relaxed) == WAITING {
            // SAFETY: invariant 1, and there is no other party.
            drop(unsafe { self.take_waiter() });
        }
    }
}

/// The holder's calls, for tests in which whoever calls is the holder.
#[cfg(test)]
mod as_holder {
    use super::JoinWord;

    pub(super) fn leave<W>(word: &JoinWord<W>, waiter: W) -> bool {
        // SAFETY: each test has one holder.
        unsafe { word.leave(|| waiter) }
    }

    pub(super) fn detach<W>(word: &JoinWord<W>) -> bool {
        // SAFETY: each test has one holder.
        unsafe { word.detach() }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::as_holder::{detach, leave};
    use super::*;
    use std::sync::Arc;

    #[test]
    fn whoever_comes_second_has_the_result() {
        let finished_first = JoinWord::<u64>::new();
        assert!(matches!(finished_first.finish(), Finished::Held));
        assert!(finished_first.is_done() && detach(&finished_first));
        assert!(!leave(&finished_first, 1));
        let detached_first = JoinWord::<u64>::new();
        assert!(!detach(&detached_first));
        assert!(matches!(detached_first.finish(), Finished::Detached));
    }

    #[test]
    fn the_last_waiter_is_woken_and_none_is_leaked() {
        let (first, second) = (Arc::new(1), Arc::new(2));
        let word = JoinWord::new();
        assert!(leave(&word, Arc::clone(&first)));
        assert!(leave(&word, Arc::clone(&second)));
        assert_eq!(Arc::strong_count(&first), 1);
        assert!(matches!(word.finish(), Finished::Awaited(waiter) if *waiter == 2));
        let abandoned = JoinWord::new();
        leave(&abandoned, Arc::clone(&second));
        drop(abandoned);
        assert_eq!(Arc::strong_count(&second), 1);
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::as_holder::{detach, leave};
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
            let shared = Arc::new(JoinWord::<Arc<Notify>>::new());
            let runner = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                if let Finished::Awaited(waiter) = runner.finish() {
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

    /// Whatever the holder does, each waiter is dropped once and one of the two has the result.
    #[test]
    fn every_waiter_is_dropped_and_the_result_has_one_owner() {
        for leaves in 0..3 {
            loom::model(move || {
                let shared = Arc::new((JoinWord::<std::sync::Arc<()>>::new(), Cell::new(0)));
                let runner = Arc::clone(&shared);
                let thread = loom::thread::spawn(move || match runner.0.finish() {
                    Finished::Detached => runner.1.set(runner.1.get() + 1),
                    Finished::Awaited(waiter) => drop(waiter),
                    Finished::Held => {}
                });
                let waiter = std::sync::Arc::new(());
                for _ in 0..leaves {
                    leave(&shared.0, std::sync::Arc::clone(&waiter));
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
            let shared = Arc::new((JoinWord::<()>::new(), Cell::new(0)));
            let runner = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || {
                runner.1.set(1);
                if let Finished::Detached = runner.0.finish() {
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
}
