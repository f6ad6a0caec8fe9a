//! The word of a mutex: who holds it, who waits for it.
//!
//! Owns the algorithm. Knows no value, no poison and no guard.
//!
//! | bit | meaning |
//! |---|---|
//! | `HELD` | somebody holds it |
//! | `PARKED` | somebody may be in its queue |
//! | `WOKEN` | somebody was woken from the queue and is on its way; until it has tried, nobody else is woken |
//!
//! Whoever comes takes a mutex that is free, also before those who wait: handing it over each time would make every holder
//! wait for a wake. But a waiter that was woken in vain takes the first place in the queue again, and from there the mutex
//! is handed to it: it stays `HELD`, and is the waiter's when it wakes. So each waiter is woken in vain once at the most,
//! and those behind it wait for it.
//!
//! Invariant 1: only the holder sets `WOKEN` and only the woken one clears it, or whoever woke it if it never comes; `PARKED`
//! is set under the bucket's lock and cleared by the holder under the bucket's lock.
//! Invariant 2: with both `HELD` and `PARKED` and without `WOKEN`, the word changes only under the bucket's lock.
//! Invariant 3: if somebody is in the queue, `PARKED` is set; and if then nobody holds it, `WOKEN` is set.

use super::lot::{self, Answer, End, Ended, Mark, Patience};
use crate::atomic::{AtomicU32, Ordering};
use crate::cancel::Point;

const HELD: u32 = 1;
const PARKED: u32 = 2;
const WOKEN: u32 = 4;

/// Has not been woken yet.
const NEW: Mark = 0;
/// Was woken in vain.
const PASSED_OVER: Mark = 1;

/// Is to try again.
const TRY: Answer = 0;
/// Holds it now.
const HANDED: Answer = 1;

/// See the heading.
#[derive(Debug)]
pub(super) struct MutexWord(AtomicU32);

impl MutexWord {
    /// A free one.
    #[cfg(not(dormouse_loom))]
    pub(super) const fn new() -> MutexWord {
        MutexWord(AtomicU32::new(0))
    }

    /// As above: loom's atomics are not `const`.
    #[cfg(dormouse_loom)]
    pub(super) fn new() -> MutexWord {
        MutexWord(AtomicU32::new(0))
    }

    /// Takes it; parks while another holds it.
    #[inline]
    pub(super) fn lock(&self) {
        // ORDERING: Acquire pairs with the Release of whoever freed it (`unlock`, `unlock_cold`); a failure reads nothing.
        if self.0.compare_exchange(0, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_cold();
        }
    }

