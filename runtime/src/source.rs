//! One socket object's registrations with the pollers of the workers that use it.
//!
//! Owns the list of registrations, which the socket object and the pollers share. Does not know what the descriptor
//! is. A registration belongs to the socket object, never to an fd-indexed table.
//!
//! Invariant 1: the list says which pollers know the descriptor; it and they change together under the list's lock,
//! except that a close empties the list first and tells the pollers after.
//! Invariant 2: if `home` names worker W, W has a registration, and while the socket object lives only W removes it: so
//! W may use it without a lock.
//! Invariant 3: a stream has one home. Others keep a registration only while somebody waits there.
//! Invariant 4: only the process that made a list locks it: in a child of fork(2) the lock may be held for ever. Whoever registers
//! there makes another one for the object (`of`). So who is listed is of the process that made the list.
//!
//! Nearly every socket is used on one worker for its whole life, so its one registration is the word `home` and nothing
//! else: 40 bytes a connection with the counts.

use crate::atomic::{AtomicU64, Ordering};
use crate::fork;
use crate::lock::{Guard, Lock};
use crate::once_arc::OnceArc;
use crate::remote::{Remote, SourceId, WorkerId};
use std::sync::Arc;

/// How a source is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Read and written, edge-triggered, registered from the first wait on.
    Stream,
    /// Readable, level-triggered, exclusive, registered while somebody waits.
    Acceptor,
}

/// One worker's registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The worker whose poller knows the descriptor.
    pub(crate) worker: WorkerId,
    /// Where, in that poller.
    pub(crate) id: SourceId,
}

impl Registration {
    /// Not zero, since worker ids start at 1.
    fn pack(self) -> u64 {
        u64::from(self.worker.number()) << 32 | u64::from(self.id.to_bits())
    }

    /// No registration, in this process.
    fn none() -> u64 {
        u64::from(fork::count())
    }

    fn unpack(word: u64) -> Option<Registration> {
        let worker = WorkerId::from_number((word >> 32) as u32)?;
        Some(Registration { worker, id: SourceId::from_bits(word as u32) })
    }
}

/// A box of a vector is one word, and hardly any source has one.
#[allow(clippy::box_collection)]
type Others = Option<Box<Vec<Registration>>>;

/// The registrations of one socket object.
#[derive(Debug)]
pub(crate) struct Registrations {
    /// The home's registration, packed, or that there is none in which process. Written under the lock.
    home: AtomicU64,
    /// All others.
    others: Lock<Others>,
}

impl Registrations {
    pub(crate) fn new() -> Registrations {
        Registrations { home: AtomicU64::new(Registration::none()), others: Lock::new(None) }
    }

    /// This process's for a socket object, made if there are none.
    pub(crate) fn of(object: &OnceArc<Registrations>) -> Arc<Registrations> {
        match object.get() {
            None => object.set(Arc::new(Registrations::new())),
            Some(inherited) if inherited.are_inherited() => {
                object.supersede(inherited, Arc::new(Registrations::new()));
            }
            Some(_) => {}
        }
        object.share().expect("it was set above")
    }

    /// The registration of `worker`, if it is the home.
    #[inline]
    pub(crate) fn at_home(&self, worker: &Remote) -> Option<SourceId> {
        // ORDERING: Relaxed; a worker finds its own id only if it stored it itself (invariant 2).
        let home = Registration::unpack(self.home.load(Ordering::Relaxed))?;
        (home.worker == worker.id).then_some(home.id)
    }

    /// Whether they are those of a process that this one descends from (invariant 4).
    pub(crate) fn are_inherited(&self) -> bool {
        // ORDERING: Relaxed; of which process it tells does not change.
        let home = self.home.load(Ordering::Relaxed);
        Registration::unpack(home).map_or(home != Registration::none(), |home| home.worker.is_inherited())
    }

    /// Unless they are inherited: the list, to be read and changed together with a poller.
    pub(crate) fn lock(&self) -> List<'_> {
        List { home: &self.home, others: self.others.lock() }
    }
}

/// The list of registrations, locked.
pub(crate) struct List<'a> {
    /// The home's word.
    home: &'a AtomicU64,
    /// The others.
    others: Guard<'a, Others>,
}

impl List<'_> {
    /// The home's registration.
    fn home(&self) -> Option<Registration> {
        // ORDERING: Relaxed; written under the lock that is held.
        Registration::unpack(self.home.load(Ordering::Relaxed))
    }

    fn set_home(&self, home: Option<Registration>) {
        // ORDERING: Relaxed; others read it under the lock, and only the worker it names without.
        self.home.store(home.map_or_else(Registration::none, Registration::pack), Ordering::Relaxed);
    }

    /// Makes `registration` the home; gives the one that was. Only the worker it names calls this.
    pub(crate) fn settle(&mut self, registration: Registration) -> Option<Registration> {
        let before = self.home().filter(|before| before.worker != registration.worker);
        self.remove(registration.worker);
        if let Some(before) = before {
            self.others.get_or_insert_default().push(before);
        }
        self.set_home(Some(registration));
        before
    }

    /// The worker's registration.
    pub(crate) fn find(&self, worker: WorkerId) -> Option<SourceId> {
        self.iter().find(|own| own.worker == worker).map(|own| own.id)
    }

    /// Removes the worker's registration, if there is one.
    pub(crate) fn remove(&mut self, worker: WorkerId) {
        if self.home().is_some_and(|home| home.worker == worker) {
            self.set_home(None);
        }
        if let Some(others) = &mut *self.others {
            others.retain(|other| other.worker != worker);
        }
    }

    /// Removes and gives all.
    pub(crate) fn clear(&mut self) -> Vec<Registration> {
        let all = self.iter().collect();
        self.set_home(None);
        *self.others = None;
        all
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Registration> {
        self.home().into_iter().chain(self.others.iter().flat_map(|others| others.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(worker: u32, index: usize) -> Registration {
        Registration { worker: WorkerId::from_number(worker).unwrap(), id: SourceId::new(index, 7) }
    }

    #[test]
    fn a_registration_fits_a_word_and_comes_back() {
        for (worker, index) in [(1, 0), (u32::MAX, SourceId::LAST_INDEX)] {
            let registration = registration(worker, index);
            assert_eq!(Registration::unpack(registration.pack()), Some(registration));
        }
        assert_eq!(Registration::unpack(0), None);
    }

    #[test]
    fn the_last_to_settle_is_the_home_and_nobody_is_listed_twice() {
        let registrations = Registrations::new();
        let (a, b) = (registration(1, 5), registration(2, 6));
        let mut list = registrations.lock();
        assert_eq!(list.settle(a), None);
        assert_eq!(list.settle(a), None);
        assert_eq!(list.settle(b), Some(a));
        assert_eq!(list.iter().collect::<Vec<_>>(), [b, a]);
        assert_eq!(list.settle(a), Some(b));
        assert_eq!(list.iter().collect::<Vec<_>>(), [a, b]);
        list.remove(b.worker);
        assert_eq!((list.find(a.worker), list.find(b.worker)), (Some(a.id), None));
        assert_eq!(list.clear(), [a]);
        assert_eq!(list.iter().count(), 0);
    }

    #[test]
    fn a_connection_pays_24_bytes() {
        assert_eq!(size_of::<Registrations>(), 24);
    }
}
