//! timerfd(2): a one-shot alarm that a poller reports as an event.
//!
//! Invariant 1: never read. It is registered edge-triggered, and setting it anew takes back an expiry not yet seen.

use super::cvt;
use super::epoll::timespec;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// One non-blocking monotonic timer.
#[derive(Debug)]
pub(crate) struct TimerFd {
    /// The descriptor.
    fd: OwnedFd,
}

impl TimerFd {
    /// Opens one, disarmed; fails with EMFILE, ENFILE or ENOMEM.
    pub(crate) fn new() -> io::Result<TimerFd> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: no pointer is passed.
        let fd = cvt(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(TimerFd { fd })
    }

    /// Goes off once, `after` from now; zero disarms it.
    pub(crate) fn set(&self, after: Duration) -> io::Result<()> {
        let spec = libc::itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(after) };
        let none = std::ptr::null_mut();
        // SAFETY: the kernel reads one itimerspec and, given null, writes no old one.
        cvt(unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), 0, &raw const spec, none) })?;
        Ok(())
    }

    /// For registering it.
    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
