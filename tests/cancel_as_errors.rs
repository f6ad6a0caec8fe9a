//! `cancel::as_errors`: nothing is thrown inside; who waits is told by an error, or waits on.

mod support;

use dormouse::cancel::{self, Cancelled};
use dormouse::net::TcpListener;
use dormouse::os::unix::net::UnixStream;
use dormouse::sync::{Condvar, Mutex, Notify, Semaphore, WaitGroup, broadcast, mpmc, mpsc};
use dormouse::{blocking, fs, spawn, spawn_local, thread, time};
use std::io::{self, ErrorKind, Read};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{bounded, is_cancelled, run};

const SOON: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_secs(3600);

/// Runs `wait` in a coroutine that is cancelled meanwhile, in one that was cancelled before, and inside a timeout, there also on
/// a plain thread. Each time nothing is thrown before `wait` has returned `true`.
#[track_caller]
fn ends(wait: fn() -> bool) {
    bounded(10, move || {
        run(move || {
            for early in [false, true] {
                let handle = spawn(move || {
                    if early {
                        assert!(catch_unwind(thread::park).is_err());
                    }
                    let ended = cancel::as_errors(wait);
                    assert!(catch_unwind(thread::yield_now).is_err(), "the next point throws");
                    ended
                });
                (0..4).for_each(|_| thread::yield_now());
                assert!(!handle.is_finished());
                handle.cancel();
                assert!(handle.join().unwrap(), "{early}");
            }
        });
    });
    ends_in_time(wait);
    bounded(10, move || inside_timeout(wait));
}

/// As [`ends`], but only inside a timeout in a coroutine.
#[track_caller]
fn ends_in_time(wait: fn() -> bool) {
    bounded(10, move || run(move || inside_timeout(wait)));
}

fn inside_timeout(wait: fn() -> bool) {
    let mut ended = false;
    let late = time::timeout(SOON, || {
        ended = cancel::as_errors(wait);
        thread::sleep(LONG);
    });
    assert!(ended && late.is_err());
}

fn is_ours(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Other && error.get_ref().is_some_and(|inner| inner.is::<Cancelled>())
}

#[test]
fn sockets() {
    ends(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut ours, _theirs) = UnixStream::pair().unwrap();
        let read = ours.read(&mut [0]).unwrap_err();
        let accepted = listener.accept().unwrap_err();
        // The timeout of the operation itself stays what it is.
        ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        is_ours(&read) && is_ours(&accepted) && ours.read(&mut [0]).is_err()
    });
}

#[test]
fn parks_and_sleeps_return() {
    ends(|| {
        thread::park();
        true
    });
    ends(|| {
        thread::sleep(LONG);
        thread::park_timeout(LONG);
        thread::yield_now();
        cancel::check();
        cancel::is_cancelled()
    });
}

#[test]
fn a_join_answers_and_the_other_runs_on() {
    ends(|| {
        let other = spawn(|| {
            thread::park();
            1
        });
        let thread = other.thread().clone();
        let error = other.join().unwrap_err();
        thread.unpark();
        error.is::<Cancelled>()
    });
}

#[test]
fn channels() {
    ends(|| {
        let (sends, receives) = mpsc::sync_channel::<i32>(1);
        sends.send(1).unwrap();
        let back = sends.send(2).unwrap_err().0;
        let got = receives.recv();
        let none = receives.recv();
        let late = receives.recv_timeout(LONG);
        back == 2 && got == Ok(1) && none.is_err() && late == Err(mpsc::RecvTimeoutError::Timeout)
    });
    ends(|| {
        let (sends, receives) = mpmc::channel::<i32>();
        let none = receives.recv();
        drop(sends);
        none.is_err()
    });
    ends(|| {
        let (_sends, receives) = broadcast::channel::<i32>(2);
        receives.recv().is_err() && receives.recv_timeout(LONG).is_err()
    });
    ends(|| {
        let (_sends, receives) = mpmc::channel::<i32>();
        dormouse::sync::select! {
            recv(receives) -> _ => false,
            default(LONG) => true,
        }
    });
}

#[test]
fn what_has_a_timeout_answers_that_it_is_over() {
    ends(|| {
        let semaphore = Semaphore::new(0);
        let none = semaphore.acquire().is_err() && semaphore.acquire_timeout(LONG).is_err();
        semaphore.add_permits(1);
        none && semaphore.acquire().is_ok()
    });
    ends(|| {
        let notify = Notify::new();
        !notify.wait_timeout(LONG)
    });
    ends(|| {
        let group = WaitGroup::new();
        let _member = group.clone();
        group.wait_timeout(LONG).is_err()
    });
    ends(|| {
        let (mutex, condvar) = (Mutex::new(0), Condvar::new());
        let (guard, late) = condvar.wait_timeout(mutex.lock().unwrap(), LONG).unwrap();
        drop(guard);
        late.timed_out() && !mutex.is_poisoned()
    });
}

