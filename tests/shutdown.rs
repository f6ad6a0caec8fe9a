//! The end of a runtime: what is left unwinds, destructors run, and nothing stays behind.

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::Cell;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, child, descriptors, eventually, is_cancelled, mappings, run, threads, threads_become};

/// Counts those that exist.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(live: &Arc<AtomicUsize>) -> Counted {
        live.fetch_add(1, SeqCst);
        Counted(Arc::clone(live))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn whatever_a_coroutine_is_at_its_destructors_run() {
    for workers in [1, 2] {
        bounded(20, move || {
            let live = Arc::new(AtomicUsize::new(0));
            let in_run = Arc::clone(&live);
            let handles = Builder::new().workers(workers).run(move || {
                let mut handles = Vec::new();
                for _ in 0..20 {
                    let counted = std::array::from_fn::<_, 6, _>(|_| Counted::new(&in_run));
                    let [parked, timed, asleep, joining, yielding, yielding_later] = counted;
                    let inner = spawn(thread::park);
                    handles.push(spawn(move || {
                        thread::park();
                        drop(parked);
                    }));
                    handles.push(spawn(move || {
                        thread::park_timeout(Duration::from_secs(3600));
                        drop(timed);
                    }));
                    handles.push(spawn(move || {
                        thread::sleep(Duration::from_secs(3600));
                        drop(asleep);
                    }));
                    handles.push(spawn(move || {
                        let _ = inner.join();
                        // That one may be on another worker, which was told of the end before.
                        thread::park();
                        drop(joining);
                    }));
                    handles.push(spawn(move || {
                        let _yielding = yielding;
                        loop {
                            thread::yield_now();
                        }
                    }));
                    handles.push(spawn(move || {
                        let _yielding = yielding_later;
                        loop {
                            thread::sleep(Duration::from_micros(10));
                        }
                    }));
                }
                (0..20).for_each(|_| thread::yield_now());
                for _ in 0..20 {
                    let unstarted = Counted::new(&in_run);
                    handles.push(spawn(move || {
                        thread::park();
                        drop(unstarted);
                    }));
                }
                handles
            });
            assert_eq!(live.load(SeqCst), 0);
            assert!(handles.unwrap().into_iter().all(|handle| is_cancelled(&handle.join())));
        });
    }
}

#[test]
fn it_does_not_wait_for_the_grace_when_all_end() {
    bounded(10, || {
        let start = Instant::now();
        run(|| {
            (0..100).for_each(|_| drop(spawn(thread::park)));
            thread::yield_now();
        });
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    });
}

/// A Drop that does all that suspends.
fn suspending_drop(done: Arc<AtomicUsize>) -> OnDrop<impl FnMut()> {
    OnDrop(move || {
        thread::yield_now();
        thread::sleep(Duration::from_millis(1));
        thread::park_timeout(Duration::from_millis(1));
        thread::current().unpark();
        thread::park();
        assert!(is_cancelled(&spawn(|| ()).join()), "what is spawned at the end does not run");
        done.fetch_add(1, SeqCst);
    })
}

#[test]
fn a_drop_that_suspends_neither_aborts_nor_hangs() {
    let ended = child("a_drop_that_suspends_neither_aborts_nor_hangs", 20, || {
        for workers in [1, 2] {
            let done = Arc::new(AtomicUsize::new(0));
            let counts = Arc::clone(&done);
            Builder::new()
                .workers(workers)
                .run(move || {
                    let started = Arc::new(AtomicUsize::new(0));
                    for _ in 0..30 {
                        let (started, counts) = (Arc::clone(&started), Arc::clone(&counts));
                        spawn(move || {
                            let _first = suspending_drop(Arc::clone(&counts));
                            let _second = suspending_drop(counts);
                            started.fetch_add(1, SeqCst);
                            thread::park();
                        });
                    }
                    eventually(5, "all have started", || started.load(SeqCst) == 30);
                })
                .unwrap();
            assert_eq!(done.load(SeqCst), 60);
        }
    });
    ended.succeeded();
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
}

#[test]
fn a_drop_that_joins_another_that_is_ending() {
    bounded(20, || {
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&order);
        run(move || {
            let mut last = spawn(thread::park);
            for n in 0..50 {
                let seen = Arc::clone(&seen);
                last = spawn(move || {
                    let mut before = Some(last);
                    let _on_drop = OnDrop(move || {
                        let joined = before.take().unwrap().join();
                        assert!(is_cancelled(&joined));
                        seen.lock().unwrap().push(n);
                    });
                    thread::park();
                });
            }
            // A turn of the worker starts at least one.
            (0..51).for_each(|_| thread::yield_now());
        });
        assert_eq!(*order.lock().unwrap_or_else(|poison| poison.into_inner()), Vec::from_iter(0..50));
    });
}

