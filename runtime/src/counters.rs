//! What a worker counts, for any thread to read.
//!
//! Owns the words, not their meaning: `metrics.rs` says what each figure is. Must never know who reads, nor wait for them.
//!
//! Invariant 1: a [`Count`] is written by one thread only, the worker's own, so that counting is a load, an addition and a
//! store, without a lock on the bus; whoever reads gets what was stored last, or a moment before.

use crate::atomic::{AtomicU64, Ordering};
use crate::lock::Lock;
use std::ops::Range;

/// One figure, written by its owner and read by all.
#[derive(Debug)]
pub(crate) struct Count(AtomicU64);

impl Count {
    fn new() -> Count {
        Count(AtomicU64::new(0))
    }

    /// Owner only.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.set(self.read().wrapping_add(more));
    }

    /// Owner only.
    #[inline]
    pub(crate) fn take_one(&self) {
        self.set(self.read().wrapping_sub(1));
    }

    /// Owner only.
    #[inline]
    pub(crate) fn set(&self, value: u64) {
        // ORDERING: Relaxed; a figure publishes nothing but itself. Read in `read`.
        self.0.store(value, Ordering::Relaxed);
    }

    /// Owner only: sets it if that makes it larger.
    #[inline]
    pub(crate) fn raise(&self, value: u64) {
        if value > self.read() {
            self.set(value);
        }
    }

    #[inline]
    pub(crate) fn read(&self) -> u64 {
        // ORDERING: Relaxed; pairs with the store in `set`, or with none: any value since the last will do.
        self.0.load(Ordering::Relaxed)
    }
}

/// The figures of one worker. On cache lines of their own: the owner writes them all the time, and what lies beside them
/// in memory is written by others.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// Coroutines spawned here.
    pub(crate) spawns: Count,
    /// Of these, how many were given to another worker at birth.
    pub(crate) placements: Count,
    /// Unstarted coroutines taken from another worker.
    pub(crate) steals: Count,
    /// How often a coroutine was given the thread, its start included.
    pub(crate) resumes: Count,
    /// Looks at the poller.
    pub(crate) polls: Count,
    /// Coroutines made ready by this worker's own thread: woken, unparked, cancelled.
    pub(crate) local_wakes: Count,
    /// Coroutines made ready by messages of other threads.
    pub(crate) remote_wakes: Count,
    /// Coroutines made ready by the poller.
    pub(crate) io_wakes: Count,
    /// Deadlines that passed.
    pub(crate) timer_expiries: Count,
    /// See `long_run.rs`.
    pub(crate) long_runs: Count,
    /// Nanoseconds.
    pub(crate) longest_run: Count,
    /// Started coroutines at this very moment, for who tells of what a worker keeps that never comes to the end of its turn.
    pub(crate) kept: Count,
    /// Gauge: started coroutines. Of the same moment as `unstarted`: in between, one that has just started would count as both.
    pub(crate) live: Count,
    /// Gauge: those of them that could run.
    pub(crate) ready: Count,
    /// Gauge: those of them that wait for something.
    pub(crate) parked: Count,
    /// Gauge: coroutines that wait for their start.
    pub(crate) unstarted: Count,
    /// Gauge: nanoseconds from ready to running, if anybody asks. See `queue_delay.rs`.
    pub(crate) queue_delay: Count,
    /// Gauge: bytes of address space in slabs of stacks.
    pub(crate) stacks_mapped: Count,
    /// Gauge: bytes of free stacks that keep their memory.
    pub(crate) stacks_cached: Count,
    /// Where the slabs are.
    slabs: Lock<Vec<Range<usize>>>,
}

impl Counters {
    pub(crate) fn new() -> Counters {
        Counters {
            spawns: Count::new(),
            placements: Count::new(),
            steals: Count::new(),
            resumes: Count::new(),
            polls: Count::new(),
            local_wakes: Count::new(),
            remote_wakes: Count::new(),
            io_wakes: Count::new(),
            timer_expiries: Count::new(),
            long_runs: Count::new(),
            longest_run: Count::new(),
            kept: Count::new(),
            live: Count::new(),
            ready: Count::new(),
            parked: Count::new(),
            unstarted: Count::new(),
            queue_delay: Count::new(),
            stacks_mapped: Count::new(),
            stacks_cached: Count::new(),
            slabs: Lock::new(Vec::new()),
        }
    }

    /// Owner only: the slabs are these from now on.
    pub(crate) fn publish_slabs(&self, slabs: Vec<Range<usize>>) {
        let bytes = slabs.iter().map(ExactSizeIterator::len).sum::<usize>();
        self.stacks_mapped.set(bytes as u64);
        let before = std::mem::replace(&mut *self.slabs.lock(), slabs);
        drop(before);
    }

    /// Where the slabs were a moment ago.
    pub(crate) fn slabs(&self) -> Vec<Range<usize>> {
        self.slabs.lock().clone()
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read() {
        let counters = Counters::new();
        counters.spawns.add(2);
        counters.spawns.add(4);
        counters.spawns.take_one();
        counters.longest_run.raise(7);
        counters.longest_run.raise(5);
        counters.publish_slabs(vec![4096..8192, 16384..20480]);
        let figures = [&counters.spawns, &counters.longest_run, &counters.stacks_mapped].map(Count::read);
        assert_eq!(figures, [5, 7, 8192]);
        assert_eq!(counters.slabs(), [4096..8192, 16384..20480]);
    }
}
