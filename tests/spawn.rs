//! `spawn` and `spawn_local`: from where, of what size, and on which worker.

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use support::{bounded, child, message, run};

#[test]
fn from_a_coroutine() {
    bounded(10, || {
        let sum: u32 = run(|| {
            let handles: Vec<_> = (0..1000).map(|n| spawn(move || n)).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).sum()
        });
        assert_eq!(sum, 499_500);
    });
}

#[test]
fn from_a_plain_thread() {
    bounded(10, || {
        let here = std::thread::current().id();
        let there = spawn(|| std::thread::current().id()).join().unwrap();
        assert_ne!(here, there);
    });
}

#[test]
fn from_a_std_thread_inside_run_to_the_default_runtime() {
    bounded(10, || {
        run(|| {
            let here = std::thread::current().id();
            let there = std::thread::spawn(|| spawn(|| std::thread::current().id())).join().unwrap();
            assert_ne!(there.join().unwrap(), here);
        });
    });
}

#[test]
fn from_coroutines_of_every_worker() {
    bounded(10, || {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        Builder::new()
            .workers(3)
            .run(move || {
                let parents: Vec<_> = (0..100)
                    .map(|_| {
                        let count = Arc::clone(&counted);
                        spawn(move || {
                            let children: Vec<_> = (0..20)
                                .map(|_| {
                                    let count = Arc::clone(&count);
                                    spawn(move || {
                                        thread::yield_now();
                                        count.fetch_add(1, SeqCst)
                                    })
                                })
                                .collect();
                            children.into_iter().for_each(|child| _ = child.join().unwrap());
                        })
                    })
                    .collect();
                parents.into_iter().for_each(|parent| parent.join().unwrap());
            })
            .unwrap();
        assert_eq!(count.load(SeqCst), 2000);
    });
}

/// Keeps its worker from running anything else until `condition` holds.
fn keep_worker_until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

/// What a worker with nothing to do takes before the burst, so that it takes none of it while it is placed.
fn occupy_other_worker(until: &Arc<AtomicBool>) {
    let (occupied, until) = (Arc::new(AtomicBool::new(false)), Arc::clone(until));
    let says = Arc::clone(&occupied);
    spawn(move || {
        says.store(true, SeqCst);
        keep_worker_until(|| until.load(SeqCst));
    });
    keep_worker_until(|| occupied.load(SeqCst));
}

/// Half of it is given to the other worker at once, which takes more of it while this one is kept.
#[test]
fn a_burst_reaches_the_other_worker_and_each_coroutine_stays_where_it_started() {
    fn burst() {
        let (own, begins) = (std::thread::current().id(), Arc::new(AtomicBool::new(false)));
        occupy_other_worker(&begins);
        let elsewhere = Arc::new(AtomicUsize::new(0));
        let stays = || {
            let elsewhere = Arc::clone(&elsewhere);
            move || {
                let home = std::thread::current().id();
                elsewhere.fetch_add(usize::from(home != own), SeqCst);
                for _ in 0..20 {
                    thread::yield_now();
                    assert_eq!(std::thread::current().id(), home);
                }
            }
        };
        let handles: Vec<_> = (0..200).map(|_| spawn(stays())).collect();
        let at_home: Vec<_> = (0..20).map(|_| spawn_local(stays())).collect();
        let placed = dormouse::metrics().total.placements as usize;
        begins.store(true, SeqCst);
        assert!((80..=100).contains(&placed), "{placed} of 200 were placed elsewhere");
        keep_worker_until(|| elsewhere.load(SeqCst) > placed);
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        at_home.into_iter().for_each(|handle| handle.join().unwrap());
    }
    bounded(60, || Builder::new().workers(2).run(burst).unwrap());
}

#[test]
fn a_closure_of_a_mebibyte_runs_on_the_smallest_stack() {
    bounded(20, || {
        let ends = run(|| {
            let mut large = [0u8; 128 << 10];
            large[0] = 1;
            large[(128 << 10) - 1] = 2;
            thread::Builder::new()
                .stack_size(16 << 10)
                .spawn(move || (large[0], large[large.len() - 1]))
                .unwrap()
                .join()
                .unwrap()
        });
        assert_eq!(ends, (1, 2));
        let large = [7u8; 1 << 20];
        let from_here = thread::Builder::new().stack_size(64 << 10).spawn(move || large[large.len() - 1]).unwrap();
        assert_eq!(from_here.join().unwrap(), 7);
    });
}

