//! `Mutex`: as std's, and who waits for it parks: never the worker, never for ever, and in turn.

mod net_support;
mod support;

use dormouse::sync::{Arc, LockResult, MappedMutexGuard, Mutex, MutexGuard, PoisonError, TryLockError};
use dormouse::{Builder, spawn, spawn_local, thread};
use net_support::in_three_settings;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::{OnDrop, Random, bounded, is_cancelled, message, run};

/// Lets the others of this worker run until they wait for something.
fn settle() {
    (0..10).for_each(|_| thread::yield_now());
}

fn is_held<T>(mutex: &Mutex<T>) -> bool {
    matches!(mutex.try_lock(), Err(TryLockError::WouldBlock))
}

#[test]
fn it_has_the_traits_and_the_size_of_std() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Default + std::fmt::Debug + From<i32>>() {}
    fn shared<T: Sync + std::fmt::Debug + std::fmt::Display>() {}
    static STATIC: Mutex<i32> = Mutex::new(3);
    traits::<Mutex<i32>>();
    shared::<MutexGuard<'_, i32>>();
    shared::<MappedMutexGuard<'_, i32>>();
    assert_eq!(*STATIC.lock().unwrap(), 3);
    assert!(size_of::<Mutex<()>>() <= size_of::<std::sync::Mutex<()>>());
    assert!(size_of::<Mutex<u64>>() <= size_of::<std::sync::Mutex<u64>>());
    let unsized_one: &Mutex<[i32]> = &Mutex::new([1, 2]);
    assert_eq!(unsized_one.lock().unwrap().len(), 2);
}

#[test]
fn it_shows_and_gives_its_value_as_std_does() {
    let (mut ours, mut std) = (Mutex::from(5), std::sync::Mutex::from(5));
    assert_eq!(format!("{ours:?} {ours:#?}"), format!("{std:?} {std:#?}"));
    *ours.get_mut().unwrap() += 1;
    *std.get_mut().unwrap() += 1;
    let (our_guard, std_guard) = (ours.lock().unwrap(), std.lock().unwrap());
    assert_eq!(format!("{ours:?} {our_guard:?} {our_guard}"), format!("{std:?} {std_guard:?} {std_guard}"));
    let (our_error, std_error) = (ours.try_lock().unwrap_err(), std.try_lock().unwrap_err());
    assert_eq!(format!("{our_error:?} {our_error}"), format!("{std_error:?} {std_error}"));
    drop((our_error, std_error));
    drop((our_guard, std_guard));
    assert_eq!(ours.into_inner().unwrap(), std.into_inner().unwrap());
}

/// std's own examples of `Mutex::lock`, of its poisoning, and of `try_lock`.
#[test]
fn the_examples_of_std_hold() {
    in_three_settings(|setting| {
        let mutex = Arc::new(Mutex::new(0));
        let other = Arc::clone(&mutex);
        setting.client(move || *other.lock().unwrap() = 10).join();
        assert_eq!(*mutex.lock().unwrap(), 10);
        let other = Arc::clone(&mutex);
        setting
            .client(move || match other.try_lock() {
                Ok(mut guard) => *guard = 20,
                Err(_) => panic!("try_lock failed"),
            })
            .join();
        assert_eq!(*mutex.lock().unwrap(), 20);
        let other = Arc::clone(&mutex);
        let body = move || {
            let _guard = other.lock().unwrap();
            std::panic::resume_unwind(Box::new(()));
        };
        assert!(catch_unwind(AssertUnwindSafe(|| setting.client(body).join())).is_err());
        assert!(mutex.is_poisoned());
        assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
        *mutex.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        mutex.clear_poison();
        assert_eq!(*mutex.lock().unwrap(), 21);
    });
}

#[test]
fn one_at_a_time_across_parks() {
    const PARTIES: usize = 8;
    const TURNS: usize = 100;
    in_three_settings(|setting| {
        let shared = Arc::new((Mutex::new(0), AtomicUsize::new(0)));
        let party = |n| {
            let shared = Arc::clone(&shared);
            setting.nth(n, move || {
                for _ in 0..TURNS {
                    let mut count = shared.0.lock().unwrap();
                    assert_eq!(shared.1.fetch_add(1, SeqCst), 0, "two hold it");
                    thread::yield_now();
                    *count += 1;
                    assert_eq!(shared.1.fetch_sub(1, SeqCst), 1);
                }
            })
        };
        let parties: Vec<_> = (0..PARTIES).map(party).collect();
        parties.into_iter().for_each(|party| party.join());
        assert_eq!(*shared.0.lock().unwrap(), PARTIES * TURNS);
    });
}

