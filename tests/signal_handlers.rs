//! What else is there for a signal: what was there before listeners came, and what takes the place of their handler.

#[path = "support/seccomp.rs"]
mod seccomp;
mod support;

use dormouse::signal::{self, Signals};
use dormouse::{run, spawn, thread};
use seccomp::answer_calls;
use std::sync::Barrier;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::{child, threads, threads_become};

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

/// A sandbox may end a program that makes a call it never made before.
#[test]
fn where_no_handler_was_nothing_is_asked_of_the_kernel_for_it() {
    let ended = child("where_no_handler_was_nothing_is_asked_of_the_kernel_for_it", 20, || {
        let signals = Signals::new(&[signal::SIGUSR1]).unwrap();
        let (raised, was_raised) = channel();
        std::thread::spawn(move || {
            answer_calls(libc::SYS_sigaltstack, libc::SECCOMP_RET_KILL_PROCESS);
            raise(signal::SIGUSR1);
            raised.send(()).unwrap();
            // The end of a thread of std makes that call.
            loop {
                std::thread::park();
            }
        });
        was_raised.recv().unwrap();
        assert_eq!(signals.try_wait().unwrap(), Some(signal::SIGUSR1));
    });
    ended.succeeded();
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

/// Where `leaves` goes to, and what `raises` raises.
static WAY_OUT: AtomicPtr<libc::ucontext_t> = AtomicPtr::new(std::ptr::null_mut());
static TO_RAISE: AtomicI32 = AtomicI32::new(0);
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// A handler that does not return, as one that calls siglongjmp(3).
extern "C" fn leaves(_: libc::c_int) {
    LEFT.fetch_add(1, SeqCst);
    // SAFETY: the context was left by `raise_away`, which waits there. What lies between owns nothing.
    unsafe { libc::setcontext(WAY_OUT.load(SeqCst)) };
}

/// What no call sets errno to.
const UNTOUCHED: i32 = 4000;

/// The errno of this thread.
fn errno() -> *mut libc::c_int {
    // SAFETY: always there.
    unsafe { libc::__errno_location() }
}

extern "C" fn raises() {
    // SAFETY: of this thread.
    unsafe { *errno() = UNTOUCHED };
    raise(TO_RAISE.load(SeqCst));
}

/// Sends a signal to this thread, whose handler may leave or not, and gives the errno after it. For one thread at a time.
fn raise_away(signal: i32) -> i32 {
    let mut stack = vec![0u8; 256 << 10];
    // SAFETY: two zeroed contexts are there to be written to.
    let [mut here, mut away]: [libc::ucontext_t; 2] = unsafe { std::mem::zeroed() };
    WAY_OUT.store(&raw mut here, SeqCst);
    TO_RAISE.store(signal, SeqCst);
    // SAFETY: the context lives for the call, and is not gone to before it is made one of `raises`.
    assert_eq!(unsafe { libc::getcontext(&raw mut away) }, 0);
    (away.uc_stack.ss_sp, away.uc_stack.ss_size, away.uc_link) =
        (stack.as_mut_ptr().cast(), stack.len(), &raw mut here);
    // SAFETY: the function takes no arguments, and its stack outlives it.
    unsafe { libc::makecontext(&raw mut away, raises, 0) };
    // SAFETY: comes back once, by the handler or by the link.
    assert_eq!(unsafe { libc::swapcontext(&raw mut here, &raw const away) }, 0);
    // SAFETY: of this thread.
    unsafe { *errno() }
}

/// Installs a handler for another signal than SIGUSR1, too.
fn install_for(signal: i32, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: a zeroed action is a valid one.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    (action.sa_sigaction, action.sa_flags) = (handler as *const () as usize, libc::SA_ONSTACK);
    // SAFETY: the action lives for the call.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
}

#[test]
fn a_handler_that_leaves_is_called_each_time_and_so_are_others() {
    let ended = child("a_handler_that_leaves_is_called_each_time_and_so_are_others", 20, || {
        install_for(signal::SIGUSR1, leaves);
        install_for(signal::SIGUSR2, first);
        let signals = Signals::new(&[signal::SIGUSR1, signal::SIGUSR2]).unwrap();
        for round in 1..=20 {
            assert_eq!(raise_away(signal::SIGUSR1), UNTOUCHED);
            assert_eq!((signals.wait().unwrap(), LEFT.load(SeqCst)), (signal::SIGUSR1, round));
            assert_eq!(raise_away(signal::SIGUSR2), UNTOUCHED);
            assert_eq!((signals.wait().unwrap(), FIRST.load(SeqCst)), (signal::SIGUSR2, round));
        }
    });
    ended.succeeded();
}

/// More threads than may be in a handler at a time; what they leave behind when they end is not lost. To find it, calls fail: the
/// program is not to see that in its errno.
#[test]
fn threads_that_end_after_a_handler_has_left_are_in_nobodys_way() {
    let ended = child("threads_that_end_after_a_handler_has_left_are_in_nobodys_way", 60, || {
        install_for(signal::SIGUSR1, leaves);
        let signals = Signals::new(&[signal::SIGUSR1]).unwrap();
        let crowd = |stack_size: usize| {
            let (count, end, turn) = (250, Barrier::new(251), std::sync::Mutex::new(()));
            std::thread::scope(|s| {
                let away = || {
                    let taken = turn.lock().unwrap();
                    let errno = raise_away(signal::SIGUSR1);
                    drop(taken);
                    end.wait();
                    errno
                };
                let start = |_| std::thread::Builder::new().stack_size(stack_size).spawn_scoped(s, away).unwrap();
                let threads: Vec<_> = (0..count).map(start).collect();
                end.wait();
                assert!(threads.into_iter().all(|thread| thread.join().unwrap() == UNTOUCHED));
            });
            count
        };
        let before = threads();
        for round in 1..=3 {
            // Of another size each time: they are not to be where those of the last round were.
            assert_eq!(round * crowd(round * (192 << 10)), LEFT.load(SeqCst));
            assert_eq!(signals.wait().unwrap(), signal::SIGUSR1);
            // The scope is left before they have ended.
            threads_become(before);
        }
    });
    ended.succeeded();
}
