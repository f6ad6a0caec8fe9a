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

/// As `crate::run`, on one worker.
fn on_one_worker<T>(f: impl FnOnce() -> T) -> T {
    crate::Builder::new().workers(1).run(f).unwrap()
}

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

/// However the limit moves, no call is left behind by a thread that ends for it.
#[test]
fn a_limit_that_changes_leaves_no_call() {
    let pool = pool(8, LONG, start_thread);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    for n in 0..1500 {
                        assert_eq!(Pending::submit(pool, move || n).wait(soon(), Point::Shielded).unwrap(), n);
                    }
                })
            })
            .collect();
        for n in 0.. {
            pool.set_limit(1 + n * 5 % 8);
            if callers.iter().all(|caller| caller.is_finished()) {
                break;
            }
        }
    });
    pool.set_limit(1);
    eventually("surplus threads end", || pool.figures() == (1, 0));
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
    on_one_worker(|| {
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

/// A call ends, and its caller, who has not heard of it yet, is cancelled: the end is dropped in the unwind.
fn dropped_in_an_unwind(call: fn(Sender<()>) -> Bomb) {
    let pool = pool(1, LONG, start_thread);
    let ((open, opens), (says, said)) = (channel::<()>(), channel());
    on_one_worker(|| {
        let call = move || {
            let _ = opens.recv_timeout(LIMIT);
            call(says)
        };
        let waits =
            spawn_local(move || Pending::submit(pool, call).wait(None, Point::Cancellable).map(std::mem::forget));
        yield_now();
        drop(open);
        let (ended, ends) = channel();
        pool.submit(Arc::new(Detached::new(move || ended.send(()).unwrap())));
        // The only thread begins this one after it has ended the other. The worker hears of nothing meanwhile.
        ends.recv_timeout(LIMIT).unwrap();
        waits.cancel();
        assert!(waits.join().unwrap_err().is::<crate::Cancelled>());
    });
    assert_eq!(said.iter().count(), 1);
}

#[test]
fn what_panics_in_the_drop_of_a_result_does_not_disturb_the_unwind_of_its_caller() {
    dropped_in_an_unwind(Bomb);
    dropped_in_an_unwind(|says| resume_unwind(Box::new(Bomb(says))));
}

#[test]
fn a_start_that_failed_for_the_caller_is_tried_again() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    fn fail_second(pool: &'static Pool) -> io::Result<()> {
        if TRIES.fetch_add(1, SeqCst) == 1 { refuse(pool) } else { start_thread(pool) }
    }
    let pool = pool(4, LONG, fail_second);
    let (begins, _end) = gated(pool);
    begins.recv_timeout(LIMIT).unwrap();
    assert_eq!(Pending::submit(pool, || 2).wait(soon(), Point::Shielded).unwrap(), 2);
    assert_eq!(TRIES.load(SeqCst), 3);
}

/// The caller is parked already when a thread of the pool fails to start the next one.
#[test]
fn a_start_that_failed_for_a_thread_is_tried_again_by_the_caller() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    fn hold_then_fail(pool: &'static Pool) -> io::Result<()> {
        match TRIES.fetch_add(1, SeqCst) {
            0 => Ok(()),
            1 => refuse(pool),
            _ => start_thread(pool),
        }
    }
    let pool = pool(4, LONG, hold_then_fail);
    let (begins, _end) = gated(pool);
    on_one_worker(|| {
        let waits = spawn_local(move || Pending::submit(pool, || 2).wait(soon(), Point::Cancellable).unwrap());
        yield_now();
        assert_eq!((TRIES.load(SeqCst), pool.figures()), (1, (1, 2)), "parked, and the first is still starting");
        start_thread(pool).unwrap();
        assert_eq!(waits.join().unwrap(), 2);
    });
    begins.recv_timeout(LIMIT).unwrap();
    assert_eq!(TRIES.load(SeqCst), 3);
}

#[test]
fn many_callers_try_no_more_often_than_one() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    fn start_first(pool: &'static Pool) -> io::Result<()> {
        if TRIES.fetch_add(1, SeqCst) == 0 { start_thread(pool) } else { refuse(pool) }
    }
    let pool = pool(4, LONG, start_first);
    let (begins, _end) = gated(pool);
    begins.recv_timeout(LIMIT).unwrap();
    let start = Instant::now();
    on_one_worker(|| {
        let deadline = Some(start + Duration::from_millis(450));
        let call = move || Pending::submit(pool, || ()).wait(deadline, Point::Cancellable).unwrap_err().kind();
        let waits: Vec<_> = (0..50).map(|_| spawn_local(call)).collect();
        waits.into_iter().for_each(|waits| assert_eq!(waits.join().unwrap(), io::ErrorKind::TimedOut));
    });
    // One for the first call, one for each that was submitted.
    let again = TRIES.load(SeqCst) - 51;
    assert!(again >= 1 && again as u128 <= start.elapsed().as_millis() / 100, "{again} in {:?}", start.elapsed());
}

#[test]
fn a_drop_that_blocks_holds_up_no_refusal() {
    type Simple = Call<fn(), ()>;
    struct Slow(Sender<()>, Receiver<()>);
    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            let _ = self.1.recv_timeout(LIMIT);
        }
    }
    static SLOW: std::sync::Mutex<Option<Slow>> = std::sync::Mutex::new(None);
    static OTHER: std::sync::Mutex<Option<Arc<Simple>>> = std::sync::Mutex::new(None);
    fn refuse_three(pool: &'static Pool) -> io::Result<()> {
        let slow = SLOW.lock().unwrap().take().unwrap();
        pool.submit(Arc::new(Detached::new(move || drop(slow))));
        let other = Arc::new(Simple::new(|| ()));
        pool.submit(Arc::clone(&other) as _);
        *OTHER.lock().unwrap() = Some(other);
        refuse(pool)
    }
    let ((says, said), (end, ends)) = (channel(), channel());
    *SLOW.lock().unwrap() = Some(Slow(says, ends));
    let pool = pool(4, LONG, refuse_three);
    let submits = std::thread::spawn(move || Pending::submit(pool, || ()).wait(soon(), Point::Shielded).unwrap_err());
    said.recv_timeout(LIMIT).unwrap();
    let other = OTHER.lock().unwrap().take().unwrap();
    assert!(matches!(other.give_up(), Stage::Refused(..)), "the drop has begun, and it was not refused yet");
    drop(end);
    assert_eq!(submits.join().unwrap().raw_os_error(), Some(11));
}
