//! A runtime as a value: what can be spawned into it, from where, and all the ways in which it ends.

mod support;

use dormouse::{Builder, Handle, Runtime, no_park, spawn, spawn_local, thread};
use dormouse_runtime::blocking;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, child, descriptors, eventually, is_cancelled, message, run, threads, threads_become};

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).name_prefix("burrow").build().unwrap()
}

/// A closure that counts its Drop.
fn counted(dropped: &Arc<AtomicUsize>) -> OnDrop<impl FnMut() + Send + 'static> {
    let dropped = Arc::clone(dropped);
    OnDrop(move || _ = dropped.fetch_add(1, SeqCst))
}

#[test]
fn it_is_spawned_into_from_a_thread_a_coroutine_of_another_and_its_own() {
    bounded(20, || {
        let runtime = runtime(2);
        let name = || std::thread::current().name().map(String::from);
        let is_there = |name: Option<String>| name.is_some_and(|name| name.starts_with("burrow-"));
        assert!(is_there(runtime.spawn(name).join().unwrap()));
        let handle = runtime.handle().clone();
        run(|| {
            assert!(is_there(handle.spawn(name).join().unwrap()));
            assert!(is_there(handle.run(name).unwrap()));
            assert!(!is_there(spawn(name).join().unwrap()));
        });
        let inner = runtime.handle().clone();
        let nested = move || (inner.spawn(name).join().unwrap(), inner.run(name).unwrap(), spawn(name).join().unwrap());
        let (spawned, ran, own) = runtime.run(nested).unwrap();
        assert!(is_there(spawned) && is_there(ran) && is_there(own));
    });
}

#[test]
fn it_can_be_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Runtime>();
    shared::<Handle>();
}

#[test]
fn the_current_one_is_that_of_the_coroutine() {
    bounded(20, || {
        assert!(Handle::try_current().is_none());
        assert!(catch_unwind(Handle::current).is_err());
        let runtime = runtime(1);
        let current = runtime.run(Handle::current).unwrap();
        let name = current.run(|| std::thread::current().name().map(String::from)).unwrap();
        assert_eq!(name.as_deref(), Some("burrow-0"));
        run(|| assert_eq!(Handle::current().metrics().workers.len(), 1));
    });
}

