//! The orderly end of a worker.
//!
//! Invariant 1: a worker ends when nothing is left to run here, or when its grace has passed and everybody has had their turns;
//! what is left then is named. A turn is owed to whoever the cancel at the beginning made ready, and to what waited for its
//! start, whose closure is dropped in it. To those who were ready then, a second one: before it throws a cancel that came
//! while it ran, a park lets the others go first. So the grace bounds those who park or swallow once more, and those whom a
//! cancel does not reach.
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
    /// How many are to have been started, if so many are there.
    starts: u32,
}

/// Whether one count is to come to another; both modulo 2^32.
fn is_ahead(count: u32, present: u32) -> bool {
    count.wrapping_sub(present).cast_signed() > 0
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
        let (owed, popped) = (self.owed.get(), self.ready.popped());
        if is_ahead(owed.until, popped) {
            return false;
        }
        let ready = if owed.rounds > 0 { self.ready.len() } else { 0 };
        let (until, rounds) = (popped.wrapping_add(ready), owed.rounds.saturating_sub(1));
        self.owed.set(Owed { until, rounds, ..owed });
        ready == 0 && !(is_ahead(owed.starts, self.long_runs.started()) && self.has_unstarted())
    }

    fn has_unstarted(&self) -> bool {
        !self.spawns.is_empty() || self.remote.unstarted.has_injected()
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
        let unstarted = self.spawns.len() + self.remote.unstarted.injected();
        self.owed.set(Owed {
            until: self.ready.popped().wrapping_add(self.ready.len()),
            rounds: 1,
            starts: self.long_runs.started().wrapping_add(unstarted as u32),
        });
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