#[test]
fn a_guard_held_across_a_park_does_not_block_the_worker() {
    bounded(10, || {
        run(|| {
            let mutex = Rc::new(Mutex::new(0));
            let guard = mutex.lock().unwrap();
            let other = Rc::clone(&mutex);
            let waiter = spawn_local(move || *other.lock().unwrap() += 1);
            let ran = Rc::new(Cell::new(0));
            let counter = Rc::clone(&ran);
            let bystander = spawn_local(move || {
                (0..5).for_each(|_| {
                    counter.set(counter.get() + 1);
                    thread::yield_now();
                })
            });
            settle();
            assert!(ran.get() == 5 && bystander.is_finished() && !waiter.is_finished());
            drop(guard);
            waiter.join().unwrap();
            assert_eq!(*mutex.lock().unwrap(), 1);
        });
    });
}

#[test]
fn waiters_have_it_in_the_order_in_which_they_came() {
    bounded(10, || {
        run(|| {
            let (mutex, order) = (Rc::new(Mutex::new(())), Rc::new(RefCell::new(Vec::new())));
            let guard = mutex.lock().unwrap();
            let waiters: Vec<_> = (0..20)
                .map(|n| {
                    let (mutex, order) = (Rc::clone(&mutex), Rc::clone(&order));
                    spawn_local(move || {
                        let _guard = mutex.lock().unwrap();
                        order.borrow_mut().push(n);
                    })
                })
                .collect();
            settle();
            drop(guard);
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            assert_eq!(*order.borrow(), (0..20).collect::<Vec<_>>());
        });
    });
}

/// One takes it again as soon as it has freed it, and always holds it when another could run.
#[test]
fn one_that_takes_it_again_and_again_starves_nobody() {
    const WAITERS: usize = 10;
    bounded(10, || {
        run(|| {
            let (mutex, taken, waiting) = (Rc::new(Mutex::new(())), Rc::new(Cell::new(0)), Rc::new(Cell::new(WAITERS)));
            let (own, hog_takes, all) = (Rc::clone(&mutex), Rc::clone(&taken), Rc::clone(&waiting));
            let hog = spawn_local(move || {
                while all.get() > 0 {
                    let _guard = own.lock().unwrap();
                    hog_takes.set(hog_takes.get() + 1);
                    thread::yield_now();
                }
            });
            thread::yield_now();
            assert!(is_held(&mutex));
            let before = taken.get();
            let waiters: Vec<_> = (0..WAITERS)
                .map(|_| {
                    let (mutex, waiting) = (Rc::clone(&mutex), Rc::clone(&waiting));
                    spawn_local(move || {
                        let _guard = mutex.lock().unwrap();
                        waiting.set(waiting.get() - 1);
                    })
                })
                .collect();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            let passed_over = taken.get() - before;
            assert!(passed_over <= 2 * WAITERS + 2, "{WAITERS} waiters were passed over {passed_over} times");
            hog.join().unwrap();
        });
    });
}

#[test]
fn to_lock_is_not_a_cancellation_point() {
    bounded(10, || {
        run(|| {
            let mutex = Rc::new(Mutex::new(0));
            let guard = mutex.lock().unwrap();
            let other = Rc::clone(&mutex);
            let waiter = spawn_local(move || {
                *other.lock().unwrap() += 1;
                thread::park();
                *other.lock().unwrap() += 10;
            });
            settle();
            waiter.cancel();
            settle();
            assert!(!waiter.is_finished());
            drop(guard);
            assert!(is_cancelled(&waiter.join()));
            assert_eq!(*mutex.lock().unwrap(), 1, "taken once, freed in time, and so not poisoned");
        });
    });
}

