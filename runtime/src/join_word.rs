//! The word between a coroutine's end and the holder of its handle.
//!
//! Owns who of the two comes first, and what a holder leaves that waits: a *waiter*, if it blocks, or a *task*, if it is async
//! code. Does not know what a result is: it says whose the result is now. Two parties touch it: the *runner* calls `finish`
//! once; the *holder* calls everything else.
//!
//! ```text
//!             leave              finish
//!   PENDING <-------> WAITING ---------> TAKING ------> DONE     the result is the holder's, the waiter is woken
//!     | | ^_________> TASKED ----------> TAKING_TASK -----^      the same with a task
//!     | |    leave_task            finish                 |
//!     |  \________________________________________________/      the result is the holder's
//!     | detach, from each of the three
//!     v                           finish
//!   DETACHED ------------------------------------> (ended)       the result is the runner's, to drop
//! ```
//!
//! Invariant 1: what is left is there while the word says `WAITING` (a waiter) or `TASKED` (a task). It belongs to the holder,
//! who may take it back by leaving that state, until the runner adds `END`: then it is the runner's.
//! Invariant 2: the result is written before `finish` and read after the word was seen `DONE`.
//! Invariant 3: the holder is one thread at a time, and one call at a time.
//! Invariant 4: once the word says `DONE`, the runner touches it no more: the holder may free it. In `TAKING` the runner is a
//! few instructions from there; a holder who comes then waits for them.
//! Invariant 5: `WAITING_HERE` is a `WAITING` in which the holder is on the runner's own thread, until it has left that state. So nobody else
//! touches the word meanwhile, and neither of the two needs an exchange, which is dear. Debug assertions see to that (`here.rs`).

#![allow(unsafe_code)]

mod here;

use crate::atomic::{AtomicU32, Ordering, SharedCell, yield_now};
use here::Here;
use std::mem::ManuallyDrop;

/// Not finished, nobody waits.
const PENDING: u32 = 0;
/// Not finished, and the holder blocks.
const WAITING: u32 = 1;
/// The same on the runner's thread (invariant 5).
const WAITING_HERE: u32 = WAITING | 16;
/// What the end adds.
const END: u32 = 2;
/// Finished.
const DONE: u32 = PENDING + END;
/// Not finished, and nobody ever will wait.
const DETACHED: u32 = 4;
/// Not finished, and the holder is async code that waits.
const TASKED: u32 = 8;
// `WAITING + END` and `TASKED + END` are `TAKING` and `TAKING_TASK`.

/// What `finish` found.
pub(crate) enum Finished<W> {
    /// The holder will look.
    Held,
    /// The holder blocks.
    Awaited(W),
    /// The holder is async code that waits, until `finish_task`.
    Polled,
    /// There is no holder: the result is the runner's.
    Detached,
}

/// What `withdraw` found.
pub(crate) enum Withdrawn<W, T> {
    /// Nobody waited.
    Nothing,
    /// The holder blocked; now it does not.
    Waiter(W),
    /// A task waited; now it does not.
    Task(T),
    /// The result is there, for the holder.
    Done,
}

/// What a holder leaves; the word says which.
union Left<W, T> {
    /// Neither.
    nothing: (),
    /// Who blocks.
    waiter: ManuallyDrop<W>,
    /// Who is polled.
    task: ManuallyDrop<T>,
}

/// See the heading.
pub(crate) struct JoinWord<W, T> {
    /// One of the states.
    word: AtomicU32,
    /// Invariant 1.
    left: SharedCell<Left<W, T>>,
    /// Invariant 5.
    here: Here,
}

// SAFETY: what is left goes from the holder's thread to the runner's, one of them at a time (invariant 1).
unsafe impl<W: Send, T: Send> Send for JoinWord<W, T> {}
// SAFETY: as above.
unsafe impl<W: Send, T: Send> Sync for JoinWord<W, T> {}

impl<W, T> JoinWord<W, T> {
    pub(crate) fn new() -> JoinWord<W, T> {
        JoinWord { word: AtomicU32::new(PENDING), left: SharedCell::new(Left { nothing: () }), here: Here::new() }
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
        // ORDERING: Relaxed; where it says so, this thread has written it.
        if word.load(Ordering::Relaxed) == WAITING_HERE {
            // SAFETY: as above.
            unsafe { &(*this).here }.check();
            // SAFETY: invariants 1 and 5; it does not say `DONE` yet, so alive.
            return Finished::Awaited(unsafe { Self::take_over(this) });
        }
        // ORDERING: Release publishes the result to the Acquire loads of `is_done`, `withdraw` and `detach`; Acquire pairs with
        // the Release of `leave` (what is left) and of `detach`.
        match word.fetch_add(END, Ordering::AcqRel) {
            PENDING => Finished::Held,
            WAITING => {
                // SAFETY: invariant 1; it is `TAKING`, so alive.
                Finished::Awaited(unsafe { Self::take_over(this) })
            }
            TASKED => Finished::Polled,
            _ => Finished::Detached,
        }
    }

