//! What a runtime is doing, in figures.
//!
//! Every worker counts for itself, in words that only it writes; reading them stops nobody and takes no lock of a worker's.
//! So the figures of one [`Metrics`] are not of one instant:
//!
//! * **Counts** (`spawns`, `wakes`, `polls` and so on) are exact as of a moment ago and never go back. `resumes` and the
//!   gauges are published once a turn, which is at most 64 resumes long; a worker that sleeps has published its last.
//! * **Gauges** (`live`, `ready`, `parked`, `unstarted`, the stacks' bytes) of different workers, or of one worker read while
//!   it publishes, may be a turn apart: sums of them may be off by what happened in that turn.
//! * Of the worker that the caller runs on everything is of this very moment.
//! * `stack_bytes_resident` is asked of the kernel by [`metrics()`]: 0.2 us for each stack of 64 KiB.
//!
//! Owns the public figures. Does not know how they are counted: `counters.rs` does.

use crate::counters::Counters;
use crate::fleet::Fleet;
use crate::remote::Remote;
use crate::{blocking, current, runtime, stack};
use std::sync::Arc;
use std::time::Duration;

/// What a runtime is doing; see the [module](self) for which figures are exact.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{Builder, metrics, thread};
///
/// let figures = Builder::new().workers(2).run(|| {
///     let waiting = thread::spawn(thread::park);
///     thread::yield_now();
///     let figures = metrics();
///     waiting.thread().unpark();
///     figures
/// })?;
/// assert_eq!(figures.workers.len(), 2);
/// assert_eq!(figures.total.spawns, 2); // The closure given to `run` counts, too.
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Each worker, the first being the thread that called `run`, if one did.
    pub workers: Vec<WorkerMetrics>,
    /// All of them together: sums, and the longest of the longest runs. Spawns by threads that are none of the workers are in
    /// here only.
    pub total: WorkerMetrics,
    /// The threads for calls that block, which all runtimes of the process share.
    pub blocking: BlockingMetrics,
}

/// What one worker is doing, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Coroutines that have started and not ended: those that are ready, those that are parked, and the one that runs.
    pub live: usize,
    /// Coroutines that could run.
    pub ready: usize,
    /// Coroutines that wait for something.
    pub parked: usize,
    /// Coroutines that wait for their start.
    pub unstarted: usize,
    /// Coroutines spawned so far, by coroutines of this worker. Reports of long runs are coroutines, but do not count.
    pub spawns: u64,
    /// Of those, how many were given to another worker at their birth, which had less to do.
    pub placements: u64,
    /// Unstarted coroutines that this worker took from others.
    pub steals: u64,
    /// How often a coroutine was given the thread, its start included.
    pub resumes: u64,
    /// How often the poller was looked at, to sleep or in passing: calls of epoll_pwait2(2).
    pub polls: u64,
    /// Coroutines that were parked and made ready by another one of this worker: woken, unparked, cancelled.
    pub local_wakes: u64,
    /// Coroutines that were parked and made ready by a message of another thread.
    pub remote_wakes: u64,
    /// Coroutines that were parked and made ready by the poller: their socket was ready.
    pub io_wakes: u64,
    /// Deadlines of parked coroutines that passed.
    pub timer_expiries: u64,
    /// Bytes of address space reserved for stacks.
    pub stack_bytes_mapped: usize,
    /// Bytes of them that are in memory: used since they were last given back.
    pub stack_bytes_resident: usize,
    /// Bytes of stacks that nobody uses and that keep their memory for the next coroutine.
    pub stack_bytes_cached: usize,
    /// The longest time for which a coroutine kept the worker to itself, as far as is known: the clock is not read for each
    /// one, so it may be the time of up to 64 short ones together.
    pub longest_run: Duration,
    /// How often that took longer than [`Builder::long_run`](crate::Builder::long_run) allows, reported or not.
    pub long_runs: u64,
}