#[test]
fn an_unwind_poisons_it_be_it_of_a_panic_or_of_a_cancel() {
    bounded(10, || {
        run(|| {
            let mutex = Arc::new(Mutex::new(0));
            let holder = |unwind: fn()| {
                let mutex = Arc::clone(&mutex);
                spawn(move || {
                    let _guard = mutex.lock().unwrap();
                    unwind();
                })
            };
            assert!(holder(|| std::panic::resume_unwind(Box::new(1))).join().is_err());
            assert!(mutex.is_poisoned());
            mutex.clear_poison();
            let parked = holder(thread::park);
            while !is_held(&mutex) {
                thread::yield_now();
            }
            parked.cancel();
            assert!(is_cancelled(&parked.join()));
            assert!(mutex.lock().is_err());
        });
    });
}

#[test]
fn a_lock_taken_and_freed_within_an_unwind_is_not_poisoned() {
    in_three_settings(|setting| {
        let mutex = Arc::new(Mutex::new(0));
        let other = Arc::clone(&mutex);
        let body = move || {
            let _adds = OnDrop(|| *other.lock().unwrap() += 1);
            std::panic::resume_unwind(Box::new(()));
        };
        assert!(catch_unwind(AssertUnwindSafe(|| setting.client(body).join())).is_err());
        assert_eq!(*mutex.lock().unwrap(), 1);
    });
}

/// A coroutine that holds `held` and is suspended in a Drop of its unwind, until unparked; `cancelled` or panicking.
fn suspended_unwinding<T: 'static>(held: &Rc<Mutex<T>>, cancelled: bool) -> thread::LocalJoinHandle<()> {
    let held = Rc::clone(held);
    let unwinder = spawn_local(move || {
        let _guard = held.lock().unwrap();
        let _parks = OnDrop(thread::park);
        if cancelled {
            thread::sleep(Duration::from_secs(3600));
        }
        std::panic::resume_unwind(Box::new(()));
    });
    settle();
    if cancelled {
        unwinder.cancel();
        settle();
    }
    assert!(!unwinder.is_finished());
    unwinder
}

/// Whether the guard of a bystander poisons our mutex and std's, while another coroutine of its worker unwinds.
#[test]
fn only_the_unwind_of_its_own_coroutine_poisons_it() {
    for cancelled in [false, true] {
        bounded(10, move || {
            run(|| {
                let (ours, std) = (Mutex::new(()), std::sync::Mutex::new(()));
                let guards = (ours.lock().unwrap(), std.lock().unwrap());
                let unwinders = Rc::new(Mutex::new(()));
                let unwinder = suspended_unwinding(&unwinders, cancelled);
                assert!(!std::thread::panicking(), "its count went with it");
                drop(guards);
                assert!(!std.is_poisoned() && !ours.is_poisoned());
                drop(ours.lock().unwrap());
                unwinder.thread().unpark();
                assert!(unwinder.join().is_err());
                assert!(unwinders.is_poisoned(), "its own coroutine unwound");
                drop(ours.lock().unwrap());
                assert!(!ours.is_poisoned());
            });
        });
    }
}

/// In a Drop of an unwind one waits for the lock like anywhere else.
#[test]
fn waiting_for_it_within_an_unwind_neither_aborts_nor_hangs() {
    for cancelled in [false, true] {
        bounded(10, move || {
            run(|| {
                let mutex = Rc::new(Mutex::new(0));
                let guard = mutex.lock().unwrap();
                let other = Rc::clone(&mutex);
                let unwinder = spawn_local(move || {
                    let _adds = OnDrop(|| *other.lock().unwrap() += 1);
                    if cancelled {
                        thread::park();
                    }
                    std::panic::resume_unwind(Box::new(()));
                });
                settle();
                unwinder.cancel();
                settle();
                assert!(!unwinder.is_finished());
                drop(guard);
                assert_eq!(is_cancelled(&unwinder.join()), cancelled);
                assert_eq!(*mutex.lock().unwrap(), 1);
            });
        });
    }
}

#[test]
fn inside_no_park_it_panics_only_if_it_would_wait() {
    bounded(10, || {
        run(|| {
            let mutex = Rc::new(Mutex::new(0));
            thread::no_park(|| *mutex.lock().unwrap() += 1);
            let guard = mutex.lock().unwrap();
            let refused = catch_unwind(AssertUnwindSafe(|| thread::no_park(|| drop(mutex.lock()))));
            assert!(message(&*refused.unwrap_err()).contains("no_park"));
            drop(guard);
            assert_eq!(*mutex.lock().unwrap(), 1, "and leaves nothing behind");
        });
    });
}

