//! Files to and from descriptors, and std's files.
//!
//! A call that a cancelled caller left behind keeps the file open until it ends; a file that is given away meanwhile is
//! given away as a duplicate of its descriptor.

#![allow(unsafe_code)]

use super::File;
use super::cursor::Shared;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::process::Stdio;
use std::sync::Arc;

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl From<std::fs::File> for File {
    /// The same file; its calls park from now on.
    fn from(file: std::fs::File) -> File {
        File { file: Arc::new(file), shared: Shared::new() }
    }
}

impl From<File> for std::fs::File {
    /// The same file; its calls block from now on. What a cancelled read has left of a FIFO or a terminal is lost.
    ///
    /// # Panics
    ///
    /// If a call that was left behind is using the file and there is no descriptor for a duplicate.
    fn from(file: File) -> std::fs::File {
        match Arc::try_unwrap(file.file) {
            Ok(file) => file,
            Err(shared) => shared.try_clone().expect("no descriptor for a file that a cancelled call still uses"),
        }
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        std::fs::File::from(fd).into()
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> OwnedFd {
        std::fs::File::from(file).into()
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        std::fs::File::from(file).into()
    }
}

impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> File {
        // SAFETY: the caller's word.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        fd.into()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}
