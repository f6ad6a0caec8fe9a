//! One socket object's registrations with the pollers of the workers that use it.
//!
//! Owns the list of registrations, which the socket object and the pollers share. Does not know what the descriptor
//! is. A registration belongs to the socket object, never to an fd-indexed table.
//!
//! Invariant 1: the list says which pollers know the descriptor; it and they change together under the list's lock,
//! except that a close empties the list first and tells the pollers after.
//! Invariant 2: if `home` names worker W, W has a registration, and only W removes it: so W may use it without a lock.
//! Invariant 3: a stream has one home. Others keep a registration only while somebody waits there.

#![allow(unsafe_code)]

use crate::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::lock::Lock;
use crate::remote::{Remote, SourceId};
use std::sync::Arc;

/// How a source is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Both directions, edge-triggered, registered once.
    Stream,
    /// Readable, level-triggered, exclusive, registered while somebody waits.
    Acceptor,
}

/// One worker's registration.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The worker whose poller knows the descriptor.
    pub(crate) worker: Arc<Remote>,
    /// Where, in that poller.
    pub(crate) id: SourceId,
}

/// The registrations of one socket object.
#[derive(Debug)]
pub(crate) struct Registrations {
    /// `worker id << 32 | index` of the home; 0 for none (worker ids start at 1).
    home: AtomicU64,
    /// All of them; nearly always one.
    list: Lock<List>,
}

/// One registration in place, more on the heap.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// The first one.
    first: Option<Registration>,
    /// The others. A box of a vector is one word, and hardly any source has one.
    #[allow(clippy::box_collection)]
    more: Option<Box<Vec<Registration>>>,
}

impl List {
    pub(crate) fn add(&mut self, registration: Registration) {
        if self.first.is_none() {
            self.first = Some(registration);
        } else {
            self.more.get_or_insert_default().push(registration);
        }
    }

    pub(crate) fn find(&self, worker: &Remote) -> Option<SourceId> {
        self.iter().find(|own| own.worker.id == worker.id).map(|own| own.id)
    }

    /// Removes the worker's registration, if there is one.
    pub(crate) fn remove(&mut self, worker: &Remote) {
        if self.first.as_ref().is_some_and(|first| first.worker.id == worker.id) {
            self.first = self.more.as_mut().and_then(|more| more.pop());
        } else if let Some(more) = &mut self.more {
            more.retain(|other| other.worker.id != worker.id);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.first.iter().chain(self.more.iter().flat_map(|more| more.iter()))
    }
}

impl Registrations {
    fn new() -> Registrations {
        Registrations { home: AtomicU64::new(0), list: Lock::new(List::default()) }
    }

    /// The index of `worker`'s registration, if `worker` is the home.
    #[inline]
    pub(crate) fn index_at_home(&self, worker: &Remote) -> Option<u32> {
        // ORDERING: Relaxed; a worker finds its own id only if it stored it itself (invariant 2).
        let home = self.home.load(Ordering::Relaxed);
        (home >> 32 == u64::from(worker.id)).then_some(home as u32)
    }

    /// Names the home; only `worker` itself calls this, holding the list's lock. Gives the previous home's id.
    pub(crate) fn settle(&self, worker: &Remote, id: SourceId) -> u32 {
        let home = u64::from(worker.id) << 32 | u64::from(id.index);
        // ORDERING: Relaxed; see `index_at_home`. Other workers decide under the lock.
        let before = self.home.load(Ordering::Relaxed);
        // ORDERING: Relaxed; as above.
        self.home.store(home, Ordering::Relaxed);
        (before >> 32) as u32
    }

    /// The list, to be changed together with a poller.
    pub(crate) fn lock(&self) -> crate::lock::Guard<'_, List> {
        self.list.lock()
    }
}

/// A pointer to registrations that are allocated at the first park, so that a socket that never parks costs nothing.
pub(crate) struct LazyRegistrations {
    /// Null, or an `Arc` turned raw that this value owns.
    shared: AtomicPtr<Registrations>,
}

impl LazyRegistrations {
    #[cfg(not(dormouse_loom))]
    pub(crate) const fn new() -> LazyRegistrations {
        LazyRegistrations { shared: AtomicPtr::new(std::ptr::null_mut()) }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&Registrations> {
        // ORDERING: Acquire; pairs with the Release exchange in `get_or_init`.
        let shared = self.shared.load(Ordering::Acquire);
        // SAFETY: null, or a pointer that this value keeps alive for as long as it is borrowed.
        unsafe { shared.as_ref() }
    }

    /// A counted reference, allocated if this is the first use.
    pub(crate) fn get_or_init(&self) -> Arc<Registrations> {
        if self.get().is_none() {
            let fresh = Arc::into_raw(Arc::new(Registrations::new())).cast_mut();
            let null = std::ptr::null_mut();
            // ORDERING: Release publishes the new value to `get`'s Acquire; a failure is followed by `get`'s load.
            if self.shared.compare_exchange(null, fresh, Ordering::Release, Ordering::Relaxed).is_err() {
                // SAFETY: made by `into_raw` above, and not published.
                drop(unsafe { Arc::from_raw(fresh) });
            }
        }
        // ORDERING: Acquire; as in `get`.
        let shared = self.shared.load(Ordering::Acquire);
        // SAFETY: not null any more; the pointer came from `Arc::into_raw` and this value owns one count of it.
        unsafe { Arc::increment_strong_count(shared) };
        // SAFETY: takes the count added above.
        unsafe { Arc::from_raw(shared) }
    }

    /// Takes the reference out, leaving a value that is as new.
    pub(crate) fn take(&mut self) -> Option<Arc<Registrations>> {
        // ORDERING: Relaxed; `&mut self`, so no other thread is there. Whoever sent us `self` published it.
        let shared = self.shared.swap(std::ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the pointer came from `Arc::into_raw`, and its count was this value's.
        (!shared.is_null()).then(|| unsafe { Arc::from_raw(shared) })
    }
}

impl Drop for LazyRegistrations {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl std::fmt::Debug for LazyRegistrations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}
