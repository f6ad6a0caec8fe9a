//! ppoll(2) on one descriptor: how a plain OS thread waits for readiness.

use super::epoll::timespec;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Readable, or shut down by the peer. Not urgent data: that is announced until it is taken by other means than a read.
pub(crate) const READ: i16 = libc::POLLIN;
/// Writable.
pub(crate) const WRITE: i16 = libc::POLLOUT;

/// What a descriptor shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nothing: the time passed, or a signal came.
    Nothing,
    /// What was asked for.
    Events,
    /// Only an error or a hang-up. It may be of a kind that stays, such as a message in the error queue of a socket.
    Trouble,
}

/// Blocks the thread until `fd` shows one of `events`, an error or a hang-up, `timeout` has passed or a signal came. A
/// `None` timeout is for ever.
pub(crate) fn wait(fd: BorrowedFd<'_>, events: i16, timeout: Option<Duration>) -> io::Result<Shown> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    let spec = timeout.map(timespec);
    let spec_ptr = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: one pollfd and at most one timespec, both alive for the call; a null signal mask changes none.
    let found = unsafe { libc::ppoll(&raw mut entry, 1, spec_ptr, std::ptr::null()) };
    match super::cvt(found) {
        Ok(0) => Ok(Shown::Nothing),
        Ok(_) if entry.revents & events == 0 => Ok(Shown::Trouble),
        Ok(_) => Ok(Shown::Events),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Shown::Nothing),
        Err(error) => Err(error),
    }
}

/// Whether `fd`, which the caller knows to be open, can be read or accepted from at once; or cannot be asked: who looks in vain
/// loses nothing.
pub(crate) fn is_readable(fd: RawFd) -> bool {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, alive for the call.
    let found = unsafe { libc::poll(&raw mut entry, 1, 0) };
    found == -1 || entry.revents & libc::POLLIN != 0
}

/// Sends one urgent byte.
#[cfg(test)]
pub(crate) fn send_urgent(socket: &impl AsRawFd) {
    // SAFETY: one byte, alive for the call.
    assert_eq!(unsafe { libc::send(socket.as_raw_fd(), [7u8].as_ptr().cast(), 1, libc::MSG_OOB) }, 1);
}

/// Has a UDP socket queue the errors that come back to it.
#[cfg(test)]
pub(crate) fn queue_errors(socket: &impl AsRawFd) {
    let on: libc::c_int = 1;
    let length = size_of_val(&on) as libc::socklen_t;
    let (fd, value) = (socket.as_raw_fd(), (&raw const on).cast());
    // SAFETY: one integer, alive for the call.
    let set = unsafe { libc::setsockopt(fd, libc::SOL_IP, libc::IP_RECVERR, value, length) };
    assert_eq!(set, 0);
}
