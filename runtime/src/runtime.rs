//! Start and end of a runtime, and the default one.
//!
//! Owns what a runtime is made with and who may spawn into it. `crew.rs` owns the threads; nothing here knows what they run.
//!
//! Invariant 1: `run` returns, by whatever way, only when its own closure is done and the calling thread's worker has
//! ended, so the closure may borrow from the caller.
//!
//! That holds although the end leaks what does not end in time, and leaves behind a worker that a coroutine keeps. What may use the
//! caller's frames is the closure, what it has captured, and coroutines of scopes that these have opened; and no scope is left
//! before its coroutines have ended. The end begins when the last of it is over: `StopOnDrop` is dropped after the frames of the
//! closure, whether it returned or unwound, and after its captures, if it was refused for want of a stack. Before that nothing
//! is cancelled, given up or leaked, however long it takes; after that whoever still runs, or is leaked, has what it
//! borrows from leaked stacks, which are never freed, or for `'static`. The result may borrow from the caller, too, but
//! nobody uses it before it is here; of a main coroutine that is leaked in the Drop of a coroutine-local value it is
//! leaked as well, and `run` unwinds.

#![allow(unsafe_code)]

use crate::cancel::Frame;
use crate::crew::{self, Crew, Pinned, Pins, Plan};
use crate::current;
use crate::fleet::Fleet;
use crate::fork::{self, PerProcess};
use crate::lock::Lock;
use crate::once_arc::OnceArc;
use crate::remote::{Origin, RecordRef, Remote};
use crate::spawned::{Output, Spawned};
use crate::stack::{self, GuardKind, StackSettings};
use crate::sync::mpmc::channel;
use crate::sys::fault::{self, AlternateStack};
use crate::sys::membarrier;
use crate::worker::{Unwinding, Worker, WorkerSettings};
use std::cell::Cell;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// What a runtime is to be.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// OS threads that run coroutines, the caller's included; `None` for as many as can run at a time.
    pub(crate) workers: Option<usize>,
    /// Bytes of the first coroutine's stack.
    pub(crate) main_stack_size: usize,
    /// Every other stack.
    pub(crate) stacks: StackSettings,
    /// Worker threads are named `prefix-1`, `prefix-2` and so on.
    pub(crate) name_prefix: String,
    /// How long the end waits for what does not end.
    pub(crate) shutdown_timeout: Duration,
    /// How long a coroutine may keep its worker from the poller until that is reported; `None` for as long as it likes.
    pub(crate) long_run: Option<Duration>,
    /// Whether each worker is pinned to a core.
    pub(crate) affinity: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            workers: None,
            main_stack_size: 1 << 20,
            stacks: StackSettings { stack_size: stack::DEFAULT_SIZE, guard_size: 4096, guard_kind: GuardKind::Auto },
            name_prefix: "dormouse".into(),
            shutdown_timeout: Duration::from_secs(5),
            long_run: Some(Duration::from_millis(10)),
            affinity: false,
        }
    }
}

/// What is made before the first thread is started.
struct Foundation {
    /// The workers to be, seen from outside.
    fleet: Arc<Fleet>,
    /// What each of them is to be.
    worker: WorkerSettings,
    /// Where they run, if they are pinned.
    pins: Option<Pins>,
}

impl Foundation {
    fn lay(settings: &Settings) -> io::Result<Foundation> {
        let count = settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a runtime needs at least one worker"));
        }
        fork::install(current::forked)?;
        membarrier::register();
        let workers: io::Result<Box<[_]>> = (0..count).map(|_| Remote::open()).collect();
        let fleet = Arc::new(Fleet::new(workers?, settings.shutdown_timeout));
        fault::install(current::explain_fault, current::explain_abort);
        let pins = settings.affinity.then(Pins::of_this_thread).transpose()?;
        let worker = WorkerSettings {
            stacks: settings.stacks,
            long_run: settings.long_run.map_or(u64::MAX, |limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)),
            reporter: crew::reporter,
            unpinned: pins.as_ref().map(|pins| pins.all().clone()),
        };
        Ok(Foundation { fleet, worker, pins })
    }

    fn plan<'a>(&'a self, settings: &'a Settings) -> Plan<'a> {
        Plan { fleet: &self.fleet, worker: &self.worker, pins: self.pins.as_ref(), name_prefix: &settings.name_prefix }
    }
}

