//! What one coroutine keeps in coroutine-local storage.
//!
//! Owns the values and the order in which they are dropped. Does not know who makes a value, nor on which stack it is dropped:
//! the caller runs all user code, and holds no borrow of this meanwhile.
//!
//! Each value has an allocation of its own, since references to it are out while others are added. Of a coroutine that is
//! leaked nothing is ever freed: whom it lent a value to may still use it.
//!
//! Invariant 1: a key names values of one type, in all coroutines.
//! Invariant 2: a value is `Alive` from its making on; one with something to drop is `Destroyed` from just before its drop, and
//! any other stays `Alive` until all memory is freed.
//! Invariant 3: each value that has something to drop is in `doomed` once, the last one made last.

#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::mem::{ManuallyDrop, needs_drop};
use std::ptr::NonNull;

/// The name of a key: the address of its static.
pub(crate) type Key = usize;

/// What is known of a value without its type.
struct Header {
    /// Invariant 2.
    alive: Cell<bool>,
    /// Drops the value in its place.
    drop: unsafe fn(NonNull<Header>),
    /// Frees the memory, and drops nothing.
    free: unsafe fn(NonNull<Header>),
}

/// A value and its header.
#[repr(C)]
struct Local<T> {
    /// First, so that a pointer to it is one to the whole.
    header: Header,
    /// Dropped by way of the header, or never.
    value: UnsafeCell<ManuallyDrop<T>>,
}

/// What a look for a value found.
pub(crate) enum Found<T> {
    /// It is here until it is destroyed.
    Alive(NonNull<T>),
    /// It was never made.
    Absent,
    /// It is being dropped, or was.
    Destroyed,
}

/// See the heading.
#[derive(Default)]
pub(crate) struct Locals {
    /// All values, by key.
    values: Vec<(Key, NonNull<Header>)>,
    /// Invariant 3.
    doomed: Vec<NonNull<Header>>,
}

/// A value to be dropped now.
pub(crate) struct Doomed(NonNull<Header>);

impl Locals {
    /// Looks for the value of `key`.
    ///
    /// # Safety
    ///
    /// `key` is one of values of type `T` (invariant 1).
    #[inline]
    pub(crate) unsafe fn find<T>(&self, key: Key) -> Found<T> {
        let Ok(place) = self.place(key) else {
            return Found::Absent;
        };
        let header = self.values[place].1;
        // SAFETY: the values here are not freed yet.
        if !unsafe { header.as_ref() }.alive.get() {
            return Found::Destroyed;
        }
        // SAFETY: the caller's word.
        Found::Alive(unsafe { value(header) })
    }

    #[inline]
    fn place(&self, key: Key) -> Result<usize, usize> {
        self.values.binary_search_by_key(&key, |(key, _)| *key)
    }

    /// Keeps a value that was made just now; gives that which an initialiser that looked for its own value made meanwhile.
    ///
    /// # Safety
    ///
    /// As [`Locals::find`], which did not find it `Destroyed`; no reference to an earlier value is left.
    pub(crate) unsafe fn put<T>(&mut self, key: Key, new: T) -> (NonNull<T>, Option<T>) {
        match self.place(key) {
            Ok(place) => {
                // SAFETY: the caller's word.
                let old = unsafe { value::<T>(self.values[place].1) };
                // SAFETY: alive, and referred to by nobody, by the caller's word.
                (old, Some(unsafe { old.replace(new) }))
            }
            Err(place) => {
                let header = Local::boxed(new);
                self.values.insert(place, (key, header));
                if needs_drop::<T>() {
                    self.doomed.push(header);
                }
                // SAFETY: made of this type.
                (unsafe { value(header) }, None)
            }
        }
    }

    /// The value to be dropped next; from now on it is `Destroyed`.
    pub(crate) fn doom(&mut self) -> Option<Doomed> {
        let header = self.doomed.pop()?;
        // SAFETY: not freed yet.
        unsafe { header.as_ref() }.alive.set(false);
        Some(Doomed(header))
    }

    /// Frees all memory, once nothing is left to be dropped.
    ///
    /// # Safety
    ///
    /// No reference to a value is left.
    pub(crate) unsafe fn free(self) {
        debug_assert!(self.doomed.is_empty());
        for (_, header) in self.values {
            // SAFETY: not freed yet.
            let free = unsafe { header.as_ref() }.free;
            // SAFETY: it is that of this value, and nobody refers to it any more, by the caller's word.
            unsafe { free(header) };
        }
    }
}

impl Doomed {
    /// Drops the value.
    ///
    /// # Safety
    ///
    /// No reference to it is left, and the `Locals` it came from is not freed yet.
    pub(crate) unsafe fn drop(self) {
        // SAFETY: not freed yet, by the caller's word.
        let drop = unsafe { self.0.as_ref() }.drop;
        // SAFETY: it is that of this value; once, by invariant 3.
        unsafe { drop(self.0) };
    }
}

