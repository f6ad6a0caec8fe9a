//! `block_on` runs async code to its end: a coroutine parks meanwhile, a plain thread blocks.

mod support;

use dormouse::{Builder, block_on, spawn, spawn_local, thread};
use futures::channel::{mpsc, oneshot};
use futures::{StreamExt, future};
use std::cell::Cell;
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use support::*;

/// Pending until it is opened; tells how often it was polled.
#[derive(Clone, Default)]
struct Gate(Arc<(AtomicBool, AtomicU32, Mutex<Option<Waker>>)>);

impl Gate {
    fn waker(&self) -> Waker {
        self.0.2.lock().unwrap().clone().expect("polled")
    }

    fn polls(&self) -> u32 {
        self.0.1.load(SeqCst)
    }

    fn open(&self) {
        self.0.0.store(true, SeqCst);
        self.waker().wake();
    }

    /// Waits until it was polled.
    fn polled(&self) -> &Gate {
        eventually(5, "a poll", || self.0.2.lock().unwrap().is_some());
        self
    }
}

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.1.fetch_add(1, SeqCst);
        *self.0.2.lock().unwrap() = Some(context.waker().clone());
        if self.0.0.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn waits(gate: &Gate) -> impl FnOnce() + Send + use<> {
    let gate = gate.clone();
    move || block_on(gate)
}

#[test]
fn a_coroutine_parks_until_any_thread_wakes_it() {
    bounded(20, || {
        let ((sends, sent), (answers, answered)) = (oneshot::channel(), oneshot::channel());
        let peer = std::thread::spawn(move || {
            assert_eq!(block_on(sent), Ok(1));
            answers.send(2).unwrap();
        });
        run(|| {
            let others = Rc::new(Cell::new(0));
            let counts = Rc::clone(&others);
            let waiting = spawn(move || block_on(answered));
            spawn_local(move || (0..100).for_each(|_| counts.set(counts.get() + 1))).join().unwrap();
            assert_eq!((others.get(), waiting.is_finished()), (100, false));
            sends.send(1).unwrap();
            assert_eq!(waiting.join().unwrap(), Ok(2));
        });
        peer.join().unwrap();
    });
}

#[test]
fn a_stream_goes_between_workers_threads_and_back() {
    bounded(60, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let ((mut to_thread, mut at_thread), (mut back, mut returned)) = (mpsc::channel(1), mpsc::channel(1));
                let peer = std::thread::spawn(move || {
                    while let Some(value) = block_on(at_thread.next()) {
                        block_on(futures::SinkExt::send(&mut back, value + 1)).unwrap();
                    }
                });
                let sender = spawn(move || {
                    (0..5_000u64).for_each(|value| block_on(futures::SinkExt::send(&mut to_thread, value)).unwrap());
                });
                let receiver = spawn(move || {
                    block_on(async move {
                        let mut sum = 0;
                        while let Some(value) = returned.next().await {
                            sum += value;
                        }
                        sum
                    })
                });
                sender.join().unwrap();
                assert_eq!(receiver.join().unwrap(), (1..=5_000).sum::<u64>());
                peer.join().unwrap();
            })
            .unwrap();
    });
}

#[test]
fn an_async_lock_is_handed_about() {
    bounded(60, || {
        let count = Arc::new(futures::lock::Mutex::new(0));
        let add = |count: Arc<futures::lock::Mutex<u32>>| {
            move || {
                for _ in 0..2_000 {
                    block_on(async {
                        let mut count = count.lock().await;
                        let before = *count;
                        *count = before + 1;
                    });
                    thread::yield_now();
                }
            }
        };
        let on_thread = std::thread::spawn(add(Arc::clone(&count)));
        Builder::new()
            .workers(2)
            .run(|| {
                let coroutines: Vec<_> = (0..4).map(|_| spawn(add(Arc::clone(&count)))).collect();
                coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
            })
            .unwrap();
        on_thread.join().unwrap();
        assert_eq!(block_on(async { *count.lock().await }), 5 * 2_000);
    });
}

