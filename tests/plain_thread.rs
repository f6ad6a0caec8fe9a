//! What works from a coroutine works from a plain OS thread, too: there it blocks the thread.

mod support;

use dormouse::{spawn, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::{Random, bounded, child, run};

#[test]
fn sleep_is_never_early() {
    bounded(10, || {
        for micros in [0, 1, 100, 2_000] {
            let start = Instant::now();
            thread::sleep(Duration::from_micros(micros));
            thread::sleep_until(start + Duration::from_micros(micros));
            assert!(start.elapsed() >= Duration::from_micros(micros));
        }
        thread::sleep_until(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
    });
}

#[test]
fn a_token_left_before_the_park_ends_it_once() {
    bounded(10, || {
        thread::current().unpark();
        thread::current().unpark();
        thread::park();
        let start = Instant::now();
        thread::park_timeout(Duration::from_millis(10));
        assert!(start.elapsed() >= Duration::from_millis(10));
    });
}

#[test]
fn a_timeout_is_never_early() {
    bounded(10, || {
        let mut random = Random(9);
        for _ in 0..100 {
            let timeout = Duration::from_nanos(random.below(200_000));
            let start = Instant::now();
            thread::park_timeout(timeout);
            assert!(start.elapsed() >= timeout);
        }
    });
}

#[test]
fn a_coroutine_and_a_thread_unpark_each_other() {
    bounded(20, || {
        run(|| {
            let turn = Arc::new(AtomicUsize::new(0));
            let (sender, receiver) = channel();
            let other = std::thread::spawn({
                let (turn, main) = (Arc::clone(&turn), thread::current());
                move || {
                    sender.send(thread::current()).unwrap();
                    for round in 0..1000 {
                        while turn.load(SeqCst) != 2 * round + 1 {
                            thread::park();
                        }
                        turn.store(2 * round + 2, SeqCst);
                        main.unpark();
                    }
                }
            });
            let plain = receiver.recv().unwrap();
            for round in 0..1000 {
                turn.store(2 * round + 1, SeqCst);
                plain.unpark();
                while turn.load(SeqCst) != 2 * round + 2 {
                    thread::park();
                }
            }
            other.join().unwrap();
        });
    });
}

#[test]
fn an_unpark_that_races_with_the_timeout_is_not_lost() {
    bounded(30, || {
        let given = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let target = thread::current();
        let unparker = std::thread::spawn({
            let (given, asked) = (Arc::clone(&given), Arc::clone(&asked));
            move || {
                let mut random = Random(21);
                for round in 1..=3000 {
                    while asked.load(SeqCst) < round {
                        std::hint::spin_loop();
                    }
                    let (start, wait) = (Instant::now(), Duration::from_nanos(random.below(100_000)));
                    while start.elapsed() < wait {
                        std::hint::spin_loop();
                    }
                    given.store(round, SeqCst);
                    target.unpark();
                }
            }
        });
        let mut random = Random(23);
        for round in 1..=3000 {
            asked.store(round, SeqCst);
            thread::park_timeout(Duration::from_nanos(random.below(100_000)));
            while given.load(SeqCst) < round {
                thread::park();
            }
        }
        unparker.join().unwrap();
    });
}

#[test]
fn std_s_own_token_is_another() {
    bounded(10, || {
        std::thread::current().unpark();
        let start = Instant::now();
        thread::park_timeout(Duration::from_millis(5));
        assert!(start.elapsed() >= Duration::from_millis(5));
        std::thread::park();
    });
}

#[test]
fn a_join_does_not_take_the_token() {
    bounded(10, || {
        thread::current().unpark();
        spawn(|| thread::sleep(Duration::from_millis(2))).join().unwrap();
        thread::park();
    });
}

#[test]
fn current_has_an_identity_and_the_name_of_std() {
    bounded(10, || {
        let named = std::thread::Builder::new().name("plain".into());
        let (first, second, name) = named
            .spawn(|| (thread::current().id(), thread::current().id(), thread::current().name().map(String::from)))
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(first, second);
        assert_ne!(first, thread::current().id());
        assert_eq!(name.as_deref(), Some("plain"));
        assert!(thread::stack_high_water().unwrap().is_none());
        thread::yield_now();
    });
}

#[test]
fn an_unpark_of_a_thread_that_has_ended_does_nothing() {
    bounded(10, || {
        let ended = std::thread::spawn(thread::current).join().unwrap();
        ended.unpark();
    });
}

extern "C" fn nothing(_: libc::c_int) {}

/// A signal every few microseconds, and each interrupts the sleep.
#[test]
fn sleep_ends_in_a_storm_of_signals() {
    let ended = child("sleep_ends_in_a_storm_of_signals", 30, || {
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGUSR1, nothing as *const () as libc::sighandler_t) };
        let (told, tell) = channel();
        let sleeper = std::thread::spawn(move || {
            // SAFETY: takes nothing and cannot fail.
            told.send(unsafe { libc::pthread_self() }).unwrap();
            let start = Instant::now();
            thread::sleep(Duration::from_millis(100));
            start.elapsed()
        });
        let number = tell.recv().unwrap();
        while !sleeper.is_finished() {
            // SAFETY: the thread has not been joined.
            unsafe { libc::pthread_kill(number, libc::SIGUSR1) };
        }
        let slept = sleeper.join().unwrap();
        assert!((Duration::from_millis(100)..Duration::from_secs(2)).contains(&slept), "{slept:?}");
    });
    ended.succeeded();
}
