//! A coroutine that has its result already may still be leaked, if what it does at its end parks for too long: the Drop of a
//! result nobody wants, of a value in coroutine-local storage, a waker of its handle. Whoever holds its handle has the
//! result all the same, and nothing is ended twice.

mod support;

use dormouse::sync::mpsc;
use dormouse::{Builder, Runtime, spawn, thread};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use support::{bounded, eventually};

/// Says that it has begun, and does not end in time.
#[derive(Clone, Default)]
struct Slow(Arc<AtomicBool>);

impl Slow {
    fn linger(&self) {
        self.0.store(true, SeqCst);
        (0..600).for_each(|_| thread::sleep(Duration::from_millis(100)));
    }

    fn has_begun(&self) -> bool {
        self.0.load(SeqCst)
    }
}

struct InDrop(Slow);

impl Drop for InDrop {
    fn drop(&mut self) {
        self.0.linger();
    }
}

fn one_worker() -> Runtime {
    Builder::new().workers(1).build().unwrap()
}

/// Runs a coroutine that nobody joins, and which gives this.
fn give_nobody<T: Send + 'static>(runtime: &Runtime, result: T) {
    let (go, wait) = mpsc::channel();
    drop(runtime.spawn(move || {
        wait.recv().unwrap();
        result
    }));
    go.send(()).unwrap();
}

fn end(runtime: Runtime, slow: &Slow) {
    eventually(5, "it is at its end", || slow.has_begun());
    runtime.shutdown_timeout(Duration::from_millis(50));
}

#[test]
fn in_the_drop_of_a_result_nobody_wants() {
    bounded(20, || {
        let (runtime, slow) = (one_worker(), Slow::default());
        give_nobody(&runtime, InDrop(slow.clone()));
        end(runtime, &slow);
    });
}

dormouse::thread_local! {
    static LAST: RefCell<Option<InDrop>> = const { RefCell::new(None) };
}

/// Puts something in coroutine-local storage when dropped.
struct Stores(Slow);

impl Drop for Stores {
    fn drop(&mut self) {
        LAST.set(Some(InDrop(self.0.clone())));
    }
}

#[test]
fn in_the_drop_of_a_local_that_such_a_result_used() {
    bounded(20, || {
        let (runtime, slow) = (one_worker(), Slow::default());
        give_nobody(&runtime, Stores(slow.clone()));
        end(runtime, &slow);
    });
}

impl Wake for Slow {
    fn wake(self: Arc<Self>) {
        self.linger();
    }
}

#[test]
fn in_a_waker_of_its_handle() {
    bounded(20, || {
        let (runtime, slow) = (one_worker(), Arc::new(Slow::default()));
        let waker = Waker::from(Arc::clone(&slow));
        let mut poll_once = Context::from_waker(&waker);
        let go = Arc::new(AtomicBool::new(false));
        let (went, ticks) = (Arc::clone(&go), Duration::from_millis(1));
        let mut handle = runtime.spawn(move || {
            (0..).take_while(|_| !went.load(SeqCst)).for_each(|_: u32| thread::sleep(ticks));
            String::from("the result")
        });
        assert!(Pin::new(&mut handle).poll(&mut poll_once).is_pending());
        go.store(true, SeqCst);
        end(runtime, &slow);
        match Pin::new(&mut handle).poll(&mut poll_once) {
            Poll::Ready(result) => assert_eq!(result.unwrap(), "the result"),
            Poll::Pending => panic!("the result was there before the leak"),
        }
    });
}

/// The same for one that is joined, of a runtime that is asked to end while it waits.
#[test]
fn before_its_result_it_is_lost_as_ever() {
    bounded(20, || {
        let (runtime, slow) = (one_worker(), Slow::default());
        let held = InDrop(slow.clone());
        let handle = runtime.spawn(move || {
            let inner = spawn(thread::yield_now);
            inner.join().unwrap();
            drop(held);
        });
        end(runtime, &slow);
        assert!(handle.join().unwrap_err().is::<dormouse::Cancelled>());
    });
}
