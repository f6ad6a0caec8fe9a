//! Fairness among coroutines whose I/O never has to wait.

use crate::worker::Worker;
use crate::{current, park};

/// Counts one I/O operation; after 64 without a suspension the coroutine lets others run.
///
/// To be called before the operation, so that what the operation took cannot be lost to a cancellation.
///
/// # Blocking
///
/// May yield, and then is a cancellation point. Does nothing on a plain thread.
#[inline]
pub fn spend() {
    current::with_coroutine(spend_on);
}

/// As [`spend`], by the coroutine that runs on `worker`, if there is one.
#[inline(always)]
pub(crate) fn spend_on(worker: Option<&Worker>) {
    if let Some(worker) = worker
        && worker.spend_budget()
    {
        park::yield_for_fairness(worker);
    }
}
