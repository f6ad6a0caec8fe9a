//! The orderly end of a worker.
//!
//! Invariant 1: a worker ends when nothing is left to run here, or when its grace has passed; what is left then is named.

use super::Worker;
use crate::coroutine::CAN_UNWIND;
use crate::remote::RecordRef;
use crate::slot::Event;

impl Worker {
    /// Begins the end when the fleet says so; `true` once nothing is left or the grace has passed.
    pub(super) fn is_ended(&self) -> bool {
        if !self.fleet.is_stopping() {
            return false;
        }
        let stop_at = self.stop_at.get().unwrap_or_else(|| self.begin_stop());
        let empty = self.slots.borrow().is_empty()
            && !self.has_work()
            && !self.remote.has_injected()
            && self.starved.borrow().is_empty();
        empty || self.clock.now() >= stop_at
    }

    fn begin_stop(&self) -> u64 {
        let grace = u64::try_from(self.fleet.grace.as_nanos()).unwrap_or(u64::MAX);
        let stop_at = self.clock.now().saturating_add(grace);
        self.stop_at.set(Some(stop_at));
        if CAN_UNWIND {
            let indexes = self.slots.borrow().indexes();
            indexes.into_iter().for_each(|index| self.deliver_at(index, Event::Cancel));
        }
        stop_at
    }

    /// Takes out what did not end, for its names; its stacks stay as they are for ever.
    pub(crate) fn leak_rest(&self) -> Vec<RecordRef> {
        let mut rest: Vec<RecordRef> = self.slots.borrow_mut().drain().map(|slot| slot.record).collect();
        rest.extend(self.starved.borrow_mut().drain(..));
        rest.extend(std::iter::from_fn(|| self.spawns.pop(&self.remote)));
        rest
    }
}
