//! One system-call family a file, each call a thin wrapper that answers an `io::Result`.
//!
//! With `net/src/sys` these are the only rooms that say `libc::`. They know nothing of coroutines or workers.

#![allow(unsafe_code)]

pub(crate) mod affinity;
pub(crate) mod clock;
pub(crate) mod epoll;
pub(crate) mod eventfd;
pub(crate) mod fault;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod membarrier;
pub(crate) mod mmap;
pub(crate) mod mode;
pub(crate) mod nowait;
pub(crate) mod pidfd;
pub(crate) mod pipe;
pub(crate) mod poll;
pub(crate) mod signal;
pub(crate) mod timerfd;

use std::io;

/// Turns the C convention (-1 and errno) into a `Result`.
pub(crate) fn cvt(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// The errno of the call that failed last on this thread.
pub(crate) fn errno() -> libc::c_int {
    // SAFETY: always there, of this thread.
    unsafe { *libc::__errno_location() }
}
