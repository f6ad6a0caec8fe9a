//! How often a worker's coroutines try a contended lock again before they park. Pure.
//!
//! Where holders run on other workers and are quick, trying again is much cheaper than a park and a wake. Where they share
//! this worker, or keep what they hold for long, it is a waste. So each time it was rewarded there is one attempt more,
//! and each time it was in vain one fewer; one always stays, to find out when that changes.

use std::cell::Cell;

/// The most attempts: 127 pauses, since they double, which is about what a wake of another worker costs.
const MOST: u32 = 7;

/// What one worker has seen of it.
#[derive(Debug)]
pub(crate) struct Spins {
    /// How many attempts to make; 0 for ever where nobody else could let go of a lock meanwhile.
    attempts: Cell<u32>,
}

impl Spins {
    /// Of one among so many workers.
    pub(crate) fn new(workers: usize) -> Spins {
        Spins { attempts: Cell::new(if workers > 1 { MOST } else { 0 }) }
    }

    /// How many to make.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts.get()
    }

    /// One of them had the lock.
    pub(crate) fn were_rewarded(&self) {
        self.attempts.set((self.attempts.get() + 1).min(MOST));
    }

    /// All were made, and the coroutine parks.
    pub(crate) fn were_in_vain(&self) {
        let attempts = self.attempts.get();
        self.attempts.set(if attempts > 1 { attempts - 1 } else { attempts });
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_worker_makes_none() {
        let spins = Spins::new(1);
        spins.were_in_vain();
        assert_eq!(spins.attempts(), 0);
    }

    #[test]
    fn what_is_in_vain_is_given_up_but_for_one_and_what_pays_comes_back() {
        let spins = Spins::new(2);
        assert_eq!(spins.attempts(), MOST);
        (0..MOST - 1).for_each(|_| spins.were_in_vain());
        assert_eq!(spins.attempts(), 1);
        spins.were_in_vain();
        assert_eq!(spins.attempts(), 1);
        (0..2 * MOST).for_each(|_| spins.were_rewarded());
        assert_eq!(spins.attempts(), MOST);
        spins.were_in_vain();
        assert_eq!(spins.attempts(), MOST - 1);
    }
}
