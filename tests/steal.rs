//! What waits to start at a busy worker is started by an idle one; what has started, or is local, never moves.
mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::collections::HashSet;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Random, bounded, child, eventually, is_cancelled, thread_number, wake_ups};

/// Computes until `condition` holds; its worker does nothing else meanwhile.
#[track_caller]
fn compute_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "did not happen while a worker computed: {what}");
        spin_loop();
    }
}

fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        spin_loop();
    }
}

fn on_workers(count: usize, f: impl FnOnce() + Send + 'static) {
    bounded(60, move || Builder::new().workers(count).run(f).unwrap());
}

/// Spawns `count` that count themselves, elsewhere than here.
fn spawn_elsewhere(count: usize, done: &Arc<AtomicUsize>) {
    let own = thread_number();
    for _ in 0..count {
        let done = Arc::clone(done);
        spawn(move || {
            assert_ne!(thread_number(), own, "that worker computes");
            done.fetch_add(1, SeqCst);
        });
    }
}

#[test]
fn children_of_a_coroutine_that_computes_run_elsewhere() {
    for workers in [2, 4] {
        on_workers(workers, || {
            for count in [1, 2, 5, 100, 1, 1_000] {
                let done = Arc::default();
                spawn_elsewhere(count, &done);
                compute_until("all children ran", || done.load(SeqCst) == count);
            }
        });
    }
}

/// The last of a few does not wait for the patience of 10 ms: whoever has run the others looks again soon after it lay down.
#[test]
fn the_last_of_a_few_children_waits_for_no_patience() {
    on_workers(2, || {
        for count in [2, 3] {
            let is_soon = || {
                let (begin, done) = (Instant::now(), Arc::default());
                spawn_elsewhere(count, &done);
                compute_until("all children ran", || done.load(SeqCst) == count);
                let took = begin.elapsed();
                // Its worker comes to the end of its queue: it is not taken for stuck from now on.
                thread::sleep(Duration::from_millis(1));
                took < Duration::from_millis(5)
            };
            // On a busy machine they may be late. With patience, a third of them are in each attempt.
            let attempt = || (0..40).filter(|_| is_soon()).count();
            assert!((0..10).any(|_| attempt() > 32), "{count} children ended no sooner than patience does");
        }
    });
}