/// Runs `f` as the first coroutine of a runtime on the calling thread. See `Builder::run`.
#[track_caller]
pub(crate) fn run<F, T>(settings: &Settings, f: F) -> io::Result<T>
where
    F: FnOnce() -> T,
{
    let nested = current::is_losing() || current::with_worker(|worker| worker.is_some());
    assert!(!nested, "run was called inside a runtime: call the function directly, or spawn it");
    // A timeout around this call on a plain thread must not end the wait for what borrows from it.
    let _whole = Frame::closed();
    let origin = main_origin(settings, Location::caller())?;
    let foundation = Foundation::lay(settings)?;
    let fleet = &foundation.fleet;
    let worker = Worker::new(Arc::clone(&fleet.workers[0]), Arc::clone(fleet), &foundation.worker)?;
    let alternate = AlternateStack::install()?;
    let (running, caller) = channel::<()>();
    let crew = Crew::start_others(&foundation.plan(settings), caller)?;
    let pinned = match foundation.pins.as_ref().map(Pinned::first).transpose() {
        Ok(pinned) => pinned,
        Err(error) => {
            fleet.stop();
            drop(running);
            crew.end(fleet.grace());
            return Err(error);
        }
    };
    let (called, stopping) = (&Cell::new(false), StopOnDrop(Arc::clone(fleet)));
    // Boxed apart: a closure of any size then runs from where it is, whatever the main stack's size.
    let f: Box<dyn FnOnce() -> T + '_> = Box::new(f);
    let parts = (f, stopping);
    let main = move || {
        // Captured and dropped as one, in this order: invariant 1, of a closure that is never called.
        let parts = parts;
        let (f, _stopping) = parts;
        called.set(true);
        f()
    };
    // SAFETY: the record outlives the closure's borrows only as an empty shell: by invariant 1 the closure and its result are
    // taken out of it before this function returns.
    let (record, take) = unsafe { main_record(origin, main) };
    worker.spawn_local(record.clone());
    let _ = running.send(());
    crew::run_worker(&worker);
    drop(running);
    crew.end(fleet.grace());
    drop(worker);
    drop(pinned);
    drop(alternate);
    let result = take(&record);
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

/// The first coroutine's record, and what takes its result once its worker has ended.
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
    // SAFETY: called with this record only, whose body is of this type, and once, by the only holder, when it is done.
    (record, |record| unsafe { Output::of::<F, T, ()>().take(record) })
}

fn main_origin(settings: &Settings, spawned_at: &'static Location<'static>) -> io::Result<Origin> {
    let size = stack::size_for_guarded(settings.main_stack_size, settings.stacks.guard_size)?;
    Ok(Origin { id: current::fresh_id(), name: Some("main".into()), stack_size: size as u32, spawned_at })
}

/// Begins the end of the runtime when the first coroutine is done, however that comes about.
struct StopOnDrop(Arc<Fleet>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Ends what has been started, unless forgotten.
struct StopOnUnwind<'a>(&'a Fleet);

impl Drop for StopOnUnwind<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Starts a runtime that has no thread of its caller's.
pub(crate) fn start(settings: &Settings) -> io::Result<(Arc<Fleet>, Crew)> {
    let foundation = Foundation::lay(settings)?;
    // The start waits for each thread, and a coroutine that waits may be cancelled.
    let unwound = StopOnUnwind(&foundation.fleet);
    let crew = Crew::start(&foundation.plan(settings))?;
    std::mem::forget(unwound);
    Ok((foundation.fleet, crew))
}

