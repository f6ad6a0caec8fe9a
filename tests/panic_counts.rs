//! std's count of panics is that of the coroutine that runs: who waits in a Drop of its unwind leaves nothing of it to others of its
//! worker, and finds it again.

mod support;
#[path = "panic_counts/without_threads.rs"]
mod without_threads;

use dormouse::sync::mpsc::channel;
use dormouse::{Builder, cancel, spawn, spawn_local, thread, time};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::panicking;
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, child, eventually, is_cancelled, limit, run, use_stack};

const SOON: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(3600);

/// Unwinds, quietly, and calls `f` in a Drop meanwhile.
fn unwinding(f: impl FnMut()) {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _in_drop = OnDrop(f);
        resume_unwind(Box::new(()));
    }));
    assert!(caught.is_err());
}

/// A coroutine that waits in a Drop of its unwind until it is unparked.
fn suspended() -> thread::LocalJoinHandle<()> {
    let handle = spawn_local(|| {
        unwinding(|| {
            thread::park();
            assert!(panicking());
        });
        assert!(!panicking());
    });
    settle();
    assert!(!handle.is_finished());
    handle
}

fn end(suspended: thread::LocalJoinHandle<()>) {
    suspended.thread().unpark();
    suspended.join().unwrap();
}

/// Lets the others of this worker run until they wait for something.
fn settle() {
    (0..10).for_each(|_| thread::yield_now());
}

#[test]
fn locks_are_poisoned_by_the_unwind_of_their_holder_and_no_other() {
    bounded(10, || {
        run(|| {
            let (mutex, rwlock, ours) =
                (std::sync::Mutex::new(()), std::sync::RwLock::new(()), dormouse::sync::Mutex::new(()));
            let held = (mutex.lock().unwrap(), rwlock.write().unwrap(), ours.lock().unwrap());
            let other = suspended();
            assert!(!panicking());
            drop(held);
            drop((mutex.lock().unwrap(), rwlock.write().unwrap(), ours.lock().unwrap()));
            // Who begins to unwind meanwhile is no less known for it.
            unwinding_with(|| (mutex.lock(), rwlock.write(), ours.lock()));
            assert!(mutex.is_poisoned() && rwlock.is_poisoned() && ours.is_poisoned());
            end(other);
        });
    });
}

/// Unwinds with what `hold` gives held across.
fn unwinding_with<T>(hold: impl FnOnce() -> T) {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _held = hold();
        resume_unwind(Box::new(()));
    }));
    assert!(caught.is_err());
}

/// It waits in a Drop for what another holds, which a limit begun since, or a cancel, ends.
#[test]
fn what_an_unwind_waits_for_is_struck() {
    bounded(20, || {
        run(|| {
            for cancels in [false, true] {
                let held = Rc::new(dormouse::sync::Mutex::new(()));
                let wanted = Rc::clone(&held);
                let other = suspended();
                let holder = spawn_local(move || {
                    let hold = || {
                        let _held = held.lock();
                        thread::sleep(LONG);
                    };
                    time::timeout(if cancels { LONG } else { SOON }, hold)
                });
                settle();
                let waits = spawn_local(move || unwinding(|| drop(wanted.lock())));
                settle();
                assert!(!waits.is_finished());
                if cancels {
                    holder.cancel();
                }
                waits.join().unwrap();
                let ended = holder.join();
                assert!(if cancels { is_cancelled(&ended) } else { ended.unwrap().is_err() });
                end(other);
            }
        });
    });
}

/// And so is what only asks.
#[test]
fn a_loop_that_asks_is_struck() {
    bounded(10, || {
        run(|| {
            let other = suspended();
            let asks: fn() = || {
                loop {
                    cancel::check();
                }
            };
            assert!(time::timeout(SOON, asks).is_err());
            end(other);
        });
    });
}

#[test]
fn one_that_is_born_meanwhile_does_not_unwind() {
    bounded(10, || {
        run(|| {
            let other = suspended();
            assert!(!spawn(panicking).join().unwrap());
            assert!(thread::scope(|s| !s.spawn(panicking).join().unwrap()));
            end(other);
        });
    });
}

