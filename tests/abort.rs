//! An abort that comes of an unwind names the coroutine: a panic in a Drop while a cancellation or a panic unwinds, a payload
//! whose Drop panics.

mod support;

use dormouse::{Builder, spawn, thread};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use support::{Ended, OnDrop, child, message, run};

#[track_caller]
fn is_named(ended: &Ended, name: &str) {
    let said = format!("dormouse: coroutine '{name}', spawned at tests/abort.rs:");
    ended.said(&["in the drop", &said, "aborts the process by a panic while it unwinds"]);
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
}

/// Panics when dropped.
fn bomb() -> OnDrop<impl FnMut()> {
    OnDrop(|| panic!("in the drop"))
}

#[test]
fn a_panic_in_a_drop_during_a_cancellation() {
    let ended = child("a_panic_in_a_drop_during_a_cancellation", 10, || {
        run(|| {
            let body = || {
                let _bomb = bomb();
                thread::park();
            };
            let doomed = thread::Builder::new().name("doomed".into()).spawn(body).unwrap();
            thread::yield_now();
            doomed.cancel();
            let _ = doomed.join();
        });
    });
    is_named(&ended, "doomed");
}

#[test]
fn a_panic_in_a_drop_at_shutdown_on_another_worker() {
    let ended = child("a_panic_in_a_drop_at_shutdown_on_another_worker", 10, || {
        let workers = Builder::new().workers(2);
        let main = std::thread::current().id();
        let body = move || {
            let parked: Vec<_> = (0..100)
                .map(|_| {
                    let body = move || {
                        let _bomb = (std::thread::current().id() != main).then(bomb);
                        thread::park();
                    };
                    thread::Builder::new().name("afar".into()).spawn(body).unwrap()
                })
                .collect();
            thread::sleep(std::time::Duration::from_millis(20));
            drop(parked);
        };
        workers.run(body).unwrap();
    });
    is_named(&ended, "afar");
}

#[test]
fn a_panic_in_a_drop_during_a_panic() {
    let ended = child("a_panic_in_a_drop_during_a_panic", 10, || {
        let body = || {
            let _bomb = bomb();
            panic!("first");
        };
        let _ = thread::Builder::new().name("twice".into()).spawn(body).unwrap().join();
    });
    is_named(&ended, "twice");
    ended.said(&["first"]);
}

/// Whoever asks for it needs no comment.
#[test]
fn an_abort_without_an_unwind_is_left_alone() {
    let ended = child("an_abort_without_an_unwind_is_left_alone", 10, || run(|| std::process::abort()));
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
    assert!(!ended.stderr.contains("dormouse"), "{}", ended.stderr);
}

#[test]
fn one_of_a_plain_thread_is_left_alone() {
    let ended = child("one_of_a_plain_thread_is_left_alone", 10, || {
        run(|| ());
        let _bomb = bomb();
        panic!("first");
    });
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
    assert!(!ended.stderr.contains("dormouse: "), "{}", ended.stderr);
}

extern "C" fn earlier(_: libc::c_int) {
    // SAFETY: async-signal-safe.
    unsafe { libc::_exit(44) };
}

#[test]
fn the_handler_that_was_there_before_is_called() {
    let ended = child("the_handler_that_was_there_before_is_called", 10, || {
        let handler: extern "C" fn(libc::c_int) = earlier;
        // SAFETY: the handler does what one may.
        unsafe { libc::signal(libc::SIGABRT, handler as usize) };
        run(|| std::process::abort());
    });
    assert_eq!(ended.status.code(), Some(44), "{}", ended.stderr);
}

/// As the payload of a panic.
struct Payload(#[allow(dead_code, reason = "dropped, and nothing else")] OnDrop<fn()>);

fn fail_with_a_bomb() {
    panic_any(Payload(OnDrop(|| panic!("in the drop"))));
}

#[test]
fn a_payload_that_panics_when_dropped_by_its_joiner_is_the_joiners() {
    let ended = child("a_payload_that_panics_when_dropped_by_its_joiner_is_the_joiners", 10, || {
        run(|| {
            let payload = spawn(fail_with_a_bomb).join().unwrap_err();
            let panic = catch_unwind(AssertUnwindSafe(|| drop(payload))).unwrap_err();
            assert_eq!(message(&*panic), "in the drop");
            spawn(|| ()).join().unwrap();
        });
    });
    ended.succeeded();
}

/// As std's: nobody could be told.
#[test]
fn a_payload_that_panics_when_dropped_by_nobody_aborts() {
    let ended = child("a_payload_that_panics_when_dropped_by_nobody_aborts", 10, || {
        run(|| {
            drop(spawn(fail_with_a_bomb));
            thread::yield_now();
        });
    });
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
    ended.said(&["in the drop", "result of a coroutine panicked when dropped"]);
}

#[test]
fn a_payload_that_panics_when_dropped_by_a_scope_aborts() {
    let ended = child("a_payload_that_panics_when_dropped_by_a_scope_aborts", 10, || {
        run(|| {
            thread::scope(|scope| {
                scope.spawn(fail_with_a_bomb);
            });
        });
    });
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
    ended.said(&["in the drop"]);
}
