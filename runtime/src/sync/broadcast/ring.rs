//! The last messages of a broadcast, under its lock.
//!
//! Owns which message a receiver gets next. Never drops, clones or wakes: it gives out what is to be dropped and whom to wake.
//!
//! Invariant 1: messages are numbered from 0 in the order in which they were sent; those from `first` on are in the ring.
//! Invariant 2: a message knows how many receivers have yet to see it; when none has, it leaves its slot, and slots at
//! the front without a message leave the ring. So a receiver whose next message is before `first` has missed it.

use crate::sync::channel::{Line, Number, Standing};
use crate::waiter::Waiter;
use std::collections::VecDeque;
use std::sync::Arc;

/// A message that some have yet to see.
struct Slot<T> {
    /// The message; `None` once all have seen it.
    message: Option<Arc<T>>,
    /// How many have not.
    unseen: usize,
}

/// What a receiver finds.
pub(super) enum Found<T> {
    /// Its next message.
    Message(Arc<T>),
    /// So many messages were too old to be kept for it.
    Lagged(u64),
    /// Nothing yet.
    Empty,
    /// Nothing ever.
    Closed,
}

/// See the heading.
pub(super) struct Ring<T> {
    slots: VecDeque<Slot<T>>,
    /// The number of the first slot (invariant 1).
    first: u64,
    /// How many slots there may be.
    capacity: usize,
    /// Receivers that wait.
    line: Line<()>,
    /// Handles to send with.
    pub(super) senders: usize,
    /// Handles to receive with.
    pub(super) receivers: usize,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: usize) -> Ring<T> {
        Ring { slots: VecDeque::new(), first: 0, capacity, line: Line::new(), senders: 1, receivers: 1 }
    }

    /// The number of the message that will be sent next.
    pub(super) fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// How many messages some have yet to see.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Adds a message; gives the oldest if it had to go, and how many receivers are to be woken.
    pub(super) fn push(&mut self, message: Arc<T>) -> (Option<Arc<T>>, usize) {
        let oldest = if self.slots.len() == self.capacity { self.slots.pop_front() } else { None };
        self.first += u64::from(oldest.is_some());
        self.slots.push_back(Slot { message: Some(message), unseen: self.receivers });
        (oldest.and_then(|slot| slot.message), self.line.len())
    }

    /// The next message of a receiver that has seen those before `next`.
    pub(super) fn take(&mut self, next: &mut u64) -> Found<T> {
        if *next < self.first {
            let missed = self.first - *next;
            *next = self.first;
            return Found::Lagged(missed);
        }
        match self.see(*next) {
            Some(message) => {
                *next += 1;
                self.trim();
                Found::Message(message)
            }
            None if self.senders == 0 => Found::Closed,
            None => Found::Empty,
        }
    }

    /// One receiver more has seen this message, and has it; if it is the last, nobody else has.
    fn see(&mut self, number: u64) -> Option<Arc<T>> {
        let slot = self.slots.get_mut((number - self.first) as usize)?;
        slot.unseen -= 1;
        if slot.unseen == 0 { slot.message.take() } else { slot.message.clone() }
    }

    /// Invariant 2.
    fn trim(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.message.is_none()) {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// A receiver that has seen those before `next` goes; gives what nobody else is to see.
    pub(super) fn forget(&mut self, next: u64) -> Vec<Arc<T>> {
        self.receivers -= 1;
        let rest = next.max(self.first)..self.end();
        let seen = rest.filter_map(|number| self.see(number)).collect();
        self.trim();
        seen
    }

    /// Whether a receiver that has seen those before `next` need not wait.
    pub(super) fn can_take(&self, next: u64) -> bool {
        next < self.end() || self.senders == 0
    }

    pub(super) fn wait(&mut self, standing: Standing) -> Number {
        self.line.join(None, standing, ())
    }

    pub(super) fn leave(&mut self, number: Number) {
        self.line.leave(number);
    }

    /// Whom to wake next. Who waits again goes to the end of the line, so as many calls as once stood there wake all of those.
    pub(super) fn next_waiter(&mut self) -> Option<Waiter> {
        self.line.claim(None, |()| true).map(|(waiter, ())| waiter)
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    fn take(ring: &mut Ring<u32>, next: &mut u64) -> Result<u32, u64> {
        match ring.take(next) {
            Found::Message(message) => Ok(*message),
            Found::Lagged(missed) => Err(missed),
            Found::Empty | Found::Closed => Err(0),
        }
    }

    #[test]
    fn what_all_have_seen_leaves_and_who_lags_is_told_once() {
        let (mut ring, mut fast, mut slow) = (Ring::new(2), 0, 0);
        ring.receivers = 2;
        (0..3).for_each(|n| {
            let oldest = ring.push(Arc::new(n)).0;
            assert_eq!(oldest.is_some(), n == 2);
        });
        assert_eq!(take(&mut ring, &mut fast), Err(1));
        assert_eq!([take(&mut ring, &mut fast), take(&mut ring, &mut fast)], [Ok(1), Ok(2)]);
        assert_eq!(take(&mut ring, &mut fast), Err(0));
        assert_eq!(ring.len(), 2);
        assert_eq!(take(&mut ring, &mut slow), Err(1));
        assert_eq!(take(&mut ring, &mut slow), Ok(1));
        assert_eq!(ring.len(), 1);
        assert_eq!(ring.forget(slow).len(), 1);
        assert_eq!((ring.len(), ring.receivers), (0, 1));
    }

    #[test]
    fn the_last_to_see_a_message_has_it_alone() {
        let (mut ring, mut next) = (Ring::new(4), 0);
        ring.push(Arc::new(7));
        let Found::Message(message) = ring.take(&mut next) else { panic!("it was sent") };
        assert_eq!(Arc::into_inner(message), Some(7));
    }
}
