//! Which signals a listener wants, and which have come.
//!
//! Owns two words of 64 signals each. Does not know how anybody is woken: `mark` answers whether somebody is to be.

use crate::atomic::{AtomicU64, Ordering};

/// Signals, 1 to 64: signal n is bit n - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    /// None.
    pub(super) const NONE: Set = Set(0);

    pub(super) fn is_empty(self) -> bool {
        self == Set::NONE
    }

    fn of(signal: i32) -> Set {
        Set(1 << (signal - 1))
    }
}

impl FromIterator<i32> for Set {
    fn from_iter<I: IntoIterator<Item = i32>>(signals: I) -> Set {
        Set(signals.into_iter().fold(0, |set, signal| set | Set::of(signal).0))
    }
}

/// See the heading.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// What is listened for.
    wanted: AtomicU64,
    /// What has come, and nobody has taken. Not always wanted: a handler may be late, and the listener another one by then.
    come: AtomicU64,
}

impl Arrivals {
    pub(super) fn new() -> Arrivals {
        Arrivals { wanted: AtomicU64::new(0), come: AtomicU64::new(0) }
    }

    /// The listener's, first: from now on these are marked, and none has come.
    pub(super) fn begin(&self, wanted: Set) {
        // ORDERING: Relaxed, both; a handler that runs on this thread sees them in order, and one that runs on another at the same
        // time may mark or not. What is raised after this, and was told to another thread, came by something that synchronises.
        self.wanted.store(0, Ordering::Relaxed);
        // ORDERING: as above.
        self.come.store(0, Ordering::Relaxed);
        // ORDERING: Release, so that the two above come before it; pairs with the Acquire load in `mark`.
        self.wanted.store(wanted.0, Ordering::Release);
    }

    /// The listener's: what it listens for, the lowest first.
    pub(super) fn wanted(&self) -> impl Iterator<Item = i32> {
        // ORDERING: Relaxed; `begin` was this listener's.
        let wanted = self.wanted.load(Ordering::Relaxed);
        (1..=u64::BITS as i32).filter(move |signal| wanted & Set::of(*signal).0 != 0)
    }

    /// The handler's: marks a signal that is wanted. `true` if it was not marked yet: then whoever waits is to be woken.
    pub(super) fn mark(&self, signal: i32) -> bool {
        let bit = Set::of(signal).0;
        // ORDERING: Acquire; pairs with the Release store in `begin`.
        if self.wanted.load(Ordering::Acquire) & bit == 0 {
            return false;
        }
        // ORDERING: Release; pairs with the Acquire in `take`: what happened before the signal is seen by whoever takes it.
        self.come.fetch_or(bit, Ordering::Release) & bit == 0
    }

    /// Takes the lowest that has come, and tells what is left.
    pub(super) fn take(&self) -> Option<(i32, Set)> {
        // ORDERING: Relaxed; `begin` was this listener's.
        let wanted = self.wanted.load(Ordering::Relaxed);
        // ORDERING: Acquire; pairs with the Release in `mark`.
        let mut come = self.come.load(Ordering::Acquire);
        while come & wanted != 0 {
            let own = come & wanted;
            let rest = own & (own - 1);
            // ORDERING: Acquire; as above.
            match self.come.compare_exchange(come, rest, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some((own.trailing_zeros() as i32 + 1, Set(rest))),
                Err(now) => come = now,
            }
        }
        None
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_signal_have_a_bit() {
        let arrivals = Arrivals::new();
        arrivals.begin([1, 64].into_iter().collect());
        assert!(arrivals.wanted().eq([1, 64]));
        assert!(arrivals.mark(64) && arrivals.mark(1) && !arrivals.mark(1) && !arrivals.mark(2));
        assert_eq!(arrivals.take(), Some((1, Set::of(64))));
        assert_eq!(arrivals.take(), Some((64, Set::NONE)));
        assert_eq!(arrivals.take(), None);
    }

    #[test]
    fn what_a_late_handler_marks_for_another_listener_is_nobodys() {
        let arrivals = Arrivals::new();
        arrivals.begin([2].into_iter().collect());
        // It had looked when 10 was still wanted.
        // ORDERING: Relaxed; one thread.
        arrivals.come.fetch_or(Set::of(10).0, Ordering::Relaxed);
        assert_eq!(arrivals.take(), None);
        assert!(arrivals.mark(2));
        assert_eq!(arrivals.take(), Some((2, Set::NONE)));
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::sync::{Arc, Notify};
    use loom::thread;

    /// Two handlers and two who listen at one post, as `board.rs` does it: each signal is taken by one, and nobody sleeps on it.
    #[test]
    fn nobody_sleeps_on_a_signal() {
        loom::model(|| {
            let post = Arc::new((Arrivals::new(), Notify::new()));
            post.0.begin([1, 2].into_iter().collect());
            let handlers: Vec<_> = (1..3)
                .map(|signal| {
                    let post = Arc::clone(&post);
                    thread::spawn(move || {
                        if post.0.mark(signal) {
                            post.1.notify();
                        }
                    })
                })
                .collect();
            let mut taken = Vec::new();
            while taken.len() < 2 {
                match post.0.take() {
                    Some((signal, rest)) => {
                        taken.push(signal);
                        if !rest.is_empty() {
                            post.1.notify();
                        }
                    }
                    // The eventfd is read, and the marks are looked at once more.
                    None => post.1.wait(),
                }
            }
            taken.sort_unstable();
            assert_eq!(taken, [1, 2]);
            handlers.into_iter().for_each(|handler| handler.join().unwrap());
        });
    }
}
