//! Coroutines that have not started: where they are born and where they wait.
//!
//! Owns the fleet (the workers of one runtime, seen from outside), the placement policy, and a worker's own queues
//! of unstarted records. Does not know how one is started.
//!
//! Invariant 1: a record is in exactly one queue until a worker pops it; whoever pops it starts it.
//! Invariant 2: what is in the local queue is never seen by another worker.

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::remote::{RecordRef, Remote, WorkerId};
use crossbeam_deque::Worker as Deque;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A spawn stays on its worker while this worker's load exceeds the least sampled one by no more than this.
const PLACEMENT_THRESHOLD: u32 = 8;

const RUNNING: u32 = 0;
const STOPPING: u32 = 1;

/// The workers of one runtime, as any thread may see them.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// Worker 0 first.
    pub(crate) workers: Box<[Arc<Remote>]>,
    /// `RUNNING` or `STOPPING`.
    phase: AtomicU32,
    /// How many nanoseconds a stop waits for what does not end.
    grace: AtomicU64,
    /// Coroutines spawned here by threads that are none of the workers.
    outside_spawns: AtomicU64,
    /// Turns over the workers, so that samples differ.
    next_sample: AtomicU32,
}

impl Fleet {
    pub(crate) fn new(workers: Box<[Arc<Remote>]>, grace: Duration) -> Fleet {
        Fleet {
            workers,
            phase: AtomicU32::new(RUNNING),
            grace: AtomicU64::new(nanos(grace)),
            outside_spawns: AtomicU64::new(0),
            next_sample: AtomicU32::new(0),
        }
    }

    /// How long a stop waits for what does not end.
    pub(crate) fn grace(&self) -> Duration {
        // ORDERING: Relaxed; set before the end begins, which `stop` publishes.
        Duration::from_nanos(self.grace.load(Ordering::Relaxed))
    }

    /// Tells every worker to end, and how long to wait for what does not.
    pub(crate) fn stop_within(&self, grace: Duration) {
        // ORDERING: Relaxed; published by the Release store in `stop`.
        self.grace.store(nanos(grace), Ordering::Relaxed);
        self.stop();
    }

    /// A thread that is none of the workers spawned a coroutine here.
    pub(crate) fn count_outside_spawn(&self) {
        // ORDERING: Relaxed; a figure publishes nothing but itself. Read in `outside_spawns`.
        self.outside_spawns.fetch_add(1, Ordering::Relaxed);
    }

    /// How many such there were.
    pub(crate) fn outside_spawns(&self) -> u64 {
        // ORDERING: Relaxed; pairs with `count_outside_spawn`.
        self.outside_spawns.load(Ordering::Relaxed)
    }

    /// Tells every worker to end.
    pub(crate) fn stop(&self) {
        // ORDERING: Release; pairs with the Acquire load in `is_stopping`. The handshake in `notify` makes a sleeper
        // look.
        self.phase.store(STOPPING, Ordering::Release);
        self.workers.iter().for_each(|worker| worker.notify());
    }

    /// Whether the end has begun: nothing new is to be spawned.
    pub(crate) fn is_stopping(&self) -> bool {
        // ORDERING: Acquire; pairs with the Release store in `stop`.
        self.phase.load(Ordering::Acquire) == STOPPING
    }

    /// The worker of this name, if it is one of them.
    pub(crate) fn find(&self, id: WorkerId) -> Option<&Remote> {
        self.workers.iter().find(|worker| worker.id == id).map(|worker| &**worker)
    }

    /// Hands a record to the less loaded of two workers; for callers that are not on one of them.
    pub(crate) fn inject(&self, record: RecordRef) {
        let (first, second) = self.sample();
        let target = if second.load() < first.load() { second } else { first };
        target.inject(record);
    }

    /// The worker that should start what a coroutine of `own` spawns, where `own_load` live or wait; `None` for `own`.
    pub(crate) fn place(&self, own: &Remote, own_load: u32) -> Option<&Remote> {
        let (first, second) = self.sample();
        let target = if second.load() < first.load() { second } else { first };
        let stays = target.id == own.id || own_load <= target.load().saturating_add(PLACEMENT_THRESHOLD);
        (!stays).then_some(target)
    }

    fn sample(&self) -> (&Remote, &Remote) {
        // ORDERING: Relaxed; any value will do.
        let turn = self.next_sample.fetch_add(1, Ordering::Relaxed) as usize;
        let count = self.workers.len();
        (&self.workers[turn % count], &self.workers[(turn + 1) % count])
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A worker's own unstarted coroutines.
#[derive(Debug)]
pub(crate) struct SpawnQueue {
    /// Spawned here with `Send`, where there are several workers: what may one day be started by another.
    shared: Deque<RecordRef>,
    /// Spawned here by `spawn_local`, for this worker only (invariant 2).
    local: RefCell<VecDeque<RecordRef>>,
    /// Which of the three queues, the injector included, is favoured next.
    turn: Cell<u8>,
}

/// The oldest of what others gave to this worker.
#[inline]
fn pop_injected(own: &Remote) -> Option<RecordRef> {
    if own.has_injected() { own.pop_injected() } else { None }
}

impl SpawnQueue {
    pub(crate) fn new() -> SpawnQueue {
        SpawnQueue { shared: Deque::new_fifo(), local: RefCell::new(VecDeque::new()), turn: Cell::new(0) }
    }

    pub(crate) fn push(&self, record: RecordRef) {
        self.shared.push(record);
    }

    pub(crate) fn push_local(&self, record: RecordRef) {
        self.local.borrow_mut().push_back(record);
    }

    /// The next to start: local ones, then this worker's, then what others gave it.
    #[inline]
    pub(crate) fn pop(&self, own: &Remote) -> Option<RecordRef> {
        self.pop_local().or_else(|| self.shared.pop()).or_else(|| pop_injected(own))
    }

    /// The first to start in a turn: each time from the next of the three queues, if it has one, so that coroutines which
    /// spawn others without end keep none of them waiting for ever.
    #[inline]
    pub(crate) fn pop_fairly(&self, own: &Remote) -> Option<RecordRef> {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % 3);
        let favoured = match turn {
            0 => pop_injected(own),
            1 => self.shared.pop(),
            _ => None,
        };
        favoured.or_else(|| self.pop(own))
    }

    #[inline]
    fn pop_local(&self) -> Option<RecordRef> {
        self.local.borrow_mut().pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.local.borrow().is_empty()
    }

    /// Records waiting here, not counting the injector.
    pub(crate) fn len(&self) -> usize {
        self.shared.len() + self.local.borrow().len()
    }
}
