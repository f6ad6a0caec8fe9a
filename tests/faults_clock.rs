//! Clocks that are stepped: what waits for a time is neither late nor early by a step of the wall clock, and nothing hangs when the
//! monotonic clock, which the kernel does not step, is stepped all the same (a virtual machine that was moved).

#[path = "faults/seam.rs"]
mod seam;
mod support;

use dormouse::net::UdpSocket;
use dormouse::sync::{Condvar, Mutex, mpsc};
use dormouse::{spawn, thread};
use seam::{MONOTONIC_STEP, WALL_STEP};
use std::io::ErrorKind;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant, SystemTime};
use support::{child, eventually, run};

const YEAR: i64 = 365 * 24 * 3600;
const HOUR: Duration = Duration::from_secs(3600);
const WAIT: Duration = Duration::from_millis(40);

/// Everything that waits for a time, each for [`WAIT`].
fn waits() -> [fn(); 6] {
    [
        || thread::sleep(WAIT),
        || thread::sleep_until(Instant::now() + WAIT),
        || thread::park_timeout(WAIT),
        || {
            let lock = Mutex::new(());
            assert!(Condvar::new().wait_timeout(lock.lock().unwrap(), WAIT).unwrap().1.timed_out());
        },
        || {
            let (_sender, receiver) = mpsc::channel::<()>();
            assert!(receiver.recv_timeout(WAIT).is_err());
        },
        || {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            socket.set_read_timeout(Some(WAIT)).unwrap();
            assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        },
    ]
}

/// Whether it takes as long as it should, and not an hour.
fn takes_its_time(wait: fn()) {
    let start = Instant::now();
    wait();
    // The kernel cuts a socket's timeout to its ticks.
    assert!((WAIT..Duration::from_secs(10)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn a_step_of_the_wall_clock_changes_no_wait() {
    let ended = child("a_step_of_the_wall_clock_changes_no_wait", 60, || {
        for step in [YEAR, -YEAR] {
            let before = SystemTime::now();
            let steps = std::thread::spawn(move || {
                std::thread::sleep(WAIT / 4);
                WALL_STEP.fetch_add(step, SeqCst);
            });
            let threads: Vec<_> = waits().map(|wait| std::thread::spawn(move || takes_its_time(wait))).into();
            run(|| {
                let all = waits().map(|wait| spawn(move || takes_its_time(wait)));
                all.into_iter().for_each(|wait| wait.join().unwrap());
            });
            threads.into_iter().for_each(|wait| wait.join().unwrap());
            steps.join().unwrap();
            let stepped = SystemTime::now().duration_since(before).is_ok_and(|since| since > HOUR);
            assert_eq!(stepped, step > 0, "the clock was not stepped");
        }
    });
    ended.succeeded();
}

/// All that is due by then ends, in one turn.
#[test]
fn a_leap_of_the_monotonic_clock_ends_what_is_due() {
    let ended = child("a_leap_of_the_monotonic_clock_ends_what_is_due", 30, || {
        run(|| {
            let due: Vec<_> = (1..200).map(|n| spawn(move || thread::sleep(HOUR * n / 200))).collect();
            let late = spawn(|| thread::park_timeout(HOUR * 3));
            let real = Instant::now();
            (0..10).for_each(|_| thread::yield_now());
            MONOTONIC_STEP.fetch_add(HOUR.as_nanos() as i64, SeqCst);
            due.into_iter().for_each(|sleeper| sleeper.join().unwrap());
            assert!(real.elapsed() >= HOUR && real.elapsed() < HOUR + Duration::from_secs(20), "{:?}", real.elapsed());
            assert!(!late.is_finished());
            late.thread().unpark();
            late.join().unwrap();
            takes_its_time(|| thread::sleep(WAIT));
        });
    });
    ended.succeeded();
}

/// It is promised never to happen. Whoever waits for a time may be cut short then; nobody hangs, and what needs no clock goes on.
#[test]
fn a_monotonic_clock_that_falls_back_stops_nobody() {
    let ended = child("a_monotonic_clock_that_falls_back_stops_nobody", 30, || {
        run(|| {
            let before = spawn(|| thread::sleep(WAIT));
            let parked = spawn(thread::park);
            thread::sleep(WAIT);
            MONOTONIC_STEP.fetch_sub(HOUR.as_nanos() as i64, SeqCst);
            let (one, other) = (UdpSocket::bind(("127.0.0.1", 0)).unwrap(), UdpSocket::bind(("127.0.0.1", 0)).unwrap());
            for _ in 0..100 {
                let addr = other.local_addr().unwrap();
                let sends = spawn({
                    let one = one.try_clone().unwrap();
                    move || one.send_to(&[7], addr).map(drop)
                });
                assert_eq!(other.recv(&mut [0; 4]).unwrap(), 1);
                sends.join().unwrap().unwrap();
            }
            parked.thread().unpark();
            parked.join().unwrap();
            for wait in waits() {
                wait();
            }
            eventually(20, "a sleep from before ends", || before.is_finished());
        });
    });
    ended.succeeded();
}