#[test]
fn a_mapped_guard_holds_it_and_poisons_it() {
    bounded(10, || {
        let mutex = Mutex::new((1, [2, 3]));
        let array = MutexGuard::map(mutex.lock().unwrap(), |pair| &mut pair.1);
        let mut second = MappedMutexGuard::map(array, |array| &mut array[1]);
        assert!(is_held(&mutex));
        *second = 4;
        assert_eq!(format!("{second} {second:?}"), "4 4");
        drop(second);
        assert_eq!(*mutex.lock().unwrap(), (1, [2, 4]));
        let whole = MutexGuard::filter_map(mutex.lock().unwrap(), |_| None::<&mut i32>).unwrap_err();
        let part = MutexGuard::filter_map(whole, |pair| Some(&mut pair.1)).unwrap();
        let part = MappedMutexGuard::filter_map(part, |_| None::<&mut i32>).unwrap_err();
        drop(MappedMutexGuard::filter_map(part, |array| array.first_mut()).unwrap());
        assert!(!is_held(&mutex));
        let mapping_panics = catch_unwind(AssertUnwindSafe(|| {
            let _never: MappedMutexGuard<'_, i32> =
                MutexGuard::map(mutex.lock().unwrap(), |_| std::panic::resume_unwind(Box::new(())));
        }));
        assert!(mapping_panics.is_err() && mutex.is_poisoned());
        mutex.clear_poison();
        let holding_panics = catch_unwind(AssertUnwindSafe(|| {
            let _part = MutexGuard::map(mutex.lock().unwrap(), |pair| &mut pair.0);
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(holding_panics.is_err() && mutex.is_poisoned() && !is_held(&mutex));
        let inner: LockResult<(i32, [i32; 2])> = mutex.into_inner();
        assert_eq!(inner.unwrap_err().into_inner(), (1, [2, 4]));
    });
}

/// Many workers and plain threads on a few mutexes, with parks and cancels in between: each addition counts once.
#[test]
fn many_workers_and_threads() {
    const COROUTINES: usize = 40;
    const TURNS: usize = 400;
    bounded(60, || {
        let mutexes: Arc<Vec<Mutex<usize>>> = Arc::new((0..3).map(|_| Mutex::new(0)).collect());
        let work = |seed: usize| {
            let mutexes = Arc::clone(&mutexes);
            move || {
                let mut random = Random(seed as u64 + 1);
                for _ in 0..TURNS {
                    let mut count = mutexes[random.below(3) as usize].lock().unwrap();
                    *count += 1;
                    if random.below(8) == 0 {
                        thread::yield_now();
                    }
                    if random.below(64) == 0 {
                        thread::sleep(Duration::from_micros(random.below(100)));
                    }
                }
            }
        };
        let threads: Vec<_> = (0..3).map(|seed| std::thread::spawn(work(100 + seed))).collect();
        Builder::new()
            .workers(4)
            .run(|| {
                let all: Vec<_> = (0..COROUTINES).map(|seed| spawn(work(seed))).collect();
                all.into_iter().for_each(|one| one.join().unwrap());
            })
            .unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let total: usize = mutexes.iter().map(|mutex| *mutex.lock().unwrap()).sum();
        assert_eq!(total, (COROUTINES + 3) * TURNS);
    });
}

/// Nobody is suspended in an unwind any more when the second panics, though somebody was a moment before.
#[test]
fn a_panic_poisons_right_after_the_end_of_another_unwind() {
    bounded(10, || {
        run(|| {
            let mutex = Rc::new(Mutex::new(()));
            let first = spawn_local(|| {
                let _parks = OnDrop(|| {
                    thread::yield_now();
                    thread::park();
                });
                panic!("first");
            });
            settle();
            let theirs = Rc::clone(&mutex);
            let second = spawn_local(move || {
                thread::park();
                let _held = theirs.lock().unwrap();
                panic!("second");
            });
            settle();
            first.thread().unpark();
            second.thread().unpark();
            assert!(second.join().is_err() && first.join().is_err());
            assert!(mutex.is_poisoned());
        });
    });
}