/// Whether `worker` takes new coroutines: during shutdown only from a Drop that runs in an unwind, where an error or a
/// panic would abort. Such a coroutine only drops its closure.
pub(crate) fn may_spawn(worker: &Worker) -> io::Result<()> {
    if worker.is_orphan() {
        return Err(io::Error::other(fork::DEAD));
    }
    if worker.fleet.is_stopping() && worker.unwinding() == Unwinding::No {
        return Err(is_ending());
    }
    Ok(())
}

fn is_ending() -> io::Error {
    io::Error::other("the runtime is shutting down")
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
    match worker {
        Some(worker) => unless_refused(record, may_spawn(worker), |record| worker.spawn(record)),
        None if current::is_losing() => unless_refused(record, may_spawn_while_losing(), RecordRef::lose),
        None => match default_fleet() {
            Ok(fleet) => spawn_into(fleet, record),
            Err(error) => unless_refused(record, Err(error), drop),
        },
    }
}

/// As [`may_spawn`], from the Drop of what was lost, which is no occasion to start the default runtime.
fn may_spawn_while_losing() -> io::Result<()> {
    if std::thread::panicking() { Ok(()) } else { Err(is_ending()) }
}

/// Queues a record on the runtime of `fleet`, wherever the caller is; one that cannot be queued is refused here.
pub(crate) fn spawn_into(fleet: &Fleet, record: RecordRef) -> io::Result<()> {
    unless_refused(record, may_spawn_into(fleet), |record| fleet.inject(record))
}

/// As [`may_spawn`], for callers that are none of its workers.
fn may_spawn_into(fleet: &Fleet) -> io::Result<()> {
    if fleet.is_inherited() {
        return Err(io::Error::other(fork::DEAD));
    }
    if fleet.is_stopping() { Err(is_ending()) } else { Ok(()) }
}

fn unless_refused(record: RecordRef, allowed: io::Result<()>, queue: impl FnOnce(RecordRef)) -> io::Result<()> {
    match &allowed {
        Ok(()) => queue(record),
        Err(_) => record.lose(),
    }
    allowed
}

/// The default runtime, and who starts it.
struct DefaultRuntime {
    /// Its workers, once it has been started: read without a lock, at every spawn of a plain thread.
    fleet: OnceArc<Fleet>,
    /// Held by whoever starts it.
    starting: Lock<()>,
}

impl DefaultRuntime {
    fn new() -> DefaultRuntime {
        DefaultRuntime { fleet: OnceArc::new(), starting: Lock::new(()) }
    }

    #[cold]
    fn start(&self) -> io::Result<&Fleet> {
        let starting = self.starting.lock();
        if self.fleet.get().is_none() {
            // Its threads run on without anybody who could end them.
            let (fleet, _crew) = start(&Settings::default())?;
            self.fleet.set(fleet);
        }
        drop(starting);
        Ok(self.fleet.get().expect("set just now, or by another before"))
    }
}

/// See [`default_fleet`].
static DEFAULT: PerProcess<DefaultRuntime> = PerProcess::new();

/// The runtime of background workers for those who call `spawn` without `run`; lives until the process ends. A child of
/// fork(2) has none if its parent had one.
#[inline]
fn default_fleet() -> io::Result<&'static Fleet> {
    match DEFAULT.present().and_then(|default| default.fleet.get()) {
        Some(fleet) => Ok(fleet),
        None => default_fleet_cold(),
    }
}

#[cold]
fn default_fleet_cold() -> io::Result<&'static Fleet> {
    if DEFAULT.is_inherited() {
        return Err(io::Error::other(fork::DEAD));
    }
    DEFAULT.get(DefaultRuntime::new).start()
}

/// The default runtime, if it has been started.
pub(crate) fn started_default() -> Option<Arc<Fleet>> {
    DEFAULT.present().and_then(|default| default.fleet.share())
}
