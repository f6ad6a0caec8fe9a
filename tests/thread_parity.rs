//! What `std::thread` and `std::sync::Barrier` have and sockets do not use: each item is named with std's module and with ours,
//! and does the same.

mod support;

use dormouse::{Builder, spawn, thread};
use std::collections::HashSet;
use std::hash::Hash;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, run};

/// Every item with its signature; compiles or does not.
macro_rules! items {
    ($name:ident, $thread:path, $sync:path, $thread_local:path) => {
        #[allow(dead_code, deprecated, trivial_bounds, clippy::type_complexity)]
        mod $name {
            use $sync as sync;
            use $thread as thread;
            use $thread_local as declare;
            use std::cell::{Cell, RefCell};
            use std::error::Error;
            use std::fmt::{Debug, Display};
            use std::hash::Hash;
            use std::panic::{RefUnwindSafe, UnwindSafe};
            use std::{io, num::NonZero, time::Duration};
            use thread::{AccessError, JoinHandle, LocalKey, Scope, ScopedJoinHandle, Thread, ThreadId};

            declare! {}
            declare!(static LAST: u8 = 1);
            declare! {
                #[allow(unused)]
                pub static ONE: Cell<u8> = const { Cell::new(1) };
                static TWO: RefCell<Vec<u8>> = RefCell::new(Vec::new());
            }

            fn functions() {
                let _: fn() -> io::Result<NonZero<usize>> = thread::available_parallelism;
                let _: fn() -> Thread = thread::current;
                let _: fn() -> bool = thread::panicking;
                let _: fn() = thread::park;
                let _: fn(Duration) = thread::park_timeout;
                let _: fn(u32) = thread::park_timeout_ms;
                let _: fn(Duration) = thread::sleep;
                let _: fn(u32) = thread::sleep_ms;
                let _: fn() = thread::yield_now;
                let _: fn(fn() -> u8) -> JoinHandle<u8> = thread::spawn;
                let _: thread::Result<u8> = Ok(1);
                let _: std::thread::Result<u8> = thread::Result::Ok(1);
            }

            fn scope<'env, F, T>(f: F) -> T
            where
                F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
            {
                thread::scope::<'env, F, T>(f)
            }

            fn scoped<'scope, 'env, F, T>(s: &'scope Scope<'scope, 'env>, f: F, g: F, b: thread::Builder)
            where
                F: FnOnce() -> T + Send + 'scope,
                T: Send + 'scope,
            {
                let handle: ScopedJoinHandle<'scope, T> = s.spawn(f);
                let _: io::Result<ScopedJoinHandle<'scope, T>> = b.spawn_scoped(s, g);
                let _: (&Thread, bool) = (handle.thread(), handle.is_finished());
                let _: thread::Result<T> = handle.join();
            }

            unsafe fn builder<F: FnOnce() -> T + Send, T: Send>(f: F) -> io::Result<JoinHandle<T>> {
                let _: fn() -> thread::Builder = thread::Builder::new;
                let _: fn(thread::Builder, String) -> thread::Builder = thread::Builder::name;
                let _: fn(thread::Builder, usize) -> thread::Builder = thread::Builder::stack_size;
                let _: fn(thread::Builder, fn() -> u8) -> io::Result<JoinHandle<u8>> = thread::Builder::spawn;
                // SAFETY: the caller's word.
                unsafe { thread::Builder::new().spawn_unchecked(f) }
            }

            fn handles() {
                let _: fn(JoinHandle<u8>) -> thread::Result<u8> = JoinHandle::join;
                let _: fn(&JoinHandle<u8>) -> &Thread = JoinHandle::thread;
                let _: fn(&JoinHandle<u8>) -> bool = JoinHandle::is_finished;
                let _: fn(&Thread) = Thread::unpark;
                let _: fn(&Thread) -> ThreadId = Thread::id;
                let _: fn(&Thread) -> Option<&str> = Thread::name;
            }

            fn keys<T: 'static, C: Copy + Default + 'static>(
                key: &'static LocalKey<T>,
                cell: &'static LocalKey<Cell<C>>,
                ref_cell: &'static LocalKey<RefCell<C>>,
            ) {
                let _: bool = key.with(|_: &T| true);
                let _: Result<bool, AccessError> = key.try_with(|_: &T| true);
                cell.set(cell.get());
                let _: (C, C) = (cell.take(), cell.replace(C::default()));
                ref_cell.set(ref_cell.with_borrow(|value: &C| *value));
                let _: C = ref_cell.with_borrow_mut(|value: &mut C| *value);
                let _: (C, C) = (ref_cell.take(), ref_cell.replace(C::default()));
            }

            fn barrier() {
                static MADE: sync::Barrier = sync::Barrier::new(2);
                let _: fn(&sync::Barrier) -> sync::BarrierWaitResult = sync::Barrier::wait;
                let _: fn(&sync::BarrierWaitResult) -> bool = sync::BarrierWaitResult::is_leader;
            }

            fn is()
            where
                JoinHandle<u8>: Debug + Send + Sync + Unpin,
                JoinHandle<*mut u8>: Send + Sync,
                ScopedJoinHandle<'static, u8>: Debug + Send + Sync + Unpin,
                Scope<'static, 'static>: Debug + Send + Sync + Unpin + RefUnwindSafe,
                Thread: Clone + Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
                ThreadId: Copy + Eq + Hash + Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
                thread::Builder: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
                AccessError: Copy + Eq + Debug + Display + Error + Send + Sync + UnwindSafe + RefUnwindSafe,
                LocalKey<*mut u8>: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
                sync::Barrier: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
                sync::BarrierWaitResult: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
            {
            }
        }
    };
}

items!(of_std, std::thread, std::sync, std::thread_local);
items!(of_dormouse, dormouse::thread, dormouse::sync, dormouse::thread_local);

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

/// std says so of everybody on the thread while one is suspended in a Drop of its unwind.
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
            assert!(std::thread::panicking() && !thread::panicking());
            assert!(!spawn(thread::panicking).join().unwrap());
            let cancelled = spawn(|| {
                let _on_drop = OnDrop(|| assert!(thread::panicking(), "what was thrown into it is its own"));
                thread::park();
            });
            thread::yield_now();
            cancelled.cancel();
            // Until it is certain who unwinds, nothing is thrown.
            thread::yield_now();
            assert!(!cancelled.is_finished());
            done.store(true, SeqCst);
            assert!(other.join().is_err() && cancelled.join().is_err());
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
