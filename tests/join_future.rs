//! A `JoinHandle` is a future: async code awaits a coroutine.

mod support;

use dormouse::thread::JoinHandle;
use dormouse::{Builder, block_on, spawn, thread, thread_local};
use futures::channel::oneshot;
use futures::future::{Either, join_all, select};
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use support::*;

/// Counts its wakes.
#[derive(Default)]
struct Counts(AtomicU32);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll_with<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<thread::Result<T>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_handle_is_a_future_that_goes_anywhere() {
    fn goes_anywhere<F: Future<Output = thread::Result<T>> + Unpin + Send + Sync + 'static, T>() {}
    goes_anywhere::<JoinHandle<u32>, _>();
    goes_anywhere::<JoinHandle<std::rc::Rc<u32>>, _>();
}

#[test]
fn tokio_awaits_coroutines() {
    bounded(30, || {
        let tokio = tokio_runtime();
        Builder::new()
            .workers(2)
            .run(|| {
                let (opens, opened) = oneshot::channel::<()>();
                let good = spawn(move || {
                    block_on(opened).unwrap();
                    7
                });
                let bad = spawn(|| resume_unwind(Box::new("bad")));
                let parked = spawn(thread::park);
                parked.cancel();
                let all = tokio.spawn(async move {
                    opens.send(()).unwrap();
                    let bad: Box<_> = bad.await.unwrap_err();
                    (good.await.unwrap(), *bad.downcast_ref::<&str>().unwrap(), is_cancelled(&parked.await))
                });
                assert_eq!(block_on(all).unwrap(), (7, "bad", true));
            })
            .unwrap();
        // Those of background workers, from a plain thread and another executor.
        let handles: Vec<_> = (0..100).map(|n| spawn(move || n)).collect();
        let sum: u32 = futures::executor::block_on(join_all(handles)).into_iter().map(Result::unwrap).sum();
        assert_eq!(sum, (0..100).sum());
    });
}

#[test]
fn a_coroutine_that_never_ran_is_awaited_too() {
    let never_ran = run(|| spawn(|| 1));
    assert!(is_cancelled(&futures::executor::block_on(never_ran)));
}

#[test]
fn whichever_is_first_of_a_handle_and_a_timeout() {
    bounded(30, || {
        let tokio = tokio_runtime();
        let _entered = tokio.enter();
        run(|| {
            let slow = spawn(thread::park);
            let timeout = tokio::time::sleep(Duration::from_millis(5));
            match block_on(select(slow, Box::pin(timeout))) {
                Either::Right(((), slow)) => slow.cancel(),
                Either::Left(_) => panic!("nobody unparked it"),
            }
            let fast = spawn(|| thread::sleep(Duration::from_millis(1)));
            let timeout = tokio::time::sleep(Duration::from_secs(60));
            assert!(matches!(block_on(select(fast, Box::pin(timeout))), Either::Left((Ok(()), _))));
        });
    });
}

#[test]
fn the_last_waker_is_woken_once() {
    bounded(20, || {
        run(|| {
            let (first, second) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
            let mut handle = spawn(thread::park);
            for waker in [Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&second))] {
                for _ in 0..3 {
                    assert!(poll_with(&mut handle, &waker).is_pending());
                }
            }
            assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 2));
            handle.thread().unpark();
            eventually(5, "its end", || handle.is_finished());
            assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst), Arc::strong_count(&second)), (0, 1, 1));
            assert!(poll_with(&mut handle, Waker::noop()).is_ready());
            let again = catch_unwind(AssertUnwindSafe(|| poll_with(&mut handle, Waker::noop())));
            assert!(message(&*again.map(|_| ()).unwrap_err()).contains("polled after"));
            assert!(handle.is_finished());
        });
    });
}

