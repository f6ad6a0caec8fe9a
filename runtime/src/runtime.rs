//! Start and end of a runtime, and the default one.
//!
//! Owns the worker threads. Knows how a worker is made and when all have ended, nothing of what they run.
//!
//! Invariant 1: `run` returns, by whatever way, only when its own closure is done and the calling thread's worker has
//! ended, so the closure may borrow from the caller.
//! Invariant 2: a worker that has ended closes its public half, which from then on refuses what it is given.

#![allow(unsafe_code)]

use crate::current;
use crate::fleet::Fleet;
use crate::fork::{self, PerProcess};
use crate::lock::Lock;
use crate::remote::{Origin, RecordRef, Remote};
use crate::spawned::{Output, Spawned};
use crate::stack::{self, GuardKind, StackSettings};
use crate::sys::fault::{self, AlternateStack};
use crate::sys::membarrier;
use crate::worker::{Unwinding, Worker};
use std::cell::Cell;
use std::io::{self, Write};
use std::panic::Location;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How much longer than a worker's own grace its thread is waited for.
const LATE_THREAD: Duration = Duration::from_millis(500);

/// What a runtime is to be.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// OS threads that run coroutines, the caller's included.
    pub(crate) workers: usize,
    /// Bytes of the first coroutine's stack.
    pub(crate) main_stack_size: usize,
    /// Every other stack.
    pub(crate) stacks: StackSettings,
    /// Worker threads are named `prefix-1`, `prefix-2` and so on.
    pub(crate) name_prefix: String,
    /// How long the end waits for what does not end.
    pub(crate) shutdown_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            workers: 1,
            main_stack_size: 1 << 20,
            stacks: StackSettings { stack_size: stack::DEFAULT_SIZE, guard_size: 4096, guard_kind: GuardKind::Auto },
            name_prefix: "dormouse".into(),
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}

/// Runs `f` as the first coroutine of a runtime on the calling thread. See `Builder::run`.
#[track_caller]
pub(crate) fn run<F, T>(settings: &Settings, f: F) -> io::Result<T>
where
    F: FnOnce() -> T,
{
    let nested = current::with_worker(|worker| worker.is_some());
    assert!(!nested, "run was called inside a runtime: call the function directly, or spawn it");
    let origin = main_origin(settings, Location::caller())?;
    let fleet = make_fleet(settings)?;
    let worker = Worker::new(Arc::clone(&fleet.workers[0]), Arc::clone(&fleet), settings.stacks)?;
    let alternate = AlternateStack::install()?;
    let crew = Crew::start(settings, &fleet)?;
    let (called, stopping) = (&Cell::new(false), StopOnDrop(Arc::clone(&fleet)));
    // Boxed apart: a closure of any size then runs from where it is, whatever the main stack's size.
    let f: Box<dyn FnOnce() -> T + '_> = Box::new(f);
    let main = move || {
        let _stopping = stopping;
        called.set(true);
        f()
    };
    // SAFETY: the record outlives the closure's borrows only as an empty shell: by invariant 1 the closure and its result are
    // taken out of it before this function returns.
    let (record, wait) = unsafe { main_record(origin, main) };
    worker.spawn_local(record.clone());
    run_worker(&worker);
    crew.end(&fleet);
    drop(worker);
    drop(alternate);
    let result = wait(&record);
    // SAFETY: the result was taken just now, which is once.
    drop(unsafe { record.release_with_runners() });
    match result {
        Ok(value) => Ok(value),
        Err(payload) if called.get() => std::panic::resume_unwind(payload),
        Err(payload) => {
            Err(payload.downcast().map_or_else(|_| io::Error::other("no stack for the main coroutine"), |e| *e))
        }
    }
}

/// The first coroutine's record, and what waits for its result.
///
/// # Safety
///
/// The record's body holds nothing any more when the closure's borrows end.
unsafe fn main_record<F: FnOnce() -> T, T>(
    origin: Origin,
    main: F,
) -> (RecordRef, fn(&RecordRef) -> std::thread::Result<T>) {
    // SAFETY: the caller's word.
    let record = unsafe { RecordRef::new_borrowing(origin, Spawned::new(main, ()), |_| None) };
    // SAFETY: called with this record only, whose body is of this type, and once, by the only holder.
    (record, |record| unsafe { Output::of::<F, T, ()>().wait(record) })
}

fn main_origin(settings: &Settings, spawned_at: &'static Location<'static>) -> io::Result<Origin> {
    let size = stack::size_for_guarded(settings.main_stack_size, settings.stacks.guard_size)?;
    Ok(Origin { id: current::fresh_id(), name: Some("main".into()), stack_size: size as u32, spawned_at })
}

fn make_fleet(settings: &Settings) -> io::Result<Arc<Fleet>> {
    if settings.workers == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a runtime needs at least one worker"));
    }
    fork::install(current::forked)?;
    membarrier::register();
    let workers: io::Result<Box<[_]>> = (0..settings.workers).map(|_| Remote::open()).collect();
    fault::install(current::explain_fault);
    Ok(Arc::new(Fleet::new(workers?, settings.shutdown_timeout)))
}

