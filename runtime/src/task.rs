//! A task of async code that waits for a coroutine's end.
//!
//! Owns its waker. Does not know what a result is.
//!
//! Invariant 1: a waker is code of the user's, from its clone to its drop. It runs here while nobody waits for what the caller
//! holds, and what it panics with when it is woken goes no further than the panic hook.

use crate::listed::{Listed, list_task};
use crate::park;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

/// See the heading. No larger than who blocks. Listed for as long as it waits.
#[derive(Debug)]
pub(crate) struct Task {
    /// Shared with the list, so that the user's clone runs once.
    waker: Arc<Waker>,
    /// Its place there.
    listed: Listed,
}

const _: () = assert!(size_of::<Task>() <= 16);

impl Task {
    /// The task of this waker; `before` is what was left at the poll before.
    pub(crate) fn new(waker: &Waker, before: Option<Task>) -> Task {
        before.filter(|before| before.waker.will_wake(waker) && before.listed.is_live()).unwrap_or_else(|| {
            let waker = Arc::new(waker.clone());
            Task { listed: list_task(Arc::clone(&waker)), waker }
        })
    }

    /// Has it polled again.
    #[cold]
    pub(crate) fn wake(self) {
        let Task { waker, listed } = self;
        let wake = move || {
            drop(listed);
            match Arc::try_unwrap(waker) {
                Ok(waker) => waker.wake(),
                Err(shared) => shared.wake_by_ref(),
            }
        };
        let woken = park::shielded(|| catch_unwind(AssertUnwindSafe(wake)));
        // The payload is forgotten: its own Drop could panic again.
        std::mem::forget(woken);
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[test]
    fn the_same_waker_is_kept_and_another_replaces_it() {
        struct Counts(AtomicU32);
        impl Wake for Counts {
            fn wake(self: Arc<Self>) {
                // ORDERING: Relaxed; one thread.
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (first, second) = (Arc::new(Counts(AtomicU32::new(0))), Arc::new(Counts(AtomicU32::new(0))));
        let (one, two) = (Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&second)));
        let task = Task::new(&one, Some(Task::new(&one, None)));
        assert_eq!(Arc::strong_count(&first), 3);
        let task = Task::new(&two, Some(task));
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 3));
        task.wake();
        // ORDERING: Relaxed; one thread.
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
        assert_eq!(Arc::strong_count(&second), 2);
    }
}
