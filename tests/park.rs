//! `park`, `park_timeout`, `unpark`: one token, never lost, never doubled, never early.

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{Random, bounded, child, descriptors, eventually, run};

#[test]
fn an_unpark_before_the_park_ends_it() {
    bounded(10, || {
        run(|| {
            thread::current().unpark();
            thread::park();
            let handle = spawn(thread::park);
            handle.thread().unpark();
            handle.join().unwrap();
        });
    });
}

#[test]
fn two_unparks_are_one_token() {
    bounded(10, || {
        run(|| {
            let start = Instant::now();
            thread::current().unpark();
            thread::current().unpark();
            thread::park();
            thread::park_timeout(Duration::from_millis(20));
            assert!(start.elapsed() >= Duration::from_millis(20), "the second park found a token");
        });
    });
}

#[test]
fn two_unparks_of_another_thread_are_one_token() {
    bounded(10, || {
        run(|| {
            let me = thread::current();
            std::thread::spawn(move || {
                me.unpark();
                me.unpark();
            })
            .join()
            .unwrap();
            thread::park();
            let start = Instant::now();
            thread::park_timeout(Duration::from_millis(20));
            assert!(start.elapsed() >= Duration::from_millis(20), "the second park found a token");
        });
    });
}

#[test]
fn an_unpark_of_a_parked_coroutine_takes_its_token_with_it() {
    bounded(10, || {
        run(|| {
            let parks = Rc::new(Cell::new(0));
            let counts = Rc::clone(&parks);
            let handle = spawn_local(move || {
                loop {
                    thread::park();
                    counts.set(counts.get() + 1);
                }
            });
            for round in 1..=10 {
                thread::yield_now();
                handle.thread().unpark();
                handle.thread().unpark();
                (0..3).for_each(|_| thread::yield_now());
                // Parked, and unparked twice in one breath: the second is noted while it is ready, as std does.
                assert!((round..=2 * round).contains(&parks.get()), "{} {round}", parks.get());
            }
        });
    });
}

#[test]
fn a_token_is_of_no_use_to_a_sleep_or_a_join() {
    bounded(10, || {
        run(|| {
            let start = Instant::now();
            thread::current().unpark();
            thread::sleep(Duration::from_millis(10));
            assert!(start.elapsed() >= Duration::from_millis(10));
            let handle = spawn(|| thread::sleep(Duration::from_millis(10)));
            assert!(!handle.is_finished());
            handle.join().unwrap();
            thread::no_park(|| ());
            thread::park();
        });
    });
}

#[test]
fn a_timeout_is_never_early() {
    bounded(20, || {
        run(|| {
            let mut random = Random(7);
            for _ in 0..300 {
                let timeout = Duration::from_nanos(random.below(300_000));
                let start = Instant::now();
                thread::park_timeout(timeout);
                assert!(start.elapsed() >= timeout);
            }
        });
    });
}

#[test]
fn an_unpark_ends_a_park_with_a_timeout() {
    bounded(10, || {
        run(|| {
            let me = thread::current();
            spawn(move || me.unpark());
            thread::park_timeout(Duration::from_secs(3600));
            thread::park_timeout(Duration::ZERO);
            std::thread::spawn({
                let me = thread::current();
                move || me.unpark()
            });
            thread::park_timeout(Duration::MAX);
        });
    });
}

/// Another OS thread unparks just about when the timeout strikes. Each unpark is of a new round, told by a counter before it;
/// who then sees the counter move has nothing to wait for, so a token that is lost is a park without end.
#[test]
fn an_unpark_that_races_with_the_timeout_is_not_lost() {
    const ROUNDS: u64 = 5_000;
    bounded(30, || {
        run(|| {
            let asked = Arc::new(AtomicU64::new(0));
            let given = Arc::new(AtomicU64::new(0));
            let unparker = std::thread::spawn({
                let (asked, given, target) = (Arc::clone(&asked), Arc::clone(&given), thread::current());
                move || {
                    let mut random = Random(11);
                    for round in 1..=ROUNDS {
                        while asked.load(SeqCst) < round {
                            std::hint::spin_loop();
                        }
                        let wait = Duration::from_nanos(random.below(60_000));
                        let start = Instant::now();
                        while start.elapsed() < wait {
                            std::hint::spin_loop();
                        }
                        given.store(round, SeqCst);
                        target.unpark();
                    }
                }
            });
            let mut random = Random(13);
            let mut timeouts = 0;
            for round in 1..=ROUNDS {
                asked.store(round, SeqCst);
                thread::park_timeout(Duration::from_nanos(random.below(60_000)));
                if given.load(SeqCst) < round {
                    timeouts += 1;
                }
                // The token of this round is still to come, or has come and was taken: exactly then `given` says so.
                while given.load(SeqCst) < round {
                    thread::park();
                }
            }
            unparker.join().unwrap();
            assert!(timeouts > 0, "the race was never lost by the unparker");
        });
    });
}

