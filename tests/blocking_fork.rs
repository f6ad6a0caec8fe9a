//! A child of fork(2) inherits the pools of threads without the threads: it makes its calls on threads of its own.

mod support;

use dormouse_runtime::blocking;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use support::run;
use support::*;

const PATIENCE: Duration = Duration::from_secs(5);

/// Whether `f` holds in a child, which ends without doing anything else.
fn holds_in_fork(f: impl FnOnce() -> bool) -> bool {
    // SAFETY: the allocator is the only thing the child shares with other threads of this process, and libc sees to it.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        let held = catch_unwind(AssertUnwindSafe(f)).unwrap_or(false);
        // SAFETY: ends the process; nothing runs after it.
        unsafe { libc::_exit(i32::from(!held)) };
    }
    let mut status = 0;
    // SAFETY: the status lives for the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

/// Whether calls of both kinds are made.
fn answers() -> bool {
    let (says, said) = channel();
    blocking::hand_over(move || says.send(8).unwrap());
    let answer = run(|| blocking::run_until(Some(Instant::now() + PATIENCE), || 7));
    answer.is_ok_and(|answer| answer == 7) && said.recv_timeout(PATIENCE) == Ok(8)
}

#[test]
fn a_child_does_not_wait_for_the_idle_threads_of_its_parent() {
    let ended = child("a_child_does_not_wait_for_the_idle_threads_of_its_parent", 60, || {
        assert!(answers());
        // At the first one the threads may not be idle yet.
        for round in 0..5 {
            assert!(holds_in_fork(answers), "round {round}");
        }
        assert!(holds_in_fork(|| answers() && holds_in_fork(answers)), "a child of a child");
        assert!(answers());
    });
    ended.succeeded();
}

#[test]
fn a_call_may_fork() {
    let ended = child("a_call_may_fork", 60, || {
        assert!(answers());
        for round in 0..5 {
            assert!(run(|| blocking::run(|| holds_in_fork(answers)).unwrap()), "round {round}");
        }
        assert!(answers());
    });
    ended.succeeded();
}

/// Occupies all threads of a pool until what it gives is dropped.
fn occupy() -> Vec<Sender<()>> {
    let occupied = |_| {
        let ((open, opens), (begun, begins)) = (channel::<()>(), channel());
        blocking::hand_over(move || {
            begun.send(()).unwrap();
            let _ = opens.recv_timeout(Duration::from_secs(30));
        });
        (open, begins)
    };
    let (open, begins): (Vec<_>, Vec<Receiver<()>>) = (0..512).map(occupied).unzip();
    begins.iter().for_each(|begins| begins.recv_timeout(PATIENCE).unwrap());
    open
}

#[test]
fn a_child_makes_none_of_the_calls_that_wait_in_its_parent() {
    let ended = child("a_child_makes_none_of_the_calls_that_wait_in_its_parent", 60, || {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let open = occupy();
        blocking::hand_over(|| assert_eq!(MADE.fetch_add(1, SeqCst), 0));
        assert!(holds_in_fork(|| answers() && MADE.load(SeqCst) == 0));
        assert_eq!(MADE.load(SeqCst), 0);
        drop(open);
        eventually(5, "the parent makes it", || MADE.load(SeqCst) == 1);
    });
    ended.succeeded();
}
