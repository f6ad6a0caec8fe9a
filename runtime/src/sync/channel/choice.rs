//! The word by which a select is chosen for one of its arms, and once only.
//!
//! Owns who of several channels has a select that waits in all of them. Knows no channel and no message.
//!
//! ```text
//!   OPEN --- claim(arm) ---> arm        the claimer wakes the select
//!     |                       |
//!     +------ close ----------+---> CLOSED    the select itself, when its wait is over
//! ```
//!
//! Invariant 1: a claim succeeds once in the life of a choice, and never after it was closed; each wait has a new one.
//! Invariant 2: whoever claims does so under the lock of the channel in whose line it found the select.

use crate::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// Waits, and nobody has chosen it.
const OPEN: u32 = u32::MAX;
/// Waits no more.
const CLOSED: u32 = u32::MAX - 1;

/// See the heading.
#[derive(Debug)]
pub(in crate::sync) struct Choice(AtomicU32);

impl Choice {
    pub(in crate::sync) fn new() -> Choice {
        Choice(AtomicU32::new(OPEN))
    }

    /// Chooses `arm`; `false` if the select is chosen already or waits no more.
    fn claim(&self, arm: u32) -> bool {
        // ORDERING: AcqRel pairs with the swap in `close`: what the claimer did to the channel is seen by the select.
        self.0.compare_exchange(OPEN, arm, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn is_open(&self) -> bool {
        // ORDERING: Relaxed; a hint, which only a claim makes certain.
        self.0.load(Ordering::Relaxed) == OPEN
    }

    /// The select only: ends the wait, and says which arm was chosen.
    pub(in crate::sync) fn close(&self) -> Option<usize> {
        // ORDERING: AcqRel pairs with the exchange in `claim`.
        let arm = self.0.swap(CLOSED, Ordering::AcqRel);
        (arm < CLOSED).then_some(arm as usize)
    }
}

/// One arm of a select that waits.
#[derive(Clone, Debug)]
pub(in crate::sync) struct Seat {
    /// The word shared by all its arms.
    choice: Arc<Choice>,
    /// Which of them.
    arm: u32,
}

impl Seat {
    pub(in crate::sync) fn new(choice: &Arc<Choice>, arm: usize) -> Seat {
        Seat { choice: Arc::clone(choice), arm: u32::try_from(arm).expect("fewer arms than a word counts") }
    }

    pub(super) fn claim(&self) -> bool {
        self.choice.claim(self.arm)
    }

    /// Whether a claim may succeed.
    pub(super) fn is_open(&self) -> bool {
        self.choice.is_open()
    }

    /// Whether both are of one select.
    pub(super) fn is_of(&self, other: &Seat) -> bool {
        Arc::ptr_eq(&self.choice, &other.choice)
    }
}