/// The threads that make calls which block, for coroutines that wait for them. See [`blocking`](mod@blocking).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockingMetrics {
    /// Threads there are.
    pub threads: usize,
    /// How many of them wait for a call.
    pub idle: usize,
    /// Calls that wait for a thread.
    pub queued: usize,
}

/// The figures of the caller's runtime. On a plain thread, those of the default runtime; without workers if that has not been
/// started. Of another runtime its [`Handle`](crate::Handle::metrics) tells. In a child of fork(2), a runtime of the parent has
/// no workers.
///
/// # Blocking
///
/// Never parks. Asks the kernel which pages of the stacks are resident: 0.2 us for each stack of 64 KiB.
///
/// # Examples
///
/// ```
/// assert!(dormouse_runtime::metrics().workers.is_empty());
/// let live = dormouse_runtime::run(|| dormouse_runtime::metrics().total.live);
/// assert_eq!(live, 1);
/// ```
#[must_use]
pub fn metrics() -> Metrics {
    let own = current::with_coroutine(|worker| worker.map(|worker| Arc::clone(&worker.fleet)));
    own.or_else(runtime::started_default).map_or_else(Metrics::of_none, |fleet| Metrics::of(&fleet))
}

impl Metrics {
    /// Those of a runtime. One that was inherited has none: its locks may be held for ever.
    pub(crate) fn of(fleet: &Fleet) -> Metrics {
        if fleet.is_inherited() {
            return Metrics::of_none();
        }
        current::publish_figures();
        let workers: Vec<_> = fleet.workers.iter().map(|worker| WorkerMetrics::of(worker)).collect();
        let mut total = WorkerMetrics { spawns: fleet.outside_spawns(), ..WorkerMetrics::default() };
        workers.iter().for_each(|worker| total.add(worker));
        Metrics { workers, total, ..Metrics::of_none() }
    }

    fn of_none() -> Metrics {
        let blocking::Depth { threads, idle, queued } = blocking::depth();
        Metrics { blocking: BlockingMetrics { threads, idle, queued }, ..Metrics::default() }
    }
}

impl WorkerMetrics {
    fn of(worker: &Remote) -> WorkerMetrics {
        let counters: &Counters = &worker.counters;
        WorkerMetrics {
            live: counters.live.read() as usize,
            ready: counters.ready.read() as usize,
            parked: counters.parked.read() as usize,
            unstarted: counters.unstarted.read() as usize + worker.injected(),
            spawns: counters.spawns.read(),
            placements: counters.placements.read(),
            steals: counters.steals.read(),
            resumes: counters.resumes.read(),
            polls: counters.polls.read(),
            local_wakes: counters.local_wakes.read(),
            remote_wakes: counters.remote_wakes.read(),
            io_wakes: counters.io_wakes.read(),
            timer_expiries: counters.timer_expiries.read(),
            stack_bytes_mapped: counters.stacks_mapped.read() as usize,
            stack_bytes_resident: stack::resident(&counters.slabs()),
            stack_bytes_cached: counters.stacks_cached.read() as usize,
            longest_run: Duration::from_nanos(counters.longest_run.read()),
            long_runs: counters.long_runs.read(),
        }
    }

    fn add(&mut self, other: &WorkerMetrics) {
        self.live += other.live;
        self.ready += other.ready;
        self.parked += other.parked;
        self.unstarted += other.unstarted;
        self.spawns += other.spawns;
        self.placements += other.placements;
        self.steals += other.steals;
        self.resumes += other.resumes;
        self.polls += other.polls;
        self.local_wakes += other.local_wakes;
        self.remote_wakes += other.remote_wakes;
        self.io_wakes += other.io_wakes;
        self.timer_expiries += other.timer_expiries;
        self.stack_bytes_mapped += other.stack_bytes_mapped;
        self.stack_bytes_resident += other.stack_bytes_resident;
        self.stack_bytes_cached += other.stack_bytes_cached;
        self.longest_run = self.longest_run.max(other.longest_run);
        self.long_runs += other.long_runs;
    }
}
