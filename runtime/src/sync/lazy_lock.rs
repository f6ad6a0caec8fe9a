//! A value that is made when it is first used.
//!
//! Owns [`LazyLock`].
//!
//! Invariant 1: the `Once` tells what there is: incomplete, the closure; complete, the value; poisoned, neither.
//! Invariant 2: under a call, only the caller touches it.

#![allow(unsafe_code)]

use super::once::Once;
use super::once_word::Stage;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

/// What there is (invariant 1).
union Content<T, F> {
    /// The value.
    value: ManuallyDrop<T>,
    /// What makes it.
    make: ManuallyDrop<F>,
}

/// [`std::sync::LazyLock`] for coroutines and plain threads: who waits for the value parks, and blocks no worker.
///
/// The closure may park. If it unwinds, of a panic or of a cancellation, the value is poisoned: all further use panics.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::LazyLock;
/// use std::collections::HashMap;
///
/// static WORDS: LazyLock<HashMap<u32, &str>> = LazyLock::new(|| HashMap::from([(1, "one"), (2, "two")]));
///
/// assert_eq!(WORDS[&2], "two");
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    /// How far it is.
    once: Once,
    /// See invariant 1.
    content: UnsafeCell<Content<T, F>>,
}

// SAFETY: shared, it gives references to the value and drops it where it is dropped; the closure is only ever called or
// dropped, by one of those who share it.
unsafe impl<T: Sync + Send, F: Send> Sync for LazyLock<T, F> {}

impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}

#[cold]
#[inline(never)]
fn refuse() -> ! {
    panic!("LazyLock instance has previously been poisoned");
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// One whose value `f` will make.
    #[inline]
    pub const fn new(f: F) -> LazyLock<T, F> {
        LazyLock { once: Once::new(), content: UnsafeCell::new(Content { make: ManuallyDrop::new(f) }) }
    }

    /// The value, which is made if it was not yet.
    ///
    /// # Panics
    ///
    /// Panics if the closure unwound.
    #[inline]
    pub fn force_mut(this: &mut LazyLock<T, F>) -> &mut T {
        match this.once.stage() {
            Stage::Complete => {}
            Stage::Incomplete => this.make_alone(),
            Stage::Poisoned => refuse(),
        }
        // SAFETY: invariant 1; it is complete.
        unsafe { &mut this.content.get_mut().value }
    }

    /// Makes the value, having it alone, while it is incomplete.
    #[cold]
    fn make_alone(&mut self) {
        /// Ends the call, whether it returns or not.
        struct End<'a>(&'a mut Once, bool);

        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.end(self.1);
            }
        }

        let content = self.content.get_mut();
        // SAFETY: invariant 1; it is incomplete. From here on it is not: `End` sees to that.
        let make = unsafe { ManuallyDrop::take(&mut content.make) };
        let mut end = End(&mut self.once, false);
        content.value = ManuallyDrop::new(make());
        end.1 = true;
    }

    /// The value, which is made if it was not yet. The same as a dereference.
    ///
    /// If several call this at a time one of them makes it and the others wait. A call from within the closure to the same one
    /// never returns.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine while another makes the value; a cancellation point if so. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics if the closure unwound, and inside `no_park` if it would have to wait.
    #[inline]
    pub fn force(this: &LazyLock<T, F>) -> &T {
        this.once.call_once_force(|state| {
            if state.is_poisoned() {
                refuse();
            }
            // SAFETY: invariant 2; this is the call.
            let content = unsafe { &mut *this.content.get() };
            // SAFETY: invariant 1; it was incomplete, and will be complete or poisoned.
            let make = unsafe { ManuallyDrop::take(&mut content.make) };
            content.value = ManuallyDrop::new(make());
        });
        // SAFETY: it is complete, since when nobody writes but by `&mut`.
        let content = unsafe { &*this.content.get() };
        // SAFETY: invariant 1.
        unsafe { &content.value }
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it was made.
    #[inline]
    pub fn get_mut(this: &mut LazyLock<T, F>) -> Option<&mut T> {
        match this.once.stage() {
            // SAFETY: invariant 1.
            Stage::Complete => Some(unsafe { &mut this.content.get_mut().value }),
            Stage::Incomplete | Stage::Poisoned => None,
        }
    }

    /// The value, if it was made. Never blocks.
    #[inline]
    pub fn get(this: &LazyLock<T, F>) -> Option<&T> {
        if !this.once.is_completed() {
            return None;
        }
        // SAFETY: it is complete, since when nobody writes but by `&mut`.
        let content = unsafe { &*this.content.get() };
        // SAFETY: invariant 1.
        Some(unsafe { &content.value })
    }
}

impl<T, F> Drop for LazyLock<T, F> {
    fn drop(&mut self) {
        let stage = self.once.stage();
        let content = self.content.get_mut();
        match stage {
            // SAFETY: invariant 1, and nobody uses it again.
            Stage::Incomplete => unsafe { ManuallyDrop::drop(&mut content.make) },
            // SAFETY: as above.
            Stage::Complete => unsafe { ManuallyDrop::drop(&mut content.value) },
            Stage::Poisoned => {}
        }
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        LazyLock::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    #[inline]
    fn default() -> LazyLock<T> {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("LazyLock");
        match LazyLock::get(self) {
            Some(value) => debug.field(value),
            None => debug.field(&format_args!("<uninit>")),
        };
        debug.finish()
    }
}
