//! What the coroutines of one scope have in common.
//!
//! Owns who of them has not ended, what became of the others, and the waiter of the scope. Does not know what they run.
//!
//! Invariant 1: a child is in `living` from before it can run until nothing of it is left that borrows, and a leaked one for
//! ever. So once `living` was seen empty, with nobody left to spawn more, no child uses anything of the scope's.
//! Invariant 2: `panicked` and `cut` count those whose failure nobody has taken by a join. A child is counted before its failure
//! can be taken, and taken before the scope ends.
//! Invariant 3: once `cancelled` is set, each child that is or will be in `living` is cancelled, by whoever comes second.

use super::handle::cancel_coroutine;
use crate::cancel::{Cancelled, Point};
use crate::fork;
use crate::lock::Lock;
use crate::remote::RecordRef;
use crate::spawned::Audience;
use crate::waiter::{Wait, Waiter};
use slab::Slab;
use std::any::Any;
use std::panic::RefUnwindSafe;
use std::sync::Arc;

/// See the heading.
#[derive(Debug)]
pub(super) struct Children {
    /// All of it.
    state: Lock<State>,
    /// In which process the children are, by [`fork::count`].
    process: u32,
    /// Whether one that panics cancels the others.
    bound: bool,
}

/// What is shared by the scope and its children.
struct State {
    /// Who has not ended (invariant 1); nobody yet where the record is still being made.
    living: Slab<Option<RecordRef>>,
    /// How many panicked (invariant 2).
    panicked: usize,
    /// How many were cut short by a cancel (invariant 2).
    cut: usize,
    /// Invariant 3.
    cancelled: bool,
    /// The scope, waiting for the last to end.
    waiter: Option<Waiter>,
}

/// How the children of a scope ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Each ran to its end, or what became of it was taken by a join.
    Complete,
    /// One panicked.
    Panicked,
    /// One was cancelled, and none panicked.
    Cut,
}

/// The right to be one of the children.
pub(super) struct Member {
    /// Whose.
    children: Arc<Children>,
    /// Which.
    key: usize,
}

/// Whatever a panic leaves half done, the lists are whole.
impl RefUnwindSafe for Children {}

impl Children {
    /// None yet. If they are `bound`, one that panics cancels the others.
    pub(super) fn new(bound: bool) -> Children {
        let living = Slab::new();
        let state = Lock::new(State { living, panicked: 0, cut: 0, cancelled: false, waiter: None });
        Children { state, process: fork::count(), bound }
    }

    /// One more child, which begins when its record is made.
    pub(super) fn admit(self: &Arc<Children>) -> Member {
        let key = self.state.lock().living.insert(None);
        Member { children: Arc::clone(self), key }
    }

    /// How many have not ended.
    pub(super) fn living(&self) -> usize {
        self.state.lock().living.len()
    }

    /// Whether each child is to be cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.state.lock().cancelled
    }

    /// Somebody has taken this failure.
    pub(super) fn forgive(&self, payload: &(dyn Any + Send)) {
        *self.state.lock().count_of(payload) -= 1;
    }

    /// How the children have ended so far.
    pub(super) fn verdict(&self) -> Verdict {
        let state = self.state.lock();
        match (state.panicked, state.cut) {
            (0, 0) => Verdict::Complete,
            (0, _) => Verdict::Cut,
            _ => Verdict::Panicked,
        }
    }

    /// Blocks until all have ended. A cancel of the caller does not end this: it cancels the children, as `cut` does, and the
    /// answer is `true`. Then the caller was not unwinding, so it may unwind now.
    ///
    /// In a child of fork(2) none of them ever runs, and they need nothing of the scope's; nor may their list be whole.
    ///
    /// # Panics
    ///
    /// Panics if the scope was inherited from a parent process, unless `unwinds`.
    pub(super) fn wait(&self, mut cut: bool, unwinds: bool) -> bool {
        if self.process != fork::count() {
            assert!(unwinds, "{}", fork::DEAD);
            return false;
        }
        let bomb = AbortOnUnwind;
        let mut cancelled = false;
        if cut {
            self.cancel();
        }
        while self.living() > 0 {
            let wait = Wait::begin();
            if !self.leave(wait.waiter()) {
                break;
            }
            if cut {
                wait.park(None, Point::Shielded);
            } else if wait.park_or_cancelled() {
                (cut, cancelled) = (true, true);
                self.cancel();
            }
        }
        std::mem::forget(bomb);
        cancelled
    }

    /// Leaves the waiter for the last child to wake; `false` if all have ended.
    fn leave(&self, waiter: Waiter) -> bool {
        let mut state = self.state.lock();
        let waits = !state.living.is_empty();
        let unneeded = if waits { state.waiter.replace(waiter) } else { Some(waiter) };
        drop(state);
        drop(unneeded);
        waits
    }

    /// Cancels those there are; those to come are cancelled by whoever spawns them.
    #[cold]
    pub(super) fn cancel(&self) {
        let mut state = self.state.lock();
        state.cancelled = true;
        let keys = 0..state.living.capacity();
        drop(state);
        for key in keys {
            let living = self.state.lock().living.get(key).cloned().flatten();
            living.iter().for_each(cancel_coroutine);
        }
    }
}

impl State {
    /// The count of failures like this.
    fn count_of(&mut self, payload: &(dyn Any + Send)) -> &mut usize {
        if payload.is::<Cancelled>() { &mut self.cut } else { &mut self.panicked }
    }
}

impl Audience for Member {
    fn begins(&self, record: &RecordRef) {
        self.children.state.lock().living[self.key] = Some(record.clone());
    }

    fn failed(&self, payload: &(dyn Any + Send)) {
        *self.children.state.lock().count_of(payload) += 1;
        if self.children.bound && !payload.is::<Cancelled>() {
            self.children.cancel();
        }
    }

    fn ended(&self) {
        let mut state = self.children.state.lock();
        let record = state.living.remove(self.key);
        let waiter = if state.living.is_empty() { state.waiter.take() } else { None };
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        drop(record);
    }
}

/// An unwind out of the wait would free what children still use.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        eprintln!("dormouse: a scope would end before its coroutines, aborting");
        std::process::abort();
    }
}
