//! A worker in a child of fork(2): a copy whose siblings, descriptors and coroutines are its parent's.
//!
//! If a coroutine forks, it goes on in the child as in the parent. There it may exec or exit, and use whatever needs no
//! runtime. The state that others look at anyway is changed, once, so that nobody asks on a hot path whether it is in a child:
//! a park finds itself inside `no_park`, a spawn a fleet that stops, a wake a ready queue that is full, and the loop somebody
//! who may be unwinding. Other fleets than its own do not learn of it: who comes to one from outside asks (`fleet.rs`).
//!
//! Invariant 1: in a child the loop never runs a coroutine again, and never looks at the poller.

#![allow(unsafe_code)]

use super::Worker;
use crate::fork;

/// In place of how many are perhaps unwinding.
const ORPHAN: u32 = u32::MAX;

impl Worker {
    /// First thing in a child, on the thread that forked, which is this worker's. Async-signal-safe.
    pub(crate) fn forked(&self) {
        if self.is_running() {
            // SAFETY: a coroutine runs, so its slot is there (`lives.rs`, invariant 1), and it is in a call of fork(2).
            unsafe { (*self.running_slot.get()).life.terms.forbid_parks_for_good() };
        }
        self.fleet.disown();
        self.ready.close(fork::DEAD);
        self.perhaps_unwinding.set(ORPHAN);
    }

    /// Whether this is a copy in a child.
    pub(crate) fn is_orphan(&self) -> bool {
        self.perhaps_unwinding.get() == ORPHAN
    }

    /// Invariant 1: the coroutine that forked has ended, and there is nothing to go back to.
    #[cold]
    pub(super) fn end_orphan(&self) {
        eprintln!("dormouse: a coroutine came to its end in a child of fork(2), aborting: {}", fork::DEAD);
        std::process::abort();
    }
}
