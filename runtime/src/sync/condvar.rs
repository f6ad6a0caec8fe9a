//! Condition variables: waiting, with a mutex free meanwhile, for what somebody else changes.
//!
//! Owns [`Condvar`] and [`WaitTimeoutResult`]; the algorithm is in `condvar_word.rs`.

use super::condvar_word::CondvarWord;
use super::mutex::MutexGuard;
use super::poison::map_result;
use std::fmt;
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

/// Whether a wait with a timeout ended by it.
#[derive(Debug, PartialEq, Eq, Copy, Clone)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether it ended by its timeout.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// [`std::sync::Condvar`] for coroutines and plain threads: who waits parks, and blocks no worker.
///
/// Unlike POSIX's it may be used with more than one mutex. Those who wait are notified in the order in which they came.
/// Nothing is ever notified that did not wait, and a notification whose waiter is cancelled goes to the next.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::{Arc, Condvar, Mutex};
/// use dormouse_runtime::{run, thread};
///
/// let pair = Arc::new((Mutex::new(false), Condvar::new()));
/// run(|| {
///     let other = Arc::clone(&pair);
///     let starter = thread::spawn(move || {
///         let (started, condvar) = &*other;
///         *started.lock().unwrap() = true;
///         condvar.notify_one();
///     });
///     let (started, condvar) = &*pair;
///     let guard = condvar.wait_while(started.lock().unwrap(), |started| !*started).unwrap();
///     assert!(*guard);
///     drop(guard);
///     starter.join().unwrap();
/// });
/// ```
pub struct Condvar {
    /// Who waits.
    word: CondvarWord,
}

impl Condvar {
    /// One that nobody waits for.
    #[must_use]
    #[inline]
    pub const fn new() -> Condvar {
        Condvar { word: CondvarWord::new() }
    }

    /// Frees the mutex of `guard` and waits for a notification, in one step; then takes the mutex again.
    ///
    /// As in std it may return for no reason: look whether what was waited for is there.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned when it is taken again; the guard is in the error.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine. A cancellation point, before and while parked: the mutex is taken again before the unwind begins,
    /// and poisoned by it. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside `no_park`.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.word.wait(guard.word(), None);
        if guard.is_poisoned() { Err(PoisonError::new(guard)) } else { Ok(guard) }
    }

    /// [`wait`](Condvar::wait)s as long as `condition` is true of the value, which it is not when this returns.
    ///
    /// # Errors
    ///
    /// As [`wait`](Condvar::wait).
    ///
    /// # Blocking
    ///
    /// As [`wait`](Condvar::wait).
    pub fn wait_while<'a, T, F>(&self, mut guard: MutexGuard<'a, T>, mut condition: F) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait_timeout`](Condvar::wait_timeout), in milliseconds; `false` if it was the timeout.
    ///
    /// # Errors
    ///
    /// As [`wait`](Condvar::wait).
    #[deprecated(since = "0.1.0", note = "replaced by `Condvar::wait_timeout`, as in std")]
    pub fn wait_timeout_ms<'a, T>(&self, guard: MutexGuard<'a, T>, ms: u32) -> LockResult<(MutexGuard<'a, T>, bool)> {
        let waited = self.wait_timeout(guard, Duration::from_millis(ms.into()));
        map_result(waited, |(guard, result)| (guard, !result.timed_out()))
    }

    /// As [`wait`](Condvar::wait), for at least `dur` if there is no notification.
    ///
    /// # Errors
    ///
    /// As [`wait`](Condvar::wait).
    ///
    /// # Blocking
    ///
    /// As [`wait`](Condvar::wait). To take the mutex again may take longer than `dur`.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (mutex, condvar) = (Mutex::new(()), Condvar::new());
    /// let (_guard, result) = condvar.wait_timeout(mutex.lock().unwrap(), Duration::from_millis(2)).unwrap();
    /// assert!(result.timed_out());
    /// ```
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        // A deadline that no clock can show is none.
        let notified = self.word.wait(guard.word(), Instant::now().checked_add(dur));
        let (poisoned, answer) = (guard.is_poisoned(), (guard, WaitTimeoutResult(!notified)));
        if poisoned { Err(PoisonError::new(answer)) } else { Ok(answer) }
    }

    /// As [`wait_while`](Condvar::wait_while), until `dur` has passed: the result tells whether it ended by that with the
    /// condition still true.
    ///
    /// # Errors
    ///
    /// As [`wait`](Condvar::wait).
    ///
    /// # Blocking
    ///
    /// As [`wait_timeout`](Condvar::wait_timeout).
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        dur: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let start = Instant::now();
        loop {
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            let Some(left) = dur.checked_sub(start.elapsed()) else {
                return Ok((guard, WaitTimeoutResult(true)));
            };
            guard = self.wait_timeout(guard, left)?.0;
        }
    }

    /// Ends the wait that began first; lost if nobody waits. Never blocks.
    pub fn notify_one(&self) {
        self.word.notify_one();
    }

    /// Ends all waits. Never blocks.
    pub fn notify_all(&self) {
        self.word.notify_all();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}