/// A token that came with a timed-out park must still be there for the next.
#[test]
fn a_token_that_came_too_late_for_the_timeout_is_kept() {
    bounded(30, || {
        run(|| {
            let tokens = Arc::new(AtomicUsize::new(0));
            let stop = Arc::new(AtomicBool::new(false));
            let unparker = std::thread::spawn({
                let (tokens, stop, target) = (Arc::clone(&tokens), Arc::clone(&stop), thread::current());
                move || {
                    while !stop.load(SeqCst) {
                        if tokens.load(SeqCst) == 0 {
                            tokens.store(1, SeqCst);
                            target.unpark();
                        }
                    }
                }
            });
            for _ in 0..3_000 {
                thread::park_timeout(Duration::from_micros(3));
                // Whatever that was, one unpark follows each time this is set to 0.
                while tokens.swap(0, SeqCst) == 0 {
                    thread::park();
                }
            }
            stop.store(true, SeqCst);
            unparker.join().unwrap();
        });
    });
}

#[test]
fn what_happened_before_the_unpark_is_seen_after_the_park() {
    use std::sync::atomic::Ordering::Relaxed;
    bounded(20, || {
        run(|| {
            let word = Arc::new(AtomicUsize::new(0));
            let taken = Arc::new(AtomicUsize::new(0));
            let other = std::thread::spawn({
                let (word, taken, main) = (Arc::clone(&word), Arc::clone(&taken), thread::current());
                move || {
                    for round in 1..=5_000 {
                        word.store(round, Relaxed);
                        main.unpark();
                        while taken.load(Relaxed) != round {
                            std::thread::yield_now();
                        }
                    }
                }
            });
            for round in 1..=5_000 {
                // One token a round, and parks here are never spurious, so each park pairs with its own store.
                thread::park();
                assert_eq!(word.load(Relaxed), round);
                taken.store(round, Relaxed);
            }
            other.join().unwrap();
        });
    });
}

#[test]
fn storms_from_two_threads_and_another_worker_lose_no_wake() {
    bounded(30, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let stop = Arc::new(AtomicBool::new(false));
                let rounds = Arc::new(AtomicUsize::new(0));
                let sleepers: Vec<_> = (0..20)
                    .map(|_| {
                        let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
                        spawn(move || {
                            while !stop.load(SeqCst) {
                                thread::park();
                                rounds.fetch_add(1, SeqCst);
                            }
                        })
                    })
                    .collect();
                let targets: Arc<[_]> = sleepers.iter().map(|sleeper| sleeper.thread().clone()).collect();
                let storm = |targets: Arc<[thread::Thread]>, stop: Arc<AtomicBool>| {
                    move || {
                        while !stop.load(SeqCst) {
                            targets.iter().for_each(thread::Thread::unpark);
                        }
                    }
                };
                let threads: Vec<_> =
                    (0..2).map(|_| std::thread::spawn(storm(Arc::clone(&targets), Arc::clone(&stop)))).collect();
                let inside: Vec<_> = (0..4)
                    .map(|_| {
                        let (targets, stop) = (Arc::clone(&targets), Arc::clone(&stop));
                        spawn(move || {
                            while !stop.load(SeqCst) {
                                targets.iter().for_each(thread::Thread::unpark);
                                thread::yield_now();
                            }
                        })
                    })
                    .collect();
                let before = support::resident_kib();
                eventually(20, "every sleeper is woken many times", || rounds.load(SeqCst) > 20_000);
                let after = support::resident_kib();
                stop.store(true, SeqCst);
                threads.into_iter().for_each(|thread| thread.join().unwrap());
                inside.into_iter().for_each(|coroutine| coroutine.join().unwrap());
                // The last unpark of all; what was unparked before it must not hide it.
                targets.iter().for_each(thread::Thread::unpark);
                sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
                assert!(after < before + 16 * 1024, "the inbox grew: {before} KiB, then {after} KiB");
            })
            .unwrap();
    });
}

