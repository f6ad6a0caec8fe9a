//! The unstarted coroutines of one worker: its own queues, and what others reach of them.
//!
//! Owns the queues, their order, and what the worker says of its load. Does not know what a coroutine is, where one is
//! placed or who may take how many.
//!
//! ```text
//!   spawned here ----------> deque -----+--> started here
//!   given by other threads -> injector -+--> or by whoever takes it
//!   spawned by spawn_local --> local ------> started here
//! ```
//!
//! Invariant 1: what was pushed is in exactly one queue until a worker pops it; whoever pops it starts it.
//! Invariant 2: what is in the local queue is never seen by another worker.
//! Invariant 3: a load counts what waits where it waits, whoever put it there or took it, and what lives as the owner
//! said last: at the end of its turn, and more by one for each that it popped of the shared since. So a load is right
//! while its worker sleeps, and too high at most, by what ended in this turn, while it runs.

use crate::atomic::{AtomicU32, Ordering};
use crate::lock::Lock;
use crossbeam_deque::{Injector, Steal, Stealer, Worker as Deque};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// So many may wait in a queue before what was spawned last is started first.
const CROWD: usize = 64;

/// What others reach of a worker's unstarted coroutines, and what they know of its load.
pub(crate) struct SharedQueue<T> {
    /// Given by other threads.
    injector: Injector<T>,
    /// Spawned by the owner; thieves take the oldest.
    spawned: Stealer<T>,
    /// The owner's end of `spawned`, until the owner has it.
    deque: Lock<Option<Deque<T>>>,
    /// Those not counted by the two queues that live or wait with the owner (invariant 3).
    live: AtomicU32,
    /// How often the owner had started all that was there to take.
    clearings: AtomicU32,
}

impl<T> SharedQueue<T> {
    pub(crate) fn new() -> SharedQueue<T> {
        let deque = Deque::new_lifo();
        SharedQueue {
            injector: Injector::new(),
            spawned: deque.stealer(),
            deque: Lock::new(Some(deque)),
            live: AtomicU32::new(0),
            clearings: AtomicU32::new(0),
        }
    }

    /// Gives the owner one to start.
    pub(crate) fn inject(&self, unstarted: T) {
        self.injector.push(unstarted);
    }

    /// The one that was injected first.
    pub(crate) fn pop_injected(&self) -> Option<T> {
        persist(|| self.injector.steal())
    }

    /// The oldest that the owner spawned; for whoever loses what the owner will never start.
    pub(crate) fn take_spawned(&self) -> Option<T> {
        persist(|| self.spawned.steal())
    }

    /// Whether something was injected that nobody has taken.
    #[inline]
    pub(crate) fn has_injected(&self) -> bool {
        !self.injector.is_empty()
    }

    /// How many were injected that nobody has taken.
    pub(crate) fn injected(&self) -> usize {
        self.injector.len()
    }

