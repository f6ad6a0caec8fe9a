//! `thread_local!`: each coroutine has its own values, and so has each plain thread.

mod support;

use dormouse::thread::{AccessError, LocalKey};
use dormouse::{Builder, Cancelled, spawn, thread, thread_local};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::panic::{catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::{OnDrop, bounded, child, run};

thread_local! {
    static NUMBER: Cell<u32> = const { Cell::new(7) };
    /// Documented.
    #[allow(dead_code)]
    pub(crate) static TEXT: RefCell<String> = RefCell::new(String::from("first"));
    static ADDRESS: Box<u8> = Box::new(0)
}

/// Runs `body` as a coroutine and on a plain thread.
fn both(body: fn()) {
    bounded(20, move || run(body));
    bounded(20, body);
}

#[test]
fn each_coroutine_has_its_own() {
    bounded(20, || {
        Builder::new()
            .workers(2)
            .run(|| {
                NUMBER.set(1);
                let handles: Vec<_> = (0..100)
                    .map(|n| {
                        spawn(move || {
                            assert_eq!(NUMBER.replace(n), 7);
                            thread::yield_now();
                            TEXT.with_borrow_mut(|text| text.push_str(&n.to_string()));
                            thread::sleep(Duration::from_micros(100));
                            assert_eq!((NUMBER.get(), TEXT.take()), (n, format!("first{n}")));
                            ADDRESS.with(|address| &raw const **address as usize)
                        })
                    })
                    .collect();
                handles.into_iter().for_each(|handle| assert_ne!(handle.join().unwrap(), 0));
                assert_eq!(NUMBER.get(), 1);
            })
            .unwrap();
    });
}

#[test]
fn those_alive_together_have_different_places() {
    bounded(20, || {
        run(|| {
            let handles: Vec<_> = (0..20)
                .map(|_| {
                    spawn(|| {
                        let place = ADDRESS.with(|address| std::ptr::from_ref(address) as usize);
                        thread::park();
                        assert_eq!(place, ADDRESS.with(|address| std::ptr::from_ref(address) as usize));
                        place
                    })
                })
                .collect();
            (0..25).for_each(|_| thread::yield_now());
            handles.iter().for_each(|handle| handle.thread().unpark());
            let places: HashSet<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
            assert_eq!(places.len(), 20);
        });
    });
}

#[test]
fn the_thread_and_its_coroutines_do_not_share() {
    bounded(20, || {
        NUMBER.set(20);
        run(|| {
            assert_eq!(NUMBER.get(), 7);
            NUMBER.set(30);
        });
        assert_eq!(NUMBER.get(), 20);
        std::thread::spawn(|| assert_eq!(NUMBER.get(), 7)).join().unwrap();
    });
}

#[test]
fn all_methods_are_as_std_s() {
    both(|| {
        NUMBER.set(3);
        NUMBER.update(|n| n + 1);
        assert_eq!((NUMBER.get(), NUMBER.replace(9), NUMBER.take(), NUMBER.get()), (4, 4, 9, 0));
        assert_eq!(TEXT.replace("second".into()), "first");
        TEXT.set("third".into());
        assert_eq!((TEXT.take().as_str(), TEXT.with_borrow(String::len)), ("third", 0));
        assert!(catch_unwind(|| TEXT.with_borrow(|_| TEXT.set("borrowed".into()))).is_err());
        assert_eq!(TEXT.try_with(|text| text.borrow().clone()), Ok(String::new()));
        assert_eq!(format!("{NUMBER:?}"), "LocalKey { .. }");
    });
}

#[test]
fn set_calls_no_initialiser() {
    both(|| {
        thread_local! {
            static CELL: Cell<i32> = panic!("called");
            static REF_CELL: RefCell<i32> = panic!("called");
        }
        CELL.set(1);
        REF_CELL.set(2);
        assert_eq!((CELL.get(), REF_CELL.take()), (1, 2));
    });
}

#[test]
fn a_key_can_be_passed_and_is_send_and_sync() {
    fn increment(key: &'static LocalKey<Cell<u32>>) -> u32 {
        key.replace(key.get() + 1)
    }
    fn shared<T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe>(_: &T) {}
    both(|| {
        thread_local!(static RC: Rc<()> = Rc::new(()));
        shared(&RC);
        assert_eq!((increment(&NUMBER), increment(&NUMBER)), (7, 8));
        assert_eq!(RC.with(Rc::strong_count), 1);
    });
}

#[test]
fn many_keys_of_one_type_do_not_mix() {
    macro_rules! keys {
        ($($name:ident)*) => {{
            thread_local! { $(static $name: Cell<usize> = const { Cell::new(0) };)* }
            [$(&$name),*]
        }};
    }
    both(|| {
        let keys: [&'static LocalKey<Cell<usize>>; 12] = keys!(A B C D E F G H I J K L);
        keys.iter().enumerate().for_each(|(n, key)| key.set(n * 3));
        thread::yield_now();
        assert!(keys.iter().enumerate().all(|(n, key)| key.get() == n * 3));
    });
}

/// Each has a value of its own, so one that is half made is nobody else's.
#[test]
fn an_initialiser_may_park() {
    bounded(20, || {
        run(|| {
            static MADE: AtomicUsize = AtomicUsize::new(0);
            thread_local!(static SLOW: usize = {
                thread::sleep(Duration::from_millis(1));
                MADE.fetch_add(1, SeqCst)
            });
            let handles: Vec<_> = (0..10).map(|_| spawn(|| (SLOW.with(|n| *n), SLOW.with(|n| *n)))).collect();
            let seen: HashSet<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
            assert!(seen.len() == 10 && seen.iter().all(|(first, again)| first == again));
        });
    });
}

#[test]
fn an_initialiser_that_unwinds_leaves_nothing() {
    bounded(20, || {
        run(|| {
            thread_local!(static FRAGILE: u32 = {
                thread::park();
                NUMBER.replace(8)
            });
            let handle = spawn(|| {
                let caught = catch_unwind(|| FRAGILE.with(|n| *n)).unwrap_err();
                assert!(caught.is::<Cancelled>());
                drop(caught);
                catch_unwind(|| FRAGILE.with(|n| *n)).is_err()
            });
            thread::yield_now();
            handle.cancel();
            assert!(handle.join().unwrap());
            thread_local!(static PANICS: u32 = match NUMBER.replace(1) {
                7 => resume_unwind(Box::new(1)),
                n => n,
            });
            assert!(catch_unwind(|| PANICS.with(|n| *n)).is_err());
            assert_eq!(PANICS.with(|n| *n), 1);
        });
    });
}

#[test]
fn an_initialiser_that_uses_its_own_key_wins() {
    both(|| {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static TWICE: (u32, Box<dyn std::any::Any>) = {
            if NUMBER.replace(8) == 7 {
                assert_eq!(TWICE.with(|twice| twice.0), 8);
                (9, Box::new(OnDrop(|| ())))
            } else {
                (8, Box::new(OnDrop(|| _ = DROPPED.fetch_add(1, SeqCst))))
            }
        });
        let before = DROPPED.load(SeqCst);
        assert_eq!((TWICE.with(|twice| twice.0), DROPPED.load(SeqCst)), (9, before + 1));
    });
}

/// Notes its name when dropped, and does what it was given.
struct Noting(&'static Mutex<Vec<&'static str>>, &'static str, fn());

impl Drop for Noting {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1);
        (self.2)();
    }
}

