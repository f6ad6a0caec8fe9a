//! An `Arc` that comes into being at first use and takes one word until then (an `OnceLock<Arc<T>>` takes two).
//!
//! Invariants:
//! 1. The pointer is null or came from `Arc::into_raw`, and then this object owns one count of it.
//! 2. It changes from null to non-null at most once, and back only under `&mut self`; so what it points to lives as
//!    long as `&self`.

use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A lazily made, shareable `T`. Made by whoever needs it first; [`share`](OnceArc::share) gives a second owner.
pub(crate) struct OnceArc<T> {
    /// Null until made.
    pointer: AtomicPtr<T>,
    /// Sends and shares as what it owns.
    owns: PhantomData<Arc<T>>,
}

impl<T: Default> OnceArc<T> {
    /// One without a value.
    pub(crate) const fn new() -> Self {
        Self { pointer: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// One that has its value already.
    pub(crate) fn made(value: T) -> Self {
        let pointer = Arc::into_raw(Arc::new(value)).cast_mut();
        Self { pointer: AtomicPtr::new(pointer), owns: PhantomData }
    }

    /// The value, if anyone has made it.
    pub(crate) fn get(&self) -> Option<&T> {
        // ORDERING: Acquire, partner of the Release in `get_or_make`: who sees the pointer sees the value.
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: invariants 1 and 2.
        unsafe { pointer.as_ref() }
    }

    /// The value, made by default if nobody has.
    pub(crate) fn get_or_make(&self) -> &T {
        self.get().unwrap_or_else(|| self.make())
    }

    #[cold]
    fn make(&self) -> &T {
        let fresh = Arc::into_raw(Arc::new(T::default())).cast_mut();
        // ORDERING: Release publishes the value to `get`; Acquire on failure to read what another thread published.
        let result = self.pointer.compare_exchange(ptr::null_mut(), fresh, Ordering::Release, Ordering::Acquire);
        let pointer = match result {
            Ok(_) => fresh,
            Err(winner) => {
                // SAFETY: `fresh` came from `into_raw` above and was not published, so its count is still ours.
                drop(unsafe { Arc::from_raw(fresh) });
                winner
            }
        };
        // SAFETY: invariants 1 and 2; the pointer is not null any more.
        unsafe { &*pointer }
    }

    /// Another owner of the same value, which is made if nobody has.
    pub(crate) fn share(&self) -> Self {
        self.get_or_make();
        // The pointer itself, not one made from a reference: that would not cover the counts beside the value.
        // ORDERING: Acquire, as in `get`.
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: invariant 1: the pointer came from `into_raw`, and our count keeps it alive through this call.
        unsafe { Arc::increment_strong_count(pointer) };
        Self { pointer: AtomicPtr::new(pointer), owns: PhantomData }
    }

    /// Gives up this owner's part. The value itself goes to the last owner, exactly one, to do so.
    pub(crate) fn leave(&mut self) -> Left<T> {
        let pointer = std::mem::replace(self.pointer.get_mut(), ptr::null_mut());
        if pointer.is_null() {
            return Left::NeverMade;
        }
        // SAFETY: invariant 1; the count moves from this object, which forgot the pointer, into the `Arc`.
        let arc = unsafe { Arc::from_raw(pointer) };
        Arc::into_inner(arc).map_or(Left::Others, Left::Last)
    }
}

/// What an owner finds as it leaves.
pub(crate) enum Left<T> {
    /// Nobody ever made the value.
    NeverMade,
    /// Other owners remain.
    Others,
    /// This owner was the last.
    Last(T),
}

impl<T: Default> Default for OnceArc<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for OnceArc<T> {
    fn drop(&mut self) {
        let pointer = *self.pointer.get_mut();
        if !pointer.is_null() {
            // SAFETY: invariant 1; nobody uses the pointer after drop.
            drop(unsafe { Arc::from_raw(pointer) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn is_one_word_and_made_once() {
        assert_eq!(size_of::<OnceArc<AtomicUsize>>(), size_of::<usize>());
        let once = OnceArc::<AtomicUsize>::new();
        assert!(once.get().is_none());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| once.get_or_make().fetch_add(1, Ordering::Relaxed));
            }
        });
        assert_eq!(once.get().unwrap().load(Ordering::Relaxed), 4);
    }

    #[test]
    fn one_that_has_its_value_makes_no_other() {
        let made = OnceArc::made(AtomicUsize::new(3));
        assert_eq!(made.share().get_or_make().load(Ordering::Relaxed), 3);
    }

    #[test]
    fn only_the_last_owner_is_told_so() {
        let mut first = OnceArc::<AtomicUsize>::new();
        let mut second = first.share();
        second.get_or_make().store(7, Ordering::Relaxed);
        assert!(matches!(first.leave(), Left::Others));
        assert!(matches!(second.leave(), Left::Last(n) if n.load(Ordering::Relaxed) == 7));
        assert!(matches!(second.leave(), Left::NeverMade));
    }
}
