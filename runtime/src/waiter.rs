//! Who waits: a coroutine or a plain OS thread. One contract for both.
//!
//! Everything that blocks, below sockets, is built from two ends. The waiting party makes a [`Wait`], leaves the
//! [`Waiter`] it gives in some queue, and parks. Whoever ends the wait takes the waiter out of the queue and wakes it.
//!
//! # The contract
//!
//! * **Where the node lives.** A waiter is a value (a name and a ticket) in the primitive's own queue, on the heap. Nothing
//!   of it is on the waiting stack, so that an idle stack may be moved or copied out. It keeps no coroutine alive: it names
//!   a slot, and a slot that has gone to another, or whose worker has ended, is told by the ticket.
//! * **Who unlinks it.** Whoever ends the wait, under the primitive's lock, before waking. After a timeout or a
//!   cancellation the waiting party itself looks, under the same lock: if its waiter is gone, it was chosen, and what it
//!   was chosen for (a permit, a message, a lock) is its own to use or to hand on. The queue decides, never the
//!   outcome of the park.
//! * **Its life across a timeout.** The ticket of a wait that is over never matches again: each wait has a larger one.
//!   A waiter left behind is harmless and may be woken at any later time, to no effect.
//! * **How a stale wake is told from a fresh one.** By the ticket: the owner compares it with the present wait when it
//!   applies the wake. A wake that comes between `Wait::begin` and the park is kept, and the park returns at once.
//! * **Spurious returns** are allowed: callers loop.
//! * **Who never comes back.** A coroutine that a runtime leaks at its end, since it did not end within the shutdown timeout,
//!   unlinks nothing. If the primitive outlives that runtime, the waiter keeps its place, and may be chosen. Whoever chooses
//!   it learns from [`Waiter::wake_chosen`] that nobody is there, and takes back what it was chosen for, for the next. An
//!   ending worker answers so from one moment on; whom it was told of before has one more turn to come in
//!   (`worker/stop.rs`). So each wake either is heard or is known not to be. What a leaked coroutine holds, it holds for
//!   ever; and the coroutines of a worker whose thread never gets out of one of them are not leaked, but late.
//! * **What a waiter costs.** Woken from another thread, one message: it is woken once, since `wake` consumes it.
//! * **The user's park token** (`thread::park`) shares no word with these waits; neither ends the other.
//! * **Memory order.** What happened before `wake` is seen after `park` returned `Woken`.

use crate::cancel::Point;
use crate::current;
use crate::mail::Ticket;
use crate::os_thread::{OsThread, Parked};
use crate::park;
use crate::remote::{Message, SlotName, WorkerId};
use crate::worker::Worker;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

/// One wait, as the waiting party sees it.
#[derive(Debug)]
pub(crate) struct Wait {
    /// Who waits, and which of their waits.
    party: Party,
    /// It stays with the party it belongs to.
    own: PhantomData<*mut ()>,
}

/// One wait, as whoever ends it sees it.
#[derive(Debug)]
pub(crate) struct Waiter(Party);

/// A party that can wait, and one of its waits.
#[derive(Clone, Debug)]
enum Party {
    /// A coroutine.
    Coroutine {
        /// Where it lives.
        slot: SlotName,
        /// Its wait.
        ticket: Ticket,
    },
    /// A plain OS thread.
    Thread {
        /// Which.
        thread: Arc<OsThread>,
        /// Its wait.
        ticket: Ticket,
    },
}

impl Party {
    #[inline(always)]
    fn of_coroutine(worker: &Worker) -> Party {
        let (slot, ticket) = worker.begin_wait();
        Party::Coroutine { slot, ticket }
    }

    fn of_thread() -> Party {
        let thread = current::os_thread();
        Party::Thread { ticket: thread.begin_wait(), thread }
    }
}

impl Wait {
    /// Begins a wait of the calling coroutine or thread; any earlier one of its own is over.
    #[inline]
    pub(crate) fn begin() -> Wait {
        let party = current::with_coroutine(|worker| match worker {
            Some(worker) => Party::of_coroutine(worker),
            None => Party::of_thread(),
        });
        Wait { party, own: PhantomData }
    }

