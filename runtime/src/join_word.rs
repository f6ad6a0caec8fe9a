//! The word between a coroutine's end and the holder of its handle.
//!
//! Owns who of the two comes first, and the waiter of a holder that waits. Does not know what a result is: it says whose
//! the result is now. Two parties touch it: the *runner* calls `finish` once; the *holder* calls everything else.
//!
//! ```text
//!             leave              finish
//!   PENDING <-------> WAITING ---------> TAKING ------> DONE     the result is the holder's, the waiter is woken
//!      |   \_____________________ finish _____________/          the result is the holder's
//!      |  detach        | detach
//!      v                v          finish
//!   DETACHED <----------+  -------------------------> (ended)    the result is the runner's, to drop
//! ```
//!
//! Invariant 1: the waiter is there while the word says `WAITING`. It belongs to the holder, who may take it back by leaving
//! that state, until the runner makes `TAKING` of it: then it is the runner's.
//! Invariant 2: the result is written before `finish` and read after the word was seen `DONE`.
//! Invariant 3: the holder is one thread at a time, and one call at a time.
//! Invariant 4: once the word says `DONE`, the runner touches it no more: the holder may free it. In `TAKING` the runner is a
//! few instructions from there; a holder who comes then waits for them.

#![allow(unsafe_code)]

use crate::atomic::{AtomicU32, Ordering, SharedCell, yield_now};
use std::mem::MaybeUninit;

/// Not finished, nobody waits.
const PENDING: u32 = 0;
/// Not finished, and the holder waits.
const WAITING: u32 = 1;
/// What the end adds.
const END: u32 = 2;
/// Finished.
const DONE: u32 = PENDING + END;
/// Finished, and the runner is taking the waiter.
const TAKING: u32 = WAITING + END;
/// Not finished, and nobody ever will wait.
const DETACHED: u32 = 4;

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
    /// One of the states.
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

    /// The runner's end, after the result was written. By a pointer, since a reference would have to be good until this returns
    /// (invariant 4).
    ///
    /// # Safety
    ///
    /// The caller is the runner, and calls this once; `this` is alive until the word says `DONE`.
    #[inline]
    pub(crate) unsafe fn finish(this: *const Self) -> Finished<W> {
        // SAFETY: alive, by the caller's word.
        let word = unsafe { &(*this).word };
        // ORDERING: Release publishes the result to the Acquire loads of `is_done`, `leave` and `detach`; Acquire pairs with
        // the Release of `leave` (the waiter) and of `detach`.
        match word.fetch_add(END, Ordering::AcqRel) {
            PENDING => Finished::Held,
            WAITING => {
                // SAFETY: invariant 1; it is `TAKING`, so alive.
                let waiter = unsafe { (*this).take_waiter() };
                // ORDERING: Release; what was taken and the result come before what the holder does upon `DONE`.
                word.store(DONE, Ordering::Release);
                Finished::Awaited(waiter)
            }
            _ => Finished::Detached,
        }
    }

    /// Holder only: waits until the runner has taken the waiter, a few instructions, or a time slice if it was interrupted in
    /// between. Only a holder who comes back for another reason than its wake gets here.
    #[cold]
    fn let_take(&self) {
        // ORDERING: Acquire; pairs with the Release store in `finish`.
        while self.word.load(Ordering::Acquire) == TAKING {
            yield_now();
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
        // ORDERING: Acquire; pairs with the Release of `finish`.
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
            TAKING | WAITING if !unsafe { self.withdraw() } => {
                self.let_take();
                return false;
            }
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
            self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| (word & END == 0).then_some(DETACHED));
        match put {
            // SAFETY: invariant 1: the holder left the state.
            Ok(WAITING) => drop(unsafe { self.take_waiter() }),
            Err(TAKING) => self.let_take(),
            _ => {}
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

/// The calls of the two, for tests in which whoever calls is the one meant.
#[cfg(test)]
mod as_parties {
    use super::{Finished, JoinWord};

    pub(super) fn finish<W>(word: &JoinWord<W>) -> Finished<W> {
        // SAFETY: each test has one runner, and keeps the word.
        unsafe { JoinWord::finish(word) }
    }

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
    use super::as_parties::{detach, finish, leave};
    use super::*;
    use std::sync::Arc;

    #[test]
    fn whoever_comes_second_has_the_result() {
        let finished_first = JoinWord::<u64>::new();
        assert!(matches!(finish(&finished_first), Finished::Held));
        assert!(finished_first.is_done() && detach(&finished_first));
        assert!(!leave(&finished_first, 1));
        let detached_first = JoinWord::<u64>::new();
        assert!(!detach(&detached_first));
        assert!(matches!(finish(&detached_first), Finished::Detached));
    }

    #[test]
    fn the_last_waiter_is_woken_and_none_is_leaked() {
        let (first, second) = (Arc::new(1), Arc::new(2));
        let word = JoinWord::new();
        assert!(leave(&word, Arc::clone(&first)));
        assert!(leave(&word, Arc::clone(&second)));
        assert_eq!(Arc::strong_count(&first), 1);
        assert!(matches!(finish(&word), Finished::Awaited(waiter) if *waiter == 2));
        let abandoned = JoinWord::new();
        leave(&abandoned, Arc::clone(&second));
        drop(abandoned);
        assert_eq!(Arc::strong_count(&second), 1);
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::as_parties::{detach, finish, leave};
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
                if let Finished::Awaited(waiter) = finish(&runner.0) {
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
                if let Finished::Awaited(waiter) = finish(&runner) {
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
                let thread = loom::thread::spawn(move || match finish(&runner.0) {
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
                if let Finished::Detached = finish(&runner.0) {
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
        for leaves in 0..3 {
            loom::model(move || {
                let shared = Arc::new(JoinWord::<u64>::new());
                let runner = Arc::clone(&shared);
                let thread = loom::thread::spawn(move || drop(finish(&runner)));
                for _ in 0..leaves {
                    leave(&shared, 7);
                }
                if detach(&shared) {
                    shared.waiter.with_mut(|_freed| ());
                }
                thread.join().unwrap();
            });
        }
    }
}
