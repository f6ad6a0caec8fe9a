//! eventfd(2): what one thread writes to interrupt another one's epoll_wait.
//!
//! Invariant 1: never read. It is registered edge-triggered, so each write is a new edge and the counter may grow.

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

    /// Makes whoever polls it wake. Only a full counter (2^64 - 2 writes) could refuse, and then an edge is due anyway.
    pub(crate) fn notify(&self) {
        let one = 1u64.to_ne_bytes();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&self.fd);
        // SAFETY: `one` is eight readable bytes, as eventfd(2) asks.
        let _ = unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
