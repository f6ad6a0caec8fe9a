//! A call that blocks, between whoever waits for it and the pool thread that makes it.
//!
//! Owns the stages of a call and the waiter of its caller. Does not know queues or threads.
//!
//! ```text
//!            begin            end
//!   Queued --------> Running ------> Done, Refused    the caller is woken
//!     |                 |                  |
//!     |                 | give_up          | give_up: the caller has the result
//!     |                 v                  v
//!     +-------------> GivenUp <------------+
//!       give_up: the call will not be made; the caller has the closure
//! ```
//!
//! An end that comes after `GivenUp` is the pool thread's, to drop. A call which its caller has *left* goes through its
//! stages as if somebody waited, and an end that comes later is dropped with it.
//!
//! Invariant 1: whoever moves the stage on under the lock has what was in it; it is called or dropped outside of the lock.
//! Invariant 2: a waiter is there only while the stage is `Queued` or `Running`; whoever ends that wakes it. Its caller
//! leaves another if it is woken earlier.
//! Invariant 3: the end of a call whose caller was leaked (`waiter.rs`) is dropped by whoever brings it about: the caller keeps
//! its share of the call for ever, and the end may hold what others wait for, such as a `Lease`.

use crate::lock::Lock;
use crate::park;
use crate::waiter::Waiter;
use std::io;
use std::mem::replace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// A call as the pool sees it.
pub(super) trait Job: Send + Sync {
    /// Makes the call, unless it was given up. Pool threads only, once. Never unwinds.
    fn run(&self);

    /// Instead of `run`: there will be no thread to make it. Wakes whoever waits; drops nothing of the call, which may
    /// block: that is for whoever waits, or else for the drop of the job. Never unwinds.
    fn refuse(&self, error: io::Error);

    /// After either: drops what there is of the call if whoever waits never comes for it. May block. Never unwinds.
    fn clear(&self);

    /// Has whoever waits look at the pool again, if the call is in its queue. Never unwinds.
    fn alert(&self);
}

/// How far a call has come.
pub(super) enum Stage<F, T> {
    /// Not begun.
    Queued(F),
    /// Being made.
    Running,
    /// Made; a panic is a result, too.
    Done(thread::Result<T>),
    /// Never to be made.
    Refused(F, io::Error),
    /// Nobody waits for it, or its caller has taken the result.
    GivenUp,
}

impl<F, T> Stage<F, T> {
    /// Whether nothing comes after it.
    fn is_end(&self) -> bool {
        !matches!(self, Stage::Queued(_) | Stage::Running)
    }
}

/// A call whose caller waits, or has left it.
pub(super) struct Call<F, T>(Lock<State<F, T>>);

/// What the two sides share.
struct State<F, T> {
    /// How far it has come.
    stage: Stage<F, T>,
    /// Whom to wake (invariant 2).
    waiter: Option<Waiter>,
    /// Whether its caller was to be woken and never comes (invariant 3).
    forsaken: bool,
}

impl<F: FnOnce() -> T, T> Call<F, T> {
    pub(super) fn new(f: F) -> Call<F, T> {
        Call(Lock::new(State { stage: Stage::Queued(f), waiter: None, forsaken: false }))
    }

    /// Caller: leaves a waiter for the end, in place of an earlier one; `false` if the end has come.
    pub(super) fn await_end(&self, waiter: Waiter) -> bool {
        let mut state = self.0.lock();
        let awaited = !state.stage.is_end();
        let unneeded = if awaited { state.waiter.replace(waiter) } else { Some(waiter) };
        drop(state);
        drop(unneeded);
        awaited
    }

    /// Whether the end has come.
    pub(super) fn has_ended(&self) -> bool {
        self.0.lock().stage.is_end()
    }

    /// Caller: goes away, and wants the call made all the same. If the end has come, it is dropped here.
    pub(super) fn leave(&self) {
        let mut state = self.0.lock();
        let end = state.stage.is_end().then(|| replace(&mut state.stage, Stage::GivenUp));
        let waiter = state.waiter.take();
        drop(state);
        drop(waiter);
        drop_quietly(end);
    }

