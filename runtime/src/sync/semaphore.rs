//! A number of permits, given out in the order in which they were asked for.
//!
//! Invariant 1: what the first in the line asks for is more than the free permits, or the semaphore is closed.
//! Invariant 2: whoever takes somebody else out of the line has taken the permits for them from the free ones; who was chosen
//! has them, to use or to give back. Closing chooses nobody.
//! Invariant 3: all permits together, free and out, are at most `MAX_PERMITS`.

mod error;
mod permit;

pub use error::{AcquireError, AcquireTimeoutError, TryAcquireError};
pub use permit::{OwnedSemaphorePermit, SemaphorePermit};

use super::line::{Line, wait_in_line, wake_all};
use crate::lock::Lock;
use crate::sys::clock;
use crate::waiter::{Wait, Waiter};
use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// What is shared by all who use it.
struct State {
    /// Permits that nobody has.
    free: usize,
    /// Permits that somebody has, but for those forgotten.
    out: usize,
    /// Those who wait, with the number of permits each asks for.
    line: Line<usize>,
    /// Whether no permit is given out any more.
    closed: bool,
}

/// How an attempt to take permits ended. The permits taken are the caller's.
enum Asked {
    /// They are there.
    Taken,
    /// It is closed.
    Closed,
    /// The caller is in the line.
    InLine(u64),
}

/// How a wait for permits ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The permits are the caller's.
    Taken,
    /// It was closed first.
    Closed,
    /// The deadline passed first.
    TimedOut,
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
        Semaphore { state: Lock::new(State { free: permits, out: 0, line: Line::new(), closed: false }) }
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
        self.take(permits, None).into_acquired().map(|()| SemaphorePermit::new(self, permits))
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
        let taken = self.take(permits, clock::deadline(timeout)).into_acquired_in_time();
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
        self.take(permits, None).into_acquired().map(|()| OwnedSemaphorePermit::new(self, permits))
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

    fn try_take(&self, permits: usize) -> Result<(), TryAcquireError> {
        match self.state.lock().ask(permits) {
            Some(Asked::Taken) => Ok(()),
            Some(_) => Err(TryAcquireError::Closed),
            None => Err(TryAcquireError::NoPermits),
        }
    }

    /// Takes so many permits, waiting for them until `deadline`.
    fn take(&self, permits: usize, deadline: Option<Instant>) -> Ended {
        let wait = Wait::begin();
        match self.ask_or_enter(permits, &wait) {
            Asked::Taken => Ended::Taken,
            Asked::Closed => Ended::Closed,
            Asked::InLine(number) => {
                let mut turn = Turn { semaphore: self, permits, number: Some(number) };
                wait_in_line(wait, deadline, |waiter| self.stay(number, waiter));
                turn.end()
            }
        }
    }

    fn ask_or_enter(&self, permits: usize, wait: &Wait) -> Asked {
        let mut state = self.state.lock();
        state.ask(permits).unwrap_or_else(|| Asked::InLine(state.line.enter(permits, wait.waiter())))
    }

    /// Leaves another waiter; `false` if there is nothing to wait for.
    fn stay(&self, number: u64, waiter: Waiter) -> bool {
        let mut state = self.state.lock();
        let (stays, unneeded) = state.line.stay(number, waiter);
        let closed = state.closed;
        drop(state);
        drop(unneeded);
        stays && !closed
    }

    /// Permits come back.
    fn release(&self, permits: usize) {
        let mut state = self.state.lock();
        state.free += permits;
        state.out -= permits;
        drop(state);
        self.give_out();
    }

    /// Permits never come back.
    fn lose(&self, permits: usize) {
        self.state.lock().out -= permits;
    }

    /// Restores invariant 1, without the lock while somebody is woken.
    fn give_out(&self) {
        loop {
            let chosen = self.state.lock().serve_first();
            match chosen {
                Some(waiter) => wake_all(waiter),
                None => return,
            }
        }
    }
}

impl State {
    /// Takes so many permits; `None` if they are not there or others wait.
    fn ask(&mut self, permits: usize) -> Option<Asked> {
        if self.closed {
            return Some(Asked::Closed);
        }
        let there = self.free >= permits && (self.line.is_empty() || permits == 0);
        there.then(|| {
            self.hand_over(permits);
            Asked::Taken
        })
    }

    fn hand_over(&mut self, permits: usize) {
        self.free -= permits;
        self.out += permits;
    }

    /// Gives the first in the line its permits, if they are there. The waiter is to be woken.
    fn serve_first(&mut self) -> Option<Option<Waiter>> {
        let permits = *self.line.first()?;
        if self.closed || self.free < permits {
            return None;
        }
        self.hand_over(permits);
        self.line.choose().map(|(_, waiter)| waiter)
    }
}

/// Somebody waits for permits. Dropped in an unwind, it gives back what it was given, and its place.
struct Turn<'a> {
    /// Whose permits.
    semaphore: &'a Semaphore,
    /// How many.
    permits: usize,
    /// Its number in the line, unless it has left.
    number: Option<u64>,
}

impl Turn<'_> {
    /// Leaves the line, and tells how the wait ended.
    fn end(&mut self) -> Ended {
        let Some(number) = self.number.take() else {
            return Ended::TimedOut;
        };
        let mut state = self.semaphore.state.lock();
        let left = state.line.leave(number);
        let closed = state.closed;
        drop(state);
        if left.is_none() {
            return Ended::Taken;
        }
        // Who comes next may ask for less.
        self.semaphore.give_out();
        if closed { Ended::Closed } else { Ended::TimedOut }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.end() == Ended::Taken {
            self.semaphore.release(self.permits);
        }
    }
}

impl Ended {
    fn into_acquired(self) -> Result<(), AcquireError> {
        match self {
            Ended::Taken => Ok(()),
            Ended::Closed | Ended::TimedOut => Err(AcquireError::new()),
        }
    }

    fn into_acquired_in_time(self) -> Result<(), AcquireTimeoutError> {
        match self {
            Ended::Taken => Ok(()),
            Ended::Closed => Err(AcquireTimeoutError::Closed),
            Ended::TimedOut => Err(AcquireTimeoutError::Timeout),
        }
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
