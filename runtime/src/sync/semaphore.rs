//! A number of permits, given out in the order in which they were asked for.
//!
//! This file has what a user sees; `turns.rs` has who is served when.

mod error;
mod permit;
mod turns;

pub use error::{AcquireError, AcquireTimeoutError, TryAcquireError};
pub use permit::{OwnedSemaphorePermit, SemaphorePermit};

use super::line::wake_all;
use crate::cancel::Point;
use crate::lock::Lock;
use crate::sys::clock;
use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use turns::State;

/// Limits how many do something at a time.
///
/// Permits are given out first come, first served: whoever asks for many is not overtaken by those who ask for few, nor by
/// `try_acquire`.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::Semaphore;
/// use dormouse_runtime::{run, thread};
///
/// static CONNECTIONS: Semaphore = Semaphore::new(2);
///
/// run(|| {
///     thread::scope(|s| {
///         for _ in 0..10 {
///             s.spawn(|| {
///                 let _permit = CONNECTIONS.acquire().unwrap();
///                 // At most two are here at a time.
///                 thread::yield_now();
///             });
///         }
///     });
///     assert_eq!(CONNECTIONS.available_permits(), 2);
/// });
/// ```
pub struct Semaphore {
    /// All of it.
    state: Lock<State>,
}

/// Whatever a panic leaves half done, the line is whole.
impl RefUnwindSafe for Semaphore {}

impl Semaphore {
    /// The most permits that one semaphore can have.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    /// A semaphore with so many permits.
    ///
    /// # Panics
    ///
    /// Panics if they are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[must_use]
    pub const fn new(permits: usize) -> Semaphore {
        assert!(permits <= Semaphore::MAX_PERMITS, "more permits than a semaphore can have");
        Semaphore { state: Lock::new(State::new(permits)) }
    }

    /// How many permits nobody has.
    pub fn available_permits(&self) -> usize {
        self.state.lock().free
    }

    /// Adds permits, for those who wait or those to come.
    ///
    /// # Panics
    ///
    /// Panics if there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) then.
    pub fn add_permits(&self, permits: usize) {
        let mut state = self.state.lock();
        let room = Semaphore::MAX_PERMITS - state.free - state.out;
        if permits > room {
            drop(state);
            panic!("more permits than a semaphore can have");
        }
        state.free += permits;
        drop(state);
        self.give_out();
    }

    /// Takes away up to so many of the permits that nobody has. Tells how many.
    pub fn forget_permits(&self, permits: usize) -> usize {
        let mut state = self.state.lock();
        let forgotten = state.free.min(permits);
        state.free -= forgotten;
        forgotten
    }

    /// Takes a permit.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or was while this waited.
    ///
    /// # Blocking
    ///
    /// Parks a coroutine until it is its turn; a cancellation point: permits that were given to the cancelled one go to the
    /// next. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park), unless the permit is there.
    pub fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1)
    }

    /// As [`Semaphore::acquire`], for one that nobody closes, and that has no way to say that it was not waited for.
    pub(crate) fn acquire_for_certain(&self) -> SemaphorePermit<'_> {
        let taken = self.take(1, None, Point::Cancellable).into_acquired();
        taken.map(|()| SemaphorePermit::new(self, 1)).expect("nobody closes it")
    }

    /// Takes so many permits, all at once. None are always there.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Blocking
    ///
    /// As [`Semaphore::acquire`]. If they are more than there will ever be, for ever.
    ///
    /// # Panics
    ///
    /// As [`Semaphore::acquire`].
    pub fn acquire_many(&self, permits: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.take(permits, None, Point::Fallible).into_acquired().map(|()| SemaphorePermit::new(self, permits))
    }

    /// As [`Semaphore::acquire`], for at most `timeout`.
    ///
    /// # Errors
    ///
    /// If the time has passed, or as [`Semaphore::acquire`].
    ///
    /// # Blocking
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Panics
    ///
    /// As [`Semaphore::acquire`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        self.acquire_many_timeout(1, timeout)
    }

    /// As [`Semaphore::acquire_many`], for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire_timeout`].
    ///
    /// # Blocking
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Panics
    ///
    /// As [`Semaphore::acquire`].
    pub fn acquire_many_timeout(
        &self,
        permits: usize,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        let taken = self.take(permits, clock::deadline(timeout), Point::Fallible).into_acquired_in_time();
        taken.map(|()| SemaphorePermit::new(self, permits))
    }

    /// Takes a permit if one is there that nobody waits for.
    ///
    /// # Errors
    ///
    /// If there is none, or the semaphore is closed.
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes so many permits, all at once, if they are there and nobody waits.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::try_acquire`].
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn try_acquire_many(&self, permits: usize) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_take(permits).map(|()| SemaphorePermit::new(self, permits))
    }

    /// As [`Semaphore::acquire`], for a permit that does not borrow the semaphore.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Blocking
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Panics
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::{Arc, Semaphore};
    /// use dormouse_runtime::{run, thread};
    ///
    /// run(|| {
    ///     let clients = Arc::new(Semaphore::new(100));
    ///     let permit = Arc::clone(&clients).acquire_owned().unwrap();
    ///     let client = thread::spawn(move || drop(permit));
    ///     client.join().unwrap();
    ///     assert_eq!(clients.available_permits(), 100);
    /// });
    /// ```
    pub fn acquire_owned(self: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many_owned(1)
    }

    /// As [`Semaphore::acquire_many`], for permits that do not borrow the semaphore.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Blocking
    ///
    /// As [`Semaphore::acquire_many`].
    ///
    /// # Panics
    ///
    /// As [`Semaphore::acquire`].
    pub fn acquire_many_owned(self: Arc<Semaphore>, permits: usize) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.take(permits, None, Point::Fallible).into_acquired().map(|()| OwnedSemaphorePermit::new(self, permits))
    }

    /// As [`Semaphore::try_acquire`], for a permit that does not borrow the semaphore.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::try_acquire`].
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn try_acquire_owned(self: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// As [`Semaphore::try_acquire_many`], for permits that do not borrow the semaphore.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::try_acquire`].
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn try_acquire_many_owned(
        self: Arc<Semaphore>,
        permits: usize,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_take(permits).map(|()| OwnedSemaphorePermit::new(self, permits))
    }

    /// Gives no permit out any more: who waits, and who comes, is refused. Permits that are out stay good.
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let refused = state.line.rouse_all();
        drop(state);
        wake_all(refused);
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

impl std::fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        let (free, closed) = (state.free, state.closed);
        drop(state);
        f.debug_struct("Semaphore").field("permits", &free).field("closed", &closed).finish_non_exhaustive()
    }
}

#[cfg(all(test, dormouse_loom))]
mod models;
