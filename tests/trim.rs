//! Memory that is not needed goes back: below parked coroutines, and after a burst.

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{bounded, child, eventually, resident_kib, run, thread_number, use_stack, wake_ups};

const KIB: usize = 1 << 10;

#[test]
fn a_coroutine_that_went_deep_and_parks_is_back_to_a_page_or_two() {
    bounded(10, || {
        run(|| {
            let handles: Vec<_> = (0..300)
                .map(|_| {
                    let deep = thread::Builder::new().stack_size(128 * KIB).spawn(|| {
                        use_stack(40 * KIB);
                        let before = thread::stack_high_water().unwrap().unwrap();
                        thread::park();
                        (before, thread::stack_high_water().unwrap().unwrap())
                    });
                    deep.unwrap()
                })
                .collect();
            thread::sleep(Duration::from_millis(2_200));
            handles.iter().for_each(|handle| handle.thread().unpark());
            for handle in handles {
                let (before, after) = handle.join().unwrap();
                assert!(before >= 40 * KIB, "{before}");
                assert!(after <= 12 * KIB, "{after} bytes resident after the park");
            }
        });
    });
}

/// What lies above the suspended frame is in use: a trim must leave every byte of it.
#[test]
fn what_a_parked_coroutine_needs_is_left() {
    #[inline(never)]
    fn fill_and_park(depth: u8) -> u64 {
        let frame = black_box([depth; 4 * KIB]);
        let below = if depth == 0 {
            thread::park();
            use_stack(8 * KIB);
            thread::park();
            0
        } else {
            fill_and_park(depth - 1)
        };
        assert!(black_box(&frame).iter().all(|byte| *byte == depth), "frame {depth} was lost");
        below + u64::from(frame[0])
    }
    bounded(10, || {
        run(|| {
            let handles: Vec<_> = (0..100)
                .map(|n| {
                    let deep = thread::Builder::new().stack_size(256 * KIB);
                    // Each starts at another depth, so that the frames end at all places in a page.
                    deep.spawn(move || {
                        use_stack(60 * KIB);
                        let _shift = black_box(vec![0u8; n]);
                        fill_and_park(10)
                    })
                    .unwrap()
                })
                .collect();
            for _ in 0..2 {
                thread::sleep(Duration::from_millis(1_200));
                handles.iter().for_each(|handle| handle.thread().unpark());
                thread::yield_now();
            }
            for handle in handles {
                assert_eq!(handle.join().unwrap(), 55);
            }
        });
    });
}

/// Read from outside: the process's resident memory, while all are still parked.
#[test]
fn the_process_is_smaller_while_they_are_parked() {
    let ended = child("the_process_is_smaller_while_they_are_parked", 10, || {
        run(|| {
            let small = resident_kib();
            for _ in 0..1000 {
                let deep = thread::Builder::new().stack_size(128 * KIB).spawn(|| {
                    use_stack(64 * KIB);
                    thread::park();
                });
                drop(deep.unwrap());
            }
            thread::yield_now();
            eventually(5, "all went deep and parked", || resident_kib() > small + 60_000);
            eventually(5, "their stacks are given back", || resident_kib() < small + 16_000);
        });
    });
    ended.succeeded();
}

#[test]
fn an_idle_process_makes_no_wake_ups() {
    let ended = child("an_idle_process_makes_no_wake_ups", 20, || {
        static WORKERS: [AtomicI32; 2] = [const { AtomicI32::new(0) }; 2];
        // Watches from a plain thread, and then ends the process: to tell the runtime to end would be to wake it.
        std::thread::spawn(|| {
            let read = || WORKERS.each_ref().map(|worker| wake_ups(worker.load(SeqCst)));
            eventually(5, "the workers are known", || WORKERS.iter().all(|worker| worker.load(SeqCst) != 0));
            // The alarm of the trim is within a second or so; from then on nothing.
            std::thread::sleep(Duration::from_millis(2_500));
            let before = read();
            std::thread::sleep(Duration::from_secs(3));
            let after = read();
            if before != after {
                eprintln!("woken while idle: {before:?}, then {after:?}");
                std::process::exit(1);
            }
            std::process::exit(86);
        });
        Builder::new()
            .workers(2)
            .run(|| {
                let main = thread_number();
                let handles: Vec<_> = (0..200)
                    .map(|n| {
                        spawn(move || {
                            use_stack(30 * KIB);
                            WORKERS[usize::from(thread_number() != main)].store(thread_number(), SeqCst);
                            if n % 2 == 0 { thread::park() } else { thread::sleep(Duration::from_secs(3600)) }
                        })
                    })
                    .collect();
                // Keeps this worker until the other has started some.
                while WORKERS[1].load(SeqCst) == 0 {
                    std::thread::yield_now();
                }
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            })
            .unwrap();
    });
    ended.succeeded();
}

