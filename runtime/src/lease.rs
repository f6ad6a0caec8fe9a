//! A value that one call at a time has, on whichever thread it is being made.
//!
//! Owns whose turn it is. What a guard of a lock cannot do, a lease can: go with a call to a thread of the pool, and
//! stay there when its caller was cancelled. The next one waits until the call that nobody waits for has ended, and
//! finds what it left.
//!
//! Invariant 1: the value is at home whenever nobody has the turn; whoever has the turn has the value.

use crate::lock::Lock;
use crate::sync::Semaphore;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Where the value is when nobody has it.
pub(crate) struct Home<T> {
    /// One permit: the turn. First come, first served.
    turn: Semaphore,
    /// Invariant 1.
    value: Lock<Option<T>>,
}

/// The value and the turn. Dropped, the value goes home, and the turn to the next.
pub(crate) struct Lease<T> {
    /// The value, until the drop.
    value: Option<T>,
    /// Where it belongs.
    home: Arc<Home<T>>,
}

impl<T> Home<T> {
    pub(crate) fn new(value: T) -> Arc<Home<T>> {
        Arc::new(Home { turn: Semaphore::new(1), value: Lock::new(Some(value)) })
    }

    /// Waits for the turn. Parks a coroutine; a cancellation point. Blocks a plain thread.
    pub(crate) fn lease(self: &Arc<Home<T>>) -> Lease<T> {
        // The lease gives back what is forgotten here.
        self.turn.acquire_for_certain().forget();
        let value = self.value.lock().take();
        Lease { value, home: Arc::clone(self) }
    }

    /// Waits until those who have the turn, or wait for it, had it. As [`Home::lease`].
    pub(crate) fn pass(&self) {
        drop(self.turn.acquire_for_certain());
    }
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("invariant 1")
    }
}

impl<T> DerefMut for Lease<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("invariant 1")
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        *self.home.value.lock() = self.value.take();
        self.home.turn.add_permits(1);
    }
}
