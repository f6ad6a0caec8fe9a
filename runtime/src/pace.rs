//! How long a worker runs coroutines before it looks at the poller. Pure: the clock is an argument.
//!
//! A look is due after at most [`TURN`] resumes or about [`SLICE`] nanoseconds. Reading the clock costs 22 ns, several
//! times a resume, so it is read every k resumes; k doubles up to `TURN` while k resumes take less than a slice, and
//! falls to 1 when they take more. After a sleep k starts at 1 again: there the clock costs nothing that matters, and
//! what runs next may be of another kind.
//!
//! Invariant 1: between two looks there are at most `TURN` resumes, and one start of a newcomer more, which a worker makes
//! though a look is due (`worker.rs`).

use std::cell::Cell;

/// Resumes after which a look is due, at most.
pub(crate) const TURN: u32 = 64;

/// Nanoseconds between two looks, about.
const SLICE: u64 = 200_000;

/// The pace of one worker.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Resumes since the last look.
    resumes: Cell<u32>,
    /// Resumes left until the clock is read.
    until_check: Cell<u32>,
    /// The k of the heading.
    stride: Cell<u32>,
    /// When the clock was last read, if nothing but resumes happened since.
    checked_at: Cell<Option<u64>>,
}

impl Pace {
    pub(crate) fn new() -> Pace {
        Pace { resumes: Cell::new(0), until_check: Cell::new(1), stride: Cell::new(1), checked_at: Cell::new(None) }
    }

    /// The poller was looked at.
    pub(crate) fn looked(&self, slept: bool) {
        self.resumes.set(0);
        if slept {
            self.until_check.set(1);
            self.stride.set(1);
            self.checked_at.set(None);
        }
    }

    /// How many resumes may follow before [`Pace::ran`] is told of them.
    #[inline]
    pub(crate) fn allowance(&self) -> u32 {
        self.until_check.get().min(TURN.saturating_sub(self.resumes.get())).max(1)
    }

    /// After so many resumes, at most the allowance: whether a look is due.
    #[inline]
    pub(crate) fn ran(&self, count: u32, now: impl FnOnce() -> u64) -> bool {
        let resumes = self.resumes.get() + count;
        self.resumes.set(resumes);
        let until_check = self.until_check.get() - count;
        self.until_check.set(until_check);
        if until_check == 0 { self.check(now()) } else { resumes >= TURN }
    }

    /// Whether resumes were found so short that the clock is hardly read.
    pub(crate) fn is_brisk(&self) -> bool {
        self.stride.get() == TURN
    }

    #[cold]
    fn check(&self, now: u64) -> bool {
        let took = self.checked_at.replace(Some(now)).map(|before| now.saturating_sub(before));
        let stride = match took {
            Some(took) if took < SLICE => (self.stride.get() * 2).min(TURN),
            Some(_) | None => 1,
        };
        self.stride.set(stride);
        self.until_check.set(stride);
        took.is_some_and(|took| took >= SLICE) || self.resumes.get() >= TURN
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    /// Runs resumes of `cost` nanoseconds until a look is due; gives their number and the clock readings.
    fn turn(pace: &Pace, clock: &mut u64, cost: u64) -> (u32, u32) {
        let (mut resumes, mut readings) = (0, 0);
        loop {
            *clock += cost;
            resumes += 1;
            let due = pace.ran(1, || {
                readings += 1;
                *clock
            });
            if due {
                pace.looked(false);
                return (resumes, readings);
            }
        }
    }

    #[test]
    fn cheap_resumes_come_64_a_turn_and_hardly_read_the_clock() {
        let (pace, mut clock) = (Pace::new(), 0);
        for _ in 0..10 {
            assert_eq!(turn(&pace, &mut clock, 10).0, TURN);
        }
        assert_eq!(turn(&pace, &mut clock, 10), (TURN, 1));
    }

    #[test]
    fn a_batch_counts_as_its_resumes() {
        let pace = Pace::new();
        let (mut total, mut clock) = (0, 0);
        loop {
            let batch = pace.allowance();
            total += batch;
            clock += u64::from(batch);
            if pace.ran(batch, || clock) {
                break;
            }
        }
        assert_eq!(total, TURN);
    }

    #[test]
    fn long_resumes_are_looked_after_one_by_one() {
        let (pace, mut clock) = (Pace::new(), 0);
        turn(&pace, &mut clock, 10_000_000);
        assert_eq!(turn(&pace, &mut clock, 10_000_000), (1, 1));
    }

    #[test]
    fn a_change_of_kind_costs_one_turn_at_most() {
        let (pace, mut clock) = (Pace::new(), 0);
        for _ in 0..10 {
            turn(&pace, &mut clock, 10);
        }
        assert!(turn(&pace, &mut clock, 10_000_000).0 <= TURN);
        assert_eq!(turn(&pace, &mut clock, 10_000_000).0, 1);
        pace.looked(true);
        assert!(turn(&pace, &mut clock, 10_000_000).0 <= 2);
    }
}