#[test]
fn closures_and_results_of_no_size() {
    bounded(10, || {
        static RAN: AtomicUsize = AtomicUsize::new(0);
        run(|| {
            let handles: Vec<_> = (0..100).map(|_| spawn(|| _ = RAN.fetch_add(1, SeqCst))).collect();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            spawn_local(|| ()).join().unwrap();
        });
        assert_eq!(RAN.load(SeqCst), 100);
    });
}

#[test]
fn a_result_as_large_as_the_stack_allows() {
    bounded(10, || {
        let result = run(|| {
            let large = thread::Builder::new().stack_size(8 << 20).spawn(|| Box::new([9u8; 1 << 20]));
            large.unwrap().join().unwrap()
        });
        assert!(result.iter().all(|byte| *byte == 9));
        let by_value = run(|| {
            let large = thread::Builder::new().stack_size(1 << 20).spawn(|| [5u8; 16 << 10]);
            large.unwrap().join().unwrap()
        });
        assert_eq!(by_value, [5u8; 16 << 10]);
    });
}

#[test]
fn overaligned_closures_and_results_are_aligned() {
    #[repr(align(256))]
    #[derive(Clone, Copy)]
    struct Aligned(u8);
    fn is_aligned(value: &Aligned) -> bool {
        std::hint::black_box(std::ptr::from_ref(value) as usize).is_multiple_of(256)
    }
    bounded(10, || {
        run(|| {
            let value = Aligned(4);
            let handle = spawn(move || {
                assert!(is_aligned(&value));
                thread::yield_now();
                assert!(is_aligned(&value));
                value
            });
            let back = handle.join().unwrap();
            assert!(is_aligned(&back) && back.0 == 4);
        });
    });
}

#[test]
fn a_local_coroutine_stays_on_its_worker() {
    bounded(10, || {
        Builder::new()
            .workers(3)
            .run(|| {
                let home = std::thread::current().id();
                let shared = Rc::new(Cell::new(0));
                let handles: Vec<_> = (0..300)
                    .map(|_| {
                        let shared = Rc::clone(&shared);
                        spawn_local(move || {
                            assert_eq!(std::thread::current().id(), home);
                            thread::yield_now();
                            shared.set(shared.get() + 1);
                            assert_eq!(std::thread::current().id(), home);
                            Rc::clone(&shared)
                        })
                    })
                    .collect();
                for handle in handles {
                    assert!(Rc::ptr_eq(&handle.join().unwrap(), &shared));
                }
                assert_eq!((shared.get(), Rc::strong_count(&shared)), (300, 1));
            })
            .unwrap();
    });
}

/// A thing that must be dropped on the thread where it was made.
struct Homely(std::thread::ThreadId, Arc<AtomicUsize>);

impl Homely {
    fn new(dropped: &Arc<AtomicUsize>) -> Homely {
        Homely(std::thread::current().id(), Arc::clone(dropped))
    }
}

impl Drop for Homely {
    fn drop(&mut self) {
        assert_eq!(std::thread::current().id(), self.0);
        self.1.fetch_add(1, SeqCst);
    }
}

#[test]
fn what_is_local_is_dropped_on_its_worker_however_it_ends() {
    bounded(10, || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&dropped);
        Builder::new()
            .workers(2)
            .run(move || {
                let parents: Vec<_> = (0..50)
                    .map(|_| {
                        let counted = Arc::clone(&counted);
                        spawn(move || {
                            let (joined, detached, parked, unstarted, panicked) =
                                std::array::from_fn::<_, 5, _>(|_| Homely::new(&counted)).into();
                            let handle = spawn_local(move || joined);
                            drop(spawn_local(move || detached));
                            spawn_local(move || {
                                let _parked = parked;
                                thread::park();
                            });
                            let failing = spawn_local(move || {
                                let _panicked = panicked;
                                std::panic::resume_unwind(Box::new(()));
                            });
                            assert!(failing.join().is_err());
                            drop(handle.join().unwrap());
                            spawn_local(move || drop(unstarted)).cancel();
                        })
                    })
                    .collect();
                parents.into_iter().for_each(|parent| parent.join().unwrap());
            })
            .unwrap();
        assert_eq!(dropped.load(SeqCst), 250);
    });
}