    /// The other end, to be left where it will be found.
    #[inline]
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter(self.party.clone())
    }

    /// Whether it is one of a coroutine on this worker.
    #[inline]
    pub(crate) fn is_on(&self, worker: Option<WorkerId>) -> bool {
        matches!(&self.party, Party::Coroutine { slot, .. } if worker.is_some() && slot.worker() == worker)
    }

    /// Which of the party's waits it is: a later one has a larger number, until they come round. For what takes turns.
    pub(crate) fn number(&self) -> u32 {
        match self.party {
            Party::Coroutine { ticket, .. } | Party::Thread { ticket, .. } => ticket.0,
        }
    }

    /// Blocks the coroutine or the thread until woken or until `deadline`.
    ///
    /// Throws if the coroutine is cancelled, or a timeout around the caller is over, and `point` allows it; the caller cleans
    /// up in a Drop.
    #[inline(always)]
    pub(crate) fn park(&self, deadline: Option<Instant>, point: Point) -> Parked {
        match &self.party {
            Party::Coroutine { .. } => park::park_waiting(deadline, point),
            Party::Thread { thread, ticket } => block(thread, *ticket, deadline, point),
        }
    }

    /// As [`Wait::park`] without a deadline, for the end of a coroutine: a coroutine returns as well when any worker was given up.
    /// In place of a plain thread, which nobody wakes for that, `block` decides what to do.
    #[inline(always)]
    pub(crate) fn park_joining(&self, block: impl FnOnce() -> Parked) -> Parked {
        match &self.party {
            Party::Coroutine { .. } => park::park_joining(),
            Party::Thread { .. } => block(),
        }
    }

    /// As [`Wait::park`] without a deadline, but never unwinds: `true` if something struck, or would have prevented it.
    pub(crate) fn park_or_cancelled(&self) -> bool {
        match &self.party {
            Party::Coroutine { .. } => park::park_waiting_or_cancelled(),
            Party::Thread { thread, ticket } => {
                let limit = park::on_thread(None, Point::Fallible).until;
                thread.park_waiting(*ticket, limit) == Parked::TimedOut
            }
        }
    }
}

fn block(thread: &OsThread, ticket: Ticket, deadline: Option<Instant>, point: Point) -> Parked {
    let leave = park::on_thread(deadline, point);
    leave.answer(thread.park_waiting(ticket, leave.until))
}

/// Who makes one wait after the other, for a primitive that has found out once who it is.
pub(crate) trait Waits {
    /// Begins a wait; any earlier one is over. The other end of it, to be left where it will be found.
    fn begin(&mut self) -> Waiter;

    /// As [`Wait::park`], of the wait begun last.
    fn park(&self, deadline: Option<Instant>, point: Point) -> Parked;
}

/// The coroutine that runs on this worker.
impl Waits for &Worker {
    #[inline(always)]
    fn begin(&mut self) -> Waiter {
        Waiter(Party::of_coroutine(self))
    }

    #[inline(always)]
    fn park(&self, deadline: Option<Instant>, point: Point) -> Parked {
        park::park_waiting_on(self, deadline, point)
    }
}

/// This plain thread.
#[derive(Debug, Default)]
pub(crate) struct ThisThread {
    /// Begun last.
    wait: Option<Wait>,
}

impl Waits for ThisThread {
    fn begin(&mut self) -> Waiter {
        self.wait.insert(Wait { party: Party::of_thread(), own: PhantomData }).waiter()
    }

    fn park(&self, deadline: Option<Instant>, point: Point) -> Parked {
        self.wait.as_ref().expect("begun before").park(deadline, point)
    }
}

impl Waiter {
    /// One that never comes.
    #[cfg(all(test, dormouse_loom))]
    pub(crate) fn absent() -> Waiter {
        Waiter(Party::Coroutine { slot: SlotName::NOWHERE, ticket: Ticket::default() })
    }

    /// Ends the wait, from any thread; does nothing if it is over. For whoever hands nothing over.
    #[inline]
    pub(crate) fn wake(self) {
        let _ = self.wake_chosen();
    }

    /// As [`Waiter::wake`]; `false` if the party will never come for what it was chosen for, since its worker has ended.
    #[must_use = "what nobody comes for is handed to another"]
    #[inline]
    pub(crate) fn wake_chosen(self) -> bool {
        current::with_worker(|worker| self.wake_on(worker))
    }

    /// As [`Waiter::wake_chosen`], from this worker's thread, or from a plain one if there is none.
    #[must_use = "what nobody comes for is handed to another"]
    #[inline(always)]
    pub(crate) fn wake_on(self, worker: Option<&Worker>) -> bool {
        match self.0 {
            Party::Coroutine { slot, ticket } => wake_coroutine(worker, slot, ticket),
            Party::Thread { thread, ticket } => {
                thread.wake(ticket);
                true
            }
        }
    }

    /// Ends another wait of the same party: the one of this [`Wait::number`], if it is the present one.
    #[inline]
    pub(crate) fn wake_number(&self, number: u32) {
        let other = match &self.0 {
            Party::Coroutine { slot, .. } => Party::Coroutine { slot: *slot, ticket: Ticket(number) },
            Party::Thread { thread, .. } => return thread.wake(Ticket(number)),
        };
        Waiter(other).wake();
    }
}

#[inline(always)]
fn wake_coroutine(worker: Option<&Worker>, slot: SlotName, ticket: Ticket) -> bool {
    match worker {
        Some(worker) if worker.is_home_of(slot) => {
            worker.wake(slot.index(), ticket);
            true
        }
        _ => wake_elsewhere(slot, ticket),
    }
}

#[cold]
fn wake_elsewhere(slot: SlotName, ticket: Ticket) -> bool {
    slot.worker().is_some_and(|home| current::send(home, Message::Wake(slot.index(), ticket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_is_two_words() {
        assert_eq!(size_of::<Option<Waiter>>(), 16);
    }
}
