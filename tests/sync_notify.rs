//! `sync::Notify`: one permit is kept, the longest wait ends first, and a cancelled one hands on what was its own.

mod net_support;
mod support;

use dormouse::sync::{Arc, Notify};
use dormouse::{Builder, spawn, thread};
use net_support::in_three_settings;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, Random, bounded, eventually, is_cancelled, run};

static SHARED: Notify = Notify::new();

fn yields(count: usize) {
    (0..count).for_each(|_| thread::yield_now());
}

/// Coroutines that wait, in this order, and note their numbers when they are through.
fn waiters(notify: &Arc<Notify>, through: &Arc<Mutex<Vec<usize>>>, count: usize) -> Vec<thread::JoinHandle<()>> {
    let spawned = (0..count).map(|n| {
        let (notify, through) = (Arc::clone(notify), Arc::clone(through));
        spawn(move || {
            notify.wait();
            through.lock().unwrap().push(n);
        })
    });
    let spawned = spawned.collect();
    yields(count + 1);
    spawned
}

#[test]
fn one_permit_is_kept() {
    for on_thread in [true, false] {
        bounded(10, move || {
            let body = || {
                let notify = Notify::default();
                notify.notify_one();
                notify.notify_one();
                notify.wait();
                assert!(!notify.wait_timeout(Duration::from_millis(1)));
                notify.notify_all();
                assert!(!notify.wait_timeout(Duration::ZERO), "those who wait, and nobody else");
                notify.notify_one();
                assert!(notify.wait_timeout(Duration::ZERO));
                let start = Instant::now();
                assert!(!notify.wait_timeout(Duration::from_millis(3)));
                assert!(start.elapsed() >= Duration::from_millis(3));
                assert_eq!(format!("{notify:?}"), "Notify { .. }");
            };
            if on_thread { body() } else { run(body) }
        });
    }
}

#[test]
fn the_longest_wait_ends_first() {
    bounded(10, || {
        run(|| {
            let (notify, through) = (Arc::new(Notify::new()), Arc::default());
            let handles = waiters(&notify, &through, 5);
            for n in 1..=5 {
                notify.notify_one();
                yields(2);
                assert!(through.lock().unwrap().iter().copied().eq(0..n));
            }
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            assert!(!notify.wait_timeout(Duration::ZERO), "each notification ended a wait");
        });
    });
}

#[test]
fn all_waits_end_and_no_permit_is_left() {
    bounded(10, || {
        run(|| {
            let (notify, through) = (Arc::new(Notify::new()), Arc::default());
            let handles = waiters(&notify, &through, 50);
            notify.notify_all();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            assert!(!notify.wait_timeout(Duration::ZERO));
        });
    });
}

#[test]
fn one_chosen_and_cancelled_hands_on_what_was_its_own() {
    bounded(10, || {
        run(|| {
            let (notify, through) = (Arc::new(Notify::new()), Arc::default());
            let handles = waiters(&notify, &through, 2);
            // It has not run yet, so it is still the one to be chosen.
            handles[0].cancel();
            notify.notify_one();
            let cancelled: Vec<_> = handles.into_iter().map(|handle| is_cancelled(&handle.join())).collect();
            assert_eq!(cancelled, [true, false]);
            assert!(!notify.wait_timeout(Duration::ZERO));
            let handles = waiters(&notify, &through, 2);
            handles[0].cancel();
            notify.notify_all();
            assert!(is_cancelled(&handles.into_iter().map(thread::JoinHandle::join).next().unwrap()));
            assert!(!notify.wait_timeout(Duration::ZERO), "what was for all is nobody's to hand on");
        });
    });
}

