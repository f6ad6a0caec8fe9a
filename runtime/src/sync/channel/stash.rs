//! The oldest messages, set aside for the receivers so that they do not meet the senders at the channel's lock.
//!
//! Where the two ends are on different cores, each use of the one lock takes its cache lines away from the other end. So a
//! receiver that finds several messages sets them aside, and the next receives take from there. The messages still
//! count as queued: capacity and order are those of one queue. Whoever holds the channel's lock and needs them in the queue
//! takes them back: a sender that is about to wait, a select that receives.
//!
//! The rejected way, a ring without a lock, would have to know the lines of those who wait, selects and rendezvous, all of
//! which now are plain code under a lock.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | nothing is here |
//! | 2 n | n messages are here |
//! | 2 n + 1 | the same, and somebody is taking one or all |
//!
//! Invariant 1: only who holds the channel's lock raises the word from 0.
//! Invariant 2: the messages are touched by who made the word odd until it is even again, and by who holds the channel's lock
//! while it is 0: it cannot become odd then.
//! Invariant 3: who received a message is ordered before whoever finds its room: the room of a channel may be a permit.
//!
//! A child of fork(2) that inherits an odd word waits for ever, as it does for a lock that another thread held.

#![allow(unsafe_code)]

use crate::atomic::{AtomicU64, Ordering, SharedCell, doze, spin_loop};
use std::collections::VecDeque;

/// Looks at an odd word before the thread dozes: whoever made it odd moves a message, but may have been preempted.
#[cfg(not(dormouse_loom))]
const LOOKS: u32 = 100;
/// In a model it goes on only if the others let it.
#[cfg(dormouse_loom)]
const LOOKS: u32 = 0;

/// Somebody is taking.
const TAKING: u64 = 1;
/// One message.
const MESSAGE: u64 = 2;

/// See the heading. On a cache line of its own: that is its use. It also keeps the channel's other words on as few as can be.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Stash<T> {
    /// How many are here, and whether somebody takes.
    word: AtomicU64,
    /// The messages (invariant 2).
    messages: SharedCell<VecDeque<T>>,
}

// SAFETY: invariant 2 hands the messages to one thread at a time, so they need only be `Send`.
unsafe impl<T: Send> Sync for Stash<T> {}

impl<T> Stash<T> {
    pub(super) fn new() -> Stash<T> {
        Stash { word: AtomicU64::new(0), messages: SharedCell::new(VecDeque::new()) }
    }