    /// Takes it if it is free.
    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        // ORDERING: as in `lock`.
        let free = self.0.compare_exchange(0, HELD, Ordering::Acquire, Ordering::Relaxed);
        free.is_ok() || self.try_lock_cold()
    }

    #[cold]
    fn try_lock_cold(&self) -> bool {
        self.barge(0, None)
    }

    /// Frees it, or hands it over; holder only.
    #[inline]
    pub(super) fn unlock(&self) {
        // ORDERING: Release pairs with the Acquire of `lock` and `barge`; a failure publishes nothing.
        if self.0.compare_exchange(HELD, 0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.unlock_cold();
        }
    }

    #[cold]
    fn lock_cold(&self) {
        if self.barge(0, Some(Patience::new())) {
            return;
        }
        lot::check(Point::Shielded);
        // Nothing from here on unwinds: `WOKEN`, once it is this waiter's, does not get lost.
        let (mut own, mut mark, mut end) = (0, NEW, End::Back);
        loop {
            if let Some(mut queued) = lot::enqueue(lot::key(self), mark, end, || self.announce(own)) {
                if queued.park(None, Point::Shielded) == Ended::Chosen(HANDED) {
                    return;
                }
                (own, mark, end) = (WOKEN, PASSED_OVER, End::Front);
            }
            if self.barge(own, Some(Patience::new())) {
                return;
            }
        }
    }

    /// Takes it if it is free, clearing `own`; while it is held and nobody waits, tries again as long as there is patience.
    fn barge(&self, own: u32, mut patience: Option<Patience>) -> bool {
        // ORDERING: Relaxed; the exchange decides.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & HELD == 0 {
                // ORDERING: Acquire as in `lock`; a failure reads nothing.
                match self.0.compare_exchange(word, (word | HELD) & !own, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => {
                        patience.iter().for_each(Patience::was_rewarded);
                        return true;
                    }
                    Err(now) => word = now,
                }
            } else if word & PARKED != 0 && own == 0 || !patience.as_mut().is_some_and(Patience::spin) {
                return false;
            } else {
                // ORDERING: Relaxed; as above.
                word = self.0.load(Ordering::Relaxed);
            }
        }
    }

    /// Under the bucket's lock: says that somebody waits, and is no longer on its way; `false` if it is free by now.
    fn announce(&self, own: u32) -> bool {
        // ORDERING: Relaxed; the holder that finds `PARKED` set then locks the bucket, which is locked here.
        let set = |word: u32| (word & HELD != 0).then_some((word | PARKED) & !own & !lot::stale(WOKEN));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, set).is_ok()
    }

    #[cold]
    fn unlock_cold(&self) {
        // ORDERING: Release pairs with the Acquire of `lock` and `barge`; a failure publishes nothing.
        let free = |word: u32| (word & PARKED == 0 || word & WOKEN != 0).then_some(word & !HELD);
        // Once, unless whoever is woken will never come.
        while self.0.fetch_update(Ordering::Release, Ordering::Relaxed, free).is_err() {
            if self.wake_first() {
                return;
            }
        }
    }

    /// Wakes the first of the queue, or hands it over; holder only, while `PARKED` is set and `WOKEN` is not. `false` if that one
    /// will never come, and the caller holds it again.
    fn wake_first(&self) -> bool {
        let mut line = lot::line(lot::key(self));
        let first = line.marks().next();
        let (answer, left) = match first {
            None => (TRY, 0),
            Some(PASSED_OVER) => (HANDED, HELD),
            Some(_) => (TRY, WOKEN),
        };
        line.choose(answer);
        let parked = if line.is_empty() { 0 } else { PARKED };
        // ORDERING: Release pairs with the Acquire of `lock` and `barge`; whoever it is handed to locks the bucket after this.
        // A store, since the word cannot change here (invariant 2).
        self.0.store(left | parked, Ordering::Release);
        line.wake() == 0 || !self.take_back(answer)
    }

    /// In the stead of one who was chosen and never comes: `true` if that makes the caller the holder. Otherwise it is held, and
    /// the holder wakes the next.
    #[cold]
    fn take_back(&self, answer: Answer) -> bool {
        loop {
            if answer == HANDED || self.barge(WOKEN, None) {
                return true;
            }
            let line = lot::line(lot::key(self));
            let left = self.announce(WOKEN);
            drop(line);
            if left {
                return false;
            }
        }
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::sync::Arc;

    fn add(shared: &(MutexWord, Cell<i32>)) {
        shared.0.lock();
        // The loom cell reports any access to it that is not ordered by the word.
        shared.1.set(shared.1.get() + 1);
        shared.0.unlock();
    }

    /// Two holders never overlap, none sleeps for ever, and what one wrote the next one sees.
    #[test]
    fn one_holder_at_a_time() {
        loom::model(|| {
            let shared = Arc::new((MutexWord::new(), Cell::new(0)));
            let other = Arc::clone(&shared);
            let thread = loom::thread::spawn(move || (0..2).for_each(|_| add(&other)));
            add(&shared);
            thread.join().unwrap();
            add(&shared);
            assert_eq!(shared.1.get(), 4);
            assert_eq!(shared.0.0.load(Ordering::Relaxed), 0);
        });
    }

    /// Those who never come are passed over, whether they are woken or handed it.
    #[test]
    fn the_absent_keep_nobody_out() {
        for mark in [NEW, PASSED_OVER] {
            loom::model(move || {
                let shared = Arc::new((MutexWord::new(), Cell::new(0)));
                let other = Arc::clone(&shared);
                shared.0.lock();
                (0..2).for_each(|_| lot::enqueue_absent(lot::key(&shared.0), mark, || shared.0.announce(0)));
                let thread = loom::thread::spawn(move || add(&other));
                shared.0.unlock();
                add(&shared);
                thread.join().unwrap();
                assert_eq!(shared.0.0.load(Ordering::Relaxed) & (HELD | WOKEN), 0);
            });
        }
    }

    /// Nor with three, of which two may be in the queue at a time.
    #[test]
    fn three_all_get_it() {
        loom::model(|| {
            let shared = Arc::new((MutexWord::new(), Cell::new(0)));
            let others = [Arc::clone(&shared), Arc::clone(&shared)];
            let threads = others.map(|other| loom::thread::spawn(move || add(&other)));
            add(&shared);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            add(&shared);
            assert_eq!(shared.1.get(), 4);
        });
    }
}