#[test]
fn names_and_sizes_are_given_by_a_builder() {
    bounded(20, || {
        let runtime = runtime(1);
        let builder = thread::Builder::new().name("digger".into()).stack_size(1 << 20);
        let named = runtime.handle().spawn_with(builder, || {
            support::use_stack(600 << 10);
            thread::current().name().map(String::from)
        });
        assert_eq!(named.unwrap().join().unwrap().as_deref(), Some("digger"));
        let error = runtime.handle().spawn_with(thread::Builder::new().stack_size(1 << 40), || ()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_panic_comes_out_of_run() {
    bounded(20, || {
        let runtime = runtime(1);
        let caught = catch_unwind(AssertUnwindSafe(|| runtime.run(|| panic!("out of the burrow"))));
        assert_eq!(message(&*caught.unwrap_err()), "out of the burrow");
        assert_eq!(runtime.run(|| 1).unwrap(), 1);
    });
}

#[test]
fn a_shutdown_unwinds_all_and_takes_no_more() {
    for workers in [1, 3] {
        bounded(20, move || {
            let (runtime, dropped) = (runtime(workers), Arc::new(AtomicUsize::new(0)));
            let started = Arc::new(AtomicUsize::new(0));
            let parked = (0..50).map(|_| {
                let (counted, started) = (counted(&dropped), Arc::clone(&started));
                runtime.spawn(move || {
                    let _counted = counted;
                    started.fetch_add(1, SeqCst);
                    thread::park();
                })
            });
            let parked: Vec<_> = parked.collect();
            eventually(5, "all have started", || started.load(SeqCst) == 50);
            let (handle, begin) = (runtime.handle().clone(), Instant::now());
            runtime.shutdown_timeout(Duration::from_secs(10));
            assert!(begin.elapsed() < Duration::from_secs(5));
            assert_eq!(dropped.load(SeqCst), 50);
            assert!(parked.into_iter().all(|parked| is_cancelled(&parked.join())));
            let late = counted(&dropped);
            let error = handle.spawn_with(thread::Builder::new(), move || drop(late)).unwrap_err();
            assert_eq!((error.to_string().as_str(), dropped.load(SeqCst)), ("the runtime is shutting down", 51));
            let panicked = catch_unwind(AssertUnwindSafe(|| handle.spawn(|| ()))).unwrap_err();
            assert!(message(&*panicked).contains("shutting down"));
            assert!(handle.run(|| ()).unwrap_err().to_string().contains("shutting down"));
            assert_eq!(handle.metrics().total.live, 0);
        });
    }
}

/// What waits in a queue when the end comes is dropped, and its joiner hears of it.
#[test]
fn what_has_not_started_is_lost_and_says_so() {
    bounded(20, || {
        let (runtime, dropped) = (runtime(1), Arc::new(AtomicUsize::new(0)));
        let (begins, begun) = channel();
        let (open, opened) = channel::<()>();
        // Keeps the worker, so that nothing behind it starts.
        let keeper = runtime.spawn(move || {
            begins.send(()).unwrap();
            let _ = opened.recv();
        });
        begun.recv().unwrap();
        let unstarted: Vec<_> = (0..20)
            .map(|_| {
                let counted = counted(&dropped);
                runtime.spawn(move || {
                    let _counted = counted;
                    unreachable!("it never runs")
                })
            })
            .collect();
        runtime.shutdown_background();
        drop(open);
        let joined: Vec<std::thread::Result<()>> = unstarted.into_iter().map(|handle| handle.join()).collect();
        assert!(joined.iter().all(is_cancelled));
        assert_eq!(dropped.load(SeqCst), 20);
        keeper.join().unwrap();
    });
}

#[test]
fn run_says_when_the_end_came_first() {
    bounded(20, || {
        let runtime = runtime(2);
        let handle = runtime.handle().clone();
        let (begins, begun) = channel();
        let waiting = std::thread::spawn(move || {
            handle.run(move || {
                begins.send(()).unwrap();
                thread::park();
            })
        });
        begun.recv().unwrap();
        drop(runtime);
        assert!(waiting.join().unwrap().unwrap_err().to_string().contains("shut down before the closure"));
    });
}

#[test]
fn in_the_background_the_end_is_not_waited_for() {
    bounded(20, || {
        let (runtime, ended) = (runtime(2), Arc::new(AtomicBool::new(false)));
        let (begins, begun) = channel();
        let (lets, may_end) = dormouse::sync::mpsc::channel::<()>();
        let ends = Arc::clone(&ended);
        drop(runtime.spawn(move || {
            let _slow = OnDrop(move || {
                may_end.recv().unwrap();
                ends.store(true, SeqCst);
            });
            begins.send(()).unwrap();
            thread::park();
        }));
        begun.recv().unwrap();
        runtime.shutdown_background();
        assert!(!ended.load(SeqCst));
        lets.send(()).unwrap();
        eventually(5, "its destructors run", || ended.load(SeqCst));
    });
}

#[test]
fn dropped_it_waits_and_leaves_nothing_behind() {
    let ended = child("dropped_it_waits_and_leaves_nothing_behind", 30, || {
        let cycle = |n: usize| {
            let (runtime, dropped) = (runtime(1 + n % 3), Arc::new(AtomicUsize::new(0)));
            let inside = counted(&dropped);
            runtime
                .run(move || {
                    spawn(move || {
                        let _inside = inside;
                        thread::park();
                    });
                    thread::yield_now();
                })
                .unwrap();
            drop(runtime);
            assert_eq!(dropped.load(SeqCst), 1);
        };
        let before = threads();
        (0..10).for_each(cycle);
        let open = descriptors();
        (0..200).for_each(cycle);
        assert_eq!(descriptors(), open);
        threads_become(before);
    });
    ended.succeeded();
}

/// Whoever ends it from within does not wait for itself.
#[test]
fn its_own_coroutine_can_end_it() {
    bounded(20, || {
        for by_drop in [true, false] {
            let shared = Arc::new(std::sync::Mutex::new(Some(runtime(2))));
            let own = Arc::clone(&shared);
            let handle = shared.lock().unwrap().as_ref().unwrap().handle().clone();
            let ending = handle.spawn(move || {
                let runtime = own.lock().unwrap().take().unwrap();
                if by_drop {
                    drop(runtime)
                } else {
                    runtime.shutdown_timeout(Duration::from_secs(60))
                }
                thread::park();
            });
            assert!(is_cancelled(&ending.join()));
            eventually(5, "its workers end", || handle.metrics().total.live == 0);
        }
    });
}

/// A coroutine of another runtime parks while it waits: its worker goes on.
#[test]
fn a_coroutine_of_another_parks_for_its_end() {
    bounded(20, || {
        for by_drop in [true, false] {
            run(move || {
                let runtime = runtime(1);
                let (begins, begun) = dormouse::sync::mpsc::channel();
                drop(runtime.spawn(move || {
                    let _slow = OnDrop(|| thread::sleep(Duration::from_millis(100)));
                    begins.send(()).unwrap();
                    thread::park();
                }));
                begun.recv().unwrap();
                let turns = std::rc::Rc::new(std::cell::Cell::new(0));
                let counts = std::rc::Rc::clone(&turns);
                let other = spawn_local(move || {
                    loop {
                        thread::sleep(Duration::from_millis(1));
                        counts.set(counts.get() + 1);
                    }
                });
                if by_drop {
                    drop(runtime)
                } else {
                    runtime.shutdown_timeout(Duration::from_secs(5))
                }
                assert!(turns.get() > 5, "{}", turns.get());
                other.cancel();
            });
        }
    });
}

#[test]
fn where_nothing_may_park_a_drop_does_not_wait() {
    bounded(20, || {
        let runtime = runtime(1);
        let handle = runtime.handle().clone();
        run(|| no_park(|| drop(runtime)));
        assert!(handle.spawn_with(thread::Builder::new(), || ()).is_err());
    });
}

#[test]
fn what_does_not_end_is_leaked_and_named_with_its_place() {
    let ended = child("what_does_not_end_is_leaked_and_named_with_its_place", 10, || {
        let runtime = runtime(2);
        let (begins, begun) = channel();
        let (starts, started) = (begins.clone(), Instant::now());
        let parked = thread::Builder::new().name("stubborn".into());
        let parked = runtime.handle().spawn_with(parked, move || {
            let _stubborn = OnDrop(|| thread::sleep(Duration::from_secs(3600)));
            starts.send(()).unwrap();
            thread::park();
        });
        begun.recv().unwrap();
        let spins = thread::Builder::new().name("spinner".into());
        let spins = runtime.handle().spawn_with(spins, move || {
            begins.send(()).unwrap();
            loop {
                std::hint::spin_loop();
            }
        });
        begun.recv().unwrap();
        drop(spins);
        runtime.shutdown_timeout(Duration::from_millis(100));
        assert!(started.elapsed() < Duration::from_secs(5));
        // Wherever it is: it may have been placed behind the one that spins.
        let parked = parked.unwrap();
        assert!(parked.is_finished() && is_cancelled(&parked.join()));
    });
    ended.succeeded();
    ended.said(&[
        "coroutine 'spinner', spawned at tests/runtime_handle.rs:",
        "which does not yield",
        "worker 'burrow-",
    ]);
    let named = ["coroutine 'stubborn', spawned at tests/runtime_handle.rs:", "other coroutines of it are leaked"];
    assert!(named.iter().any(|named| ended.stderr.contains(named)), "{}", ended.stderr);
}

/// What was given to a worker that never comes back is dropped, and its joiners hear of it.
#[test]
fn what_waits_behind_one_that_does_not_yield_is_lost_and_says_so() {
    let ended = child("what_waits_behind_one_that_does_not_yield_is_lost_and_says_so", 20, || {
        let (runtime, dropped) = (runtime(1), Arc::new(AtomicUsize::new(0)));
        let (begins, begun) = channel();
        drop(runtime.spawn(move || {
            begins.send(()).unwrap();
            loop {
                std::thread::park();
            }
        }));
        begun.recv().unwrap();
        let unstarted: Vec<_> = (0..20)
            .map(|_| {
                let counted = counted(&dropped);
                runtime.spawn(move || drop(counted))
            })
            .collect();
        runtime.shutdown_timeout(Duration::from_millis(10));
        assert!(unstarted.into_iter().all(|handle| is_cancelled(&handle.join())));
        assert_eq!(dropped.load(SeqCst), 20);
    });
    ended.succeeded();
    ended.said(&["worker 'burrow-0' runs coroutine '<unnamed>', spawned at tests/runtime_handle.rs:"]);
}

/// The same of what its coroutines spawned there, as long as others could have started it. Its destructors start nothing.
#[test]
fn what_was_spawned_by_one_that_does_not_yield_is_lost_and_says_so() {
    let ended = child("what_was_spawned_by_one_that_does_not_yield_is_lost_and_says_so", 20, || {
        let (runtime, dropped) = (runtime(2), Arc::new(AtomicUsize::new(0)));
        let (begins, begun) = channel();
        let both = Arc::new(std::sync::Barrier::new(2));
        for _ in 0..2 {
            let (begins, both, dropped) = (begins.clone(), Arc::clone(&both), Arc::clone(&dropped));
            drop(runtime.spawn(move || {
                // Neither worker can take what the other one has.
                both.wait();
                let spawned = (0..20).map(|_| {
                    let dropped = Arc::clone(&dropped);
                    let refused = move || thread::Builder::new().spawn(|| ()).is_err();
                    let counted = OnDrop(move || _ = dropped.fetch_add(usize::from(refused()), SeqCst));
                    spawn(move || drop(counted))
                });
                begins.send(spawned.collect::<Vec<_>>()).unwrap();
                loop {
                    std::thread::park();
                }
            }));
        }
        let unstarted: Vec<_> = (0..2).flat_map(|_| begun.recv().unwrap()).collect();
        runtime.shutdown_timeout(Duration::from_millis(10));
        assert!(unstarted.into_iter().all(|handle| is_cancelled(&handle.join())));
        assert_eq!(dropped.load(SeqCst), 40);
    });
    ended.succeeded();
    ended.said(&["worker 'burrow-0' runs", "worker 'burrow-1' runs"]);
}

/// A call of a coroutine that has begun goes on without it; one for a Drop is waited for, up to the deadline.
#[test]
fn calls_that_block_are_abandoned_or_waited_for_until_the_deadline() {
    bounded(20, || {
        let runtime = runtime(2);
        let (begins, begun) = channel();
        let (open, opened) = channel::<()>();
        let dropped = Arc::new(AtomicUsize::new(0));
        let result = counted(&dropped);
        let calls = runtime.spawn(move || {
            let call = move || {
                begins.send(()).unwrap();
                let _ = opened.recv();
                result
            };
            blocking::run(call).map(drop)
        });
        begun.recv().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let (does, (started, starts)) = (Arc::clone(&done), channel());
        let finishes = runtime.spawn(move || {
            blocking::finish(move || {
                started.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(100));
                does.store(true, SeqCst);
            });
        });
        starts.recv().unwrap();
        runtime.shutdown_timeout(Duration::from_secs(10));
        assert!(done.load(SeqCst), "what may not be cut short was waited for");
        assert!(finishes.join().is_ok());
        assert!(is_cancelled(&calls.join()));
        assert_eq!(dropped.load(SeqCst), 0, "the call goes on");
        drop(open);
        eventually(5, "its result is dropped", || dropped.load(SeqCst) == 1);
    });
}

/// Whoever spawns while the end begins gets an error, or a handle that answers.
#[test]
fn spawns_that_race_with_the_end_are_lost_by_nobody() {
    bounded(30, || {
        for round in 0..100 {
            let runtime = runtime(1 + round % 2);
            let spawners: Vec<_> = (0..2)
                .map(|_| {
                    let handle = runtime.handle().clone();
                    std::thread::spawn(move || {
                        let mut handles = Vec::new();
                        while let Ok(spawned) = handle.spawn_with(thread::Builder::new(), || 1) {
                            handles.push(spawned);
                        }
                        let joined = handles.into_iter().map(|handle| handle.join());
                        joined.for_each(|joined| assert!(is_cancelled(&joined) || joined.unwrap() == 1));
                    })
                })
                .collect();
            std::thread::yield_now();
            runtime.shutdown_timeout(Duration::from_secs(10));
            spawners.into_iter().for_each(|spawner| spawner.join().unwrap());
        }
    });
}

#[test]
fn a_start_that_fails_is_an_error_and_leaves_nothing() {
    let ended = child("a_start_that_fails_is_an_error_and_leaves_nothing", 20, || {
        let error = Builder::new().workers(0).build().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let (open, running) = (descriptors() as u64 - 1, threads());
        for more in 0..6 {
            support::limit(libc::RLIMIT_NOFILE, open + more);
            let built = Builder::new().workers(2).build();
            support::limit(libc::RLIMIT_NOFILE, open + 100);
            assert_eq!(built.unwrap_err().raw_os_error(), Some(libc::EMFILE));
            assert_eq!(descriptors() as u64 - 1, open);
            threads_become(running);
        }
        assert_eq!(Builder::new().workers(2).build().unwrap().run(|| 3).unwrap(), 3);
    });
    ended.succeeded();
}

/// A coroutine that is cancelled while it waits for the threads to start leaves none of them.
#[test]
fn a_start_cut_short_ends_what_it_has_started() {
    let ended = child("a_start_cut_short_ends_what_it_has_started", 20, || {
        run(|| {
            let before = threads();
            for _ in 0..50 {
                let starts = spawn_local(|| Builder::new().workers(3).build().map(drop));
                thread::yield_now();
                starts.cancel();
                let _ = starts.join();
            }
            threads_become(before);
        });
    });
    ended.succeeded();
}
