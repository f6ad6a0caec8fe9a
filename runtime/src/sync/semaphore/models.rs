//! Models of the semaphore among plain threads. What a coroutine's park adds is modelled in `slot.rs` and `inbox.rs`.

use super::Semaphore;
use super::turns::Ended;
use crate::cancel::Point;
use loom::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Each of two gets the one permit in turn, and nobody is left waiting.
#[test]
fn one_permit_serves_two() {
    loom::model(|| {
        let shared = loom::sync::Arc::new((Semaphore::new(1), AtomicUsize::new(0)));
        let other = loom::sync::Arc::clone(&shared);
        let visit = |shared: &(Semaphore, AtomicUsize)| {
            let _permit = shared.0.acquire().unwrap();
            assert_eq!(shared.1.fetch_add(1, Ordering::Relaxed), 0);
            shared.1.fetch_sub(1, Ordering::Relaxed);
        };
        let thread = loom::thread::spawn(move || visit(&other));
        visit(&shared);
        thread.join().unwrap();
        assert_eq!(shared.0.available_permits(), 1);
    });
}

/// A wait that times out just as its permit comes has it, or leaves it to others.
#[test]
fn a_permit_against_a_timeout_is_not_lost() {
    loom::model(|| {
        let semaphore = loom::sync::Arc::new(Semaphore::new(0));
        let other = loom::sync::Arc::clone(&semaphore);
        let thread = loom::thread::spawn(move || other.add_permits(1));
        let ended = semaphore.take(1, Some(Instant::now()), Point::Cancellable);
        thread.join().unwrap();
        assert_eq!(semaphore.available_permits(), usize::from(ended != Ended::Taken));
    });
}

/// One who waits is refused by a close, or was served before it.
#[test]
fn a_close_ends_every_wait() {
    loom::model(|| {
        let semaphore = loom::sync::Arc::new(Semaphore::new(0));
        let other = loom::sync::Arc::clone(&semaphore);
        let thread = loom::thread::spawn(move || {
            other.add_permits(1);
            other.close();
        });
        let ended = semaphore.take(1, None, Point::Cancellable);
        thread.join().unwrap();
        assert_eq!(semaphore.available_permits(), usize::from(ended != Ended::Taken));
    });
}
