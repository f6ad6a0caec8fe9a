//! Stands in for the word in models of what uses a lock: one that sleeps instead of spinning keeps them small. The word has its
//! own model.
//!
//! Made when it is first used, so that a lock is const here, too.

use super::word::Found;
use loom::sync::{Condvar, Mutex};
use std::cell::OnceCell;

/// See the heading.
#[derive(Debug)]
pub(super) struct Stand(OnceCell<(Mutex<bool>, Condvar)>);

// SAFETY: the threads of a model take turns on one OS thread, and making the two is no turn's end.
unsafe impl Sync for Stand {}

impl Stand {
    pub(super) const fn new() -> Stand {
        Stand(OnceCell::new())
    }

    fn parts(&self) -> &(Mutex<bool>, Condvar) {
        self.0.get_or_init(|| (Mutex::new(false), Condvar::new()))
    }

    pub(super) fn acquire(&self) -> Found {
        let (held, released) = self.parts();
        let mut held = held.lock().unwrap();
        while *held {
            held = released.wait(held).unwrap();
        }
        *held = true;
        Found::Free
    }

    pub(super) fn release(&self) {
        let (held, released) = self.parts();
        *held.lock().unwrap() = false;
        released.notify_one();
    }

    /// Nothing is left to one worker in a model of what uses a lock.
    pub(super) fn leave_biased(&self) -> bool {
        false
    }
}
