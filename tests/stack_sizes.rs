//! Stacks of all sizes, guards of both kinds, and what happens when there is none to be had.

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use support::{bounded, child, mappings, message, run, use_stack};

const KIB: usize = 1 << 10;

#[test]
fn each_size_holds_what_it_promises() {
    bounded(10, || {
        run(|| {
            for kib in [16, 20, 32, 64, 100, 128, 512, 4096, 65536, 131072] {
                let builder = thread::Builder::new().stack_size(kib * KIB);
                // Less a guard, a colour, and the frames around.
                let handle = builder.spawn(move || use_stack(kib * KIB * 3 / 4 - 7 * KIB));
                handle.unwrap().join().unwrap();
            }
        });
    });
}

#[test]
fn sizes_mix_and_are_used_again() {
    bounded(10, || {
        run(|| {
            for _ in 0..20 {
                let handles: Vec<_> = (0..40)
                    .map(|n| {
                        let kib = 32 << (n % 4);
                        let builder = thread::Builder::new().stack_size(kib * KIB);
                        let handle = builder.spawn(move || {
                            use_stack(kib * KIB / 2);
                            thread::yield_now();
                            use_stack(kib * KIB / 2);
                        });
                        handle.unwrap()
                    })
                    .collect();
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            }
        });
    });
}

#[test]
fn guards_by_mprotect_work() {
    bounded(10, || {
        let before = mappings();
        Builder::new()
            .workers(1)
            .guard_by_mprotect(true)
            .stack_size(64 * KIB)
            .run(move || {
                let handles: Vec<_> = (0..500).map(|_| spawn(thread::park)).collect();
                while mappings() < before + 900 {
                    thread::yield_now();
                }
                handles.iter().for_each(|handle| handle.thread().unpark());
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            })
            .unwrap();
    });
}

#[test]
fn guards_of_the_kernel_take_no_mappings() {
    let ended = child("guards_of_the_kernel_take_no_mappings", 10, || {
        run(|| {
            let before = mappings();
            let handles: Vec<_> = (0..500).map(|_| spawn(thread::park)).collect();
            assert_eq!(handles.len(), 500);
            (0..100).for_each(|_| thread::yield_now());
            let kernel_has_them = mappings() < before + 50;
            let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
            let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
            let version = (numbers.next().unwrap(), numbers.next().unwrap());
            assert_eq!(kernel_has_them, version >= (6, 13), "{} mappings more on {release}", mappings() - before);
        });
    });
    ended.succeeded();
}

/// Takes mappings until `left` are left to be had, and returns them.
fn take_mappings(left: usize) -> Vec<usize> {
    let most: usize = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
    let count = most - mappings() - left;
    let map = |n: usize| {
        // Neighbours that differ do not merge.
        let protection = if n.is_multiple_of(2) { libc::PROT_READ } else { libc::PROT_NONE };
        // SAFETY: a fresh mapping, of which nobody else knows.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        assert_ne!(at, libc::MAP_FAILED);
        at as usize
    };
    (0..count).map(map).collect()
}

/// Bytes of address space that this process has taken.
fn address_space() -> u64 {
    support::status_field("/proc/self/status", "VmSize") << 10
}

/// At vm.max_map_count: what finds no stack stays queued, and runs when one is free.
#[test]
fn without_a_free_stack_closures_wait_for_one() {
    let ended = child("without_a_free_stack_closures_wait_for_one", 20, || {
        Builder::new()
            .workers(1)
            .guard_by_mprotect(true)
            .stack_size(32 * KIB)
            .run(|| {
                spawn(|| ()).join().unwrap();
                // The vectors of this test and of the runtime must not need a mapping later.
                let mut handles = Vec::with_capacity(2_000);
                let started = Rc::new(Cell::new(0));
                let _held = take_mappings(400);
                for n in 0..2_000u64 {
                    let started = Rc::clone(&started);
                    handles.push(spawn_local(move || {
                        started.set(started.get() + 1);
                        thread::park();
                        n
                    }));
                }
                let mut seen = usize::MAX;
                while seen != started.get() {
                    seen = started.get();
                    (0..20).for_each(|_| thread::yield_now());
                }
                assert!((50..1_000).contains(&seen), "{seen} found a stack");
                handles.iter().for_each(|handle| handle.thread().unpark());
                let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
                assert_eq!((sum, started.get()), (1_999_000, 2_000));
            })
            .unwrap();
    });
    ended.succeeded();
}

