//! `thread::scope`: children borrow, and the scope outlives them however it ends.

mod support;

use dormouse::{Builder, no_park, spawn, thread};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::{OnDrop, Random, bounded, eventually, message, run};

/// Runs `body` as a coroutine on one worker and on three, and on a plain thread.
fn everywhere(body: fn()) {
    for workers in [1, 3] {
        bounded(20, move || Builder::new().workers(workers).run(body).unwrap());
    }
    bounded(20, body);
}

#[test]
fn children_change_what_they_borrow() {
    everywhere(|| {
        let mut numbers = vec![0; 100];
        let sum = AtomicUsize::new(0);
        let given = thread::scope(|s| {
            for (n, number) in numbers.iter_mut().enumerate() {
                let sum = &sum;
                s.spawn(move || {
                    thread::yield_now();
                    *number = n;
                    sum.fetch_add(n, SeqCst);
                });
            }
            "given"
        });
        assert_eq!((given, sum.load(SeqCst)), ("given", 4950));
        assert!(numbers.into_iter().eq(0..100));
    });
}

#[test]
fn it_waits_for_children_that_nobody_joins() {
    everywhere(|| {
        let ended = AtomicUsize::new(0);
        thread::scope(|s| {
            for n in 0..10 {
                let ended = &ended;
                s.spawn(move || {
                    thread::sleep(Duration::from_millis(n % 3));
                    ended.fetch_add(1, SeqCst);
                });
            }
        });
        assert_eq!(ended.load(SeqCst), 10);
        thread::scope(|s| {
            std::mem::forget(s.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                ended.fetch_add(1, SeqCst)
            }));
        });
        assert_eq!(ended.load(SeqCst), 11);
    });
}

