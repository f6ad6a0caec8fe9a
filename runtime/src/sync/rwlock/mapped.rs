//! The rights to read and to write a part of the value of a reader-writer lock.
//!
//! Owns the two mapped guards. In std they are not stable yet (`mapped_lock_guards`).
//!
//! Invariant 1: a mapped guard took the place of one to the whole value, whose share of the lock it holds.

use crate::sync::poison::{Before, Flag};
use crate::sync::rwlock_word::RwLockWord;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The right to read a part of the value of a [`RwLock`](super::RwLock), until dropped; made by
/// [`RwLockReadGuard::map`](super::RwLockReadGuard::map).
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct MappedRwLockReadGuard<'rwlock, T: ?Sized + 'rwlock> {
    /// The part; a pointer for the reasons given at the guard to the whole.
    part: NonNull<T>,
    /// What is held.
    word: &'rwlock RwLockWord,
}

// SAFETY: a guard gives nothing but shared references to the part.
unsafe impl<T: ?Sized + Sync> Sync for MappedRwLockReadGuard<'_, T> {}

/// The right to write a part of the value of a [`RwLock`](super::RwLock), until dropped; made by
/// [`RwLockWriteGuard::map`](super::RwLockWriteGuard::map).
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct MappedRwLockWriteGuard<'rwlock, T: ?Sized + 'rwlock> {
    /// The part; a pointer for the reasons given at the guard to the whole.
    part: NonNull<T>,
    /// What is held.
    word: &'rwlock RwLockWord,
    /// Where an unwind is noted.
    poison: &'rwlock Flag,
    /// Whether the holder unwound already.
    before: Before,
    /// Invariant in `T`.
    writes: PhantomData<&'rwlock mut T>,
}

// SAFETY: a shared guard gives nothing but shared references to the part.
unsafe impl<T: ?Sized + Sync> Sync for MappedRwLockWriteGuard<'_, T> {}

impl<'rwlock, T: ?Sized> MappedRwLockReadGuard<'rwlock, T> {
    /// Of a part of what is held to read by `word`, in place of the guard that held it.
    pub(super) fn new(part: NonNull<T>, word: &'rwlock RwLockWord) -> Self {
        MappedRwLockReadGuard { part, word }
    }

    /// Makes of it a guard of a part of the part.
    pub fn map<U, F>(orig: Self, f: F) -> MappedRwLockReadGuard<'rwlock, U>
    where
        F: FnOnce(&T) -> &U,
        U: ?Sized,
    {
        // SAFETY: invariant 1; the guard is consumed, or dropped if `f` unwinds.
        let part = NonNull::from(f(unsafe { orig.part.as_ref() }));
        MappedRwLockReadGuard::new(part, ManuallyDrop::new(orig).word)
    }

    /// As [`map`](MappedRwLockReadGuard::map), or the guard itself if there is no such part.
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
        match f(unsafe { orig.part.as_ref() }).map(NonNull::from) {
            Some(part) => Ok(MappedRwLockReadGuard::new(part, ManuallyDrop::new(orig).word)),
            None => Err(orig),
        }
    }
}

impl<'rwlock, T: ?Sized> MappedRwLockWriteGuard<'rwlock, T> {
    /// Of a part of what is held to write by `word`, in place of the guard that held it.
    pub(super) fn new(part: NonNull<T>, word: &'rwlock RwLockWord, poison: &'rwlock Flag, before: Before) -> Self {
        MappedRwLockWriteGuard { part, word, poison, before, writes: PhantomData }
    }

    /// Makes of it a guard of a part of the part.
    pub fn map<U, F>(mut orig: Self, f: F) -> MappedRwLockWriteGuard<'rwlock, U>
    where
        F: FnOnce(&mut T) -> &mut U,
        U: ?Sized,
    {
        // SAFETY: invariant 1; the guard is consumed, or dropped if `f` unwinds.
        let part = NonNull::from(f(unsafe { orig.part.as_mut() }));
        orig.into_part(part)
    }

    /// As [`map`](MappedRwLockWriteGuard::map), or the guard itself if there is no such part.
    ///
    /// # Errors
    ///
    /// The guard, if `f` gives `None`.
    pub fn filter_map<U, F>(mut orig: Self, f: F) -> Result<MappedRwLockWriteGuard<'rwlock, U>, Self>
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

    fn into_part<U: ?Sized>(self, part: NonNull<U>) -> MappedRwLockWriteGuard<'rwlock, U> {
        let orig = ManuallyDrop::new(self);
        MappedRwLockWriteGuard::new(part, orig.word, orig.poison, orig.before)
    }
}

impl<T: ?Sized> Drop for MappedRwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.word.read_unlock();
    }
}

impl<T: ?Sized> Drop for MappedRwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.poison.done(self.before);
        self.word.write_unlock();
    }
}

impl<T: ?Sized> Deref for MappedRwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: invariant 1; the part lies in the value.
        unsafe { self.part.as_ref() }
    }
}

impl<T: ?Sized> Deref for MappedRwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: as above.
        unsafe { self.part.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for MappedRwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { self.part.as_mut() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MappedRwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MappedRwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MappedRwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MappedRwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
