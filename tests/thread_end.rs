//! The runtime is used in the destructors of thread-locals: of plain threads, of workers' threads and of coroutines.

mod support;

use dormouse::sync::mpsc::{Sender, channel};
use dormouse::{Builder, spawn, thread};
use std::cell::RefCell;
use std::time::Duration;
use support::{OnDrop, bounded, child};

/// Uses what it can of a runtime, and says that it is done.
fn last_work(done: &Sender<u32>) {
    let sum: u32 = (1..=4).map(|n| spawn(move || n)).map(|handle| handle.join().unwrap()).sum();
    thread::yield_now();
    thread::sleep(Duration::from_millis(1));
    thread::current().unpark();
    thread::park();
    thread::scope(|scope| assert_eq!(scope.spawn(|| 7).join().unwrap(), 7));
    done.send(sum).unwrap();
}

type Last = OnDrop<Box<dyn FnMut()>>;

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// At its end, this OS thread does some last work.
fn work_at_the_end(done: &Sender<u32>) {
    let done = done.clone();
    LAST.set(Some(OnDrop(Box::new(move || last_work(&done)))));
}

#[test]
fn of_a_plain_thread_that_knew_no_runtime() {
    bounded(20, || {
        let (done, all) = channel();
        std::thread::spawn(move || work_at_the_end(&done)).join().unwrap();
        assert_eq!(all.recv(), Ok(10));
    });
}

/// What the runtime keeps for the thread may be gone by then, or not: both orders.
#[test]
fn of_a_plain_thread_that_used_a_runtime() {
    bounded(20, || {
        let (done, all) = channel();
        for first in [false, true] {
            let done = done.clone();
            let thread = std::thread::spawn(move || {
                if first {
                    work_at_the_end(&done);
                }
                spawn(|| ()).join().unwrap();
                thread::park_timeout(Duration::from_millis(1));
                if !first {
                    work_at_the_end(&done);
                }
            });
            thread.join().unwrap();
            assert_eq!(all.recv(), Ok(10));
        }
    });
}

#[test]
fn of_the_thread_that_called_run() {
    bounded(20, || {
        let (done, all) = channel();
        let thread = std::thread::spawn(move || Builder::new().workers(1).run(|| work_at_the_end(&done)).unwrap());
        thread.join().unwrap();
        assert_eq!(all.recv(), Ok(10));
    });
}

/// A worker's thread ends after its runtime: the work goes to the default one.
#[test]
fn of_a_workers_thread() {
    let ended = child("of_a_workers_thread", 20, || {
        let (done, all) = channel();
        let main = std::thread::current().id();
        let spread = move || {
            let ran: Vec<_> = (0..50)
                .map(|_| {
                    let done = done.clone();
                    spawn(move || {
                        let is_other = std::thread::current().id() != main;
                        if is_other && LAST.with_borrow(Option::is_none) {
                            work_at_the_end(&done);
                        }
                        thread::sleep(Duration::from_millis(5));
                        is_other
                    })
                })
                .collect();
            ran.into_iter().any(|ran| ran.join().unwrap())
        };
        assert!(Builder::new().workers(2).run(spread).unwrap(), "the second worker ran nothing");
        assert_eq!(all.recv_timeout(Duration::from_secs(10)), Ok(10));
    });
    ended.succeeded();
}

#[test]
fn of_a_coroutine() {
    dormouse::thread_local!(static OWN: RefCell<Option<Last>> = const { RefCell::new(None) });
    for workers in [1, 2] {
        bounded(20, move || {
            let body = || {
                let (done, all) = channel();
                let own = spawn(move || OWN.set(Some(OnDrop(Box::new(move || last_work(&done))))));
                own.join().unwrap();
                assert_eq!(all.recv(), Ok(10));
            };
            Builder::new().workers(workers).run(body).unwrap();
        });
    }
}
