//! futex(2): a thread sleeps until a word changes. For plain threads and the private lock room only.
//!
//! Never used by a coroutine to wait: it blocks the whole thread.

use crate::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while `word` holds `expected`, at most `timeout` (for ever if `None`). May return for no reason.
#[cfg(not(dormouse_loom))]
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let spec = timeout.map(super::epoll::timespec);
    let spec_ptr = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word and the timespec live for the call; every failure means "look again", which callers do.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, expected, spec_ptr) };
}

/// Wakes at most one sleeper of `word`.
#[cfg(not(dormouse_loom))]
pub(crate) fn wake_one(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel uses only the word's address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, 1) };
}

/// In models a sleep is a yield: loom then explores every moment at which it could end.
#[cfg(dormouse_loom)]
pub(crate) fn wait(_word: &AtomicU32, _expected: u32, _timeout: Option<Duration>) {
    loom::thread::yield_now();
}

/// In models sleepers look again by themselves.
#[cfg(dormouse_loom)]
pub(crate) fn wake_one(_word: &AtomicU32) {}
