//! Moving bytes without copying them to the program and back: sendfile(2) and splice(2).
//!
//! The description of the socket must be O_NONBLOCK, and so must the pipe be.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;

use super::sigpipe;
use super::transfer::transferred;

/// Sends up to `count` bytes of a file from `offset` on; 0 at its end. The file's cursor stays where it is. See sendfile(2).
pub(crate) fn send_file(socket: BorrowedFd<'_>, file: BorrowedFd<'_>, offset: i64, count: usize) -> io::Result<usize> {
    let mut offset = offset;
    sigpipe::quietly(|| {
        // SAFETY: invariants 2 and 3 of `sys`; it reads and writes the offset.
        let n = unsafe { libc::sendfile64(socket.as_raw_fd(), file.as_raw_fd(), &raw mut offset, count) };
        transferred(n)
    })
}

/// Moves up to `count` received bytes into an empty pipe. EWOULDBLOCK says that there are none; 0 that the stream has ended
/// or has an urgent mark. See splice(2).
pub(crate) fn receive(socket: BorrowedFd<'_>, pipe: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
    splice(socket, pipe, count)
}

/// Sends up to `count` bytes of those in a pipe, which are that many. EWOULDBLOCK says that there is no room.
pub(crate) fn send(pipe: BorrowedFd<'_>, socket: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
    sigpipe::quietly(|| splice(pipe, socket, count))
}

fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    // SAFETY: invariant 3 of `sys`; neither end has an offset.
    let n = unsafe { libc::splice(from, null_mut(), to, null_mut(), count, flags) };
    transferred(n)
}
