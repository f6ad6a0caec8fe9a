//! Calls that are spawned, and joined later or never.
//!
//! Owns the handle. Does not know threads; how many calls may be in the queue unattended is `shared`'s.
//!
//! Invariant 1: a spawned call has a permit of `shared::unattended` as long as it is in the queue.
//! Invariant 2: it is made whoever waits for it, unless it was cancelled or refused.

use super::call::{Stage, drop_quietly};
use super::{Pending, shared};
use crate::cancel::{self, Point};
use crate::current;
use crate::sync::SemaphorePermit;
use std::fmt;
use std::ptr;
use std::thread;

/// What is called.
type Boxed<T> = Box<dyn FnOnce() -> T + Send>;

/// The right to wait for a call made by [`spawn_blocking`](crate::thread::spawn_blocking), and to take its result.
/// Dropped, it detaches the call, which is made all the same.
pub struct BlockingJoinHandle<T> {
    /// The call.
    pending: Pending<Boxed<T>, T>,
}

/// See `thread::spawn_blocking`.
pub(crate) fn spawn<F, T>(f: F) -> BlockingJoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let permit = permit();
    let call: Boxed<T> = Box::new(move || {
        drop(permit);
        f()
    });
    let mut pending = Pending::submit(shared::for_results(), call);
    pending.kept = true;
    BlockingJoinHandle { pending }
}

/// Invariant 1. The threads of the pool take none: while they all waited for one, none would come back.
fn permit() -> Option<SemaphorePermit<'static>> {
    let needed = !current::serves();
    needed.then(|| shared::unattended().acquire_for_certain())
}

impl<T> BlockingJoinHandle<T> {
    /// Waits until the call has been made, and gives its result.
    ///
    /// # Errors
    ///
    /// The payload of its panic; [`Cancelled`](crate::Cancelled) if it was cancelled; an [`io::Error`](std::io::Error)
    /// if the pool had no thread and could not start one.
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point, which drops the handle. Blocks a plain thread. A call of the pool that
    /// joins another one keeps its thread meanwhile: where all threads do that, nobody makes what they wait for.
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park), unless the call has been made; and in a child of fork(2)
    /// whose parent made the handle, where nobody makes the call.
    pub fn join(self) -> thread::Result<T> {
        assert!(self.is_finished() || ptr::eq(self.pending.pool, shared::for_results()), "joined in a child of fork");
        match self.pending.wait_for_stage(None, Point::Cancellable).0 {
            Stage::Done(result) => result,
            Stage::Refused(f, error) => {
                drop_quietly(f);
                Err(Box::new(error))
            }
            Stage::Queued(_) | Stage::Running | Stage::GivenUp => {
                unreachable!("a wait without a deadline ends at the end")
            }
        }
    }

    /// Whether the call has been made. Never blocks.
    pub fn is_finished(&self) -> bool {
        self.pending.call.has_ended()
    }

    /// Ends the call if it has not begun: its closure is dropped here, and `join` answers
    /// [`Cancelled`](crate::Cancelled). One that has begun cannot be ended. Never blocks.
    pub fn cancel(&self) {
        if let Some(f) = self.pending.call.replace(|| Err(cancel::payload())) {
            self.pending.pool.withdraw(self.pending.number);
            drop_quietly(f);
        }
    }
}

impl<T> fmt::Debug for BlockingJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingJoinHandle").field("is_finished", &self.is_finished()).finish_non_exhaustive()
    }
}
