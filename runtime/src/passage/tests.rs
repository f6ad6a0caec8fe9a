//! What a model cannot show: real threads, and a child of fork.

#![allow(unsafe_code)]

use super::*;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

#[test]
fn many_are_inside_together_and_one_is_alone() {
    let (passage, together) = (Passage::new(), AtomicUsize::new(0));
    let both = (passage.enter(), passage.enter());
    drop(both);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for turn in 0..2_000 {
                    if turn % 5 == 0 {
                        let _alone = passage.enter_alone();
                        assert_eq!(together.load(Ordering::Relaxed), 0);
                    } else {
                        let _inside = passage.enter();
                        together.fetch_add(1, Ordering::Relaxed);
                        together.fetch_sub(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

#[test]
fn who_waits_to_be_alone_keeps_newcomers_out() {
    let passage = Passage::new();
    let inside = passage.enter();
    let (says, said) = channel();
    std::thread::scope(|scope| {
        let alone = says.clone();
        scope.spawn(|| {
            let _alone = passage.enter_alone();
            alone.send("alone").unwrap();
            drop(alone);
        });
        let start = Instant::now();
        while passage.0.load(Ordering::Relaxed) & ALONE == 0 && start.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        scope.spawn(|| {
            let _inside = passage.enter();
            says.send("inside").unwrap();
            drop(says);
        });
        let early = said.recv_timeout(Duration::from_millis(20));
        drop(inside);
        assert!(early.is_err(), "{early:?} while somebody is inside");
        assert_eq!(said.iter().collect::<Vec<_>>(), ["alone", "inside"]);
    });
}

/// Forks; whether `f` came to its end in the child, within some seconds. It may not allocate, nor panic.
fn in_child(f: impl FnOnce()) -> bool {
    // SAFETY: the child does what `f` does and ends.
    let child = unsafe { libc::fork() };
    assert_ne!(child, -1);
    if child == 0 {
        // SAFETY: takes an integer; the signal it sends kills.
        unsafe { libc::alarm(10) };
        f();
        // SAFETY: ends the child, and runs nothing of its parent's.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: writes the status; the child is ours.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

/// A thread is inside for good, as far as the child can tell.
#[test]
fn a_child_of_fork_finds_nobody_inside() {
    let passage = Passage::new();
    let (entered, leave) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _inside = passage.enter();
            entered.wait();
            leave.wait();
        });
        entered.wait();
        let ended = in_child(|| {
            drop(passage.enter_alone());
            drop((passage.enter(), passage.enter()));
            drop(passage.enter_alone());
        });
        leave.wait();
        assert!(ended, "it waits for a thread that it does not have");
    });
    drop(passage.enter_alone());
}
