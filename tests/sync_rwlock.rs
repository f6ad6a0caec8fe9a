//! `RwLock`: as std's, and who waits for it parks; neither readers nor writers are starved.

mod net_support;
mod support;

use dormouse::sync::{
    Arc, MappedRwLockReadGuard, MappedRwLockWriteGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    TryLockError,
};
use dormouse::{Builder, spawn, spawn_local, thread};
use net_support::in_three_settings;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};
use support::{OnDrop, Random, bounded, is_cancelled, message, run};

/// Lets the others of this worker run until they wait for something.
fn settle() {
    (0..10).for_each(|_| thread::yield_now());
}

fn unwind<T>() -> T {
    std::panic::resume_unwind(Box::new(()))
}

#[test]
fn it_has_the_traits_and_the_size_of_std() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Default + std::fmt::Debug + From<i32>>() {}
    fn shared<T: Sync + std::fmt::Debug + std::fmt::Display>() {}
    static STATIC: RwLock<i32> = RwLock::new(3);
    traits::<RwLock<i32>>();
    shared::<RwLockReadGuard<'_, i32>>();
    shared::<RwLockWriteGuard<'_, i32>>();
    shared::<MappedRwLockReadGuard<'_, i32>>();
    shared::<MappedRwLockWriteGuard<'_, i32>>();
    assert_eq!(*STATIC.read().unwrap(), 3);
    assert!(size_of::<RwLock<()>>() <= 8);
}

#[test]
fn it_shows_and_gives_its_value_as_std_does() {
    let (mut ours, mut std) = (RwLock::from(5), std::sync::RwLock::from(5));
    assert_eq!(format!("{ours:?} {ours:#?}"), format!("{std:?} {std:#?}"));
    *ours.get_mut().unwrap() += 1;
    *std.get_mut().unwrap() += 1;
    {
        let (our_guard, std_guard) = (ours.read().unwrap(), std.read().unwrap());
        assert_eq!(format!("{ours:?} {our_guard:?} {our_guard}"), format!("{std:?} {std_guard:?} {std_guard}"));
    }
    {
        let (our_guard, std_guard) = (ours.write().unwrap(), std.write().unwrap());
        assert_eq!(format!("{ours:?} {our_guard:?} {our_guard}"), format!("{std:?} {std_guard:?} {std_guard}"));
    }
    assert_eq!(ours.into_inner().unwrap(), std.into_inner().unwrap());
}

/// std's own examples: a try, a poisoned one, a downgrade.
#[test]
fn the_examples_of_std_hold() {
    in_three_settings(|setting| {
        let lock = Arc::new(RwLock::new(1));
        {
            let reading = lock.read().unwrap();
            assert_eq!(*reading, 1);
            assert!(lock.try_write().is_err());
            let other = Arc::clone(&lock);
            setting.client(move || assert!(other.read().is_ok() && other.try_read().is_ok())).join();
        }
        let other = Arc::clone(&lock);
        let body = move || {
            let _reading = other.read().unwrap();
            unwind::<()>();
        };
        assert!(catch_unwind(AssertUnwindSafe(|| setting.client(body).join())).is_err());
        assert!(!lock.is_poisoned(), "who reads does not poison");
        let other = Arc::clone(&lock);
        let body = move || {
            let _writing = other.write().unwrap();
            unwind::<()>();
        };
        assert!(catch_unwind(AssertUnwindSafe(|| setting.client(body).join())).is_err());
        assert!(lock.is_poisoned() && lock.read().is_err() && lock.write().is_err());
        assert!(matches!(lock.try_read(), Err(TryLockError::Poisoned(_))));
        *lock.write().unwrap_or_else(PoisonError::into_inner) = 2;
        lock.clear_poison();
        let writing = lock.write().unwrap();
        let other = Arc::clone(&lock);
        let evil = setting.client(move || {
            let before = *other.read().unwrap();
            *other.write().unwrap() = 5;
            before
        });
        let reading = RwLockWriteGuard::downgrade(writing);
        assert_eq!(*reading, 2, "nobody writes in between");
        drop(reading);
        assert_eq!(evil.join(), 2);
        assert_eq!(*lock.read().unwrap(), 5);
    });
}

#[test]
fn writers_exclude_all_and_readers_share() {
    in_three_settings(|setting| {
        // Negative while somebody writes, else the number of those who read.
        let shared = Arc::new((RwLock::new(0), AtomicIsize::new(0)));
        let parties: Vec<_> = (0..8)
            .map(|n| {
                let shared = Arc::clone(&shared);
                setting.nth(n, move || {
                    let mut random = Random(n as u64 + 1);
                    for _ in 0..80 {
                        if random.below(3) == 0 {
                            let mut count = shared.0.write().unwrap();
                            assert_eq!(shared.1.fetch_sub(1000, SeqCst), 0, "not alone");
                            thread::yield_now();
                            *count += 1;
                            shared.1.fetch_add(1000, SeqCst);
                        } else {
                            let count = shared.0.read().unwrap();
                            let before = *count;
                            assert!(shared.1.fetch_add(1, SeqCst) >= 0, "somebody writes");
                            thread::yield_now();
                            assert_eq!(*count, before);
                            shared.1.fetch_sub(1, SeqCst);
                        }
                    }
                })
            })
            .collect();
        parties.into_iter().for_each(|party| party.join());
        assert!(shared.0.try_write().is_ok(), "free at last");
    });
}

