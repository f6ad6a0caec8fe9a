//! `sync::Semaphore`: first come, first served; no permit is lost by a timeout or a cancel.

mod net_support;
mod support;

use dormouse::sync::{AcquireTimeoutError, Arc, Semaphore, TryAcquireError};
use dormouse::{Builder, spawn, thread};
use net_support::in_three_settings;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, Random, bounded, is_cancelled, run};

static TWO: Semaphore = Semaphore::new(2);

fn yields(count: usize) {
    (0..count).for_each(|_| thread::yield_now());
}

/// A coroutine that waits for so many permits and notes their number when it has had them.
fn taker(semaphore: &Arc<Semaphore>, served: &Arc<Mutex<Vec<usize>>>, permits: usize) -> thread::JoinHandle<()> {
    let (semaphore, served) = (Arc::clone(semaphore), Arc::clone(served));
    let handle = spawn(move || {
        let _permit = semaphore.acquire_many(permits).unwrap();
        served.lock().unwrap().push(permits);
    });
    yields(2);
    handle
}

#[test]
fn permits_are_counted() {
    bounded(10, || {
        let body = || {
            let semaphore = Semaphore::new(5);
            let (one, three) = (semaphore.acquire().unwrap(), semaphore.acquire_many(3).unwrap());
            assert_eq!((one.permits(), three.permits(), semaphore.available_permits()), (1, 3, 1));
            assert_eq!(semaphore.try_acquire_many(2).unwrap_err(), TryAcquireError::NoPermits);
            let none = semaphore.acquire_many(0).unwrap();
            drop((one, none));
            assert_eq!(semaphore.available_permits(), 2);
            three.forget();
            assert_eq!((semaphore.available_permits(), semaphore.forget_permits(9)), (2, 2));
            semaphore.add_permits(1);
            assert_eq!(semaphore.try_acquire().unwrap().permits(), 1);
            assert_eq!(format!("{semaphore:?}"), "Semaphore { permits: 1, closed: false, .. }");
            let shared = Arc::new(semaphore);
            let owned = Arc::clone(&shared).acquire_owned().unwrap();
            assert_eq!(Arc::clone(&shared).try_acquire_owned().unwrap_err(), TryAcquireError::NoPermits);
            owned.forget();
            shared.add_permits(2);
            drop(Arc::clone(&shared).acquire_many_owned(2).unwrap());
            assert_eq!(Arc::clone(&shared).try_acquire_many_owned(2).unwrap().permits(), 2);
            assert_eq!(shared.available_permits(), 2);
        };
        body();
        run(body);
    });
}

#[test]
fn there_are_not_more_than_it_can_count() {
    assert!(catch_unwind(|| Semaphore::new(Semaphore::MAX_PERMITS + 1)).is_err());
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS - 1);
    let out = semaphore.acquire_many(5).unwrap();
    semaphore.add_permits(1);
    assert!(catch_unwind(|| semaphore.add_permits(1)).is_err(), "those out count, too");
    out.forget();
    semaphore.add_permits(5);
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
}

