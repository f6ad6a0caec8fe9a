//! `JoinHandle`: waiting for a coroutine, taking its result, or letting it go.

#![allow(clippy::map_identity, reason = "gives a type to what only panics")]

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use support::{OnDrop, bounded, child, eventually, is_cancelled, run};

#[test]
fn it_waits_and_gives_the_result() {
    bounded(10, || {
        run(|| {
            let done = Arc::new(AtomicBool::new(false));
            let sees = Arc::clone(&done);
            let handle = spawn(move || {
                thread::sleep(Duration::from_millis(5));
                sees.store(true, SeqCst);
                String::from("result")
            });
            assert!(!handle.is_finished());
            assert_eq!(handle.join().unwrap(), "result");
            assert!(done.load(SeqCst));
        });
    });
}

#[test]
fn of_one_that_has_ended_it_gives_the_result_at_once() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| vec![1, 2, 3]);
            thread::yield_now();
            assert!(handle.is_finished());
            assert_eq!(thread::no_park(|| handle.join()).unwrap(), [1, 2, 3]);
        });
    });
}

#[test]
fn from_a_plain_thread() {
    bounded(10, || {
        for _ in 0..200 {
            let handle = spawn(|| {
                thread::yield_now();
                5
            });
            assert_eq!(handle.join().unwrap(), 5);
        }
        let slow = spawn(|| thread::sleep(Duration::from_millis(10)));
        slow.join().unwrap();
    });
}

#[test]
fn from_a_coroutine_of_another_worker_and_of_another_runtime() {
    bounded(20, || {
        Builder::new()
            .workers(2)
            .run(|| {
                for _ in 0..50 {
                    // More than stays on one worker, joined by coroutines of both.
                    let handles: Vec<_> = (0..40)
                        .map(|n| {
                            let inner = spawn(move || {
                                thread::yield_now();
                                n
                            });
                            spawn(move || inner.join().unwrap())
                        })
                        .collect();
                    let sum: usize = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
                    assert_eq!(sum, 780);
                }
            })
            .unwrap();
        run(|| {
            let foreign = std::thread::spawn(|| {
                spawn(|| {
                    thread::sleep(Duration::from_millis(5));
                    9
                })
            });
            assert_eq!(foreign.join().unwrap().join().unwrap(), 9);
        });
    });
}

#[test]
fn is_finished_turns_true_without_a_join() {
    bounded(10, || {
        let handle = spawn(thread::park);
        assert!(!handle.is_finished());
        handle.thread().unpark();
        eventually(5, "the coroutine ends", || handle.is_finished());
        handle.join().unwrap();
    });
}

#[test]
fn a_panic_comes_out_with_its_payload() {
    bounded(10, || {
        run(|| {
            let panic = spawn(|| panic_any(vec![1u8])).join().map(|()| ()).unwrap_err();
            assert_eq!(*panic.downcast::<Vec<u8>>().unwrap(), [1]);
        });
        let panic = spawn(|| panic_any(17i64)).join().map(|()| ()).unwrap_err();
        assert_eq!(*panic.downcast::<i64>().unwrap(), 17);
    });
}

#[test]
fn a_result_need_not_be_unwind_safe() {
    bounded(10, || {
        run(|| {
            let shared = Rc::new(RefCell::new(1));
            let kept = Rc::clone(&shared);
            let handle = spawn_local(move || {
                *kept.borrow_mut() += 1;
                kept
            });
            let sender = spawn(|| channel::<RefCell<u8>>().0).join();
            assert!(sender.is_ok());
            assert_eq!(*handle.join().unwrap().borrow(), 2);
            assert_eq!(*shared.borrow(), 2);
        });
    });
}

#[test]
fn a_dropped_handle_lets_the_coroutine_run_on() {
    bounded(10, || {
        let ended = Rc::new(Cell::new(false));
        let sees = Rc::clone(&ended);
        run(move || {
            let main = thread::current();
            drop(spawn_local(move || {
                thread::sleep(Duration::from_millis(5));
                sees.set(true);
                main.unpark();
            }));
            thread::park();
        });
        assert!(ended.get());
    });
}

/// Records the coroutine that drops it.
struct Witness(std::sync::mpsc::Sender<thread::ThreadId>);

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

#[test]
fn the_result_of_a_detached_coroutine_is_dropped_in_the_coroutine() {
    bounded(10, || {
        run(|| {
            let (sender, receiver) = channel();
            let handle = spawn(move || Witness(sender));
            let id = handle.thread().id();
            drop(handle);
            thread::yield_now();
            assert_eq!(receiver.recv().unwrap(), id);
        });
    });
}

#[test]
fn a_result_that_nobody_takes_is_dropped_with_the_handle() {
    bounded(10, || {
        run(|| {
            let (sender, receiver) = channel();
            let handle = spawn(move || Witness(sender));
            thread::yield_now();
            assert!(handle.is_finished());
            assert!(receiver.try_recv().is_err());
            drop(handle);
            assert_eq!(receiver.recv().unwrap(), thread::current().id());
        });
    });
}

#[test]
fn a_drop_of_the_handle_races_with_the_end() {
    bounded(20, || {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        for _ in 0..500 {
            let handles: Vec<_> = (0..4).map(|_| spawn(|| OnDrop(|| _ = DROPPED.fetch_add(1, SeqCst)))).collect();
            drop(handles);
        }
        eventually(10, "every result is dropped once", || DROPPED.load(SeqCst) == 2000);
    });
}

