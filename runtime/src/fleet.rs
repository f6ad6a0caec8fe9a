//! The workers of one runtime, seen from outside.
//!
//! Owns who they are, whether they are to end, and who is given or called for what was spawned: `placement` and `idle`
//! applied to the workers there are.

use crate::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::idle::Idle;
use crate::placement::{self, Share};
use crate::remote::{RecordRef, Remote, WorkerId};
use std::sync::Arc;
use std::time::Duration;

const RUNNING: u32 = 0;
const STOPPING: u32 = 1;
/// This process is a child of fork(2), and the fleet its parent's.
const INHERITED: u32 = 2;

/// The workers of one runtime, as any thread may see them.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// Worker 0 first.
    pub(crate) workers: Box<[Arc<Remote>]>,
    /// Who of them sleeps, and who searches.
    pub(crate) idle: Idle,
    /// `RUNNING`, `STOPPING` or `INHERITED`.
    phase: AtomicU32,
    /// How many nanoseconds a stop waits for what does not end.
    grace: AtomicU64,
    /// Coroutines spawned here by threads that are none of the workers; with each, it is another worker's turn.
    outside_spawns: AtomicU64,
    /// Somebody asks how long its queues are.
    watched: AtomicBool,
}

impl Fleet {
    pub(crate) fn new(workers: Box<[Arc<Remote>]>, grace: Duration) -> Fleet {
        let idle = Idle::new(workers.len());
        Fleet {
            workers,
            idle,
            phase: AtomicU32::new(RUNNING),
            grace: AtomicU64::new(nanos(grace)),
            outside_spawns: AtomicU64::new(0),
            watched: AtomicBool::new(false),
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

    /// How many coroutines threads that are none of the workers have spawned here.
    pub(crate) fn outside_spawns(&self) -> u64 {
        // ORDERING: Relaxed; a figure publishes nothing but itself. Counted in `inject`.
        self.outside_spawns.load(Ordering::Relaxed)
    }

    /// From now on the workers measure how long their queues are.
    pub(crate) fn watch(&self) {
        if !self.is_watched() {
            // ORDERING: Relaxed; a worker sees it some turn. Read in `is_watched`.
            self.watched.store(true, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        // ORDERING: Relaxed; pairs with the store in `watch`.
        self.watched.load(Ordering::Relaxed)
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
        self.phase.load(Ordering::Acquire) != RUNNING
    }

    /// Whether it stayed with a process that this one descends from: nobody runs it here. For callers that may be none of its
    /// workers; those are told by `disown`.
    pub(crate) fn is_inherited(&self) -> bool {
        self.workers[0].id.is_inherited()
    }

    /// In a child of fork(2), made by one of the workers: nothing is to be spawned. Async-signal-safe.
    pub(crate) fn disown(&self) {
        // ORDERING: Relaxed; there is no other thread.
        self.phase.store(INHERITED, Ordering::Relaxed);
    }

    /// The worker of this name, if it is one of them.
    pub(crate) fn find(&self, id: WorkerId) -> Option<&Remote> {
        self.workers.iter().find(|worker| worker.id == id).map(|worker| &**worker)
    }

    /// Which of them `worker` is.
    pub(crate) fn index_of(&self, worker: &Remote) -> usize {
        self.workers.iter().position(|other| other.id == worker.id).expect("a worker of this fleet")
    }

    /// Hands a record to the less loaded of two workers; for callers that are not on one of them.
    pub(crate) fn inject(&self, record: RecordRef) {
        // ORDERING: Relaxed; any value will do for a turn. As a figure, read in `outside_spawns`.
        let turn = self.outside_spawns.fetch_add(1, Ordering::Relaxed);
        let (first, second) = placement::sample(turn as u32, self.workers.len(), None);
        self.give(self.lighter(first, second), record);
    }

    /// The worker that should start what a coroutine of worker `own` spawns, where `own_load` live or wait; `None` for
    /// `own`.
    pub(crate) fn place(&self, turn: u32, own: usize, own_load: u32) -> Option<usize> {
        if placement::stays(own_load, 0) {
            return None;
        }
        let (first, second) = placement::sample(turn, self.workers.len(), Some(own));
        let lighter = self.lighter(first, second);
        (!placement::stays(own_load, self.workers[lighter].unstarted.load())).then_some(lighter)
    }

    /// Queues a record at this worker. If it runs, it may run for long: then somebody who sleeps is called.
    pub(crate) fn give(&self, worker: usize, record: RecordRef) {
        if !self.workers[worker].inject(record) {
            self.called(
                self.idle.call_announced(|first, second| self.lighter(first, second), || self.has_unstarted(None)),
            );
        }
    }

    /// After something was queued that any worker may start: wakes one that sleeps, if nobody searches.
    #[inline]
    pub(crate) fn call(&self) {
        self.called(self.idle.call(|first, second| self.lighter(first, second), || self.has_unstarted(None)));
    }

    #[inline]
    fn called(&self, sleeper: Option<usize>) {
        if let Some(sleeper) = sleeper {
            self.workers[sleeper].notify();
        }
    }

    /// As `call`, by worker `own`, which searched or kept an eye on what waits and does no longer. Whether something
    /// waits for others in its own queue, it says itself.
    pub(crate) fn call_again(&self, own: usize, spares: bool) {
        let lighter = |first, second| self.lighter(first, second);
        self.called(self.idle.call_again(lighter, || spares || self.has_unstarted(Some(own))));
    }

    fn lighter(&self, first: usize, second: usize) -> usize {
        let load = |index: usize| self.workers[index].unstarted.load();
        if first != second && load(second) < load(first) { second } else { first }
    }

    /// Whether something waits that any worker may start, but for one's. Once the end has begun, each starts its own.
    fn has_unstarted(&self, but_for: Option<usize>) -> bool {
        let mut waits = self.workers.iter().enumerate().filter(|(_, worker)| !worker.unstarted.is_empty());
        !self.is_stopping() && waits.any(|(index, _)| Some(index) != but_for)
    }

    /// What a worker with a load of `own` that has nothing to run may take from `victim`. See [`placement::share`].
    pub(crate) fn share(&self, victim: usize, own: u32, stuck: bool) -> Share {
        let queue = &self.workers[victim].unstarted;
        match queue.len() {
            0 => Share::Nothing,
            waiting => placement::share(waiting, queue.load(), own, stuck),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
