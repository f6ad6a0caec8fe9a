//! What a runtime can be given before it starts.

use crate::handle::Runtime;
use crate::runtime::{self, Settings};
use crate::stack::GuardKind;
use std::io;
use std::time::Duration;

/// Configures a runtime and runs it.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{Builder, thread};
///
/// let answer = Builder::new()
///     .workers(2)
///     .stack_size(32 * 1024)
///     .run(|| thread::spawn(|| 42).join().unwrap())?;
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "must eventually run"]
pub struct Builder {
    /// What was chosen so far.
    settings: Settings,
}

impl Builder {
    /// As many workers as [`available_parallelism`](std::thread::available_parallelism) says, 64 KiB stacks (256 KiB with
    /// debug assertions), a 1 MiB main stack, guards of one page, five seconds for shutdown, reports of runs longer than 10
    /// ms, no affinity.
    pub fn new() -> Builder {
        Builder { settings: Settings::default() }
    }

    /// How many OS threads run coroutines; without this, as many as
    /// [`available_parallelism`](std::thread::available_parallelism) says at the start. The thread that calls [`run`](Builder::run) is the first of them; those of
    /// [`build`](Builder::build) all are in the background.
    pub fn workers(mut self, count: usize) -> Builder {
        self.settings.workers = Some(count);
        self
    }

