//! The one lock of the scheduler's own: three states in a word, a futex behind it.
//!
//! Never `std::sync`: libc calls interposed for blocking code must not re-enter the scheduler, and the scheduler's
//! locks must not count as the user's. After Drepper, "Futexes Are Tricky" (2011), mutex 2.
//!
//! Invariant 1: nothing parks, allocates without bound or runs user code while holding one.
//! Invariant 2: the value is reached only through a guard, and a guard exists only while the lock is held, by it.

#![allow(unsafe_code)]

use crate::atomic::{AtomicU32, Ordering};
use crate::sys::futex;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Nobody holds it.
const FREE: u32 = 0;
/// Somebody holds it, nobody waits.
const HELD: u32 = 1;
/// Somebody holds it and somebody may wait.
const CONTENDED: u32 = 2;

/// The algorithm: who holds it, and who sleeps for it.
struct Word(AtomicU32);

impl Word {
    #[cfg(not(dormouse_loom))]
    const fn new() -> Word {
        Word(AtomicU32::new(FREE))
    }

    /// What models are made of is not const.
    #[cfg(dormouse_loom)]
    fn new() -> Word {
        Word(AtomicU32::new(FREE))
    }

    #[inline]
    fn acquire(&self) {
        // ORDERING: Acquire pairs with the Release swap in `release`; a failure publishes nothing.
        if self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.acquire_cold();
        }
    }

    #[cold]
    fn acquire_cold(&self) {
        // ORDERING: Acquire pairs with the Release swap in `release`.
        while self.0.swap(CONTENDED, Ordering::Acquire) != FREE {
            futex::wait(&self.0, CONTENDED, None);
        }
    }

    #[inline]
    fn release(&self) {
        // ORDERING: Release pairs with the Acquire in `acquire` and `acquire_cold`.
        if self.0.swap(FREE, Ordering::Release) == CONTENDED {
            futex::wake_one(&self.0);
        }
    }
}

#[cfg(not(dormouse_loom))]
use Word as Inner;
#[cfg(dormouse_loom)]
use models::Stand as Inner;

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

#[cfg(dormouse_loom)]
mod models {
    use super::Word;
    use loom::sync::{Arc, Condvar, Mutex};
    use std::cell::OnceCell;

    /// Stands in for the word in models of what uses a lock: one that sleeps instead of spinning keeps them small. The
    /// word has its own model below.
    /// Made when it is first used, so that a lock is const here, too.
    pub(super) struct Stand(OnceCell<(Mutex<bool>, Condvar)>);

    // SAFETY: the threads of a model take turns on one OS thread, and making the two is no turn's end.
    unsafe impl Sync for Stand {}

    impl Stand {
        pub(super) const fn new() -> Stand {
            Stand(OnceCell::new())
        }

        fn parts(&self) -> &(Mutex<bool>, Condvar) {
            self.0.get_or_init(|| (Mutex::new(false), Condvar::new()))
        }

        pub(super) fn acquire(&self) {
            let (held, released) = self.parts();
            let mut held = held.lock().unwrap();
            while *held {
                held = released.wait(held).unwrap();
            }
            *held = true;
        }

        pub(super) fn release(&self) {
            let (held, released) = self.parts();
            *held.lock().unwrap() = false;
            released.notify_one();
        }
    }

    /// Two holders never overlap, and what one wrote the next one sees.
    #[test]
    fn one_holder_at_a_time() {
        loom::model(|| {
            let shared = Arc::new((Word::new(), loom::cell::Cell::new(0)));
            let other = Arc::clone(&shared);
            // The loom cell reports any access to it that is not ordered by the word.
            let add = |shared: &(Word, loom::cell::Cell<i32>)| {
                shared.0.acquire();
                shared.1.set(shared.1.get() + 1);
                shared.0.release();
            };
            let thread = loom::thread::spawn(move || add(&other));
            add(&shared);
            thread.join().unwrap();
            assert_eq!(shared.1.get(), 2);
        });
    }
}
