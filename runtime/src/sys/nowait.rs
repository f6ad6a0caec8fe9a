//! preadv2(2) with RWF_NOWAIT: a read that takes what is in memory already, or nothing.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

/// What became of an attempt.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// It is made: so many bytes, fewer than asked for where the memory held no more; 0 at the end of the file; or its
    /// error.
    Made(io::Result<usize>),
    /// It would have to wait for a device or a peer; nothing was read.
    WouldWait,
    /// The file, or the kernel, knows of no such reads.
    Unknown,
}

/// Reads into `buffers` at `offset`, or at the cursor, which moves, if there is none.
pub(crate) fn read(fd: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>], offset: Option<u64>) -> Attempt {
    let count = buffers.len().min(libc::UIO_MAXIOV as usize) as libc::c_int;
    // -1 stands for the cursor.
    let Ok(at) = offset.map_or(Ok(-1), libc::off_t::try_from) else {
        return Attempt::Made(Err(io::Error::from_raw_os_error(libc::EINVAL)));
    };
    // SAFETY: `IoSliceMut` has the layout of an iovec, and each names memory that is the caller's for the call.
    let read = unsafe { libc::preadv2(fd.as_raw_fd(), buffers.as_mut_ptr().cast(), count, at, libc::RWF_NOWAIT) };
    if read >= 0 {
        return Attempt::Made(Ok(read as usize));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR) => Attempt::WouldWait,
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ESPIPE | libc::EPERM) => Attempt::Unknown,
        _ => Attempt::Made(Err(error)),
    }
}
