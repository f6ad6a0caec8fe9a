//! Calls that are spawned on the pool of threads: joined, detached, cancelled, and held back while the queue is full.

mod support;

use dormouse::thread::{no_park, spawn_blocking, yield_now};
use dormouse::{Cancelled, blocking, spawn, spawn_local};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use support::*;

/// The most calls that wait for a thread without anybody waiting for them.
const UNATTENDED: usize = 1024;

/// A call that says it has begun and lasts until its gate is opened; and what opens the gate.
fn gate() -> (Sender<()>, Receiver<()>, impl FnOnce() + Send + 'static) {
    let ((open, opens), (begun, begins)) = (channel::<()>(), channel());
    let call = move || {
        let _ = begun.send(());
        let _ = opens.recv_timeout(Duration::from_secs(30));
    };
    (open, begins, call)
}

/// Has `count` calls begun that last until what this gives is dropped.
fn occupy(count: usize) -> Vec<Sender<()>> {
    let begin = |_| {
        let (open, begins, call) = gate();
        drop(spawn_blocking(call));
        begins.recv_timeout(Duration::from_secs(10)).unwrap();
        open
    };
    (0..count).map(begin).collect()
}

#[test]
fn blocking_gives_the_result_and_leaves_the_worker_to_others() {
    bounded(20, || {
        run(|| {
            let worker = std::thread::current().id();
            let (open, begins, call) = gate();
            let waits = spawn_local(move || {
                blocking(move || {
                    call();
                    std::thread::current().id()
                })
            });
            eventually(5, "the call begins", || begins.try_recv().is_ok());
            (0..100).for_each(|_| yield_now());
            drop(open);
            assert_ne!(waits.join().unwrap(), worker);
        });
        let own = std::thread::current().id();
        assert_eq!(blocking(|| std::thread::current().id()), own, "a plain thread makes its call itself");
    });
}

#[test]
fn it_is_joined_from_a_coroutine_and_from_a_plain_thread() {
    bounded(20, || {
        let own = std::thread::current().id();
        let elsewhere = spawn_blocking(|| std::thread::current().id()).join().unwrap();
        assert_ne!(own, elsewhere);
        let handle = run(|| {
            let sum: usize = (0..50).map(|n| spawn_blocking(move || n)).map(|call| call.join().unwrap()).sum();
            assert_eq!(sum, 49 * 50 / 2);
            spawn_blocking(|| "outlives the runtime")
        });
        assert_eq!(handle.join().unwrap(), "outlives the runtime");
    });
}

#[test]
fn a_join_parks() {
    bounded(20, || {
        run(|| {
            let (open, begins, call) = gate();
            let handle = spawn_blocking(call);
            let waits = spawn_local(move || handle.join().unwrap());
            eventually(5, "the call begins", || begins.try_recv().is_ok());
            (0..100).for_each(|_| yield_now());
            assert!(!waits.is_finished());
            drop(open);
            waits.join().unwrap();
        });
    });
}

#[test]
fn a_panic_comes_out_of_join() {
    bounded(20, || {
        run(|| {
            let panicked = spawn_blocking(|| -> () { panic!("as planned") }).join();
            assert_eq!(message(&*panicked.unwrap_err()), "as planned");
            assert_eq!(spawn_blocking(|| 7).join().unwrap(), 7);
        });
    });
}

#[test]
fn a_dropped_handle_detaches() {
    bounded(20, || {
        let (says, said) = channel();
        run(move || {
            let (open, begins, call) = gate();
            let later = says.clone();
            drop(spawn_blocking(move || {
                call();
                later.send(1).unwrap();
            }));
            eventually(5, "the call begins", || begins.try_recv().is_ok());
            drop(spawn_blocking(move || says.send(0).unwrap()));
            std::mem::drop(open);
        });
        let mut all: Vec<i32> = (0..2).map(|_| said.recv_timeout(Duration::from_secs(5)).unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
    });
}

/// Counts, and panics, when dropped.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        panic!("dropped");
    }
}

#[test]
fn a_result_that_nobody_takes_is_dropped_once_and_ends_no_thread() {
    bounded(20, || {
        let drops = Arc::new(AtomicUsize::new(0));
        let (open, begins, call) = gate();
        let bomb = Bomb(Arc::clone(&drops));
        let before = spawn_blocking(move || {
            call();
            bomb
        });
        begins.recv_timeout(Duration::from_secs(5)).unwrap();
        drop(before);
        drop(open);
        eventually(5, "it is dropped where it was made", || drops.load(SeqCst) == 1);
        let bomb = Bomb(Arc::clone(&drops));
        let after = spawn_blocking(move || bomb);
        eventually(5, "the call ends", || after.is_finished());
        drop(after);
        assert_eq!(drops.load(SeqCst), 2);
        assert_eq!(spawn_blocking(|| 3).join().unwrap(), 3);
    });
}

#[test]
fn a_cancelled_join_leaves_the_call_alone() {
    bounded(20, || {
        run(|| {
            let (open, begins, call) = gate();
            let (says, said) = channel();
            let handle = spawn_blocking(move || {
                call();
                says.send(()).unwrap();
            });
            let waits = spawn_local(move || handle.join());
            eventually(5, "the call begins", || begins.try_recv().is_ok());
            waits.cancel();
            assert!(is_cancelled(&waits.join()));
            drop(open);
            eventually(5, "the call ends by itself", || said.try_recv().is_ok());
        });
    });
}