/// Unwinds in Drops of unwinds, each of which waits, of several coroutines in turn.
#[test]
fn nested_unwinds_are_counted_each() {
    fn nest(depth: u32) {
        let before = panicking();
        if depth > 0 {
            unwinding(|| {
                thread::yield_now();
                assert!(panicking());
                nest(depth - 1);
                thread::yield_now();
                assert!(panicking());
            });
        }
        assert_eq!(panicking(), before);
    }
    bounded(20, || {
        run(|| {
            let all: Vec<_> = (0..20).map(|depth| spawn(move || nest(depth % 5))).collect();
            for _ in 0..10 {
                assert!(!panicking());
                thread::yield_now();
            }
            all.into_iter().for_each(|one| one.join().unwrap());
        });
    });
}

/// Has it so that no thread can be started, until what this gives is dropped and the limit raised.
fn no_thread_is_to_be_had() -> std::sync::mpsc::Sender<()> {
    let (holds, held) = std::sync::mpsc::channel();
    let held = Arc::new(std::sync::Mutex::new(held));
    let used = support::status_field("/proc/self/status", "VmSize") << 10;
    limit(libc::RLIMIT_AS, used + (1 << 20));
    // The C library keeps the stacks of threads that have ended for others: those are taken.
    let waits = || {
        let held = Arc::clone(&held);
        std::thread::Builder::new().spawn(move || drop(held.lock().map(|held| held.recv())))
    };
    assert!((0..100).any(|_| waits().is_err()));
    holds
}

/// A thousand at a time. What they needed of threads serves them again: the second time there are no threads to be had.
#[test]
fn a_thousand_at_a_time() {
    const ALL: usize = 1000;
    let ended = child("a_thousand_at_a_time", 60, || {
        run(|| {
            let (waiting, rounds) = (Rc::new(AtomicUsize::new(0)), 3);
            let all: Vec<_> = (0..ALL)
                .map(|_| {
                    let waiting = Rc::clone(&waiting);
                    let body = move || {
                        for _ in 0..rounds {
                            unwinding(|| {
                                waiting.fetch_add(1, SeqCst);
                                thread::park();
                                assert!(panicking());
                            });
                            assert!(!panicking());
                        }
                    };
                    spawn_local(body)
                })
                .collect();
            let mut _no_threads = None;
            for round in 1..=rounds {
                eventually(20, "all wait in their unwinds", || waiting.load(SeqCst) == round * ALL);
                assert!(!panicking());
                if round == 1 {
                    _no_threads = Some(no_thread_is_to_be_had());
                }
                all.iter().for_each(|one| one.thread().unpark());
            }
            all.into_iter().for_each(|one| one.join().unwrap());
            assert!(!panicking());
        });
    });
    ended.succeeded();
}

/// Whoever unwinds on whichever worker: each finds its own count, and a lock of std's is not poisoned by who only shares a worker.
#[test]
fn many_on_many_workers() {
    const TURNS: usize = 200;
    bounded(60, || {
        let shared = Arc::new(std::sync::Mutex::new(0));
        let unwinds = |n: usize| {
            move || {
                for turn in 0..TURNS {
                    unwinding(|| {
                        (0..(n + turn) % 4).for_each(|_| thread::yield_now());
                        if turn % 16 == 0 {
                            thread::sleep(Duration::from_micros(50));
                        }
                        assert!(panicking());
                    });
                    assert!(!panicking());
                }
            }
        };
        let counts = |shared: Arc<std::sync::Mutex<usize>>| {
            move || {
                for _ in 0..TURNS {
                    let mut count = shared.lock().unwrap();
                    *count += 1;
                    drop(count);
                    assert!(!panicking());
                    thread::yield_now();
                }
            }
        };
        let counted = Arc::clone(&shared);
        let body = move || {
            let unwinders: Vec<_> = (0..40).map(|n| spawn(unwinds(n))).collect();
            let others: Vec<_> = (0..40).map(|_| spawn(counts(Arc::clone(&counted)))).collect();
            unwinders.into_iter().chain(others).for_each(|one| one.join().unwrap());
        };
        Builder::new().workers(4).run(body).unwrap();
        assert_eq!(*shared.lock().unwrap(), 40 * TURNS);
        assert!(!panicking());
    });
}