#[test]
fn one_that_catches_its_cancel_once_is_thrown_into_again() {
    bounded(10, || {
        let thrown = Rc::new(Cell::new(0));
        let counts = Rc::clone(&thrown);
        run(move || {
            spawn_local(move || {
                for _ in 0..3 {
                    let caught = catch_unwind(thread::park).unwrap_err();
                    assert!(caught.is::<dormouse::Cancelled>());
                    drop(caught);
                    counts.set(counts.get() + 1);
                }
                thread::sleep(Duration::from_secs(3600));
            });
            thread::yield_now();
        });
        assert_eq!(thrown.get(), 3);
    });
}

#[test]
fn one_that_waits_in_a_drop_past_the_grace_is_leaked_and_named() {
    let ended = child("one_that_waits_in_a_drop_past_the_grace_is_leaked_and_named", 10, || {
        for workers in [1, 2] {
            let start = Instant::now();
            let handles = Builder::new().workers(workers).shutdown_timeout(Duration::from_millis(200)).run(|| {
                let started = Arc::new(AtomicUsize::new(0));
                let counts = Arc::clone(&started);
                let stubborn = move || {
                    counts.fetch_add(1, SeqCst);
                    let _on_drop = OnDrop(|| thread::sleep(Duration::from_secs(3600)));
                    thread::park();
                };
                let handles = (0..20).map(|n| {
                    let builder = thread::Builder::new().name(format!("stubborn {n}"));
                    builder.spawn(stubborn.clone()).unwrap()
                });
                let handles: Vec<_> = handles.collect();
                eventually(5, "all have started", || started.load(SeqCst) == 20);
                handles
            });
            let took = start.elapsed();
            assert!((Duration::from_millis(200)..Duration::from_secs(2)).contains(&took), "{took:?}");
            let handles = handles.unwrap();
            assert!(handles.iter().all(thread::JoinHandle::is_finished));
            handles.iter().for_each(|handle| handle.thread().unpark());
            assert!(handles.into_iter().all(|handle| is_cancelled(&handle.join())));
        }
        eprintln!("went on");
    });
    ended.succeeded();
    ended.said(&["coroutine 'stubborn 0'", "'stubborn 19'", "tests/shutdown.rs", "200ms", "leaked", "went on"]);
    assert_eq!(ended.stderr.matches("is leaked").count(), 40, "{}", ended.stderr);
}

/// The stack of one that is leaked is never given to anybody: what it left there stays.
#[test]
fn the_stack_of_a_leaked_one_stays() {
    let ended = child("the_stack_of_a_leaked_one_stays", 10, || {
        static PLACE: AtomicUsize = AtomicUsize::new(0);
        Builder::new()
            .workers(1)
            .shutdown_timeout(Duration::from_millis(1))
            .run(|| {
                spawn(|| {
                    let text = *b"still there";
                    PLACE.store(text.as_ptr() as usize, SeqCst);
                    let _on_drop = OnDrop(thread::park);
                    thread::sleep(Duration::MAX);
                    std::hint::black_box(&text);
                });
                thread::yield_now();
            })
            .unwrap();
        run(|| (0..100).for_each(|_| drop(spawn(thread::park))));
        // SAFETY: the stack is leaked, by what this test says, so it is mapped and nobody writes to it.
        let text = unsafe { std::ptr::read_volatile(PLACE.load(SeqCst) as *const [u8; 11]) };
        assert_eq!(&text, b"still there");
    });
    ended.succeeded();
}

