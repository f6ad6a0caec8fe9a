//! pipe2(2): a pipe of our own, to splice(2) through.

use super::cvt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Opens a pipe, both ends close-on-exec and non-blocking; the one to read from comes first. Fails with EMFILE or ENFILE.
pub(crate) fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: pipe2 writes two ints.
    cvt(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    // SAFETY: the kernel has just given us these descriptors; nobody else owns them.
    Ok(ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into())
}

/// Asks for room for so many bytes, and gives for how many there is. A user who has many pipes may be refused more than the
/// usual 64 KiB, or have got no more than a page or two: see pipe(7).
pub(crate) fn widen(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: takes an int.
    let widened = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) });
    // SAFETY: takes no argument.
    let room = widened.or_else(|_| cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETPIPE_SZ) }))?;
    Ok(room as usize)
}