#[test]
fn a_call_that_has_not_begun_can_be_cancelled() {
    let ended = child("a_call_that_has_not_begun_can_be_cancelled", 60, || {
        dormouse::blocking::set_limit(1);
        let held = Arc::new(());
        let (open, begins, call) = gate();
        let first = spawn_blocking(call);
        begins.recv_timeout(Duration::from_secs(5)).unwrap();
        let inside = Arc::clone(&held);
        let second = spawn_blocking(move || -> () { unreachable!("called, with {inside:?}") });
        second.cancel();
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(second.join().unwrap_err().is::<Cancelled>());
        first.cancel();
        assert!(!first.is_finished());
        drop(open);
        first.join().unwrap();
    });
    ended.succeeded();
}

#[test]
fn whoever_spawns_parks_while_the_queue_is_full() {
    let ended = child("whoever_spawns_parks_while_the_queue_is_full", 60, || {
        dormouse::blocking::set_limit(2);
        run(|| {
            let open = occupy(2);
            let (spawned, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (counts, calls) = (Arc::clone(&spawned), Arc::clone(&made));
            let spawns = spawn(move || {
                for _ in 0..UNATTENDED + 100 {
                    let calls = Arc::clone(&calls);
                    drop(spawn_blocking(move || calls.fetch_add(1, SeqCst)));
                    counts.fetch_add(1, SeqCst);
                }
            });
            eventually(10, "the queue is full", || spawned.load(SeqCst) == UNATTENDED);
            (0..100).for_each(|_| yield_now());
            assert_eq!((spawned.load(SeqCst), made.load(SeqCst)), (UNATTENDED, 0));
            // A plain thread waits, too; a cancelled coroutine drops its closure; whoever may not park is told.
            let thread = std::thread::spawn(|| spawn_blocking(|| 5).join().unwrap());
            let held = Arc::new(());
            let inside = Arc::clone(&held);
            let cancelled = spawn_local(move || spawn_blocking(move || unreachable!("called, with {inside:?}")));
            yield_now();
            cancelled.cancel();
            assert!(is_cancelled(&cancelled.join()));
            assert_eq!(Arc::strong_count(&held), 1);
            catch_unwind(AssertUnwindSafe(|| no_park(|| drop(spawn_blocking(|| ()))))).unwrap_err();
            drop(open);
            spawns.join().unwrap();
            eventually(10, "all are made", || made.load(SeqCst) == UNATTENDED + 100);
            assert_eq!(thread.join().unwrap(), 5);
        });
    });
    ended.succeeded();
}

/// Those who wait for their own call do not wait for a place in the queue, and do not wait for those who do.
#[test]
fn a_full_queue_does_not_hold_up_those_who_wait_for_their_call() {
    let ended = child("a_full_queue_does_not_hold_up_those_who_wait_for_their_call", 60, || {
        dormouse::blocking::set_limit(2);
        run(|| {
            let mut open = occupy(2);
            (0..UNATTENDED).for_each(|_| drop(spawn_blocking(|| ())));
            let waits = spawn_local(|| blocking(|| 7));
            yield_now();
            open.pop();
            assert_eq!(waits.join().unwrap(), 7);
        });
    });
    ended.succeeded();
}

#[test]
fn calls_that_spawn_calls_do_not_wait_for_a_place() {
    let ended = child("calls_that_spawn_calls_do_not_wait_for_a_place", 60, || {
        dormouse::blocking::set_limit(1);
        let made = Arc::new(AtomicUsize::new(0));
        let calls = Arc::clone(&made);
        let spawns = spawn_blocking(move || {
            for _ in 0..2 * UNATTENDED {
                let calls = Arc::clone(&calls);
                drop(spawn_blocking(move || calls.fetch_add(1, SeqCst)));
            }
        });
        spawns.join().unwrap();
        eventually(10, "all are made", || made.load(SeqCst) == 2 * UNATTENDED);
    });
    ended.succeeded();
}

#[test]
fn the_limit_bounds_the_threads() {
    let ended = child("the_limit_bounds_the_threads", 60, || {
        let before = threads();
        drop(occupy(20));
        dormouse::blocking::set_limit(3);
        threads_become(before + 3);
        let open = occupy(3);
        let fourth = spawn_blocking(|| 4);
        assert!(!fourth.is_finished());
        assert_eq!(threads(), before + 3);
        dormouse::blocking::set_limit(4);
        assert_eq!(fourth.join().unwrap(), 4);
        threads_become(before + 4);
        drop(open);
    });
    ended.succeeded();
    assert!(catch_unwind(|| dormouse::blocking::set_limit(0)).is_err());
}

#[test]
fn a_child_of_fork_has_the_limit_of_its_parent_and_none_of_its_calls() {
    let ended = child("a_child_of_fork_has_the_limit_of_its_parent_and_none_of_its_calls", 60, || {
        dormouse::blocking::set_limit(1);
        let _open = occupy(1);
        let of_parent = spawn_blocking(|| ());
        // SAFETY: the allocator is the only thing the child shares with other threads of this process, and libc sees to
        // it.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let held = catch_unwind(AssertUnwindSafe(|| {
                let open = occupy(1);
                let waits = spawn_blocking(|| ());
                let before = threads();
                drop(open);
                waits.join().unwrap();
                assert!(catch_unwind(AssertUnwindSafe(|| of_parent.join())).is_err(), "nobody makes the call here");
                before == 2
            }));
            // SAFETY: ends the process; nothing runs after it.
            unsafe { libc::_exit(i32::from(held.is_err() || held.is_ok_and(|held| !held))) };
        }
        let mut status = 0;
        // SAFETY: the status lives for the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    });
    ended.succeeded();
}
