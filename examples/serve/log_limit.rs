//! A limit to what clients can have logged: they do not fill the log.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The most lines each second.
const LINES: u64 = 10;

/// Counts the lines of this second.
#[derive(Debug)]
pub(crate) struct LogLimit {
    began: Instant,
    /// The second of the last line.
    second: AtomicU64,
    /// The lines in it.
    lines: AtomicU64,
}

impl LogLimit {
    pub(crate) fn new() -> LogLimit {
        LogLimit { began: Instant::now(), second: AtomicU64::new(0), lines: AtomicU64::new(0) }
    }

    /// Whether one more line may be logged now.
    pub(crate) fn allows(&self) -> bool {
        let now = self.began.elapsed().as_secs();
        // ORDERING: Relaxed, here and below, with each other: these order nothing, and a line more or less is no harm.
        if self.second.swap(now, Relaxed) != now {
            self.lines.store(0, Relaxed);
        }
        self.lines.fetch_add(1, Relaxed) < LINES
    }
}