/// The end cancels whoever an unwind waits for, though it began to wait when somebody was suspended unwinding.
#[test]
fn the_end_of_the_runtime_strikes_everybody() {
    bounded(20, || {
        let start = Instant::now();
        let (tells, ends) = channel();
        run(move || {
            spawn_local(move || {
                let (says, hears) = channel::<()>();
                unwinding(|| {
                    let says = says.clone();
                    let held = spawn_local(move || {
                        let _says = says;
                        thread::park();
                    });
                    thread::yield_now();
                    assert!(is_cancelled(&held.join()));
                });
                drop(says);
                assert!(hears.recv().is_err());
                tells.send(panicking()).unwrap();
            });
            settle();
        });
        assert!(!ends.recv().unwrap());
        assert!(start.elapsed() < Duration::from_secs(4), "within the grace: nothing was leaked");
    });
}

/// Its coroutines do not unwind because their caller does, and it still does when they have ended.
#[test]
fn a_runtime_in_a_drop_of_an_unwind() {
    bounded(20, || {
        for _ in 0..3 {
            unwinding(|| {
                unwinding(|| {
                    run(|| {
                        assert!(!panicking());
                        let other = suspended();
                        let waits = spawn(thread::park);
                        settle();
                        waits.cancel();
                        assert!(is_cancelled(&waits.join()));
                        assert!(time::timeout(SOON, || thread::sleep(LONG)).is_err());
                        end(other);
                        assert!(!panicking());
                    });
                    assert!(panicking());
                    let failed = catch_unwind(|| run(|| resume_unwind(Box::new(7))));
                    assert_eq!(*failed.unwrap_err().downcast::<i32>().unwrap(), 7);
                    assert!(panicking());
                });
                assert!(panicking());
            });
            assert!(!panicking());
        }
    });
}

/// One that forks keeps what it has; what it has not, others' unwinds do not give it. A runtime of the child is as any.
#[test]
fn across_a_fork() {
    fn in_child(f: impl FnOnce()) {
        // SAFETY: what the child does needs nothing of other threads but the allocator, to which libc sees.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let held = catch_unwind(AssertUnwindSafe(f)).is_ok();
            // SAFETY: ends the process.
            unsafe { libc::_exit(i32::from(!held)) };
        }
        let mut status = 0;
        // SAFETY: the status lives for the call.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert_eq!(status, 0, "the child failed");
    }
    let ended = child("across_a_fork", 30, || {
        run(|| {
            let other = suspended();
            in_child(|| assert!(!panicking()));
            unwinding(|| in_child(|| assert!(panicking())));
            end(other);
            let forks = spawn_local(|| {
                unwinding(|| {
                    thread::yield_now();
                    in_child(|| {
                        assert!(panicking());
                        unwinding(|| assert!(panicking()));
                        assert!(panicking());
                    });
                });
            });
            forks.join().unwrap();
        });
        let again = || {
            run(|| {
                let other = suspended();
                assert!(!panicking());
                end(other);
            });
            assert!(!panicking());
        };
        in_child(again);
        again();
    });
    ended.succeeded();
}

/// One that waits inside the panic hook leaves nobody else to seem inside of it.
#[test]
fn one_that_waits_in_the_hook_lets_others_panic() {
    let ended = child("one_that_waits_in_the_hook_lets_others_panic", 20, || {
        std::panic::set_hook(Box::new(|_| thread::yield_now()));
        run(|| {
            let all: Vec<_> = (0..10).map(|_| spawn(|| panic!("in turn"))).collect();
            for one in all {
                assert!(one.join().is_err() && !panicking());
            }
        });
    });
    ended.succeeded();
}

/// Its memory below goes back while it waits, but not what it needs to go on, wherever in a page that ends.
#[test]
fn one_that_waits_for_long_keeps_what_it_needs() {
    #[inline(never)]
    fn deeper(frames: usize) {
        let frame = black_box([frames; 4]);
        if frames == 0 {
            thread::park()
        } else {
            deeper(frames - 1)
        }
        assert!(black_box(frame).iter().all(|word| *word == frames), "frame {frames} was lost");
    }
    bounded(20, || {
        run(|| {
            let all: Vec<_> = (0..256)
                .map(|frames| {
                    spawn_local(move || {
                        use_stack(16 << 10);
                        unwinding(|| deeper(frames));
                        assert!(!panicking());
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(1200));
            all.into_iter().for_each(end);
        });
    });
}
