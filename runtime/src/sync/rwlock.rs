//! A value that many may read at a time, or one may write.
//!
//! Owns [`RwLock`]; its guards are in `guard.rs` and `mapped.rs`, the algorithm is in `rwlock_word.rs`.
//!
//! Invariant 1: the value is reached only by way of a guard, or by way of `&mut self`. A guard that writes exists while the
//! word is held to write, and is the only one; guards that read exist while the word is held to read, by each of them.

#![allow(unsafe_code)]

mod guard;
mod mapped;

pub use guard::{RwLockReadGuard, RwLockWriteGuard};
pub use mapped::{MappedRwLockReadGuard, MappedRwLockWriteGuard};

use super::poison::Flag;
use super::rwlock_word::RwLockWord;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, TryLockError, TryLockResult};

/// [`std::sync::RwLock`] for coroutines and plain threads: who waits for it parks, and blocks no worker.
///
/// A guard may be held across a park. As in std, who reads and reads again while a writer waits may wait for itself.
/// Locks and unlocks are one atomic operation each while nobody waits.
///
/// # Poisoning
///
/// As in std: a guard to write that is dropped by an unwind poisons the lock; one to read does not. Whose unwind counts is
/// said at [`Mutex`](super::Mutex#poisoning).
///
/// # Fairness
///
/// Readers and writers wait in one queue, in order. Readers that come while somebody waits queue behind them, so they do not
/// keep writers out; readers at the front of the queue have the lock at once when a writer frees it. A writer that was woken
/// and found the lock taken is the next to hold it.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::RwLock;
///
/// let lock = RwLock::new(5);
/// {
///     let (first, second) = (lock.read().unwrap(), lock.read().unwrap());
///     assert_eq!(*first + *second, 10);
/// }
/// *lock.write().unwrap() += 1;
/// assert_eq!(*lock.read().unwrap(), 6);
/// ```
pub struct RwLock<T: ?Sized> {
    /// Who holds it.
    word: RwLockWord,
    /// Whether it is poisoned.
    poison: Flag,
    /// What is guarded.
    value: UnsafeCell<T>,
}

const _: () = assert!(size_of::<RwLock<()>>() <= 8);

// SAFETY: invariant 1 makes it one value, which goes with it.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: invariant 1 hands the value to one party at a time (`Send`), or shares it among several (`Sync`).
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T> RwLock<T> {
    /// A lock that is free.
    #[inline]
    pub const fn new(t: T) -> RwLock<T> {
        RwLock { word: RwLockWord::new(), poison: Flag::new(), value: UnsafeCell::new(t) }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock to read, together with others, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the guard is in the error.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine while somebody writes or waits; not a cancellation point, also in an unwind. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside `no_park` if it would have to wait, and at half a billion readers.
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.word.read();
        // SAFETY: taken in the line above.
        unsafe { RwLockReadGuard::new(self) }
    }

    /// Takes the lock to read, if nobody writes or waits. Never blocks.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it cannot be had; `Poisoned`, with the guard, if it can and is poisoned.
    ///
    /// # Panics
    ///
    /// Panics at half a billion readers.
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if self.word.try_read() {
            // SAFETY: taken in the line above.
            Ok(unsafe { RwLockReadGuard::new(self) }?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Takes the lock to write, alone, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the guard is in the error.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine while another holds it; not a cancellation point, also in an unwind. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside `no_park` if it would have to wait.
    #[inline]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.word.write();
        // SAFETY: taken in the line above.
        unsafe { RwLockWriteGuard::new(self) }
    }

    /// Takes the lock to write, if nobody holds it. Never blocks.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is held; `Poisoned`, with the guard, if it was free and is poisoned.
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if self.word.try_write() {
            // SAFETY: taken in the line above.
            Ok(unsafe { RwLockWriteGuard::new(self) }?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether it is poisoned. Another party may change that at any time.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Makes it not poisoned: what it guards is in order again.
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The value, without locking: nobody else can hold it.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the value is in the error.
    pub fn into_inner(self) -> LockResult<T>
    where
        T: Sized,
    {
        self.poison.wrap(self.value.into_inner())
    }

    /// The value, without locking: nobody else can hold it.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the reference is in the error.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.wrap(self.value.get_mut())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => debug.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => debug.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => debug.field("data", &format_args!("<locked>")),
        };
        debug.field("poisoned", &self.poison.get()).finish_non_exhaustive()
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(t: T) -> Self {
        RwLock::new(t)
    }
}
