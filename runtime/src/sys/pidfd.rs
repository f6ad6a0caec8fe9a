//! pidfd_open(2): a descriptor that can be read from, to poll(2) and epoll, once a child has ended. Linux 5.3.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A descriptor of the child `pid`, which nobody has waited for yet. ENOSYS or EPERM where there is no such call, or a
/// filter forbids it.
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = pid as libc::pid_t;
    // SAFETY: no pointer is passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
