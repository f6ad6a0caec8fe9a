//! What the running coroutine does to itself: yield and park.
//!
//! Invariant 1: `yield_now` and `park` are called by the running coroutine, by way of `park.rs` only.
//! Invariant 2: std's count of panics on this thread is that of the coroutine that runs, and zero in the loop: one that suspends while
//! it unwinds takes its part with it (`panic_count.rs`). So `std::thread::panicking()` says whether the one who asks unwinds.
//! Where neither a thread nor memory can be had for that, `Watch::Count` says so (`doubt.rs`).

#![allow(unsafe_code)]

use super::{IO_BUDGET, NOT_RUNNING, Worker};
use crate::coroutine::stack_mark;
use crate::mail::Ticket;
use crate::overflow;
use crate::remote::SlotName;
use crate::slot::{Awaited, Outcome, Shield, Slot, State};

/// What the loop has to see to after each resume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Watch {
    /// Nothing.
    #[default]
    Nothing,
    /// Whether this thread still counts panics of coroutines that are suspended (`doubt.rs`).
    Count,
    /// That nobody is resumed any more: this is a copy in a child of fork(2).
    Orphan,
}

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
    pub(crate) fn yield_now(&self, unwinding: bool) {
        self.ready.push(self.running.get());
        self.suspend(unwinding);
    }

    /// Suspends the running coroutine until an event of `on`, the deadline (nanoseconds of this worker's clock) or,
    /// unless shielded, a cancel. Whoever calls this has put it where its event finds it.
    #[inline(always)]
    pub(crate) fn park(&self, on: Awaited, deadline: Option<u64>, shield: Shield, unwinding: bool) -> Outcome {
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
    fn suspend(&self, unwinding: bool) {
        if unwinding { self.suspend_unwinding() } else { self.switch() }
    }

    /// Invariant 2.
    #[cold]
    #[inline(never)]
    fn suspend_unwinding(&self) {
        let counted = self.take_off_count();
        // What `park` has noted lies above this frame, which is needed as well.
        self.with_running(|slot| slot.mark_stack(stack_mark()));
        self.switch();
        self.put_back_count(counted);
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

    /// After a resume: whether what was left on the thread's count has gone from it, or this is an orphan.
    #[cold]
    pub(super) fn see_to(&self) {
        if self.is_orphan() {
            self.end_orphan();
        }
        if !std::thread::panicking() {
            self.end_doubt();
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