#[test]
fn a_loop_of_unparks_of_a_busy_worker_does_not_grow_its_inbox() {
    let ended = support::child("a_loop_of_unparks_of_a_busy_worker_does_not_grow_its_inbox", 20, || {
        run(|| {
            let target = thread::current();
            let before = support::resident_kib();
            // This worker is busy (blocked) for all of the loop, so nothing is read meanwhile.
            std::thread::spawn(move || (0..2_000_000).for_each(|_| target.unpark())).join().unwrap();
            let after = support::resident_kib();
            assert!(after < before + 2048, "{before} KiB, then {after} KiB");
            thread::park();
        });
    });
    ended.succeeded();
}

#[test]
fn ping_pong_within_a_worker_and_across_two() {
    bounded(30, || {
        for workers in [1, 2] {
            Builder::new()
                .workers(workers)
                .run(move || {
                    // Enough pairs that some span both workers.
                    let pairs: Vec<_> = (0..20)
                        .map(|_| {
                            let turn = Arc::new(AtomicUsize::new(0));
                            let ponger = spawn({
                                let turn = Arc::clone(&turn);
                                move || {
                                    let pinger: thread::Thread = loop {
                                        thread::park();
                                        if let Some(thread) = MAILBOX.lock().unwrap().remove(&thread::current().id()) {
                                            break thread;
                                        }
                                    };
                                    for round in 0..200 {
                                        while turn.load(SeqCst) != 2 * round + 1 {
                                            thread::park();
                                        }
                                        turn.store(2 * round + 2, SeqCst);
                                        pinger.unpark();
                                    }
                                }
                            });
                            let pong = ponger.thread().clone();
                            let pinger = spawn(move || {
                                MAILBOX.lock().unwrap().insert(pong.id(), thread::current());
                                pong.unpark();
                                for round in 0..200 {
                                    turn.store(2 * round + 1, SeqCst);
                                    pong.unpark();
                                    while turn.load(SeqCst) != 2 * round + 2 {
                                        thread::park();
                                    }
                                }
                            });
                            (ponger, pinger)
                        })
                        .collect();
                    for (ponger, pinger) in pairs {
                        pinger.join().unwrap();
                        ponger.join().unwrap();
                    }
                })
                .unwrap();
        }
    });
}

static MAILBOX: std::sync::LazyLock<std::sync::Mutex<std::collections::HashMap<thread::ThreadId, thread::Thread>>> =
    std::sync::LazyLock::new(Default::default);

#[test]
fn an_unpark_of_one_that_has_ended_does_nothing() {
    bounded(10, || {
        let kept = run(|| {
            let handle = spawn(|| ());
            let thread = handle.thread().clone();
            handle.join().unwrap();
            thread.unpark();
            // Its slot is used again: the unpark must not reach the next.
            let next = spawn(|| {
                let start = Instant::now();
                thread::park_timeout(Duration::from_millis(10));
                assert!(start.elapsed() >= Duration::from_millis(10));
            });
            thread::yield_now();
            thread.unpark();
            std::thread::spawn({
                let thread = thread.clone();
                move || thread.unpark()
            });
            next.join().unwrap();
            thread
        });
        kept.unpark();
    });
}

#[test]
fn an_unpark_of_one_whose_runtime_has_ended_leaks_no_descriptor() {
    let ended = child("an_unpark_of_one_whose_runtime_has_ended_leaks_no_descriptor", 10, || {
        drop(run(thread::current));
        let before = descriptors();
        for _ in 0..20 {
            let (main, handle) = run(|| (thread::current(), spawn(thread::park)));
            main.unpark();
            handle.thread().unpark();
            handle.cancel();
            let _ = handle.join();
        }
        assert_eq!(descriptors(), before, "descriptors of ended runtimes stay open");
    });
    ended.succeeded();
}
