//! When the clock is read, and what happens when a coroutine has kept the worker from the poller.
//!
//! Knows where the suspects are found. `long_run.rs` knows who is one; who is told is the runtime's to say.

#![allow(unsafe_code)]

use super::Worker;
use crate::long_run::{Overrun, Report};
use crate::remote::RecordRef;
use log::LevelFilter;

impl Worker {
    /// Reads the clock, which ends a window; a long one is counted and, once a second, reported.
    #[cold]
    pub(super) fn read_clock(&self) -> u64 {
        let (now, popped) = (self.clock.now(), self.ready.popped());
        let (took, overrun) = self.long_runs.end(now, popped);
        self.remote.counters.longest_run.raise(took);
        if let Some(overrun) = overrun {
            self.ran_long(now, popped, overrun);
        }
        now
    }

    /// Reads the clock after what was not the doing of coroutines: a sleep, say.
    pub(super) fn begin_window(&self) {
        self.long_runs.begin(self.clock.now(), self.ready.popped());
    }

    /// What ran before a sleep was not long because of it.
    #[inline]
    pub(super) fn close_window_if_idle(&self) {
        if self.long_runs.is_open(self.ready.popped()) && !self.has_work() {
            self.read_clock();
        }
    }

    /// A coroutine is about to get the slot `index`.
    #[inline(always)]
    pub(super) fn enter(&self, index: u32, record: &RecordRef) {
        // SAFETY: the worker's own thread (`worker.rs`, invariant 1).
        let before = unsafe { self.roster.enter(index, record.spawned_at, record.name()) };
        self.long_runs.starts(index, before, self.ready.popped());
    }

    #[cold]
    fn ran_long(&self, now: u64, popped: u32, overrun: Overrun) {
        self.remote.counters.long_runs.add(1);
        // Without anybody to listen there is nothing to be limited.
        if log::max_level() < LevelFilter::Warn {
            return;
        }
        let Some(suppressed) = self.long_runs.may_report(now) else {
            return;
        };
        let resumed = self.ready.last_popped(overrun.popped);
        let suspects = self.long_runs.suspects(overrun, popped, resumed, |index| self.roster.who(index));
        self.queue_local((self.reporter)(Report::new(overrun.took, suppressed, suspects)));
    }
}
