//! A runtime as a value: background workers that are spawned into from any thread, and ended on demand.
//!
//! Owns who may end a runtime. `runtime.rs` starts one, `crew.rs` waits for its threads.
//!
//! Invariant 1: a runtime's crew is waited for at most once, and by nobody who runs on it.
//! Invariant 2: in a child of fork(2) nothing of a crew is touched, not even dropped: its threads do not exist, and what libc kept
//! for them may be other threads' by now.

use crate::cancel::Cancelled;
use crate::crew::Crew;
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::pressure::{self, Pressure};
use crate::runtime::{self, Settings};
use crate::thread::{self, JoinHandle};
use crate::{current, park};
use std::fmt;
use std::io;
use std::panic::{Location, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// A runtime whose workers all are background threads, made by [`Builder::build`](crate::Builder::build).
///
/// Where [`run`](crate::run) turns the calling thread into a worker, this leaves it alone: for libraries, for programs with a
/// main loop of their own, and for several runtimes side by side. Its coroutines are coroutines like any other; they
/// and plain threads may join, unpark and message each other across runtimes.
///
/// Dropped, it ends as by [`shutdown_timeout`](Runtime::shutdown_timeout), which says what that leaves behind, with the
/// [timeout of the builder](crate::Builder::shutdown_timeout).
///
/// # Blocking
///
/// The drop waits for the end: it parks a coroutine (of another runtime) and blocks a plain thread. In one of the runtime's
/// own coroutines, and inside [`no_park`](thread::no_park), it does not wait.
///
/// # fork(2)
///
/// In a child, a runtime of the parent is dead: to spawn into it is an error that says so, its figures know no workers, and
/// to drop it or shut it down does nothing. See [`Builder::run`](crate::Builder::run).
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{Builder, thread};
/// use std::time::Duration;
///
/// let runtime = Builder::new().workers(2).build()?;
/// let answer = runtime.spawn(|| 6 * 7);
/// assert_eq!(answer.join().unwrap(), 42);
/// assert_eq!(runtime.run(|| thread::spawn(|| "from a coroutine").join().unwrap())?, "from a coroutine");
/// runtime.shutdown_timeout(Duration::from_secs(1));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    /// What others may have, too.
    handle: Handle,
    /// The threads (invariant 1).
    crew: Option<Crew>,
}

impl Runtime {
    /// One as [`Builder::new`](crate::Builder::new) describes it.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`](crate::Builder::build).
    pub fn new() -> io::Result<Runtime> {
        let (fleet, crew) = runtime::start(&Settings::default())?;
        Ok(Runtime::from_parts(fleet, crew))
    }

    pub(crate) fn from_parts(fleet: Arc<Fleet>, crew: Crew) -> Runtime {
        Runtime { handle: Handle { fleet }, crew: Some(crew) }
    }

    /// What others need to spawn into it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// As [`Handle::spawn`].
    ///
    /// # Panics
    ///
    /// As [`Handle::spawn`].
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handle.spawn(f)
    }

    /// As [`Handle::run`].
    ///
    /// # Errors
    ///
    /// Those of [`Handle::run`].
    ///
    /// # Blocking
    ///
    /// As [`Handle::run`].
    ///
    /// # Panics
    ///
    /// As [`Handle::run`].
    #[track_caller]
    pub fn run<F, T>(&self, f: F) -> io::Result<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handle.run(f)
    }

    /// As [`Handle::metrics`].
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.handle.metrics()
    }

    /// Ends it. From now on nothing can be spawned into it, and every coroutine is cancelled: it unwinds from where it
    /// is parked, and its destructors run. Returns when all have ended, or when `timeout` has passed (half a second later if
    /// one does not even yield). What is left then is leaked with its stack and named on standard error; whoever joins it
    /// gets [`Cancelled`].
    ///
    /// One that does not yield keeps its worker, and with it whatever is parked there or was spawned there for that worker only: by
    /// [`spawn_local`](thread::spawn_local), or at all if the runtime has no other. Whoever joins such a coroutine from elsewhere gets
    /// [`Cancelled`], although its destructors have not run; should the worker be let go one day, they run then, and a result
    /// that comes then is dropped. What waits there for its start and any worker could have started is dropped, by
    /// a thread made for that: a destructor among it that waits holds up those after it, but not the end.
    ///
    /// Calls that its coroutines have made on [other threads](mod@crate::blocking) are abandoned if they have been begun, and not
    /// made otherwise.
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point, and cancelled it leaves the end to itself. Blocks a plain thread. In one of
    /// the runtime's own coroutines it does not wait.
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](thread::no_park), having begun the end.
    pub fn shutdown_timeout(mut self, timeout: Duration) {
        let crew = self.stop(timeout);
        if let Some(crew) = crew.filter(|_| !self.handle.is_current()) {
            crew.end(timeout);
        }
    }

    /// Begins the end as [`shutdown_timeout`](Runtime::shutdown_timeout) does, with the timeout of the builder, and does not
    /// wait for it: a thread made for that does, and tells whoever joins what is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = dormouse_runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// runtime.shutdown_background();
    /// assert!(handle.run(|| ()).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown_background(mut self) {
        let grace = self.handle.fleet.grace();
        self.stop(grace);
    }

    /// Begins the end; gives whom to wait for, once. In a child of fork(2) there is nothing to end.
    fn stop(&mut self, grace: Duration) -> Option<Crew> {
        let crew = self.crew.take()?;
        if self.handle.fleet.is_inherited() {
            // Invariant 2.
            std::mem::forget(crew);
            return None;
        }
        self.handle.fleet.stop_within(grace);
        Some(crew)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let grace = self.handle.fleet.grace();
        let waits = !self.handle.is_current() && park::may_wait();
        if let Some(crew) = self.stop(grace).filter(|_| waits) {
            // Not to be cut short: a Drop has no way to say so.
            park::shielded(|| crew.end(grace));
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("workers", &self.handle.fleet.workers.len()).finish_non_exhaustive()
    }
}