/// Begins the end of the runtime when the first coroutine is done, however that comes about.
struct StopOnDrop(Arc<Fleet>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Runs a worker on this thread to its end, and names what it leaks.
fn run_worker(worker: &Worker) {
    let bomb = AbortOnUnwind;
    let entered = current::enter(worker);
    worker.run();
    drop(entered);
    std::mem::forget(bomb);
    for record in worker.leak_rest() {
        report(format_args!(
            "coroutine '{}', spawned at {}, did not end within {:?} of shutdown and is leaked",
            record.display_name(),
            record.spawned_at,
            worker.fleet.grace,
        ));
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

/// The worker threads beside the caller's.
struct Crew {
    /// Their handles.
    threads: Vec<JoinHandle<()>>,
    /// Disconnected once all have ended.
    ended: Receiver<()>,
}

impl Crew {
    /// Starts workers 1 and up; if one fails, those already there are ended and the error returned.
    fn start(settings: &Settings, fleet: &Arc<Fleet>) -> io::Result<Crew> {
        let (alive, ended) = channel();
        let mut crew = Crew { threads: Vec::new(), ended };
        for index in 1..fleet.workers.len() {
            let started = start_thread(index, settings, fleet, alive.clone());
            match started {
                Ok(thread) => crew.threads.push(thread),
                Err(error) => {
                    drop(alive);
                    fleet.stop();
                    crew.end(fleet);
                    return Err(error);
                }
            }
        }
        Ok(crew)
    }

    /// Waits for the threads; one whose coroutine never yields is named and left running.
    fn end(self, fleet: &Fleet) {
        let patience = fleet.grace.saturating_add(LATE_THREAD);
        if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            report_stuck(&self.threads);
        } else {
            self.threads.into_iter().for_each(|thread| {
                let _ = thread.join();
            });
        }
    }
}

fn report_stuck(threads: &[JoinHandle<()>]) {
    for thread in threads.iter().filter(|thread| !thread.is_finished()) {
        let name = thread.thread().name().unwrap_or("<unnamed>");
        report(format_args!("worker '{name}' runs a coroutine that does not yield; the thread is left running"));
    }
}

/// Starts one worker thread, and waits until its worker is made.
fn start_thread(
    index: usize,
    settings: &Settings,
    fleet: &Arc<Fleet>,
    alive: Sender<()>,
) -> io::Result<JoinHandle<()>> {
    let (made, answer) = channel();
    let (fleet, stacks) = (Arc::clone(fleet), settings.stacks);
    let thread = std::thread::Builder::new().name(format!("{}-{index}", settings.name_prefix)).spawn(move || {
        run_thread(index, fleet, stacks, &made);
        drop(alive);
    })?;
    match answer.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => {
            let _ = thread.join();
            Err(error)
        }
        Err(_) => Err(io::Error::other("a worker thread ended before it had started")),
    }
}

fn run_thread(index: usize, fleet: Arc<Fleet>, stacks: StackSettings, made: &Sender<io::Result<()>>) {
    let parts = AlternateStack::install()
        .and_then(|alternate| Ok((Worker::new(Arc::clone(&fleet.workers[index]), fleet, stacks)?, alternate)));
    match parts {
        Ok((worker, _alternate)) => {
            let _ = made.send(Ok(()));
            run_worker(&worker);
        }
        Err(error) => {
            let _ = made.send(Err(error));
        }
    }
}

/// Whether `worker` takes new coroutines: during shutdown only from a Drop that runs in an unwind, where an error or a
/// panic would abort. Such a coroutine only drops its closure.
pub(crate) fn may_spawn(worker: &Worker) -> io::Result<()> {
    if worker.is_orphan() {
        return Err(io::Error::other(fork::DEAD));
    }
    if worker.fleet.is_stopping() && worker.unwinding() == Unwinding::No {
        return Err(io::Error::other("the runtime is shutting down"));
    }
    Ok(())
}

/// Queues a record on the caller's runtime, that of `worker`, or on the default one; one that cannot be queued is refused here, so that its
/// closure is dropped, as std does.
#[inline]
pub(crate) fn spawn(worker: Option<&Worker>, record: RecordRef) -> io::Result<()> {
    match worker {
        Some(worker) if !worker.fleet.is_stopping() => {
            worker.spawn(record);
            Ok(())
        }
        worker => spawn_cold(worker, record),
    }
}

#[cold]
fn spawn_cold(worker: Option<&Worker>, record: RecordRef) -> io::Result<()> {
    let queued = match worker {
        Some(worker) => may_spawn(worker).map(|()| worker.spawn(record.clone())),
        None => default_fleet().map(|fleet| fleet.inject(record.clone())),
    };
    if queued.is_err() {
        record.lose();
    }
    queued
}

/// The runtime of background workers for those who call `spawn` without `run`; lives until the process ends. A child of
/// fork(2) has none if its parent had one.
fn default_fleet() -> io::Result<Arc<Fleet>> {
    static DEFAULT: PerProcess<Lock<Option<Arc<Fleet>>>> = PerProcess::new();
    if DEFAULT.is_inherited() {
        return Err(io::Error::other(fork::DEAD));
    }
    let mut default = DEFAULT.get(|| Lock::new(None)).lock();
    if let Some(fleet) = &*default {
        return Ok(Arc::clone(fleet));
    }
    let fleet = start_default()?;
    *default = Some(Arc::clone(&fleet));
    Ok(fleet)
}

fn start_default() -> io::Result<Arc<Fleet>> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = &Settings { workers: count, ..Settings::default() };
    let fleet = make_fleet(settings)?;
    let (alive, _ended) = channel();
    for index in 0..count {
        if let Err(error) = start_thread(index, settings, &fleet, alive.clone()) {
            fleet.stop();
            return Err(error);
        }
    }
    Ok(fleet)
}
