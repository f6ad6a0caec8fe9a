//! The word through which other threads write to one coroutine.
//!
//! Owns one atomic word per coroutine, and the tickets that tell its waits apart; the owner worker reads the word when the
//! inbox brings the coroutine's record. Knows nothing of queues: the caller pushes the record when told to.
//!
//! ```text
//!   31 ........ 3      2      1       0
//!   |           | HOMED CANCEL UNPARK QUEUED |
//! ```
//!
//! Invariant 1: whoever sets `QUEUED` on a `HOMED` word pushes the record to its home, once; everyone else need not, because
//! the owner reads the whole word after it took the record from the inbox, or at the start if that comes first. So a
//! loop of unparks neither grows the inbox nor allocates.
//! Invariant 2: nothing posted before the start is lost; `start` gives it to the owner.
//! Invariant 3: a coroutine that nobody but its spawner's worker can start has its home before anybody else knows it.

use crate::atomic::{AtomicU32, Ordering};

const QUEUED: u32 = 1;
const UNPARK: u32 = 1 << 1;
const CANCEL: u32 = 1 << 2;
const HOMED: u32 = 1 << 3;

/// Names one wait of one plain thread, or of one worker's coroutines; a later wait has a later ticket. They come round after
/// 2^32 waits (2^31 of a thread); a waiter forgotten for that long could then end one wait for no reason, which every
/// caller is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u32);

impl Ticket {
    /// The ticket of the following wait.
    pub(crate) fn next(self) -> Ticket {
        Ticket(self.0.wrapping_add(1))
    }
}

/// What the owner found in the word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letters {
    /// Somebody unparked the coroutine.
    pub(crate) unpark: bool,
    /// Somebody cancelled it.
    pub(crate) cancel: bool,
}

/// One coroutine's mail word.
#[derive(Debug)]
pub(crate) struct Mail {
    /// See the drawing above.
    word: AtomicU32,
}

impl Mail {
    pub(crate) fn new() -> Mail {
        Mail { word: AtomicU32::new(0) }
    }

    /// Leaves an unpark token; `true` if the caller must push the record to the owner's inbox.
    pub(crate) fn post_unpark(&self) -> bool {
        self.post(UNPARK)
    }

    /// Asks for cancellation; `true` if the caller must push the record to the owner's inbox.
    pub(crate) fn post_cancel(&self) -> bool {
        self.post(CANCEL)
    }

    /// Whether a cancel is among what was posted and not read yet, as far as is known here.
    pub(crate) fn holds_cancel(&self) -> bool {
        // ORDERING: Relaxed; a hint. Pairs with the exchange of `post`; what the poster did before is seen once the letter is read.
        self.word.load(Ordering::Relaxed) & CANCEL != 0
    }

    fn post(&self, letter: u32) -> bool {
        // ORDERING: AcqRel; the Release half pairs with the Acquire half of `take` and `start` below, so that what
        // the poster did before is seen by the woken coroutine even when an earlier poster did the push.
        let before = self.word.fetch_or(letter | QUEUED, Ordering::AcqRel);
        before & HOMED != 0 && before & QUEUED == 0
    }

    /// Spawner only, before anybody else has the record: posters push from the first on.
    #[inline]
    pub(crate) fn settle(&self) {
        // ORDERING: Relaxed; whatever hands the record to others publishes it.
        self.word.store(HOMED, Ordering::Relaxed);
    }

    /// Owner only, at the first run: from now on posters push. Gives what was posted before.
    #[inline]
    pub(crate) fn start(&self) -> Letters {
        // ORDERING: Acquire, for an early post as in `take`. A post that this load does not see finds `HOMED` and pushes.
        if self.word.load(Ordering::Acquire) == HOMED {
            return Letters::default();
        }
        self.take()
    }

    /// Owner only, when the inbox brought the record of a started coroutine: empties the word.
    #[inline]
    pub(crate) fn take(&self) -> Letters {
        // ORDERING: AcqRel; Acquire pairs with the Release half of `post`. A later poster sees `QUEUED` clear and pushes again;
        // Release pairs with the Acquire half of its `post`, after which it reads the record's home.
        decode(self.word.swap(HOMED, Ordering::AcqRel))
    }
}

fn decode(word: u32) -> Letters {
    Letters { unpark: word & UNPARK != 0, cancel: word & CANCEL != 0 }
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
    fn what_is_posted_before_the_start_is_kept() {
        let (homeless, settled) = (Mail::new(), Mail::new());
        settled.settle();
        for (mail, pushes) in [(homeless, false), (settled, true)] {
            assert_eq!(mail.post_unpark(), pushes, "only where it is known to whom");
            assert!(!mail.post_cancel(), "once");
            assert_eq!(mail.start(), Letters { unpark: true, cancel: true });
            assert_eq!(mail.take(), Letters::default());
            assert!(mail.post_unpark());
        }
    }

    #[test]
    fn tickets_come_round() {
        assert_eq!(Ticket(u32::MAX).next(), Ticket(0));
    }
}
