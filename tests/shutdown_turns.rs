//! At the end of a runtime each coroutine has its turn to unwind, however many there are and however short the timeout. That is
//! for those who go on waiting. What is spawned later has none, and is dropped without.

mod support;

use dormouse::sync::{Mutex, Notify, mpsc};
use dormouse::{Builder, Handle, spawn, thread};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, child, eventually, is_cancelled, run, threads, threads_become};

/// So many of each kind on a worker: a turn of its loop resumes 64 at the most.
const CROWD: usize = 500;

/// What a coroutine does all its life.
type Habit = fn(&Notify);

const HABITS: [Habit; 5] = [
    |_| thread::park(),
    |_| thread::sleep(Duration::from_secs(3600)),
    |never| never.wait(),
    // Ready when the end comes: the next point throws.
    |_| loop {
        thread::yield_now();
    },
    |_| loop {
        thread::park_timeout(Duration::from_nanos(1));
    },
];

/// Runs a crowd of each habit, each of which counts its end, and ends at once.
fn end_amidst(workers: usize, long_run: bool) {
    let (started, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counts, all) = (Arc::clone(&ended), CROWD * HABITS.len());
    let main = move || {
        let never = Arc::new(Notify::new());
        for habit in HABITS.into_iter().cycle().take(all) {
            let (started, ended, never) = (Arc::clone(&started), Arc::clone(&counts), Arc::clone(&never));
            spawn(move || {
                let _ends = OnDrop(|| _ = ended.fetch_add(1, SeqCst));
                started.fetch_add(1, SeqCst);
                habit(&never);
            });
        }
        eventually(10, "all have started", || started.load(SeqCst) == all);
        if long_run {
            // After which a worker looks at the clock after each resume.
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    Builder::new().workers(workers).shutdown_timeout(Duration::ZERO).run(main).unwrap();
    assert_eq!(ended.load(SeqCst), all, "on {workers} workers");
}

#[test]
fn each_unwinds_without_any_grace() {
    let ended = child("each_unwinds_without_any_grace", 60, || {
        for workers in [1, 2] {
            for long_run in [false, true] {
                (0..5).for_each(|_| end_amidst(workers, long_run));
            }
        }
    });
    ended.succeeded();
    assert!(!ended.stderr.contains("leaked"), "{}", ended.stderr);
}

/// Those who were told to go on by others that unwind come to their turns as well.
#[test]
fn those_who_wait_for_a_lock_of_one_that_unwinds_are_not_waited_for() {
    bounded(30, || {
        let (lock, got) = (Arc::new(Mutex::new(())), Arc::new(AtomicUsize::new(0)));
        let (inner, counts) = (Arc::clone(&lock), Arc::clone(&got));
        let main = move || {
            let (sends, held) = mpsc::channel();
            let own = Arc::clone(&inner);
            spawn(move || {
                let _held = own.lock();
                sends.send(()).unwrap();
                thread::park();
            });
            held.recv().unwrap();
            let (inner, counts) = (inner, counts);
            spawn(move || {
                drop(inner.lock());
                counts.fetch_add(1, SeqCst);
            });
            thread::sleep(Duration::from_millis(5));
        };
        Builder::new().workers(1).shutdown_timeout(Duration::ZERO).run(main).unwrap();
        // It was called while its worker could still hear of it, and so it came.
        assert_eq!(got.load(SeqCst), 1);
    });
}

/// One that catches its cancel and parks again uses up the timeout, and no more than that; those beside it unwind.
#[test]
fn those_who_swallow_their_cancel_are_leaked_beside_others_that_unwind() {
    let ended = child("those_who_swallow_their_cancel_are_leaked_beside_others_that_unwind", 30, || {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        static ENDED: AtomicUsize = AtomicUsize::new(0);
        let main = || {
            for index in 0..CROWD {
                spawn(move || {
                    let _ends = OnDrop(|| _ = ENDED.fetch_add(1, SeqCst));
                    STARTED.fetch_add(1, SeqCst);
                    if index % 2 == 0 {
                        loop {
                            let _ = catch_unwind(thread::park);
                        }
                    }
                    thread::park();
                });
            }
            eventually(10, "all have started", || STARTED.load(SeqCst) == CROWD);
        };
        Builder::new().workers(1).shutdown_timeout(Duration::ZERO).run(main).unwrap();
        assert_eq!(ENDED.load(SeqCst), CROWD / 2);
    });
    ended.succeeded();
    assert_eq!(ended.stderr.matches("is leaked").count(), CROWD / 2, "{}", ended.stderr);
}

/// One that waits in the Drop of its closure, unstarted when the end comes, is leaked like any other.
#[test]
fn a_closure_that_waits_in_its_drop_does_not_hold_up_the_end() {
    let ended = child("a_closure_that_waits_in_its_drop_does_not_hold_up_the_end", 20, || {
        for grace in [Duration::ZERO, Duration::from_millis(20)] {
            let dropped = Arc::new(AtomicUsize::new(0));
            let counts = Arc::clone(&dropped);
            let main = move || {
                let spawned = (0..300).map(|index| {
                    let counts = Arc::clone(&counts);
                    let in_drop = OnDrop(move || {
                        counts.fetch_add(1, SeqCst);
                        if index % 3 == 0 {
                            thread::sleep(Duration::from_secs(3600));
                        }
                    });
                    spawn(move || drop(in_drop))
                });
                spawned.collect::<Vec<_>>()
            };
            let joined = Builder::new().workers(1).shutdown_timeout(grace).run(main).unwrap();
            assert!(joined.into_iter().all(|handle| is_cancelled(&handle.join())));
            assert_eq!(dropped.load(SeqCst), 300);
        }
    });
    ended.succeeded();
    assert_eq!(ended.stderr.matches("is leaked").count(), 200, "{}", ended.stderr);
}

/// The same behind one that never yields, where no coroutine can drop it.
#[test]
fn nor_does_one_that_a_stuck_worker_keeps() {
    let ended = child("nor_does_one_that_a_stuck_worker_keeps", 20, || {
        let (begins, begun) = std::sync::mpsc::channel();
        let runtime = Builder::new().workers(1).build().unwrap();
        drop(runtime.spawn(move || {
            begins.send(()).unwrap();
            loop {
                std::thread::park();
            }
        }));
        begun.recv().unwrap();
        let first = runtime.spawn(|| ());
        let in_drop = OnDrop(|| thread::sleep(Duration::from_secs(3600)));
        drop(runtime.spawn(move || drop(in_drop)));
        let begin = Instant::now();
        runtime.shutdown_timeout(Duration::from_millis(10));
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert!(is_cancelled(&first.join()));
    });
    ended.succeeded();
}

/// What has not even started is dropped when no worker is there any more. Still it is inside a runtime that ends: its destructors
/// start neither the default runtime nor one of their own.
#[test]
fn what_is_dropped_unstarted_starts_no_other_runtime() {
    const SPAWNED: usize = 1_000;
    /// One in so many spawns in an unwind.
    const UNWINDS: usize = 50;
    /// So many each, which are owed no start. All of them are more than the worker starts in its last turn; and since it starts
    /// the latest of a crowd first, it leaves as many of those from before.
    const SPAWNED_IN_UNWIND: usize = 20;
    static LATE: AtomicUsize = AtomicUsize::new(0);
    static LATE_IN_UNWIND: AtomicUsize = AtomicUsize::new(0);

    fn is_late() -> bool {
        Handle::try_current().is_none()
    }
    fn refused() {
        let error = thread::Builder::new().spawn(|| ()).unwrap_err();
        assert!(error.to_string().contains("shutting down"), "{error}");
        assert!(catch_unwind(|| run(|| ())).is_err(), "it is nested");
        LATE.fetch_add(usize::from(is_late()), SeqCst);
    }
    fn in_unwind() {
        let spawn = |_| spawn(|| unreachable!("it never runs"));
        let spawned: Vec<_> = (0..SPAWNED_IN_UNWIND).map(spawn).collect();
        // A coroutine would wait, for which there is no time left.
        assert!(!is_late() || spawned.into_iter().all(|spawned| is_cancelled(&spawned.join())));
        LATE_IN_UNWIND.fetch_add(usize::from(is_late()), SeqCst);
    }

    let ended = child("what_is_dropped_unstarted_starts_no_other_runtime", 30, || {
        let before = threads();
        let joined = Builder::new().workers(1).shutdown_timeout(Duration::ZERO).run(|| {
            let spawned = (0..SPAWNED).map(|index| {
                let unwinds = (index % UNWINDS == 0).then(|| (OnDrop(|| panic!("in a Drop")), OnDrop(in_unwind)));
                let held = (OnDrop(refused), unwinds);
                spawn(move || drop(held))
            });
            spawned.collect::<Vec<_>>()
        });
        let joined: Vec<_> = joined.unwrap().into_iter().map(|handle| handle.join()).collect();
        let panicked = joined.iter().filter(|joined| !is_cancelled(joined)).count();
        // What a Drop asserts is its coroutine's result.
        assert_eq!((joined.len(), panicked), (SPAWNED, SPAWNED / UNWINDS));
        let late = (LATE.load(SeqCst), LATE_IN_UNWIND.load(SeqCst));
        assert!(late.0 > UNWINDS && late.1 > 0, "all have been coroutines, but for {late:?}");
        assert_eq!(dormouse::metrics().workers.len(), 0, "the default runtime runs");
        threads_become(before);
        // The thread is a plain one again.
        assert_eq!(run(|| 1) + spawn(|| 1).join().unwrap(), 2);
    });
    ended.succeeded();
}
