//! What the running coroutine does to itself: yield, park, and know whether it unwinds.
//!
//! Invariant 1: `yield_now` and `park` are called by the running coroutine, by way of `park.rs` only.

#![allow(unsafe_code)]

use super::{IO_BUDGET, NOT_RUNNING, Unwinding, Worker};
use crate::coroutine::stack_mark;
use crate::mail::Ticket;
use crate::overflow;
use crate::remote::SlotName;
use crate::slot::{Awaited, Outcome, Shield, Slot, State};

impl Worker {
    /// Whether a coroutine runs (and not the loop).
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.running.get() != NOT_RUNNING
    }

    /// Calls `f` with the slot of the running coroutine. `f` must neither suspend nor reach for slots in another way.
    #[inline]
    pub(crate) fn with_running<R>(&self, f: impl FnOnce(&mut Slot) -> R) -> R {
        debug_assert!(self.is_running() && self.slots.try_borrow_mut().is_ok());
        // SAFETY: a coroutine runs, so the slot that `resume` found is still there (`lives.rs`, invariant 1), and whoever runs
        // uses no other reference to it while `f` runs: `f` touches nothing but the slot.
        f(unsafe { &mut *self.running_slot.get() })
    }

    /// Begins an internal wait of the running coroutine: who and which.
    #[inline]
    pub(crate) fn begin_wait(&self) -> (SlotName, Ticket) {
        let ticket = self.last_ticket.get().next();
        self.last_ticket.set(ticket);
        self.with_running(|slot| slot.life.begin_wait(ticket));
        (SlotName::new(self.remote.id, self.running.get()), ticket)
    }

    /// What the fault handler asks: whether `address` is in the running coroutine's guard, which is then reported.
    ///
    /// # Safety
    ///
    /// Called in a signal handler that interrupted this worker's own thread, and the process ends if the answer is yes.
    pub(crate) unsafe fn explain_fault(&self, address: usize) -> bool {
        if !self.is_running() {
            return false;
        }
        // SAFETY: a coroutine runs, so its slot is there (`lives.rs`, invariant 1); what the interrupted code may be changing
        // in it is neither its record nor its stack.
        let slot = unsafe { &*self.running_slot.get() };
        let overflown = slot.stack.guard_covers(address, self.guard_size);
        if overflown {
            overflow::report(&slot.record, slot.stack.size());
        }
        overflown
    }

    /// Reports the running coroutine, if there is one, as the one that aborts the process.
    ///
    /// # Safety
    ///
    /// Called in a signal handler that interrupted this worker's own thread.
    pub(crate) unsafe fn explain_abort(&self) {
        if self.is_running() {
            // SAFETY: as in `explain_fault`.
            let slot = unsafe { &*self.running_slot.get() };
            overflow::report_abort(&slot.record);
        }
    }

    /// Lets others run; the running coroutine goes to the end of the ready queue. Its state stays `Running`: to every event
    /// that is the same as `Ready`.
    #[inline(always)]
    pub(crate) fn yield_now(&self, unwinding: Unwinding) {
        self.ready.push(self.running.get());
        self.suspend(unwinding);
    }

    /// Suspends the running coroutine until an event of `on`, the deadline (nanoseconds of this worker's clock) or,
    /// unless shielded, a cancel. Whoever calls this has put it where its event finds it.
    #[inline(always)]
    pub(crate) fn park(&self, on: Awaited, deadline: Option<u64>, shield: Shield, unwinding: Unwinding) -> Outcome {
        let index = self.running.get();
        self.trim.borrow_mut().parks(index);
        self.with_running(|slot| {
            slot.mark_stack(stack_mark());
            slot.life.state = State::Parked { on, shield };
            if let Some(deadline) = deadline {
                slot.timer = Some(self.timers.borrow_mut().insert(deadline, index));
            }
        });
        self.suspend(unwinding);
        self.resumed()
    }

    #[inline(always)]
    fn suspend(&self, unwinding: Unwinding) {
        let counted = (unwinding != Unwinding::No).then(|| self.count_unwinding(unwinding));
        self.switch();
        if let Some(certainties) = counted {
            self.uncount_unwinding(certainties);
        }
    }

    #[cold]
    fn count_unwinding(&self, unwinding: Unwinding) -> u32 {
        let mut certain = self.unwinders.borrow_mut();
        if self.perhaps_unwinding.get() == 0 {
            certain.clear();
        }
        let (own, thrown) = self.with_running(|slot| (slot.record.id, slot.life.thrown));
        if unwinding == Unwinding::Yes && thrown == 0 && !certain.contains(&own) {
            certain.push(own);
        }
        drop(certain);
        self.perhaps_unwinding.set(self.perhaps_unwinding.get() + 1);
        self.certainties.get()
    }

    #[cold]
    fn uncount_unwinding(&self, certainties: u32) {
        if self.certainties.get() == certainties {
            self.perhaps_unwinding.set(self.perhaps_unwinding.get() - 1);
        }
    }

    #[inline(always)]
    fn switch(&self) {
        let suspender = self.with_running(|slot| slot.suspender.get());
        // SAFETY: the suspender is that of the running coroutine, which is who calls this (`park`, `yield_now`).
        unsafe { suspender.suspend() };
    }

    /// Back from a suspension: the outcome of the park.
    #[inline(always)]
    fn resumed(&self) -> Outcome {
        match self.with_running(|slot| std::mem::replace(&mut slot.life.state, State::Running)) {
            State::Ready(outcome) => outcome,
            state => unreachable!("resumed while {state:?}"),
        }
    }

    /// Whether the running coroutine is being unwound, by our throw or by a panic.
    ///
    /// std counts panics per OS thread. While another coroutine of this worker is suspended in a Drop of its unwind, std
    /// says that everybody here panics, and only our own throw is known for certain.
    #[inline]
    pub(crate) fn unwinding(&self) -> Unwinding {
        if std::thread::panicking() { self.unwinding_cold() } else { Unwinding::No }
    }

    #[cold]
    fn unwinding_cold(&self) -> Unwinding {
        if self.born_panicking {
            // `run` was called by a Drop during a panic of the plain thread. Taking every coroutine here for unwinding would
            // keep them all from being cancelled; so one that panics by itself and parks in a Drop may abort on a cancel.
            if self.with_running(|slot| slot.life.thrown > 0) { Unwinding::Yes } else { Unwinding::No }
        } else if self.perhaps_unwinding.get() == 0
            || self.is_orphan()
            || self.with_running(|slot| slot.life.thrown > 0)
        {
            Unwinding::Yes
        } else {
            Unwinding::Perhaps
        }
    }

    /// Whether the running coroutine is being unwound, as far as a poison is concerned: in doubt, if it certainly was when it suspended
    /// before. Others that suspend in doubt count as perhaps unwinding, too, but one that suspends in a Drop of its own
    /// unwind is in that Drop when it comes back.
    pub(crate) fn probably_unwinds(&self) -> bool {
        match self.unwinding() {
            Unwinding::No => false,
            Unwinding::Perhaps => {
                let own = self.with_running(|slot| slot.record.id);
                self.unwinders.borrow().contains(&own)
            }
            Unwinding::Yes => true,
        }
    }

    /// Once std says that nobody on this thread unwinds any more, parks that were unsure are open.
    #[cold]
    pub(super) fn look_for_certainty(&self) {
        if self.is_orphan() {
            self.end_orphan();
        }
        if std::thread::panicking() {
            return;
        }
        self.perhaps_unwinding.set(0);
        self.certainties.set(self.certainties.get().wrapping_add(1));
        let indexes = self.slots.borrow().indexes();
        for index in indexes {
            let before = self.slots.borrow()[index].life.state;
            let cancelled = self.slots.borrow_mut()[index].life.make_sure();
            if cancelled {
                self.unpark(index, before);
            }
        }
    }

    /// Counts one I/O operation that succeeded at once; `true` when it is time to yield.
    #[inline]
    pub(crate) fn spend_budget(&self) -> bool {
        let left = self.budget.get() - 1;
        self.budget.set(if left == 0 { IO_BUDGET } else { left });
        left == 0
    }
}
