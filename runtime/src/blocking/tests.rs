//! The pool and the life of a call, with pools of the tests' own: small, impatient, or unable to start a thread.

use super::call::{Call, Detached, Stage};
use super::pool::Pool;
use super::*;
use crate::thread::{sleep, spawn_local, yield_now};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(3600);

/// When a wait counts as hung.
fn soon() -> Option<Instant> {
    Some(Instant::now() + LIMIT)
}

fn start_thread(pool: &'static Pool) -> io::Result<()> {
    std::thread::Builder::new().spawn(|| pool.serve()).map(drop)
}

fn pool(limit: usize, idle: Duration, start: fn(&'static Pool) -> io::Result<()>) -> &'static Pool {
    Box::leak(Box::new(Pool::new(limit, idle, start)))
}

#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "did not happen: {what}");
        sleep(Duration::from_micros(500));
    }
}

/// Has a call made that ends when told to; says when it has begun.
fn gated(pool: &'static Pool) -> (Receiver<()>, Sender<()>) {
    let ((begun, begins), (end, ends)) = (channel(), channel::<()>());
    let call = move || {
        begun.send(()).unwrap();
        let _ = ends.recv_timeout(LIMIT);
    };
    pool.submit(Arc::new(Detached::new(call)));
    (begins, end)
}

#[test]
fn no_more_threads_than_the_limit_and_first_come_first_served() {
    let pool = pool(2, LONG, start_thread);
    let gates = [gated(pool), gated(pool)];
    gates.iter().for_each(|(begins, _)| begins.recv_timeout(LIMIT).unwrap());
    let (says, said) = channel();
    for n in 0..20 {
        let says = says.clone();
        pool.submit(Arc::new(Detached::new(move || says.send(n).unwrap())));
    }
    assert_eq!(pool.figures(), (2, 20));
    let [first, _second] = gates;
    drop(first);
    let order: Vec<i32> = (0..20).map(|_| said.recv_timeout(LIMIT).unwrap()).collect();
    assert_eq!(order, Vec::from_iter(0..20));
    assert_eq!(pool.figures(), (2, 0));
}

#[test]
fn idle_threads_end_and_others_start() {
    let pool = pool(4, Duration::from_millis(20), start_thread);
    for round in 0..3 {
        let gates: Vec<_> = (0..4).map(|_| gated(pool)).collect();
        gates.iter().for_each(|(begins, _)| begins.recv_timeout(LIMIT).unwrap());
        assert_eq!(pool.figures().0, 4, "round {round}");
        drop(gates);
        eventually("all threads end", || pool.figures().0 == 0);
    }
}

/// A thread that goes to sleep, or ends, while a call comes in must not miss it.
#[test]
fn no_call_is_left_by_threads_that_end() {
    let pool = pool(3, Duration::from_micros(50), start_thread);
    std::thread::scope(|scope| {
        for seed in 1..4u64 {
            scope.spawn(move || {
                for n in 0..1500 {
                    assert_eq!(Pending::submit(pool, move || n).wait(soon(), Point::Shielded).unwrap(), n);
                    let pause = Duration::from_micros(n * seed * 7919 % 97);
                    let start = Instant::now();
                    while start.elapsed() < pause {
                        std::hint::spin_loop();
                    }
                }
            });
        }
    });
    eventually("all threads end", || pool.figures() == (0, 0));
}

#[test]
fn threads_start_one_at_a_time() {
    static HELD: AtomicUsize = AtomicUsize::new(0);
    fn hold(_: &'static Pool) -> io::Result<()> {
        HELD.fetch_add(1, SeqCst);
        Ok(())
    }
    let pool = pool(8, LONG, hold);
    let calls: Vec<_> = (0..5).map(|_| gated(pool)).collect();
    assert_eq!((HELD.load(SeqCst), pool.figures()), (1, (1, 5)), "the first is still starting");
    for started in 1..=5 {
        start_thread(pool).unwrap();
        calls[started - 1].0.recv_timeout(LIMIT).unwrap();
        // It asks for the next one before it makes its own call, as long as there are more.
        assert_eq!(HELD.load(SeqCst), (started + 1).min(5));
    }
}

fn refuse(_: &'static Pool) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(11))
}

