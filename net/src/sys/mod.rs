//! Socket system calls, one family a file; with `runtime/src/sys` the only rooms that say `libc::`.
//!
//! Owns the translation between std's types and the kernel's. Must never know what waits, a registration, or a user's
//! mode: each function is one attempt, answers at once and returns what the kernel said.
//!
//! Invariants:
//! 1. No function here blocks: data calls carry MSG_DONTWAIT; `connect` and `accept` are called on descriptions that
//!    the caller keeps O_NONBLOCK, or `connect` on a datagram socket, where there is nothing to wait for. So are
//!    `splice` and `sendfile`; a file that these read may have to be fetched from a disk, which `file` tells beforehand.
//! 2. A pointer handed to the kernel comes from a reference that outlives the call, with the length of what it points
//!    to.
//! 3. An fd is always a [`BorrowedFd`](std::os::fd::BorrowedFd), thus open for the length of the call.

#![allow(unsafe_code)]

pub(crate) mod ancillary;
pub(crate) mod connection;
pub(crate) mod control;
pub(crate) mod datagram;
pub(crate) mod errno;
pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod mode;
pub(crate) mod multicast;
pub(crate) mod once_arc;
pub(crate) mod option;
mod sigpipe;
pub(crate) mod spare;
pub(crate) mod splice;
pub(crate) mod transfer;
pub(crate) mod unix;
pub(crate) mod unix_name;