#[test]
fn a_polled_handle_may_be_joined_or_dropped() {
    bounded(20, || {
        run(|| {
            let counts = Arc::new(Counts::default());
            let waker = Waker::from(Arc::clone(&counts));
            let mut joined = spawn(thread::park);
            assert!(poll_with(&mut joined, &waker).is_pending());
            joined.thread().unpark();
            joined.join().unwrap();
            let ran_on = Arc::new(AtomicU32::new(0));
            let runs = Arc::clone(&ran_on);
            let mut dropped = spawn(move || {
                thread::park();
                runs.fetch_add(1, SeqCst);
            });
            assert!(poll_with(&mut dropped, &waker).is_pending());
            let thread = dropped.thread().clone();
            drop(dropped);
            drop(waker);
            assert_eq!((counts.0.load(SeqCst), Arc::strong_count(&counts)), (0, 1), "neither woken nor leaked");
            thread.unpark();
            eventually(5, "it runs on", || ran_on.load(SeqCst) == 1);
        });
    });
}

thread_local! {
    static USED: Cell<u32> = const { Cell::new(0) };
}

/// What a waker does at the end of the coroutine that wakes it.
struct Does(Box<dyn Fn() + Send + Sync>);

impl Wake for Does {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

#[test]
fn a_waker_may_do_what_a_coroutine_does() {
    bounded(20, || {
        let woken = |does: Box<dyn Fn() + Send + Sync>| {
            let mut handle = spawn(|| {
                USED.set(1);
                thread::park();
            });
            assert!(poll_with(&mut handle, &Waker::from(Arc::new(Does(does)))).is_pending());
            handle
        };
        Builder::new()
            .workers(2)
            .run(|| {
                // It asks who runs, after the handle has let go of what tells; and parks, and is not cancelled there.
                let (dropped, id) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(None)));
                let (drops, sees) = (Arc::clone(&dropped), Arc::clone(&id));
                let asks = woken(Box::new(move || {
                    assert_eq!(USED.replace(2), 0, "the coroutine's own were dropped");
                    eventually(5, "the handle is gone", || drops.load(SeqCst) == 1);
                    *sees.lock().unwrap() = Some(thread::current().id());
                }));
                let expected = asks.thread().id();
                asks.cancel();
                eventually(5, "its end", || asks.is_finished());
                assert!(is_cancelled(&asks.join()));
                // What told of it, if it is gone, tells of these now.
                let others: Vec<_> = (0..8).map(|_| woken(Box::new(|| ()))).collect();
                dropped.store(1, SeqCst);
                eventually(5, "the waker", || id.lock().unwrap().is_some());
                assert_eq!(*id.lock().unwrap(), Some(expected));
                others.iter().for_each(|other| other.thread().unpark());
                others.into_iter().for_each(|other| other.join().unwrap());
                // It panics: nobody hears of it but the hook.
                let panics = woken(Box::new(|| resume_unwind(Box::new(7))));
                panics.thread().unpark();
                eventually(5, "its end", || panics.is_finished());
                panics.join().unwrap();
            })
            .unwrap();
    });
}

/// Wakers are replaced, handles dropped and joined, while coroutines end on other workers.
#[test]
fn handles_are_awaited_in_every_way_at_once() {
    bounded(120, || {
        let tokio = tokio_runtime();
        let rounds = if cfg!(debug_assertions) { 3_000 } else { 30_000 };
        Builder::new()
            .workers(2)
            .run(|| {
                let awaiting: Vec<_> = (0..rounds)
                    .map(|round: u32| {
                        let mut handle = spawn(move || {
                            (0..round % 3).for_each(|_| thread::yield_now());
                            Box::new(round)
                        });
                        match round % 4 {
                            0 => drop(poll_with(&mut handle, Waker::noop())),
                            1 => {
                                let counts = Arc::new(Counts::default());
                                if poll_with(&mut handle, &Waker::from(Arc::clone(&counts))).is_pending() {
                                    assert_eq!(*handle.join().unwrap(), round);
                                }
                            }
                            _ => return Some((round, tokio.spawn(handle))),
                        }
                        None
                    })
                    .collect();
                for (round, task) in awaiting.into_iter().flatten() {
                    assert_eq!(*block_on(task).unwrap().unwrap(), round);
                }
            })
            .unwrap();
    });
}