#[test]
fn without_any_thread_a_call_is_refused_and_dropped_by_its_caller() {
    let pool = pool(4, LONG, refuse);
    let held = Arc::new(());
    let called = Arc::clone(&held);
    let error = Pending::submit(pool, move || drop(called)).wait(soon(), Point::Shielded).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(11));
    assert_eq!(Arc::strong_count(&held), 1);
    let detached = Arc::clone(&held);
    pool.submit(Arc::new(Detached::new(move || drop(detached))));
    assert_eq!((Arc::strong_count(&held), pool.figures()), (1, (0, 0)));
}

/// Who relies on a thread that is starting is refused with whoever tried to start it.
#[test]
fn a_failed_start_refuses_all_that_are_in_the_queue() {
    type Simple = Call<fn(), ()>;
    static OTHER: std::sync::Mutex<Option<Arc<Simple>>> = std::sync::Mutex::new(None);
    fn refuse_two(pool: &'static Pool) -> io::Result<()> {
        let other = Arc::new(Simple::new(|| ()));
        *OTHER.lock().unwrap() = Some(Arc::clone(&other));
        pool.submit(other);
        refuse(pool)
    }
    let pool = pool(4, LONG, refuse_two);
    let error = Pending::submit(pool, || ()).wait(soon(), Point::Shielded).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(11));
    let other = OTHER.lock().unwrap().take().unwrap();
    assert!(matches!(other.give_up(), Stage::Refused(_, error) if error.raw_os_error() == Some(11)));
    assert_eq!(pool.figures(), (0, 0));
}

#[test]
fn with_some_thread_a_failed_start_leaves_the_call_in_the_queue() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    fn start_one(pool: &'static Pool) -> io::Result<()> {
        if STARTED.swap(true, SeqCst) { refuse(pool) } else { start_thread(pool) }
    }
    let pool = pool(4, LONG, start_one);
    let (begins, end) = gated(pool);
    begins.recv_timeout(LIMIT).unwrap();
    let second = Pending::submit(pool, || 2);
    assert_eq!(pool.figures(), (1, 1));
    drop(end);
    assert_eq!(second.wait(soon(), Point::Shielded).unwrap(), 2);
}

#[test]
fn a_call_not_begun_is_dropped_by_whoever_gives_it_up() {
    let pool = pool(1, LONG, start_thread);
    let (begins, end) = gated(pool);
    begins.recv_timeout(LIMIT).unwrap();
    let held = Arc::new(());
    let call = || {
        let held = Arc::clone(&held);
        Pending::submit(pool, move || -> () { unreachable!("called, with {held:?}") })
    };
    let late = call().wait(Some(Instant::now() + Duration::from_millis(5)), Point::Shielded).unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    drop(call());
    crate::run(|| {
        let held = Arc::clone(&held);
        let waits = spawn_local(move || Pending::submit(pool, move || drop(held)).wait(soon(), Point::Cancellable));
        yield_now();
        assert_eq!(pool.figures(), (1, 1));
        waits.cancel();
        assert!(waits.join().unwrap_err().is::<crate::Cancelled>());
    });
    assert_eq!((Arc::strong_count(&held), pool.figures()), (1, (1, 0)));
    drop(end);
}

/// Says when it is dropped, and panics then.
struct Bomb(Sender<()>);

impl Drop for Bomb {
    fn drop(&mut self) {
        let _ = self.0.send(());
        panic!("dropped");
    }
}

#[test]
fn what_panics_in_the_drop_of_an_unwanted_result_ends_no_thread() {
    let pool = pool(1, LONG, start_thread);
    let ((end, ends), (says, said)) = (channel::<()>(), channel());
    let (begun, begins) = channel();
    let call = Pending::submit(pool, move || {
        begun.send(()).unwrap();
        let _ = ends.recv_timeout(LIMIT);
        Bomb(says)
    });
    begins.recv_timeout(LIMIT).unwrap();
    drop(call);
    drop(end);
    said.recv_timeout(LIMIT).unwrap();
    assert_eq!(Pending::submit(pool, || 3).wait(soon(), Point::Shielded).unwrap(), 3);
    assert_eq!(pool.figures().0, 1);
}