/// The same program with std's storage in a thread and with ours in a coroutine: the order in which values are dropped, what is
/// made meanwhile, and what their Drops can use.
#[test]
fn values_are_dropped_as_std_drops_them() {
    macro_rules! program {
        ($thread_local:path) => {{
            use $thread_local as declare;
            static LOG: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
            fn note(what: &'static str) {
                LOG.lock().unwrap().push(what);
            }
            declare! {
                static FIRST: Noting = Noting(&LOG, "first", || {
                    note(if SECOND.try_with(|_| ()).is_err() { "second is gone" } else { "second is there" });
                    note(if FIRST.try_with(|_| ()).is_err() { "first is gone" } else { "first is there" });
                });
                static SECOND: Noting = Noting(&LOG, "second", || {
                    note(if FIRST.try_with(|_| ()).is_ok() { "first is there" } else { "first is gone" });
                    LATE.with(|_| ());
                    note(if PLAIN.replace(6) == 5 { "plain is kept" } else { "plain is new" });
                });
                static LATE: Noting = Noting(&LOG, "late", || {
                    PLAIN.set(4);
                    note("uses plain");
                });
                static PLAIN: Cell<u32> = const { Cell::new(0) };
                static UNUSED: Noting = Noting(&LOG, "unused", || ());
            }
            let body = || {
                PLAIN.set(5);
                FIRST.with(|_| ());
                SECOND.with(|_| ());
            };
            (body, || std::mem::take(&mut *LOG.lock().unwrap()))
        }};
    }
    bounded(20, || {
        let (in_thread, std_log) = program!(std::thread_local);
        std::thread::spawn(in_thread).join().unwrap();
        let expected = std_log();
        assert!(expected.len() > 6, "{expected:?}");
        let (in_coroutine, our_log) = program!(dormouse::thread_local);
        run(|| {
            spawn(in_coroutine).join().unwrap();
            assert_eq!(our_log(), expected);
        });
        std::thread::spawn(in_coroutine).join().unwrap();
        assert_eq!(our_log(), expected);
    });
}

