//! What `std::thread` has and sockets do not use does the same: who panics, who is who, and the older names. That nothing of it
//! is left out is for `parity.rs`.

mod support;

use dormouse::{Builder, spawn, thread};
use std::collections::HashSet;
use std::hash::Hash;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, run};

fn unwinds(f: impl FnOnce() + Send + 'static) {
    assert!(spawn(f).join().is_err());
}

#[test]
fn panicking_is_true_of_whoever_unwinds() {
    bounded(10, || {
        assert!(!thread::panicking());
        let caught = std::thread::spawn(|| {
            let _on_drop = OnDrop(|| assert!(thread::panicking()));
            resume_unwind(Box::new(1));
        });
        assert!(caught.join().is_err());
        run(|| {
            assert!(!thread::panicking());
            unwinds(|| {
                let _on_drop = OnDrop(|| {
                    assert!(thread::panicking());
                    thread::sleep(Duration::from_millis(1));
                    assert!(thread::panicking());
                });
                resume_unwind(Box::new(1));
            });
            let cancelled = spawn(|| {
                let _on_drop = OnDrop(|| assert!(thread::panicking()));
                thread::park();
            });
            thread::yield_now();
            cancelled.cancel();
            assert!(cancelled.join().is_err());
            assert!(!thread::panicking());
        });
    });
}

/// One is suspended in a Drop of its unwind: std counts it to nobody else, and another is cancelled meanwhile.
#[test]
fn panicking_is_false_of_whoever_only_shares_the_worker() {
    bounded(10, || {
        run(|| {
            let (suspended, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let (tells, waits) = (Arc::clone(&suspended), Arc::clone(&done));
            let other = spawn(move || {
                let _on_drop = OnDrop(|| {
                    tells.store(true, SeqCst);
                    while !waits.load(SeqCst) {
                        thread::yield_now();
                    }
                });
                resume_unwind(Box::new(1));
            });
            while !suspended.load(SeqCst) {
                thread::yield_now();
            }
            assert!(!std::thread::panicking() && !thread::panicking());
            assert!(!spawn(thread::panicking).join().unwrap());
            let cancelled = spawn(|| {
                let _on_drop = OnDrop(|| assert!(thread::panicking(), "what was thrown into it is its own"));
                thread::park();
            });
            thread::yield_now();
            cancelled.cancel();
            assert!(cancelled.join().is_err() && !other.is_finished());
            done.store(true, SeqCst);
            assert!(other.join().is_err());
            assert!(!thread::panicking());
        });
    });
}

#[test]
fn identities_are_unique_and_stay() {
    fn insert<T: Hash + Eq + Copy>(ids: &mut HashSet<T>, id: T) {
        assert!(ids.insert(id));
    }
    bounded(10, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let mut ids = HashSet::new();
                insert(&mut ids, thread::current().id());
                for _ in 0..100 {
                    let handle = spawn(|| {
                        let before = thread::current().id();
                        thread::yield_now();
                        assert_eq!(before, thread::current().id());
                        before
                    });
                    let id = handle.thread().id();
                    assert_eq!(handle.join().unwrap(), id);
                    insert(&mut ids, id);
                }
                insert(&mut ids, std::thread::spawn(|| thread::current().id()).join().unwrap());
                thread::scope(|s| insert(&mut ids, s.spawn(|| thread::current().id()).join().unwrap()));
                assert!(format!("{:?}", thread::current().id()).starts_with("ThreadId("));
            })
            .unwrap();
    });
}

#[test]
#[allow(deprecated)]
fn milliseconds_are_milliseconds() {
    bounded(10, || {
        let body = || {
            let start = Instant::now();
            thread::sleep_ms(2);
            thread::park_timeout_ms(2);
            assert!(start.elapsed() >= Duration::from_millis(4));
            thread::current().unpark();
            thread::park_timeout_ms(3_600_000);
        };
        body();
        run(body);
    });
    assert_eq!(thread::available_parallelism().unwrap(), std::thread::available_parallelism().unwrap());
}

#[test]
fn spawn_unchecked_borrows() {
    bounded(10, || {
        let body = || {
            let mut text = String::from("lent");
            // SAFETY: joined at once, in a way that nothing cuts short.
            let handle = unsafe { thread::Builder::new().spawn_unchecked(|| text.push('!')) };
            handle.unwrap().join().unwrap();
            assert_eq!(text, "lent!");
        };
        body();
        run(body);
    });
}

/// A panic inside a scope's child is not one of the parent, whatever std says of the thread.
#[test]
fn a_child_s_panic_is_not_its_parent_s() {
    bounded(10, || {
        run(|| {
            let panic = catch_unwind(|| {
                thread::scope(|s| {
                    s.spawn(|| {
                        let _on_drop = OnDrop(|| thread::sleep(Duration::from_millis(1)));
                        resume_unwind(Box::new(1));
                    });
                    thread::yield_now();
                    assert!(!thread::panicking());
                });
            });
            assert_eq!(support::message(&*panic.unwrap_err()), "a scoped thread panicked");
        });
    });
}
