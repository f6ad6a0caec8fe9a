//! The blocking of a plain OS thread, which has no worker: nobody cancels it, but a timeout may be around it.
//!
//! Owns when a thread stops blocking and what it does then. How it blocks is the caller's.

use crate::cancel::{self, Point};
use crate::current;
use crate::os_thread::Parked;
use crate::sys::clock;
use std::time::{Duration, Instant};

/// A wait that is about to block this thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadLeave {
    /// How long it may.
    pub(crate) until: Option<Instant>,
    /// Whether that is the limit of a timeout around it.
    strikes: bool,
    /// Whether that is answered, and not thrown.
    errors: bool,
}

/// On the terms of this thread; in an unwind, and where errors are asked for and cannot be told, no timeout ends a wait.
pub(crate) fn on_thread(deadline: Option<Instant>, point: Point) -> ThreadLeave {
    let terms = current::thread_terms();
    let closed = point == Point::Shielded || terms.errors && !point.has_answer() || std::thread::panicking();
    let limit = terms.limit.filter(|limit| !closed && deadline.is_none_or(|deadline| *limit < deadline));
    ThreadLeave {
        until: limit.or(deadline),
        strikes: limit.is_some(),
        errors: terms.errors || point == Point::Answered,
    }
}

impl ThreadLeave {
    /// What is answered once `until` has come; throws, if that was a timeout's.
    pub(crate) fn expired(self) -> Parked {
        match self {
            ThreadLeave { strikes: false, .. } => Parked::TimedOut,
            ThreadLeave { errors: true, .. } => Parked::Cancelled,
            ThreadLeave { .. } => cancel::throw(),
        }
    }

    /// What a wait until `until` answers.
    pub(crate) fn answer(self, parked: Parked) -> Parked {
        if parked == Parked::TimedOut { self.expired() } else { parked }
    }
}

/// Takes the token of this thread.
pub(crate) fn block_for_token(deadline: Option<Instant>) {
    let leave = on_thread(deadline, Point::Fallible);
    leave.answer(current::os_thread().park(leave.until));
}

/// Blocks this thread until the deadline.
pub(crate) fn block_until(deadline: Option<Instant>) {
    let leave = on_thread(deadline, Point::Fallible);
    match leave.until {
        Some(until) => clock::sleep_until(until),
        None => loop {
            std::thread::sleep(Duration::MAX);
        },
    }
    leave.expired();
}

/// Lets other threads run.
pub(crate) fn yield_thread() {
    std::thread::yield_now();
    cancel::check();
}
