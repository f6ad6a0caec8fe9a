//! `Once`, `OnceLock`, `LazyLock`: as std's; one makes the call, and who waits for it parks.

mod net_support;
mod support;

use dormouse::sync::{Arc, LazyLock, Mutex, Once, OnceLock, OnceState};
use dormouse::{Builder, spawn, spawn_local, thread};
use net_support::in_three_settings;
use std::cell::Cell;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use support::{bounded, is_cancelled, message, run};

/// Lets the others of this worker run until they wait for something.
fn settle() {
    (0..10).for_each(|_| thread::yield_now());
}

/// The text of the panic of `f`.
#[track_caller]
fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    message(&*catch_unwind(AssertUnwindSafe(|| drop(f()))).expect_err("it did not panic"))
}

fn unwind<T>() -> T {
    std::panic::resume_unwind(Box::new(()))
}

#[test]
fn they_have_the_traits_of_std() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Debug>() {}
    fn values<T: Clone + Default + Eq + From<i32>>() {}
    static ONCE: Once = Once::new();
    static LOCK: OnceLock<i32> = OnceLock::new();
    static LAZY: LazyLock<i32> = LazyLock::new(|| 3);
    traits::<Once>();
    traits::<OnceLock<i32>>();
    traits::<LazyLock<i32>>();
    values::<OnceLock<i32>>();
    ONCE.call_once(|| ());
    assert_eq!((*LAZY, LOCK.get()), (3, None));
    assert_eq!(*LazyLock::<i32>::default(), 0);
    #[allow(deprecated)]
    static OLD: Once = dormouse::sync::ONCE_INIT;
    assert!(!OLD.is_completed());
    assert_eq!(size_of::<Once>(), size_of::<std::sync::Once>());
    assert_eq!(size_of::<OnceLock<u64>>(), size_of::<std::sync::OnceLock<u64>>());
    assert_eq!(size_of::<LazyLock<u64>>(), size_of::<std::sync::LazyLock<u64>>());
}

#[test]
fn they_look_like_those_of_std() {
    assert_eq!(format!("{:?}", Once::new()), format!("{:?}", std::sync::Once::new()));
    let (ours, std) = (OnceLock::new(), std::sync::OnceLock::new());
    assert_eq!(format!("{ours:?}"), format!("{std:?}"));
    assert_eq!((ours.set("a"), std.set("a")), (Ok(()), Ok(())));
    assert_eq!((ours.set("b"), std.set("b")), (Err("b"), Err("b")));
    assert_eq!(format!("{ours:#?}"), format!("{std:#?}"));
    let (ours, std) = (LazyLock::new(|| 5), std::sync::LazyLock::new(|| 5));
    assert_eq!(format!("{ours:?}"), format!("{std:?}"));
    assert_eq!(*ours, *std);
    assert_eq!(format!("{ours:?}"), format!("{std:?}"));
    let said = |state: &dyn Debug| format!("{state:?}");
    let (mut our_state, mut std_state) = (String::new(), String::new());
    Once::new().call_once_force(|state: &OnceState| our_state = said(state));
    std::sync::Once::new().call_once_force(|state| std_state = said(state));
    assert_eq!(our_state, std_state);
}

/// std's own examples: of `call_once`, `call_once_force`, `is_completed`, and of its poisoning; the panics say the same.
#[test]
fn the_examples_of_std_hold() {
    in_three_settings(|setting| {
        let once = Arc::new(Once::new());
        assert!(!once.is_completed());
        let other = Arc::clone(&once);
        let body = move || other.call_once(unwind);
        assert!(catch_unwind(AssertUnwindSafe(|| setting.client(body).join())).is_err());
        assert!(!once.is_completed());
        let std = std::sync::Once::new();
        assert!(catch_unwind(|| std.call_once(unwind)).is_err());
        assert_eq!(panic_of(|| once.call_once(|| ())), panic_of(|| std.call_once(|| ())));
        assert_eq!(panic_of(|| once.wait()), panic_of(|| std.wait()));
        let other = Arc::clone(&once);
        let forced = setting.server(move || other.wait_force());
        once.call_once_force(|state| assert!(state.is_poisoned()));
        forced.join();
        once.call_once(|| unreachable!());
        once.call_once_force(|_| unreachable!());
        once.wait();
        assert!(once.is_completed());
    });
}

#[test]
fn one_calls_and_the_others_wait_for_it() {
    in_three_settings(|setting| {
        let shared = Arc::new((Once::new(), AtomicUsize::new(0)));
        let parties: Vec<_> = (0..12)
            .map(|n| {
                let shared = Arc::clone(&shared);
                setting.nth(n, move || {
                    if n >= 10 {
                        shared.0.wait();
                    } else {
                        shared.0.call_once(|| {
                            settle();
                            shared.1.fetch_add(1, SeqCst);
                        });
                    }
                    assert_eq!(shared.1.load(SeqCst), 1);
                })
            })
            .collect();
        parties.into_iter().for_each(|party| party.join());
    });
}

