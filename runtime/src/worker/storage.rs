//! The coroutine-local storage of the running coroutine.
//!
//! Invariant 1: all of this is called by the running coroutine, and no borrow of the storage is held while user code runs.
//! Invariant 2: a record names its storage from the first value on until `free_locals`, which is at the coroutine's end.

#![allow(unsafe_code)]

use super::Worker;
use crate::locals::{Doomed, Found, Key, Locals};
use std::ptr::NonNull;

impl Worker {
    /// Looks for the value of `key`.
    ///
    /// # Safety
    ///
    /// As [`Locals::find`].
    #[inline]
    pub(crate) unsafe fn find_local<T>(&self, key: Key) -> Found<T> {
        match self.storage() {
            // SAFETY: the caller's word.
            Some(index) => unsafe { self.locals.borrow()[index].find(key) },
            None => Found::Absent,
        }
    }

    /// Keeps a value that was made just now. See [`Locals::put`].
    ///
    /// # Safety
    ///
    /// As [`Locals::put`].
    #[cold]
    pub(crate) unsafe fn put_local<T>(&self, key: Key, value: T) -> (NonNull<T>, Option<T>) {
        let index = self.storage().unwrap_or_else(|| self.begin_storage());
        // SAFETY: the caller's word.
        unsafe { self.locals.borrow_mut()[index].put(key, value) }
    }

    /// Where the storage of the running coroutine is (invariant 2).
    #[inline]
    fn storage(&self) -> Option<usize> {
        self.with_running(|slot| slot.record.locals()).checked_sub(1).map(|index| index as usize)
    }

    fn begin_storage(&self) -> usize {
        let index = self.locals.borrow_mut().insert(Locals::default());
        let name = u32::try_from(index + 1).expect("fewer than 2^32 coroutines fit in memory");
        self.with_running(|slot| slot.record.set_locals(name));
        index
    }

    /// The value that is to be dropped next.
    pub(crate) fn doom_local(&self) -> Option<Doomed> {
        self.storage().and_then(|index| self.locals.borrow_mut()[index].doom())
    }

    /// Frees the storage, once nothing is left to be dropped.
    ///
    /// # Safety
    ///
    /// No reference to a value is left.
    pub(crate) unsafe fn free_locals(&self) {
        if let Some(index) = self.storage() {
            self.with_running(|slot| slot.record.set_locals(0));
            let locals = self.locals.borrow_mut().remove(index);
            // SAFETY: the caller's word.
            unsafe { locals.free() };
        }
    }
}
