//! The figures of a runtime: what counts as what, and that reading them from anywhere tells of now.

mod support;

use dormouse::metrics::{Metrics, WorkerMetrics};
use dormouse::os::unix::net::UnixStream;
use dormouse::sync::WaitGroup;
use dormouse::{Builder, Handle, metrics, pressure, spawn, thread};
use dormouse_runtime::blocking;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::Duration;
use support::{bounded, child, eventually, run, thread_number, wake_ups};

fn total() -> WorkerMetrics {
    metrics().total
}

#[test]
fn gauges_tell_where_coroutines_stand() {
    bounded(10, || {
        run(|| {
            let parked: Vec<_> = (0..5).map(|_| spawn(thread::park)).collect();
            let asleep = spawn(|| thread::sleep(Duration::from_secs(3600)));
            (0..20).for_each(|_| thread::yield_now());
            let yielding: Vec<_> = (0..3)
                .map(|_| {
                    spawn(|| {
                        thread::yield_now();
                        thread::yield_now();
                    })
                })
                .collect();
            let before = total();
            assert_eq!((before.live, before.ready, before.parked, before.unstarted), (7, 0, 6, 3));
            thread::yield_now();
            let started = total();
            assert_eq!((started.live, started.parked, started.unstarted), (7 + started.ready, 6, 3 - started.ready));
            yielding.into_iter().for_each(|yielding| yielding.join().unwrap());
            parked.iter().for_each(|parked| parked.thread().unpark());
            let woken = total();
            assert_eq!((woken.live, woken.ready, woken.parked, woken.unstarted), (7, 5, 1, 0));
            parked.into_iter().for_each(|parked| parked.join().unwrap());
            asleep.cancel();
            assert!(asleep.join().is_err());
            let after = total();
            assert_eq!((after.live, after.ready, after.parked, after.unstarted), (1, 0, 0, 0));
        });
    });
}

/// Each asks in the middle of its worker's turn, in which some have started and others have not.
#[test]
fn a_coroutine_that_has_just_started_counts_once() {
    const COUNT: usize = 60;
    let live = bounded(10, || {
        run(|| {
            let (handle, all) = (Handle::current(), WaitGroup::new());
            let ask = move |handle: Handle| {
                let total = handle.metrics().total;
                [handle.pressure().live, total.live + total.unstarted]
            };
            let asking: Vec<_> = (0..COUNT)
                .map(|_| {
                    let (handle, asks) = (handle.clone(), all.clone());
                    spawn(move || {
                        let answer = std::thread::spawn(move || ask(handle)).join().unwrap();
                        drop(asks);
                        thread::park();
                        answer
                    })
                })
                .collect();
            assert_eq!(pressure().live, COUNT + 1);
            all.wait();
            asking.iter().for_each(|asking| asking.thread().unpark());
            asking.into_iter().map(|asking| asking.join().unwrap()).collect::<Vec<_>>()
        })
    });
    assert_eq!(live, [[COUNT + 1; 2]; COUNT]);
}

#[test]
fn counts_of_ones_own_worker_are_exact() {
    bounded(10, || {
        run(|| {
            let before = total();
            let yielding: Vec<_> = (0..10).map(|_| spawn(|| (0..7).for_each(|_| thread::yield_now()))).collect();
            yielding.into_iter().for_each(|yielding| yielding.join().unwrap());
            let after = total();
            assert_eq!(after.spawns - before.spawns, 10);
            // Each starts and comes back seven times; besides, whoever joins them comes back ten times at most.
            let resumes = after.resumes - before.resumes;
            assert!((80..=90).contains(&resumes), "{resumes}");
            assert_eq!((after.steals, after.placements, after.remote_wakes), (0, 0, 0));
        });
    });
}

#[test]
fn wakes_are_told_apart_by_where_they_come_from() {
    bounded(10, || {
        run(|| {
            let waiting = spawn(thread::park);
            thread::yield_now();
            let before = total();
            waiting.thread().unpark();
            assert_eq!(total().local_wakes - before.local_wakes, 1);
            waiting.join().unwrap();

            let before = total();
            let own = thread::current();
            let outside = std::thread::spawn(move || own.unpark());
            thread::park();
            outside.join().unwrap();
            let after = total();
            // It may have come before the park: then nobody was woken.
            assert!(after.remote_wakes - before.remote_wakes <= 1, "{after:?}");
            assert_eq!((after.local_wakes, after.io_wakes), (before.local_wakes, before.io_wakes));

            let before = total();
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            let reader = spawn(move || ours.read_exact(&mut [0]));
            thread::sleep(Duration::from_millis(1));
            theirs.write_all(b"x").unwrap();
            reader.join().unwrap().unwrap();
            let after = total();
            assert_eq!((after.io_wakes - before.io_wakes, after.timer_expiries - before.timer_expiries), (1, 1));
            assert!(after.polls > before.polls);
        });
    });
}

#[test]
fn a_message_of_another_thread_is_a_remote_wake() {
    bounded(10, || {
        run(|| {
            let before = total();
            let (sends, receives) = dormouse::sync::mpsc::channel();
            let waiting = spawn(move || receives.recv().unwrap());
            thread::yield_now();
            eventually(5, "it waits", || total().parked == 1);
            let between = total();
            std::thread::spawn(move || sends.send(7).unwrap()).join().unwrap();
            assert_eq!(waiting.join().unwrap(), 7);
            let after = total();
            assert_eq!(after.remote_wakes - between.remote_wakes, 1);
            assert!(after.timer_expiries >= before.timer_expiries);
        });
    });
}

