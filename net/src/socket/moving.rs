//! Calls that wait only as long as the peer is not too slow.
//!
//! Knows how long a wait took and how many bytes came of it; what is too slow `progress` says.

use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use dormouse_runtime::wait::Interest;

use super::Socket;
use crate::description::{self, Description};
use crate::progress::{MinRate, Patience};
use crate::sys::errno;

impl Socket {
    /// How slow the peer may be, and is; `None` if it was never limited.
    pub(super) fn peer(&self) -> Option<&Patience> {
        self.description.get().and_then(Description::peer)
    }

    /// Limits how slow the peer may be, for clones too.
    pub(crate) fn set_min_rate(&self, interest: Interest, rate: Option<MinRate>) {
        if rate.is_some() || self.description.get().is_some() {
            self.description.get_or_make().set_min_rate(interest, rate);
        }
    }

    /// As [`retry`](Socket::retry), for an attempt that receives.
    #[inline]
    pub(crate) fn receive(&self, attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>) -> io::Result<usize> {
        let moved = self.retry(Interest::Read, attempt)?;
        self.note_moved(Interest::Read, moved);
        Ok(moved)
    }

    /// Says that an attempt moved so many bytes.
    #[inline]
    pub(crate) fn note_moved(&self, interest: Interest, moved: usize) {
        if let Some(peer) = self.peer() {
            peer.moved(interest, moved);
        }
    }

    /// As `retry_until`, but no longer than until the peer has been too slow: that is an error of its own.
    ///
    /// The time is over when the worker says so, and if that had other things to do the peer may have sent enough long ago: one
    /// more attempt is made. If it finds something, how long that took to come nobody knows, and it does not count.
    #[cold]
    pub(super) fn retry_while_moving<T>(
        &self,
        peer: &Patience,
        interest: Interest,
        deadline: Option<Instant>,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        // What the last wait took, if it was as long as it might be.
        let (mut turn, overdue, too_slow) = (None, Cell::new(None), Cell::new(false));
        let wait = || {
            if let Some(waited) = overdue.take() {
                peer.waited(interest, waited);
                too_slow.set(true);
                return Err(io::ErrorKind::TimedOut.into());
            }
            let until = peer.left(interest).and_then(description::deadline_after);
            let earlier = [until, deadline].into_iter().flatten().min();
            let since = Instant::now();
            let waited = self.source.wait(self.fd(), interest, earlier, turn.take());
            if until.is_some() && until == earlier && is_timeout(&waited) {
                overdue.set(Some(since.elapsed()));
                return Ok(());
            }
            peer.waited(interest, since.elapsed());
            turn = Some(waited?);
            Ok(())
        };
        let expired = || if too_slow.get() { too_slow_error() } else { errno::would_block() };
        self.alternate(wait, expired, attempt)
    }
}

fn is_timeout<T>(waited: &io::Result<T>) -> bool {
    waited.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn too_slow_error() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the peer is slower than the stream's minimum rate")
}