#[test]
fn no_more_than_its_permits_are_inside() {
    in_three_settings(|setting| {
        let inside = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let visitors: Vec<_> = (0..12)
            .map(|n| {
                let inside = Arc::clone(&inside);
                setting.nth(n, move || {
                    for _ in 0..100 {
                        let _permit = TWO.acquire().unwrap();
                        assert!(inside.0.fetch_add(1, SeqCst) < 2);
                        thread::yield_now();
                        inside.0.fetch_sub(1, SeqCst);
                        inside.1.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        visitors.into_iter().for_each(net_support::Started::join);
        assert_eq!((inside.1.load(SeqCst), TWO.available_permits()), (1200, 2));
    });
}

#[test]
fn whoever_asks_for_many_is_not_overtaken() {
    bounded(10, || {
        run(|| {
            let (semaphore, served) = (Arc::new(Semaphore::new(2)), Arc::default());
            let handles: Vec<_> = [3, 1, 2].into_iter().map(|n| taker(&semaphore, &served, n)).collect();
            assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
            assert_eq!(semaphore.acquire_timeout(Duration::ZERO).unwrap_err(), AcquireTimeoutError::Timeout);
            assert!(served.lock().unwrap().is_empty());
            semaphore.add_permits(1);
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            assert_eq!((&**served.lock().unwrap(), semaphore.available_permits()), (&[3, 1, 2][..], 3));
        });
    });
}

#[test]
fn whoever_leaves_the_line_lets_the_next_ones_go() {
    bounded(10, || {
        run(|| {
            let (semaphore, served) = (Arc::new(Semaphore::new(2)), Arc::default());
            let large = taker(&semaphore, &served, 3);
            let small = taker(&semaphore, &served, 2);
            large.cancel();
            assert!(is_cancelled(&large.join()));
            small.join().unwrap();
            let waits = Arc::clone(&semaphore);
            let large = spawn(move || waits.acquire_many_timeout(5, Duration::from_millis(3)).err());
            yields(2);
            let small = taker(&semaphore, &served, 1);
            assert_eq!(large.join().unwrap(), Some(AcquireTimeoutError::Timeout));
            small.join().unwrap();
            assert_eq!(semaphore.available_permits(), 2);
        });
    });
}

#[test]
fn permits_of_one_chosen_and_cancelled_go_to_the_next() {
    bounded(10, || {
        run(|| {
            let (semaphore, served) = (Arc::new(Semaphore::new(0)), Arc::default());
            let (first, second) = (taker(&semaphore, &served, 2), taker(&semaphore, &served, 2));
            // It has not run yet, so it is still the one to be given the permits.
            first.cancel();
            semaphore.add_permits(2);
            assert_eq!(semaphore.available_permits(), 0);
            assert!(is_cancelled(&first.join()));
            second.join().unwrap();
            assert_eq!((&**served.lock().unwrap(), semaphore.available_permits()), (&[2][..], 2));
        });
    });
}

#[test]
fn a_timeout_is_never_early() {
    bounded(10, || {
        let body = || {
            let semaphore = Semaphore::new(0);
            for micros in [0, 50, 2000] {
                let (start, timeout) = (Instant::now(), Duration::from_micros(micros));
                assert_eq!(semaphore.acquire_timeout(timeout).unwrap_err(), AcquireTimeoutError::Timeout);
                assert!(start.elapsed() >= timeout);
            }
        };
        body();
        run(body);
    });
}

#[test]
fn a_close_refuses_who_waits_and_who_comes() {
    in_three_settings(|setting| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = Arc::clone(&semaphore).acquire_owned().unwrap();
        let waits: Vec<_> = (0..6)
            .map(|n| {
                let semaphore = Arc::clone(&semaphore);
                setting.nth(n, move || match n % 3 {
                    0 => semaphore.acquire_timeout(Duration::from_secs(60)).unwrap_err() == AcquireTimeoutError::Closed,
                    _ => semaphore.acquire_many(n).unwrap_err().to_string() == "semaphore closed",
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(2));
        assert!(!semaphore.is_closed() && waits.iter().all(|wait| !wait.is_finished()));
        semaphore.close();
        assert!(waits.into_iter().all(net_support::Started::join));
        drop(held);
        assert!(semaphore.is_closed() && semaphore.acquire().is_err());
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn permits_go_back_in_an_unwind_and_a_drop_may_wait_for_one() {
    bounded(10, || {
        run(|| {
            let semaphore = Arc::new(Semaphore::new(1));
            let own = Arc::clone(&semaphore);
            let handle = spawn(move || {
                let _on_drop = OnDrop(|| drop(own.acquire().unwrap()));
                let _permit = own.acquire().unwrap();
                thread::park();
            });
            yields(2);
            let held = semaphore.try_acquire().err();
            assert_eq!(held, Some(TryAcquireError::NoPermits));
            handle.cancel();
            assert!(is_cancelled(&handle.join()));
            assert_eq!(semaphore.available_permits(), 1);
        });
    });
}

/// Takers of all sizes that time out or are cancelled at any time: in the end all permits are back.
#[test]
fn timeouts_and_cancels_lose_no_permit() {
    in_three_settings(|setting| {
        const PERMITS: usize = 4;
        let semaphore = Arc::new(Semaphore::new(PERMITS));
        let inside = Arc::new(AtomicUsize::new(0));
        let users: Vec<_> = (0..6)
            .map(|n| {
                let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
                setting.nth(n, move || {
                    let mut random = Random(n as u64 + 1);
                    for _ in 0..300 {
                        let permits = 1 + random.below(PERMITS as u64) as usize;
                        let timeout = Duration::from_micros(random.below(300));
                        let Ok(taken) = semaphore.acquire_many_timeout(permits, timeout) else {
                            continue;
                        };
                        assert!(inside.fetch_add(permits, SeqCst) + permits <= PERMITS);
                        thread::sleep(Duration::from_micros(random.below(30)));
                        inside.fetch_sub(permits, SeqCst);
                        drop(taken);
                    }
                })
            })
            .collect();
        users.into_iter().for_each(net_support::Started::join);
        assert_eq!(semaphore.available_permits(), PERMITS);
    });
    bounded(60, || {
        let semaphore = Arc::new(Semaphore::new(2));
        let shared = Arc::clone(&semaphore);
        Builder::new()
            .workers(2)
            .run(move || {
                let mut random = Random(99);
                for _ in 0..300 {
                    let handles: Vec<_> = (0..5)
                        .map(|n| {
                            let shared = Arc::clone(&shared);
                            spawn(move || {
                                let _permit = shared.acquire_many(1 + n % 2).unwrap();
                                thread::sleep(Duration::from_micros(20));
                            })
                        })
                        .collect();
                    thread::sleep(Duration::from_micros(random.below(80)));
                    handles.iter().step_by(2).for_each(thread::JoinHandle::cancel);
                    for handle in handles {
                        let joined = handle.join();
                        assert!(joined.is_ok() || is_cancelled(&joined));
                    }
                }
            })
            .unwrap();
        assert_eq!(semaphore.available_permits(), 2);
    });
}
