//! Who waits for the end of a coroutine and is on no worker: plain threads that join, and tasks of async code.
//!
//! Owns the list of them, so that whoever gives up a worker can have all of them look whether what they wait for was there.
//! Coroutines that join are not listed: a message to their worker finds them ([`Message::GivenUp`](crate::remote::Message)).
//!
//! Invariant 1: who lists itself looks after that, not before, whether what it waits for was given up; who gives up says so
//! before it wakes the listed. So one of the two sees the other.
//! Invariant 2: no code of the user's runs under the lock: a waker is cloned, woken and dropped outside of it.

use crate::fork::{self, PerProcess};
use crate::lock::Lock;
use crate::waiter::Waiter;
use slab::Slab;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

/// Those of this process.
static LISTED: PerProcess<List<Party>> = PerProcess::new();

/// Who is listed.
#[derive(Debug)]
enum Party {
    /// A plain thread that blocks.
    Thread(Waiter),
    /// A task that waits to be polled again.
    Task(Arc<Waker>),
}

/// The list, whatever is in it.
#[derive(Debug)]
struct List<P> {
    /// Each one's place, empty once it was woken.
    places: Lock<Slab<Option<P>>>,
}

impl<P> List<P> {
    fn new() -> List<P> {
        List { places: Lock::new(Slab::new()) }
    }

    fn add(&self, party: P) -> usize {
        self.places.lock().insert(Some(party))
    }

    fn remove(&self, place: usize) -> Option<P> {
        self.places.lock().remove(place)
    }

    fn has(&self, place: usize) -> bool {
        self.places.lock().get(place).is_some_and(Option::is_some)
    }

    /// Those who have not been taken yet. Their places stay theirs.
    fn take_all(&self) -> Vec<P> {
        self.places.lock().iter_mut().filter_map(|(_, party)| party.take()).collect()
    }
}

/// A place in the list, until dropped. In a child of fork(2), which has a list of its own, one in its parent's is nothing.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Which.
    place: u32,
    /// In the list of which process.
    process: u32,
}

fn list(party: Party) -> Listed {
    let place = LISTED.get(List::new).add(party);
    Listed { place: u32::try_from(place).expect("fewer than 2^32 wait"), process: fork::count() }
}

/// Lists this plain thread, whose present wait this is the waiter of.
pub(crate) fn list_thread(waiter: Waiter) -> Listed {
    list(Party::Thread(waiter))
}

/// Lists a task.
pub(crate) fn list_task(waker: Arc<Waker>) -> Listed {
    list(Party::Task(waker))
}

impl Listed {
    /// Whether it is to be woken by this still.
    pub(crate) fn is_live(&self) -> bool {
        self.list().is_some_and(|listed| listed.has(self.place as usize))
    }

    /// The list that it is in, if that is this process's.
    fn list(&self) -> Option<&'static List<Party>> {
        LISTED.present().filter(|_| self.process == fork::count())
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(listed) = self.list() {
            drop(listed.remove(self.place as usize));
        }
    }
}

/// Has everybody look again. For whoever gave up a worker, on a plain thread or in a coroutine.
pub(crate) fn wake_all() {
    let woken = LISTED.present().map(List::take_all).unwrap_or_default();
    woken.into_iter().for_each(wake);
}

fn wake(party: Party) {
    match party {
        Party::Thread(waiter) => waiter.wake(),
        Party::Task(waker) => {
            let woken = catch_unwind(AssertUnwindSafe(|| waker.wake_by_ref()));
            // As in task.rs: what a waker panics with goes no further, and a payload may panic when dropped.
            std::mem::forget(woken);
        }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_is_taken_once_and_keeps_its_place() {
        let list = List::new();
        let places = [7, 8].map(|party| list.add(party));
        assert_eq!(list.remove(places[0]), Some(7));
        let another = list.add(9);
        assert_eq!(list.take_all(), [9, 8]);
        assert!(list.take_all().is_empty() && !list.has(another));
        assert_eq!(list.remove(another), None);
        assert!(!list.has(places[1]));
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use crate::atomic::{AtomicBool, Ordering};
    use loom::sync::Notify;

    /// Invariant 1: nobody waits for what was given up.
    #[test]
    fn whoever_lists_itself_hears_of_what_is_given_up() {
        loom::model(|| {
            let shared = loom::sync::Arc::new((List::new(), AtomicBool::new(false)));
            let gives_up = loom::sync::Arc::clone(&shared);
            let gives_up = loom::thread::spawn(move || {
                gives_up.1.store(true, Ordering::Release);
                gives_up.0.take_all().into_iter().for_each(|party: loom::sync::Arc<Notify>| party.notify());
            });
            let wake = loom::sync::Arc::new(Notify::new());
            let place = shared.0.add(loom::sync::Arc::clone(&wake));
            // May return for no reason, and is then as if listed again.
            while !shared.1.load(Ordering::Acquire) {
                wake.wait();
            }
            drop(shared.0.remove(place));
            gives_up.join().unwrap();
        });
    }
}
