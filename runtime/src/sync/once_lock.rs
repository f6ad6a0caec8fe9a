//! A value that is written once.
//!
//! Owns [`OnceLock`].
//!
//! Invariant 1: the value is there if and only if the `Once` is complete. It is written by its call, and read after it.

#![allow(unsafe_code)]

use super::once::Once;
use super::once_word::Stage;
use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// [`std::sync::OnceLock`] for coroutines and plain threads: who waits for the value parks, and blocks no worker.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::OnceLock;
/// use dormouse_runtime::{run, thread};
///
/// static NAME: OnceLock<String> = OnceLock::new();
///
/// run(|| {
///     let waiter = thread::spawn(|| NAME.wait().len());
///     assert_eq!(NAME.get(), None);
///     assert_eq!(NAME.get_or_init(|| "dormouse".into()), "dormouse");
///     assert_eq!(waiter.join().unwrap(), 8);
/// });
/// ```
pub struct OnceLock<T> {
    /// Whether the value is there.
    once: Once,
    /// The value (invariant 1).
    value: UnsafeCell<MaybeUninit<T>>,
    /// Drops a `T`.
    owns: PhantomData<T>,
}

// SAFETY: shared, it gives references to the value (`Sync`), and takes one in that another thread may drop (`Send`).
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}
// SAFETY: it is a value and a word.
unsafe impl<T: Send> Send for OnceLock<T> {}

impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// One without a value.
    #[inline]
    #[must_use]
    pub const fn new() -> OnceLock<T> {
        OnceLock { once: Once::new(), value: UnsafeCell::new(MaybeUninit::uninit()), owns: PhantomData }
    }

    /// The value, if it is there. Never blocks.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: invariant 1.
        self.once.is_completed().then(|| unsafe { self.value() })
    }

    /// The value, if it is there.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: invariant 1, and nobody else has a reference.
        (self.once.stage() == Stage::Complete).then(|| unsafe { self.value.get_mut().assume_init_mut() })
    }

    /// The value; waits until somebody has written it.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine; a cancellation point. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside `no_park` if it would have to wait.
    #[inline]
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        // SAFETY: invariant 1; the wait ends when it is complete.
        unsafe { self.value() }
    }

    /// Writes the value.
    ///
    /// # Errors
    ///
    /// The value, if there is one already.
    ///
    /// # Blocking
    ///
    /// As [`get_or_init`](OnceLock::get_or_init).
    #[inline]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("called once"));
        value.map_or(Ok(()), Err)
    }

    /// The value; if there is none `f` makes it. If several call this at a time one of them makes it and the others wait.
    ///
    /// If `f` unwinds there is no value, and the next one tries. A call from within `f` to the same one never returns.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine while another makes the value; a cancellation point if so. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside `no_park` if it would have to wait.
    #[inline]
    pub fn get_or_init<F>(&self, f: F) -> &T
    where
        F: FnOnce() -> T,
    {
        match self.get() {
            Some(value) => value,
            None => self.init_cold(f),
        }
    }

    #[cold]
    fn init_cold(&self, f: impl FnOnce() -> T) -> &T {
        match self.get_or_try_init(|| Ok::<T, Infallible>(f())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`get_or_init`](OnceLock::get_or_init), with an `f` that may fail: then there is no value, and the next one tries.
    ///
    /// In std it is not stable yet (`once_cell_try`).
    ///
    /// # Errors
    ///
    /// That of `f`.
    ///
    /// # Blocking
    ///
    /// As [`get_or_init`](OnceLock::get_or_init).
    pub fn get_or_try_init<F, E>(&self, f: F) -> Result<&T, E>
    where
        F: FnOnce() -> Result<T, E>,
    {
        let mut failed = None;
        self.once.call_once_force(|state| match f() {
            Ok(value) => {
                // SAFETY: invariant 1; this is the call, and nobody reads before it has returned.
                unsafe { &mut *self.value.get() }.write(value);
            }
            Err(error) => {
                failed = Some(error);
                state.fail();
            }
        });
        match failed {
            Some(error) => Err(error),
            // SAFETY: invariant 1; it returned and did not fail, so it is complete.
            None => Ok(unsafe { self.value() }),
        }
    }

    /// The value, if it is there.
    #[inline]
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }

    /// Takes the value out, if it is there; then another may be written.
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        if self.once.stage() != Stage::Complete {
            return None;
        }
        self.once = Once::new();
        // SAFETY: invariant 1; it was complete, and is not any more, so that nobody reads it again.
        Some(unsafe { self.value.get_mut().assume_init_read() })
    }

    /// # Safety
    ///
    /// The `Once` is complete.
    #[inline]
    unsafe fn value(&self) -> &T {
        // SAFETY: invariant 1; after the call nobody writes but by `&mut self`.
        let value = unsafe { &*self.value.get() };
        // SAFETY: invariant 1, by the caller's word.
        unsafe { value.assume_init_ref() }
    }
}

impl<T> Default for OnceLock<T> {
    #[inline]
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => debug.field(value),
            None => debug.field(&format_args!("<uninit>")),
        };
        debug.finish()
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    #[inline]
    fn clone(&self) -> OnceLock<T> {
        self.get().cloned().map_or_else(OnceLock::new, OnceLock::from)
    }
}

impl<T> From<T> for OnceLock<T> {
    #[inline]
    fn from(value: T) -> Self {
        let lock = OnceLock::new();
        lock.get_or_init(|| value);
        lock
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    #[inline]
    fn eq(&self, other: &OnceLock<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

/// Unlike std's, this Drop counts as a use of `T`'s borrows: a value cannot borrow from what is dropped together with the
/// lock.
impl<T> Drop for OnceLock<T> {
    #[inline]
    fn drop(&mut self) {
        drop(self.take());
    }
}
