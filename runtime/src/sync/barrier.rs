//! A point that a number of parties pass together.
//!
//! Invariant 1: the line holds those who have arrived of the present generation; the one that completes it empties the line.

use super::line::{Line, wait_in_line, wake_all};
use crate::cancel::Point;
use crate::lock::Lock;
use crate::waiter::{Wait, Waiter};
use std::panic::RefUnwindSafe;

/// Lets a number of coroutines and threads wait for each other. As `std::sync::Barrier`.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::Barrier;
/// use dormouse_runtime::{run, thread};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// let (barrier, written) = (Barrier::new(10), AtomicU32::new(0));
/// run(|| {
///     thread::scope(|s| {
///         for _ in 0..10 {
///             s.spawn(|| {
///                 written.fetch_add(1, Ordering::Relaxed);
///                 barrier.wait();
///                 assert_eq!(written.load(Ordering::Relaxed), 10);
///             });
///         }
///     });
/// });
/// ```
pub struct Barrier {
    /// Who has arrived.
    line: Lock<Line<()>>,
    /// How many pass together.
    parties: usize,
}

/// What [`Barrier::wait`] gives: whether the caller is the leader.
pub struct BarrierWaitResult(bool);

/// Whatever a panic leaves half done, the line is whole.
impl RefUnwindSafe for Barrier {}

impl Barrier {
    /// A barrier that `n` parties pass together. 0 is as 1: nobody waits.
    #[must_use]
    #[inline]
    pub const fn new(n: usize) -> Barrier {
        Barrier { line: Lock::new(Line::new()), parties: n }
    }

    /// Waits until all have arrived. One of them, the last to arrive, is the leader. The barrier can then be used again.
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point: one that is cancelled before all have arrived has not arrived. Blocks a plain
    /// thread.
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park), unless the caller is the last.
    pub fn wait(&self) -> BarrierWaitResult {
        let wait = Wait::begin();
        let Some(number) = self.arrive(&wait) else {
            return BarrierWaitResult(true);
        };
        let arrival = Arrival { barrier: self, number };
        wait_in_line(wait, None, Point::Cancellable, |waiter| self.stay(number, waiter));
        drop(arrival);
        BarrierWaitResult(false)
    }

    /// Gives the caller's number in the line, or lets all pass if it is the last.
    fn arrive(&self, wait: &Wait) -> Option<u64> {
        let mut line = self.line.lock();
        if line.len() + 1 < self.parties {
            return Some(line.enter((), wait.waiter()));
        }
        let all = line.choose_all();
        drop(line);
        wake_all(all.filter_map(|(_, waiter)| waiter));
        None
    }

    fn stay(&self, number: u64, waiter: Waiter) -> bool {
        let (stays, unneeded) = self.line.lock().stay(number, waiter);
        drop(unneeded);
        stays
    }
}

/// Somebody waits. Dropped in an unwind before all have arrived, it takes the arrival back.
struct Arrival<'a> {
    /// Where.
    barrier: &'a Barrier,
    /// Its number in the line.
    number: u64,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        let left = self.barrier.line.lock().leave(self.number);
        drop(left);
    }
}

impl BarrierWaitResult {
    /// Whether the caller was the last to arrive.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl std::fmt::Debug for Barrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BarrierWaitResult").field("is_leader", &self.is_leader()).finish()
    }
}
