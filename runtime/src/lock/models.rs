//! Stands in for the word of a `Lock` in models of what uses one: one that sleeps instead of spinning keeps them small. The
//! word has its own model, and those of channels use it.
//!
//! Made when it is first used, so that a lock is const here, too.

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

    pub(super) fn acquire(&self) {
        let (held, released) = self.parts();
        let mut held = held.lock().unwrap();
        while *held {
            held = released.wait(held).unwrap();
        }
        *held = true;
    }

    pub(super) fn release(&self) {
        let (held, released) = self.parts();
        *held.lock().unwrap() = false;
        released.notify_one();
    }
}