    /// Bytes of stack reserved for each coroutine that asks for no size of its own; rounded up to a power of two, 16 KiB
    /// to 128 MiB. Reserved is not resident: memory comes by use, a page at a time.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.settings.stacks.stack_size = bytes;
        self
    }

    /// Bytes of stack reserved for the first coroutine, which runs the closure given to [`run`](Builder::run).
    pub fn main_stack_size(mut self, bytes: usize) -> Builder {
        self.settings.main_stack_size = bytes;
        self
    }

    /// Bytes below each stack that stop an overflow; rounded up to pages, less than half a stack. C code compiled without
    /// stack probes can jump over a small guard.
    pub fn guard_size(mut self, bytes: usize) -> Builder {
        self.settings.stacks.guard_size = bytes;
        self
    }

    /// Guards stacks by mprotect(2) even where the kernel has MADV_GUARD_INSTALL (Linux 6.13). That costs two mappings a
    /// stack, so that `vm.max_map_count` caps the process near 32,000 stacks.
    pub fn guard_by_mprotect(mut self, forced: bool) -> Builder {
        self.settings.stacks.guard_kind = if forced { GuardKind::Mprotect } else { GuardKind::Auto };
        self
    }

    /// Names the worker threads `prefix-1`, `prefix-2` and so on; the calling thread keeps its name.
    pub fn name_prefix(mut self, prefix: impl Into<String>) -> Builder {
        self.settings.name_prefix = prefix.into();
        self
    }

    /// How long the end of [`run`](Builder::run), or of a [`Runtime`], waits for coroutines that do not end although they are
    /// cancelled. Each has its turn to unwind, whatever the timeout: that is for those who park in a destructor, or catch the
    /// cancel. What is left then is leaked with its stack and named on standard error, and so is one that does not
    /// even yield, with the worker that it keeps. The end of `run` cannot leave the calling thread, so it waits for such a
    /// one there for as long as it takes, and another worker, if there is one, says for whom.
    ///
    /// One that is leaked while it waits in an unwind takes its part of std's count of panics with it. Only if no thread was to be had
    /// for that ([`cancel`](mod@crate::cancel)), it stays with the thread: if that is the one that called `run`,
    /// [`std::thread::panicking`] is `true` there until it ends.
    ///
    /// Closures that have not started are dropped, each in the turn of a coroutine of its own; one whose destructor waits beyond the
    /// timeout is leaked as any other. Only what a destructor spawns at that very end, and what has waited in vain for a stack,
    /// is dropped by the worker's thread and no longer as a coroutine: there a destructor that waits blocks the thread, and the
    /// end of `run`, on the calling thread, with it. To spawn in a destructor is an error then, unless it runs in an unwind,
    /// and `run` a panic, as everywhere in a runtime that ends.
    ///
    /// Calls handed to the [threads for blocking calls](mod@crate::blocking) are no part of the runtime: one that has begun goes on
    /// and its result is dropped, one that has not is never made. Only what may not be cut short, like the close of a
    /// socket that lingers, is waited for, within this time.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Builder {
        self.settings.shutdown_timeout = timeout;
        self
    }

    /// How long a coroutine may keep its worker from the poller, and with it all the others there, until that is reported:
    /// 10 ms if nothing is said here, `None` for as long as it likes. To keep a worker means to compute, or to block in what
    /// does not know of coroutines; the time in which the kernel did not let the thread run counts as well.
    ///
    /// When the worker gets to its poller again, it counts the run in [`metrics()`](crate::metrics()) and says through the
    /// [`log`](https://docs.rs/log) crate, at level `warn` with the target `dormouse`, which coroutine it was, where that was
    /// spawned and how long it ran. The clock is not read for each coroutine: if the run came among many short ones, all
    /// those it may have been are named, 64 at most, and the next of its kind is named alone. A worker makes
    /// one report a second, and each tells how many long runs there were in between. Reports are made by a coroutine of
    /// their own on the same worker, so a logger may park.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::{Builder, metrics, thread};
    /// use std::time::Duration;
    ///
    /// let long_runs = Builder::new().workers(1).long_run(Some(Duration::from_millis(1))).run(|| {
    ///     thread::spawn(|| std::thread::sleep(Duration::from_millis(2))).join().unwrap();
    ///     thread::sleep(Duration::from_millis(1));
    ///     metrics().total.long_runs
    /// })?;
    /// assert!(long_runs >= 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn long_run(mut self, limit: Option<Duration>) -> Builder {
        self.settings.long_run = limit;
        self
    }

    /// Whether each worker is pinned to a core of its own, as far as there are as many: of those that the calling thread may run
    /// on, which is what taskset(1) and the cgroup have left of them. Off if nothing is said here.
    ///
    /// After [`run`](Builder::run) the calling thread may run where it could before. Threads that coroutines start with
    /// `std::thread` inherit the one core of their worker, and `available_parallelism` says 1 there; threads that make
    /// [blocking calls](mod@crate::blocking) are not pinned.
    pub fn affinity(mut self, pinned: bool) -> Builder {
        self.settings.affinity = pinned;
        self
    }

    /// Starts a runtime whose workers all are background threads, named `prefix-0` and so on. The size of the main stack is of
    /// no account: there is no first coroutine.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for no worker or an impossible size; EMFILE, ENFILE, ENOMEM or EAGAIN from opening a poller, mapping
    /// a stack or starting a thread; EPERM from pinning one.
    ///
    /// # Blocking
    ///
    /// Waits until the threads have started: parks a coroutine, blocks a plain thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = dormouse_runtime::Builder::new().workers(2).name_prefix("burrow").build()?;
    /// assert_eq!(runtime.spawn(|| 1).join().unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn build(self) -> io::Result<Runtime> {
        let (fleet, crew) = runtime::start(&self.settings)?;
        Ok(Runtime::from_parts(fleet, crew))
    }

    /// Starts the workers and runs `f` as the first coroutine on the calling thread. When `f` has returned, every
    /// coroutine left is cancelled, its destructors run, and all threads, descriptors and stacks are given back.
    ///
    /// A program that forbids itself system calls (seccomp(2)) after this began must leave membarrier(2) allowed: channels
    /// that one worker had to itself are handed to others by it, and a process that cannot do so is aborted. Where it is
    /// forbidden or missing from the start, channels use atomic operations instead.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for no worker or an impossible size; EMFILE, ENFILE, ENOMEM or EAGAIN from opening a poller, mapping
    /// a stack or starting a thread; EPERM from pinning one. `f` then was not called.
    ///
    /// # Panics
    ///
    /// Panics inside another `run`, and where `f` does, after the same orderly end.
    ///
    /// # Blocking
    ///
    /// Blocks the calling thread until the end; [`shutdown_timeout`](Builder::shutdown_timeout) says what that waits for.
    ///
    /// # fork(2)
    ///
    /// A child has no part of its parent's runtime. A plain thread that forks goes on there as a plain thread, which may use locks,
    /// channels, sockets and the like, and `run` a runtime of its own. A coroutine that forks may use in the child what need not
    /// be waited for, and then exec or exit: to park or to spawn is a panic, and to come to its end aborts the child. So is, for
    /// both, whatever needs a coroutine of the parent's: to unpark, cancel or join it, or to send what it waits for; and to spawn
    /// without `run` if the parent has done so. The parent feels nothing of its children.
    ///
    /// As in every program with threads, what another thread was using at that moment, a channel say, is inherited as it was. A
    /// child of a bare clone(2) or `_Fork` may only exec or exit: nobody has told it what it is.
    #[track_caller]
    pub fn run<F, T>(self, f: F) -> io::Result<T>
    where
        F: FnOnce() -> T,
    {
        runtime::run(&self.settings, f)
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

/// Runs `f` as the first coroutine of a runtime on the calling thread.
///
/// The calling thread becomes worker 0, and there are as many more as
/// [`available_parallelism`](std::thread::available_parallelism) says. `f` need be neither `Send` nor `'static`; it runs on a 1 MiB stack. When it has
/// returned, every coroutine left is cancelled: it unwinds from where it is parked and its destructors run. [`Builder`]
/// has other numbers and sizes.
///
/// # Panics
///
/// Panics inside another `run`, if the runtime cannot start ([`Builder::run`] answers an error instead), and where `f`
/// does, after the same orderly end.
///
/// # Blocking
///
/// Blocks the calling thread until the end.
///
/// # Examples
///
/// ```
/// let mut greeting = String::from("hello");
/// dormouse_runtime::run(|| greeting.push_str(", dormouse"));
/// assert_eq!(greeting, "hello, dormouse");
/// ```
#[track_caller]
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    Builder::new().run(f).expect("the runtime cannot start")
}