#[test]
fn local_outside_a_coroutine_panics() {
    bounded(10, || {
        let panic = catch_unwind(|| spawn_local(|| ())).unwrap_err();
        assert!(message(&*panic).contains("outside a coroutine"), "{}", message(&*panic));
        let inside = run(|| std::thread::spawn(|| drop(spawn_local(|| ()))).join());
        assert!(message(&*inside.unwrap_err()).contains("outside a coroutine"));
    });
}

#[test]
fn names_and_sizes_come_from_the_builder() {
    bounded(10, || {
        run(|| {
            let handle = thread::Builder::new().name("worker bee".into()).spawn(|| {
                assert_eq!(thread::current().name(), Some("worker bee"));
                thread::current().id()
            });
            let handle = handle.unwrap();
            assert_eq!(handle.thread().name(), Some("worker bee"));
            let id = handle.thread().id();
            assert_eq!(handle.join().unwrap(), id);
            assert_eq!(spawn(|| thread::current().name().map(String::from)).join().unwrap(), None);
            let error = thread::Builder::new().stack_size(1 << 30).spawn(|| ()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("134217728"), "{error}");
        });
    });
}

#[test]
fn a_detached_coroutine_of_the_default_runtime_does_not_keep_the_process() {
    let ended = child("a_detached_coroutine_of_the_default_runtime_does_not_keep_the_process", 10, || {
        spawn(thread::park);
        spawn(|| {
            loop {
                thread::yield_now();
            }
        });
    });
    ended.succeeded();
}

/// What the closure holds, a socket say, must not stay open for ever.
#[test]
fn one_that_fails_drops_its_closure() {
    bounded(10, || {
        let shared = Rc::new(());
        let kept = Rc::clone(&shared);
        assert!(catch_unwind(AssertUnwindSafe(|| spawn_local(move || drop(kept)))).is_err());
        assert_eq!(Rc::strong_count(&shared), 1);
    });
}

#[test]
fn one_that_comes_too_late_drops_its_closure() {
    bounded(10, || {
        let shared = Arc::new(());
        let (kept, kept_too) = (Arc::clone(&shared), Arc::clone(&shared));
        run(move || {
            spawn(move || {
                let _ = catch_unwind(thread::park);
                assert!(thread::Builder::new().spawn(move || drop(kept)).is_err());
                assert!(thread::Builder::new().spawn_local(move || drop(kept_too)).is_err());
            });
            thread::yield_now();
        });
        assert_eq!(Arc::strong_count(&shared), 1);
    });
}

/// Each that starts spawns the next, so that there is always one of its kind to start.
#[test]
fn an_endless_chain_of_spawns_keeps_nobody_elses_from_starting() {
    static STOP: AtomicUsize = AtomicUsize::new(0);

    fn link() {
        if STOP.load(SeqCst) == 0 {
            spawn(link);
        }
    }

    let ended = child("an_endless_chain_of_spawns_keeps_nobody_elses_from_starting", 20, || {
        (0..8).for_each(|_| drop(spawn(link)));
        for n in 0..100 {
            assert_eq!(spawn(move || n).join().unwrap(), n);
        }
        STOP.store(1, SeqCst);
    });
    ended.succeeded();
}

#[test]
fn an_endless_chain_of_local_spawns_keeps_no_other_from_starting() {
    fn link(stop: Rc<Cell<bool>>) {
        if !stop.get() {
            spawn_local(move || link(stop));
        }
    }

    for workers in [1, 2] {
        bounded(10, move || {
            let body = || {
                let stop = Rc::new(Cell::new(false));
                link(Rc::clone(&stop));
                for n in 0..100 {
                    assert_eq!(spawn(move || n).join().unwrap(), n);
                }
                stop.set(true);
            };
            Builder::new().workers(workers).run(body).unwrap();
        });
    }
}
