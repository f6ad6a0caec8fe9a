//! This process and the kernel: its descriptor limit, its cores, and dying with its parent.
//!
//! One of the two rooms with `libc` calls (the other is `poller`).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Raises the soft limit of open descriptors to the hard one and returns it.
pub(crate) fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit, written for the length of the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit, only read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(limit.rlim_max)
}

/// The cores this thread may run on, in order.
pub(crate) fn allowed_cores() -> io::Result<Vec<usize>> {
    // SAFETY: a cpu_set_t is an array of integers, for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable and its size is passed along; process 0 is the calling thread.
    check(unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) })?;
    // SAFETY: the index stays below CPU_SETSIZE, the number of bits in the set.
    let allowed = |&core: &usize| unsafe { libc::CPU_ISSET(core, &set) };
    Ok((0..libc::CPU_SETSIZE as usize).filter(allowed).collect())
}

/// Confines the calling thread, and every thread it starts from now on, to `cores`.
pub(crate) fn pin(cores: &[usize]) -> io::Result<()> {
    // SAFETY: a cpu_set_t is an array of integers, for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &core in cores {
        // SAFETY: `cores` come from `allowed_cores`, so each is below CPU_SETSIZE.
        unsafe { libc::CPU_SET(core, &mut set) };
    }
    // SAFETY: `set` is readable and its size is passed along; process 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) })
}

/// Has the kernel kill this process when `parent` is gone, however it ended; see PR_SET_PDEATHSIG in prctl(2).
pub(crate) fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: this option takes a signal number and touches no memory of ours.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    if std::os::unix::process::parent_id() != parent {
        // The parent ended before the line above, so nothing would ever kill us.
        std::process::exit(1);
    }
    Ok(())
}

/// Accepts a non-blocking connection; accept4(2) saves the fcntl calls of doing it after.
pub(crate) fn accept_nonblocking(listener: &impl AsRawFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let (address, length) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: a null address is allowed and says that it is not wanted.
    let fd: RawFd = unsafe { libc::accept4(listener.as_raw_fd(), address, length, flags) };
    check(fd)?;
    // SAFETY: the kernel has just created `fd` and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the kernel has guard pages that are no mappings of their own: MADV_GUARD_INSTALL in madvise(2), from 6.13.
pub(crate) fn has_light_guards() -> bool {
    const MADV_GUARD_INSTALL: libc::c_int = 102;
    const PAGE: usize = 4096;
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous mapping, placed where nothing is.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: `page` is the mapping made above, of which nobody else knows.
    let installed = unsafe { libc::madvise(page, PAGE, MADV_GUARD_INSTALL) } == 0;
    // SAFETY: as above; it is not used after this.
    unsafe { libc::munmap(page, PAGE) };
    installed
}

/// Has a later bind(2) choose the address only, and connect(2) the port: IP_BIND_ADDRESS_NO_PORT in ip(7).
pub(crate) fn bind_address_only(socket: &impl AsRawFd) -> io::Result<()> {
    let (on, length): (libc::c_int, _) = (1, size_of::<libc::c_int>() as libc::socklen_t);
    let (level, option) = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    // SAFETY: `on` is an integer of `length` bytes, only read.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), length) })
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
