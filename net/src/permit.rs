//! One connection's share of its listener's limit.
//!
//! Owns the giving back. Must never know who limits, nor why.
//!
//! Like the permit of the semaphore that owns it, but one that was waited for with a limit of time can become it.

use std::sync::Arc;
use std::time::Duration;

use dormouse_runtime::sync::{AcquireTimeoutError, Semaphore};

/// One of a semaphore's permits. Dropped, it goes back.
pub(crate) struct Permit {
    /// Whose.
    semaphore: Arc<Semaphore>,
}

impl Permit {
    /// One that is there, and that nobody waits for.
    pub(crate) fn try_take(semaphore: &Arc<Semaphore>) -> Option<Permit> {
        semaphore.try_acquire().ok()?.forget();
        Some(Permit { semaphore: Arc::clone(semaphore) })
    }

    /// The next that there is, if it comes in time. Parks.
    pub(crate) fn take_timeout(semaphore: &Arc<Semaphore>, time: Duration) -> Result<Permit, AcquireTimeoutError> {
        semaphore.acquire_timeout(time)?.forget();
        Ok(Permit { semaphore: Arc::clone(semaphore) })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // The one that was forgotten when it was taken; so there are never more than in the beginning.
        self.semaphore.add_permits(1);
    }
}