    /// How many are here; it only falls unless the caller raises it, who holds the channel's lock.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        // ORDERING: Acquire pairs with the Release in `pop_some` (invariant 3).
        (self.word.load(Ordering::Acquire) / MESSAGE) as usize
    }

    /// The first, if there is any and nobody else takes.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<T> {
        // ORDERING: Relaxed; the exchange decides.
        let word = self.word.load(Ordering::Relaxed);
        if word == 0 { None } else { self.pop_some(word) }
    }

    #[inline]
    fn pop_some(&self, word: u64) -> Option<T> {
        // ORDERING: Acquire pairs with the Release in `fill` and below; a failure reads nothing.
        let exchanged = self.word.compare_exchange(word & !TAKING, word | TAKING, Ordering::Acquire, Ordering::Relaxed);
        exchanged.ok()?;
        // SAFETY: this thread has made the word odd (invariant 2).
        let message = self.messages.with_mut(|messages| unsafe { (*messages).pop_front() });
        // ORDERING: Release pairs with the Acquire above, in `fill` and in `claim`. A store: an odd word is its taker's.
        self.word.store((word & !TAKING) - MESSAGE, Ordering::Release);
        message
    }

    /// Sets aside what `choose` moves here; nothing if there still is something. Under the channel's lock only.
    #[inline]
    pub(super) fn fill(&self, choose: impl FnOnce(&mut VecDeque<T>)) -> usize {
        // ORDERING: Acquire pairs with the Release of whoever took the last.
        if self.word.load(Ordering::Acquire) != 0 {
            return self.len();
        }
        let count = self.messages.with_mut(|messages| {
            // SAFETY: the word is 0 and the caller holds the channel's lock (invariant 2).
            let messages = unsafe { &mut *messages };
            choose(messages);
            messages.len()
        });
        // ORDERING: Release pairs with the Acquire in `pop_some` and `claim`.
        self.word.store(count as u64 * MESSAGE, Ordering::Release);
        count
    }

    /// Calls `take` with all that are here, oldest first, of which it leaves none. Under the channel's lock only.
    #[inline(always)]
    pub(super) fn take_back(&self, take: impl FnOnce(&mut VecDeque<T>)) {
        // ORDERING: Acquire pairs with the Release in `pop_some` (invariant 3).
        if self.word.load(Ordering::Acquire) != 0 {
            self.take_back_cold(take);
        }
    }

    #[cold]
    fn take_back_cold(&self, take: impl FnOnce(&mut VecDeque<T>)) {
        if !self.claim() {
            return;
        }
        self.messages.with_mut(|messages| {
            // SAFETY: this thread has made the word odd (invariant 2).
            let messages = unsafe { &mut *messages };
            take(messages);
            debug_assert!(messages.is_empty(), "all are taken");
        });
        // ORDERING: Relaxed; the channel's lock, which is held, orders it before the next `fill`.
        self.word.store(0, Ordering::Relaxed);
    }

    /// Makes the word odd, once nobody else has; `false` if it is 0 by then.
    fn claim(&self) -> bool {
        let mut looks = 0;
        loop {
            // ORDERING: Acquire as in `take_back`, if it is 0 by now; otherwise the exchange decides.
            let word = self.word.load(Ordering::Acquire);
            if word == 0 {
                return false;
            }
            // ORDERING: as in `pop_some`.
            let claimed = |word| self.word.compare_exchange(word, word | TAKING, Ordering::Acquire, Ordering::Relaxed);
            if word & TAKING == 0 && claimed(word).is_ok() {
                return true;
            }
            looks += 1;
            if looks < LOOKS { spin_loop() } else { doze() }
        }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn they_come_out_in_order_and_what_is_left_can_be_taken_back() {
        let stash = Stash::new();
        assert_eq!(stash.fill(|place| place.extend(0..5)), 5);
        assert_eq!(stash.fill(|_| unreachable!("there is something")), 5);
        assert_eq!((stash.pop(), stash.pop(), stash.len()), (Some(0), Some(1), 3));
        let mut back = Vec::new();
        stash.take_back(|messages| back.extend(messages.drain(..)));
        assert_eq!((back, stash.len(), stash.pop()), (vec![2, 3, 4], 0, None));
        stash.take_back(|_| unreachable!("there is nothing"));
        assert_eq!(stash.fill(|place| place.push_back(5)), 1);
        assert_eq!((stash.pop(), stash.pop()), (Some(5), None));
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::sync::{Arc, Mutex};

    /// The stash, and the channel's lock with what is in the queue.
    type Shared = Arc<(Stash<u32>, Mutex<Vec<u32>>)>;

    fn receive(shared: &Shared) -> Option<u32> {
        let (stash, queue) = &**shared;
        stash.pop().or_else(|| {
            let mut queue = queue.lock().unwrap();
            stash.take_back(|messages| {
                messages.extend(queue.drain(..));
                queue.extend(messages.drain(..));
            });
            let message = (!queue.is_empty()).then(|| queue.remove(0));
            stash.fill(|place| place.extend(queue.drain(..)));
            message
        })
    }

    /// Receivers that set aside, take from there, and take back: each message is one's, and in order for each of them.
    #[test]
    fn each_message_comes_out_once() {
        loom::model(|| {
            let shared: Shared = Arc::new((Stash::new(), Mutex::new(vec![1, 2, 3])));
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || [receive(&other), receive(&other)]);
            let here = [receive(&shared), receive(&shared)];
            let there = thread.join().unwrap();
            let mut all: Vec<_> = here.iter().chain(&there).flatten().copied().collect();
            for own in [here, there] {
                assert!(own[0] < own[1] || own[1].is_none(), "{own:?}");
            }
            all.sort_unstable();
            assert_eq!(all, [1, 2, 3]);
        });
    }
}
