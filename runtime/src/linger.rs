//! Whether a worker with nothing to do stays awake for a moment, for a message that is on its way from another core. Pure:
//! times are arguments.
//!
//! To sleep and to be woken costs both sides some microseconds, and between two workers that answer each other it is all
//! the time there is. So a worker whose last sleep a message ended at once lingers before the next one. It does so for
//! as long as that succeeds: after a linger in vain it waits for one more such sleep, after the next for two, then
//! four, and so on; where the other worker cannot run meanwhile, on one core, that soon is nearly never. An idle
//! worker lingers once and sleeps.

use std::cell::Cell;

/// Nanoseconds that a linger lasts at most: more than the other worker takes to wake, should it have fallen asleep. Less, and two
/// that answer each other go on falling asleep by turns once one of them has.
pub(crate) const LIMIT: u64 = 50_000;

/// A sleep of fewer nanoseconds, ended by a message, was hardly worth it.
const SHORT: u64 = 50_000;

/// Short sleeps to wait for after many lingers in vain, at most.
const MOST_DOUBT: u32 = 4096;

/// What one worker has seen of it.
#[derive(Debug)]
pub(crate) struct Linger {
    /// Short sleeps to come before it lingers again; it does if there are none.
    sleeps_left: Cell<u32>,
    /// How many there will be after the next linger in vain.
    doubt: Cell<u32>,
}

impl Linger {
    pub(crate) fn new() -> Linger {
        Linger { sleeps_left: Cell::new(1), doubt: Cell::new(1) }
    }

    /// Whether to linger before the next sleep.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.sleeps_left.get() == 0
    }

    /// A linger has ended; whether by a message.
    pub(crate) fn lingered(&self, by_message: bool) {
        if by_message {
            return self.doubt.set(1);
        }
        self.sleeps_left.set(self.doubt.get());
        self.doubt.set((2 * self.doubt.get()).min(MOST_DOUBT));
    }

    /// A sleep of so many nanoseconds has ended; whether by a message.
    pub(crate) fn slept(&self, nanos: u64, by_message: bool) {
        if by_message && nanos < SHORT {
            self.sleeps_left.set(self.sleeps_left.get().saturating_sub(1));
        }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    /// So many short sleeps, and how many lingers in vain they lead to.
    fn lingers(linger: &Linger, sleeps: u32) -> u32 {
        let mut count = 0;
        for _ in 0..sleeps {
            if linger.is_due() {
                linger.lingered(false);
                count += 1;
            }
            linger.slept(SHORT - 1, true);
        }
        count
    }

    #[test]
    fn it_lingers_after_a_short_sleep_and_for_as_long_as_that_succeeds() {
        let linger = Linger::new();
        assert!(!linger.is_due());
        linger.slept(SHORT, true);
        linger.slept(1, false);
        assert!(!linger.is_due(), "long, or ended by something else");
        linger.slept(SHORT - 1, true);
        for _ in 0..100 {
            assert!(linger.is_due());
            linger.lingered(true);
        }
        linger.lingered(false);
        assert!(!linger.is_due());
    }

    #[test]
    fn in_vain_it_becomes_rare() {
        let linger = Linger::new();
        assert!(lingers(&linger, 10_000) <= 14);
        assert!(lingers(&linger, 100 * MOST_DOUBT) <= 101);
    }

    #[test]
    fn one_success_is_trusted_again() {
        let linger = Linger::new();
        lingers(&linger, 10_000);
        linger.slept(1, true);
        while !linger.is_due() {
            linger.slept(1, true);
        }
        linger.lingered(true);
        assert!(linger.is_due());
        linger.lingered(false);
        linger.slept(1, true);
        assert!(linger.is_due());
    }
}
