//! ppoll(2) on one descriptor: how a plain OS thread waits for readiness.

use super::epoll::timespec;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Readable, urgent data, or the peer's shutdown.
pub(crate) const READ: i16 = libc::POLLIN | libc::POLLPRI | libc::POLLRDHUP;
/// Writable.
pub(crate) const WRITE: i16 = libc::POLLOUT;

/// Blocks the thread until `fd` shows one of `events`, an error or a hang-up; `false` if `timeout` passed or a signal
/// came first. A `None` timeout is for ever.
pub(crate) fn wait(fd: BorrowedFd<'_>, events: i16, timeout: Option<Duration>) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    let spec = timeout.map(timespec);
    let spec_ptr = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: one pollfd and at most one timespec, both alive for the call; a null signal mask changes none.
    let found = unsafe { libc::ppoll(&raw mut entry, 1, spec_ptr, std::ptr::null()) };
    match super::cvt(found) {
        Ok(count) => Ok(count > 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether `fd`, which the caller knows to be open, can be read or accepted from at once.
pub(crate) fn is_readable(fd: RawFd) -> bool {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, alive for the call.
    let found = unsafe { libc::poll(&raw mut entry, 1, 0) };
    found == 1 && entry.revents & libc::POLLIN != 0
}
