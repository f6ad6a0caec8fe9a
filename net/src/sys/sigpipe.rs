//! SIGPIPE, which sendfile(2) and splice(2) raise where send(2) has MSG_NOSIGNAL.
//!
//! Rust's programs ignore the signal, and then this asks once and does nothing. In others, whose `main` is C's or which
//! were built with `-Zon-broken-pipe`, the signal is blocked for the length of the call and taken away after it: it is
//! sent to the thread that made the call, which is this one.

use std::io;
use std::mem::zeroed;
use std::ptr::null_mut;

/// Makes a call that may answer EPIPE, and then has raised the signal.
pub(super) fn quietly(call: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    if is_ignored() {
        return call();
    }
    let signal = only_sigpipe();
    // One that was sent before is not ours to take.
    let was_pending = is_pending();
    let before = change_mask(libc::SIG_BLOCK, &signal);
    let answer = call();
    if !was_pending && matches!(&answer, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        take(&signal);
    }
    change_mask(libc::SIG_SETMASK, &before);
    answer
}

fn is_ignored() -> bool {
    // SAFETY: integers and a pointer, for which zero is a value.
    let mut action: libc::sigaction = unsafe { zeroed() };
    // SAFETY: writes the present action, and changes nothing.
    let answer = unsafe { libc::sigaction(libc::SIGPIPE, null_mut(), &raw mut action) };
    answer == 0 && action.sa_sigaction == libc::SIG_IGN
}

fn only_sigpipe() -> libc::sigset_t {
    // SAFETY: integers.
    let mut set: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: the set is ours.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: the set is ours, and the signal exists.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGPIPE) };
    set
}

fn is_pending() -> bool {
    // SAFETY: integers.
    let mut set: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: the set is ours.
    unsafe { libc::sigpending(&raw mut set) };
    // SAFETY: as above.
    unsafe { libc::sigismember(&raw const set, libc::SIGPIPE) == 1 }
}

/// Changes the mask of this thread; gives the one before.
fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> libc::sigset_t {
    // SAFETY: integers.
    let mut before: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: reads one set and writes the other.
    unsafe { libc::pthread_sigmask(how, set, &raw mut before) };
    before
}

/// Takes a pending signal of the set away, if there is one.
fn take(set: &libc::sigset_t) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: reads the set and the time, and waits for no time.
    unsafe { libc::sigtimedwait(set, null_mut(), &raw const now) };
}