/// What blocks a plain thread right on the spot is not ended there.
#[test]
fn calls_that_block() {
    fn call() -> bool {
        let error = blocking::run(|| std::thread::sleep(Duration::from_millis(40))).unwrap_err();
        let file = fs::File::open("/proc/self/status").unwrap_err();
        is_ours(&error) && is_ours(&file)
    }
    bounded(10, || {
        run(|| {
            let handle = spawn(|| cancel::as_errors(call));
            (0..4).for_each(|_| thread::yield_now());
            handle.cancel();
            assert!(handle.join().unwrap());
        });
    });
    ends_in_time(call);
}

/// No answer is made up: it waits on, as in a shield.
#[test]
fn what_cannot_say_so_waits_on() {
    bounded(10, || {
        run(|| {
            let notify = Rc::new(Notify::new());
            let notifies = Rc::clone(&notify);
            let waits = spawn_local(move || {
                cancel::as_errors(|| notifies.wait());
                thread::park();
            });
            thread::yield_now();
            waits.cancel();
            (0..5).for_each(|_| thread::yield_now());
            assert!(!waits.is_finished());
            notify.notify_one();
            assert!(is_cancelled(&waits.join()));
        });
    });
}

/// Nor does a condition variable that has no timeout to name: a loop around it would spin.
#[test]
fn a_condition_is_waited_for() {
    bounded(10, || {
        run(|| {
            let shared = Arc::new((Mutex::new((false, 0)), Condvar::new()));
            let sees = Arc::clone(&shared);
            let waits = spawn(move || {
                cancel::as_errors(|| {
                    let mut state = sees.0.lock().unwrap();
                    while !state.0 {
                        state.1 += 1;
                        state = sees.1.wait(state).unwrap();
                    }
                    state.1
                })
            });
            (0..4).for_each(|_| thread::yield_now());
            waits.cancel();
            (0..4).for_each(|_| thread::yield_now());
            assert!(!waits.is_finished());
            shared.0.lock().unwrap().0 = true;
            shared.1.notify_one();
            assert!(waits.join().unwrap() <= 2);
        });
    });
}

/// A call that has no error to give is made, also by one that was cancelled before.
#[test]
fn a_blocking_call_is_made() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| {
                assert!(catch_unwind(thread::park).is_err());
                cancel::as_errors(|| dormouse::blocking(|| 7))
            });
            thread::yield_now();
            handle.cancel();
            assert_eq!(handle.join().unwrap(), 7);
        });
    });
}

/// What has ended is no error, though it ended in the turn that a cancelled one gives to others first.
#[test]
fn a_coroutine_that_needs_no_wait_is_joined() {
    bounded(10, || {
        run(|| {
            let handle = spawn(|| {
                assert!(catch_unwind(thread::park).is_err());
                cancel::as_errors(|| spawn(|| 7).join().unwrap())
            });
            thread::yield_now();
            handle.cancel();
            assert_eq!(handle.join().unwrap(), 7);
        });
    });
}

/// A scope inside cancels its coroutines and waits for them, and nothing is thrown.
#[test]
fn a_scope_inside_is_cut_short_and_returns() {
    ends(|| {
        let cut = AtomicBool::new(false);
        let given = thread::scope(|s| {
            s.spawn(|| {
                let _on_drop = support::OnDrop(|| cut.store(true, SeqCst));
                thread::park();
            });
            8
        });
        given == 8
    });
}

#[test]
fn a_timeout_inside_only_makes_waits_fail() {
    for plain in [false, true] {
        let body = || {
            let start = Instant::now();
            let given = cancel::as_errors(|| {
                time::timeout(SOON, || {
                    thread::sleep(LONG);
                    9
                })
            });
            assert_eq!(given, Ok(9));
            assert!(start.elapsed() >= SOON);
            // And is over with its frame.
            let start = Instant::now();
            thread::sleep(SOON);
            assert!(start.elapsed() >= SOON);
        };
        bounded(10, move || if plain { body() } else { run(body) });
    }
}

/// Code that tries again and again lets others run.
#[test]
fn one_that_goes_on_does_not_keep_the_worker_to_itself() {
    bounded(10, || {
        run(|| {
            let done = Arc::new(AtomicBool::new(false));
            let asks = Arc::clone(&done);
            let stubborn = spawn(move || {
                cancel::as_errors(|| {
                    while !asks.load(SeqCst) {
                        thread::park();
                    }
                });
            });
            thread::yield_now();
            stubborn.cancel();
            (0..10).for_each(|_| thread::yield_now());
            done.store(true, SeqCst);
            stubborn.join().unwrap();
        });
    });
}
