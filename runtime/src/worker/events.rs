//! What happens to coroutines from outside: events of the state table, turns at sources.
//!
//! Invariant 1: whoever makes a parked slot ready takes it out of its queue and its timer, in the same step.

use super::Worker;
use crate::mail::Ticket;
use crate::poller::Poller;
use crate::readiness::Interest;
use crate::remote::{RecordRef, SlotName, SourceId};
use crate::slot::{Awaited, Event, Outcome, Shield, Slot, State};
use std::io;

impl Worker {
    /// Applies an event to a coroutine of this worker, if it is not done.
    pub(crate) fn deliver(&self, record: &RecordRef, event: Event) {
        let woke = self.deliver_to(record, event);
        self.remote.counters.local_wakes.add(u64::from(woke));
    }

    /// As [`Worker::deliver`], for another thread.
    pub(super) fn deliver_from_afar(&self, record: &RecordRef, event: Event) {
        let woke = self.deliver_to(record, event);
        self.remote.counters.remote_wakes.add(u64::from(woke));
    }

    fn deliver_to(&self, record: &RecordRef, event: Event) -> bool {
        let found = self.slots.borrow_mut().find(record).map(|(index, _)| index);
        found.is_some_and(|index| self.deliver_at(index, event))
    }

    /// Whether this worker ends the waits of the coroutine in this slot. Not any more once it takes leave.
    #[inline]
    pub(crate) fn is_home_of(&self, slot: SlotName) -> bool {
        slot.is_on(self.home_of.get())
    }

    /// Ends the internal wait `ticket` of whoever is in this slot, if it is theirs.
    #[inline(always)]
    pub(crate) fn wake(&self, index: u32, ticket: Ticket) {
        if self.wake_at(index, ticket) {
            self.remote.counters.local_wakes.add(1);
        }
    }

    /// As [`Worker::wake`], for another thread.
    pub(super) fn wake_from_afar(&self, index: u32, ticket: Ticket) {
        if self.wake_at(index, ticket) {
            self.remote.counters.remote_wakes.add(1);
        }
    }

    #[inline]
    fn wake_at(&self, index: u32, ticket: Ticket) -> bool {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(index) else {
            return false;
        };
        let woke = slot.life.deliver(Event::Wake(ticket));
        if woke {
            self.disarm(slot);
            self.ready.push(index);
        }
        woke
    }

    /// A worker was given up, perhaps the one that whoever joins here waits for: they look again.
    #[cold]
    pub(super) fn wake_joiners(&self) {
        let indexes = self.slots.borrow().indexes();
        for index in indexes {
            let life = self.slots.borrow()[index].life;
            if matches!(life.state, State::Parked { on: Awaited::End, .. }) {
                self.wake_at(index, life.ticket);
            }
        }
    }

    /// `true` if that made a parked coroutine ready.
    pub(super) fn deliver_at(&self, index: u32, event: Event) -> bool {
        let before = self.slots.borrow()[index].life.state;
        let woke = self.slots.borrow_mut()[index].life.deliver(event);
        if woke {
            self.unpark(index, before);
        }
        woke
    }

    /// Wakes those whose deadline has passed.
    pub(super) fn expire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = self.read_clock();
        let mut expiries = 0;
        while let Some(index) = self.pop_expired(now) {
            self.slots.borrow_mut()[index].timer = None;
            self.deliver_at(index, Event::Timeout);
            expiries += 1;
        }
        if expiries > 0 {
            self.remote.counters.timer_expiries.add(expiries);
            // Many timers in one bucket take a while, which is not the coroutines' fault.
            self.begin_window();
        }
    }

    fn pop_expired(&self, now: u64) -> Option<u32> {
        self.timers.borrow_mut().pop_expired(now)
    }

    /// A slot is ready that was parked as `before` says: takes it out of its queue and its timer (invariant 3).
    #[inline(always)]
    pub(super) fn unpark(&self, index: u32, before: State) {
        let mut slots = self.slots.borrow_mut();
        if let State::Parked { on: Awaited::Source(interest), .. } = before {
            let source = slots[index].source;
            self.poller.borrow_mut().dequeue(&mut *slots, source, interest, index);
        }
        self.disarm(&mut slots[index]);
        self.ready.push(index);
    }

    #[inline(always)]
    pub(super) fn disarm(&self, slot: &mut Slot) {
        if let Some(timer) = slot.timer.take() {
            self.timers.borrow_mut().cancel(timer);
        }
    }

    /// The source's queue gave up this slot: it is its turn.
    pub(super) fn source_ready(&self, slot: Option<u32>) {
        let Some(index) = slot else {
            return;
        };
        let mut slots = self.slots.borrow_mut();
        if slots[index].life.deliver(Event::SourceReady) {
            self.disarm(&mut slots[index]);
            self.ready.push(index);
            self.remote.counters.io_wakes.add(1);
        }
    }

    // ---- sources ---------------------------------------------------------------------------------------------------

    /// Calls `f` with the poller. `f` must not suspend.
    pub(crate) fn with_poller<R>(&self, f: impl FnOnce(&mut Poller) -> R) -> R {
        f(&mut self.poller.borrow_mut())
    }

    /// Queues the running coroutine for a source and parks it. See [`Poller::enqueue`].
    #[inline(always)]
    pub(crate) fn park_on_source(
        &self,
        id: SourceId,
        interest: Interest,
        front: bool,
        deadline: Option<u64>,
        shield: Shield,
        unwinding: bool,
    ) -> io::Result<Outcome> {
        let index = self.running.get();
        {
            let mut slots = self.slots.borrow_mut();
            self.poller.borrow_mut().enqueue(&mut *slots, id, interest, index, front)?;
            slots[index].source = id.index() as u32;
        }
        Ok(self.park(Awaited::Source(interest), deadline, shield, unwinding))
    }

    /// The end of a turn at a source.
    pub(crate) fn pass_on(&self, id: SourceId, interest: Interest) {
        let next = self.poller.borrow_mut().pass_on(&mut *self.slots.borrow_mut(), id, interest);
        self.source_ready(next);
    }
}
