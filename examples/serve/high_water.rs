//! How much of their stacks coroutines have used.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dormouse::thread;

/// The most of all that was noted.
// ORDERING: Relaxed: it orders nothing, and is read for good behind the runtime's end, which joins its workers.
#[derive(Debug, Default)]
pub(crate) struct HighWater(AtomicUsize);

impl HighWater {
    /// Notes how much of the calling coroutine's stack was used, by whole pages, since it was last given back: that happens
    /// while a coroutine waits for a second or more, so it is best noted where a stack has just been deep.
    pub(crate) fn note(&self) {
        if let Ok(Some(bytes)) = thread::stack_high_water() {
            self.0.fetch_max(bytes, Relaxed);
        }
    }

    /// In bytes.
    pub(crate) fn most(&self) -> usize {
        self.0.load(Relaxed)
    }
}
