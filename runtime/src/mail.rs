//! The word through which other threads write to one coroutine.
//!
//! Owns one atomic word per coroutine; its owner worker reads it when the inbox brings the coroutine's record.
//! Knows nothing of queues: the caller pushes the record when told to.
//!
//! ```text
//!   63 ................. 32    4      3       2      1       0
//!   | ticket of the wait  | .. WAKE STARTED CANCEL UNPARK QUEUED |
//! ```
//!
//! Invariant 1: whoever sets `QUEUED` on a `STARTED` word pushes the record, once; everyone else need not, because
//! the owner reads the whole word after it took the record from the inbox. So a loop of unparks neither grows the
//! inbox nor allocates.
//! Invariant 2: `UNPARK` (the user's token) and `WAKE` (an internal wait) are separate bits: neither ends the other.
//! Invariant 3: nothing posted before the start is lost; `start` gives it to the owner.

use crate::atomic::{AtomicU64, Ordering};

const QUEUED: u64 = 1;
const UNPARK: u64 = 1 << 1;
const CANCEL: u64 = 1 << 2;
const STARTED: u64 = 1 << 3;
const WAKE: u64 = 1 << 4;
const TICKET_SHIFT: u32 = 32;

/// Names one wait of one party; a later wait has a later ticket. They come round after 2^32 waits; a waiter forgotten for
/// that long could then end one wait for no reason, which every caller is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u32);

impl Ticket {
    /// The ticket of the following wait.
    pub(crate) fn next(self) -> Ticket {
        Ticket(self.0.wrapping_add(1))
    }

    /// Whether this one is `other` or was given before it, at most 2^31 waits ago.
    fn is_up_to(self, other: Ticket) -> bool {
        other.0.wrapping_sub(self.0) < 1 << 31
    }
}

/// What the owner found in the word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letters {
    /// Somebody unparked the coroutine.
    pub(crate) unpark: bool,
    /// Somebody cancelled it.
    pub(crate) cancel: bool,
    /// Somebody ended this wait.
    pub(crate) wake: Option<Ticket>,
}

/// One coroutine's mail word.
#[derive(Debug)]
pub(crate) struct Mail {
    /// See the drawing above.
    word: AtomicU64,
}

impl Mail {
    pub(crate) fn new() -> Mail {
        Mail { word: AtomicU64::new(0) }
    }

    /// Leaves an unpark token; `true` if the caller must push the record to the owner's inbox.
    pub(crate) fn post_unpark(&self) -> bool {
        self.post(UNPARK)
    }

    /// Asks for cancellation; `true` if the caller must push the record to the owner's inbox.
    pub(crate) fn post_cancel(&self) -> bool {
        self.post(CANCEL)
    }

    fn post(&self, letter: u64) -> bool {
        // ORDERING: AcqRel; the Release half pairs with the Acquire half of `take` and `start` below, so that what
        // the poster did before is seen by the woken coroutine even when an earlier poster did the push.
        let before = self.word.fetch_or(letter | QUEUED, Ordering::AcqRel);
        before & STARTED != 0 && before & QUEUED == 0
    }

    /// Ends the wait `ticket`; `true` if the caller must push the record to the owner's inbox.
    ///
    /// A ticket older than one already posted is stale and changes nothing. Only a started coroutine waits.
    pub(crate) fn post_wake(&self, ticket: Ticket) -> bool {
        let post = |word: u64| {
            let stale = word & WAKE != 0 && ticket.is_up_to(Ticket((word >> TICKET_SHIFT) as u32));
            let flags = word & ((1 << TICKET_SHIFT) - 1);
            (!stale).then_some(flags | WAKE | QUEUED | u64::from(ticket.0) << TICKET_SHIFT)
        };
        // ORDERING: AcqRel as in `post`; a stale post's Acquire load publishes nothing and needs no more.
        match self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, post) {
            Ok(before) => before & QUEUED == 0,
            Err(_) => false,
        }
    }

    /// Owner only, at the first run: from now on posters push. Gives what was posted before.
    pub(crate) fn start(&self) -> Letters {
        // ORDERING: AcqRel; Acquire pairs with the Release half of `post`, Release with the Acquire half of `post`,
        // which reads the record's home after it saw `STARTED`.
        decode(self.word.swap(STARTED, Ordering::AcqRel))
    }

    /// Owner only, when the inbox brought the record: empties the word.
    pub(crate) fn take(&self) -> Letters {
        // ORDERING: AcqRel; Acquire pairs with the Release half of `post` and `post_wake`. A later poster sees
        // `QUEUED` clear and pushes again.
        decode(self.word.swap(STARTED, Ordering::AcqRel))
    }
}

fn decode(word: u64) -> Letters {
    Letters {
        unpark: word & UNPARK != 0,
        cancel: word & CANCEL != 0,
        wake: (word & WAKE != 0).then_some(Ticket((word >> TICKET_SHIFT) as u32)),
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_many_unparks_pushes() {
        let mail = Mail::new();
        mail.start();
        assert!(mail.post_unpark());
        assert!((0..100).all(|_| !mail.post_unpark()));
        assert!(mail.take().unpark);
        assert!(mail.post_unpark());
    }

    #[test]
    fn what_is_posted_before_the_start_is_kept_and_not_pushed() {
        let mail = Mail::new();
        assert!(!mail.post_unpark());
        assert!(!mail.post_cancel());
        let letters = mail.start();
        assert!(letters.unpark && letters.cancel && letters.wake.is_none());
    }

    #[test]
    fn a_stale_wake_does_not_hide_a_fresh_one() {
        let mail = Mail::new();
        mail.start();
        assert!(mail.post_wake(Ticket(7)));
        assert!(!mail.post_wake(Ticket(6)));
        assert!(!mail.post_wake(Ticket(8)));
        assert_eq!(mail.take().wake, Some(Ticket(8)));
    }

    #[test]
    fn tickets_come_round() {
        let last = Ticket(u32::MAX);
        assert_eq!(last.next(), Ticket(0));
        let mail = Mail::new();
        mail.start();
        assert!(mail.post_wake(last));
        mail.post_wake(last.next());
        mail.post_wake(last);
        assert_eq!(mail.take().wake, Some(Ticket(0)));
    }

    #[test]
    fn a_wake_leaves_the_token_alone() {
        let mail = Mail::new();
        mail.start();
        mail.post_wake(Ticket(1));
        assert!(!mail.take().unpark);
    }
}