#[test]
fn handles_join_name_and_tell_the_end() {
    everywhere(|| {
        let text = String::from("borrowed");
        thread::scope(|s| {
            let lent = s.spawn(|| text.as_str());
            assert_eq!(lent.join().unwrap(), "borrowed");
            let named = thread::Builder::new().name("child".into()).stack_size(32 * 1024);
            let parked = named.spawn_scoped(s, thread::park).unwrap();
            assert_eq!((parked.thread().name(), parked.is_finished()), (Some("child"), false));
            assert_eq!(format!("{parked:?}"), "ScopedJoinHandle { .. }");
            let shown = "Scope { num_running_threads: 1, a_thread_panicked: false, main_thread: Thread";
            eventually(5, "the joined one is gone", || format!("{s:?}").starts_with(shown));
            parked.thread().unpark();
            parked.join().unwrap();
            let error = thread::Builder::new().stack_size(usize::MAX / 2).spawn_scoped(s, || ()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn children_spawn_in_their_own_scope_and_in_scopes_of_theirs() {
    everywhere(|| {
        let count = AtomicUsize::new(0);
        thread::scope(|s| {
            let count = &count;
            for _ in 0..5 {
                s.spawn(move || {
                    s.spawn(move || {
                        thread::sleep(Duration::from_millis(1));
                        s.spawn(|| count.fetch_add(1, SeqCst));
                    });
                    let own = AtomicUsize::new(0);
                    thread::scope(|inner| {
                        (0..4).for_each(|_| drop(inner.spawn(|| own.fetch_add(1, SeqCst))));
                    });
                    count.fetch_add(own.load(SeqCst), SeqCst);
                });
            }
        });
        assert_eq!(count.load(SeqCst), 25);
    });
}

#[test]
fn large_closures_fit() {
    everywhere(|| {
        let base = [3u8; 20_000];
        let sum = thread::scope(|s| {
            let copy = base;
            s.spawn(move || copy.iter().map(|n| usize::from(*n)).sum::<usize>()).join().unwrap()
        });
        assert_eq!(sum, 60_000);
    });
}

/// Whoever drops a result that borrows does so before the scope ends.
#[test]
fn results_that_borrow_are_dropped_before_the_scope_ends() {
    everywhere(|| {
        let dropped = AtomicUsize::new(0);
        let result = || {
            OnDrop(|| {
                thread::sleep(Duration::from_millis(1));
                dropped.fetch_add(1, SeqCst);
            })
        };
        thread::scope(|s| {
            // Nobody has the handle when it ends; somebody drops it later; it is joined; it is forgotten, and so is the result.
            drop(s.spawn(result));
            let later = s.spawn(result);
            drop(s.spawn(result).join().unwrap());
            std::mem::forget(s.spawn(result));
            eventually(5, "it has ended", || later.is_finished());
            drop(later);
        });
        assert_eq!(dropped.load(SeqCst), 3);
    });
}

/// As std: a panic of the closure comes out, after all have ended.
#[test]
fn a_panic_of_the_closure_waits_for_the_children() {
    everywhere(|| {
        let ended = AtomicUsize::new(0);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|s| {
                for _ in 0..5 {
                    s.spawn(|| {
                        thread::sleep(Duration::from_millis(3));
                        ended.fetch_add(1, SeqCst);
                    });
                }
                resume_unwind(Box::new("of the closure"));
            });
        }));
        assert_eq!((message(&*panic.unwrap_err()).as_str(), ended.load(SeqCst)), ("of the closure", 5));
    });
}

#[test]
fn a_panic_of_a_child_comes_out_of_its_join_or_of_the_scope() {
    everywhere(|| {
        let joined =
            thread::scope(|s| message(&*s.spawn(|| resume_unwind(Box::new("of a child"))).join().unwrap_err()));
        assert_eq!(joined, "of a child");
        let ended = AtomicBool::new(false);
        let unjoined = catch_unwind(AssertUnwindSafe(|| {
            thread::scope(|s| {
                s.spawn(|| resume_unwind(Box::new(1)));
                s.spawn(|| {
                    thread::sleep(Duration::from_millis(3));
                    ended.store(true, SeqCst);
                });
            });
        }));
        assert_eq!(message(&*unjoined.unwrap_err()), "a scoped thread panicked");
        assert!(ended.load(SeqCst));
        // Dropped after the end, which then nobody has taken.
        let dropped = catch_unwind(|| {
            thread::scope(|s| {
                let handle = s.spawn(|| resume_unwind(Box::new(1)));
                while !handle.is_finished() {
                    thread::yield_now();
                }
                drop(handle);
            });
        });
        assert_eq!(message(&*dropped.unwrap_err()), "a scoped thread panicked");
    });
}

/// The same program with std's scope and with ours.
#[test]
fn what_comes_out_is_what_comes_out_of_std() {
    macro_rules! outcome {
        ($thread:path, $closure:expr, $child:expr, $joins:expr) => {{
            use $thread as thread;
            let result = catch_unwind(|| {
                thread::scope(|s| {
                    let handle = s.spawn(|| if $child { resume_unwind(Box::new("child")) } else { 3 });
                    if $joins {
                        let _ = handle.join();
                    }
                    if $closure { resume_unwind(Box::new("closure")) } else { 4 }
                })
            });
            result.map_err(|payload| message(&*payload))
        }};
    }
    everywhere(|| {
        for bits in 0..8 {
            let (closure, child, joins) = (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0);
            let ours = outcome!(dormouse::thread, closure, child, joins);
            assert_eq!(ours, outcome!(std::thread, closure, child, joins), "{closure} {child} {joins}");
        }
    });
}

#[test]
fn a_scope_in_a_drop_of_an_unwind_waits() {
    bounded(20, || {
        run(|| {
            let ended = Arc::new(AtomicUsize::new(0));
            for cancels in [true, false] {
                let counts = Arc::clone(&ended);
                let handle = spawn(move || {
                    let _on_drop = OnDrop(|| {
                        thread::scope(|s| {
                            (0..3).for_each(|_| {
                                s.spawn(|| {
                                    thread::sleep(Duration::from_millis(1));
                                    counts.fetch_add(1, SeqCst);
                                });
                            });
                        });
                    });
                    if cancels { thread::park() } else { resume_unwind(Box::new(1)) }
                });
                thread::yield_now();
                handle.cancel();
                assert!(handle.join().is_err());
            }
            assert_eq!(ended.load(SeqCst), 6);
        });
    });
}

/// It could not wait there, and must never leave its children behind.
#[test]
fn inside_no_park_it_is_refused_before_it_begins() {
    bounded(20, || {
        run(|| {
            let panic = catch_unwind(|| no_park(|| thread::scope(|_| unreachable!("called")))).unwrap_err();
            assert!(message(&*panic).contains("no_park"));
            thread::scope(|s| drop(s.spawn(|| no_park(|| ()))));
        });
    });
}

/// Scopes, panics and cancels at random: whatever ends how, no child outlives the counter that it borrows.
#[test]
fn whatever_happens_no_child_outlives_its_scope() {
    bounded(60, || {
        Builder::new()
            .workers(3)
            .run(|| {
                let mut random = Random(77);
                for _ in 0..300 {
                    let (children, panics, waits) = (random.below(6), random.below(3) == 0, random.below(300));
                    let parent = spawn(move || {
                        let living = AtomicUsize::new(0);
                        let _checked = OnDrop(|| assert_eq!(living.load(SeqCst), 0));
                        thread::scope(|s| {
                            for n in 0..children {
                                let living = &living;
                                s.spawn(move || {
                                    living.fetch_add(1, SeqCst);
                                    let _less = OnDrop(|| _ = living.fetch_sub(1, SeqCst));
                                    thread::sleep(Duration::from_micros(50 * n));
                                    if panics && n == 2 {
                                        resume_unwind(Box::new(1));
                                    }
                                    thread::yield_now();
                                });
                            }
                            if panics && children == 1 {
                                resume_unwind(Box::new(2));
                            }
                        });
                    });
                    thread::sleep(Duration::from_micros(waits));
                    parent.cancel();
                    let _ = parent.join();
                }
            })
            .unwrap();
    });
}
