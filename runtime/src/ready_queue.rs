//! The ready queue: slot indexes in the order they are to run.
//!
//! Owns a ring of indexes, which remembers the last [`REMEMBERED`] it gave out. A `RefCell<VecDeque<u32>>` does the same in twice the instructions, a tenth of a whole yield.
//!
//! Invariant 1: `buffer`'s length is a power of two; the indexes between `oldest` and `tail`, modulo that length, are
//! there: first `REMEMBERED` that were popped, then those that are queued.
//! Invariant 2: no reference into `buffer` is kept beyond a method, and no method calls another's code.

#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};

/// How many of those popped can be asked for.
pub(crate) const REMEMBERED: u32 = 64;

/// How many indexes fit at first.
const FIRST_LENGTH: usize = 128;

/// First in, first out, by one thread.
#[derive(Debug)]
pub(crate) struct ReadyQueue {
    /// The ring.
    buffer: UnsafeCell<Box<[u32]>>,
    /// Popped so far, modulo 2^32.
    oldest: Cell<u32>,
    /// Pushed so far and `REMEMBERED` more, modulo 2^32.
    tail: Cell<u32>,
    /// Why nothing may be pushed any more.
    closed: Cell<Option<&'static str>>,
}

impl ReadyQueue {
    pub(crate) fn new() -> ReadyQueue {
        ReadyQueue {
            buffer: UnsafeCell::new(vec![0; FIRST_LENGTH].into_boxed_slice()),
            oldest: Cell::new(0),
            tail: Cell::new(REMEMBERED),
            closed: Cell::new(None),
        }
    }

    /// The next to be popped.
    #[inline]
    fn head(&self) -> u32 {
        self.oldest.get().wrapping_add(REMEMBERED)
    }

    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.tail.get().wrapping_sub(self.head())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn push(&self, index: u32) {
        let tail = self.tail.get();
        // SAFETY: invariant 2: the only reference.
        let mut buffer = unsafe { &mut *self.buffer.get() };
        if tail.wrapping_sub(self.oldest.get()) as usize == buffer.len() {
            self.grow();
            // SAFETY: as above; the one before is not used again.
            buffer = unsafe { &mut *self.buffer.get() };
        }
        let mask = buffer.len() - 1;
        buffer[tail as usize & mask] = index;
        self.tail.set(tail.wrapping_add(1));
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<u32> {
        let head = self.head();
        if head == self.tail.get() {
            return None;
        }
        self.oldest.set(self.oldest.get().wrapping_add(1));
        // SAFETY: invariant 2: the only reference.
        let buffer = unsafe { &*self.buffer.get() };
        Some(buffer[head as usize & (buffer.len() - 1)])
    }

    /// What `pop` would give after so many others.
    #[inline]
    pub(crate) fn peek(&self, after: u32) -> Option<u32> {
        // SAFETY: invariant 2: the only reference.
        let buffer = unsafe { &*self.buffer.get() };
        let at = self.head().wrapping_add(after) as usize;
        (after < self.len()).then(|| buffer[at & (buffer.len() - 1)])
    }

    /// From now on nothing may be pushed: a panic says `why`. What was queued is forgotten.
    ///
    /// The queue then looks full, so that `push` pays nothing for this.
    pub(crate) fn close(&self, why: &'static str) {
        // SAFETY: invariant 2: the only reference.
        let full = unsafe { &*self.buffer.get() }.len() as u32;
        self.closed.set(Some(why));
        self.oldest.set(self.tail.get().wrapping_sub(full));
    }

    /// How many were popped so far, modulo 2^32.
    #[inline]
    pub(crate) fn popped(&self) -> u32 {
        self.oldest.get()
    }

    /// The last `count` that were popped, oldest first: at most `REMEMBERED`.
    pub(crate) fn last_popped(&self, count: u32) -> impl Iterator<Item = u32> {
        let head = self.head();
        (1..=count.min(REMEMBERED)).rev().map(move |back| {
            // SAFETY: invariant 2: the only reference.
            let buffer = unsafe { &*self.buffer.get() };
            buffer[head.wrapping_sub(back) as usize & (buffer.len() - 1)]
        })
    }

    #[cold]
    fn grow(&self) {
        if let Some(why) = self.closed.get() {
            return self.refuse(why);
        }
        // SAFETY: invariant 2: the only reference.
        let buffer = unsafe { &mut *self.buffer.get() };
        let old = buffer.len();
        let mut larger = vec![0; 2 * old].into_boxed_slice();
        let mask = larger.len() - 1;
        for offset in 0..old as u32 {
            let at = self.oldest.get().wrapping_add(offset) as usize;
            larger[at & mask] = buffer[at & (old - 1)];
        }
        *buffer = larger;
    }

    /// Panics, except in an unwind, which that would end: there what is pushed takes the place of the oldest.
    fn refuse(&self, why: &str) {
        assert!(std::thread::panicking(), "{why}");
        self.oldest.set(self.oldest.get().wrapping_add(1));
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn a_closed_queue_takes_nothing() {
        let queue = ReadyQueue::new();
        queue.push(1);
        queue.close("closed for the test");
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| queue.push(2))).unwrap_err();
        assert_eq!(refused.downcast_ref::<String>().unwrap(), "closed for the test");
        struct Pushes<'a>(&'a ReadyQueue);
        impl Drop for Pushes<'_> {
            fn drop(&mut self) {
                (0..200).for_each(|index| self.0.push(index));
            }
        }
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _pushes = Pushes(&queue);
            panic!("unwinds");
        }));
        assert!(unwound.is_err() && queue.len() == FIRST_LENGTH as u32 - REMEMBERED);
    }

    proptest! {
        #[test]
        fn it_is_a_queue(pushes in prop::collection::vec(0..200u32, 0..40), start in any::<u32>()) {
            let (queue, mut model, mut given) = (ReadyQueue::new(), VecDeque::new(), Vec::new());
            queue.oldest.set(start);
            queue.tail.set(start.wrapping_add(REMEMBERED));
            for (round, count) in pushes.into_iter().enumerate() {
                for index in 0..count {
                    queue.push(index);
                    model.push_back(index);
                }
                for _ in 0..(round as u32 * 37 % 200) {
                    prop_assert_eq!(queue.peek(0), model.front().copied());
                    prop_assert_eq!(queue.peek(3), model.get(3).copied());
                    let popped = queue.pop();
                    prop_assert_eq!(popped, model.pop_front());
                    given.extend(popped);
                }
                let last = given.len().min(REMEMBERED as usize);
                let remembered: Vec<u32> = queue.last_popped(last as u32).collect();
                prop_assert_eq!(&remembered[..], &given[given.len() - last..]);
                prop_assert_eq!(queue.len() as usize, model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
            while let Some(index) = model.pop_front() {
                prop_assert_eq!(queue.pop(), Some(index));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }
}