#[test]
fn the_handle_names_the_coroutine() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| thread::current().id());
            let (thread, id) = (handle.thread().clone(), handle.thread().id());
            assert_eq!(handle.join().unwrap(), id);
            assert_eq!(thread.id(), id);
            assert_ne!(thread::current().id(), id);
            thread.unpark();
        });
    });
}

#[test]
fn identities_are_never_given_twice() {
    bounded(10, || {
        let mut ids = std::collections::HashSet::new();
        run(|| {
            for _ in 0..1000 {
                assert!(ids.insert(spawn(|| thread::current().id()).join().unwrap()));
            }
            assert!(ids.insert(std::thread::spawn(|| thread::current().id()).join().unwrap()));
        });
    });
}

#[test]
fn many_wait_for_each_other_in_a_chain() {
    bounded(20, || {
        let depth = run(|| {
            let mut last = spawn(|| 0);
            for _ in 0..2000 {
                last = spawn(move || last.join().unwrap() + 1);
            }
            last.join().unwrap()
        });
        assert_eq!(depth, 2000);
    });
}

#[test]
fn a_plain_thread_blocked_in_join_is_told_of_the_end_of_the_runtime() {
    bounded(10, || {
        let (sender, receiver) = channel();
        let about_to_join = Arc::new(Barrier::new(2));
        let meet = Arc::clone(&about_to_join);
        let waiting = std::thread::spawn(move || {
            let handle: thread::JoinHandle<()> = receiver.recv().unwrap();
            meet.wait();
            handle.join()
        });
        run(move || {
            sender.send(spawn(thread::park)).unwrap();
            about_to_join.wait();
            thread::sleep(Duration::from_millis(5));
        });
        assert!(is_cancelled(&waiting.join().unwrap()));
    });
}

#[test]
fn a_join_that_is_cancelled_detaches() {
    bounded(10, || {
        run(|| {
            let (sender, receiver) = channel();
            let waited_for = spawn(move || {
                thread::park();
                Witness(sender)
            });
            let thread = waited_for.thread().clone();
            let waiting = spawn(move || waited_for.join().map(|_| ()));
            thread::yield_now();
            waiting.cancel();
            assert!(is_cancelled(&waiting.join()));
            thread.unpark();
            thread::yield_now();
            assert_eq!(receiver.recv().unwrap(), thread.id());
        });
    });
}

#[test]
fn a_panicking_join_in_a_catch_leaves_the_runtime_whole() {
    bounded(10, || {
        run(|| {
            let caught = catch_unwind(|| spawn(|| panic_any(1)).join().map(|()| ()).unwrap());
            assert!(caught.is_err());
            assert_eq!(spawn(|| 4).join().unwrap(), 4);
        });
    });
}

/// A result larger than what workers keep memory for, so that it is freed at once; counts its drops.
struct Large(#[allow(dead_code)] [usize; 60], Arc<AtomicUsize>);

impl Drop for Large {
    fn drop(&mut self) {
        self.1.fetch_add(1, SeqCst);
    }
}

/// The handle is dropped or joined at about the moment of the end, on another thread: each result is dropped once, and
/// nobody touches what the other has freed.
#[test]
fn at_the_very_end() {
    const ROUNDS: usize = 20_000;
    bounded(60, || {
        let drops = Arc::new(AtomicUsize::new(0));
        for round in 0..ROUNDS {
            let theirs = Arc::clone(&drops);
            let handle = spawn(move || Large([round; 60], theirs));
            let other = (round % 3 == 0).then(|| handle.thread().clone());
            (0..round * 7 % 900).for_each(|_| std::hint::spin_loop());
            match round % 5 {
                0 => drop(handle.join().unwrap()),
                _ => drop(handle),
            }
            drop(other);
        }
        while drops.load(SeqCst) < ROUNDS {
            std::thread::yield_now();
        }
        assert_eq!(drops.load(SeqCst), ROUNDS);
    });
}

/// The joiner leaves its waiter and throws at once, since it may not park.
#[test]
fn a_join_that_throws_at_the_very_end() {
    const ROUNDS: usize = 2_000;
    let name = "a_join_that_throws_at_the_very_end";
    let ended = child(name, 60, || {
        std::panic::set_hook(Box::new(|_| {}));
        let drops = Arc::new(AtomicUsize::new(0));
        for round in 0..ROUNDS {
            let (theirs, gate) = (Arc::clone(&drops), Arc::new(AtomicUsize::new(0)));
            let opened = Arc::clone(&gate);
            let handle = spawn(move || {
                while opened.load(SeqCst) == 0 {
                    thread::yield_now();
                }
                (0..round * 37 % 4000).for_each(|_| std::hint::spin_loop());
                Large([round; 60], theirs)
            });
            let joiner = spawn(move || {
                gate.store(1, SeqCst);
                let _ = catch_unwind(AssertUnwindSafe(|| thread::no_park(|| handle.join().is_ok())));
            });
            joiner.join().unwrap();
        }
        while drops.load(SeqCst) < ROUNDS {
            std::thread::yield_now();
        }
    });
    ended.succeeded();
}
