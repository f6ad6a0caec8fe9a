//! Who unwinds, while std's count of panics cannot be taken off for want of a thread or of memory.
//!
//! Owns `Watch::Count`. It begins when one that unwinds suspends and leaves its part on the thread's count: from then on std says
//! that everybody here panics. Who suspends meanwhile may have a part in it as well, and is a *doubt* until it is resumed.
//! A wait that is begun is unsure (`slot.rs`): nothing strikes in it, since to throw into an unwind aborts the process, but it is
//! not refused either, as one in an unwind is.
//!
//! Invariant 1: it ends when nothing is counted, or when no doubt is left: then what is counted is that of who runs.
//! Invariant 2: whoever parks unsure is a doubt. So when it ends for want of doubts nobody is parked so, and when it ends otherwise
//! all of them are made sure.
//! Invariant 3: certain is, meanwhile, only into whom we have thrown ourselves. Of others it is known whether they unwound when they
//! suspended, if that was before, or as it began: they come back to the Drop that they suspended in.

use super::limits::NEVER;
use super::{Watch, Worker};
use std::cell::{Cell, RefCell};

/// What is known meanwhile.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Which time it is, modulo 2^32: who was a doubt of an earlier one is none of this.
    round: Cell<u32>,
    /// How many are suspended that may have a part in what the thread counts.
    doubts: Cell<u32>,
    /// Who unwound for certain when it suspended last.
    unwinders: RefCell<Vec<u64>>,
}

/// What one that suspends has of std's count.
pub(super) enum Counted {
    /// So much, which was taken off.
    Off(u32),
    /// It is a doubt of this round.
    Doubt(u32),
}

impl Worker {
    /// Whether what std says of the running coroutine is so, if it says that it unwinds.
    pub(crate) fn is_certain(&self) -> bool {
        self.watch.get() != Watch::Count || self.with_running(|slot| slot.life.thrown > 0)
    }

    /// Whether the running coroutine, of which std says that it unwinds, does as far as a poison is concerned: in doubt, if it did
    /// when it suspended before (invariant 3).
    pub(crate) fn probably_unwinds(&self) -> bool {
        self.is_certain() || self.doubt.unwinders.borrow().contains(&self.running_id())
    }

    fn running_id(&self) -> u64 {
        self.with_running(|slot| slot.record.id)
    }

    /// The running coroutine, of which std says that it unwinds, suspends.
    pub(super) fn take_off_count(&self) -> Counted {
        if self.watch.get() == Watch::Nothing {
            match self.panics.borrow_mut().take_off() {
                Ok(taken) => return Counted::Off(taken),
                Err(_) => self.watch.set(Watch::Count),
            }
            self.note_unwinder();
        }
        // Some of what is counted may be others', and nobody knows how much.
        self.doubt.doubts.set(self.doubt.doubts.get() + 1);
        Counted::Doubt(self.doubt.round.get())
    }

    /// It is resumed.
    pub(super) fn put_back_count(&self, counted: Counted) {
        match counted {
            Counted::Off(taken) => {
                self.panics.borrow_mut().put_back(taken);
                if self.watch.get() == Watch::Count {
                    self.note_unwinder();
                }
            }
            Counted::Doubt(round) => self.resolve(round),
        }
    }

    fn note_unwinder(&self) {
        let (own, mut unwinders) = (self.running_id(), self.doubt.unwinders.borrow_mut());
        if !unwinders.contains(&own) {
            unwinders.push(own);
        }
    }

    /// One doubt less, if it is one of this round.
    fn resolve(&self, round: u32) {
        if round != self.doubt.round.get() {
            return;
        }
        self.doubt.doubts.set(self.doubt.doubts.get() - 1);
        if self.doubt.doubts.get() == 0 {
            self.begin_round();
        }
    }

    fn begin_round(&self) {
        self.doubt.round.set(self.doubt.round.get().wrapping_add(1));
        self.doubt.doubts.set(0);
        self.doubt.unwinders.borrow_mut().clear();
        self.watch.set(Watch::Nothing);
    }

    /// Nothing is counted any more.
    pub(super) fn end_doubt(&self) {
        self.begin_round();
        let indexes = self.slots.borrow().indexes();
        indexes.into_iter().for_each(|index| self.make_sure(index));
    }

    /// Invariant 2. What was to strike strikes now.
    fn make_sure(&self, index: u32) {
        let life = self.slots.borrow()[index].life;
        if life.is_unsure() {
            self.set_own_limit(index);
            let struck = self.slots.borrow_mut()[index].life.make_sure();
            if struck {
                self.unpark(index, life.state);
            }
        }
    }

    /// Gives a park the limit of the timeout around it, which it was begun without: as a timer, or as a note that it is over.
    fn set_own_limit(&self, index: u32) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[index];
        let limit = self.limit_of(index, slot.life.terms);
        if limit <= self.clock.now() {
            slot.life.terms.note_expiry();
        } else if limit < slot.timer.map_or(NEVER, |timer| self.timers.borrow().deadline(timer)) {
            self.disarm(slot);
            slot.timer = Some(self.timers.borrow_mut().insert(limit, index));
            slot.life.terms.set_timer_strikes(true);
        }
    }
}
