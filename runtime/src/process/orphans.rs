//! Children that nobody has a handle to, because the coroutine that waited for one was cancelled in a call that owned
//! it.
//!
//! Somebody has to ask the kernel for their end, or each stays a zombie: whoever starts the next child does.
//!
//! Invariant 1: who is here was started by this process and not yet waited for.

use crate::lock::Lock;
use std::process::Child;

/// Invariant 1.
static ORPHANS: Lock<Vec<Child>> = Lock::new(Vec::new());

/// Takes a child in.
pub(super) fn adopt(child: Child) {
    ORPHANS.lock().push(child);
}

/// Lets those go that have ended.
pub(super) fn reap() {
    let mut orphans = ORPHANS.lock();
    let before = std::mem::take(&mut *orphans);
    drop(orphans);
    if before.is_empty() {
        return;
    }
    // An error says that somebody else has waited for it.
    let alive: Vec<_> =
        before.into_iter().filter_map(|mut child| matches!(child.try_wait(), Ok(None)).then_some(child)).collect();
    ORPHANS.lock().extend(alive);
}
