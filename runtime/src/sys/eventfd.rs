//! eventfd(2): what one thread, or a signal handler, writes to interrupt another one's epoll_wait or poll.
//!
//! Invariant 1: each write is an edge for whoever registered it edge-triggered, read or not; so a worker's is never read, and
//! the counter may grow.

use super::cvt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

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

    /// Makes whoever polls it wake. Async-signal-safe. Only a full counter (2^64 - 2 writes) could refuse, and then an edge is due anyway.
    pub(crate) fn notify(&self) {
        let one = 1u64.to_ne_bytes();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&self.fd);
        // SAFETY: `one` is eight readable bytes, as eventfd(2) asks.
        let _ = unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
    }
}

impl EventFd {
    /// Forgets the writes so far: it is readable at the next.
    pub(crate) fn drain(&self) {
        let mut count = [0u8; 8];
        let fd = std::os::fd::AsRawFd::as_raw_fd(&self.fd);
        // SAFETY: eight writable bytes, as eventfd(2) asks. It does not block, and fails only if there is nothing to forget.
        let _ = unsafe { libc::read(fd, count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