#[test]
fn values_are_dropped_before_the_join_is_answered() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    type Late = RefCell<Option<OnDrop<fn()>>>;
    thread_local!(static SLOW: Late = const { RefCell::new(None) });
    /// Parks in every way, on the coroutine's own stack.
    fn parks() {
        thread::yield_now();
        thread::sleep(Duration::from_millis(1));
        assert_eq!(spawn(|| 2).join().unwrap(), 2);
        assert_eq!(thread::current().name(), Some("own"));
        DROPPED.fetch_add(1, SeqCst);
    }
    bounded(20, || {
        run(|| {
            let ends: [fn() -> u32; 3] = [
                || 1,
                || resume_unwind(Box::new(1)),
                || {
                    thread::park();
                    1
                },
            ];
            for (n, end) in ends.into_iter().enumerate() {
                let own = thread::Builder::new().name("own".into());
                let handle = own.spawn(move || {
                    SLOW.set(Some(OnDrop(parks)));
                    end()
                });
                let handle = handle.unwrap();
                thread::yield_now();
                handle.cancel();
                assert_eq!((handle.join().is_ok(), DROPPED.load(SeqCst)), (n == 0, n + 1));
            }
        });
    });
}

/// A cancel strikes nowhere in them, however often it comes.
#[test]
fn drops_of_values_are_shielded() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static SLOW: OnDrop<fn()> = const { OnDrop(|| {
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(1));
        }
        ENDED.fetch_add(1, SeqCst);
    }) });
    bounded(20, || {
        run(|| {
            let handle = spawn(|| SLOW.with(|_| 5));
            thread::sleep(Duration::from_millis(2));
            assert!(!handle.is_finished());
            handle.cancel();
            assert_eq!(handle.join().unwrap(), 5);
            drop(spawn(|| SLOW.with(|_| ())));
            thread::yield_now();
        });
        assert_eq!(ENDED.load(SeqCst), 2, "at shutdown, too");
    });
}

#[test]
fn a_closure_that_never_ran_uses_values_in_its_drop() {
    bounded(20, || {
        run(|| {
            static DROPPED: AtomicUsize = AtomicUsize::new(0);
            thread_local!(static LAST: OnDrop<fn()> = const { OnDrop(|| _ = DROPPED.fetch_add(1, SeqCst)) });
            let captured = OnDrop(|| LAST.with(|_| ()));
            let handle = spawn(move || drop(captured));
            handle.cancel();
            assert!(handle.join().is_err());
            assert_eq!(DROPPED.load(SeqCst), 1);
            // A result that nobody joins finds fresh values, which are dropped as well.
            drop(spawn(|| LAST.with(|_| OnDrop(|| LAST.with(|_| ())))));
            (0..3).for_each(|_| thread::yield_now());
            assert_eq!(DROPPED.load(SeqCst), 3);
        });
    });
}

