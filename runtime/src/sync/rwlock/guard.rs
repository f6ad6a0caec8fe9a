//! The rights to read and to write the value of a reader-writer lock.
//!
//! Owns the two guards, and who of them poisons and unlocks.
//!
//! Invariant 1: a guard exists only while its share of the lock is held: mapping or downgrading it consumes it.

use super::{MappedRwLockReadGuard, MappedRwLockWriteGuard, RwLock};
use crate::sync::poison::Before;
use crate::sync::rwlock_word::RwLockWord;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{LockResult, PoisonError};

/// The right to read the value of a [`RwLock`], until dropped.
///
/// It stays with the coroutine or the thread that locked:
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<dormouse_runtime::sync::RwLockReadGuard<'static, ()>>();
/// ```
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'rwlock, T: ?Sized + 'rwlock> {
    /// The value. A pointer, since as an argument a reference would be taken for valid until the function ends, and not until
    /// the guard does. It also makes the guard not `Send`.
    value: NonNull<T>,
    /// What is held.
    word: &'rwlock RwLockWord,
}

// SAFETY: a guard gives nothing but shared references to the value.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

/// The right to write the value of a [`RwLock`], until dropped.
///
/// It stays with the coroutine or the thread that locked:
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<dormouse_runtime::sync::RwLockWriteGuard<'static, ()>>();
/// ```
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'rwlock, T: ?Sized + 'rwlock> {
    /// What is held.
    lock: &'rwlock RwLock<T>,
    /// Whether its holder unwound already.
    before: Before,
    /// Not `Send`.
    stays: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives nothing but shared references to the value.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'rwlock, T: ?Sized> RwLockReadGuard<'rwlock, T> {
    /// # Safety
    ///
    /// The caller has taken the word to read, and makes one guard of it.
    #[inline]
    pub(super) unsafe fn new(lock: &'rwlock RwLock<T>) -> LockResult<RwLockReadGuard<'rwlock, T>> {
        // SAFETY: the address of a field.
        let value = unsafe { NonNull::new_unchecked(lock.value.get()) };
        lock.poison.wrap(RwLockReadGuard { value, word: &lock.word })
    }

    /// Makes of it a guard of a part of the value. In std it is not stable yet (`mapped_lock_guards`).
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::{RwLock, RwLockReadGuard};
    ///
    /// let pair = RwLock::new((1, "one"));
    /// let name = RwLockReadGuard::map(pair.read().unwrap(), |pair| &pair.1);
    /// assert_eq!(*name, "one");
    /// ```
    pub fn map<U, F>(orig: Self, f: F) -> MappedRwLockReadGuard<'rwlock, U>
    where
        F: FnOnce(&T) -> &U,
        U: ?Sized,
    {
        // SAFETY: invariant 1; the guard is consumed, or dropped if `f` unwinds.
        let part = NonNull::from(f(unsafe { orig.value.as_ref() }));
        MappedRwLockReadGuard::new(part, ManuallyDrop::new(orig).word)
    }

    /// As [`map`](RwLockReadGuard::map), or the guard itself if there is no such part.
    ///
    /// # Errors
    ///
    /// The guard, if `f` gives `None`.
    pub fn filter_map<U, F>(orig: Self, f: F) -> Result<MappedRwLockReadGuard<'rwlock, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
        U: ?Sized,
    {
        // SAFETY: as above.
        match f(unsafe { orig.value.as_ref() }).map(NonNull::from) {
            Some(part) => Ok(MappedRwLockReadGuard::new(part, ManuallyDrop::new(orig).word)),
            None => Err(orig),
        }
    }
}

impl<'rwlock, T: ?Sized> RwLockWriteGuard<'rwlock, T> {
    /// # Safety
    ///
    /// The caller has taken the word to write, and makes one guard of it.
    #[inline]
    pub(super) unsafe fn new(lock: &'rwlock RwLock<T>) -> LockResult<RwLockWriteGuard<'rwlock, T>> {
        lock.poison.wrap(RwLockWriteGuard { lock, before: Before::now(), stays: PhantomData })
    }

    /// Makes of it a guard to read, without anybody writing in between. Those who wait to read, and came before any writer that
    /// waits, join it. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(0);
    /// let mut writing = lock.write().unwrap();
    /// *writing = 1;
    /// let reading = RwLockWriteGuard::downgrade(writing);
    /// assert_eq!(*reading, 1);
    /// assert!(lock.try_read().is_ok() && lock.try_write().is_err());
    /// ```
    pub fn downgrade(s: Self) -> RwLockReadGuard<'rwlock, T> {
        let lock = ManuallyDrop::new(s).lock;
        lock.word.downgrade();
        // SAFETY: the line above made of a write, which is no guard's any more, a read.
        unsafe { RwLockReadGuard::new(lock) }.unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes of it a guard of a part of the value. In std it is not stable yet (`mapped_lock_guards`).
    pub fn map<U, F>(orig: Self, f: F) -> MappedRwLockWriteGuard<'rwlock, U>
    where
        F: FnOnce(&mut T) -> &mut U,
        U: ?Sized,
    {
        // SAFETY: invariant 1; the guard is consumed, or dropped if `f` unwinds.
        let part = NonNull::from(f(unsafe { &mut *orig.lock.value.get() }));
        orig.into_part(part)
    }

    /// As [`map`](RwLockWriteGuard::map), or the guard itself if there is no such part.
    ///
    /// # Errors
    ///
    /// The guard, if `f` gives `None`.
    pub fn filter_map<U, F>(orig: Self, f: F) -> Result<MappedRwLockWriteGuard<'rwlock, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
        U: ?Sized,
    {
        // SAFETY: as above.
        match f(unsafe { &mut *orig.lock.value.get() }).map(NonNull::from) {
            Some(part) => Ok(orig.into_part(part)),
            None => Err(orig),
        }
    }

    fn into_part<U: ?Sized>(self, part: NonNull<U>) -> MappedRwLockWriteGuard<'rwlock, U> {
        let orig = ManuallyDrop::new(self);
        MappedRwLockWriteGuard::new(part, &orig.lock.word, &orig.lock.poison, orig.before)
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.word.read_unlock();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.poison.done(self.before);
        self.lock.word.write_unlock();
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: invariant 1.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: invariant 1.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: invariant 1, and the guard is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
