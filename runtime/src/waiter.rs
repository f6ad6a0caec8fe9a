//! Who waits: a coroutine or a plain OS thread. One contract for both.
//!
//! Everything that blocks, below sockets, is built from two ends. The waiting party makes a [`Wait`], leaves the
//! [`Waiter`] it gives in some queue, and parks. Whoever ends the wait takes the waiter out of the queue and wakes it.
//!
//! # The contract
//!
//! * **Where the node lives.** A waiter is a value (a counted reference and a ticket) in the primitive's own queue, on
//!   the heap. Nothing of it is on the waiting stack, so that an idle stack may be moved or copied out.
//! * **Who unlinks it.** Whoever ends the wait, under the primitive's lock, before waking. After a timeout or a
//!   cancellation the waiting party itself looks, under the same lock: if its waiter is gone, it was chosen, and what it
//!   was chosen for (a permit, a message, a lock) is its own to use or to hand on. The queue decides, never the
//!   outcome of the park.
//! * **Its life across a timeout.** The ticket of a wait that is over never matches again: each wait has a larger one.
//!   A waiter left behind is harmless and may be woken at any later time, to no effect.
//! * **How a stale wake is told from a fresh one.** By the ticket: the owner compares it with the present wait when it
//!   applies the wake. A wake that comes between `Wait::begin` and the park is kept, and the park returns at once.
//! * **Spurious returns** are allowed: callers loop.
//! * **The user's park token** (`thread::park`) shares no word with these waits; neither ends the other.
//! * **Memory order.** What happened before `wake` is seen after `park` returned `Woken`.

use crate::cancel::Point;
use crate::current;
use crate::mail::Ticket;
use crate::os_thread::{OsThread, Parked};
use crate::park;
use crate::remote::RecordRef;
use crate::slot::Event;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

/// A party that can wait.
#[derive(Debug)]
enum Party {
    /// A coroutine, on its worker.
    Coroutine(RecordRef),
    /// A plain OS thread.
    Thread(Arc<OsThread>),
}

/// One wait, as the waiting party sees it.
#[derive(Debug)]
pub(crate) struct Wait {
    /// Oneself, if a plain thread; a coroutine finds itself.
    thread: Option<Arc<OsThread>>,
    /// Which of one's waits.
    ticket: Ticket,
    /// It stays with the party it belongs to.
    own: PhantomData<*mut ()>,
}

/// One wait, as whoever ends it sees it.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// Who waits.
    party: Party,
    /// For what.
    ticket: Ticket,
}

impl Wait {
    /// Begins a wait of the calling coroutine or thread; any earlier one of its own is over.
    #[inline]
    pub(crate) fn begin() -> Wait {
        current::with_coroutine(|worker| match worker {
            Some(worker) => {
                let ticket = worker.with_running(|slot| slot.life.begin_wait());
                Wait { ticket, thread: None, own: PhantomData }
            }
            None => {
                let thread = current::os_thread();
                Wait { ticket: thread.begin_wait(), thread: Some(thread), own: PhantomData }
            }
        })
    }

    /// The other end, to be left where it will be found.
    #[inline]
    pub(crate) fn waiter(&self) -> Waiter {
        let party = match &self.thread {
            Some(thread) => Party::Thread(Arc::clone(thread)),
            None => Party::Coroutine(park::own_record()),
        };
        Waiter { party, ticket: self.ticket }
    }

    /// Blocks the coroutine or the thread until woken or until `deadline`.
    ///
    /// Throws if the coroutine is cancelled and `point` allows it; the caller cleans up in a Drop.
    #[inline(always)]
    pub(crate) fn park(&self, deadline: Option<Instant>, point: Point) -> Parked {
        match &self.thread {
            None => park::park_waiting(deadline, point),
            Some(thread) => thread.park_waiting(self.ticket, deadline),
        }
    }
}

impl Waiter {
    /// Ends the wait, from any thread; does nothing if it is over.
    pub(crate) fn wake(self) {
        match self.party {
            Party::Coroutine(record) => wake_coroutine(&record, self.ticket),
            Party::Thread(thread) => thread.wake(self.ticket),
        }
    }
}

fn wake_coroutine(record: &RecordRef, ticket: Ticket) {
    current::with_worker(|worker| match worker {
        Some(worker) if record.lives_on(worker.remote.id) => worker.deliver(record, Event::Wake(ticket)),
        _ if record.mail().post_wake(ticket) => current::push_mail(record),
        _ => {}
    });
}
