//! A signal without a value.
//!
//! Invariant 1: a permit is kept only while the line is empty.
//! Invariant 2: `by_all` holds the numbers of those whom `notify_all` chose and who have not seen it yet. Whoever was chosen
//! otherwise was chosen by a `notify_one`, which is one party's, and goes to another if that one is cancelled.

use super::line::{Line, point_until, wait_in_line};
use crate::lock::Lock;
use crate::sys::clock;
use crate::waiter::{Wait, Waiter};
use std::collections::BTreeSet;
use std::panic::RefUnwindSafe;
use std::time::{Duration, Instant};

/// Tells others that something may have changed, without saying what.
///
/// [`notify_one`](Notify::notify_one) ends one [`wait`](Notify::wait): that of whoever waits longest or, if nobody does, the next
/// one to come. There is one permit to be kept: two notifications that find nobody waiting are as one.
/// [`notify_all`](Notify::notify_all) ends the waits there are, and keeps nothing. So whoever looks for the change, then waits,
/// then looks again, misses none.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::Notify;
/// use dormouse_runtime::{run, thread};
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// static READY: AtomicBool = AtomicBool::new(false);
/// static CHANGED: Notify = Notify::new();
///
/// run(|| {
///     let waiting = thread::spawn(|| {
///         while !READY.load(Ordering::Acquire) {
///             CHANGED.wait();
///         }
///     });
///     READY.store(true, Ordering::Release);
///     CHANGED.notify_one();
///     waiting.join().unwrap();
/// });
/// ```
pub struct Notify {
    /// Who waits.
    state: Lock<State>,
}

/// What the two sides share.
struct State {
    /// Those who wait.
    line: Line<()>,
    /// Invariant 1.
    permit: bool,
    /// Invariant 2.
    by_all: BTreeSet<u64>,
}

/// How a wait began.
enum Begun {
    /// The permit was there.
    Done,
    /// It is in the line.
    InLine(Turn),
}

/// Who waits where.
struct Turn {
    /// Its number in the line.
    number: u64,
    /// Its first wait.
    wait: Wait,
}

/// Whatever a panic leaves half done, the line is whole.
impl RefUnwindSafe for Notify {}

impl Notify {
    /// Nobody was notified yet.
    #[must_use]
    pub const fn new() -> Notify {
        Notify { state: Lock::new(State { line: Line::new(), permit: false, by_all: BTreeSet::new() }) }
    }

    /// Ends the longest of the waits, or the next one to begin if there is none.
    ///
    /// What happened before is seen after that wait.
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn notify_one(&self) {
        // Once, unless whoever is chosen will never come.
        loop {
            let mut state = self.state.lock();
            let chosen = state.line.choose();
            state.permit |= chosen.is_none();
            drop(state);
            if chosen.and_then(|(_, waiter)| waiter).is_none_or(Waiter::wake_chosen) {
                return;
            }
        }
    }

    /// Ends all waits there are now. Those that begin later wait.
    ///
    /// # Blocking
    ///
    /// Never.
    pub fn notify_all(&self) {
        let mut state = self.state.lock();
        let chosen: Vec<_> = state.line.choose_all().collect();
        state.by_all.extend(chosen.iter().map(|(number, _)| *number));
        drop(state);
        for (number, waiter) in chosen {
            if waiter.is_some_and(|waiter| !waiter.wake_chosen()) {
                self.state.lock().by_all.remove(&number);
            }
        }
    }

    /// Waits until notified.
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point: a notification that was for the cancelled one goes to the next. Blocks a plain
    /// thread.
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park), unless there is a permit.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until notified, or for `timeout`; `false` if that passed first.
    ///
    /// # Blocking
    ///
    /// As [`Notify::wait`].
    ///
    /// # Panics
    ///
    /// As [`Notify::wait`].
    #[must_use = "tells whether it was notified"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(clock::deadline(timeout))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        match self.begin() {
            Begun::Done => true,
            Begun::InLine(turn) => {
                let mut waiting = Waiting { notify: self, number: Some(turn.number) };
                wait_in_line(turn.wait, deadline, point_until(deadline), |waiter| self.stay(turn.number, waiter));
                waiting.end().is_some()
            }
        }
    }

    /// Takes the permit or a place in the line.
    fn begin(&self) -> Begun {
        if self.take_permit() {
            return Begun::Done;
        }
        let wait = Wait::begin();
        let mut state = self.state.lock();
        if std::mem::take(&mut state.permit) {
            return Begun::Done;
        }
        let number = state.line.enter((), wait.waiter());
        drop(state);
        Begun::InLine(Turn { number, wait })
    }

    fn take_permit(&self) -> bool {
        std::mem::take(&mut self.state.lock().permit)
    }

    fn stay(&self, number: u64, waiter: Waiter) -> bool {
        let (stays, unneeded) = self.state.lock().line.stay(number, waiter);
        drop(unneeded);
        stays
    }
}

/// By what a wait was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// A `notify_one`.
    One,
    /// A `notify_all`.
    All,
}

/// Somebody waits. Dropped in an unwind, it hands on what was for it alone.
struct Waiting<'a> {
    /// For whom.
    notify: &'a Notify,
    /// Its number in the line, unless it has left.
    number: Option<u64>,
}

impl Waiting<'_> {
    /// Ends the wait; `None` if nobody has.
    fn end(&mut self) -> Option<By> {
        let number = self.number.take()?;
        let mut state = self.notify.state.lock();
        let left = state.line.leave(number);
        let by = if state.by_all.remove(&number) { By::All } else { By::One };
        drop(state);
        left.is_none().then_some(by)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.end() == Some(By::One) {
            self.notify.notify_one();
        }
    }
}

impl Default for Notify {
    fn default() -> Notify {
        Notify::new()
    }
}

impl std::fmt::Debug for Notify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notify").finish_non_exhaustive()
    }
}
