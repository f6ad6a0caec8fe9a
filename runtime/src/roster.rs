//! Who is, or was last, in each slot of a worker: for other threads, and for after the end.
//!
//! Owns where each coroutine was spawned, what it is called, and which slot runs. A record tells the same, but only its
//! holders know that it still exists; here a coroutine that never yields can be named by another thread, and one that ended
//! a moment ago by its own worker. Kept from start to start: nothing is done at an end, and a resume stores only which slot
//! runs, as it must anyway.
//!
//! Invariant 1: only the owner, the worker's thread, writes. `entries` grows under the lock of `names`, and whoever is not
//! the owner reads it under that lock.
//! Invariant 2: an entry is null or the address of a location, which lives for ever; its low bit, clear in every address of
//! a location, says that there is a name under that index in `names`.

#![allow(unsafe_code)]

use crate::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::lock::Lock;
use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::ptr::null_mut;

/// No coroutine runs.
pub(crate) const NOT_RUNNING: u32 = u32::MAX;

/// Where a coroutine was spawned.
pub(crate) type Place = &'static Location<'static>;

const _: () = assert!(align_of::<Location<'static>>() > 1);

/// What a coroutine is called in messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    /// Given by the user.
    pub(crate) name: Option<Box<str>>,
    /// Where `spawn` was called.
    pub(crate) spawned_at: Place,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("<unnamed>");
        write!(f, "coroutine '{name}', spawned at {}", self.spawned_at)
    }
}

/// A location and whether there is a name (invariant 2).
#[derive(Clone, Copy)]
struct Entry(*mut Location<'static>);

impl Entry {
    fn new(spawned_at: Place, named: bool) -> Entry {
        let address = std::ptr::from_ref(spawned_at).cast_mut();
        Entry(address.map_addr(|address| address | usize::from(named)))
    }

    fn is_named(self) -> bool {
        self.0.addr() & 1 == 1
    }

    fn spawned_at(self) -> Option<Place> {
        let address = self.0.map_addr(|address| address & !1);
        // SAFETY: invariant 2.
        unsafe { address.as_ref() }
    }
}

/// The roster of one worker.
pub(crate) struct Roster {
    /// An entry for each slot there has been (invariants 1 and 2).
    entries: UnsafeCell<Vec<AtomicPtr<Location<'static>>>>,
    /// The names of those who have one.
    names: Lock<BTreeMap<u32, Box<str>>>,
}

// SAFETY: the cell is used as invariant 1 says.
unsafe impl Sync for Roster {}

impl Roster {
    pub(crate) fn new() -> Roster {
        Roster { entries: UnsafeCell::new(Vec::new()), names: Lock::new(BTreeMap::new()) }
    }

    /// Owner only: a coroutine begins in this slot. Gives where the one before it was spawned.
    ///
    /// # Safety
    ///
    /// The caller is the worker's own thread.
    #[inline]
    pub(crate) unsafe fn enter(&self, index: u32, spawned_at: Place, name: Option<&str>) -> Option<Place> {
        // SAFETY: invariant 1: the owner reads.
        let entries = unsafe { &*self.entries.get() };
        let Some(entry) = entries.get(index as usize) else {
            // SAFETY: the caller's word.
            unsafe { self.grow(index) };
            // SAFETY: as above; there is an entry now.
            return unsafe { self.enter(index, spawned_at, name) };
        };
        // ORDERING: Relaxed; the owner reads its own store below.
        let before = Entry(entry.load(Ordering::Relaxed));
        if name.is_some() || before.is_named() {
            self.rename(index, name);
        }
        // ORDERING: Relaxed; what it points to is never written. Others read it in `who`.
        entry.store(Entry::new(spawned_at, name.is_some()).0, Ordering::Relaxed);
        before.spawned_at()
    }

    #[cold]
    fn rename(&self, index: u32, name: Option<&str>) {
        let name = name.map(Box::from);
        let mut names = self.names.lock();
        let before = match name {
            Some(name) => names.insert(index, name),
            None => names.remove(&index),
        };
        drop(names);
        drop(before);
    }

    /// # Safety
    ///
    /// As [`Roster::enter`].
    #[cold]
    unsafe fn grow(&self, index: u32) {
        let locked = self.names.lock();
        // SAFETY: invariant 1: the owner, under the lock, and no other reference of the owner's is in use.
        let entries = unsafe { &mut *self.entries.get() };
        let length = (index as usize + 1).next_power_of_two().max(64);
        entries.resize_with(length, || AtomicPtr::new(null_mut()));
        drop(locked);
    }

    /// Who is in this slot, or was last, or is about to be.
    pub(crate) fn who(&self, index: u32) -> Option<Identity> {
        let names = self.names.lock();
        // SAFETY: invariant 1: under the lock.
        let entries = unsafe { &*self.entries.get() };
        // ORDERING: Relaxed; the store in `enter` may be a moment away, and so may the name.
        let entry = Entry(entries.get(index as usize)?.load(Ordering::Relaxed));
        let name = names.get(&index).filter(|_| entry.is_named()).cloned();
        Some(Identity { name, spawned_at: entry.spawned_at()? })
    }
}

/// The slot that runs, written at every resume. Its owner uses it like a `Cell`; others may read it at any time.
pub(crate) struct RunningSlot(AtomicU32);

impl RunningSlot {
    pub(crate) fn new() -> RunningSlot {
        RunningSlot(AtomicU32::new(NOT_RUNNING))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> u32 {
        // ORDERING: Relaxed; the owner reads its own store in `set`, and others want a hint.
        self.0.load(Ordering::Relaxed)
    }

    /// Owner only.
    #[inline(always)]
    pub(crate) fn set(&self, index: u32) {
        // ORDERING: Relaxed; nothing is published by it. Others read it in `get`.
        self.0.store(index, Ordering::Relaxed);
    }
}

/// What others can be shown of a worker.
#[derive(Clone, Copy)]
struct View(*const RunningSlot, *const Roster);

/// Where a worker shows what it runs, while it does.
pub(crate) struct Shown(Lock<Option<View>>);

// SAFETY: the pointers are read and written under the lock, and what they point to is `Sync`.
unsafe impl Send for Shown {}
// SAFETY: as above.
unsafe impl Sync for Shown {}

impl Shown {
    pub(crate) fn new() -> Shown {
        Shown(Lock::new(None))
    }

    /// Shows both until the value given is dropped.
    pub(crate) fn show<'a>(&'a self, running: &'a RunningSlot, roster: &'a Roster) -> Showing<'a> {
        *self.0.lock() = Some(View(running, roster));
        Showing { shown: self, _view: (running, roster) }
    }

    /// Who runs, as far as another thread can tell: it may be over by the time this is read.
    pub(crate) fn who_runs(&self) -> Option<Identity> {
        let shown = self.0.lock();
        let View(running, roster) = (*shown)?;
        // SAFETY: shown, so borrowed until `Showing` is dropped, which waits for this lock.
        let index = unsafe { &*running }.get();
        // SAFETY: as above.
        let roster = unsafe { &*roster };
        if index == NOT_RUNNING { None } else { roster.who(index) }
    }
}

