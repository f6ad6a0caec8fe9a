//! SIGPIPE, which sendfile(2) and splice(2) raise where send(2) has MSG_NOSIGNAL.
//!
//! Rust's programs ignore the signal, and then this asks once and does nothing. In others, whose `main` is C's or which
//! were built with `-Zon-broken-pipe`, the signal is blocked for the length of the call and taken away after it: it is
//! sent to the thread that made the call, which is this one. That the call has answered a count says nothing: a part may
//! have gone before the peer was found gone, and then there is a signal without the error.

use std::io;
use std::mem::zeroed;
use std::ptr::null_mut;

/// Makes a call that may raise the signal, and takes it away again.
pub(super) fn quietly(call: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    if is_ignored() {
        return call();
    }
    let signal = only_sigpipe();
    // One that was sent before is not ours to take.
    let was_pending = is_pending();
    let before = change_mask(libc::SIG_BLOCK, &signal);
    let answer = call();
    // Nobody but the kernel, in the call, is expected to have sent it meanwhile.
    if !was_pending {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// How often the signal was delivered.
    static DELIVERED: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn count(_signal: libc::c_int) {
        DELIVERED.fetch_add(1, Ordering::Relaxed);
    }

    /// As the kernel does, to the thread that makes the call.
    fn raise() {
        // SAFETY: takes an integer; the signal has a handler.
        assert_eq!(unsafe { libc::raise(libc::SIGPIPE) }, 0);
    }

    #[test]
    fn it_is_taken_away_whatever_the_call_answers_and_one_from_before_is_not() {
        let handler: extern "C" fn(libc::c_int) = count;
        // SAFETY: the handler is async-signal-safe.
        let before = unsafe { libc::signal(libc::SIGPIPE, handler as libc::sighandler_t) };
        let answers = [Ok(5), Ok(0), Err(io::ErrorKind::BrokenPipe), Err(io::ErrorKind::ConnectionReset)];
        for answer in answers {
            let gone = quietly(|| {
                raise();
                answer.map_err(io::Error::from)
            });
            assert_eq!(gone.map_err(|error| error.kind()), answer);
        }
        assert_eq!(quietly(|| Ok(7)).unwrap(), 7);
        assert_eq!(DELIVERED.load(Ordering::Relaxed), 0);

        let mask = change_mask(libc::SIG_BLOCK, &only_sigpipe());
        raise();
        assert_eq!(quietly(|| Ok(7)).unwrap(), 7);
        assert!(is_pending(), "it is its sender's");
        change_mask(libc::SIG_SETMASK, &mask);
        assert_eq!(DELIVERED.load(Ordering::Relaxed), 1);
        // SAFETY: as it was.
        unsafe { libc::signal(libc::SIGPIPE, before) };
    }
}
