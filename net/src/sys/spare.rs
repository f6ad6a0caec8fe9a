//! One attempt to receive into the memory of a [`BufMut`], which need not be initialised.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use bytes::BufMut;

use super::transfer::transferred;

/// Takes received bytes into the next chunk of `buf`, and advances it; 0 is the end of the stream. Gives also how many were
/// asked for. See recv(2).
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut impl BufMut) -> io::Result<(usize, usize)> {
    let chunk = buf.chunk_mut();
    let asked = chunk.len();
    // SAFETY: invariants 2 and 3 of `sys`; the kernel only writes there.
    let n = unsafe { libc::recv(fd.as_raw_fd(), chunk.as_mut_ptr().cast(), asked, libc::MSG_DONTWAIT) };
    let count = transferred(n)?;
    // SAFETY: the kernel has just written so many bytes at the beginning of the chunk.
    unsafe { buf.advance_mut(count) };
    Ok((count, asked))
}
