//! The threads of a runtime's workers, from their start to their end.
//!
//! Owns how a worker's loop is entered and left, what is said of what could not be ended, and where a pinned worker runs.
//! Knows nothing of who asked for a runtime.
//!
//! What could not be ended is told on standard error, not to a logger: it must be seen where none is installed.
//!
//! Invariant 1: a worker that has ended closes its public half, which from then on refuses what it is given. That of one
//! that does not end is closed by whoever gives up waiting for it.

#![allow(unsafe_code)]

use crate::current;
use crate::fleet::Fleet;
use crate::listed;
use crate::long_run::Report;
use crate::park;
use crate::remote::{Origin, RecordRef, Remote};
use crate::roster::Identity;
use crate::spawned::{Output, Spawned};
use crate::sync::mpmc::{Receiver, RecvTimeoutError, Sender, channel};
use crate::sys::affinity::CpuSet;
use crate::sys::fault::AlternateStack;
use crate::worker::{Worker, WorkerSettings};
use std::io::{self, Write};
use std::panic::Location;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much longer than a worker's own grace its thread is waited for.
const LATE_THREAD: Duration = Duration::from_millis(500);

/// Bytes of stack for telling of a long run: what a logger needs is not the user's to guess.
const REPORT_STACK: u32 = 256 << 10;

/// Runs a worker on this thread to its end, and names what it leaks.
pub(crate) fn run_worker(worker: &Worker) {
    let bomb = AbortOnUnwind;
    let entered = current::enter(worker);
    let shown = worker.show();
    worker.run();
    drop(shown);
    drop(entered);
    std::mem::forget(bomb);
    current::losing(|| lose_rest(worker));
    worker.publish_end();
}

/// Names what did not end and drops what did not start, one after the other. No coroutine does that, since the time for those is
/// over; nobody else can, since it may be bound to this thread.
fn lose_rest(worker: &Worker) {
    for record in worker.leak_rest() {
        let who = Identity { name: record.name().map(Box::from), spawned_at: record.spawned_at };
        let grace = worker.fleet.grace();
        report(format_args!("{who}, did not end within {grace:?} of shutdown and is leaked"));
        record.lose();
    }
    worker.remote.close();
}

/// Tells the user. Where standard error is closed, nobody hears.
fn report(message: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "dormouse: {message}");
}

/// A worker that panics is a defect of ours; its coroutines would hang for ever.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        report(format_args!("a worker panicked, aborting"));
        std::process::abort();
    }
}

/// A report that is made when it is dropped: by its coroutine or, at the end of a runtime, instead of it.
struct Told(Report);

impl Drop for Told {
    fn drop(&mut self) {
        log::warn!(target: "dormouse", "{}", self.0);
    }
}

/// The coroutine that tells of a long run: a logger is the user's code, and may park.
pub(crate) fn reporter(report: Report) -> RecordRef {
    let told = Told(report);
    let origin = Origin {
        id: current::fresh_id(),
        name: Some("report of a long run".into()),
        stack_size: REPORT_STACK,
        spawned_at: Location::caller(),
    };
    detached(origin, move || drop(told))
}

/// The record of a coroutine that nobody joins.
fn detached<F: FnOnce() + Send + 'static>(origin: Origin, f: F) -> RecordRef {
    // SAFETY: such a body borrows nothing.
    let record = unsafe { RecordRef::new_borrowing(origin, Spawned::new(f, ()), |_| None) };
    let (queued, held) = record.double();
    // SAFETY: the table is that of the body made above, and there is no other holder.
    let finished = unsafe { Output::of::<F, (), ()>().detach(&held) };
    debug_assert!(!finished, "it has not even been queued");
    queued
}

/// Where workers run that are pinned.
#[derive(Clone, Debug)]
pub(crate) struct Pins(CpuSet);

impl Pins {
    /// The processors of the calling thread; of a pinned worker those that it had before.
    pub(crate) fn of_this_thread() -> io::Result<Pins> {
        let unpinned = current::with_worker(|worker| worker.and_then(|worker| worker.unpinned.clone()));
        unpinned.map_or_else(CpuSet::of_this_thread, Ok).map(Pins)
    }

