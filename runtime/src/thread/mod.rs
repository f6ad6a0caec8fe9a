//! Coroutines with the names and signatures of `std::thread`.
//!
//! Everything here works from a coroutine and from a plain OS thread; what blocks parks a coroutine and blocks a thread.
//! Only [`spawn_local`] and [`no_park`] need a coroutine.

mod builder;
mod children;
mod handle;
mod join;
mod local;
mod scope;

pub use crate::blocking::BlockingJoinHandle;
pub use builder::Builder;
pub use handle::{Thread, ThreadId};
pub use join::{JoinHandle, LocalJoinHandle};
pub use local::{AccessError, LocalKey};
pub use scope::{Scope, ScopedJoinHandle, nursery, scope};
pub use std::thread::{Result, available_parallelism};

/// What `thread_local!` is made of. No part of the public surface.
#[doc(hidden)]
pub mod local_impl {
    pub use crate::thread::local::Place;
}

use crate::slot::Terms;
use crate::sys::clock;
use crate::{blocking, current, park as parking};
use std::panic::Location;
use std::time::{Duration, Instant};

/// Starts a coroutine and gives the handle to wait for it.
///
/// A coroutine belongs to one worker from its first instruction to its last: `Rc`s, guards and thread-local references on
/// its stack never change threads. It starts on a stack of the runtime's default size when a worker gets to it; called
/// from a plain thread, it runs on the default runtime's background workers, which the first such call starts.
///
/// Which worker that is depends on how much each has to do: the caller's own, another with clearly less, or one that was idle and
/// took it. Where many wait, the latest may begin first.
///
/// Coroutines of one worker share its OS thread and interleave at every park. A crate that publishes a borrow of its
/// caller's stack in a thread-local for the length of a closure (`scoped-tls` does) relies on closures of one thread
/// ending in reverse order, which interleaved coroutines do not. So does std's own `thread_local!` while a value is made: an
/// initialiser that parks lets another coroutine make, and borrow, the value which the first one then replaces. Run such code
/// inside [`no_park`]. The values of [`thread_local!`](crate::thread_local) are each coroutine's own.
///
/// # Panics
///
/// Panics if the runtime is shutting down or, from a plain thread, cannot start; [`Builder::spawn`] answers an error.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
///
/// let sum: u32 = run(|| {
///     let handles: Vec<_> = (0..10).map(|n| thread::spawn(move || n)).collect();
///     handles.into_iter().map(|handle| handle.join().unwrap()).sum()
/// });
/// assert_eq!(sum, 45);
/// ```
#[inline]
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    builder::spawn_plain(f, Location::caller()).expect("failed to spawn a coroutine")
}

/// Starts a coroutine on this worker; neither the closure nor its result need be `Send`. It is never stolen, and both
/// are dropped on this worker only.
///
/// # Panics
///
/// Panics outside a coroutine, or if the runtime is shutting down.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// let count = dormouse_runtime::run(|| {
///     let shared = Rc::new(());
///     let other = Rc::clone(&shared);
///     dormouse_runtime::spawn_local(move || drop(other)).join().unwrap();
///     Rc::strong_count(&shared)
/// });
/// assert_eq!(count, 1);
/// ```
#[track_caller]
pub fn spawn_local<F, T>(f: F) -> LocalJoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    Builder::new().spawn_local(f).expect("failed to spawn a coroutine")
}

/// Has a call that blocks made on a thread of the pool, and gives the handle to wait for it. See
/// [`blocking`](crate::blocking()), which waits at once.
///
/// A panic of `f` comes out of `join`. The call is made even if the handle is dropped, or its runtime ends; but nothing
/// waits for it at the end of the process. If the pool has no thread and cannot start one, `join` answers an
/// [`io::Error`](std::io::Error).
///
/// # Blocking
///
/// Parks a coroutine, or blocks a plain thread, while 1,024 spawned calls are waiting for a thread; then it is a
/// cancellation point, and `f` is dropped uncalled. A thread of the pool never waits here.
///
/// # Panics
///
/// Panics inside [`no_park`], if it has to wait.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
///
/// run(|| {
///     let call = thread::spawn_blocking(|| std::fs::read("/proc/self/comm"));
///     // Something else, meanwhile.
///     assert!(!call.join().unwrap().unwrap().is_empty());
/// });
/// ```
pub fn spawn_blocking<F, T>(f: F) -> BlockingJoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    blocking::spawn(f)
}

/// A handle to the calling coroutine or thread.
pub fn current() -> Thread {
    Thread::current()
}

/// Blocks until the caller's token is there, and takes it. May return for no reason, as std's.
///
/// # Blocking
///
/// Parks a coroutine; a cancellation point. Blocks a plain thread.
///
/// # Panics
///
/// Panics inside [`no_park`].
#[inline]
pub fn park() {
    park_deadline(None);
}

/// As [`park`], but for at most `timeout`.
///
/// # Blocking
///
/// As [`park`].
///
/// # Panics
///
/// Panics inside [`no_park`].
pub fn park_timeout(timeout: Duration) {
    park_deadline(clock::deadline(timeout));
}

#[inline]
fn park_deadline(deadline: Option<Instant>) {
    current::with_coroutine(|worker| match worker {
        Some(worker) => parking::park_token(worker, deadline),
        None => parking::block_for_token(deadline),
    });
}