#[test]
fn stacks_are_mapped_resident_and_kept() {
    bounded(10, || {
        run(|| {
            const COUNT: usize = 300;
            let parked: Vec<_> = (0..COUNT).map(|_| spawn(thread::park)).collect();
            eventually(5, "all are parked", || total().parked == COUNT);
            let full = total();
            assert!(full.stack_bytes_resident >= COUNT * 4096, "{full:?}");
            assert!(full.stack_bytes_resident <= full.stack_bytes_mapped, "{full:?}");
            assert!(full.stack_bytes_mapped >= COUNT * (64 << 10), "{full:?}");
            parked.iter().for_each(|parked| parked.thread().unpark());
            parked.into_iter().for_each(|parked| parked.join().unwrap());
            let free = total();
            assert!(free.stack_bytes_cached >= 200 * (64 << 10), "{free:?}");
            assert!(free.stack_bytes_cached > full.stack_bytes_cached, "{free:?}");
        });
    });
}

#[test]
fn the_total_is_the_sum_and_counts_spawns_from_outside() {
    bounded(10, || {
        let runtime = Builder::new().workers(2).build().unwrap();
        let handles: Vec<_> = (0..100).map(|_| runtime.spawn(|| spawn(|| ()).join().unwrap())).collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        eventually(5, "both workers have published", || runtime.metrics().total.live == 0);
        let Metrics { workers, total, .. } = runtime.metrics();
        assert_eq!(workers.len(), 2);
        assert_eq!(total.spawns, 200);
        assert_eq!(workers.iter().map(|worker| worker.spawns).sum::<u64>(), 100);
        assert_eq!(workers.iter().map(|worker| worker.resumes).sum::<u64>(), total.resumes);
        // Each was started, and those parked to join whose child no other worker had been quick to take.
        assert!((200..=400).contains(&total.resumes), "{total:?}");
        assert_eq!(workers.iter().map(|worker| worker.longest_run).max(), Some(total.longest_run));
    });
}

#[test]
fn what_is_given_to_the_other_worker_is_a_placement() {
    bounded(10, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let mut handles = Vec::new();
                for _ in 0..20 {
                    handles.extend((0..50).map(|_| spawn(thread::park)));
                    thread::yield_now();
                }
                let own = metrics().workers[0];
                assert_eq!(own.spawns, 1001);
                assert!(own.placements > 0 && own.placements < 1000, "{own:?}");
                eventually(5, "all are parked", || total().unstarted == 0 && total().parked == 1000);
                assert!(metrics().workers[1].parked > 0);
                handles.iter().for_each(|handle| handle.thread().unpark());
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            })
            .unwrap();
    });
}

/// Read from a plain thread while the workers work, counts never go back, and nothing is torn.
#[test]
fn counts_read_from_outside_never_go_back() {
    bounded(20, || {
        let runtime = Builder::new().workers(2).build().unwrap();
        let handle = runtime.handle().clone();
        let working = std::thread::spawn(move || {
            for _ in 0..100 {
                let some: Vec<_> = (0..50).map(|_| handle.spawn(thread::yield_now)).collect();
                some.into_iter().for_each(|one| one.join().unwrap());
            }
        });
        let mut before = runtime.metrics();
        while !working.is_finished() {
            let after = runtime.metrics();
            for (before, after) in before.workers.iter().zip(&after.workers) {
                let counts = |of: &WorkerMetrics| [of.spawns, of.resumes, of.polls, of.remote_wakes, of.local_wakes];
                assert!(counts(before).iter().zip(counts(after)).all(|(before, after)| *before <= after));
            }
            before = after;
        }
        working.join().unwrap();
        eventually(5, "the last turn is published", || runtime.metrics().total.resumes >= 10_000);
        assert_eq!(runtime.metrics().total.spawns, 5000);
    });
}

#[test]
fn a_plain_thread_reads_those_of_the_default_runtime() {
    let ended = child("a_plain_thread_reads_those_of_the_default_runtime", 10, || {
        assert_eq!(metrics().workers.len(), 0);
        assert_eq!(metrics().total, WorkerMetrics::default());
        spawn(|| ()).join().unwrap();
        assert_eq!(metrics().workers.len(), std::thread::available_parallelism().unwrap().get());
        assert_eq!(metrics().total.spawns, 1);
        run(|| assert_eq!(metrics().workers.len(), 1));
    });
    ended.succeeded();
}

#[test]
fn threads_for_blocking_calls_are_those_of_the_process() {
    let ended = child("threads_for_blocking_calls_are_those_of_the_process", 10, || {
        assert_eq!(metrics().blocking.threads, 0);
        let (open, opened) = channel::<()>();
        let (begins, begun) = channel();
        let caller = spawn(move || {
            blocking::run(move || {
                begins.send(()).unwrap();
                let _ = opened.recv();
            })
        });
        begun.recv().unwrap();
        let busy = metrics().blocking;
        assert_eq!((busy.threads, busy.idle, busy.queued), (1, 0, 0));
        drop(open);
        caller.join().unwrap().unwrap();
        eventually(5, "the thread is idle", || metrics().blocking.idle == 1);
    });
    ended.succeeded();
}

/// To be read does not wake anybody, and to count does not either.
#[test]
fn reading_wakes_no_worker() {
    let ended = child("reading_wakes_no_worker", 20, || {
        let runtime = Builder::new().workers(1).build().unwrap();
        let worker = runtime.run(thread_number).unwrap();
        // The alarm for the stacks goes off after a second.
        std::thread::sleep(Duration::from_millis(1500));
        let (before, polls) = (wake_ups(worker), runtime.metrics().total.polls);
        let reads = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            assert_eq!(runtime.metrics().total.live, 0);
            reads.fetch_add(1, SeqCst);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!((wake_ups(worker), runtime.metrics().total.polls), (before, polls));
    });
    ended.succeeded();
}