#[test]
fn those_who_read_do_so_together_and_a_writer_waits() {
    bounded(10, || {
        run(|| {
            let lock = Rc::new(RwLock::new(0));
            let first = lock.read().unwrap();
            let other = Rc::clone(&lock);
            spawn_local(move || assert_eq!(*other.read().unwrap(), 0)).join().unwrap();
            let other = Rc::clone(&lock);
            let writer = spawn_local(move || *other.write().unwrap() += 1);
            settle();
            assert!(!writer.is_finished());
            assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)), "a writer waits, and comes first");
            drop(first);
            writer.join().unwrap();
            assert_eq!(*lock.read().unwrap(), 1);
        });
    });
}

/// Two readers by turns, so that the lock is never free: the writer comes through.
#[test]
fn readers_do_not_starve_a_writer() {
    bounded(10, || {
        run(|| {
            let (lock, reads, done) = (Rc::new(RwLock::new(())), Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let (lock, reads, done) = (Rc::clone(&lock), Rc::clone(&reads), Rc::clone(&done));
                    spawn_local(move || {
                        let mut guard = lock.read().unwrap();
                        while !done.get() {
                            thread::yield_now();
                            drop(guard);
                            thread::yield_now();
                            guard = lock.read().unwrap();
                            reads.set(reads.get() + 1);
                        }
                    })
                })
                .collect();
            thread::yield_now();
            let before = reads.get();
            drop(lock.write().unwrap());
            let passed_over = reads.get() - before;
            done.set(true);
            assert!(passed_over <= 4, "passed over {passed_over} times");
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
    });
}

/// Writers who take it again as soon as they have freed it: readers and writers come through in turn.
#[test]
fn writers_starve_nobody() {
    const WAITERS: usize = 10;
    bounded(10, || {
        run(|| {
            let (lock, writes, waiting) =
                (Rc::new(RwLock::new(())), Rc::new(Cell::new(0)), Rc::new(Cell::new(WAITERS)));
            let (own, hog_writes, all) = (Rc::clone(&lock), Rc::clone(&writes), Rc::clone(&waiting));
            let hog = spawn_local(move || {
                while all.get() > 0 {
                    let _guard = own.write().unwrap();
                    hog_writes.set(hog_writes.get() + 1);
                    thread::yield_now();
                }
            });
            thread::yield_now();
            let before = writes.get();
            let waiters: Vec<_> = (0..WAITERS)
                .map(|n| {
                    let (lock, waiting) = (Rc::clone(&lock), Rc::clone(&waiting));
                    spawn_local(move || {
                        if n % 2 == 0 {
                            drop(lock.read().unwrap());
                        } else {
                            drop(lock.write().unwrap());
                        }
                        waiting.set(waiting.get() - 1);
                    })
                })
                .collect();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            let passed_over = writes.get() - before;
            assert!(passed_over <= 2 * WAITERS + 2, "{WAITERS} waiters were passed over {passed_over} times");
            hog.join().unwrap();
        });
    });
}

#[test]
fn waiters_have_it_in_the_order_in_which_they_came() {
    bounded(10, || {
        run(|| {
            let (lock, order) = (Rc::new(RwLock::new(())), Rc::new(RefCell::new(Vec::new())));
            let guard = lock.write().unwrap();
            let waiters: Vec<_> = "rrwrwwrr"
                .chars()
                .map(|kind| {
                    let (lock, order) = (Rc::clone(&lock), Rc::clone(&order));
                    spawn_local(move || {
                        let guards = if kind == 'r' {
                            (Some(lock.read().unwrap()), None)
                        } else {
                            (None, Some(lock.write().unwrap()))
                        };
                        order.borrow_mut().push(kind);
                        thread::yield_now();
                        drop(guards);
                    })
                })
                .collect();
            settle();
            drop(guard);
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            assert_eq!(order.borrow().iter().collect::<String>(), "rrwrwwrr");
        });
    });
}

#[test]
fn a_downgrade_wakes_the_readers_that_wait_and_no_writer() {
    bounded(10, || {
        run(|| {
            let lock = Rc::new(RwLock::new(0));
            let writing = lock.write().unwrap();
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let other = Rc::clone(&lock);
                    spawn_local(move || *other.read().unwrap())
                })
                .collect();
            let other = Rc::clone(&lock);
            let writer = spawn_local(move || *other.write().unwrap() += 1);
            settle();
            let reading = RwLockWriteGuard::downgrade(writing);
            readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), 0));
            settle();
            assert!(!writer.is_finished() && *reading == 0);
            drop(reading);
            writer.join().unwrap();
            assert_eq!(*lock.read().unwrap(), 1);
        });
    });
}