#[test]
fn a_runtime_that_never_had_anything_to_do_makes_no_wake_ups() {
    let ended = child("a_runtime_that_never_had_anything_to_do_makes_no_wake_ups", 20, || {
        run(|| {
            let worker = thread_number();
            let me = thread::current();
            let watch = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(1_500));
                let before = wake_ups(worker);
                std::thread::sleep(Duration::from_millis(1_500));
                let after = wake_ups(worker);
                me.unpark();
                after - before
            });
            thread::park();
            assert_eq!(watch.join().unwrap(), 0);
        });
    });
    ended.succeeded();
}

#[test]
fn the_memory_of_a_burst_is_given_back() {
    let ended = child("the_memory_of_a_burst_is_given_back", 20, || {
        Builder::new()
            .workers(1)
            .stack_size(32 * KIB)
            .run(|| {
                spawn(|| ()).join().unwrap();
                let start = resident_kib();
                let parked = Rc::new(Cell::new(0));
                let handles: Vec<_> = (0..20_000)
                    .map(|_| {
                        let parked = Rc::clone(&parked);
                        spawn_local(move || {
                            parked.set(parked.get() + 1);
                            thread::park();
                        })
                    })
                    .collect();
                while parked.get() < 20_000 {
                    thread::yield_now();
                }
                let full = resident_kib();
                assert!(full > start + 70_000, "{start} {full}");
                handles.iter().for_each(|handle| handle.thread().unpark());
                handles.into_iter().for_each(|handle| handle.join().unwrap());
                eventually(5, "the stacks are given back", || resident_kib() < start + 20_000);
            })
            .unwrap();
    });
    ended.succeeded();
}

#[test]
fn a_burst_in_each_of_many_rounds_needs_no_more_than_one() {
    let ended = child("a_burst_in_each_of_many_rounds_needs_no_more_than_one", 30, || {
        Builder::new()
            .workers(1)
            .stack_size(32 * KIB)
            .run(|| {
                let count = Arc::new(AtomicUsize::new(0));
                let round = || {
                    let handles: Vec<_> = (0..2_000)
                        .map(|_| {
                            let count = Arc::clone(&count);
                            spawn(move || {
                                thread::yield_now();
                                count.fetch_add(1, SeqCst);
                            })
                        })
                        .collect();
                    handles.into_iter().for_each(|handle| handle.join().unwrap());
                    thread::sleep(Duration::from_millis(1));
                };
                (0..5).for_each(|_| round());
                let (memory, mappings) = (resident_kib(), support::mappings());
                (0..30).for_each(|_| round());
                assert_eq!(count.load(SeqCst), 70_000);
                assert!(resident_kib() < memory + 8_000, "{memory} KiB, then {}", resident_kib());
                assert!(support::mappings() < mappings + 20);
            })
            .unwrap();
    });
    ended.succeeded();
}

#[test]
fn a_parked_stack_is_given_back_though_another_coroutine_yields_all_the_time() {
    bounded(10, || {
        run(|| {
            let deep = thread::Builder::new().stack_size(256 * KIB).spawn(|| {
                use_stack(150 * KIB);
                thread::park();
                thread::stack_high_water().unwrap().unwrap()
            });
            let deep = deep.unwrap();
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(2_500) {
                thread::yield_now();
            }
            deep.thread().unpark();
            let used = deep.join().unwrap();
            assert!(used <= 16 * KIB, "{used} bytes are still resident");
        });
    });
}

/// A coroutine that parks on a stack of its own making keeps what it has on both: the runtime knows nothing of the other one.
#[test]
fn a_park_on_a_foreign_stack_trims_nothing() {
    let ended = support::child("a_park_on_a_foreign_stack_trims_nothing", 10, || {
        // Mapped before the runtime's stacks, and a second one after, so that one of them lies above the coroutine's.
        let before = corosensei::stack::DefaultStack::new(64 << 10).unwrap();
        support::run(move || {
            let after = corosensei::stack::DefaultStack::new(64 << 10).unwrap();
            let parked = [before, after].map(|foreign| {
                dormouse::spawn_local(move || {
                    let kept = std::hint::black_box([7u8; 24 << 10]);
                    corosensei::on_stack(foreign, || dormouse::thread::sleep(std::time::Duration::from_millis(2500)));
                    assert!(kept.iter().all(|byte| *byte == 7));
                })
            });
            parked.into_iter().for_each(|handle| handle.join().unwrap());
        });
    });
    ended.succeeded();
}
