//! Whether a lock is poisoned: whether somebody unwound while holding it.
//!
//! Owns the flag. The error types are std's, and so is the word on who unwinds, which is exact for each coroutine
//! (`panic_count.rs`). Where that is not to be had the worker knows better than std, but not all (`worker/doubt.rs`): one
//! that begins to panic meanwhile cannot be told from one that does not, and does not poison; and one that comes back to its unwind
//! and catches it is taken for unwinding until that is over. A cancel is always told.

use crate::park::unwinds;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LockResult, PoisonError};

/// See the heading.
#[derive(Debug)]
pub(super) struct Flag(AtomicBool);

/// Whether the holder of a lock was unwinding when it took it: then it does not poison it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before(bool);

impl Flag {
    /// Of a lock that is not poisoned.
    pub(super) const fn new() -> Flag {
        Flag(AtomicBool::new(false))
    }

    /// Whether it is poisoned.
    #[inline]
    pub(super) fn get(&self) -> bool {
        // ORDERING: Relaxed; who holds the lock sees what earlier holders wrote by the lock's word. To others it is news.
        self.0.load(Ordering::Relaxed)
    }

    /// Makes it not poisoned.
    #[inline]
    pub(super) fn clear(&self) {
        // ORDERING: Relaxed; as in `get`.
        self.0.store(false, Ordering::Relaxed);
    }

    /// To be called with the lock held exclusively, last: poisons it if its holder began to unwind since.
    #[inline]
    pub(super) fn done(&self, before: Before) {
        if std::thread::panicking() && !before.0 && unwinds() {
            // ORDERING: Relaxed; as in `get`.
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// `value`, as an error if it is poisoned.
    #[inline]
    pub(super) fn wrap<T>(&self, value: T) -> LockResult<T> {
        if self.get() { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}

impl Before {
    /// To be called when the lock was taken.
    #[inline]
    pub(super) fn now() -> Before {
        Before(std::thread::panicking() && unwinds())
    }
}

/// Applies `f` to what a lock gave, poisoned or not.
pub(super) fn map_result<T, U>(result: LockResult<T>, f: impl FnOnce(T) -> U) -> LockResult<U> {
    match result {
        Ok(value) => Ok(f(value)),
        Err(error) => Err(PoisonError::new(f(error.into_inner()))),
    }
}