    /// Pins the calling thread, which is to run the worker of this index.
    pub(crate) fn pin(&self, index: usize) -> io::Result<()> {
        self.0.only(index).apply()
    }

    /// What a thread could run on before it was pinned.
    pub(crate) fn all(&self) -> &CpuSet {
        &self.0
    }
}

/// The calling thread pinned, for as long as the value lives.
pub(crate) struct Pinned(Pins);

impl Pinned {
    /// Pins it to the first core.
    pub(crate) fn first(pins: &Pins) -> io::Result<Pinned> {
        pins.pin(0)?;
        Ok(Pinned(pins.clone()))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Fails if none of them is left to this thread, which then stays where it is.
        let _ = self.0.all().apply();
    }
}

/// What the threads of one runtime are made with.
pub(crate) struct Plan<'a> {
    /// The workers of the runtime.
    pub(crate) fleet: &'a Arc<Fleet>,
    /// What each of them is to be.
    pub(crate) worker: &'a WorkerSettings,
    /// Where they run, if they are pinned.
    pub(crate) pins: Option<&'a Pins>,
    /// Threads are named `prefix-1`, `prefix-2` and so on.
    pub(crate) name_prefix: &'a str,
}

/// The worker threads beside the caller's. Dropped before it was waited for, it is, if it ends, by a thread of its own: those who
/// join what a worker keeps that never ends are told by whoever gives that up.
#[derive(Debug)]
pub(crate) struct Crew {
    /// All workers.
    fleet: Arc<Fleet>,
    /// Their workers and their handles.
    threads: Vec<(Arc<Remote>, JoinHandle<()>)>,
    /// Disconnected once all have ended.
    ended: Receiver<()>,
}

impl Crew {
    /// Starts all workers.
    pub(crate) fn start(plan: &Plan<'_>) -> io::Result<Crew> {
        Crew::start_from(0, plan, None)
    }

    /// Starts all but the caller's. The first of them, when it has ended, looks after the caller's, if that says by `caller`
    /// that it runs, until `caller` is disconnected: nobody else could tell what keeps that one.
    pub(crate) fn start_others(plan: &Plan<'_>, caller: Receiver<()>) -> io::Result<Crew> {
        Crew::start_from(1, plan, Some(caller))
    }

    /// If one fails, those already there are ended and the error returned.
    fn start_from(first: usize, plan: &Plan<'_>, mut caller: Option<Receiver<()>>) -> io::Result<Crew> {
        let (alive, ended) = channel();
        let mut crew = Crew { fleet: Arc::clone(plan.fleet), threads: Vec::new(), ended };
        for index in first..plan.fleet.workers.len() {
            match start_thread(index, plan, alive.clone(), caller.take()) {
                Ok(thread) => crew.threads.push((Arc::clone(&plan.fleet.workers[index]), thread)),
                Err(error) => {
                    drop(alive);
                    plan.fleet.stop();
                    crew.end(plan.fleet.grace());
                    return Err(error);
                }
            }
        }
        Ok(crew)
    }

    /// Waits for the threads, `grace` having begun now; one whose coroutine never yields is named and left running.
    pub(crate) fn end(mut self, grace: Duration) {
        let patience = grace.saturating_add(LATE_THREAD);
        let start = Instant::now();
        let timed_out = self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
        if timed_out && start.elapsed() < patience {
            // It is the caller who was told to wait no longer: the Drop sees to the rest.
            return;
        }
        let threads = std::mem::take(&mut self.threads);
        if timed_out {
            report_stuck(&threads);
        } else {
            threads.into_iter().for_each(|(_, thread)| _ = thread.join());
        }
    }
}

/// Where no thread is to be had, those joiners wait on.
impl Drop for Crew {
    fn drop(&mut self) {
        if self.threads.is_empty() || !self.fleet.is_stopping() {
            return;
        }
        let (fleet, threads) = (Arc::clone(&self.fleet), std::mem::take(&mut self.threads));
        let (grace, rest) = (fleet.grace(), Crew { fleet, threads, ended: self.ended.clone() });
        let _ = std::thread::Builder::new().name("dormouse-end".into()).spawn(move || rest.end(grace));
    }
}

