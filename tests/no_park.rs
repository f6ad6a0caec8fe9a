//! `no_park`: inside, whatever would park panics; outside, nothing is left of it.

mod support;

use dormouse::{spawn, thread};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use support::{bounded, message, run};

/// Calls `f` inside `no_park` inside a catch, and panics unless that did.
#[track_caller]
fn refused(f: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(|| thread::no_park(f))).expect_err("it did not panic");
    assert!(message(&*panic).contains("no_park"), "{}", message(&*panic));
}

#[test]
fn every_park_panics() {
    bounded(10, || {
        run(|| {
            refused(thread::park);
            refused(|| thread::park_timeout(Duration::from_millis(1)));
            refused(|| thread::sleep(Duration::from_millis(1)));
            refused(|| thread::sleep(Duration::ZERO));
            refused(|| thread::sleep_until(Instant::now()));
            refused(thread::yield_now);
            refused(|| drop(spawn(thread::park).join()));
            thread::current().unpark();
            refused(thread::park);
            thread::park();
        });
    });
}

#[test]
fn what_does_not_park_is_allowed() {
    bounded(10, || {
        run(|| {
            let finished = spawn(|| 3);
            thread::yield_now();
            let later = thread::no_park(|| {
                assert_eq!(finished.join().unwrap(), 3);
                let later = spawn(thread::park);
                later.thread().unpark();
                let _ = (thread::current().id(), thread::stack_high_water(), later.is_finished());
                later
            });
            later.join().unwrap();
        });
    });
}

#[test]
fn it_gives_the_value_and_ends_with_its_closure() {
    bounded(10, || {
        run(|| {
            assert_eq!(thread::no_park(|| 5), 5);
            thread::yield_now();
            thread::sleep(Duration::from_micros(10));
        });
    });
}

#[test]
fn it_ends_with_a_panic_of_its_closure_too() {
    bounded(10, || {
        run(|| {
            refused(thread::park);
            thread::yield_now();
            let _ = catch_unwind(|| thread::no_park(|| std::panic::resume_unwind(Box::new(()))));
            thread::sleep(Duration::from_micros(10));
        });
    });
}

#[test]
fn nested_the_outer_one_still_holds() {
    bounded(10, || {
        run(|| {
            refused(|| {
                thread::no_park(|| ());
                thread::yield_now();
            });
            thread::no_park(|| refused(thread::yield_now));
            refused(|| {
                refused(thread::yield_now);
                thread::yield_now();
            });
            thread::yield_now();
        });
    });
}

/// 300 levels: the depth must not wrap around.
#[test]
fn it_nests_deeply() {
    fn nest(depth: usize, f: &dyn Fn()) {
        if depth == 0 { f() } else { thread::no_park(|| nest(depth - 1, f)) }
    }
    bounded(10, || {
        run(|| {
            for depth in [255, 256, 257, 300] {
                assert!(catch_unwind(|| nest(depth, &thread::yield_now)).is_err(), "parked below {depth}");
                thread::yield_now();
            }
        });
    });
}

#[test]
fn it_is_of_one_coroutine() {
    bounded(10, || {
        run(|| {
            let other = spawn(|| {
                let _ = catch_unwind(|| thread::no_park(thread::yield_now));
                thread::yield_now();
                7
            });
            assert_eq!(other.join().unwrap(), 7);
            let panic = spawn(|| thread::no_park(thread::park)).join().unwrap_err();
            assert!(message(&*panic).contains("no_park"));
            thread::yield_now();
        });
    });
}

#[test]
fn on_a_plain_thread_it_only_calls() {
    bounded(10, || {
        let start = Instant::now();
        let value = thread::no_park(|| {
            thread::sleep(Duration::from_millis(2));
            thread::yield_now();
            spawn(|| 8).join().unwrap()
        });
        assert_eq!(value, 8);
        assert!(start.elapsed() >= Duration::from_millis(2));
    });
}