/// A reference to a runtime, to spawn into it from any thread and to read its figures. Cheap to clone. It does not keep the
/// runtime from ending; two descriptors for each worker stay open until the last one is dropped.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{Builder, Handle};
///
/// let runtime = Builder::new().workers(1).build()?;
/// let handle: Handle = runtime.handle().clone();
/// let from_outside = std::thread::spawn(move || handle.spawn(|| 7).join().unwrap());
/// assert_eq!(from_outside.join().unwrap(), 7);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    /// Its workers, seen from outside.
    fleet: Arc<Fleet>,
}

impl Handle {
    /// The runtime that the calling coroutine belongs to.
    ///
    /// # Panics
    ///
    /// Panics outside a coroutine.
    #[must_use]
    #[track_caller]
    pub fn current() -> Handle {
        Handle::try_current().expect("there is no current runtime outside a coroutine")
    }

    /// The runtime that the calling coroutine belongs to; `None` outside one.
    #[must_use]
    pub fn try_current() -> Option<Handle> {
        current::with_coroutine(|worker| worker.map(|worker| Handle { fleet: Arc::clone(&worker.fleet) }))
    }

    /// Starts a coroutine there, as [`thread::spawn`] does on the caller's runtime.
    ///
    /// # Panics
    ///
    /// Panics if the runtime is ending or has ended, or stayed with the parent of this process; [`Handle::spawn_with`] answers an error.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_with(thread::Builder::new(), f).expect("failed to spawn a coroutine")
    }

    /// Starts a coroutine there that has a name, or a stack of a size of its own.
    ///
    /// # Errors
    ///
    /// `Other` if the runtime is ending or has ended, or stayed with the parent of this process; `InvalidInput` for a stack above 128 MiB. `f` is dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::{Runtime, thread};
    ///
    /// let runtime = Runtime::new()?;
    /// let named = thread::Builder::new().name("keeper".into());
    /// let name = runtime.handle().spawn_with(named, || thread::current().name().map(String::from))?;
    /// assert_eq!(name.join().unwrap().as_deref(), Some("keeper"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_with<F, T>(&self, builder: thread::Builder, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        builder.spawn_into(&self.fleet, Location::caller(), f)
    }

    /// Runs `f` as a coroutine there, and waits for its result.
    ///
    /// A caller that is cancelled while it waits leaves `f` running.
    ///
    /// # Errors
    ///
    /// `Other` if the runtime is ending, or ends before `f` has, or stayed with the parent of this process; ENOMEM if there was no stack for it.
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point. Blocks a plain thread. Returns when the runtime ends at the latest.
    ///
    /// # Panics
    ///
    /// Panics where `f` does, and inside [`no_park`](thread::no_park).
    #[track_caller]
    pub fn run<F, T>(&self, f: F) -> io::Result<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let payload = match self.spawn_with(thread::Builder::new(), f)?.join() {
            Ok(value) => return Ok(value),
            Err(payload) => payload,
        };
        match payload.downcast::<io::Error>() {
            Ok(error) => Err(*error),
            Err(payload) if payload.is::<Cancelled>() => {
                Err(io::Error::other("the runtime was shut down before the closure had returned"))
            }
            Err(payload) => resume_unwind(payload),
        }
    }

    /// What it is doing, in figures.
    ///
    /// # Blocking
    ///
    /// As [`metrics()`](crate::metrics()).
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.fleet)
    }

    /// How much it has to do.
    ///
    /// # Blocking
    ///
    /// As [`pressure()`](crate::pressure()).
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        Pressure::of(&self.fleet)
    }

    /// How long its coroutines wait for their turn. See [`queue_delay`](crate::queue_delay).
    ///
    /// # Blocking
    ///
    /// As [`queue_delay`](crate::queue_delay).
    #[must_use]
    pub fn queue_delay(&self) -> Duration {
        pressure::delay_of(&self.fleet)
    }

    /// Whether the caller runs on it.
    fn is_current(&self) -> bool {
        current::with_worker(|worker| worker.is_some_and(|worker| Arc::ptr_eq(&worker.fleet, &self.fleet)))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("workers", &self.fleet.workers.len()).finish_non_exhaustive()
    }
}
