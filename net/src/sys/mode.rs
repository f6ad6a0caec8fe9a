//! The O_NONBLOCK flag of an open description: ioctl(FIONBIO) and fcntl(F_GETFL).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets or clears O_NONBLOCK for every fd that shares the description of `fd`.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    let mut on = libc::c_int::from(nonblocking);
    // SAFETY: invariants 2 and 3 of `sys`; FIONBIO reads one int.
    match unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut on) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether the description of `fd` has O_NONBLOCK.
pub(crate) fn is_nonblocking(fd: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: invariant 3 of `sys`; F_GETFL takes no argument.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags & libc::O_NONBLOCK != 0),
    }
}