#[test]
fn who_waits_does_not_block_the_worker_and_may_be_cancelled() {
    bounded(10, || {
        run(|| {
            let once = Rc::new(Once::new());
            let other = Rc::clone(&once);
            let caller = spawn_local(move || other.call_once(thread::park));
            settle();
            let waiters: Vec<_> = (0..3)
                .map(|n| {
                    let once = Rc::clone(&once);
                    spawn_local(move || if n == 0 { once.wait() } else { once.call_once(|| unreachable!()) })
                })
                .collect();
            settle();
            waiters[1].cancel();
            settle();
            assert_eq!(waiters.iter().map(|waiter| waiter.is_finished()).collect::<Vec<_>>(), [false, true, false]);
            caller.thread().unpark();
            caller.join().unwrap();
            let ends: Vec<_> = waiters.into_iter().map(|waiter| is_cancelled(&waiter.join())).collect();
            assert_eq!(ends, [false, true, false]);
        });
    });
}

#[test]
fn a_call_that_is_cancelled_was_in_vain() {
    bounded(10, || {
        run(|| {
            let once = Rc::new(Once::new());
            let other = Rc::clone(&once);
            let caller = spawn_local(move || other.call_once(thread::park));
            settle();
            let waits = |force: bool| {
                let once = Rc::clone(&once);
                spawn_local(move || if force { once.wait_force() } else { once.wait() })
            };
            let (patient, easily_upset) = (waits(true), waits(false));
            settle();
            caller.cancel();
            assert!(is_cancelled(&caller.join()));
            assert!(message(&*easily_upset.join().unwrap_err()).contains("poisoned"));
            assert!(!patient.is_finished());
            once.call_once_force(|state| assert!(state.is_poisoned()));
            patient.join().unwrap();
        });
    });
}

#[test]
fn inside_no_park_they_panic_only_if_they_would_wait() {
    bounded(10, || {
        run(|| {
            let once = Rc::new(Once::new());
            let other = Rc::clone(&once);
            let caller = spawn_local(move || other.call_once(thread::park));
            settle();
            assert!(panic_of(|| thread::no_park(|| once.wait())).contains("no_park"));
            assert!(panic_of(|| thread::no_park(|| once.call_once(|| ()))).contains("no_park"));
            caller.thread().unpark();
            caller.join().unwrap();
            thread::no_park(|| once.call_once(|| ()));
            thread::no_park(|| once.wait());
        });
    });
}

/// std's own examples of `OnceLock`.
#[test]
fn a_once_lock_is_written_once() {
    in_three_settings(|setting| {
        let (cell, made) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
        let other = Arc::clone(&cell);
        let waiter = setting.server(move || String::clone(other.wait()));
        let parties: Vec<_> = (0..6)
            .map(|n| {
                let (cell, made) = (Arc::clone(&cell), Arc::clone(&made));
                setting.nth(n, move || {
                    let value: &String = cell.get_or_init(|| {
                        settle();
                        made.fetch_add(1, SeqCst);
                        "dormouse".to_owned()
                    });
                    assert_eq!(value, "dormouse");
                })
            })
            .collect();
        parties.into_iter().for_each(|party| party.join());
        assert_eq!((waiter.join().as_str(), made.load(SeqCst)), ("dormouse", 1));
        assert_eq!(cell.set(String::new()), Err(String::new()));
    });
}

#[test]
fn a_once_lock_whose_closure_fails_is_written_by_the_next() {
    let cell = OnceLock::new();
    assert_eq!(cell.get_or_try_init(|| Err::<i32, _>("no")), Err("no"));
    assert!(catch_unwind(|| cell.get_or_init(unwind)).is_err());
    assert_eq!(cell.get(), None);
    assert_eq!(cell.get_or_try_init(|| Ok::<_, &str>(4)), Ok(&4));
    assert_eq!(*cell.get_or_init(|| 5), 4);
}

#[test]
fn a_once_lock_owns_its_value() {
    let counted = Arc::new(());
    let mut cell = OnceLock::from(Arc::clone(&counted));
    assert_eq!(cell.clone(), cell);
    assert!(cell != OnceLock::new() && cell.get_mut().is_some());
    assert!(cell.take().is_some_and(|value| Arc::ptr_eq(&value, &counted)));
    assert!(cell.take().is_none() && cell.get_mut().is_none());
    assert_eq!(Arc::strong_count(&counted), 1);
    cell.set(Arc::clone(&counted)).unwrap();
    assert_eq!(Arc::strong_count(&counted), 2);
    drop(cell);
    assert_eq!(Arc::strong_count(&counted), 1);
    assert_eq!(OnceLock::from(1).into_inner(), Some(1));
    assert_eq!(OnceLock::<i32>::new().into_inner(), None);
}

