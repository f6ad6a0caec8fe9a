//! How std shows the descriptor of a Unix socket.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// By the name of a type of its own.
#[derive(Debug)]
pub(super) struct FileDesc(#[allow(dead_code, reason = "shown")] OwnedFd);

/// What is in it.
#[derive(Debug)]
struct OwnedFd {
    /// The number.
    #[allow(dead_code, reason = "shown")]
    fd: RawFd,
}

impl FileDesc {
    pub(super) fn of(fd: BorrowedFd<'_>) -> FileDesc {
        FileDesc(OwnedFd { fd: fd.as_raw_fd() })
    }
}
