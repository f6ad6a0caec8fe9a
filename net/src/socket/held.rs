//! Accepting where a connection that is there may have to wait.
//!
//! Knows that there is something else to wait for than the socket, not what.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use dormouse_runtime::budget;
use dormouse_runtime::wait::Interest;

use super::Socket;
use crate::backlog::Backlog;
use crate::sys::errno;

impl Socket {
    /// How many may wait at this listener, for clones too.
    pub(crate) fn backlog(&self) -> &Backlog {
        self.description.get_or_make().backlog()
    }

    /// As [`retry_unless_shut`](Socket::retry_unless_shut), for accepting. An attempt that leaves a connection where it is answers
    /// EWOULDBLOCK; `hold` then waits, until the deadline that it is given, for what else there is to wait for, or not
    /// at all if there is more to be tried, and answers `None` if that was not why.
    pub(crate) fn retry_or_hold<T>(
        &self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
        mut hold: impl FnMut(Option<Instant>) -> Option<io::Result<()>>,
        over: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        let interest = Interest::Accept;
        let (mut tried, mut known, mut turn) = (false, None, None);
        let wait = || {
            if !std::mem::replace(&mut tried, true) {
                return Ok(());
            }
            let deadline = match known {
                Some(deadline) => deadline,
                None => *known.insert(self.patience(interest)?),
            };
            if let Some(held) = hold(deadline) {
                return held;
            }
            turn = Some(self.source.wait(self.fd(), interest, deadline, turn.take())?);
            Ok(())
        };
        budget::spend();
        let attempt = |fd: BorrowedFd<'_>| self.attempt_unless_shut(fd, interest, &mut attempt, &over);
        self.alternate(wait, errno::would_block, attempt)
    }
}