/// Each of two sides waits for the other's notification.
#[test]
fn turns_are_passed_in_every_setting() {
    in_three_settings(|setting| {
        let shared = Arc::new((Notify::new(), Notify::new(), AtomicUsize::new(0)));
        let other = Arc::clone(&shared);
        let server = setting.server(move || {
            for round in 0..500 {
                other.0.wait();
                assert_eq!(other.2.swap(2 * round + 2, SeqCst), 2 * round + 1);
                other.1.notify_one();
            }
        });
        let client = setting.client(move || {
            for round in 0..500 {
                shared.2.store(2 * round + 1, SeqCst);
                shared.0.notify_one();
                shared.1.wait();
                assert_eq!(shared.2.load(SeqCst), 2 * round + 2);
            }
        });
        client.join();
        server.join();
    });
}

/// Whatever times out or is cancelled, each notification ends a wait that then goes on, or stays as the permit.
#[test]
fn timeouts_and_cancels_lose_no_notification() {
    bounded(60, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let mut random = Random(31);
                for _ in 0..300 {
                    let (notify, got) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
                    let handles: Vec<_> = (0..6)
                        .map(|n| {
                            let (notify, got, micros) = (Arc::clone(&notify), Arc::clone(&got), random.below(60));
                            spawn(move || {
                                let timeout = Duration::from_micros(if n % 2 == 0 { micros } else { 10_000_000 });
                                if notify.wait_timeout(timeout) {
                                    got.fetch_add(1, SeqCst);
                                }
                            })
                        })
                        .collect();
                    thread::sleep(Duration::from_micros(random.below(60)));
                    (0..2).for_each(|_| notify.notify_one());
                    handles[1].cancel();
                    handles[3].cancel();
                    // Those left are served by as many more as there are of them at the most.
                    let taken = handles.into_iter().fold(0, |cancelled, handle| {
                        while !handle.is_finished() {
                            thread::sleep(Duration::from_micros(100));
                            notify.notify_all();
                        }
                        cancelled + usize::from(is_cancelled(&handle.join()))
                    });
                    assert!(taken <= 2 && got.load(SeqCst) <= 6);
                    // At rest: nobody waits, so a notification must be there to be had.
                    notify.notify_one();
                    assert!(notify.wait_timeout(Duration::ZERO) && !notify.wait_timeout(Duration::ZERO));
                }
            })
            .unwrap();
    });
}

/// Notifications that are each for one, among waiters some of whom are cancelled: all that others wait for arrive.
#[test]
fn notifications_for_one_are_handed_on() {
    bounded(60, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let mut random = Random(43);
                for _ in 0..500 {
                    let notify = Arc::new(Notify::new());
                    let wait = || {
                        let notify = Arc::clone(&notify);
                        spawn(move || notify.wait())
                    };
                    let (victim, stays) = (wait(), wait());
                    thread::sleep(Duration::from_micros(random.below(30)));
                    notify.notify_one();
                    victim.cancel();
                    if is_cancelled(&victim.join()) {
                        stays.join().unwrap();
                    } else {
                        notify.notify_one();
                        stays.join().unwrap();
                    }
                }
            })
            .unwrap();
    });
}

#[test]
fn waiting_in_a_drop_of_an_unwind_waits() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| {
                let _on_drop = OnDrop(|| SHARED.wait());
                thread::park();
            });
            thread::yield_now();
            handle.cancel();
            yields(3);
            assert!(!handle.is_finished());
            SHARED.notify_one();
            assert!(is_cancelled(&handle.join()));
        });
    });
}

#[test]
fn a_wait_for_a_change_misses_none() {
    in_three_settings(|setting| {
        let shared = Arc::new((Notify::new(), AtomicUsize::new(0)));
        let other = Arc::clone(&shared);
        let waits = setting.server(move || {
            while other.1.load(SeqCst) < 1000 {
                other.0.wait();
            }
        });
        let changes: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                setting.client(move || {
                    for _ in 0..500 {
                        shared.1.fetch_add(1, SeqCst);
                        shared.0.notify_one();
                    }
                })
            })
            .collect();
        changes.into_iter().for_each(net_support::Started::join);
        waits.join();
        eventually(5, "all changes were made", || shared.1.load(SeqCst) == 1000);
    });
}
