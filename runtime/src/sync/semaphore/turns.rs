//! Who is served when.
//!
//! Invariant 1: what the first in the line asks for is more than the free permits, or the semaphore is closed.
//! Invariant 2: whoever takes somebody else out of the line has taken the permits for them from the free ones; who was chosen
//! has them, to use or to give back; if that one never comes, whoever chose it has. Closing chooses nobody.
//! Invariant 3: all permits together, free and out, are at most `MAX_PERMITS`.

use super::{AcquireError, AcquireTimeoutError, Semaphore, TryAcquireError};
use crate::cancel::Point;
use crate::sync::line::{Line, wait_in_line};
use crate::waiter::{Wait, Waiter};
use std::time::Instant;

/// What is shared by all who use it.
pub(super) struct State {
    /// Permits that nobody has.
    pub(super) free: usize,
    /// Permits that somebody has, but for those forgotten.
    pub(super) out: usize,
    /// Those who wait, with the number of permits each asks for.
    pub(super) line: Line<usize>,
    /// Whether no permit is given out any more.
    pub(super) closed: bool,
}

/// How an attempt to take permits ended. The permits taken are the caller's.
enum Asked {
    /// They are there.
    Taken,
    /// It is closed.
    Closed,
    /// The caller is in the line.
    InLine(u64),
}

/// How a wait for permits ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The permits are the caller's.
    Taken,
    /// It was closed first.
    Closed,
    /// The deadline passed first.
    TimedOut,
}

impl Semaphore {
    pub(super) fn try_take(&self, permits: usize) -> Result<(), TryAcquireError> {
        match self.state.lock().ask(permits) {
            Some(Asked::Taken) => Ok(()),
            Some(_) => Err(TryAcquireError::Closed),
            None => Err(TryAcquireError::NoPermits),
        }
    }

    /// Takes so many permits, waiting for them until `deadline`.
    pub(super) fn take(&self, permits: usize, deadline: Option<Instant>, point: Point) -> Ended {
        let asked = self.state.lock().ask(permits);
        match asked {
            Some(Asked::Taken) => Ended::Taken,
            Some(_) => Ended::Closed,
            None => self.wait(permits, deadline, point),
        }
    }

    #[cold]
    fn wait(&self, permits: usize, deadline: Option<Instant>, point: Point) -> Ended {
        let wait = Wait::begin();
        match self.ask_or_enter(permits, &wait) {
            Asked::Taken => Ended::Taken,
            Asked::Closed => Ended::Closed,
            Asked::InLine(number) => {
                let mut turn = Turn { semaphore: self, permits, number: Some(number) };
                wait_in_line(wait, deadline, point, |waiter| self.stay(number, waiter));
                turn.end()
            }
        }
    }

    fn ask_or_enter(&self, permits: usize, wait: &Wait) -> Asked {
        let mut state = self.state.lock();
        state.ask(permits).unwrap_or_else(|| Asked::InLine(state.line.enter(permits, wait.waiter())))
    }

    /// Leaves another waiter; `false` if there is nothing to wait for.
    fn stay(&self, number: u64, waiter: Waiter) -> bool {
        let mut state = self.state.lock();
        let (stays, unneeded) = state.line.stay(number, waiter);
        let closed = state.closed;
        drop(state);
        drop(unneeded);
        stays && !closed
    }

    /// Permits come back.
    pub(super) fn release(&self, permits: usize) {
        self.state.lock().take_back(permits);
        self.give_out();
    }

    /// Permits never come back.
    pub(super) fn lose(&self, permits: usize) {
        self.state.lock().out -= permits;
    }

    /// Restores invariant 1, without the lock while somebody is woken.
    pub(super) fn give_out(&self) {
        loop {
            let served = self.state.lock().serve_first();
            let Some((permits, waiter)) = served else {
                return;
            };
            // Who was roused before comes by itself.
            if waiter.is_some_and(|waiter| !waiter.wake_chosen()) {
                self.state.lock().take_back(permits);
            }
        }
    }
}

impl State {
    pub(super) const fn new(permits: usize) -> State {
        State { free: permits, out: 0, line: Line::new(), closed: false }
    }

    /// Takes so many permits; `None` if they are not there or others wait.
    fn ask(&mut self, permits: usize) -> Option<Asked> {
        if self.closed {
            return Some(Asked::Closed);
        }
        let there = self.free >= permits && (self.line.is_empty() || permits == 0);
        there.then(|| {
            self.hand_over(permits);
            Asked::Taken
        })
    }

    fn hand_over(&mut self, permits: usize) {
        self.free -= permits;
        self.out += permits;
    }

    fn take_back(&mut self, permits: usize) {
        self.free += permits;
        self.out -= permits;
    }

    /// Gives the first in the line its permits, if they are there. The waiter is to be woken.
    fn serve_first(&mut self) -> Option<(usize, Option<Waiter>)> {
        let permits = *self.line.first()?;
        if self.closed || self.free < permits {
            return None;
        }
        self.hand_over(permits);
        self.line.choose().map(|(_, waiter)| (permits, waiter))
    }
}

/// Somebody waits for permits. Dropped in an unwind, it gives back what it was given, and its place.
struct Turn<'a> {
    /// Whose permits.
    semaphore: &'a Semaphore,
    /// How many.
    permits: usize,
    /// Its number in the line, unless it has left.
    number: Option<u64>,
}

impl Turn<'_> {
    /// Leaves the line, and tells how the wait ended.
    fn end(&mut self) -> Ended {
        let Some(number) = self.number.take() else {
            return Ended::TimedOut;
        };
        let mut state = self.semaphore.state.lock();
        let left = state.line.leave(number);
        let closed = state.closed;
        drop(state);
        if left.is_none() {
            return Ended::Taken;
        }
        // Who comes next may ask for less.
        self.semaphore.give_out();
        if closed { Ended::Closed } else { Ended::TimedOut }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.end() == Ended::Taken {
            self.semaphore.release(self.permits);
        }
    }
}

impl Ended {
    pub(super) fn into_acquired(self) -> Result<(), AcquireError> {
        match self {
            Ended::Taken => Ok(()),
            Ended::Closed | Ended::TimedOut => Err(AcquireError::new()),
        }
    }

    pub(super) fn into_acquired_in_time(self) -> Result<(), AcquireTimeoutError> {
        match self {
            Ended::Taken => Ok(()),
            Ended::Closed => Err(AcquireTimeoutError::Closed),
            Ended::TimedOut => Err(AcquireTimeoutError::Timeout),
        }
    }
}
