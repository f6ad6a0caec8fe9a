//! How long a contended lock is tried again before its waiter parks.
//!
//! Trying again pays only while the holder runs on another thread, for about as long as a park and a wake cost. A
//! coroutine of a runtime with one worker does not: its holder most likely is a coroutine of that worker, which does not run
//! meanwhile.

use crate::current;

/// Attempts of a plain thread: its park costs two switches of the kernel. None in models.
const OF_A_THREAD: u32 = if cfg!(dormouse_loom) { 0 } else { 100 };

/// Attempts of a coroutine with more than one worker around: its park is cheap, and the holder may share its worker.
const OF_A_COROUTINE: u32 = 24;

/// The attempts that are left.
#[derive(Debug)]
pub(crate) struct Patience(u32);

impl Patience {
    pub(crate) fn new() -> Patience {
        let attempts = current::with_coroutine(|worker| match worker {
            Some(worker) if worker.fleet.workers.len() == 1 => 0,
            Some(_) => OF_A_COROUTINE,
            None => OF_A_THREAD,
        });
        Patience(attempts)
    }

    /// Waits a moment; `false` when it is time to park.
    pub(crate) fn spin(&mut self) -> bool {
        if self.0 == 0 {
            return false;
        }
        self.0 -= 1;
        std::hint::spin_loop();
        true
    }
}
