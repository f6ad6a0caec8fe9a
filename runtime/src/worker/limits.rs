//! When the timeouts around the running coroutine are over.
//!
//! A table beside the slots, not a part of them: a connection that is in no timeout pays nothing for those that are. It
//! grows with the highest slot that ever was in one, eight bytes for a slot, and never shrinks.
//!
//! Invariant 1: what stands here for a slot means something only while its terms say that it is timed.

use super::Worker;
use crate::slot::Terms;
use std::cell::RefCell;

/// In place of a limit: there is none.
pub(crate) const NEVER: u64 = u64::MAX;

/// By slot, nanoseconds of the worker's clock.
#[derive(Debug, Default)]
pub(super) struct Limits(RefCell<Vec<u64>>);

impl Worker {
    /// When the first of the timeouts around the running coroutine is over, on this side of a shield; [`NEVER`] without one.
    #[inline]
    pub(crate) fn limit(&self) -> u64 {
        self.limit_of(self.running.get(), self.with_running(|slot| slot.life.terms))
    }

    /// As [`Worker::limit`], for the slot with this index and these terms.
    #[inline]
    pub(super) fn limit_of(&self, index: u32, terms: Terms) -> u64 {
        if terms.is_timed() { self.limits.0.borrow()[index as usize] } else { NEVER }
    }

    /// Notes that for the running coroutine.
    #[inline]
    pub(crate) fn set_limit(&self, limit: u64) {
        let index = self.running.get() as usize;
        let mut limits = self.limits.0.borrow_mut();
        match limits.get_mut(index) {
            Some(place) => *place = limit,
            None => grow(&mut limits, index, limit),
        }
    }
}

#[cold]
fn grow(limits: &mut Vec<u64>, index: usize, limit: u64) {
    limits.resize(index + 1, NEVER);
    limits[index] = limit;
}
