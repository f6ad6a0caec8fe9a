//! A coroutine that is leaked at the end of its runtime while it stands in the line of something that lives on: whoever comes
//! after it is served all the same.

mod support;

use dormouse::sync::{Condvar, Mutex, MutexGuard, Notify, PoisonError, RwLock, Semaphore, mpmc};
use dormouse::{Builder, spawn, thread};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, eventually, run};

/// Leaks a coroutine that is in `wait`, which it began in an unwind: nothing throws it out of there.
fn leak(wait: impl FnMut() + Send + 'static) {
    Builder::new()
        .workers(1)
        .shutdown_timeout(Duration::from_millis(20))
        .run(|| stand(wait))
        .expect("only the one that waits is leaked");
}

/// A coroutine that is in `wait` when this returns.
fn stand(wait: impl FnMut() + Send + 'static) {
    let waits = spawn(move || {
        let _on_drop = OnDrop(wait);
        thread::park();
    });
    thread::yield_now();
    waits.cancel();
    (0..3).for_each(|_| thread::yield_now());
    assert!(!waits.is_finished());
}

/// Leaks a coroutine that catches whatever throws it out of `wait`, and waits again.
fn leak_stubborn(wait: impl Fn() + Send + 'static) {
    Builder::new()
        .workers(1)
        .shutdown_timeout(Duration::from_millis(20))
        .run(|| {
            spawn(move || {
                loop {
                    let _ = catch_unwind(AssertUnwindSafe(&wait));
                }
            });
            thread::yield_now();
        })
        .unwrap();
}

/// Keeps the worker for as long as makes it look for the end of its grace.
fn spin() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2) {
        std::hint::spin_loop();
    }
}

/// As `leak`, but the coroutine is chosen, by `choose`, and the runtime ends before its turn.
fn leak_chosen(wait: impl FnMut() + Send + 'static, choose: impl FnOnce()) {
    Builder::new()
        .workers(1)
        .shutdown_timeout(Duration::ZERO)
        .run(|| {
            let others = [(); 3].map(|()| {
                spawn(|| {
                    loop {
                        let _ = catch_unwind(thread::park);
                        spin();
                    }
                })
            });
            stand(wait);
            // From a sleep on, the worker reads its clock after each coroutine.
            thread::sleep(Duration::from_millis(1));
            thread::yield_now();
            spin();
            others.iter().for_each(|other| other.thread().unpark());
            choose();
        })
        .unwrap();
}

/// A plain thread that does `f` and is blocked in it by now.
fn blocked<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    let number = Arc::new(AtomicI32::new(0));
    let own = Arc::clone(&number);
    let thread = std::thread::spawn(move || {
        own.store(support::thread_number(), SeqCst);
        f()
    });
    eventually(5, "the thread blocks", || {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", number.load(SeqCst)));
        stat.is_ok_and(|stat| stat.contains(") S "))
    });
    thread
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who comes after the leaked: a plain thread and the coroutines of another runtime wait behind them; then `open` lets the first
/// of the line in. All get there.
fn all_are_served(visit: impl Fn() + Copy + Send + 'static, open: impl FnOnce()) {
    let thread = blocked(visit);
    run(|| {
        let others = [(); 3].map(|()| spawn(visit));
        thread::yield_now();
        open();
        others.into_iter().for_each(|other| other.join().unwrap());
        visit();
    });
    thread.join().unwrap();
    visit();
}

#[test]
fn in_the_line_of_a_mutex() {
    static MUTEX: Mutex<u32> = Mutex::new(0);
    bounded(20, || {
        let visit = || *lock(&MUTEX) += 1;
        let guard = lock(&MUTEX);
        (0..3).for_each(|_| leak(visit));
        leak_stubborn(visit);
        all_are_served(visit, || drop(guard));
        assert_eq!(*lock(&MUTEX), 6);
    });
}

/// A thousand of them take neither stack nor time.
#[test]
fn many_in_the_line_of_a_mutex() {
    static MUTEX: Mutex<u32> = Mutex::new(0);
    bounded(30, || {
        let visit = || *lock(&MUTEX) += 1;
        let guard = lock(&MUTEX);
        Builder::new()
            .shutdown_timeout(Duration::from_millis(20))
            .run(|| {
                (0..1000).for_each(|_| drop(spawn(visit)));
                thread::yield_now();
            })
            .unwrap();
        all_are_served(visit, || drop(guard));
    });
}

