//! The one lock of the scheduler's own: three states in a word, a futex behind it.
//!
//! Never `std::sync`: libc calls interposed for blocking code must not re-enter the scheduler, and the scheduler's
//! locks must not count as the user's. After Drepper, "Futexes Are Tricky" (2011), mutex 2.
//!
//! Invariant 1: nothing parks, allocates without bound or runs user code while holding one.
//! Invariant 2: the value is reached only through a guard, and a guard exists only while the word is not `FREE`.

#![allow(unsafe_code)]

use crate::atomic::{AtomicU32, Ordering};
use crate::sys::futex;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

/// Nobody holds it.
const FREE: u32 = 0;
/// Somebody holds it, nobody waits.
const HELD: u32 = 1;
/// Somebody holds it and somebody may wait.
const CONTENDED: u32 = 2;

/// A value that one thread at a time may touch, for a few instructions.
pub(crate) struct Lock<T> {
    /// `FREE`, `HELD` or `CONTENDED`.
    word: AtomicU32,
    /// What is guarded.
    value: UnsafeCell<T>,
}

// SAFETY: invariant 2 hands the value to one thread at a time, so it need only be `Send`.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    #[cfg(not(dormouse_loom))]
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock { word: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    #[cfg(dormouse_loom)]
    pub(crate) fn new(value: T) -> Lock<T> {
        Lock { word: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Takes the lock; blocks the thread while another holds it.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        // ORDERING: Acquire pairs with the Release swap in `Guard::drop`; a failure publishes nothing.
        if self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_cold();
        }
        Guard { lock: self }
    }

    #[cold]
    fn lock_cold(&self) {
        // ORDERING: Acquire pairs with the Release swap in `Guard::drop`.
        while self.word.swap(CONTENDED, Ordering::Acquire) != FREE {
            futex::wait(&self.word, CONTENDED, None);
        }
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
        // ORDERING: Release pairs with the Acquire in `lock` and `lock_cold`.
        if self.lock.word.swap(FREE, Ordering::Release) == CONTENDED {
            futex::wake_one(&self.lock.word);
        }
    }
}
