//! How long a contended lock is tried again before its waiter parks.
//!
//! Trying again pays only while the holder runs on another thread, for about as long as a park and a wake cost. A
//! coroutine of a runtime with one worker does not: its holder most likely is a coroutine of that worker, which does not run
//! meanwhile. With more workers that may be so or not, and each learns it (`spins.rs`).
//!
//! The pauses double. Whoever looks at a lock takes its cache line away from the holder, who is the slower for it; and
//! between two looks far apart a holder that keeps coming back makes several turns in its own cache.

use crate::current;
use crate::spins::Spins;

/// Attempts of a plain thread: its park costs two switches of the kernel. None in models.
const OF_A_THREAD: u32 = if cfg!(dormouse_loom) { 0 } else { 8 };

/// The attempts that are left.
#[derive(Debug)]
pub(crate) struct Patience {
    /// How many were made.
    made: u32,
    /// How many there are in all, once that is known.
    all: Option<u32>,
}

impl Patience {
    pub(crate) fn new() -> Patience {
        Patience { made: 0, all: None }
    }

    /// Waits a moment; `false` when it is time to park.
    pub(crate) fn spin(&mut self) -> bool {
        let all = *self.all.get_or_insert_with(|| learned(Spins::attempts).unwrap_or(OF_A_THREAD));
        if self.made == all {
            learned(Spins::were_in_vain);
            return false;
        }
        (0..1 << self.made).for_each(|_| std::hint::spin_loop());
        self.made += 1;
        true
    }

    /// The lock was had.
    pub(crate) fn was_rewarded(&self) {
        if self.made > 0 {
            learned(Spins::were_rewarded);
        }
    }
}

/// What the calling coroutine's worker knows; `None` on a plain thread.
fn learned<T>(of: fn(&Spins) -> T) -> Option<T> {
    current::with_coroutine(|worker| worker.map(|worker| of(&worker.spins)))
}
