//! Reading files that are to be sent: pread(2), and whether it would have to wait for a disk.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::transfer::transferred;

/// What is known of a byte of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Reading it does not wait: it is in memory, past the end, or reading it is an error.
    Memory,
    /// It has to be fetched first.
    Device,
    /// The file knows of no reads that do not wait.
    Unknown,
}

/// Where the byte at `offset` is. See RWF_NOWAIT in preadv2(2).
pub(crate) fn place(file: BorrowedFd<'_>, offset: i64) -> Place {
    let mut byte = 0u8;
    let buffer = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: invariants 2 and 3 of `sys`; the buffer is one byte.
    let n = unsafe { libc::preadv2(file.as_raw_fd(), &raw const buffer, 1, offset, libc::RWF_NOWAIT) };
    match transferred(n).map_err(|error| error.raw_os_error()) {
        Err(Some(libc::EAGAIN | libc::EINTR)) => Place::Device,
        Err(Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::EPERM)) => Place::Unknown,
        _ => Place::Memory,
    }
}

/// How many bytes a regular file has; `None` for others. See fstat(2).
pub(crate) fn size(file: BorrowedFd<'_>) -> Option<i64> {
    // SAFETY: integers.
    let mut status: libc::stat64 = unsafe { zeroed() };
    // SAFETY: invariants 2 and 3 of `sys`.
    let answer = unsafe { libc::fstat64(file.as_raw_fd(), &raw mut status) };
    (answer == 0 && status.st_mode & libc::S_IFMT == libc::S_IFREG).then_some(status.st_size)
}

/// Whether the file is read past the memory of the kernel, in whole blocks. See O_DIRECT in open(2).
pub(crate) fn is_direct(file: BorrowedFd<'_>) -> bool {
    // SAFETY: invariant 3 of `sys`; takes no argument.
    let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
    flags != -1 && flags & libc::O_DIRECT != 0
}

/// Whether the file is on a file system that has no device behind it: tmpfs, ramfs, hugetlbfs. See fstatfs(2).
pub(crate) fn is_of_memory(file: BorrowedFd<'_>) -> bool {
    // SAFETY: integers.
    let mut system: libc::statfs = unsafe { zeroed() };
    // SAFETY: invariants 2 and 3 of `sys`.
    let answer = unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut system) };
    // Their names are of different types on different machines; ramfs and hugetlbfs have none in the C library.
    answer == 0 && matches!(system.f_type as u32, 0x0102_1994 | 0x8584_58f6 | 0x9584_58f6)
}

/// Reads at `offset`; 0 at the end. Waits for the disk. See pread(2).
pub(crate) fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], offset: i64) -> io::Result<usize> {
    loop {
        // SAFETY: invariants 2 and 3 of `sys`.
        let n = unsafe { libc::pread64(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), offset) };
        match transferred(n) {
            // A file in user space may be interrupted.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Reads what is in an end of a pipe of ours.
pub(crate) fn read(pipe: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: invariants 2 and 3 of `sys`.
    let n = unsafe { libc::read(pipe.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    transferred(n)
}
