//! A counted reference that is set once, in one word.
//!
//! `OnceLock<Arc<T>>` would do, in two words; every connection pays for each. The atomics are std's, not the shim's, since
//! a socket's constructor is `const`.
//!
//! Invariant 1: the pointer is null, or came from `Arc::into_raw` and this value owns one count of it.
//! Invariant 2: once set it does not change until `take`, which needs `&mut`, or `supersede`, which gives up that count: what it points
//! to lives as long as this value is borrowed.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

/// See the heading.
pub(crate) struct OnceArc<T> {
    /// Invariants 1 and 2.
    pointer: AtomicPtr<T>,
    /// Sent and shared as the `Arc` that it is.
    owned: PhantomData<Arc<T>>,
}

impl<T> OnceArc<T> {
    pub(crate) const fn new() -> OnceArc<T> {
        OnceArc { pointer: AtomicPtr::new(std::ptr::null_mut()), owned: PhantomData }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // ORDERING: Acquire; pairs with the Release exchange in `set`.
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: invariants 1 and 2: null, or kept alive by this value for as long as it is borrowed.
        unsafe { pointer.as_ref() }
    }

    /// Sets it, unless it is set already.
    pub(crate) fn set(&self, value: Arc<T>) {
        let fresh = Arc::into_raw(value).cast_mut();
        let null = std::ptr::null_mut();
        // ORDERING: Release publishes the value to the Acquire loads; a failure publishes nothing.
        if self.pointer.compare_exchange(null, fresh, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: made by `into_raw` above, and not published.
            drop(unsafe { Arc::from_raw(fresh) });
        }
    }

    /// Sets it in place of `inherited`, if that is what it is set to. That one is never given back.
    pub(crate) fn supersede(&self, inherited: &T, value: Arc<T>) {
        let fresh = Arc::into_raw(value).cast_mut();
        let before = std::ptr::from_ref(inherited).cast_mut();
        // ORDERING: Release publishes the value to the Acquire loads; a failure publishes nothing.
        if self.pointer.compare_exchange(before, fresh, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: made by `into_raw` above, and not published.
            drop(unsafe { Arc::from_raw(fresh) });
        }
    }

    /// A count of its own, if it is set.
    pub(crate) fn share(&self) -> Option<Arc<T>> {
        // The pointer itself, not one made from a reference: that would not cover the counts beside the value.
        // ORDERING: Acquire; as in `get`.
        let pointer: *const T = self.pointer.load(Ordering::Acquire);
        if pointer.is_null() {
            return None;
        }
        // SAFETY: invariant 1.
        unsafe { Arc::increment_strong_count(pointer) };
        // SAFETY: takes the count added above.
        Some(unsafe { Arc::from_raw(pointer) })
    }

    /// Takes it out; the value is as new.
    pub(crate) fn take(&mut self) -> Option<Arc<T>> {
        // Whoever sent us `&mut self` published it, and no other thread is there.
        let pointer = std::mem::replace(self.pointer.get_mut(), std::ptr::null_mut());
        // SAFETY: invariant 1; the count is the caller's now.
        (!pointer.is_null()).then(|| unsafe { Arc::from_raw(pointer) })
    }
}

impl<T> Drop for OnceArc<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for OnceArc<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_stays_and_no_count_is_lost() {
        let (first, second) = (Arc::new(1), Arc::new(2));
        let mut once = OnceArc::new();
        assert!(once.get().is_none() && once.share().is_none());
        once.set(Arc::clone(&first));
        once.set(Arc::clone(&second));
        assert_eq!((once.get(), Arc::strong_count(&first), Arc::strong_count(&second)), (Some(&1), 2, 1));
        assert_eq!(once.share().map(|shared| Arc::strong_count(&shared)), Some(3));
        assert_eq!(once.take().as_deref(), Some(&1));
        assert!(once.get().is_none());
        drop(once);
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn one_of_those_who_supersede_a_value_does() {
        let [inherited, second, third] = [1, 2, 3].map(Arc::new);
        let once = OnceArc::new();
        once.set(Arc::clone(&inherited));
        let before = once.get().unwrap();
        once.supersede(before, Arc::clone(&second));
        once.supersede(before, Arc::clone(&third));
        assert_eq!((once.get(), *before), (Some(&2), 1));
        drop(once);
        assert_eq!([&inherited, &second, &third].map(Arc::strong_count), [2, 1, 1]);
        // The count that was given up.
        // SAFETY: `into_raw` in `set` made it, and nobody else gives it back.
        drop(unsafe { Arc::from_raw(Arc::as_ptr(&inherited)) });
    }
}
