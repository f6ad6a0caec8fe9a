//! The word of a lock: who holds it, and whether anybody sleeps for it.
//!
//! Owns the algorithm, after Drepper, "Futexes Are Tricky" (2011), mutex 2, with a few looks before the sleep: what is done
//! under these locks takes less time than a system call. Does not know what is guarded.
//!
//! Invariant 1: only who holds the word writes `FREE` or `BIASED`.

use crate::atomic::{AtomicU32, Ordering, spin_loop};
use crate::sys::futex;

/// Nobody holds it.
const FREE: u32 = 0;
/// Somebody holds it, nobody waits.
const HELD: u32 = 1;
/// Somebody holds it and somebody may wait.
const CONTENDED: u32 = 2;
/// It is left to one worker, which needs no word: see `biased.rs`.
const BIASED: u32 = 3;

/// Looks at a held word before the thread sleeps for it, with twice as long a pause after each: a look takes the holder's cache line
/// away from it, and a holder that comes back soon makes several turns meanwhile. No more help, and a holder that was
/// preempted costs so much.
#[cfg(not(dormouse_loom))]
const LOOKS: u32 = 7;
/// A look changes nothing; a model need not explore it.
#[cfg(dormouse_loom)]
const LOOKS: u32 = 0;

/// How a word was found that is now held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Free.
    Free,
    /// Left to a worker, which is to be told.
    Biased,
}

/// See the heading.
#[derive(Debug)]
pub(super) struct Word(AtomicU32);

impl Word {
    #[cfg(not(dormouse_loom))]
    pub(super) const fn new() -> Word {
        Word(AtomicU32::new(FREE))
    }

    /// What models are made of is not const.
    #[cfg(dormouse_loom)]
    pub(super) fn new() -> Word {
        Word(AtomicU32::new(FREE))
    }

    /// Holds it from now on; sleeps while another does.
    #[inline]
    pub(super) fn acquire(&self) -> Found {
        if self.try_acquire() { Found::Free } else { self.acquire_cold() }
    }

    #[cold]
    fn acquire_cold(&self) -> Found {
        if self.look() {
            return Found::Free;
        }
        loop {
            // ORDERING: Acquire pairs with the Release swap in `release` and the Release exchange in `leave_biased`.
            match self.0.swap(CONTENDED, Ordering::Acquire) {
                FREE => return Found::Free,
                BIASED => return Found::Biased,
                _ => futex::wait(&self.0, CONTENDED, None),
            }
        }
    }

    /// Waits a little while it is held, not behind others who sleep; `true` if it is now the caller's.
    fn look(&self) -> bool {
        for look in 0..LOOKS {
            // ORDERING: Relaxed; a hint, the exchange decides.
            match self.0.load(Ordering::Relaxed) {
                HELD => (0..1 << look).for_each(|_| spin_loop()),
                FREE if self.try_acquire() => return true,
                FREE => {}
                _ => return false,
            }
        }
        false
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        // ORDERING: Acquire pairs with the Release swap in `release`; a failure publishes nothing.
        self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Holder only: free again.
    #[inline]
    pub(super) fn release(&self) {
        // ORDERING: Release pairs with the Acquire in `try_acquire` and `acquire_cold`.
        if self.0.swap(FREE, Ordering::Release) == CONTENDED {
            futex::wake_one(&self.0);
        }
    }

    /// Holder only: leaves it to a worker, unless somebody waits (`false`: it is still held).
    pub(super) fn leave_biased(&self) -> bool {
        // ORDERING: Release pairs with the Acquire in `acquire_cold`.
        self.0.compare_exchange(HELD, BIASED, Ordering::Release, Ordering::Relaxed).is_ok()
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::Word;
    use loom::sync::Arc;

    /// Two holders never overlap, and what one wrote the next one sees.
    #[test]
    fn one_holder_at_a_time() {
        loom::model(|| {
            let shared = Arc::new((Word::new(), loom::cell::Cell::new(0)));
            let other = Arc::clone(&shared);
            // The loom cell reports any access to it that is not ordered by the word.
            let add = |shared: &(Word, loom::cell::Cell<i32>)| {
                shared.0.acquire();
                shared.1.set(shared.1.get() + 1);
                shared.0.release();
            };
            let thread = loom::thread::spawn(move || add(&other));
            add(&shared);
            thread.join().unwrap();
            assert_eq!(shared.1.get(), 2);
        });
    }
}
