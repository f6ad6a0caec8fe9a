//! How long those wait whom this worker is to run, once somebody has asked.
//!
//! Knows which queues there are. Not a word is touched here unless the fleet is watched, nor a clock read unless something waits.

use super::Worker;
use crate::queue_delay::QueueDelay;

/// The delays of a worker's two queues.
#[derive(Debug, Default)]
pub(super) struct QueueDelays {
    /// Of the coroutines that are ready.
    ready: QueueDelay,
    /// Of those that wait for their start.
    unstarted: QueueDelay,
}

impl Worker {
    /// Before a turn, when all that became ready is queued.
    pub(super) fn mark_queues(&self) {
        let now = || self.clock.now();
        self.queue_delays.ready.set_mark(self.ready.popped(), self.ready.len(), now);
        self.queue_delays.unstarted.set_mark(self.long_runs.started(), self.newcomers(), now);
    }

    /// After a turn, and before a sleep.
    pub(super) fn publish_queue_delay(&self) {
        let now = || self.clock.now();
        let ready = self.queue_delays.ready.look(self.ready.popped(), self.ready.len(), now);
        let unstarted = self.queue_delays.unstarted.look(self.long_runs.started(), self.newcomers(), now);
        self.remote.counters.queue_delay.set(ready.max(unstarted));
    }

    /// Coroutines that wait here for their start.
    fn newcomers(&self) -> u32 {
        (self.spawns.len() + self.remote.injected()) as u32
    }
}