#[test]
fn a_worker_that_never_yields_is_named_and_left() {
    let ended = child("a_worker_that_never_yields_is_named_and_left", 10, || {
        let stuck = Arc::new(AtomicBool::new(false));
        let sets = Arc::clone(&stuck);
        Builder::new()
            .workers(2)
            .name_prefix("burrow")
            .shutdown_timeout(Duration::from_millis(100))
            .run(move || {
                let main = std::thread::current().id();
                for n in 0..40 {
                    let sets = Arc::clone(&sets);
                    let named = thread::Builder::new().name(format!("stuck {n}"));
                    let spawned = named.spawn(move || {
                        if std::thread::current().id() != main && !sets.swap(true, SeqCst) {
                            loop {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                        }
                    });
                    drop(spawned.unwrap());
                }
                // Without a turn for the others: this worker would be through with all of them before the other is awake.
                while !stuck.load(SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
            .unwrap();
        eprintln!("went on");
    });
    ended.succeeded();
    ended.said(&["burrow-1", "coroutine 'stuck ", "spawned at tests/shutdown.rs:", "does not yield", "went on"]);
}

#[test]
fn a_spawn_that_comes_too_late_is_an_error() {
    bounded(10, || {
        run(|| {
            spawn(|| {
                let _ = catch_unwind(thread::park);
                let error = thread::Builder::new().spawn(|| ()).unwrap_err();
                assert!(error.to_string().contains("shutting down"), "{error}");
            });
            thread::yield_now();
        });
    });
}

#[test]
fn a_thousand_runtimes_leave_nothing_behind() {
    let ended = child("a_thousand_runtimes_leave_nothing_behind", 30, || {
        let cycle = |n: usize| {
            Builder::new()
                .workers(1 + n % 3)
                .run(|| {
                    (0..5).for_each(|_| drop(spawn(thread::park)));
                    spawn(|| thread::sleep(Duration::from_secs(60)));
                    thread::yield_now();
                    spawn(|| ()).join().unwrap();
                })
                .unwrap();
        };
        let threads_before = threads();
        (0..30).for_each(cycle);
        // Neighbouring mappings merge, so their number alone does not tell that one was left behind.
        let space = || support::status_field("/proc/self/status", "VmSize");
        let (before, space_before) = ((descriptors(), mappings()), space());
        (0..1000).for_each(cycle);
        let (after, space_after) = ((descriptors(), mappings()), space());
        assert!(space_after < space_before + 20_000, "{space_before} KiB of address space, then {space_after}");
        assert_eq!(after.0, before.0);
        assert!(after.1 <= before.1 + 8, "mappings: {} before, {} after", before.1, after.1);
        threads_become(threads_before);
    });
    ended.succeeded();
}

#[test]
fn worker_threads_have_the_prefix_in_their_names() {
    bounded(10, || {
        Builder::new()
            .workers(3)
            .name_prefix("burrow")
            .run(|| {
                let names: Vec<String> = std::fs::read_dir("/proc/self/task")
                    .unwrap()
                    .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
                    .map(|name| name.trim().to_owned())
                    .collect();
                assert!(names.contains(&"burrow-1".into()) && names.contains(&"burrow-2".into()), "{names:?}");
            })
            .unwrap();
    });
}

#[test]
fn one_that_swallows_every_cancel_of_a_park_is_leaked_and_named() {
    let ended = child("one_that_swallows_every_cancel_of_a_park_is_leaked_and_named", 5, || {
        Builder::new()
            .workers(1)
            .shutdown_timeout(Duration::from_millis(200))
            .run(|| {
                spawn(|| {
                    loop {
                        let _ = catch_unwind(thread::park);
                    }
                });
                thread::yield_now();
            })
            .unwrap();
        eprintln!("run returned");
    });
    ended.succeeded();
    ended.said(&["tests/shutdown.rs", "is leaked", "run returned"]);
}

#[test]
fn those_that_swallow_every_cancel_of_a_yield_are_leaked_on_each_worker() {
    let ended = child("those_that_swallow_every_cancel_of_a_yield_are_leaked_on_each_worker", 5, || {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        Builder::new()
            .workers(2)
            .shutdown_timeout(Duration::from_millis(200))
            .run(|| {
                for _ in 0..40 {
                    spawn(|| {
                        STARTED.fetch_add(1, SeqCst);
                        loop {
                            let _ = catch_unwind(thread::yield_now);
                        }
                    });
                }
                eventually(5, "all have started", || STARTED.load(SeqCst) == 40);
            })
            .unwrap();
        eprintln!("run returned");
    });
    ended.succeeded();
    ended.said(&["tests/shutdown.rs", "is leaked", "run returned"]);
    assert_eq!(ended.stderr.matches("is leaked").count(), 40, "{}", ended.stderr);
}

#[test]
fn drops_spawn_and_join_while_the_other_worker_has_nothing_left() {
    let ended = child("drops_spawn_and_join_while_the_other_worker_has_nothing_left", 10, || {
        Builder::new()
            .workers(2)
            .run(|| {
                for _ in 0..100 {
                    spawn_local(|| {
                        let _on_drop = OnDrop(|| {
                            thread::sleep(Duration::from_millis(50));
                            let _ = spawn(|| ()).join();
                        });
                        thread::park();
                    });
                }
                (0..100).for_each(|_| thread::yield_now());
            })
            .unwrap();
    });
    ended.succeeded();
    assert!(!ended.stderr.contains("is leaked"), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(3), "{:?}", ended.took);
}

/// Nobody is there to catch a cancel that comes out of such a Drop: none must strike in it.
#[test]
fn the_drop_of_a_detached_result_is_not_cut_short() {
    let ended = child("the_drop_of_a_detached_result_is_not_cut_short", 8, || {
        run(|| {
            drop(spawn(|| OnDrop(|| thread::sleep(Duration::from_millis(20)))));
            thread::yield_now();
        });
        run(|| {
            let main = thread::current();
            drop(spawn(|| {
                OnDrop(move || {
                    main.unpark();
                    thread::sleep(Duration::from_millis(20));
                })
            }));
            thread::park();
        });
    });
    ended.succeeded();
}

/// `run` cannot return while its own thread is kept, but it is said by whom.
#[test]
fn one_that_never_yields_on_the_callers_thread_is_named() {
    let ended = child("one_that_never_yields_on_the_callers_thread_is_named", 10, || {
        Builder::new()
            .workers(2)
            .shutdown_timeout(Duration::from_millis(100))
            .run(|| {
                let named = thread::Builder::new().name("keeper".into());
                let keeper = named.spawn_local(|| {
                    let _on_drop = OnDrop(|| std::thread::sleep(Duration::from_millis(1500)));
                    thread::park();
                });
                drop(keeper.unwrap());
                thread::yield_now();
            })
            .unwrap();
    });
    ended.succeeded();
    ended.said(&["the thread that called `run` runs coroutine 'keeper', spawned at tests/shutdown.rs:"]);
}
