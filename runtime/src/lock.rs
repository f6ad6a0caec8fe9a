//! The one lock of the scheduler's own: a word (`word`), a futex behind it; and the same for what mostly one worker uses
//! (`biased`).
//!
//! Never `std::sync`: libc calls interposed for blocking code must not re-enter the scheduler, and the scheduler's
//! locks must not count as the user's.
//!
//! Invariant 1: nothing parks, allocates without bound or runs user code while holding one. (A global allocator of the
//! user's is called, and must not use what it is called for.)
//! Invariant 2: the value is reached only through a guard, and a guard exists only while the lock is held, by it.

#![allow(unsafe_code)]

mod biased;
#[cfg(dormouse_loom)]
mod models;
mod word;

pub(crate) use biased::{Biased, BiasedGuard, STRANGER};

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

#[cfg(dormouse_loom)]
use models::Stand as Inner;
#[cfg(not(dormouse_loom))]
use word::Word as Inner;

/// A value that one thread at a time may touch, for a few instructions.
pub(crate) struct Lock<T> {
    /// Who holds it.
    inner: Inner,
    /// What is guarded.
    value: UnsafeCell<T>,
}

// SAFETY: invariant 2 hands the value to one thread at a time, so it need only be `Send`.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock { inner: Inner::new(), value: UnsafeCell::new(value) }
    }

    /// Takes the lock; blocks the thread while another holds it.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.inner.acquire();
        Guard { lock: self, value: PhantomData }
    }
}

impl<T> std::fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// The right to touch the value, until dropped.
#[derive(Debug)]
pub(crate) struct Guard<'a, T> {
    /// The lock that is held.
    lock: &'a Lock<T>,
    /// Shared as the reference to the value that it is.
    value: PhantomData<&'a mut T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: invariant 2; a guard exists, and it is the only one.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: invariant 2; a guard exists, it is the only one, and it is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.inner.release();
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn contended_increments_all_count() {
        let lock = Arc::new(Lock::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let lock = Arc::clone(&lock);
                std::thread::spawn(move || (0..10_000).for_each(|_| *lock.lock() += 1))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*lock.lock(), 40_000);
    }
}
