//! The table of slots: one for each started coroutine of a worker.
//!
//! Owns the places and which of them are free. A `Slab` does the same, but moves a slot in and out: what is then read in
//! larger pieces than it was written in waits for the cache, a tenth of a spawn. Here each field is written once, where it
//! stays, and only what is needed at the end is read.
//!
//! Freed places are reused, so an index alone names a coroutine only while it is known to live; what comes from elsewhere is
//! checked against the record, or against the ticket of the wait that it ends.
//!
//! Invariant 1: the free places are linked from `free` on, each once; the last names one past the end.

#![allow(unsafe_code)]

use crate::coroutine::Coroutine;
use crate::prefetch::prefetch;
use crate::readiness::{Link, Links};
use crate::remote::{Leftover, RecordRef};
use crate::slot::Slot;
use std::ops::{Index, IndexMut};

/// One place.
enum Place {
    /// Nobody's; the next free one.
    Free(u32),
    /// A coroutine's.
    Live(Slot),
}

/// All slots of one worker.
#[derive(Default)]
pub(crate) struct Slots {
    /// The places.
    places: Vec<Place>,
    /// The free place to be used next; `places.len()` if there is none.
    free: u32,
    /// How many are live.
    live: usize,
}

impl Slots {
    /// Puts the slot that `make` gives for its index where it stays.
    #[inline(always)]
    pub(crate) fn insert(&mut self, make: impl FnOnce(u32) -> Slot) -> (u32, &mut Slot) {
        let index = self.free;
        if index as usize == self.places.len() {
            self.grow();
        }
        let place = &mut self.places[index as usize];
        let Place::Free(next) = *place else { taken(index) };
        // SAFETY: a reference may be written to; what was there has nothing to drop.
        unsafe { std::ptr::write(place, Place::Live(make(index))) };
        self.free = next;
        self.live += 1;
        match place {
            Place::Live(slot) => (index, slot),
            Place::Free(_) => vacant(index),
        }
    }

    /// One more free place.
    #[cold]
    fn grow(&mut self) {
        let next = u32::try_from(self.places.len() + 1).expect("fewer than 2^32 coroutines fit in memory");
        self.places.push(Place::Free(next));
    }

    /// Ends a live slot; gives what is left of it.
    #[inline(always)]
    pub(crate) fn remove(&mut self, index: u32) -> (Coroutine<Leftover>, RecordRef) {
        let place = &mut self.places[index as usize];
        let Place::Live(live) = place else { vacant(index) };
        // SAFETY: the place is overwritten below without a drop, so this moves the field out.
        let coroutine = unsafe { std::ptr::read(&live.coroutine) };
        // SAFETY: as above.
        let record = unsafe { std::ptr::read(&live.record) };
        // SAFETY: a reference may be written to; nothing else in a slot has anything to drop.
        unsafe { std::ptr::write(place, Place::Free(self.free)) };
        self.free = index;
        self.live -= 1;
        (coroutine, record)
    }

    /// The slot of `record`, unless that coroutine is done.
    pub(crate) fn find(&mut self, record: &RecordRef) -> Option<(u32, &mut Slot)> {
        let index = record.slot();
        match self.places.get_mut(index as usize)? {
            Place::Live(slot) if slot.record.id == record.id => Some((index, slot)),
            Place::Live(_) | Place::Free(_) => None,
        }
    }

    /// The slot at `index`, if it is live.
    pub(crate) fn get(&self, index: u32) -> Option<&Slot> {
        match self.places.get(index as usize)? {
            Place::Live(slot) => Some(slot),
            Place::Free(_) => None,
        }
    }

    /// As [`Slots::get`], to change it.
    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        match self.places.get_mut(index as usize)? {
            Place::Live(slot) => Some(slot),
            Place::Free(_) => None,
        }
    }

    /// Has the cache fetch the slot at `index`, without touching it.
    #[inline]
    pub(crate) fn prefetch(&self, index: u32) {
        let address = self.places.as_ptr().addr() + index as usize * size_of::<Place>();
        prefetch(address, size_of::<Place>());
    }

    /// How many are live.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Whether none is.
    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The indexes in use.
    pub(crate) fn indexes(&self) -> Vec<u32> {
        (0..self.places.len() as u32).filter(|index| self.get(*index).is_some()).collect()
    }

    /// Takes out every slot.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Slot> {
        (self.free, self.live) = (0, 0);
        std::mem::take(&mut self.places).into_iter().filter_map(|place| match place {
            Place::Live(slot) => Some(slot),
            Place::Free(_) => None,
        })
    }
}

#[cold]
fn taken(index: u32) -> ! {
    panic!("there is a coroutine at {index}")
}

#[cold]
fn vacant(index: u32) -> ! {
    panic!("no coroutine at {index}")
}

impl Index<u32> for Slots {
    type Output = Slot;

    #[inline]
    fn index(&self, index: u32) -> &Slot {
        match &self.places[index as usize] {
            Place::Live(slot) => slot,
            Place::Free(_) => vacant(index),
        }
    }
}

impl IndexMut<u32> for Slots {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Slot {
        match &mut self.places[index as usize] {
            Place::Live(slot) => slot,
            Place::Free(_) => vacant(index),
        }
    }
}

impl Links for Slots {
    fn link(&mut self, slot: u32) -> &mut Link {
        &mut self[slot].link
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_no_larger_than_a_slot() {
        assert_eq!(size_of::<Place>(), size_of::<Slot>());
    }

    #[test]
    fn an_empty_table_names_its_first_place() {
        let mut slots = Slots::default();
        assert_eq!((slots.free, slots.len(), slots.is_empty()), (0, 0, true));
        slots.grow();
        assert!(slots.get(0).is_none() && slots.get(1).is_none() && slots.indexes().is_empty());
    }
}
