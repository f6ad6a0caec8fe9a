//! Calls that send on a stream: until all is sent, or what there is room for.
//!
//! Knows what a stream's peers and users are promised of a write. What an attempt does comes in as a closure.

use std::io;
use std::os::fd::BorrowedFd;

use dormouse_runtime::wait::Interest;

use super::Socket;
use crate::sys::connection;

impl Socket {
    /// Sends what there is room for, which an attempt says, and waits for room for the first byte only: whoever is thrown out of
    /// here has sent nothing by it. EWOULDBLOCK says that there was no room.
    #[inline]
    pub(crate) fn send_some(&self, attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>) -> io::Result<usize> {
        let moved = self.retry(Interest::Write, attempt)?;
        self.note_moved(Interest::Write, moved);
        Ok(moved)
    }

    /// Sends `asked` bytes on a stream; `attempt` is told how many were sent already. As a blocking send of the kernel's it
    /// goes on until all are sent; an error, a timeout or the user's wish not to wait end it with the count so far, if
    /// that is not zero. `attempt` answers EWOULDBLOCK, or a short count, where there was no more room.
    pub(crate) fn send_whole(
        &self,
        asked: usize,
        mut attempt: impl FnMut(BorrowedFd<'_>, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut sent = 0;
        let answer = self.retry(Interest::Write, |fd| {
            // An error that ends what has begun is for the next call, as the kernel leaves it.
            while sent < asked && !(sent > 0 && connection::has_error(fd)?) {
                let moved = attempt(fd, sent)?;
                self.note_moved(Interest::Write, moved);
                sent += moved;
            }
            Ok(())
        });
        match answer {
            Err(error) if sent == 0 => Err(error),
            _ => Ok(sent),
        }
    }
}
