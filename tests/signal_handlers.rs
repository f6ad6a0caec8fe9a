//! What else is there for a signal: what was there before listeners came, and what takes the place of their handler.

mod support;

use dormouse::signal::{self, Signals};
use dormouse::{run, spawn, thread};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::child;

/// Sends a signal to this thread, which has handled it on return.
fn raise(signal: i32) {
    // SAFETY: takes no pointer.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// A handler of other code, with these flags. Gives the one before.
fn install(handler: usize, flags: libc::c_int) -> libc::sigaction {
    // SAFETY: a zeroed action is a valid one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    (action.sa_sigaction, action.sa_flags) = (handler, flags);
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: both live for the call, and the handlers here are async-signal-safe.
    assert_eq!(unsafe { libc::sigaction(signal::SIGUSR1, &raw const action, &raw mut before) }, 0);
    before
}

static FIRST: AtomicUsize = AtomicUsize::new(0);
static SECOND: AtomicUsize = AtomicUsize::new(0);
/// The handler that `second` calls.
static BEFORE_SECOND: AtomicUsize = AtomicUsize::new(0);

extern "C" fn first(_: libc::c_int) {
    FIRST.fetch_add(1, SeqCst);
}

type InfoHandler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Calls the one before, as a good citizen does.
extern "C" fn second(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    SECOND.fetch_add(1, SeqCst);
    let before = BEFORE_SECOND.load(SeqCst);
    if before != 0 {
        // SAFETY: the address of such a handler, which was there before this one.
        let before: InfoHandler = unsafe { std::mem::transmute(before) };
        before(signal, info, context);
    }
}

fn counts() -> (usize, usize) {
    (FIRST.load(SeqCst), SECOND.load(SeqCst))
}

#[test]
fn a_handler_that_took_the_place_of_ours_loses_it_to_the_next_wait_and_is_called() {
    let ended = child("a_handler_that_took_the_place_of_ours_loses_it_to_the_next_wait_and_is_called", 20, || {
        install(first as *const () as usize, 0);
        let signals = Signals::new(&[signal::SIGUSR1]).unwrap();
        let takes = || Signals::new(&[signal::SIGUSR1]).unwrap();
        // One that calls nobody.
        install(second as *const () as usize, libc::SA_SIGINFO);
        raise(signal::SIGUSR1);
        assert_eq!((signals.try_wait().unwrap(), counts()), (None, (0, 1)), "it keeps the signal to itself");
        assert!(signals.wait_timeout(Duration::from_millis(1)).is_err());
        raise(signal::SIGUSR1);
        assert_eq!((signals.wait().unwrap(), counts()), (signal::SIGUSR1, (0, 2)), "it hides the first, as it did");
        // The default ends the process.
        install(libc::SIG_DFL, 0);
        drop(takes());
        raise(signal::SIGUSR1);
        assert_eq!((signals.wait().unwrap(), counts()), (signal::SIGUSR1, (0, 3)));
    });
    ended.succeeded();
}

#[test]
fn handlers_that_call_each_other_come_to_an_end() {
    let ended = child("handlers_that_call_each_other_come_to_an_end", 20, || {
        install(first as *const () as usize, 0);
        let signals = Signals::new(&[signal::SIGUSR1]).unwrap();
        let mut before = counts();
        let mut since = || {
            let now = counts();
            let since = (now.0 - before.0, now.1 - before.1);
            before = now;
            since
        };
        for round in 0..50 {
            let ours = install(second as *const () as usize, libc::SA_SIGINFO);
            BEFORE_SECOND.store(ours.sa_sigaction, SeqCst);
            raise(signal::SIGUSR1);
            assert_eq!(signals.try_wait().unwrap(), Some(signal::SIGUSR1));
            // In place of ours once more, it is called by the kernel and, as one that was there before, by ours.
            assert_eq!(since(), (1, if round == 0 { 1 } else { 2 }));
            // Ours over the second, which calls ours, which calls the first.
            assert!(signals.wait_timeout(Duration::ZERO).is_err());
            raise(signal::SIGUSR1);
            assert_eq!((signals.wait().unwrap(), since()), (signal::SIGUSR1, (1, 1)));
        }
    });
    ended.succeeded();
}

/// A program that ignores SIGCHLD, or has SA_NOCLDWAIT, waits for no child: none is to be left over.
#[test]
fn children_that_leave_nothing_go_on_to_do_so() {
    let ended = child("children_that_leave_nothing_go_on_to_do_so", 20, || {
        for ignored in [true, false] {
            // SAFETY: a zeroed action is a valid one.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = if ignored { libc::SIG_IGN } else { first as *const () as usize };
            action.sa_flags = if ignored { 0 } else { libc::SA_NOCLDWAIT };
            // SAFETY: the action lives for the call.
            assert_eq!(unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut()) }, 0);
            let signals = Signals::new(&[signal::SIGCHLD]).unwrap();
            // SAFETY: the child ends at once.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: ends the process.
                unsafe { libc::_exit(0) };
            }
            assert_eq!(signals.wait().unwrap(), signal::SIGCHLD);
            // SAFETY: asks for no status. Blocks until no child is left, and then fails.
            let waited = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            let error = std::io::Error::last_os_error();
            assert_eq!((waited, error.raw_os_error()), (-1, Some(libc::ECHILD)), "it is left over");
        }
    });
    ended.succeeded();
}

/// A wait that blocks looks once, before it does.
#[test]
fn a_wait_of_a_coroutine_takes_the_place_too() {
    let ended = child("a_wait_of_a_coroutine_takes_the_place_too", 20, || {
        run(|| {
            let signals = Signals::new(&[signal::SIGUSR1]).unwrap();
            install(second as *const () as usize, libc::SA_SIGINFO);
            let waits = spawn(move || signals.wait().unwrap());
            let begin = Instant::now();
            while !waits.is_finished() {
                assert!(begin.elapsed() < Duration::from_secs(10), "it hears nothing");
                thread::sleep(Duration::from_millis(1));
                raise(signal::SIGUSR1);
            }
            assert_eq!(waits.join().unwrap(), signal::SIGUSR1);
        });
    });
    ended.succeeded();
}
