//! `sleep` and `sleep_until`: never early, and no trouble however many sleep.

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use support::{Random, bounded, is_cancelled, run};

fn sleeps_at_least(duration: Duration) {
    let start = Instant::now();
    thread::sleep(duration);
    let slept = start.elapsed();
    assert!(slept >= duration, "slept {slept:?} of {duration:?}");
}

#[test]
fn never_early_however_short() {
    bounded(20, || {
        run(|| {
            for nanos in [0, 1, 999, 1_000, 50_000, 99_999, 300_000, 999_999, 1_000_001, 5_000_000] {
                sleeps_at_least(Duration::from_nanos(nanos));
            }
            let mut random = Random(3);
            for _ in 0..500 {
                sleeps_at_least(Duration::from_nanos(random.below(200_000)));
            }
        });
    });
}

#[test]
fn never_early_among_others() {
    bounded(20, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let sleepers: Vec<_> = (0..200)
                    .map(|seed| {
                        spawn(move || {
                            let mut random = Random(seed + 1);
                            for _ in 0..20 {
                                sleeps_at_least(Duration::from_nanos(random.below(3_000_000)));
                            }
                        })
                    })
                    .collect();
                sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
            })
            .unwrap();
    });
}

/// Sleeps of less than a millisecond are honoured: the best of many must come close.
#[test]
fn a_sub_millisecond_sleep_is_not_rounded_up_to_one() {
    bounded(20, || {
        let best = run(|| {
            let sleeps = (0..200).map(|_| {
                let start = Instant::now();
                thread::sleep(Duration::from_micros(100));
                start.elapsed()
            });
            sleeps.min().unwrap()
        });
        assert!(best < Duration::from_micros(900), "{best:?}");
    });
}

#[test]
fn until_an_instant_that_is_past_returns_at_once() {
    bounded(10, || {
        run(|| {
            for past in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(1)] {
                thread::sleep_until(Instant::now().checked_sub(past).unwrap());
            }
            thread::sleep(Duration::ZERO);
        });
    });
}

#[test]
fn until_an_instant_to_come_is_never_early() {
    bounded(10, || {
        run(|| {
            let deadline = Instant::now() + Duration::from_millis(7);
            thread::sleep_until(deadline);
            assert!(Instant::now() >= deadline);
        });
    });
}

#[test]
fn for_ever_can_be_cancelled_and_ends_at_shutdown() {
    bounded(10, || {
        let (max, far, left) = run(|| {
            let max = spawn(|| thread::sleep(Duration::MAX));
            let century = Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600);
            let far = spawn(move || thread::sleep_until(century));
            let left = spawn(|| thread::sleep(Duration::MAX));
            thread::sleep(Duration::from_millis(2));
            assert!(!max.is_finished() && !far.is_finished());
            max.cancel();
            far.cancel();
            (max.join(), far.join(), left)
        });
        assert!(is_cancelled(&max) && is_cancelled(&far) && is_cancelled(&left.join()));
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    bounded(10, || {
        run(|| {
            let order = Rc::new(RefCell::new(Vec::new()));
            let start = Instant::now() + Duration::from_millis(30);
            let handles: Vec<_> = [5u64, 1, 4, 2, 3, 0]
                .map(|place| {
                    let order = Rc::clone(&order);
                    spawn_local(move || {
                        thread::sleep_until(start + Duration::from_millis(place));
                        order.borrow_mut().push(place);
                    })
                })
                .into();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            assert_eq!(*order.borrow(), [0, 1, 2, 3, 4, 5]);
        });
    });
}

/// Spawns ten thousand that sleep until about `lead` from now; how many of them slept at a time.
fn most_asleep(lead: Duration) -> usize {
    let (asleep, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let until = Instant::now() + lead;
    let handles: Vec<_> = (0..10_000)
        .map(|n| {
            let (asleep, most) = (Rc::clone(&asleep), Rc::clone(&most));
            spawn_local(move || {
                asleep.set(asleep.get() + 1);
                most.set(most.get().max(asleep.get()));
                let deadline = until + Duration::from_micros(n * 7919 % 20_000);
                thread::sleep_until(deadline);
                assert!(Instant::now() >= deadline);
                asleep.set(asleep.get() - 1);
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    assert_eq!(asleep.get(), 0);
    most.get()
}

#[test]
fn ten_thousand_at_once() {
    bounded(60, || {
        // On a busy machine the last may not have started when the first get up, unless they sleep for longer.
        let mut leads = [500, 2_000, 8_000].map(Duration::from_millis).into_iter();
        let all_sleep = || leads.any(|lead| most_asleep(lead) == 10_000);
        assert!(Builder::new().workers(1).stack_size(32 << 10).run(all_sleep).unwrap());
    });
}

/// A signal interrupts the worker's sleep in the kernel, and nothing else.
#[test]
fn a_signal_does_not_end_it() {
    extern "C" fn ignore(_: libc::c_int) {}
    bounded(20, || {
        // SAFETY: a handler that does nothing; without SA_RESTART, so that system calls are interrupted.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
            libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut());
        }
        run(|| {
            // SAFETY: takes no argument.
            let worker = unsafe { libc::pthread_self() } as usize;
            let shelling = std::thread::spawn(move || {
                for _ in 0..100 {
                    // SAFETY: the thread outlives this one, which it joins.
                    unsafe { libc::pthread_kill(worker as libc::pthread_t, libc::SIGUSR1) };
                    std::thread::sleep(Duration::from_micros(300));
                }
            });
            for _ in 0..10 {
                sleeps_at_least(Duration::from_millis(5));
            }
            spawn(|| thread::park_timeout(Duration::from_millis(5))).join().unwrap();
            shelling.join().unwrap();
        });
    });
}