impl<T> Local<T> {
    fn boxed(value: T) -> NonNull<Header> {
        let header = Header { alive: Cell::new(true), drop: drop_value::<T>, free: free_value::<T> };
        let local = Box::new(Local { header, value: UnsafeCell::new(ManuallyDrop::new(value)) });
        NonNull::from(Box::leak(local)).cast()
    }
}

/// Where the value behind a header is.
///
/// # Safety
///
/// The header is that of a `Local<T>`, not freed yet.
unsafe fn value<T>(header: NonNull<Header>) -> NonNull<T> {
    let local = header.cast::<Local<T>>().as_ptr();
    // SAFETY: the place of a field.
    let cell = unsafe { &raw mut (*local).value };
    // SAFETY: a field of an allocation is not at null.
    unsafe { NonNull::new_unchecked(cell.cast()) }
}

/// # Safety
///
/// As [`value`]; nobody refers to the value, and this is called once.
unsafe fn drop_value<T>(header: NonNull<Header>) {
    // SAFETY: the caller's word.
    let value = unsafe { value::<T>(header) };
    // SAFETY: as above.
    unsafe { value.drop_in_place() };
}

/// # Safety
///
/// As [`value`]; nobody refers to the value, and this is the end of it.
unsafe fn free_value<T>(header: NonNull<Header>) {
    // SAFETY: it came out of a box of this type. The value in it is not dropped with it.
    drop(unsafe { Box::from_raw(header.cast::<Local<T>>().as_ptr()) });
}

impl std::fmt::Debug for Locals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locals").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use std::rc::Rc;

    /// Puts and finds values of one type only, so that any key is one of theirs.
    fn put(locals: &mut Locals, key: Key, value: Rc<u32>) -> Option<Rc<u32>> {
        // SAFETY: no reference is left from one call to the next.
        unsafe { locals.put(key, value) }.1
    }

    fn find(locals: &Locals, key: Key) -> Result<u32, &'static str> {
        // SAFETY: as above.
        match unsafe { locals.find::<Rc<u32>>(key) } {
            // SAFETY: not freed yet.
            Found::Alive(value) => Ok(**unsafe { value.as_ref() }),
            Found::Absent => Err("absent"),
            Found::Destroyed => Err("destroyed"),
        }
    }

    #[test]
    fn values_are_found_by_their_keys() {
        let mut locals = Locals::default();
        let values: Vec<_> = (0..50).map(Rc::new).collect();
        values
            .iter()
            .for_each(|value| assert!(put(&mut locals, (**value as usize * 37) % 50, value.clone()).is_none()));
        assert!((0..50).all(|n| find(&locals, n as usize * 37 % 50) == Ok(n)));
        assert_eq!(find(&locals, 50), Err("absent"));
        while let Some(doomed) = locals.doom() {
            // SAFETY: no reference is left.
            unsafe { doomed.drop() };
        }
        // SAFETY: as above.
        unsafe { locals.free() };
        assert!(values.iter().all(|value| Rc::strong_count(value) == 1));
    }

    #[test]
    fn the_last_made_is_dropped_first_and_found_destroyed() {
        let mut locals = Locals::default();
        let values: Vec<_> = (0..3).map(Rc::new).collect();
        [2, 0, 1].iter().for_each(|n| drop(put(&mut locals, *n, values[*n].clone())));
        for last in [1, 0, 2] {
            let doomed = locals.doom().unwrap();
            assert_eq!(find(&locals, last), Err("destroyed"));
            // SAFETY: no reference is left.
            unsafe { doomed.drop() };
            assert_eq!(Rc::strong_count(&values[last]), 1);
        }
        assert!(locals.doom().is_none());
        // SAFETY: as above.
        unsafe { locals.free() };
    }

    #[test]
    fn a_value_put_twice_is_replaced_and_dropped_once() {
        let mut locals = Locals::default();
        let (first, second) = (Rc::new(1), Rc::new(2));
        assert!(put(&mut locals, 8, first.clone()).is_none());
        assert_eq!(put(&mut locals, 8, second.clone()), Some(first));
        // SAFETY: no reference is left.
        unsafe { locals.doom().unwrap().drop() };
        assert!(locals.doom().is_none() && Rc::strong_count(&second) == 1);
        // SAFETY: as above.
        unsafe { locals.free() };
    }

    #[test]
    fn what_has_nothing_to_drop_stays_alive() {
        let mut locals = Locals::default();
        // SAFETY: the only type here.
        unsafe { locals.put(3, 7u64) };
        assert!(locals.doom().is_none());
        // SAFETY: as above.
        assert!(matches!(unsafe { locals.find::<u64>(3) }, Found::Alive(_)));
        // SAFETY: no reference is left.
        unsafe { locals.free() };
    }
}
