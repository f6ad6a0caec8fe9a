//! eventfd(2): what one thread, or a signal handler, writes to interrupt another one's epoll_wait or poll.
//!
//! Invariant 1: each write is an edge for whoever registered it edge-triggered, read or not; so a worker's is never read, and
//! the counter may grow.

use super::{cvt, errno, fault};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One non-blocking eventfd.
#[derive(Debug)]
pub(crate) struct EventFd {
    /// The descriptor.
    fd: OwnedFd,
}

impl EventFd {
    /// Opens one; fails with EMFILE, ENFILE or ENOMEM.
    pub(crate) fn new() -> io::Result<EventFd> {
        // SAFETY: no pointer is passed.
        let fd = cvt(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(EventFd { fd })
    }

    /// Makes whoever polls it wake. Async-signal-safe. A full counter (2^64 - 2 writes) is as good: an edge is due anyway. Aborts
    /// if somebody has closed the descriptor: whom it was to wake would sleep on.
    pub(crate) fn notify(&self) {
        let one = 1u64.to_ne_bytes();
        let fd = self.fd.as_raw_fd();
        // SAFETY: `one` is eight readable bytes, as eventfd(2) asks.
        must(|| unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) });
    }

    /// Forgets the writes so far: it is readable at the next. Does not block. Aborts as [`EventFd::notify`] does: it would be
    /// readable for ever.
    pub(crate) fn drain(&self) {
        let mut count = [0u8; 8];
        let fd = self.fd.as_raw_fd();
        // SAFETY: eight writable bytes, as eventfd(2) asks.
        must(|| unsafe { libc::read(fd, count.as_mut_ptr().cast(), count.len()) });
    }
}

/// Makes a call that has done all there is to do when it says EAGAIN.
fn must(mut call: impl FnMut() -> isize) {
    while call() == -1 {
        match errno() {
            libc::EINTR => {}
            libc::EAGAIN => return,
            errno => fault::misused("an eventfd", errno),
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
