//! Workers pinned to cores: which, and who is not pinned with them.

mod support;

use dormouse::{Builder, spawn_local, thread};
use dormouse_runtime::blocking;
use std::mem::MaybeUninit;
use std::sync::mpsc::channel;
use support::{bounded, child};

/// The processors that the calling OS thread may run on.
fn allowed() -> Vec<usize> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the kernel writes a set of that size.
    assert_eq!(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) }, 0);
    // SAFETY: written, and all zeroes before.
    let set = unsafe { set.assume_init() };
    // SAFETY: the numbers are below the size of the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// Lets the calling OS thread, and those it starts, run there only.
fn allow_only(cpu: usize) {
    // SAFETY: all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: the number is one of `allowed`.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the kernel reads a set of that size.
    assert_eq!(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) }, 0);
}

/// What each worker of the present runtime may run on, in the order of their threads' names; the caller's is first.
fn of_each_worker(count: usize) -> Vec<Vec<usize>> {
    let mut found = std::collections::BTreeMap::new();
    let own = std::thread::current().id();
    while found.len() < count {
        // A worker with something to do is not given the next one.
        let handles: Vec<_> = (0..64)
            .map(|_| {
                dormouse::spawn(move || {
                    let this = std::thread::current();
                    thread::yield_now();
                    ((this.id() != own).then(|| this.name().map(String::from)), allowed())
                })
            })
            .collect();
        found.extend(handles.into_iter().map(|handle| handle.join().unwrap()));
    }
    found.into_values().collect()
}

#[test]
fn each_worker_has_a_core_and_the_caller_gets_its_own_back() {
    bounded(20, || {
        let all = allowed();
        let count = all.len().min(4);
        let inside = Builder::new().workers(count).affinity(true).run(move || of_each_worker(count)).unwrap();
        assert_eq!(inside, all[..count].iter().map(|cpu| vec![*cpu]).collect::<Vec<_>>());
        assert_eq!(allowed(), all);
    });
}

#[test]
fn more_workers_than_cores_share_them() {
    bounded(20, || {
        let all = allowed();
        let runtime = Builder::new().workers(all.len() + 1).affinity(true).build().unwrap();
        let count = all.len() + 1;
        let inside = runtime.run(move || of_each_worker(count)).unwrap();
        assert!(inside.iter().all(|cpus| cpus.len() == 1 && all.contains(&cpus[0])), "{inside:?}");
        assert_eq!(allowed(), all);
    });
}

/// What is started on a pinned worker is not confined to its core.
#[test]
fn a_pinned_runtime_started_by_a_pinned_worker_has_all_cores() {
    bounded(20, || {
        let inside = Builder::new().workers(1).affinity(true).run(|| {
            let count = std::thread::available_parallelism().unwrap().get();
            assert_eq!(count, 1, "std asks about the thread");
            let runtime = Builder::new().workers(2).affinity(true).build().unwrap();
            runtime.run(|| of_each_worker(2)).unwrap()
        });
        let (mut inside, all) = (inside.unwrap(), allowed());
        inside.sort();
        assert_eq!(inside, [vec![all[0]], vec![all[1 % all.len()]]]);
    });
}

#[test]
fn without_it_workers_run_where_their_caller_may() {
    bounded(20, || {
        let all = allowed();
        let inside = Builder::new().workers(2).run(|| of_each_worker(2)).unwrap();
        assert_eq!(inside, [all.clone(), all]);
    });
}

#[test]
fn what_the_process_may_not_use_is_not_used() {
    let ended = child("what_the_process_may_not_use_is_not_used", 20, || {
        let last = *allowed().last().unwrap();
        allow_only(last);
        let inside = Builder::new().workers(2).affinity(true).run(|| of_each_worker(2)).unwrap();
        assert_eq!(inside, [[last], [last]]);
        assert_eq!(allowed(), [last]);
    });
    ended.succeeded();
}

#[test]
fn threads_for_blocking_calls_are_not_pinned() {
    let ended = child("threads_for_blocking_calls_are_not_pinned", 20, || {
        let all = allowed();
        let inside = Builder::new().workers(1).affinity(true).run(|| {
            // Held by the first, the pool starts another for the second.
            let (open, opened) = channel::<()>();
            let first = spawn_local(move || {
                blocking::run(move || {
                    let _ = opened.recv();
                    allowed()
                })
            });
            let second = blocking::run(allowed).unwrap();
            drop(open);
            (first.join().unwrap().unwrap(), second)
        });
        assert_eq!(inside.unwrap(), (all.clone(), all));
    });
    ended.succeeded();
}
