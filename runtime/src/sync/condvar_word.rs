//! The word of a condition variable: whether somebody waits.
//!
//! Owns the algorithm: the queue, and what becomes of a notification whose waiter is cancelled. Knows the word of the mutex,
//! no value and no guard.
//!
//! Invariant 1: if somebody is in the queue, the word is 1. It changes only under the bucket's lock.
//! Invariant 2: who was chosen by `notify_one` and is cancelled hands the notification on before it takes the mutex again.

use super::line::point_until;
use super::lot::{self, Answer, End, Ended, Mark, Queued};
use super::mutex_word::MutexWord;
use crate::atomic::{AtomicU32, Ordering};
use crate::cancel::Point;
use std::time::Instant;

/// Those who wait are all alike.
const WAITS: Mark = 0;
/// Was notified.
const NOTIFIED: Answer = 0;

/// See the heading.
#[derive(Debug)]
pub(super) struct CondvarWord(AtomicU32);

/// A wait during which the mutex is free. However it ends, the mutex is taken again.
struct Waiting<'a> {
    /// Whose queue it is.
    condvar: &'a CondvarWord,
    /// What is to be taken again.
    mutex: &'a MutexWord,
    /// The place in the queue.
    queued: Queued,
}

impl CondvarWord {
    /// One that nobody waits for.
    #[cfg(not(dormouse_loom))]
    pub(super) const fn new() -> CondvarWord {
        CondvarWord(AtomicU32::new(0))
    }

    /// As above: loom's atomics are not `const`.
    #[cfg(dormouse_loom)]
    pub(super) fn new() -> CondvarWord {
        CondvarWord(AtomicU32::new(0))
    }

    /// Frees `mutex`, which the caller holds, until notified or until `deadline`, and takes it again; `false` if it was
    /// the deadline. A cancellation point: it throws with the mutex held.
    pub(super) fn wait(&self, mutex: &MutexWord, deadline: Option<Instant>) -> bool {
        lot::check(Point::Cancellable);
        let queued = lot::enqueue(lot::key(self), WAITS, End::Back, || self.announce()).expect("always valid");
        let mut waiting = Waiting { condvar: self, mutex, queued };
        mutex.unlock();
        waiting.queued.park(deadline, point_until(deadline)) == Ended::Chosen(NOTIFIED)
    }

    /// Under the bucket's lock: says that somebody waits.
    fn announce(&self) -> bool {
        // ORDERING: Relaxed; who changes what is waited for holds the mutex, which the waiter frees after this, so that a
        // notification after the change sees it.
        self.0.store(1, Ordering::Relaxed);
        true
    }

    /// Ends the wait that began first, of those who will come.
    pub(super) fn notify_one(&self) {
        while self.notify(1) > 0 {}
    }

    /// Ends all waits.
    pub(super) fn notify_all(&self) {
        self.notify(usize::MAX);
    }

    /// Gives how many of those notified will never come.
    fn notify(&self, most: usize) -> usize {
        // ORDERING: Relaxed; pairs with the store of `announce`, by way of the mutex.
        if self.0.load(Ordering::Relaxed) == 0 { 0 } else { self.notify_cold(most) }
    }

    #[cold]
    fn notify_cold(&self, most: usize) -> usize {
        let mut line = lot::line(lot::key(self));
        let chosen = (0..most).take_while(|_| line.choose(NOTIFIED)).count();
        if chosen < most || line.is_empty() {
            // ORDERING: Relaxed; under the bucket's lock.
            self.0.store(0, Ordering::Relaxed);
        }
        line.wake()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.queued.leave().is_some() {
            self.condvar.notify_one();
        }
        self.mutex.lock();
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::sync::Arc;
    use std::time::Duration;

    #[derive(Debug)]
    struct Shared {
        mutex: MutexWord,
        condvar: CondvarWord,
        tokens: Cell<u32>,
    }

    impl Shared {
        fn new() -> Arc<Shared> {
            Arc::new(Shared { mutex: MutexWord::new(), condvar: CondvarWord::new(), tokens: Cell::new(0) })
        }

        fn take(&self) {
            self.mutex.lock();
            while self.tokens.get() == 0 {
                self.condvar.wait(&self.mutex, None);
            }
            self.tokens.set(self.tokens.get() - 1);
            self.mutex.unlock();
        }

        fn give(&self, count: u32) {
            self.mutex.lock();
            self.tokens.set(self.tokens.get() + count);
            self.mutex.unlock();
        }
    }

    /// A notification after the change ends the wait, whenever it comes.
    #[test]
    fn a_notification_is_not_lost() {
        loom::model(|| {
            let shared = Shared::new();
            let other = Arc::clone(&shared);
            let taker = loom::thread::spawn(move || other.take());
            shared.give(1);
            shared.condvar.notify_one();
            taker.join().unwrap();
        });
    }

    /// Nor is one that would be for somebody who never comes.
    #[test]
    fn a_notification_is_not_lost_with_the_absent() {
        loom::model(|| {
            let shared = Shared::new();
            lot::enqueue_absent(lot::key(&shared.condvar), WAITS, || shared.condvar.announce());
            let other = Arc::clone(&shared);
            let taker = loom::thread::spawn(move || other.take());
            shared.give(1);
            shared.condvar.notify_one();
            taker.join().unwrap();
        });
    }

    /// One that ends all waits does.
    #[test]
    fn all_are_notified() {
        loom::model(|| {
            let shared = Shared::new();
            let others = [Arc::clone(&shared), Arc::clone(&shared)];
            let takers = others.map(|other| loom::thread::spawn(move || other.take()));
            shared.give(2);
            shared.condvar.notify_all();
            takers.into_iter().for_each(|taker| taker.join().unwrap());
        });
    }

    /// A waiter whose deadline has passed leaves the notification to another one, or says that it had it.
    #[test]
    fn a_deadline_takes_no_notification_away() {
        loom::model(|| {
            let shared = Shared::new();
            let (first, second) = (Arc::clone(&shared), Arc::clone(&shared));
            let impatient = loom::thread::spawn(move || {
                first.mutex.lock();
                let past = std::time::Instant::now() - Duration::from_secs(1);
                let notified = first.tokens.get() == 0 && first.condvar.wait(&first.mutex, Some(past));
                first.mutex.unlock();
                // What it was chosen for it hands on, as a caller without use for it does.
                if notified {
                    first.condvar.notify_one();
                }
            });
            let taker = loom::thread::spawn(move || second.take());
            shared.give(1);
            shared.condvar.notify_one();
            impatient.join().unwrap();
            taker.join().unwrap();
        });
    }
}