#[test]
fn gone_means_an_error_or_a_panic_with_std_s_words() {
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    thread_local!(static GONE: OnDrop<fn()> = const { OnDrop(|| {
        let error = GONE.try_with(|_| ()).unwrap_err();
        assert_eq!(error, AccessError::clone(&error));
        let panic = catch_unwind(|| GONE.with(|_| ())).unwrap_err();
        SEEN.lock().unwrap().extend([error.to_string(), format!("{error:?}"), support::message(&*panic)]);
    }) });
    bounded(20, || {
        run(|| spawn(|| GONE.with(|_| ())).join().unwrap());
        let expected = "cannot access a Thread Local Storage value during or after destruction: AccessError";
        assert_eq!(*SEEN.lock().unwrap(), ["already destroyed", "AccessError", expected]);
    });
}

#[test]
fn a_panic_in_a_drop_aborts() {
    let ended = child("a_panic_in_a_drop_aborts", 10, || {
        thread_local!(static BOMB: OnDrop<fn()> = const { OnDrop(|| panic!("in the drop")) });
        run(|| drop(spawn(|| BOMB.with(|_| ())).join()));
    });
    assert_eq!(ended.signal(), Some(libc::SIGABRT));
    ended.said(&["in the drop", "panicked on drop, aborting"]);
}

#[test]
fn a_leaked_coroutine_keeps_its_values() {
    let ended = child("a_leaked_coroutine_keeps_its_values", 10, || {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static KEPT: OnDrop<fn()> = const { OnDrop(|| _ = DROPPED.fetch_add(1, SeqCst)) });
        Builder::new()
            .workers(1)
            .shutdown_timeout(Duration::from_millis(10))
            .run(|| {
                spawn(|| {
                    KEPT.with(|_| ());
                    let _on_drop = OnDrop(|| thread::sleep(Duration::MAX));
                    thread::park();
                });
                thread::yield_now();
            })
            .unwrap();
        assert_eq!(DROPPED.load(SeqCst), 0);
    });
    ended.succeeded();
}

/// A value can be lent to a scope's children for the time of a `with`.
#[test]
fn children_borrow_a_value() {
    both(|| {
        thread_local!(static SHARED: AtomicUsize = const { AtomicUsize::new(0) });
        SHARED.with(|shared| thread::scope(|s| (0..5).for_each(|_| drop(s.spawn(|| shared.fetch_add(1, SeqCst))))));
        assert_eq!(SHARED.with(|shared| shared.load(SeqCst)), 5);
    });
}

#[test]
fn a_hundred_thousand_come_and_go() {
    bounded(60, || {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static EACH: OnDrop<fn()> = const { OnDrop(|| _ = DROPPED.fetch_add(1, SeqCst)) });
        Builder::new()
            .workers(2)
            .run(|| {
                for _ in 0..100 {
                    let handles: Vec<_> = (0..1000).map(|_| spawn(|| EACH.with(|_| ()))).collect();
                    handles.into_iter().for_each(|handle| handle.join().unwrap());
                }
            })
            .unwrap();
        assert_eq!(DROPPED.load(SeqCst), 100_000);
    });
}

/// The names that the macro uses are out of the way of the user's own, which an initialiser and a type may name.
#[test]
fn an_initialiser_may_use_any_name() {
    const INIT: u32 = 5;
    const PLACE: usize = 2;

    fn init() -> Cell<u32> {
        Cell::new(7)
    }

    dormouse::thread_local! {
        static LAZY: Cell<u32> = init();
        static CONST: Cell<u32> = const { Cell::new(INIT) };
        static SIZED: Cell<[u8; PLACE]> = const { Cell::new([1; PLACE]) };
        static ELIDED: Cell<&str> = const { Cell::new("text") };
    }

    let seen = || (LAZY.get(), CONST.get(), SIZED.get(), ELIDED.get());
    assert_eq!(seen(), (7, 5, [1, 1], "text"));
    assert_eq!(run(move || spawn(seen).join().unwrap()), (7, 5, [1, 1], "text"));
}