    /// Whoever has the handle: if the call was not begun, its end is what `end` gives, and the closure the caller's.
    pub(super) fn replace(&self, end: impl FnOnce() -> thread::Result<T>) -> Option<F> {
        let f = self.begin()?;
        self.end(Stage::Done(end()));
        Some(f)
    }

    /// Caller: does not wait any more. What there is of the call is the caller's, to use or to drop.
    pub(super) fn give_up(&self) -> Stage<F, T> {
        let mut state = self.0.lock();
        let stage = replace(&mut state.stage, Stage::GivenUp);
        let waiter = state.waiter.take();
        drop(state);
        drop(waiter);
        stage
    }

    /// Takes what is to be called, unless nobody wants it any more.
    fn begin(&self) -> Option<F> {
        let mut state = self.0.lock();
        match replace(&mut state.stage, Stage::Running) {
            Stage::Queued(f) => Some(f),
            other => {
                state.stage = other;
                None
            }
        }
    }

    /// Leaves the end of what was begun, and wakes the caller; drops it if there is none any more.
    fn end(&self, end: Stage<F, T>) {
        let mut state = self.0.lock();
        if let Stage::GivenUp = state.stage {
            drop(state);
            drop_quietly(end);
            return;
        }
        // What was there is `Running`, with nothing in it to drop.
        state.stage = end;
        let waiter = state.waiter.take();
        drop(state);
        self.wake(waiter);
    }

    /// Wakes the caller, or learns that it never comes.
    fn wake(&self, waiter: Option<Waiter>) {
        if waiter.is_some_and(|waiter| !waiter.wake_chosen()) {
            self.0.lock().forsaken = true;
        }
    }
}

impl<F, T> Job for Call<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self) {
        if let Some(f) = self.begin() {
            self.end(Stage::Done(catch_unwind(AssertUnwindSafe(f))));
            self.clear();
        }
    }

    fn refuse(&self, error: io::Error) {
        if let Some(f) = self.begin() {
            self.end(Stage::Refused(f, error));
        }
    }

    fn clear(&self) {
        let state = self.0.lock();
        let unheard = state.forsaken && state.stage.is_end();
        drop(state);
        if unheard {
            drop_quietly(self.give_up());
        }
    }

    fn alert(&self) {
        let waiter = self.0.lock().waiter.take();
        self.wake(waiter);
    }
}

/// Whoever lets go last has the end of a call that was left, to drop.
impl<F, T> Drop for State<F, T> {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::GivenUp | Stage::Running) {
            drop_quietly(replace(&mut self.stage, Stage::GivenUp));
        }
    }
}

/// A call that nobody waits for. Dropped, what was not called is dropped quietly.
pub(super) struct Detached<F>(Lock<Option<F>>);

impl<F> Detached<F> {
    pub(super) fn new(f: F) -> Detached<F> {
        Detached(Lock::new(Some(f)))
    }

    fn take(&self) -> Option<F> {
        self.0.lock().take()
    }
}

impl<F: FnOnce() + Send> Job for Detached<F> {
    fn run(&self) {
        if let Some(f) = self.take() {
            drop_quietly(catch_unwind(AssertUnwindSafe(f)));
        }
    }

    fn refuse(&self, _: io::Error) {}

    fn clear(&self) {}

    fn alert(&self) {}
}

impl<F> Drop for Detached<F> {
    fn drop(&mut self) {
        if let Some(f) = self.take() {
            drop_quietly(f);
        }
    }
}

/// Drops what nobody waits for. A panic in its Drop has nowhere to go but the panic hook; it ends nobody's thread, and
/// nobody's unwind.
pub(super) fn drop_quietly<V>(value: V) {
    let dropped = park::shielded(|| catch_unwind(AssertUnwindSafe(|| drop(value))));
    // The payload of that panic is forgotten: its own Drop could panic again.
    std::mem::forget(dropped);
}