#[test]
fn a_lazy_lock_is_made_once() {
    in_three_settings(|setting| {
        let made = Arc::new(AtomicUsize::new(0));
        let makes = Arc::clone(&made);
        let lazy = Arc::new(LazyLock::new(move || {
            settle();
            makes.fetch_add(1, SeqCst) + 5
        }));
        assert_eq!(LazyLock::get(&*lazy), None);
        let parties: Vec<_> = (0..6)
            .map(|n| {
                let lazy = Arc::clone(&lazy);
                setting.nth(n, move || assert_eq!(**lazy, 5))
            })
            .collect();
        parties.into_iter().for_each(|party| party.join());
        assert_eq!((LazyLock::get(&*lazy), made.load(SeqCst)), (Some(&5), 1));
    });
}

#[test]
fn a_lazy_lock_can_be_made_and_changed_by_one_who_has_it_alone() {
    let mut lazy = LazyLock::new(|| vec![1]);
    assert_eq!(LazyLock::get_mut(&mut lazy), None);
    LazyLock::force_mut(&mut lazy).push(2);
    lazy.push(3);
    assert_eq!((LazyLock::force(&lazy), &lazy[..]), (&vec![1, 2, 3], &[1, 2, 3][..]));
    assert_eq!(LazyLock::get_mut(&mut lazy).map(|values| values.len()), Some(3));
}

#[test]
fn a_lazy_lock_whose_closure_unwinds_is_poisoned_as_in_std() {
    let std = std::sync::LazyLock::new(unwind::<i32>);
    assert!(catch_unwind(|| *std).is_err());
    let said = panic_of(|| *std);
    let mut shared = LazyLock::new(unwind::<i32>);
    assert!(catch_unwind(|| *shared).is_err());
    assert_eq!(panic_of(|| *shared), said);
    assert_eq!(panic_of(|| *LazyLock::force_mut(&mut shared)), said);
    assert!(LazyLock::get(&shared).is_none() && LazyLock::get_mut(&mut shared).is_none());
    let mut alone = LazyLock::new(unwind::<i32>);
    assert!(catch_unwind(AssertUnwindSafe(|| *LazyLock::force_mut(&mut alone))).is_err());
    assert_eq!(panic_of(|| *alone), said);
    assert_eq!(panic_of(|| *LazyLock::force_mut(&mut alone)), said);
}

#[test]
fn a_lazy_lock_drops_what_there_is() {
    let counted = Arc::new(());
    let holds = || {
        let counted = Arc::clone(&counted);
        LazyLock::new(move || counted)
    };
    drop(holds());
    assert_eq!(Arc::strong_count(&counted), 1, "the closure");
    let made = holds();
    assert_eq!(Arc::strong_count(&made), 2);
    drop(made);
    assert_eq!(Arc::strong_count(&counted), 1, "the value");
    let value = Arc::clone(&counted);
    let poisoned: LazyLock<(), _> = LazyLock::new(move || {
        let _value = value;
        unwind()
    });
    assert!(catch_unwind(AssertUnwindSafe(|| LazyLock::force(&poisoned))).is_err());
    drop(poisoned);
    assert_eq!(Arc::strong_count(&counted), 1, "neither");
}

/// A closure that waits for a lock held by another coroutine of the worker.
#[test]
fn what_makes_the_value_may_park() {
    bounded(10, || {
        run(|| {
            let mutex = Rc::new(Mutex::new(1));
            let guard = mutex.lock().unwrap();
            let (other, finished) = (Rc::clone(&mutex), Rc::new(Cell::new(0)));
            let lazy = Rc::new(LazyLock::new(move || *other.lock().unwrap() + 1));
            let users: Vec<_> = (0..3)
                .map(|_| {
                    let (lazy, finished) = (Rc::clone(&lazy), Rc::clone(&finished));
                    spawn_local(move || {
                        let value = **lazy;
                        finished.set(finished.get() + value);
                    })
                })
                .collect();
            settle();
            assert_eq!(finished.get(), 0);
            drop(guard);
            users.into_iter().for_each(|user| user.join().unwrap());
            assert_eq!(finished.get(), 6);
        });
    });
}

/// Many at a time on many workers and threads, time and again; the one that calls panics by turns.
#[test]
fn many_workers_and_threads() {
    const ROUNDS: usize = 100;
    const PARTIES: usize = 16;
    bounded(60, || {
        let cells: Arc<Vec<(OnceLock<usize>, AtomicUsize)>> =
            Arc::new((0..ROUNDS).map(|_| Default::default()).collect());
        let work = {
            let cells = Arc::clone(&cells);
            move || {
                for (round, (cell, calls)) in cells.iter().enumerate() {
                    let make = || {
                        thread::yield_now();
                        if calls.fetch_add(1, SeqCst) < round % 3 { unwind() } else { round }
                    };
                    while catch_unwind(AssertUnwindSafe(|| assert_eq!(*cell.get_or_init(make), round))).is_err() {}
                }
            }
        };
        let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(work.clone())).collect();
        Builder::new()
            .workers(4)
            .run(|| {
                let all: Vec<_> = (0..PARTIES).map(|_| spawn(work.clone())).collect();
                all.into_iter().for_each(|one| one.join().unwrap());
            })
            .unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        for (round, (cell, calls)) in cells.iter().enumerate() {
            assert_eq!((cell.get(), calls.load(SeqCst)), (Some(&round), round % 3 + 1));
        }
    });
}
