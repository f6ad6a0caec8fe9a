//! How a descriptor ends: closed without blocking a worker, or left to others in the mode that it is to have.
//!
//! Owns which closes the blocking pool makes, and who gives a listening description its mode back. Must never know a
//! registration, nor what waits for a socket.
//!
//! With SO_LINGER above zero and data unsent, the close of a description's last descriptor blocks the thread, even in
//! non-blocking mode. Whether another descriptor is left is not asked: two clones that are dropped on two threads at
//! the same time would each find the other, and the later close would block.
//!
//! Invariants:
//! 1. No close here blocks a worker: one that lingers is made by the blocking pool, as long as that has a thread.
//! 2. Who ends a listening descriptor leaves its description first, and only the last to leave may change the mode: the
//!    others' need O_NONBLOCK.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dormouse_runtime::blocking;

use crate::description::Description;
use crate::sys::once_arc::Left;
use crate::sys::{mode, option};

/// Whether closing the last fd of the description waits for what it has sent, as the kernel has it. See SO_LINGER in
/// socket(7).
pub(crate) fn lingers(fd: BorrowedFd<'_>) -> bool {
    // What is no socket has no such option.
    option::linger(fd).is_ok_and(|linger| linger.is_some_and(|time| !time.is_zero()))
}

/// Closes an fd that lingers: a coroutine parks until that is done; inside `no_park` or in an unwind it does not wait.
/// If the pool has no thread, the fd is closed here all the same.
pub(crate) fn finish(fd: OwnedFd) {
    blocking::finish(move || drop(fd));
}

/// Closes an fd that came from a peer, who also decides whether it lingers: nobody waits for that.
pub(crate) fn discard(fd: OwnedFd) {
    if lingers(fd.as_fd()) {
        blocking::hand_over(move || drop(fd));
    }
}

/// Gives a listening description the mode that the user asked for, if strangers have it O_NONBLOCK by our doing and no
/// socket of ours is left that needs it so.
pub(crate) fn restore_mode(fd: BorrowedFd<'_>, left: &Left<Description>) {
    if let Left::Last(description) = left
        && description.owes_mode()
    {
        // Fails only for what is no socket, and then no mode was ours to restore.
        let _ = mode::set_nonblocking(fd, description.nonblocking());
    }
}