    /// # Safety
    ///
    /// The waiter is there and the runner's, who is the caller; alive until it says `DONE`.
    #[inline]
    unsafe fn take_over(this: *const Self) -> W {
        // SAFETY: the caller's word.
        let waiter = unsafe { (*this).take_waiter() };
        // SAFETY: as above.
        let word = unsafe { &(*this).word };
        // ORDERING: Release; what was taken and the result come before what the holder does upon `DONE`.
        word.store(DONE, Ordering::Release);
        waiter
    }

    /// The rest of the runner's end if that found `Polled`: the task, to be woken. Until then the holder cannot have freed it.
    ///
    /// # Safety
    ///
    /// As for `finish`, which found that, and the runner does next to nothing in between.
    #[cold]
    pub(crate) unsafe fn finish_task(this: *const Self) -> T {
        // SAFETY: invariant 1; alive until it says `DONE`.
        let task = unsafe { (*this).take_task() };
        // SAFETY: as above.
        let word = unsafe { &(*this).word };
        // ORDERING: Release; as in `finish`.
        word.store(DONE, Ordering::Release);
        task
    }

    /// Holder only: waits until the runner has taken what was left, a few instructions, or a time slice if it was interrupted in
    /// between. Only a holder who comes back for another reason than its wake gets here, and none in a child of fork(2), where the
    /// runner would never come: those refuse what they inherited before, or say so (`detach`).
    #[cold]
    fn let_take(&self) {
        // ORDERING: Acquire; pairs with the Release stores in `finish`.
        while self.word.load(Ordering::Acquire) != DONE {
            yield_now();
        }
    }

    /// # Safety
    ///
    /// The waiter is there and the caller's, by invariant 1.
    #[inline]
    unsafe fn take_waiter(&self) -> W {
        // SAFETY: the caller's word.
        self.left.with_mut(|left| ManuallyDrop::into_inner(unsafe { std::ptr::read(&raw const (*left).waiter) }))
    }

    /// As `take_waiter`, where it said `WAITING_HERE`.
    ///
    /// # Safety
    ///
    /// As there.
    unsafe fn take_waiter_here(&self) -> W {
        self.here.check();
        // SAFETY: the caller's word.
        unsafe { self.take_waiter() }
    }

    /// # Safety
    ///
    /// The task is there and the caller's, by invariant 1.
    unsafe fn take_task(&self) -> T {
        // SAFETY: the caller's word.
        self.left.with_mut(|left| ManuallyDrop::into_inner(unsafe { std::ptr::read(&raw const (*left).task) }))
    }

    /// Holder only: whether the result is there, for the holder.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        // ORDERING: Acquire; pairs with the Release of `finish`.
        self.word.load(Ordering::Acquire) == DONE
    }

    /// Runner only: whether `finish` was called.
    pub(crate) fn has_ended(&self) -> bool {
        // ORDERING: Relaxed; the runner reads what it wrote itself.
        self.word.load(Ordering::Relaxed) & END != 0
    }

    /// Leaves the waiter that `make` gives to be woken, in place of what was left earlier; `false` if the result is there already.
    /// `here` says that the runner is this thread.
    ///
    /// # Safety
    ///
    /// The caller is the holder (invariant 3). If `here`, that is so, and the next call is on this thread, too (invariant 5).
    #[inline]
    pub(crate) unsafe fn leave(&self, here: bool, make: impl FnOnce() -> W) -> bool {
        // ORDERING: Relaxed; only the holder leaves `PENDING`, but for the end, which the exchange below or `withdraw` sees.
        // SAFETY: the caller's word.
        if self.word.load(Ordering::Relaxed) != PENDING && matches!(unsafe { self.withdraw() }, Withdrawn::Done) {
            return false;
        }
        // SAFETY: the word said `PENDING`, since when only the holder can have left it otherwise than by the end: the cell is its.
        self.left.with_mut(|left| unsafe { (*left).waiter = ManuallyDrop::new(make()) });
        if here {
            self.here.note();
            // ORDERING: Relaxed; read by this thread only (invariant 5).
            self.word.store(WAITING_HERE, Ordering::Relaxed);
            return true;
        }
        // ORDERING: Release publishes the waiter to `finish`; Acquire pairs with its Release half if that came first.
        let left = self.word.compare_exchange(PENDING, WAITING, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !left {
            // SAFETY: invariant 1: it was `PENDING` that became `DONE`, so the waiter is still the holder's.
            drop(unsafe { self.take_waiter() });
        }
        left
    }

    /// As [`JoinWord::leave`], for a task, after a `withdraw`.
    ///
    /// # Safety
    ///
    /// The caller is the holder (invariant 3), and its last call was a `withdraw`.
    pub(crate) unsafe fn leave_task(&self, task: T) -> bool {
        // SAFETY: as in `leave`.
        self.left.with_mut(|left| unsafe { (*left).task = ManuallyDrop::new(task) });
        // ORDERING: as in `leave`.
        let left = self.word.compare_exchange(PENDING, TASKED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !left {
            // SAFETY: as in `leave`.
            drop(unsafe { self.take_task() });
        }
        left
    }

    /// Takes back what was left, unless the end came first.
    ///
    /// # Safety
    ///
    /// The caller is the holder (invariant 3).
    #[cold]
    pub(crate) unsafe fn withdraw(&self) -> Withdrawn<W, T> {
        let pend = |word: u32| (word & END == 0).then_some(PENDING);
        // ORDERING: Acquire pairs with the Release half of `finish`, if that came first; nothing is published.
        match self.word.fetch_update(Ordering::Acquire, Ordering::Acquire, pend) {
            // SAFETY: invariant 1: the holder left the state.
            Ok(WAITING) => Withdrawn::Waiter(unsafe { self.take_waiter() }),
            // SAFETY: as above.
            Ok(WAITING_HERE) => Withdrawn::Waiter(unsafe { self.take_waiter_here() }),
            // SAFETY: as above.
            Ok(TASKED) => Withdrawn::Task(unsafe { self.take_task() }),
            Ok(_) => Withdrawn::Nothing,
            Err(_) => {
                self.let_take();
                Withdrawn::Done
            }
        }
    }

    /// Last: nobody will look. `true` if the result is there already, and the holder's to drop. Where the runner is about to say so
    /// but `is_abandoned`, since it is a parent process's, nobody ever does.
    ///
    /// # Safety
    ///
    /// The caller is the holder (invariant 3).
    pub(crate) unsafe fn detach(&self, is_abandoned: impl FnOnce() -> bool) -> bool {
        // ORDERING: Acquire pairs with the Release half of `finish`; Release lets `finish` see what came before.
        let put =
            self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| (word & END == 0).then_some(DETACHED));
        match put {
            // SAFETY: invariant 1: the holder left the state.
            Ok(WAITING) => drop(unsafe { self.take_waiter() }),
            // SAFETY: as above.
            Ok(WAITING_HERE) => drop(unsafe { self.take_waiter_here() }),
            // SAFETY: as above.
            Ok(TASKED) => drop(unsafe { self.take_task() }),
            Err(word) if word != DONE && is_abandoned() => return false,
            Err(word) if word != DONE => self.let_take(),
            _ => {}
        }
        put.is_err()
    }

    /// # Safety
    ///
    /// The last call of all.
    #[cold]
    unsafe fn drop_left(&self) {
        // SAFETY: the caller is the only party.
        drop(unsafe { self.withdraw() });
    }
}

