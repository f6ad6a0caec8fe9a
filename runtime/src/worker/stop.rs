//! The orderly end of a worker.
//!
//! Invariant 1: a worker ends when nothing is left to run here, or when its grace has passed and everybody has had their turns;
//! what is left then is named. A turn is owed to whoever the cancel at the beginning made ready, and to those who were ready then a second
//! one: before it throws a cancel that came while it ran, a park lets the others go first. So the grace bounds those who park
//! or swallow once more, and those whom a cancel does not reach.
//! Invariant 2: from the moment when the inbox is closed, whoever would wake a coroutine of this worker is told that it will
//! never come (`waiter.rs`); whoever was woken before that has a turn to come in. So nobody is chosen in vain unknown to
//! whoever chose.

use super::Worker;
use crate::coroutine::CAN_UNWIND;
use crate::remote::RecordRef;
use crate::slot::Event;

/// What is owed before the grace counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owed {
    /// How many are to have been popped from the ready queue.
    until: u32,
    /// Rounds of it that follow.
    rounds: u32,
}

impl Worker {
    /// Begins the end when the fleet says so; `true` once nothing is left or the grace has passed.
    pub(super) fn is_ended(&self) -> bool {
        if !self.fleet.is_stopping() {
            return false;
        }
        self.close_window_if_idle();
        match self.stop_at.get() {
            Some(stop_at) => self.is_quiet() || self.owes_nothing() && self.clock.now() >= stop_at,
            None => {
                self.begin_stop();
                self.is_quiet()
            }
        }
    }

    /// Whether all turns of invariant 1 were given.
    fn owes_nothing(&self) -> bool {
        let (Owed { until, rounds }, popped) = (self.owed.get(), self.ready.popped());
        if until.wrapping_sub(popped).cast_signed() > 0 {
            return false;
        }
        let left = Owed { until: popped.wrapping_add(self.ready.len()), rounds: rounds.saturating_sub(1) };
        self.owed.set(if rounds > 0 { left } else { Owed { until: popped, rounds } });
        rounds == 0 || left.until == popped
    }

    /// Whether nothing is left here that could run or be ended. Where nothing unwinds, what is parked cannot be.
    fn is_quiet(&self) -> bool {
        let idle = !self.has_work() && self.starved.borrow().is_empty();
        idle && (self.slots.borrow().is_empty() || !CAN_UNWIND)
    }

    fn begin_stop(&self) {
        let grace = u64::try_from(self.fleet.grace().as_nanos()).unwrap_or(u64::MAX);
        self.stop_at.set(Some(self.clock.now().saturating_add(grace)));
        if CAN_UNWIND {
            let indexes = self.slots.borrow().indexes();
            indexes.into_iter().for_each(|index| _ = self.deliver_at(index, Event::Cancel));
        }
        self.owed.set(Owed { until: self.ready.popped().wrapping_add(self.ready.len()), rounds: 1 });
    }

    /// The end of the loop: invariant 2. One turn each, since what is run here may never end by itself.
    pub(super) fn take_leave(&self) {
        self.remote.close_inbox().into_iter().for_each(|message| self.read(message));
        self.home_of.set(None);
        let indexes = self.slots.borrow().indexes();
        for index in indexes {
            let called = self.slots.borrow()[index].life.is_called();
            if called {
                self.resume(index);
            }
        }
    }

    /// Takes out what did not end, for its names; its stacks stay as they are for ever.
    pub(crate) fn leak_rest(&self) -> Vec<RecordRef> {
        let mut rest: Vec<RecordRef> = self.slots.borrow_mut().drain().map(|slot| slot.record).collect();
        rest.extend(self.starved.borrow_mut().drain(..));
        rest.extend(std::iter::from_fn(|| self.spawns.pop(&self.remote.unstarted)));
        rest
    }
}