/// As [`park_timeout`], in milliseconds.
///
/// # Blocking
///
/// As [`park`].
///
/// # Panics
///
/// Panics inside [`no_park`].
#[deprecated(since = "0.1.0", note = "replaced by `dormouse::thread::park_timeout`, as std's is by its own")]
pub fn park_timeout_ms(ms: u32) {
    park_timeout(Duration::from_millis(u64::from(ms)));
}

/// Blocks for at least `duration`, in nanoseconds as fine as the kernel's timers are.
///
/// # Blocking
///
/// Parks a coroutine; a cancellation point. Blocks a plain thread. Zero yields.
///
/// # Panics
///
/// Panics inside [`no_park`].
pub fn sleep(duration: Duration) {
    sleep_deadline(clock::deadline(duration));
}

/// As [`sleep`], in milliseconds.
///
/// # Blocking
///
/// As [`sleep`].
///
/// # Panics
///
/// Panics inside [`no_park`].
#[deprecated(since = "0.1.0", note = "replaced by `dormouse::thread::sleep`, as std's is by its own")]
pub fn sleep_ms(ms: u32) {
    sleep(Duration::from_millis(u64::from(ms)));
}

/// Blocks until `deadline`, never less.
///
/// # Blocking
///
/// As [`sleep`].
///
/// # Panics
///
/// Panics inside [`no_park`].
pub fn sleep_until(deadline: Instant) {
    sleep_deadline(Some(deadline));
}

fn sleep_deadline(deadline: Option<Instant>) {
    current::with_coroutine(|worker| match worker {
        Some(worker) => parking::park_until(worker, deadline),
        None => parking::block_until(deadline),
    });
}

/// Lets others run; the caller goes on once each of them had its turn.
///
/// # Blocking
///
/// Suspends a coroutine; a cancellation point. Yields a plain thread.
///
/// # Panics
///
/// Panics inside [`no_park`].
#[inline]
pub fn yield_now() {
    current::with_coroutine(|worker| match worker {
        Some(worker) => parking::yield_now(worker),
        None => parking::yield_thread(),
    });
}

/// Whether the calling coroutine, or plain thread, unwinds, by a panic or by a cancel.
///
/// [`std::thread::panicking`] says the same: what it counts, per OS thread, goes with each coroutine as that suspends and is
/// resumed. A coroutine that waits in a Drop of its unwind pays some microseconds a wait for that. The first of them has a thread
/// started, for a moment, and from then on std's count of panics for the whole process is above zero, for good: std then asks
/// each thread for its own, so that `panicking` takes 2 ns and not less than one, and to lock and unlock a `Mutex` of std's, which
/// asks twice, 4 to 8 ns more, everywhere.
///
/// Where no thread can be had, for 10 ms in which the worker waits, and as long as that one waits, std's count stays with its OS
/// thread, and std says of the others there that they unwind as well. This then answers for the caller as far as can be
/// known: `true` if it was cancelled, or waited in its unwind before, and `false` of any other panic. [`cancel`](mod@crate::cancel)
/// tells what else that means.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
///
/// run(|| assert!(!thread::panicking()));
/// ```
#[must_use]
pub fn panicking() -> bool {
    std::thread::panicking() && parking::unwinds()
}

/// Calls `f`, inside which a park is a panic: for code that must not be interleaved with other coroutines of its thread.
///
/// On a plain thread it only calls `f`.
///
/// # Panics
///
/// Panics where `f` does, and where `f` would have parked.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
///
/// let parked = run(|| thread::spawn(|| thread::no_park(thread::park)).join());
/// assert!(parked.is_err());
/// ```
pub fn no_park<R>(f: impl FnOnce() -> R) -> R {
    let _forbidden = NoPark::begin();
    f()
}

/// One more `no_park` around the caller, until dropped.
struct NoPark;

impl NoPark {
    fn begin() -> NoPark {
        let begun = NoPark::change(Terms::enter_no_park);
        assert!(begun.unwrap_or(true), "no_park is nested 254 deep");
        NoPark
    }

    /// Changes the terms of the coroutine that runs, if one does.
    fn change<R>(change: impl FnOnce(&mut Terms) -> R) -> Option<R> {
        current::with_coroutine(|worker| Some(worker?.with_running(|slot| change(&mut slot.life.terms))))
    }
}

impl Drop for NoPark {
    fn drop(&mut self) {
        NoPark::change(Terms::leave_no_park);
    }
}

/// Bytes of the calling coroutine's stack that were used since its memory was last given back, by whole pages; `None` on
/// a plain thread. Costs a system call or more: about 1 us per 64 KiB of stack.
///
/// # Errors
///
/// ENOMEM if the kernel is short of memory. mincore(2).
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
///
/// let used = run(|| thread::stack_high_water().unwrap().unwrap());
/// assert!(used >= 4096);
/// assert!(thread::stack_high_water().unwrap().is_none());
/// ```
pub fn stack_high_water() -> std::io::Result<Option<usize>> {
    let stack = current::with_coroutine(|worker| worker.map(|worker| worker.with_running(|slot| slot.stack)));
    stack.map(|stack| stack.high_water()).transpose()
}