#[test]
fn writers_in_the_line_of_an_rwlock() {
    static LOCK: RwLock<u32> = RwLock::new(0);
    bounded(20, || {
        let visit = || *LOCK.write().unwrap_or_else(PoisonError::into_inner) += 1;
        let guard = LOCK.write().unwrap();
        (0..3).for_each(|_| leak(visit));
        all_are_served(visit, || drop(guard));
        assert_eq!(*LOCK.read().unwrap(), 6);
    });
}

#[test]
fn readers_in_the_line_of_an_rwlock() {
    static LOCK: RwLock<u32> = RwLock::new(0);
    bounded(20, || {
        let read = || drop(LOCK.read().unwrap_or_else(PoisonError::into_inner));
        let guard = LOCK.write().unwrap();
        (0..3).for_each(|_| leak(read));
        all_are_served(|| *LOCK.write().unwrap() += 1, || drop(guard));
        let guard = LOCK.write().unwrap();
        leak(read);
        all_are_served(read, || drop(guard));
    });
}

/// Readers are let in by a downgrade, too, and a reader frees it for a writer.
#[test]
fn at_the_front_of_an_rwlock_that_is_read() {
    static LOCK: RwLock<u32> = RwLock::new(0);
    bounded(20, || {
        let read = || drop(LOCK.read().unwrap_or_else(PoisonError::into_inner));
        let write = || *LOCK.write().unwrap_or_else(PoisonError::into_inner) += 1;
        let writing = LOCK.write().unwrap();
        leak(read);
        let reading = dormouse::sync::RwLockWriteGuard::downgrade(writing);
        leak(write);
        all_are_served(write, || drop(reading));
        assert_eq!(*LOCK.read().unwrap(), 6);
    });
}

#[test]
fn in_the_line_of_a_semaphore() {
    static SEMAPHORE: Semaphore = Semaphore::new(2);
    bounded(20, || {
        let visit = || drop(SEMAPHORE.acquire_many(2).unwrap());
        let permit = SEMAPHORE.acquire().unwrap();
        leak(visit);
        leak_stubborn(visit);
        all_are_served(visit, || drop(permit));
        assert_eq!(SEMAPHORE.available_permits(), 2);
    });
}

#[test]
fn in_the_line_of_a_condvar() {
    static STATE: (Mutex<u32>, Condvar) = (Mutex::new(0), Condvar::new());
    bounded(20, || {
        let take = || {
            let mut tokens = lock(&STATE.0);
            while *tokens == 0 {
                tokens = STATE.1.wait(tokens).unwrap_or_else(PoisonError::into_inner);
            }
            *tokens -= 1;
        };
        let give = || {
            *lock(&STATE.0) += 1;
            STATE.1.notify_one();
        };
        (0..3).for_each(|_| leak(take));
        let thread = blocked(take);
        run(move || {
            let other = spawn(take);
            thread::yield_now();
            give();
            eventually(5, "one of those who live takes the token", || *lock(&STATE.0) == 0);
            give();
            other.join().unwrap();
        });
        thread.join().unwrap();
    });
}

#[test]
fn in_the_line_of_a_notify() {
    static NOTIFY: Notify = Notify::new();
    bounded(20, || {
        leak(|| NOTIFY.wait());
        leak_stubborn(|| NOTIFY.wait());
        let thread = blocked(|| NOTIFY.wait());
        NOTIFY.notify_one();
        thread.join().unwrap();
        leak(|| NOTIFY.wait());
        NOTIFY.notify_one();
        // Nobody is there, so the permit is kept.
        run(|| assert!(NOTIFY.wait_timeout(Duration::ZERO)));
        leak(|| NOTIFY.wait());
        NOTIFY.notify_all();
        assert!(!NOTIFY.wait_timeout(Duration::ZERO));
    });
}