    /// Whether there is nothing to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.spawned.is_empty() && self.injector.is_empty()
    }

    /// How many there are to take.
    pub(crate) fn len(&self) -> u32 {
        (self.spawned.len() + self.injector.len()) as u32
    }

    /// Coroutines that live or wait here.
    pub(crate) fn load(&self) -> u32 {
        // ORDERING: Relaxed; a guess is enough to place by.
        self.live.load(Ordering::Relaxed) + self.len()
    }

    /// How often the owner had started all there was: if no more often than before, what waits has waited since.
    pub(crate) fn clearings(&self) -> u32 {
        // ORDERING: Relaxed; a guess is enough to steal by.
        self.clearings.load(Ordering::Relaxed)
    }

    /// Owner only, at the end of a turn: tells how many live or wait here that the two queues do not count, and
    /// whether nothing is left in those.
    pub(crate) fn publish(&self, live: u32, is_clear: bool) {
        // ORDERING: Relaxed; the owner alone writes, for `load` to guess by.
        self.live.store(live, Ordering::Relaxed);
        if is_clear {
            // ORDERING: Relaxed; as above, for `clearings`.
            self.clearings.store(self.clearings().wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Owner only: one that others saw waiting is about to live.
    fn count_popped(&self) {
        // ORDERING: Relaxed; written by the owner alone, which this is.
        let live = self.live.load(Ordering::Relaxed);
        // ORDERING: Relaxed; as in `publish`.
        self.live.store(live + 1, Ordering::Relaxed);
    }
}

/// Tries until nobody else is in the way.
fn persist<R>(mut attempt: impl FnMut() -> Steal<R>) -> Option<R> {
    loop {
        match attempt() {
            Steal::Success(stolen) => return Some(stolen),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}

/// A worker's unstarted coroutines, as it has them itself.
pub(crate) struct SpawnQueue<T> {
    /// What may be started by another, too: spawned here with `Send`, where there are several workers, or stolen.
    deque: Deque<T>,
    /// For this worker only: spawned by `spawn_local`, or where there are no others (invariant 2).
    local: RefCell<VecDeque<T>>,
    /// Which of the three queues, the injector included, is favoured next.
    turn: Cell<u8>,
}

impl<T> SpawnQueue<T> {
    /// The owner's side of `shared`; there is one.
    pub(crate) fn new(shared: &SharedQueue<T>) -> SpawnQueue<T> {
        let deque = shared.deque.lock().take().expect("a queue has one owner");
        SpawnQueue { deque, local: RefCell::new(VecDeque::new()), turn: Cell::new(0) }
    }

    pub(crate) fn push(&self, unstarted: T) {
        self.deque.push(unstarted);
    }

    pub(crate) fn push_local(&self, unstarted: T) {
        self.local.borrow_mut().push_back(unstarted);
    }

    /// The next to start: local ones, then this worker's, then what others gave it.
    ///
    /// Of few the oldest, of many the latest: so that a coroutine that spawns many which spawn many has few of them
    /// waiting, or parked for their children, at a time: depth first. With a million leaves that is the difference
    /// between 40 MiB and 500, and half of the time. Thieves take the oldest, which have the most before them.
    #[inline]
    pub(crate) fn pop(&self, shared: &SharedQueue<T>) -> Option<T> {
        self.pop_local().or_else(|| self.pop_shared(shared))
    }

    #[inline]
    fn pop_local(&self) -> Option<T> {
        let mut local = self.local.borrow_mut();
        if local.len() > CROWD { local.pop_back() } else { local.pop_front() }
    }

    #[inline]
    fn pop_shared(&self, shared: &SharedQueue<T>) -> Option<T> {
        let own = match self.deque.len() {
            0 => None,
            waiting if waiting > CROWD => self.deque.pop(),
            _ => persist(|| shared.spawned.steal()),
        };
        let popped = own.or_else(|| if shared.has_injected() { shared.pop_injected() } else { None });
        popped.inspect(|_| shared.count_popped())
    }

    /// The first to start in a turn: each time from the next of the three queues, if it has one, and the oldest of it,
    /// so that coroutines which spawn others without end keep none of them waiting for ever.
    #[inline]
    pub(crate) fn pop_fairly(&self, shared: &SharedQueue<T>) -> Option<T> {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % 3);
        let favoured = match turn {
            0 if shared.has_injected() => shared.pop_injected(),
            1 if !self.deque.is_empty() => persist(|| shared.spawned.steal()),
            2 => return self.local.borrow_mut().pop_front().or_else(|| self.pop_shared(shared)),
            _ => None,
        };
        match favoured {
            None => self.pop(shared),
            popped => popped.inspect(|_| shared.count_popped()),
        }
    }

    /// Takes at most `limit` of what another worker has to take, and half of either queue at most; whether it was any.
    pub(crate) fn steal(&self, victim: &SharedQueue<T>, limit: u32) -> bool {
        let limit = limit.max(1) as usize;
        persist(|| victim.spawned.steal_batch_with_limit(&self.deque, limit)).is_some()
            || persist(|| victim.injector.steal_batch_with_limit(&self.deque, limit)).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deque.is_empty() && self.local.borrow().is_empty()
    }

    /// How many wait here that others may take: as [`SharedQueue::len`], for the owner.
    pub(crate) fn shared_len(&self, shared: &SharedQueue<T>) -> usize {
        self.deque.len() + shared.injector.len()
    }

    /// How many wait here, not counting what was injected.
    pub(crate) fn len(&self) -> usize {
        self.deque.len() + self.local_len()
    }

    /// How many wait here for this worker only.
    pub(crate) fn local_len(&self) -> usize {
        self.local.borrow().len()
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod model_tests;
