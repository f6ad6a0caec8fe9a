//! How a coroutine begins, is resumed and ends, and what happens when there is no stack for it.
//!
//! Invariant 1: slots are added and removed by the loop, between two resumes, so no slot moves while a coroutine runs.
//! Invariant 2: its record stays in the slot until it has ended, or until it is leaked and never runs again. From the end of
//! its body on, while it returns, the record may be gone (`Leftover`), and nobody looks at it: no code of the user's runs there but a
//! global allocator, which must not ask for the current coroutine.
//! Invariant 3: only `resume` touches a slot's coroutine between its start and its end.

#![allow(unsafe_code)]

use super::{IO_BUDGET, NOT_RUNNING, Watch, Worker};
use crate::coroutine::{CAN_UNWIND, Coroutine};
use crate::remote::{Leftover, RecordRef, Start};
use crate::slot::Slot;
use crate::stack::Stack;
use std::io;

impl Worker {
    /// Starts a coroutine and runs it until it suspends. If there is no stack for it now, it waits for one.
    #[inline(always)]
    pub(super) fn start(&self, record: RecordRef) {
        let acquired = self.stacks.borrow_mut().acquire(record.stack_size as usize);
        match acquired {
            Ok(stack) => self.start_on(stack, record, Start::Run),
            Err(error) => self.starve(record, error),
        }
    }

    #[inline(always)]
    fn start_on(&self, stack: Stack, record: RecordRef, start: Start) {
        let mut slots = self.slots.borrow_mut();
        let (index, slot) = slots.insert(|index| {
            let letters = record.start(self.remote.id, index);
            let dropped = letters.cancel || self.fleet.is_stopping();
            let start = if dropped && matches!(start, Start::Run) { Start::Drop } else { start };
            let body = record.as_ptr();
            let extent = stack.extent();
            // SAFETY: invariant 2: the slot holds a reference for as long as the coroutine can run.
            let coroutine = Coroutine::new(stack, move || unsafe { RecordRef::run(body, start) });
            let mut slot = Slot::new(record, extent, coroutine);
            slot.life.token = letters.unpark;
            if dropped && CAN_UNWIND {
                slot.life.terms.note_cancel();
            }
            slot
        });
        self.enter(index, &slot.record);
        self.remote.counters.kept.add(1);
        let slot = std::ptr::from_mut(slot);
        drop(slots);
        self.resume_at(index, slot);
    }

    /// No stack: the record waits until one of its size comes back. If none is out, that is in vain: its closure is
    /// dropped, on the reserve (`worker.rs`, invariant 4), and its `join` tells why.
    #[cold]
    fn starve(&self, record: RecordRef, error: io::Error) {
        // The reserve itself is out for good.
        let comes_back = self.stacks.borrow().are_out(record.stack_size as usize);
        let reserve = if comes_back { None } else { self.reserve.borrow_mut().take() };
        match reserve {
            Some(stack) => self.start_on(stack, record, Start::Refuse(error)),
            None => {
                record.claim(self.remote.id);
                self.starved.borrow_mut().push_back(record);
            }
        }
    }

    /// A stack came back: tries one record of its size again, and all that no stack will come back for.
    #[cold]
    fn feed_starved(&self, size: usize) {
        let mut starved = self.starved.borrow_mut();
        let mut fed = false;
        for _ in 0..starved.len() {
            let Some(record) = starved.pop_front() else {
                return;
            };
            let hopeless = !self.stacks.borrow().are_out(record.stack_size as usize);
            let fits = !fed && self.stacks.borrow().size_of(record.stack_size as usize) == size;
            if hopeless || fits {
                fed |= fits;
                self.spawns.push_local(record);
            } else {
                starved.push_back(record);
            }
        }
    }

    /// Gives the thread to a ready coroutine until it suspends or ends.
    #[inline(always)]
    pub(super) fn resume(&self, index: u32) {
        let slot = std::ptr::from_mut(&mut self.slots.borrow_mut()[index]);
        self.resume_at(index, slot);
    }

    #[inline(always)]
    fn resume_at(&self, index: u32, slot: *mut Slot) {
        self.running.set(index);
        self.running_slot.set(slot);
        self.budget.set(IO_BUDGET);
        // SAFETY: invariant 1: the slot stays where it is.
        let way_back = unsafe { &raw const (*slot).suspender };
        // SAFETY: invariants 1 and 3: nobody else touches this field meanwhile.
        let coroutine = unsafe { &mut (*slot).coroutine };
        // SAFETY: a part of the slot, as above.
        let ended = unsafe { coroutine.resume(way_back) };
        self.running.set(NOT_RUNNING);
        if let Some(left) = ended {
            self.end(index, left);
        }
        if self.watch.get() != Watch::Nothing {
            self.see_to();
        }
    }

    #[inline(never)]
    fn end(&self, index: u32, left: Leftover) {
        let (coroutine, record) = self.slots.borrow_mut().remove(index);
        let record = match left {
            Leftover::Count => Some(record),
            Leftover::Nothing => {
                std::mem::forget(record);
                None
            }
        };
        self.remote.counters.kept.take_one();
        let stack = coroutine.into_stack();
        let size = stack.size();
        self.release(stack);
        if let Some(block) = record.and_then(RecordRef::release) {
            self.blocks.borrow_mut().keep(block);
        }
        if !self.starved.borrow().is_empty() {
            self.feed_starved(size);
        }
    }

    /// Back to the pool, unless the reserve is missing.
    #[inline]
    fn release(&self, stack: Stack) {
        if self.reserve.borrow().is_none() {
            self.release_cold(stack);
        } else {
            self.stacks.borrow_mut().release(stack);
        }
    }

    #[cold]
    fn release_cold(&self, stack: Stack) {
        let mut stacks = self.stacks.borrow_mut();
        if stack.size() == stacks.size_of(0) {
            *self.reserve.borrow_mut() = Some(stack);
        } else {
            stacks.release(stack);
        }
    }
}

/// The reserve goes back, so that the pool can unmap its slab.
impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(stack) = self.reserve.take() {
            self.stacks.borrow_mut().release(stack);
        }
    }
}
