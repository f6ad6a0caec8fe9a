//! A worker in a child of fork(2): a copy whose siblings, descriptors and coroutines are its parent's.
//!
//! If a coroutine forks, it goes on in the child as in the parent. There it may exec or exit, and use whatever needs no
//! runtime. The state that others look at anyway is changed, once, so that nobody asks on a hot path whether it is in a child:
//! a park finds itself inside `no_park`, a spawn a fleet that stops, a wake a ready queue that is full, and the loop something
//! to see to. Other fleets than its own do not learn of it: who comes to one from outside asks (`fleet.rs`).
//!
//! Invariant 1: in a child the loop never runs a coroutine again, and never looks at the poller.

#![allow(unsafe_code)]

use super::{Watch, Worker};
use crate::fork;

impl Worker {
    /// First thing in a child, on the thread that forked, which is this worker's. Async-signal-safe.
    pub(crate) fn forked(&self) {
        if self.is_running() {
            // SAFETY: a coroutine runs, so its slot is there (`lives.rs`, invariant 1), and it is in a call of fork(2).
            unsafe { (*self.running_slot.get()).life.terms.forbid_parks_for_good() };
        }
        self.fleet.disown();
        self.ready.close(fork::DEAD);
        self.watch.set(Watch::Orphan);
    }

    /// Whether this is a copy in a child.
    pub(crate) fn is_orphan(&self) -> bool {
        self.watch.get() == Watch::Orphan
    }

    /// Invariant 1: the coroutine that forked has ended, and there is nothing to go back to.
    #[cold]
    pub(super) fn end_orphan(&self) {
        eprintln!("dormouse: a coroutine came to its end in a child of fork(2), aborting: {}", fork::DEAD);
        std::process::abort();
    }
}
