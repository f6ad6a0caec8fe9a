//! How many connections may wait at one listening description, and that it is fewer while somebody wants no more to come.
//!
//! Owns the backlog's length when it is whole, and the count of those who hold it cut. Must never know why they do.
//!
//! Invariant 1: it is cut while anybody holds it so, and whole when the last of them has let go.
//! Invariant 2: `holders` says how it is to be. Whoever has changed that from or to zero, or the backlog, looks at it again afterwards,
//! so that the last listen(2) is the one that it asks for.
//! Invariant 3: the whole length is learned once, by whoever may cut it later and before that: so nobody learns the length of a cut.
//! Invariant 4: what does not listen any more is left alone, since listen(2) would begin anew what somebody ended. Between the look and
//! the call is a moment that nothing excludes.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::sys::connection;

/// No length that listen(2) was ever told.
const UNKNOWN: i32 = i32::MIN;

/// See the heading. All handles of a description share it.
pub(crate) struct Backlog {
    /// How many want it cut (invariant 2).
    holders: AtomicUsize,
    /// How long it is otherwise; `UNKNOWN` until learned.
    whole: AtomicI32,
}

impl Default for Backlog {
    fn default() -> Backlog {
        Backlog { holders: AtomicUsize::new(0), whole: AtomicI32::new(UNKNOWN) }
    }
}

impl Backlog {
    /// To be called before the first cut (invariant 3).
    pub(crate) fn learn(&self, fd: BorrowedFd<'_>) {
        // ORDERING: Relaxed, as in `is_to_be`; a number on its own, which changes once.
        if self.whole.load(Ordering::Relaxed) == UNKNOWN {
            let length = connection::backlog_limit(fd);
            // ORDERING: Relaxed; see above. Who comes second may have seen a cut, and changes nothing.
            let _ = self.whole.compare_exchange(UNKNOWN, length, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// One more who wants it cut, until [`release`](Backlog::release): also if this fails.
    pub(crate) fn hold(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        // ORDERING: SeqCst, here and below: of two who change it at the same time the later sees what the earlier did. The partners
        // are these operations on other threads.
        match self.holders.fetch_add(1, Ordering::SeqCst) {
            0 => self.apply(fd),
            _ => Ok(()),
        }
    }

    /// One fewer.
    pub(crate) fn release(&self, fd: BorrowedFd<'_>) {
        // ORDERING: SeqCst; see `hold`.
        if self.holders.fetch_sub(1, Ordering::SeqCst) == 1 {
            // A socket that cannot listen any more needs no backlog.
            let _ = self.apply(fd);
        }
    }

    /// Invariants 2 and 4.
    fn apply(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        loop {
            let wanted = self.is_to_be();
            if !connection::is_listening(fd)? {
                return Ok(());
            }
            connection::listen(fd, wanted)?;
            if self.is_to_be() == wanted {
                return Ok(());
            }
        }
    }

    /// The length that it should have now.
    fn is_to_be(&self) -> i32 {
        // ORDERING: SeqCst; see `hold`.
        if self.holders.load(Ordering::SeqCst) > 0 {
            return 0;
        }
        // ORDERING: Relaxed; the partner is in `learn`, which this thread or the one that gave it the socket has called.
        self.whole.load(Ordering::Relaxed)
    }
}
