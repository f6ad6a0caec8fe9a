//! How the holder of a handle waits for an end: until it comes, or until nobody knows that it ever will.
//!
//! Owns both waits, of who blocks and of who is polled, and the answer to those who wait for what a given-up worker keeps:
//! its thread never got out of one coroutine, and with that the others there are lost, parked or unstarted. Does not know
//! what a result is.
//!
//! Invariant 1: a holder is answered once, but for [`Ending::Struck`], which is no answer. One that is told of a loss lets go of the word in the same step, as if it had dropped
//! the handle (`JoinWord::detach`): should the worker come back and the coroutine end after all, the result is the runner's,
//! who drops it. If the end came first, there is no loss.
//! Invariant 2: a coroutine is not lost to those on its own worker: if that goes on, so does the coroutine.

#![allow(unsafe_code)]

use crate::cancel::Point;
use crate::current;
use crate::fork;
use crate::join_word::{JoinWord, Withdrawn};
use crate::listed::list_thread;
use crate::os_thread::Parked;
use crate::remote::{self, RecordRef};
use crate::task::Task;
use crate::waiter::{Wait, Waiter};
use std::task::{Poll, Waker};

/// What came of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The result is there, for the holder.
    Done,
    /// The coroutine is lost, and the word let go of (invariant 1).
    Lost,
    /// It was not waited for, since something strikes the caller where errors are asked for (`cancel::as_errors`). It is as if
    /// nobody had asked.
    Struck,
}

/// Whether nobody knows that it will ever end, and the caller need not wait for it.
#[inline]
pub(crate) fn is_lost(record: &RecordRef) -> bool {
    let home = record.home();
    remote::is_given_up(home) && current::with_worker(|worker| worker.map(|worker| worker.remote.id)) != home
}

/// Blocks until the runner has finished. Inlined up to the user's call of `join`: see `Suspender::suspend`.
///
/// # Safety
///
/// The caller is the holder.
#[inline(always)]
pub(crate) unsafe fn await_end(word: &JoinWord<Waiter, Task>, record: &RecordRef) -> Ending {
    while !word.is_done() {
        refuse_inherited(record);
        let wait = Wait::begin();
        // What is bound to this worker ends on its thread.
        let here = wait.is_on(record.home());
        // SAFETY: the caller's word; `_left` takes it back before the caller, and so the handle, may go to another thread.
        if unsafe { word.leave(here, || wait.waiter()) } {
            // SAFETY: as above.
            let _left = here.then(|| unsafe { Left::new(word) });
            // Invariant 2.
            if !here && is_lost(record) {
                // SAFETY: as above, and whoever is told of a loss calls nothing more.
                return unsafe { lose(word) };
            }
            let struck = wait.park_joining(|| block(&wait, record)) == Parked::Cancelled;
            // It may have ended while others had their turn.
            if struck && !word.is_done() {
                return Ending::Struck;
            }
        }
    }
    Ending::Done
}

/// What a holder has left on the runner's own thread; taken back when this is dropped, unless the end came first.
struct Left<'a>(&'a JoinWord<Waiter, Task>);

impl<'a> Left<'a> {
    /// # Safety
    ///
    /// The caller is the holder, and drops this before it calls anything else.
    unsafe fn new(word: &'a JoinWord<Waiter, Task>) -> Left<'a> {
        Left(word)
    }
}

impl Drop for Left<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_done() {
            // SAFETY: the holder drops this, by the word of who made it.
            drop(unsafe { self.0.withdraw() });
        }
    }
}

/// Lets go of a lost coroutine, unless it has ended meanwhile.
///
/// # Safety
///
/// The caller is the holder, and calls nothing more if this is a loss.
#[cold]
unsafe fn lose(word: &JoinWord<Waiter, Task>) -> Ending {
    // SAFETY: the caller's word.
    if unsafe { word.detach(|| false) } { Ending::Done } else { Ending::Lost }
}

/// Blocks the plain thread that this wait is of.
fn block(wait: &Wait, record: &RecordRef) -> Parked {
    let _listed = list_thread(wait.waiter());
    // Only now: `listed.rs`, invariant 1.
    if is_lost(record) { Parked::Woken } else { wait.park(None, Point::Fallible) }
}

/// In a child of fork(2), its parent's coroutines never end; nor may one be waited for that was about to.
#[inline]
fn refuse_inherited(record: &RecordRef) {
    assert!(!record.is_inherited(), "{}", fork::DEAD);
}

/// Has `waker` woken by the end, in place of what was left before, unless that has come.
///
/// # Safety
///
/// The caller is the holder.
pub(crate) unsafe fn poll_end(word: &JoinWord<Waiter, Task>, record: &RecordRef, waker: &Waker) -> Poll<Ending> {
    // SAFETY: the caller's word.
    if word.is_done() || !unsafe { leave_task(word, record, waker) } {
        return Poll::Ready(Ending::Done);
    }
    // Only now: the task is listed.
    if is_lost(record) {
        // SAFETY: as above, and whoever is told of a loss calls nothing more.
        return Poll::Ready(unsafe { lose(word) });
    }
    Poll::Pending
}

/// Leaves a task to be woken by the end; `false` if that came first.
///
/// # Safety
///
/// The caller is the holder.
unsafe fn leave_task(word: &JoinWord<Waiter, Task>, record: &RecordRef, waker: &Waker) -> bool {
    refuse_inherited(record);
    // SAFETY: the caller's word.
    let before = match unsafe { word.withdraw() } {
        Withdrawn::Done => return false,
        Withdrawn::Task(before) => Some(before),
        Withdrawn::Waiter(_) | Withdrawn::Nothing => None,
    };
    let task = Task::new(waker, before);
    // SAFETY: as above.
    unsafe { word.leave_task(task) }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use crate::{Builder, cancel, thread};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn own_record() -> RecordRef {
        current::with_worker(|worker| worker.expect("on a worker").with_running(|slot| slot.record.clone()))
    }

    /// What a coroutine has left that waits, by `wait`, for an end on its own worker, and is cancelled.
    fn left_by_a_cancelled(
        wait: impl FnOnce(&JoinWord<Waiter, Task>, &RecordRef) + Send + 'static,
    ) -> Withdrawn<Waiter, Task> {
        let run = Builder::new().workers(1).run(|| {
            let joins = thread::spawn(move || {
                let word = JoinWord::new();
                wait(&word, &own_record());
                // SAFETY: the holder.
                unsafe { word.withdraw() }
            });
            thread::yield_now();
            joins.cancel();
            joins.join().expect("it answers its cancel")
        });
        run.expect("the runtime starts")
    }

    #[test]
    fn a_join_that_is_struck_takes_back_what_it_left() {
        let left = left_by_a_cancelled(|word, record| {
            // SAFETY: the holder.
            let ending = cancel::as_errors(|| unsafe { await_end(word, record) });
            assert_eq!(ending, Ending::Struck);
        });
        assert!(matches!(left, Withdrawn::Nothing));
    }

    #[test]
    fn a_join_that_throws_takes_back_what_it_left() {
        let left = left_by_a_cancelled(|word, record| {
            // SAFETY: the holder.
            let thrown = catch_unwind(AssertUnwindSafe(|| unsafe { await_end(word, record) }));
            assert!(thrown.is_err_and(|payload| payload.is::<crate::Cancelled>()));
        });
        assert!(matches!(left, Withdrawn::Nothing));
    }
}