impl<W, T> Drop for JoinWord<W, T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; `&mut self`, so both parties are gone. A load, since an exchange locks the bus for nothing.
        if self.word.load(Ordering::Relaxed) & (WAITING | TASKED) != 0 {
            // SAFETY: invariant 1, and there is no other party.
            unsafe { self.drop_left() };
        }
    }
}

/// The calls of the two, for tests in which whoever calls is the one meant.
#[cfg(test)]
mod as_parties {
    use super::{Finished, JoinWord, Withdrawn};

    /// What the runner's end found, both parts of it.
    pub(super) enum End<W, T> {
        Held,
        Awaited(W),
        Polled(T),
        Detached,
    }

    pub(super) fn finish<W, T>(word: &JoinWord<W, T>) -> End<W, T> {
        // SAFETY: each test has one runner, and keeps the word.
        match unsafe { JoinWord::finish(word) } {
            Finished::Held => End::Held,
            Finished::Awaited(waiter) => End::Awaited(waiter),
            // SAFETY: as above.
            Finished::Polled => End::Polled(unsafe { JoinWord::finish_task(word) }),
            Finished::Detached => End::Detached,
        }
    }

    pub(super) fn leave<W, T>(word: &JoinWord<W, T>, waiter: W) -> bool {
        // SAFETY: each test has one holder.
        unsafe { word.leave(false, || waiter) }
    }

    /// By a holder on the runner's thread.
    #[cfg(not(dormouse_loom))]
    pub(super) fn leave_here<W, T>(word: &JoinWord<W, T>, waiter: W) -> bool {
        // SAFETY: each test that calls this has one thread, or asks what is said to one that breaks its word.
        unsafe { word.leave(true, || waiter) }
    }

    /// As a future does: takes back what was left, looks at it, and leaves a task.
    pub(super) fn poll<W, T>(word: &JoinWord<W, T>, task: T) -> bool {
        // SAFETY: each test has one holder, and `withdraw` was its last call.
        !matches!(withdraw(word), Withdrawn::Done) && unsafe { word.leave_task(task) }
    }

    pub(super) fn withdraw<W, T>(word: &JoinWord<W, T>) -> Withdrawn<W, T> {
        // SAFETY: each test has one holder.
        unsafe { word.withdraw() }
    }

    pub(super) fn detach<W, T>(word: &JoinWord<W, T>) -> bool {
        // SAFETY: each test has one holder.
        unsafe { word.detach(|| false) }
    }
}

#[cfg(all(test, dormouse_loom))]
mod models;
#[cfg(all(test, not(dormouse_loom)))]
mod tests;
