//! A plain OS thread as a party that waits and can be unparked.
//!
//! Owns two words per thread, each with a futex: the internal wait and the user's park token. They never mix.
//!
//! Invariant 1: `wait` holds `ticket << 1`, with the low bit set once that wait is over.
//! Invariant 2: only the thread itself begins waits and takes the token.

use crate::atomic::{AtomicU32, Ordering};
use crate::mail::Ticket;
use crate::remote::fresh_id;
use crate::sys::futex;
use std::time::{Duration, Instant};

/// How a park that did not unwind ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// By its event, or for no reason.
    Woken,
    /// By its deadline.
    TimedOut,
    /// By a cancel, or by a timeout around it, where that is answered; only at a [`Point::Fallible`] or a [`Point::Answered`].
    ///
    /// [`Point::Fallible`]: crate::cancel::Point::Fallible
    /// [`Point::Answered`]: crate::cancel::Point::Answered
    Cancelled,
}

/// On what terms a plain thread blocks. As the word of a coroutine, but that nobody cancels a thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadTerms {
    /// The limit of the timeouts around the code that runs, on this side of the innermost shield.
    pub(crate) limit: Option<Instant>,
    /// Whether that comes as an error, and is not thrown.
    pub(crate) errors: bool,
}

impl ThreadTerms {
    /// On none.
    pub(crate) const PLAIN: ThreadTerms = ThreadTerms { limit: None, errors: false };
}

const EMPTY: u32 = 0;
const PARKED: u32 = 1;
const TOKEN: u32 = 2;

/// The part of a plain thread that others may touch.
#[derive(Debug)]
pub(crate) struct OsThread {
    /// Unique in the process, from the same numbers as coroutines.
    pub(crate) id: u64,
    /// The name it has in std.
    pub(crate) name: Option<Box<str>>,
    /// The internal wait (invariant 1).
    wait: AtomicU32,
    /// The user's park token: `EMPTY`, `PARKED` or `TOKEN`.
    token: AtomicU32,
}

impl OsThread {
    /// The calling thread.
    pub(crate) fn new() -> OsThread {
        OsThread {
            id: fresh_id(),
            name: std::thread::current().name().map(Box::from),
            wait: AtomicU32::new(1),
            token: AtomicU32::new(EMPTY),
        }
    }

    /// Begins an internal wait; own thread only.
    pub(crate) fn begin_wait(&self) -> Ticket {
        // ORDERING: Relaxed; only this thread changes the ticket. Whoever gets the waiter gets it through a lock or a join word.
        let ticket = (self.wait.load(Ordering::Relaxed) >> 1).wrapping_add(1) & (u32::MAX >> 1);
        // ORDERING: Relaxed; as above.
        self.wait.store(ticket << 1, Ordering::Relaxed);
        Ticket(ticket)
    }

    /// Ends the wait `ticket`, if it is the present one.
    pub(crate) fn wake(&self, ticket: Ticket) {
        let waiting = ticket.0 << 1;
        // ORDERING: Release pairs with the Acquire load in `park_waiting`.
        if self.wait.compare_exchange(waiting, waiting | 1, Ordering::Release, Ordering::Relaxed).is_ok() {
            futex::wake_one(&self.wait);
        }
    }

    /// Blocks the thread until the wait `ticket` is over; own thread only.
    pub(crate) fn park_waiting(&self, ticket: Ticket, deadline: Option<Instant>) -> Parked {
        let waiting = ticket.0 << 1;
        // ORDERING: Acquire pairs with the Release exchange in `wake`.
        while self.wait.load(Ordering::Acquire) == waiting {
            let Some(left) = time_left(deadline) else {
                return Parked::TimedOut;
            };
            futex::wait(&self.wait, waiting, left);
        }
        Parked::Woken
    }

    /// Leaves the user's token and wakes the thread if it is parked for it.
    pub(crate) fn unpark(&self) {
        // ORDERING: Release pairs with the Acquire swaps in `park`.
        if self.token.swap(TOKEN, Ordering::Release) == PARKED {
            futex::wake_one(&self.token);
        }
    }

    /// Takes the token, blocking the thread until it is there or `deadline` passed; own thread only.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> Parked {
        // ORDERING: Acquire pairs with the Release swap in `unpark`; Relaxed on failure, which takes nothing.
        while self.token.compare_exchange(TOKEN, EMPTY, Ordering::Acquire, Ordering::Relaxed).is_err() {
            let Some(left) = time_left(deadline) else {
                // ORDERING: Acquire; a token that came at the last moment is taken with what it brings.
                let token = self.token.swap(EMPTY, Ordering::Acquire);
                return if token == TOKEN { Parked::Woken } else { Parked::TimedOut };
            };
            // ORDERING: Relaxed; if a token came first the exchange fails and the loop takes it.
            let _ = self.token.compare_exchange(EMPTY, PARKED, Ordering::Relaxed, Ordering::Relaxed);
            futex::wait(&self.token, PARKED, left);
        }
        Parked::Woken
    }
}

/// What is left of a deadline: `None` if it passed, `Some(None)` if there is none.
#[allow(clippy::option_option)]
fn time_left(deadline: Option<Instant>) -> Option<Option<Duration>> {
    match deadline {
        None => Some(None),
        Some(deadline) => deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).map(Some),
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_token_left_before_the_park_ends_it() {
        let thread = OsThread::new();
        thread.unpark();
        thread.unpark();
        assert_eq!(thread.park(None), Parked::Woken);
        assert_eq!(thread.park(Some(Instant::now())), Parked::TimedOut);
    }

    #[test]
    fn a_stale_wake_does_not_end_a_later_wait() {
        let thread = OsThread::new();
        let old = thread.begin_wait();
        let new = thread.begin_wait();
        thread.wake(old);
        assert_eq!(thread.park_waiting(new, Some(Instant::now())), Parked::TimedOut);
        thread.wake(new);
        assert_eq!(thread.park_waiting(new, None), Parked::Woken);
    }

    #[test]
    fn the_token_and_a_wait_do_not_end_each_other() {
        let thread = OsThread::new();
        let ticket = thread.begin_wait();
        thread.unpark();
        assert_eq!(thread.park_waiting(ticket, Some(Instant::now())), Parked::TimedOut);
        thread.park(None);
        thread.wake(ticket);
        let start = Instant::now();
        thread.park(Some(start + Duration::from_millis(2)));
        assert!(start.elapsed() >= Duration::from_millis(2));
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::sync::Arc;

    /// An unpark is never lost, whenever it comes.
    #[test]
    fn unpark_ends_park() {
        loom::model(|| {
            let thread = Arc::new(OsThread::new());
            let other = Arc::clone(&thread);
            let unparker = loom::thread::spawn(move || other.unpark());
            thread.park(None);
            unparker.join().unwrap();
        });
    }

    /// A wake is never lost, and a stale one never ends a later wait.
    #[test]
    fn wake_ends_its_own_wait_only() {
        loom::model(|| {
            let thread = Arc::new(OsThread::new());
            let (old, other) = (thread.begin_wait(), Arc::clone(&thread));
            let waker = loom::thread::spawn(move || other.wake(old));
            thread.park_waiting(old, None);
            let new = thread.begin_wait();
            waker.join().unwrap();
            assert_eq!(thread.park_waiting(new, Some(Instant::now())), Parked::TimedOut);
        });
    }
}