#[test]
fn a_wake_during_a_poll_is_answered_by_another() {
    let wakes_itself = |times: u32| {
        let mut polls = 0;
        poll_fn(move |context| {
            polls += 1;
            if polls > times {
                return Poll::Ready(polls);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    };
    let woken_by_another = || {
        let mut polls = 0;
        poll_fn(move |context| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            std::thread::spawn(move || waker.wake()).join().unwrap();
            Poll::Pending
        })
    };
    bounded(20, move || {
        assert_eq!(block_on(wakes_itself(1_000)), 1_001);
        block_on(woken_by_another());
        run(|| {
            assert_eq!(block_on(wakes_itself(1_000)), 1_001);
            block_on(woken_by_another());
        });
    });
}

#[test]
fn who_wakes_himself_lets_others_run() {
    bounded(20, || {
        run(|| {
            let set = Rc::new(Cell::new(false));
            let sets = Rc::clone(&set);
            spawn_local(move || sets.set(true));
            block_on(poll_fn(|context| {
                context.waker().wake_by_ref();
                if set.get() { Poll::Ready(()) } else { Poll::Pending }
            }));
        });
    });
}

#[test]
fn a_storm_of_wakes_is_one_poll() {
    bounded(30, || {
        run(|| {
            let gate = Gate::default();
            let waiting = spawn(waits(&gate));
            thread::yield_now();
            let waker = gate.waker();
            // The worker is kept from its inbox meanwhile.
            let storm = std::thread::spawn(move || (0..200_000).for_each(|_| waker.wake_by_ref()));
            storm.join().unwrap();
            assert_eq!(gate.polls(), 1);
            thread::sleep(Duration::from_millis(1));
            assert_eq!(gate.polls(), 2);
            gate.open();
            waiting.join().unwrap();
            assert_eq!(gate.polls(), 3);
        });
    });
}

#[test]
fn a_waker_outlives_its_coroutine_and_its_runtime() {
    bounded(20, || {
        let (old, new) = (Gate::default(), Gate::default());
        let waker = run(|| {
            let first = spawn(waits(&old));
            old.polled().open();
            first.join().unwrap();
            let waker = old.waker();
            // In the same slot.
            let second = spawn(waits(&new));
            new.polled();
            (0..100).for_each(|_| waker.wake_by_ref());
            let stale = waker.clone();
            std::thread::spawn(move || stale.wake()).join().unwrap();
            thread::sleep(Duration::from_millis(1));
            assert_eq!(new.polls(), 1, "woken by a waker of another");
            new.open();
            second.join().unwrap();
            waker
        });
        waker.wake_by_ref();
        std::thread::spawn(move || waker.wake()).join().unwrap();
    });
}

#[test]
fn block_on_is_nested() {
    bounded(20, || {
        let nested = || {
            let (outer, inner) = (oneshot::channel(), oneshot::channel());
            let (outer_sent, inner_sent) = (outer.1, inner.1);
            std::thread::spawn(move || {
                outer.0.send(1).unwrap();
                std::thread::sleep(Duration::from_millis(2));
                inner.0.send(2).unwrap();
            });
            // The outer waker is woken while the inner one is waited for.
            block_on(future::join(outer_sent, async { block_on(inner_sent) }))
        };
        assert_eq!(nested(), (Ok(1), Ok(2)));
        run(|| assert_eq!(nested(), (Ok(1), Ok(2))));
    });
}

#[test]
fn a_cancel_drops_the_future() {
    bounded(20, || {
        run(|| {
            let dropped = Rc::new(Cell::new(false));
            let drops = Rc::clone(&dropped);
            let waiting = spawn_local(move || {
                let _dropped = OnDrop(|| drops.set(true));
                let in_future = OnDrop(|| ());
                block_on(async move {
                    let _in_future = in_future;
                    pending::<()>().await;
                });
            });
            thread::yield_now();
            waiting.cancel();
            assert!(is_cancelled(&waiting.join()));
            assert!(dropped.get());
        });
    });
}

#[test]
fn a_drop_in_an_unwind_waits_for_a_future() {
    bounded(20, || {
        run(|| {
            for cancelled in [false, true] {
                let gate = Gate::default();
                let (opens, seen) = (gate.clone(), Rc::new(Cell::new(false)));
                let sees = Rc::clone(&seen);
                let unwinds = spawn_local(move || {
                    let _waits = OnDrop(|| {
                        block_on(gate.clone());
                        sees.set(true);
                    });
                    if cancelled { thread::park() } else { resume_unwind(Box::new(7)) }
                });
                thread::yield_now();
                unwinds.cancel();
                opens.polled();
                assert!(!seen.get());
                opens.open();
                assert_eq!((is_cancelled(&unwinds.join()), seen.get()), (cancelled, true));
            }
        });
    });
}

#[test]
fn inside_no_park_only_what_is_ready_is_run() {
    bounded(20, || {
        run(|| {
            assert_eq!(thread::no_park(|| block_on(ready(1))), 1);
            let refused = catch_unwind(AssertUnwindSafe(|| thread::no_park(|| block_on(pending::<()>()))));
            assert!(message(&*refused.unwrap_err()).contains("no_park"));
        });
    });
}

#[test]
fn a_panic_comes_out() {
    bounded(20, || {
        let panics = || catch_unwind(|| block_on(async { resume_unwind(Box::new(7)) }));
        assert_eq!(panics().unwrap_err().downcast_ref(), Some(&7));
        run(|| assert_eq!(panics().unwrap_err().downcast_ref(), Some(&7)));
    });
}

#[test]
fn the_futures_of_an_async_runtime_are_driven_by_its_threads() {
    bounded(30, || {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sends, sent) = tokio::sync::oneshot::channel();
        tokio.spawn(async move { sends.send(7).unwrap() });
        run(|| {
            assert_eq!(block_on(sent), Ok(7));
            let sleeper = spawn({
                let handle = tokio.handle().clone();
                move || {
                    let sleep = {
                        let _entered = handle.enter();
                        tokio::time::sleep(Duration::from_millis(5))
                    };
                    let start = std::time::Instant::now();
                    block_on(sleep);
                    start.elapsed()
                }
            });
            assert!(sleeper.join().unwrap() >= Duration::from_millis(4));
            let task = tokio.spawn(async {
                tokio::task::yield_now().await;
                8
            });
            assert_eq!(block_on(task).unwrap(), 8);
        });
    });
}