#[test]
fn to_lock_is_not_a_cancellation_point_and_works_within_an_unwind() {
    bounded(10, || {
        run(|| {
            let lock = Rc::new(RwLock::new(0));
            let writing = lock.write().unwrap();
            let (first, second) = (Rc::clone(&lock), Rc::clone(&lock));
            let waiters = [
                spawn_local(move || {
                    *first.write().unwrap() += 1;
                    thread::park();
                }),
                spawn_local(move || {
                    let _reads = OnDrop(|| assert!(*second.read().unwrap() <= 1));
                    thread::park();
                }),
            ];
            settle();
            waiters.iter().for_each(|waiter| waiter.cancel());
            settle();
            assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
            drop(writing);
            waiters.into_iter().for_each(|waiter| assert!(is_cancelled(&waiter.join())));
            assert_eq!(*lock.read().unwrap(), 1);
        });
    });
}

#[test]
fn inside_no_park_it_panics_only_if_it_would_wait() {
    bounded(10, || {
        run(|| {
            let lock = RwLock::new(0);
            thread::no_park(|| drop((lock.read().unwrap(), lock.read().unwrap())));
            let reading = lock.read().unwrap();
            let refused = catch_unwind(AssertUnwindSafe(|| thread::no_park(|| drop(lock.write()))));
            assert!(message(&*refused.unwrap_err()).contains("no_park"));
            assert!(lock.try_read().is_ok(), "and leaves nothing behind");
            drop(reading);
            assert!(lock.try_write().is_ok());
        });
    });
}

#[test]
fn mapped_guards_hold_it_and_poison_it() {
    bounded(10, || {
        let lock = RwLock::new((1, [2, 3]));
        let array = RwLockReadGuard::map(lock.read().unwrap(), |pair| &pair.1);
        let second = MappedRwLockReadGuard::map(array, |array| &array[1]);
        assert!(lock.try_write().is_err() && lock.try_read().is_ok() && *second == 3);
        drop(MappedRwLockReadGuard::filter_map(second, |_| None::<&i32>).unwrap_err());
        let whole = RwLockReadGuard::filter_map(lock.read().unwrap(), |_| None::<&i32>).unwrap_err();
        drop(RwLockReadGuard::filter_map(whole, |pair| pair.1.first()).unwrap());
        let array = RwLockWriteGuard::map(lock.write().unwrap(), |pair| &mut pair.1);
        let mut second = MappedRwLockWriteGuard::map(array, |array| &mut array[1]);
        assert!(lock.try_read().is_err());
        *second = 4;
        let second = MappedRwLockWriteGuard::filter_map(second, |_| None::<&mut i32>).unwrap_err();
        assert_eq!(format!("{second} {second:?}"), "4 4");
        drop(second);
        let whole = RwLockWriteGuard::filter_map(lock.write().unwrap(), |_| None::<&mut i32>).unwrap_err();
        let part = RwLockWriteGuard::filter_map(whole, |pair| pair.1.last_mut()).unwrap();
        let panics = catch_unwind(AssertUnwindSafe(|| {
            let _part = part;
            unwind::<()>();
        }));
        assert!(panics.is_err() && lock.is_poisoned());
        assert_eq!(lock.into_inner().unwrap_err().into_inner(), (1, [2, 4]));
    });
}

/// Many workers and plain threads: each write counts once, and no read sees half of one.
#[test]
fn many_workers_and_threads() {
    const COROUTINES: usize = 40;
    const TURNS: usize = 300;
    bounded(60, || {
        let shared = Arc::new((RwLock::new((0, 0)), AtomicUsize::new(0)));
        let work = |seed: usize| {
            let shared = Arc::clone(&shared);
            move || {
                let mut random = Random(seed as u64 + 1);
                for _ in 0..TURNS {
                    match random.below(6) {
                        0 => {
                            let mut pair = shared.0.write().unwrap();
                            pair.0 += 1;
                            thread::yield_now();
                            pair.1 += 1;
                            shared.1.fetch_add(1, SeqCst);
                            if random.below(2) == 0 {
                                let pair = RwLockWriteGuard::downgrade(pair);
                                assert_eq!(pair.0, pair.1);
                            }
                        }
                        1 => drop(shared.0.try_write()),
                        _ => {
                            let pair = shared.0.read().unwrap();
                            assert_eq!(pair.0, pair.1);
                            if random.below(4) == 0 {
                                thread::yield_now();
                            }
                        }
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
        let writes = shared.1.load(SeqCst);
        assert_eq!(*shared.0.try_write().unwrap(), (writes, writes));
    });
}
