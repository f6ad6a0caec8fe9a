//! The O_NONBLOCK flag of an open description: ioctl(FIONBIO).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets or clears O_NONBLOCK for every descriptor that shares the description of `fd`.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    let mut on = libc::c_int::from(nonblocking);
    // SAFETY: FIONBIO reads one int, alive for the call.
    super::cvt(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut on) }).map(drop)
}
