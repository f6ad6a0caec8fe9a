//! A spawned closure, and later its result, between the coroutine and whoever joins it.
//!
//! Owns the stage (closure, nothing, result) and the join word. Does not know queues or workers.
//!
//! Invariant 1: until the coroutine has finished, only the owner worker touches the stage; once the join word says
//! `Done`, only whoever takes the result does, under the lock that told it so.
//! Invariant 2: the closure and the result are dropped by whom the user expects: the coroutine, or the holder of the
//! handle; never by whoever happens to drop the last reference, which may be another thread. A forgotten handle leaks
//! its result.

#![allow(unsafe_code)]

use crate::cancel::{self, Point};
use crate::lock::{Guard, Lock};
use crate::remote::{Body, Start};
use crate::waiter::{Wait, Waiter};
use std::any::Any;
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// What there is of the closure and the result.
enum Stage<F, T> {
    /// Not yet run.
    Closure(F),
    /// Running, or taken.
    Empty,
    /// Finished.
    Result(thread::Result<T>),
}

/// Where the join stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// Not finished; a handle exists.
    Pending,
    /// Not finished, and the handle is gone.
    Detached,
    /// Finished; the result is in the stage.
    Done,
    /// Finished, and the result is gone.
    Taken,
}

/// The body of a coroutine.
pub(crate) struct Spawned<F, T> {
    /// See invariants 1 and 2.
    stage: UnsafeCell<ManuallyDrop<Stage<F, T>>>,
    /// Who may touch the stage.
    join: Lock<Join>,
    /// Whoever joins, if somebody does; boxed, since hardly anybody does. Touched under the lock of `join` only.
    joiner: UnsafeCell<Option<Box<Waiter>>>,
}

// SAFETY: invariant 1 lets one thread at a time touch the stage, and invariant 2 lets it be the one that may: a `Send`
// closure and result go between threads; others are made for `spawn_local` and `run`, whose handles do not leave the
// owner's thread.
unsafe impl<F, T> Send for Spawned<F, T> {}
// SAFETY: as above.
unsafe impl<F, T> Sync for Spawned<F, T> {}

impl<F: FnOnce() -> T, T> Spawned<F, T> {
    pub(crate) fn new(closure: F) -> Spawned<F, T> {
        Spawned {
            stage: UnsafeCell::new(ManuallyDrop::new(Stage::Closure(closure))),
            join: Lock::new(Join::Pending),
            joiner: UnsafeCell::new(None),
        }
    }

    /// Takes what is in the stage.
    ///
    /// # Safety
    ///
    /// The caller is the one whom invariant 1 allows.
    unsafe fn take(&self) -> Stage<F, T> {
        // SAFETY: invariant 1, by the caller's word.
        let stage = unsafe { &mut *self.stage.get() };
        std::mem::replace(&mut **stage, Stage::Empty)
    }

    /// Exchanges the joiner.
    fn swap_joiner(&self, _held: &mut Guard<'_, Join>, joiner: Option<Box<Waiter>>) -> Option<Box<Waiter>> {
        // SAFETY: the lock is held, as the guard of this very body's lock shows; nobody keeps a reference.
        std::mem::replace(unsafe { &mut *self.joiner.get() }, joiner)
    }

    /// Leaves the result for whoever joins, or drops it here if nobody can.
    fn finish(&self, result: thread::Result<T>) {
        let mut join = self.join.lock();
        match std::mem::replace(&mut *join, Join::Done) {
            Join::Pending => {
                // SAFETY: invariant 1; the join word said `Pending` until this lock was taken, and it is still held.
                let stage = unsafe { &mut *self.stage.get() };
                **stage = Stage::Result(result);
                let joiner = self.swap_joiner(&mut join, None);
                drop(join);
                joiner.into_iter().for_each(|joiner| joiner.wake());
            }
            Join::Detached | Join::Done | Join::Taken => {
                *join = Join::Taken;
                drop(join);
                drop_result(result);
            }
        }
    }
}

/// Drops a closure that will not be called; gives the payload if that panics.
fn drop_closure<F>(closure: F) -> Option<Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| drop(closure))).err()
}

/// Nobody asked for the result. As in std, a panic in its Drop has nowhere to go; a cancellation there has done its work.
fn drop_result<T>(result: thread::Result<T>) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(result)));
    if dropped.is_err_and(|payload| !payload.is::<cancel::Cancelled>()) {
        eprintln!("dormouse: the result of a coroutine panicked when dropped, aborting");
        std::process::abort();
    }
}

impl<F: FnOnce() -> T, T> Body for Spawned<F, T> {
    fn run(&self, start: Start) {
        // SAFETY: invariant 1; the owner calls this, once, before the coroutine has finished.
        let Stage::Closure(closure) = (unsafe { self.take() }) else {
            return;
        };
        let result = match start {
            Start::Run => catch_unwind(AssertUnwindSafe(closure)),
            Start::Drop => Err(drop_closure(closure).unwrap_or_else(cancel::payload)),
            Start::Refuse(error) => Err(drop_closure(closure).unwrap_or_else(|| Box::new(error))),
        };
        self.finish(result);
    }

    fn lose(&self) {
        // SAFETY: invariant 1; the coroutine has not finished and will not run, so its place is the caller's.
        let stage = unsafe { self.take() };
        self.finish(Err(drop_closure(stage).unwrap_or_else(cancel::payload)));
    }
}

/// What a handle can do with a body.
pub(crate) trait Output<T>: Body {
    /// Blocks until the coroutine has finished, and takes its result.
    fn wait(&self) -> thread::Result<T>;

    /// Whether it has finished.
    fn is_finished(&self) -> bool;

    /// The handle is dropped without a join.
    fn detach(&self);
}

impl<F: FnOnce() -> T, T> Output<T> for Spawned<F, T> {
    fn wait(&self) -> thread::Result<T> {
        loop {
            let mut join = self.join.lock();
            match *join {
                Join::Done => {
                    *join = Join::Taken;
                    // SAFETY: invariant 1; the lock told us that it is done, and the handle is the only one.
                    let stage = unsafe { self.take() };
                    let Stage::Result(result) = stage else { unreachable!("done without a result") };
                    return result;
                }
                _ => {
                    let wait = Wait::begin();
                    let before = self.swap_joiner(&mut join, Some(Box::new(wait.waiter())));
                    drop(join);
                    drop(before);
                    wait.park(None, Point::Cancellable);
                }
            }
        }
    }

    fn is_finished(&self) -> bool {
        matches!(*self.join.lock(), Join::Done | Join::Taken)
    }

    fn detach(&self) {
        let mut join = self.join.lock();
        match *join {
            Join::Pending => {
                *join = Join::Detached;
                let joiner = self.swap_joiner(&mut join, None);
                drop(join);
                drop(joiner);
            }
            Join::Done => {
                *join = Join::Taken;
                // SAFETY: invariant 1; the lock told us that it is done, and the handle is the only one.
                let stage = unsafe { self.take() };
                drop(join);
                if let Stage::Result(result) = stage {
                    drop_result(result);
                }
            }
            Join::Detached | Join::Taken => {}
        }
    }
}
