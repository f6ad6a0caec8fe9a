//! Calls that wait only as long as the peer is not too slow.
//!
//! Knows how long a wait took and how many bytes came of it; what is too slow `progress` says.

use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

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
    #[cold]
    pub(super) fn retry_while_moving<T>(
        &self,
        peer: &Patience,
        interest: Interest,
        deadline: Option<Instant>,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let (mut turn, too_slow) = (None, Cell::new(false));
        let wait = || {
            let until = peer.left(interest).and_then(description::deadline_after);
            let earlier = [until, deadline].into_iter().flatten().min();
            too_slow.set(until.is_some() && until == earlier);
            let _waited = Stopwatch { peer, interest, since: Instant::now() };
            turn = Some(self.source.wait(self.fd(), interest, earlier, turn.take())?);
            Ok(())
        };
        let expired = || if too_slow.get() { too_slow_error() } else { errno::would_block() };
        self.alternate(wait, expired, attempt)
    }
}

/// Counts the time of a wait, however it ends.
struct Stopwatch<'a> {
    /// Whom it waits for.
    peer: &'a Patience,
    /// What for.
    interest: Interest,
    /// When it began.
    since: Instant,
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        self.peer.waited(self.interest, self.since.elapsed().max(Duration::from_micros(1)));
    }
}

fn too_slow_error() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the peer is slower than the stream's minimum rate")
}