fn report_stuck(threads: &[(Arc<Remote>, JoinHandle<()>)]) {
    for (remote, thread) in threads.iter().filter(|(_, thread)| !thread.is_finished()) {
        let name = thread.thread().name().unwrap_or("<unnamed>");
        let others = remote.counters.kept.read().saturating_sub(1);
        match remote.shown.who_runs() {
            Some(who) => report(format_args!(
                "worker '{name}' runs {who}, which does not yield; the thread is left running, and {others} other \
                 coroutines of it are leaked"
            )),
            None => report(format_args!("worker '{name}' does not come to its end; the thread is left running")),
        }
    }
    give_up(threads.iter().filter(|(_, thread)| !thread.is_finished()).map(|(remote, _)| Arc::clone(remote)).collect());
}

/// What these workers keep is nobody else's any more: its joiners are to hear of it. That drops closures of the user's, which may
/// wait: it has a thread of its own for that, for which the caller waits no longer than for one that is late. Where none is to be
/// had, the caller does it.
fn give_up(workers: Vec<Arc<Remote>>) {
    let (gives_up, done) = channel::<()>();
    let workers = Arc::new(workers);
    let given = Arc::clone(&workers);
    let helper = std::thread::Builder::new().name("dormouse-end".into()).spawn(move || {
        lose_all(&given);
        drop(gives_up);
    });
    match helper {
        Ok(_) => _ = done.recv_timeout(LATE_THREAD),
        Err(_) => lose_all(&workers),
    }
}

fn lose_all(workers: &[Arc<Remote>]) {
    workers.iter().for_each(|worker| worker.give_up());
    listed::wake_all();
    current::losing(|| workers.iter().for_each(|worker| worker.lose_unstarted()));
}

/// Looks after the worker of whoever called `run`, as long as a crew is looked after.
fn watch_caller(caller: &Receiver<()>, fleet: &Fleet) {
    if caller.try_recv().is_err() {
        return;
    }
    if caller.recv_timeout(fleet.grace().saturating_add(LATE_THREAD)) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    if let Some(who) = fleet.workers[0].shown.who_runs() {
        report(format_args!("the thread that called `run` runs {who}, which does not yield; `run` waits for it"));
        give_up(vec![Arc::clone(&fleet.workers[0])]);
    }
}

/// Starts one worker thread, and waits until its worker is made.
fn start_thread(
    index: usize,
    plan: &Plan<'_>,
    alive: Sender<()>,
    caller: Option<Receiver<()>>,
) -> io::Result<JoinHandle<()>> {
    let (made, answer) = channel();
    let (fleet, settings, pins) = (Arc::clone(plan.fleet), plan.worker.clone(), plan.pins.cloned());
    let thread = std::thread::Builder::new().name(format!("{}-{index}", plan.name_prefix)).spawn(move || {
        let fleet = &fleet;
        run_thread(index, fleet, &settings, pins.as_ref(), &made);
        if let Some(caller) = caller.filter(|_| fleet.is_stopping()) {
            watch_caller(&caller, fleet);
        }
        drop(alive);
    })?;
    // Not to be left with a thread that nobody knows of.
    match park::shielded(|| answer.recv()) {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => {
            let _ = thread.join();
            Err(error)
        }
        Err(_) => Err(io::Error::other("a worker thread ended before it had started")),
    }
}

fn run_thread(
    index: usize,
    fleet: &Arc<Fleet>,
    settings: &WorkerSettings,
    pins: Option<&Pins>,
    made: &Sender<io::Result<()>>,
) {
    let make = || {
        pins.map_or(Ok(()), |pins| pins.pin(index))?;
        let alternate = AlternateStack::install()?;
        Ok((Worker::new(Arc::clone(&fleet.workers[index]), Arc::clone(fleet), settings)?, alternate))
    };
    match make() {
        Ok((worker, _alternate)) => {
            let _ = made.send(Ok(()));
            run_worker(&worker);
        }
        Err(error) => {
            let _ = made.send(Err(error));
        }
    }
}