/// A worker that is not to become heavier takes nevertheless what the other one does not get to, even if it never
/// rests for as long as its patience lasts.
#[test]
fn a_heavy_worker_helps_a_light_one_that_computes() {
    on_workers(2, || {
        let (own, born) = (thread_number(), Arc::new(Mutex::new(Vec::new())));
        for nth in 0..400 {
            if nth % 32 == 0 {
                // The other one takes what waits while this one waits for a processor.
                thread::yield_now();
            }
            let born = Arc::clone(&born);
            spawn(move || {
                born.lock().unwrap().push((thread_number(), thread::current()));
                thread::park();
                while thread_number() != own {
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        eventually(10, "all are parked", || born.lock().unwrap().len() == 400);
        let born = std::mem::take(&mut *born.lock().unwrap());
        let (here, there): (Vec<_>, Vec<_>) = born.into_iter().partition(|(worker, _)| *worker == own);
        assert!(here.len() > 100);
        here.into_iter().for_each(|(_, coroutine)| coroutine.unpark());
        thread::yield_now();
        for round in 0..40 {
            if round == 2 {
                there[..3].iter().for_each(|(_, coroutine)| coroutine.unpark());
            }
            let (count, done) = (1 + 4 * (round % 2), Arc::default());
            spawn_elsewhere(count, &done);
            compute_until("the other worker helped", || done.load(SeqCst) == count);
        }
    });
}

/// What was given to a worker before it began to compute is taken from there, too.
#[test]
fn what_was_given_to_a_worker_that_computes_runs_elsewhere() {
    on_workers(2, || {
        let (own, release) = (thread_number(), Arc::new(AtomicBool::new(false)));
        let (stuck, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let occupant = Arc::clone(&stuck);
        let end = Arc::clone(&release);
        spawn(move || {
            occupant.fetch_add(1, SeqCst);
            compute_until("the spawner let it end", || end.load(SeqCst));
        });
        compute_until("the other worker is occupied", || stuck.load(SeqCst) == 1);
        // So many that half of them are given to the other one.
        for _ in 0..100 {
            let done = Arc::clone(&done);
            spawn(move || {
                assert_eq!(thread_number(), own, "the other worker computes");
                done.fetch_add(1, SeqCst);
            });
        }
        eventually(10, "all were started here", || done.load(SeqCst) == 100);
        release.store(true, SeqCst);
    });
}

#[test]
fn local_and_started_coroutines_never_move() {
    on_workers(4, || {
        let own = thread_number();
        let done = Arc::new(AtomicUsize::new(0));
        for round in 0..50 {
            let locals: Vec<_> = (0..10).map(|_| spawn_local(thread_number)).collect();
            let started: Vec<_> = (0..10)
                .map(|_| {
                    spawn(|| {
                        let home = thread_number();
                        (0..5).for_each(|_| thread::yield_now());
                        thread::sleep(Duration::from_micros(50));
                        assert_eq!(thread_number(), home);
                    })
                })
                .collect();
            let sent = Arc::clone(&done);
            spawn(move || sent.fetch_add(1, SeqCst));
            // Whoever wakes for that last one could take the others, if it were to.
            compute_until("it ran elsewhere", || done.load(SeqCst) > round);
            locals.into_iter().for_each(|local| assert_eq!(local.join().unwrap(), own));
            started.into_iter().for_each(|coroutine| coroutine.join().unwrap());
        }
    });
}

fn skynet(first: usize, size: usize, leaf: &Arc<dyn Fn() + Send + Sync>) -> usize {
    if size == 1 {
        leaf();
        return first;
    }
    let part = size / 10;
    let children: Vec<_> = (0..10)
        .map(|nth| {
            let leaf = Arc::clone(leaf);
            spawn(move || skynet(first + nth * part, part, &leaf))
        })
        .collect();
    children.into_iter().map(|child| child.join().unwrap()).sum()
}

#[test]
fn a_nested_fork_join_uses_all_workers() {
    for workers in [2, 4] {
        on_workers(workers, move || {
            let seen = Arc::new(Mutex::new(HashSet::new()));
            let leaf: Arc<dyn Fn() + Send + Sync> = {
                let seen = Arc::clone(&seen);
                Arc::new(move || {
                    compute(Duration::from_micros(10));
                    seen.lock().unwrap().insert(thread_number());
                })
            };
            assert_eq!(skynet(0, 10_000, &leaf), 10_000 * 9_999 / 2);
            assert_eq!(seen.lock().unwrap().len(), workers);
        });
    }
}

/// Depth first: of all that a fork-join spawns, few exist at a time.
#[test]
fn a_nested_fork_join_holds_few_at_a_time() {
    struct Counts([AtomicUsize; 2]);
    fn tree(size: usize, counts: &Arc<Counts>) {
        let live = counts.0[0].fetch_add(1, SeqCst) + 1;
        counts.0[1].fetch_max(live, SeqCst);
        if size > 1 {
            let child = || {
                let counts = Arc::clone(counts);
                spawn(move || tree(size / 10, &counts))
            };
            let children: Vec<_> = (0..10).map(|_| child()).collect();
            children.into_iter().for_each(|child| child.join().unwrap());
        }
        counts.0[0].fetch_sub(1, SeqCst);
    }
    on_workers(2, || {
        let counts = Arc::new(Counts(Default::default()));
        tree(100_000, &counts);
        let most = counts.0[1].load(SeqCst);
        assert!(most < 4_000, "{most} of 111,111 had started at a time");
    });
}

/// The threads of this runtime's workers but the caller's.
fn other_workers(count: usize) -> Vec<i32> {
    let (own, found) = (thread_number(), Arc::new(Mutex::new(HashSet::new())));
    eventually(10, "every worker has run something", || {
        for _ in 0..4 * count {
            let found = Arc::clone(&found);
            spawn(move || {
                found.lock().unwrap().insert(thread_number());
                compute(Duration::from_micros(100));
            });
        }
        found.lock().unwrap().len() == count
    });
    let found = found.lock().unwrap();
    found.iter().copied().filter(|worker| *worker != own).collect()
}

/// Waits until none of these threads has woken for a while, longer than any patience; past the trim of parked stacks.
fn await_quiet(threads: &[i32]) {
    let count = || threads.iter().map(|thread| wake_ups(*thread)).sum::<u64>();
    let (mut before, mut since) = (count(), Instant::now());
    eventually(20, "the workers have come to rest", || {
        std::thread::sleep(Duration::from_millis(20));
        let now = count();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(1_300)
    });
}

/// The one that is woken runs what was pushed, and goes back to sleep. Nobody else stirs.
#[test]
fn a_push_wakes_one_sleeper() {
    const ROUNDS: u64 = 100;
    child("a_push_wakes_one_sleeper", 60, || {
        let pushes = || {
            let others = other_workers(6);
            await_quiet(&others);
            let count = || others.iter().map(|thread| wake_ups(*thread)).sum::<u64>();
            let before = count();
            for _ in 0..ROUNDS {
                let done = Arc::default();
                spawn_elsewhere(1, &done);
                compute_until("it ran", || done.load(SeqCst) == 1);
                // Until whoever ran it has gone to sleep.
                compute(Duration::from_millis(1));
            }
            // A switch for each push that ran; a herd would make five.
            let woken = count() - before;
            assert!(woken <= 2 * ROUNDS, "{woken} wake-ups for {ROUNDS} pushes");
        };
        Builder::new().workers(6).run(pushes).unwrap();
    })
    .succeeded();
}

#[test]
fn idle_workers_make_no_wake_ups() {
    child("idle_workers_make_no_wake_ups", 60, || {
        for workers in [2, 5] {
            let rest = move || {
                let mut threads = other_workers(workers);
                threads.push(thread_number());
                let observer = thread::current();
                let observer = std::thread::spawn(move || {
                    await_quiet(&threads);
                    let before: Vec<_> = threads.iter().map(|thread| wake_ups(*thread)).collect();
                    std::thread::sleep(Duration::from_secs(2));
                    let after: Vec<_> = threads.iter().map(|thread| wake_ups(*thread)).collect();
                    assert_eq!(before, after, "context switches in 2 s of idleness");
                    observer.unpark();
                });
                thread::park();
                observer.join().unwrap();
            };
            Builder::new().workers(workers).run(rest).unwrap();
        }
    })
    .succeeded();
}

/// Letters that come before the start, whoever starts it.
#[test]
fn what_is_posted_to_the_unstarted_reaches_whoever_starts_it() {
    on_workers(4, || {
        let mut random = Random(0x9e37_79b9);
        let (ran, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut spawned = 0;
        for _ in 0..300 {
            let batch = 1 + random.below(60);
            let handles: Vec<_> = (0..batch)
                .map(|_| {
                    let (ran, dropped) = (Arc::clone(&ran), Arc::clone(&dropped));
                    let counted = support::OnDrop(move || {
                        dropped.fetch_add(1, SeqCst);
                    });
                    let cancels = random.below(3) == 0;
                    let handle = spawn(move || {
                        let _counted = counted;
                        thread::park();
                        ran.fetch_add(1, SeqCst);
                    });
                    if random.below(4) == 0 {
                        compute(Duration::from_micros(3));
                    }
                    if cancels {
                        handle.cancel()
                    } else {
                        handle.thread().unpark()
                    }
                    (handle, cancels)
                })
                .collect();
            for (handle, cancels) in handles {
                assert_eq!(is_cancelled(&handle.join()), cancels);
            }
            spawned += batch as usize;
            assert_eq!(dropped.load(SeqCst), spawned, "each closure is dropped once");
        }
    });
}

/// The end comes while everybody spawns, steals, parks and wakes; each closure is dropped once, and all threads end.
#[test]
fn an_end_in_the_midst_of_it_loses_nothing() {
    fn storm(depth: u32, counts: &Arc<[AtomicUsize; 2]>) {
        for nth in 0..3 {
            counts[0].fetch_add(1, SeqCst);
            let (inner, dropped) = (Arc::clone(counts), Arc::clone(counts));
            let counted = support::OnDrop(move || {
                dropped[1].fetch_add(1, SeqCst);
            });
            let spawned = thread::Builder::new().spawn(move || {
                let _counted = counted;
                if depth > 0 {
                    storm(depth - 1, &inner);
                }
                match nth {
                    0 => thread::yield_now(),
                    1 => thread::sleep(Duration::from_micros(20)),
                    _ => thread::park(),
                }
            });
            if let Ok(handle) = spawned
                && nth == 2
                && depth.is_multiple_of(2)
            {
                handle.thread().unpark();
            }
        }
    }
    bounded(120, || {
        for round in 0..200u32 {
            let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
            let in_run = Arc::clone(&counts);
            let run = move || {
                storm(5, &in_run);
                (0..round % 7).for_each(|_| thread::yield_now());
            };
            Builder::new().workers(1 + round as usize % 4).run(run).unwrap();
            let [spawned, dropped] = [0, 1].map(|which| counts[which].load(SeqCst));
            assert_eq!(spawned, dropped, "in round {round}");
            assert_eq!(Arc::strong_count(&counts), 1);
        }
    });
}