#[test]
fn in_the_line_of_a_channel() {
    bounded(20, || {
        let (sender, receiver) = mpmc::channel();
        let receives = || {
            let receiver = receiver.clone();
            move || {
                let _ = receiver.recv();
            }
        };
        leak(receives());
        leak_stubborn(receives());
        let selecting = receiver.clone();
        leak(move || {
            dormouse::sync::select! {
                recv(selecting) -> _message => (),
            }
        });
        let living = receiver.clone();
        let thread = blocked(move || living.recv().unwrap());
        sender.send(1).unwrap();
        assert_eq!(thread.join().unwrap(), 1);
        leak(receives());
        run(|| {
            let living = receiver.clone();
            let other = spawn(move || living.recv().unwrap());
            thread::yield_now();
            sender.send(2).unwrap();
            assert_eq!(other.join().unwrap(), 2);
        });
    });
}

/// What a leaked sender brought is received; one that would only select is passed over.
#[test]
fn in_the_line_of_a_full_channel() {
    bounded(20, || {
        let (sender, receiver) = mpmc::sync_channel(1);
        sender.send(1).unwrap();
        let sends = sender.clone();
        leak(move || sends.send(2).unwrap());
        let selecting = sender.clone();
        leak(move || {
            dormouse::sync::select! {
                send(selecting, 3) -> sent => sent.unwrap(),
            }
        });
        let living = sender.clone();
        let thread = blocked(move || living.send(4).unwrap());
        assert_eq!([receiver.recv(), receiver.recv()], [Ok(1), Ok(2)]);
        assert_eq!(receiver.recv(), Ok(4));
        thread.join().unwrap();
    });
}

#[test]
fn chosen_for_a_mutex_just_before_the_end() {
    static MUTEX: Mutex<u32> = Mutex::new(0);
    bounded(20, || {
        let visit = || *lock(&MUTEX) += 1;
        let guard = lock(&MUTEX);
        leak_chosen(visit, || drop(guard));
        let guard = lock(&MUTEX);
        all_are_served(visit, || drop(guard));
        assert_eq!(*lock(&MUTEX), 7);
    });
}

#[test]
fn chosen_for_permits_just_before_the_end() {
    static SEMAPHORE: Semaphore = Semaphore::new(1);
    bounded(20, || {
        let visit = || drop(SEMAPHORE.acquire().unwrap());
        let permit = SEMAPHORE.acquire().unwrap();
        leak_chosen(visit, || drop(permit));
        assert_eq!(SEMAPHORE.available_permits(), 1);
    });
}

#[test]
fn chosen_for_a_message_just_before_the_end() {
    bounded(20, || {
        let (sender, receiver) = mpmc::channel();
        let received = Arc::new(AtomicUsize::new(0));
        let (leaked, counts) = (receiver.clone(), Arc::clone(&received));
        leak_chosen(
            move || {
                counts.fetch_add(leaked.recv().unwrap(), SeqCst);
            },
            || sender.send(1).unwrap(),
        );
        assert_eq!(received.load(SeqCst) + receiver.len(), 1);
        assert_eq!(receiver.len(), 0, "it came to take it");
    });
}

/// Whoever is chosen while its runtime ends, at whatever moment: it comes, or the next does.
#[test]
fn chosen_while_the_runtime_ends() {
    static MUTEX: Mutex<u32> = Mutex::new(0);
    static STANDS: AtomicBool = AtomicBool::new(false);
    bounded(60, || {
        let mut random = support::Random(7);
        for _ in 0..100 {
            STANDS.store(false, SeqCst);
            let pause = Duration::from_micros(random.below(1500));
            let guard_thread = std::thread::spawn(move || {
                let guard = lock(&MUTEX);
                eventually(5, "it stands in the line", || STANDS.load(SeqCst));
                let start = Instant::now();
                while start.elapsed() < pause {
                    std::hint::spin_loop();
                }
                drop(guard);
            });
            eventually(5, "the mutex is held", || MUTEX.try_lock().is_err());
            Builder::new()
                .shutdown_timeout(Duration::from_micros(500))
                .run(|| {
                    (0..4).for_each(|_| drop(spawn(|| *lock(&MUTEX) += 1)));
                    thread::yield_now();
                    STANDS.store(true, SeqCst);
                })
                .unwrap();
            guard_thread.join().unwrap();
            let thread = std::thread::spawn(|| *lock(&MUTEX) += 1);
            *lock(&MUTEX) += 1;
            thread.join().unwrap();
        }
    });
}
