//! A coroutine that is leaked in the middle of its unwind leaves std's count of panics on the caller's thread, as
//! `Builder::shutdown_timeout` says. What that does not break.

mod support;

use dormouse::sync::Mutex;
use dormouse::{Builder, spawn, thread};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use support::{OnDrop, bounded, is_cancelled, message, run};

/// Leaks one that waits in a Drop of an unwind: a panic's, or a cancel's.
fn leak(panics: bool) {
    let main = move || {
        spawn(move || {
            let _waits = OnDrop(|| thread::sleep(Duration::from_secs(3600)));
            assert!(!panics, "unwinds");
            thread::park();
        });
        thread::yield_now();
    };
    Builder::new().workers(1).shutdown_timeout(Duration::from_millis(5)).run(main).unwrap();
}

/// What is true on any plain thread.
fn works() {
    let lock = Mutex::new(1);
    let own = std::sync::Mutex::new(1);
    drop((lock.lock().unwrap(), own.lock().unwrap()));
    assert_eq!((*lock.lock().unwrap(), *own.lock().unwrap()), (1, 1), "poisoned by nobody");
    let caught = catch_unwind(AssertUnwindSafe(|| panic!("can be caught"))).unwrap_err();
    assert_eq!(message(&*caught), "can be caught");
    run(|| {
        let lock = std::rc::Rc::new(Mutex::new(1));
        let (inner, panics) = (std::rc::Rc::clone(&lock), spawn(|| panic!("comes out of join")));
        assert_eq!(message(&*panics.join().unwrap_err()), "comes out of join");
        let waits = spawn(thread::park);
        thread::yield_now();
        waits.cancel();
        assert!(is_cancelled(&waits.join()));
        thread::spawn_local(move || drop(inner.lock().unwrap())).join().unwrap();
        assert!(!lock.is_poisoned());
        let poisons = std::rc::Rc::clone(&lock);
        let dies = thread::spawn_local(move || {
            let _held = poisons.lock().unwrap();
            panic!("with a lock held");
        });
        assert!(dies.join().is_err());
    });
    assert_eq!(spawn(|| 7).join().unwrap(), 7);
}

#[test]
fn its_thread_counts_as_panicking_and_works() {
    for panics in [false, true] {
        bounded(20, move || {
            works();
            leak(panics);
            assert!(std::thread::panicking(), "std can take it back: mend this, and what the documentation says of it");
            works();
            // A second one that a panic unwinds would be cancelled in its Drop, as is documented to end the process.
            leak(false);
            works();
        });
    }
}

/// Threads of workers end with their runtime, and a new one begins anew.
#[test]
fn no_other_thread_does() {
    bounded(20, || {
        let runtime = Builder::new().workers(1).shutdown_timeout(Duration::from_millis(5)).build().unwrap();
        drop(runtime.spawn(|| {
            let _waits = OnDrop(|| thread::sleep(Duration::from_secs(3600)));
            thread::park();
        }));
        runtime.run(thread::yield_now).unwrap();
        drop(runtime);
        assert!(!std::thread::panicking());
        let next = Builder::new().workers(1).build().unwrap();
        assert!(!next.run(std::thread::panicking).unwrap());
    });
}
