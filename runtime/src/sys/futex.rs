//! futex(2): a thread sleeps until a word changes. For plain threads and the private lock room only.
//!
//! Never used by a coroutine to wait: it blocks the whole thread.

#[cfg(not(dormouse_loom))]
use super::{errno, fault};
use crate::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while `word` holds `expected`, at most `timeout` (for ever if `None`). May return for no reason.
#[cfg(not(dormouse_loom))]
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let spec = timeout.map(super::epoll::timespec);
    let spec_ptr = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word and the timespec live for the call.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, expected, spec_ptr) };
    if woken == -1 {
        look_again();
    }
}

/// A sleep that did not take place, or was cut short, is one that ended for no reason. Any other failure would have callers spin.
#[cfg(not(dormouse_loom))]
fn look_again() {
    match errno() {
        libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT => {}
        errno => fault::misused("a futex", errno),
    }
}

/// Wakes at most one sleeper of `word`.
#[cfg(not(dormouse_loom))]
pub(crate) fn wake_one(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel uses only the word's address.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, 1) };
    if woken == -1 {
        // The sleeper would sleep on.
        fault::misused("a futex", errno());
    }
}

#[cfg(dormouse_loom)]
pub(crate) use models::{wait, wake_one};

/// In models sleepers wait for each other's calls, so that one whom nobody wakes is a deadlock that loom reports. A sleep that
/// ends by itself is a yield.
#[cfg(dormouse_loom)]
mod models {
    use crate::atomic::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};
    use std::time::Duration;

    loom::lazy_static! {
        static ref SLEEPERS: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    }

    pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
        if timeout.is_some() {
            return loom::thread::yield_now();
        }
        let awake = SLEEPERS.0.lock().unwrap();
        // ORDERING: Relaxed; the kernel's comparison under its lock orders nothing else.
        if word.load(Ordering::Relaxed) == expected {
            drop(SLEEPERS.1.wait(awake));
        }
    }

    pub(crate) fn wake_one(_word: &AtomicU32) {
        let _awake = SLEEPERS.0.lock().unwrap();
        SLEEPERS.1.notify_all();
    }
}
