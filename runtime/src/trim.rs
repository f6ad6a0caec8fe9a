//! Gives back what lies below the stack pointers of parked coroutines.
//!
//! Owns which slots parked since their stacks were last trimmed, one bit a slot, and the state of the alarm. Does not
//! know how an alarm is set. A coroutine that went deep once and parks would otherwise keep its pages for ever.
//!
//! The alarm is set once, when the first slot has parked since the last trim, and goes off [`DELAY`] later, however busy
//! or idle the worker is; then all that parked is trimmed in batches, a batch a turn. An idle worker whose stacks are
//! trimmed sets no alarm: idle means no wake-ups at all. The rejected way, a timeout on each sleep, arms and cancels a
//! kernel timer for every batch of requests.
//!
//! Invariant 1: a slot that is parked, and ran since its last trim, has its bit in `parked` or in `due`.
//! Invariant 2: `run` is called by the worker's loop, which resumes nobody meanwhile.

#![allow(unsafe_code)]

use crate::slot::State;
use crate::slots::Slots;
use crate::stack::{self, Extent};
use std::time::Duration;

/// How long after a coroutine parked its stack is trimmed, at the earliest.
pub(crate) const DELAY: Duration = Duration::from_secs(1);

/// Where the alarm stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Alarm {
    /// Not set, and nothing parked that would need it.
    #[default]
    Unset,
    /// Something parked, so it must be set before the worker sleeps.
    Needed,
    /// Set.
    Set,
}

/// The trimmer of one worker.
#[derive(Debug, Default)]
pub(crate) struct Trim {
    /// One bit a slot: it parked since the last alarm.
    parked: Vec<u64>,
    /// One bit a slot: it is to be trimmed now.
    due: Vec<u64>,
    /// The word of `due` to look at next; `due.len()` when all are done.
    next: usize,
    /// Where the alarm stands.
    alarm: Alarm,
}

impl Trim {
    /// A slot is about to park.
    #[inline]
    pub(crate) fn parks(&mut self, index: u32) {
        let (word, bit) = (index as usize / 64, 1u64 << (index % 64));
        match self.parked.get_mut(word) {
            Some(bits) => *bits |= bit,
            None => self.grow(word, bit),
        }
        self.want_alarm();
    }

    /// There is something to be given back, here or on the shelf, if nobody needs it until then.
    #[inline]
    pub(crate) fn want_alarm(&mut self) {
        if self.alarm == Alarm::Unset {
            self.alarm = Alarm::Needed;
        }
    }

    #[cold]
    fn grow(&mut self, word: usize, bit: u64) {
        self.parked.resize(word + 1, 0);
        self.parked[word] = bit;
    }

    /// Whether the alarm must be set before the worker sleeps.
    pub(crate) fn needs_alarm(&self) -> bool {
        self.alarm == Alarm::Needed && !self.is_due()
    }

    /// The alarm is set.
    pub(crate) fn alarm_is_set(&mut self) {
        self.alarm = Alarm::Set;
    }

    /// The alarm went off: what parked until now is due.
    pub(crate) fn alarm(&mut self) {
        if self.is_due() {
            return;
        }
        self.due.clear();
        std::mem::swap(&mut self.parked, &mut self.due);
        self.next = 0;
        self.alarm = Alarm::Unset;
    }

    /// Whether a batch is to be trimmed now.
    pub(crate) fn is_due(&self) -> bool {
        self.next < self.due.len()
    }

    /// Trims one batch: those of the next 64 slots of which any is due. Whoever becomes ready meanwhile waits until it is done, since the
    /// poller is looked at only between two of them: 30 us where there is nothing to give back.
    pub(crate) fn run(&mut self, slots: &Slots) {
        let Some(word) = (self.next..self.due.len()).find(|word| self.due[*word] != 0) else {
            self.next = self.due.len();
            return;
        };
        self.next = word + 1;
        let mut bits = self.due[word];
        let indices = std::iter::from_fn(|| {
            let bit = (bits != 0).then(|| bits.trailing_zeros())?;
            bits &= bits - 1;
            Some(word as u32 * 64 + bit)
        });
        let parked = indices.filter_map(|index| Trim::suspended_at(slots, index));
        // SAFETY: each is parked, so its mark was read on its way to suspending; nobody is resumed by invariant 2.
        unsafe { stack::trim_each(parked) };
    }

    /// The stack of a parked slot and where it is suspended. One that runs again will park again.
    fn suspended_at(slots: &Slots, index: u32) -> Option<(Extent, usize)> {
        let slot = slots.get(index)?;
        let parked = matches!(slot.life.state, State::Parked { .. });
        parked.then(|| (slot.stack, slot.stack.address_of(slot.stack_mark)))
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_64_slots_and_those_where_nothing_is_due_cost_no_turn() {
        let (mut trim, slots) = (Trim::default(), Slots::default());
        for index in (0..64).chain([64, 64_000]) {
            trim.parks(index);
        }
        assert!(trim.needs_alarm() && !trim.is_due());
        trim.alarm_is_set();
        trim.alarm();
        let mut next = Vec::new();
        while trim.is_due() {
            trim.run(&slots);
            next.push(trim.next);
        }
        assert_eq!(next, [1, 2, 1001]);
        assert!(!trim.needs_alarm());
    }
}
