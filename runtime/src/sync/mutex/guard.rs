//! The right to touch the value of a mutex.
//!
//! Owns the two guards, and who of them poisons and unlocks.
//!
//! Invariant 1: a guard exists only while the mutex is held, and one at a time: mapping one consumes it.

use super::Mutex;
use crate::sync::mutex_word::MutexWord;
use crate::sync::poison::{Before, Flag};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::LockResult;

/// The right to touch the value of a [`Mutex`], until dropped.
///
/// It stays with the coroutine or the thread that locked:
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<dormouse_runtime::sync::MutexGuard<'static, ()>>();
/// ```
#[must_use = "if unused the Mutex will immediately unlock"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    /// What is held.
    lock: &'a Mutex<T>,
    /// Whether its holder unwound already.
    before: Before,
    /// Not `Send`.
    stays: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives nothing but shared references to the value.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

/// The right to touch a part of the value of a [`Mutex`], until dropped; made by [`MutexGuard::map`].
///
/// In std it is not stable yet (`mapped_lock_guards`).
#[must_use = "if unused the Mutex will immediately unlock"]
#[clippy::has_significant_drop]
pub struct MappedMutexGuard<'a, T: ?Sized + 'a> {
    /// The part. A pointer, since as an argument a reference would be taken for exclusive until the function ends, and not
    /// until the guard does.
    part: NonNull<T>,
    /// What is held.
    word: &'a MutexWord,
    /// Where an unwind is noted.
    poison: &'a Flag,
    /// Whether the holder unwound already.
    before: Before,
    /// Invariant in `T`, and not `Send`.
    stays: PhantomData<(&'a mut T, *mut ())>,
}

// SAFETY: a shared guard gives nothing but shared references to the part.
unsafe impl<T: ?Sized + Sync> Sync for MappedMutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// # Safety
    ///
    /// The caller has taken the word, and makes one guard of it.
    #[inline]
    pub(super) unsafe fn new(lock: &'a Mutex<T>) -> LockResult<MutexGuard<'a, T>> {
        lock.poison.wrap(MutexGuard { lock, before: Before::now(), stays: PhantomData })
    }

    /// The word that is held.
    pub(in crate::sync) fn word(&self) -> &'a MutexWord {
        &self.lock.word
    }

    /// Whether the mutex is poisoned.
    pub(in crate::sync) fn is_poisoned(&self) -> bool {
        self.lock.poison.get()
    }

    /// Makes of it a guard of a part of the value. A function, not a method: it is called `MutexGuard::map(guard, ...)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::{Mutex, MutexGuard};
    ///
    /// let pair = Mutex::new((1, "one"));
    /// let mut first = MutexGuard::map(pair.lock().unwrap(), |pair| &mut pair.0);
    /// *first = 2;
    /// drop(first);
    /// assert_eq!(pair.into_inner().unwrap(), (2, "one"));
    /// ```
    pub fn map<U, F>(orig: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
        U: ?Sized,
    {
        // SAFETY: invariant 1; the guard is consumed, or dropped if `f` unwinds.
        let part = NonNull::from(f(unsafe { &mut *orig.lock.value.get() }));
        orig.into_part(part)
    }

    /// As [`map`](MutexGuard::map), or the guard itself if there is no such part.
    ///
    /// # Errors
    ///
    /// The guard, if `f` gives `None`.
    pub fn filter_map<U, F>(orig: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
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

    fn into_part<U: ?Sized>(self, part: NonNull<U>) -> MappedMutexGuard<'a, U> {
        let orig = ManuallyDrop::new(self);
        let lock = orig.lock;
        MappedMutexGuard { part, word: &lock.word, poison: &lock.poison, before: orig.before, stays: PhantomData }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: invariant 1.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: invariant 1, and the guard is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.poison.done(self.before);
        self.lock.word.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<'a, T: ?Sized> MappedMutexGuard<'a, T> {
    /// Makes of it a guard of a part of the part.
    pub fn map<U, F>(mut orig: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
        U: ?Sized,
    {
        // SAFETY: invariant 1; the guard is consumed, or dropped if `f` unwinds.
        let part = NonNull::from(f(unsafe { orig.part.as_mut() }));
        orig.into_part(part)
    }

    /// As [`map`](MappedMutexGuard::map), or the guard itself if there is no such part.
    ///
    /// # Errors
    ///
    /// The guard, if `f` gives `None`.
    pub fn filter_map<U, F>(mut orig: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
        U: ?Sized,
    {
        // SAFETY: as above.
        match f(unsafe { orig.part.as_mut() }).map(NonNull::from) {
            Some(part) => Ok(orig.into_part(part)),
            None => Err(orig),
        }
    }

    fn into_part<U: ?Sized>(self, part: NonNull<U>) -> MappedMutexGuard<'a, U> {
        let orig = ManuallyDrop::new(self);
        MappedMutexGuard { part, word: orig.word, poison: orig.poison, before: orig.before, stays: PhantomData }
    }
}

impl<T: ?Sized> Deref for MappedMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: invariant 1; the part lies in the value.
        unsafe { self.part.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for MappedMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { self.part.as_mut() }
    }
}

impl<T: ?Sized> Drop for MappedMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.poison.done(self.before);
        self.word.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MappedMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MappedMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
