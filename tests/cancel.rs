//! `JoinHandle::cancel`: the next cancellation point unwinds the coroutine; nothing else does.

mod support;

use dormouse::{Builder, Cancelled, spawn, spawn_local, thread};
use std::cell::Cell;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, Random, bounded, child, is_cancelled, run};

#[test]
fn every_park_is_a_cancellation_point() {
    bounded(10, || {
        let parks: [fn(); 6] = [
            thread::park,
            || thread::park_timeout(Duration::from_secs(60)),
            || thread::sleep(Duration::from_secs(60)),
            || thread::sleep_until(Instant::now() + Duration::from_secs(60)),
            || loop {
                thread::yield_now();
            },
            || drop(spawn(thread::park).join()),
        ];
        run(|| {
            for park in parks {
                let handle = spawn(park);
                (0..3).for_each(|_| thread::yield_now());
                assert!(!handle.is_finished());
                handle.cancel();
                assert!(is_cancelled(&handle.join()));
            }
        });
    });
}

#[test]
fn it_strikes_at_the_next_one_if_there_is_none_now() {
    bounded(10, || {
        run(|| {
            let computed = Rc::new(Cell::new(false));
            let sets = Rc::clone(&computed);
            let handle: Rc<Cell<Option<thread::LocalJoinHandle<()>>>> = Rc::default();
            let own = Rc::clone(&handle);
            handle.set(Some(spawn_local(move || {
                own.take().unwrap().cancel();
                sets.set(true);
                thread::park();
                unreachable!("the park must throw");
            })));
            (0..3).for_each(|_| thread::yield_now());
            assert!(computed.get());
        });
    });
}

#[test]
fn one_that_does_not_park_again_ends_by_itself() {
    bounded(10, || {
        let handle = spawn(|| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(20) {
                std::hint::spin_loop();
            }
            5
        });
        handle.cancel();
        let joined = handle.join();
        assert!(is_cancelled(&joined) || joined.unwrap() == 5);
        run(|| {
            let ended = spawn(|| 6);
            thread::yield_now();
            ended.cancel();
            assert_eq!(ended.join().unwrap(), 6);
        });
    });
}

#[test]
fn one_that_has_not_started_drops_its_closure() {
    bounded(10, || {
        run(|| {
            let ran = Arc::new(AtomicBool::new(false));
            let sets = Arc::clone(&ran);
            let handle = spawn(move || sets.store(true, SeqCst));
            handle.cancel();
            assert!(is_cancelled(&handle.join()));
            assert!(!ran.load(SeqCst));
            assert_eq!(Arc::strong_count(&ran), 1);
        });
    });
}

#[test]
fn destructors_run_and_may_suspend() {
    bounded(10, || {
        run(|| {
            let cleaned = Arc::new(AtomicBool::new(false));
            let sets = Arc::clone(&cleaned);
            let handle = spawn(move || {
                let _on_drop = OnDrop(|| {
                    let start = Instant::now();
                    thread::sleep(Duration::from_millis(3));
                    assert!(start.elapsed() >= Duration::from_millis(3));
                    assert_eq!(spawn(|| 2).join().unwrap(), 2);
                    sets.store(true, SeqCst);
                });
                thread::park();
            });
            thread::yield_now();
            handle.cancel();
            assert!(is_cancelled(&handle.join()));
            assert!(cleaned.load(SeqCst));
        });
    });
}

#[test]
fn it_is_level_triggered() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| {
                for _ in 0..5 {
                    assert!(catch_unwind(thread::yield_now).unwrap_err().is::<Cancelled>());
                    assert!(catch_unwind(|| thread::sleep(Duration::ZERO)).unwrap_err().is::<Cancelled>());
                }
                "ended by itself"
            });
            thread::yield_now();
            handle.cancel();
            assert_eq!(handle.join().unwrap(), "ended by itself");
        });
    });
}

#[test]
fn it_wins_over_a_token() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| {
                assert!(catch_unwind(thread::yield_now).is_err());
                assert!(catch_unwind(thread::park).is_err());
            });
            thread::yield_now();
            handle.thread().unpark();
            handle.cancel();
            handle.join().unwrap();
        });
    });
}

#[test]
fn no_panic_message_is_printed() {
    let ended = child("no_panic_message_is_printed", 10, || {
        run(|| {
            let handle = spawn(thread::park);
            thread::yield_now();
            handle.cancel();
            assert!(is_cancelled(&handle.join()));
            drop(spawn(thread::park));
            thread::yield_now();
        });
    });
    ended.succeeded();
    assert_eq!(ended.stderr, "");
}

#[test]
fn it_may_come_from_any_thread_at_any_time() {
    bounded(20, || {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        Builder::new()
            .workers(2)
            .run(|| {
                let mut random = Random(5);
                for _ in 0..200 {
                    let handles: Vec<_> = (0..20)
                        .map(|_| {
                            let on_drop = OnDrop(|| _ = DROPPED.fetch_add(1, SeqCst));
                            spawn(move || {
                                let _on_drop = on_drop;
                                loop {
                                    thread::yield_now();
                                    thread::park_timeout(Duration::from_micros(5));
                                }
                            })
                        })
                        .collect();
                    (0..random.below(4)).for_each(|_| thread::yield_now());
                    let cancelling = std::thread::spawn(move || {
                        handles.iter().for_each(thread::JoinHandle::cancel);
                        handles
                    });
                    // Blocks this worker on purpose: the cancels arrive in one heap.
                    for handle in cancelling.join().unwrap() {
                        assert!(is_cancelled(&handle.join()));
                    }
                }
            })
            .unwrap();
        assert_eq!(DROPPED.load(SeqCst), 4000);
    });
}

/// A coroutine waits for another, is cancelled just as that one ends, and either gets the result or is cancelled.
#[test]
fn it_races_with_the_end_that_was_waited_for() {
    bounded(20, || {
        run(|| {
            let mut random = Random(17);
            let (mut got, mut lost) = (0, 0);
            for _ in 0..1000 {
                let inner = spawn({
                    let yields = random.below(4);
                    move || {
                        (0..yields).for_each(|_| thread::yield_now());
                        Box::new(1)
                    }
                });
                let outer = spawn(move || *inner.join().unwrap());
                (0..random.below(6)).for_each(|_| thread::yield_now());
                outer.cancel();
                match outer.join() {
                    Ok(one) => got += one,
                    joined => {
                        assert!(is_cancelled(&joined));
                        lost += 1;
                    }
                }
            }
            assert!(got > 0 && lost > 0 && got + lost == 1000, "{got} {lost}");
        });
    });
}
