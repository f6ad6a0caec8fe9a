//! What a worker tells of itself, once a turn.
//!
//! Knows which figure comes from where. What happens rarely is counted where it happens; what happens at every resume is
//! taken here from what is counted anyway.

use super::Worker;
use crate::roster::Showing;

impl Worker {
    /// Publishes what has changed since the last time; `running` coroutines are neither ready nor parked.
    pub(crate) fn publish_figures(&self, running: usize) {
        let counters = &self.remote.counters;
        let (popped, started, changes) =
            (self.ready.popped(), self.long_runs.started(), self.stacks.borrow().changes());
        let (popped_before, started_before, changes_before) = self.published.replace((popped, started, changes));
        let resumes = popped.wrapping_sub(popped_before).wrapping_add(started.wrapping_sub(started_before));
        counters.resumes.add(u64::from(resumes));
        let (live, ready) = (self.slots.borrow().len(), self.ready.len() as usize);
        counters.live.set(live as u64);
        counters.ready.set(ready as u64);
        counters.parked.set(live.saturating_sub(ready + running) as u64);
        counters.unstarted.set((self.spawns.len() + self.starved.borrow().len()) as u64);
        counters.stacks_cached.set(self.stacks.borrow().cached() as u64);
        if self.fleet.is_watched() {
            self.publish_queue_delay();
        }
        if changes != changes_before {
            self.publish_slabs();
        }
    }

    /// Publishes that nothing is left here.
    pub(crate) fn publish_end(&self) {
        let counters = &self.remote.counters;
        let gauges = [&counters.live, &counters.ready, &counters.parked, &counters.unstarted, &counters.queue_delay];
        gauges.into_iter().chain([&counters.stacks_cached]).for_each(|gauge| gauge.set(0));
        counters.publish_slabs(Vec::new());
    }

    /// Shows what runs here to other threads.
    pub(crate) fn show(&self) -> Showing<'_> {
        self.remote.shown.show(&self.running, &self.roster)
    }

    #[cold]
    fn publish_slabs(&self) {
        self.remote.counters.publish_slabs(self.stacks.borrow().slabs());
    }
}