/// The time for which a worker is shown.
pub(crate) struct Showing<'a> {
    /// Where.
    shown: &'a Shown,
    /// What: borrowed for as long.
    _view: (&'a RunningSlot, &'a Roster),
}

impl Drop for Showing<'_> {
    fn drop(&mut self) {
        *self.shown.0.lock() = None;
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    fn here() -> Place {
        Location::caller()
    }

    /// A start on this thread, which is the owner's.
    fn enter(roster: &Roster, index: u32, place: Place, name: Option<&str>) -> Option<Place> {
        // SAFETY: no other thread calls it.
        unsafe { roster.enter(index, place, name) }
    }

    #[test]
    fn each_start_says_whom_it_follows() {
        let (roster, first, second) = (Roster::new(), here(), here());
        assert_eq!(roster.who(3), None);
        assert_eq!(enter(&roster, 3, first, Some("a")), None);
        assert_eq!(roster.who(3).unwrap().to_string(), format!("coroutine 'a', spawned at {first}"));
        assert_eq!(enter(&roster, 3, second, None), Some(first));
        assert_eq!(roster.who(3), Some(Identity { name: None, spawned_at: second }));
        assert!(roster.names.lock().is_empty());
        assert_eq!(enter(&roster, 200, first, None), None);
        assert_eq!(roster.who(3).unwrap().spawned_at, second);
    }

    #[test]
    fn another_thread_sees_who_runs_while_it_is_shown() {
        let (running, roster, shown) = (RunningSlot::new(), Roster::new(), Shown::new());
        enter(&roster, 0, here(), Some("busy"));
        let seen = || std::thread::scope(|scope| scope.spawn(|| shown.who_runs()).join().unwrap());
        assert_eq!(seen(), None);
        let showing = shown.show(&running, &roster);
        assert_eq!(seen(), None);
        running.set(0);
        assert_eq!(seen().unwrap().name.as_deref(), Some("busy"));
        drop(showing);
        assert_eq!(seen(), None);
    }

    /// Growth moves the entries while others read them; run under a sanitizer or Miri it fails without the lock.
    #[test]
    fn it_grows_while_others_read() {
        let (roster, place) = (Roster::new(), here());
        let slots = if cfg!(miri) { 300 } else { 4096 };
        std::thread::scope(|scope| {
            let reads = scope.spawn(|| {
                (0..5 * slots).for_each(|n| assert!(roster.who(n % slots).is_none_or(|who| who.spawned_at == place)));
            });
            for index in 0..slots {
                enter(&roster, index, place, (index % 7 == 0).then_some("seventh"));
            }
            reads.join().unwrap();
        });
    }
}