#[test]
fn without_a_stack_for_the_first_coroutine_the_error_names_the_limit() {
    let ended = child("without_a_stack_for_the_first_coroutine_the_error_names_the_limit", 20, || {
        run(|| ());
        // Enough for the descriptors' side of a start, none for a stack and its guard.
        let found = (0..12).find_map(|left| {
            let held = take_mappings(left);
            let error =
                Builder::new().workers(1).guard_by_mprotect(true).run(|| ()).err().map(|error| error.to_string());
            // SAFETY: mapped by `take_mappings`, and nobody uses them.
            held.iter().for_each(|at| _ = unsafe { libc::munmap(*at as *mut _, 4096) });
            error.filter(|error| error.contains("vm.max_map_count"))
        });
        let error = found.unwrap();
        assert!(error.contains("sysctl -w vm.max_map_count="), "{error}");
    });
    ended.succeeded();
}

/// On the default runtime no coroutine is live then, so `join` reports why.
#[test]
fn without_a_stack_and_without_a_live_coroutine_join_reports_it() {
    let ended = child("without_a_stack_and_without_a_live_coroutine_join_reports_it", 20, || {
        spawn(|| ()).join().unwrap();
        let used = address_space();
        support::limit(libc::RLIMIT_AS, used + (32 << 20));
        let large = thread::Builder::new().stack_size(128 << 20).spawn(|| ()).unwrap();
        let error = large.join().unwrap_err();
        let error = error.downcast::<std::io::Error>().unwrap_or_else(|other| panic!("{}", message(&*other)));
        assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory, "{error}");
        spawn(|| ()).join().unwrap();
    });
    ended.succeeded();
}

/// Far past what a process may have of mappings, each stack with its guard.
#[test]
fn many_coroutines_parked_at_once() {
    let ended = child("many_coroutines_parked_at_once", 60, || {
        let count = if cfg!(debug_assertions) { 70_000 } else { 200_000 };
        Builder::new()
            .workers(1)
            .stack_size(16 * KIB)
            .run(|| {
                let before = (mappings(), support::resident_kib());
                let parked = Rc::new(Cell::new(0));
                let handles: Vec<_> = (0..count)
                    .map(|_| {
                        let parked = Rc::clone(&parked);
                        spawn_local(move || {
                            parked.set(parked.get() + 1);
                            thread::park();
                        })
                    })
                    .collect();
                while parked.get() < count {
                    thread::yield_now();
                }
                let each = (support::resident_kib() - before.1) as usize * KIB / count;
                assert!(cfg!(debug_assertions) || each <= 4_400, "{each} bytes each");
                assert!(mappings() < before.0 + 2_000);
                handles.iter().for_each(|handle| handle.thread().unpark());
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            })
            .unwrap();
    });
    ended.succeeded();
}

#[test]
fn a_stack_smaller_than_two_guards_is_refused_at_spawn() {
    let ended = child("a_stack_smaller_than_two_guards_is_refused_at_spawn", 5, || {
        Builder::new()
            .workers(1)
            .stack_size(128 << 10)
            .guard_size(32 << 10)
            .run(|| {
                let impossible = thread::Builder::new().stack_size(16 << 10).spawn(|| 1);
                assert_eq!(spawn(|| 2).join().unwrap(), 2);
                assert_eq!(impossible.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
            })
            .unwrap();
    });
    ended.succeeded();
}

#[test]
fn a_stack_that_does_not_fit_in_memory_holds_up_nobody_else() {
    let ended = child("a_stack_that_does_not_fit_in_memory_holds_up_nobody_else", 5, || {
        run(|| {
            spawn(|| ()).join().unwrap();
            let used = address_space();
            support::limit(libc::RLIMIT_AS, used + (32 << 20));
            let large = thread::Builder::new().stack_size(128 << 20).spawn(|| 1).unwrap();
            assert_eq!(spawn(|| 2).join().unwrap(), 2);
            drop(large);
        });
    });
    ended.succeeded();
}

#[test]
fn waiting_for_a_stack_does_not_spin() {
    let ended = child("waiting_for_a_stack_does_not_spin", 8, || {
        run(|| {
            spawn(|| ()).join().unwrap();
            let used = address_space();
            support::limit(libc::RLIMIT_AS, used + (32 << 20));
            drop(thread::Builder::new().stack_size(128 << 20).spawn(|| 1).unwrap());
            thread::yield_now();
            let before = support::cpu_nanos(support::thread_number());
            thread::sleep(Duration::from_millis(500));
            let spent = support::cpu_nanos(support::thread_number()) - before;
            assert!(spent < 100_000_000, "{spent} ns of processor time within 500 ms of idleness");
            support::limit(libc::RLIMIT_AS, u64::MAX);
        });
    });
    ended.succeeded();
}
