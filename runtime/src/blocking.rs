//! Calls that block, on threads of their own.
//!
//! Some calls block in the kernel or in libc and no poller knows when they would not: getaddrinfo(3), close(2) of a socket
//! that lingers, the file system. A coroutine hands such a call to a pool of OS threads and parks until it has been made,
//! so that its worker goes on. `dormouse-net` resolves names and closes lingering sockets by it.
//!
//! Owns who waits for a call, and what becomes of one that nobody waits for any more. `pool` owns the threads and the
//! queue, `shared` the pools of the process, `call` what goes between the two sides, `handle` the calls that are
//! spawned and joined later. Must never know what a call does.
//!
//! # Two pools for the process
//!
//! One for the calls whose result is waited for, and one for those that a Drop makes: closes that linger take as long as a
//! peer pleases, and must not hold up name lookups, nor the other way round. A child of fork(2) has two of its own, and
//! hears nothing of the calls that its parent waits for.
//!
//! There are none per runtime, because a thread that is blocked in the kernel cannot be ended: the end of a runtime could
//! only wait for it, for as long as a name server is silent, or abandon it, and then it belongs to nobody. So the threads
//! belong to nobody from the start, and a runtime's end has nothing to drain: whoever waits is cancelled like any other
//! coroutine, and what it waited for finishes on its own or is never begun. Runtimes that start and stop by the thousand
//! share a few threads, which end by themselves. What may not be cut short (see [`finish`]) waits shielded, and the
//! runtime's grace for shutdown limits it as it limits every shielded wait.
//!
//! # How long a queue gets
//!
//! Who waits for a call hands over one at a time, and is parked meanwhile: each entry of the queue has a stack behind
//! it that takes more memory than the entry does, so such callers are never made to wait for a place. A call that is
//! spawned has nobody behind it; it needs a permit while it is in the queue, of which there are 1,024, and whoever
//! spawns parks for one. Permits come back in the order of the queue, so nobody starves. What a Drop hands over may not
//! wait, and does not.
//!
//! # Invariants
//!
//! 1. A call is made at most once, on a pool thread, and never after its caller gave it up.
//! 2. Nothing of a call is on the caller's stack: the caller may unwind at any time while the call is being made.
//! 3. What a call holds is dropped exactly once: by the pool thread if nobody waits for it any more when it ends, by the
//!    caller if it was not begun or has ended by then. Where that is in an unwind, or on a pool thread, a panic of its
//!    Drop goes no further than the panic hook.

mod call;
mod handle;
mod pool;
mod shared;

use crate::cancel::{self, Point};
use crate::os_thread::Parked;
use crate::waiter::Wait;
use crate::{current, park};
use call::{Call, Detached, Stage, drop_quietly};
pub(crate) use pool::Depth;
use pool::Pool;
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Instant;

pub use handle::BlockingJoinHandle;
pub(crate) use handle::spawn;

/// Makes a call that blocks, and gives its result: [`run`] for those who have nothing else to do if it cannot be made.
///
/// # Blocking
///
/// As [`run`]: parks the coroutine until the call has been made; a cancellation point. On a plain thread `f` is called
/// right there.
///
/// # Panics
///
/// Panics where `f` does; if the pool has no thread and cannot start one, as `thread::spawn` of std does; inside
/// `no_park`.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{blocking, run};
///
/// let text = run(|| blocking(|| std::fs::read_to_string("/proc/self/comm")))?;
/// assert!(!text.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_at(Point::Cancellable, None, f).expect("failed to start a thread for a call that blocks")
}

/// Sets how many threads a pool may have; 512 unless set. There is one pool in the process for the calls whose result
/// is waited for, whatever runtimes there are, and one for the closes that a Drop makes. The limit holds for each.
///
/// A larger limit starts threads as the queue needs them. With a smaller one surplus threads end, busy ones after their
/// call.
///
/// # Panics
///
/// Panics if `limit` is zero.
///
/// # Blocking
///
/// Never, but for the start of a thread.
///
/// # Examples
///
/// ```
/// dormouse_runtime::blocking::set_limit(64);
/// ```
pub fn set_limit(limit: usize) {
    assert!(limit > 0, "calls that block need at least one thread");
    shared::set_limit(limit);
}

/// Makes a call that blocks, and gives its result.
///
/// From a coroutine the call is made on a thread of the pool: up to 512 threads ([`set_limit`]), started as they are
/// needed, which end after ten idle seconds. Calls beyond that wait for their turn, first come, first served. A panic
/// of `f` comes out here.
///
/// A thread inherits the signal mask, the CPU affinity and the scheduling policy of the worker, or the thread of the pool,
/// that happens to start it, and keeps them: whoever pins one worker by hand may pin calls of all. Workers pinned by
/// [`Builder::affinity`](crate::Builder::affinity) pass on what they could run on before.
///
/// # Errors
///
/// EAGAIN or ENOMEM if the pool has no thread and cannot start one; `f` is then dropped uncalled. None on a plain thread.
/// If there are threads but no more can be started, the call waits for one, and every 100 ms another start is tried.
///
/// # Blocking
///
/// Parks the coroutine; a cancellation point. A cancelled coroutine unwinds at once: if `f` has not been called, it never
/// will be and is dropped here; else it goes on, and its result is dropped where it ran, or here if it has ended already.
/// A panic of that Drop goes no further than the panic hook. In a coroutine that unwinds already it waits for the end. On a
/// plain thread `f` is called right there.
///
/// # Panics
///
/// Panics where `f` does, and inside `no_park`.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{blocking, run};
///
/// let text = run(|| blocking::run(|| std::fs::read_to_string("/proc/self/comm"))).unwrap().unwrap();
/// assert!(!text.is_empty());
/// ```
pub fn run<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_until(None, f)
}

/// As [`run`], but waits no longer than until `deadline`; past it, what becomes of `f` is as after a cancellation.
///
/// # Errors
///
/// Those of [`run`], and `TimedOut` once `deadline` has passed. A plain thread has no other to wait for, so there `f`
/// takes the time that it takes.
///
/// # Blocking
///
/// As [`run`].
///
/// # Panics
///
/// As [`run`].
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{blocking, run};
/// use std::io::ErrorKind;
/// use std::time::{Duration, Instant};
///
/// run(|| {
///     let soon = Instant::now() + Duration::from_millis(10);
///     let slow = blocking::run_until(Some(soon), || std::thread::sleep(Duration::from_millis(200)));
///     assert_eq!(slow.unwrap_err().kind(), ErrorKind::TimedOut);
/// });
/// ```
pub fn run_until<F, T>(deadline: Option<Instant>, f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_at(Point::Fallible, deadline, f)
}

fn run_at<F, T>(point: Point, deadline: Option<Instant>, f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if !in_coroutine() {
        return Ok(f());
    }
    park::check(point)?;
    Pending::submit(shared::for_results(), f).wait(deadline, point)
}

/// As [`run`], but a cancel strikes only before the call is handed over: what has begun is waited for. For what must
/// not happen unheard of.
pub(crate) fn run_to_end<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if !in_coroutine() {
        return Ok(f());
    }
    park::check(Point::Fallible)?;
    Pending::submit(shared::for_results(), f).wait(None, Point::Shielded)
}

/// Makes a call that blocks for a Drop, which can neither fail nor be cut short: waits until it has been made, where a
/// Drop may wait.
///
/// It shares its pool with [`hand_over`] only: neither waits for the calls of [`run`], nor they for these.
///
/// If the pool has no thread and cannot start one, `f` is dropped uncalled, here: what is to happen in any case belongs
/// into the Drop of what `f` owns.
///
/// # Blocking
///
/// Parks the coroutine; no cancellation point. Inside `no_park`, and in a coroutine that unwinds, it does not wait, as
/// [`hand_over`]. On a plain thread `f` is called right there.
///
/// # Panics
///
/// Panics where `f` does, if it waits for it.
pub fn finish<F>(f: F)
where
    F: FnOnce() + Send + 'static,
{
    if !in_coroutine() {
        f();
    } else if park::may_wait_in_drop() {
        // An error is a refusal, after which `f` has been dropped.
        let _ = Pending::submit(shared::for_drops(), f).wait(None, Point::Shielded);
    } else {
        hand_over(f);
    }
}

/// Has a call made on a thread of the pool, at some time, and does not wait for it. Nobody hears of a panic but the panic
/// hook, and nothing waits for the call at the end of the process.
///
/// If the pool has no thread and cannot start one, `f` is dropped uncalled, here or by another caller.
///
/// # Blocking
///
/// Never, except for what dropping `f` does in that case.
pub fn hand_over<F>(f: F)
where
    F: FnOnce() + Send + 'static,
{
    shared::for_drops().submit(Arc::new(Detached::new(f)));
}

/// How busy the threads of the process are.
pub(crate) fn depth() -> Depth {
    shared::depth()
}

/// Whether a call of the caller's would go to the pool: in a coroutine. If not, it may make it itself.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{blocking, run};
///
/// assert!(!blocking::in_coroutine());
/// assert!(run(blocking::in_coroutine));
/// ```
pub fn in_coroutine() -> bool {
    current::with_coroutine(|worker| worker.is_some())
}

/// A call in the hands of the pool, as its caller sees it. Dropped, it is given up, or left.
struct Pending<F: FnOnce() -> T, T> {
    /// Who makes it.
    pool: &'static Pool,
    /// Its number there.
    number: u64,
    /// The call itself, shared with whoever makes it.
    call: Arc<Call<F, T>>,
    /// Whether it is to be made even if nobody waits for it.
    kept: bool,
}

impl<F, T> Pending<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn submit(pool: &'static Pool, f: F) -> Pending<F, T> {
        let call = Arc::new(Call::new(f));
        let number = pool.submit(Arc::clone(&call) as _);
        Pending { pool, number, call, kept: false }
    }

    /// Waits for the result, until `deadline`.
    fn wait(self, deadline: Option<Instant>, point: Point) -> io::Result<T> {
        match self.wait_for_stage(deadline, point) {
            (Stage::Done(Ok(value)), _) => Ok(value),
            (Stage::Done(Err(payload)), _) => resume_unwind(payload),
            (Stage::Refused(_, error), _) => Err(error),
            (_, Parked::Cancelled) => Err(cancel::error()),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl<F: FnOnce() -> T, T> Pending<F, T> {
    /// Waits for the end, until `deadline`; gives what there is of the call, and what ended the wait.
    fn wait_for_stage(&self, deadline: Option<Instant>, point: Point) -> (Stage<F, T>, Parked) {
        let parked = loop {
            if let Some(parked) = self.park(deadline, point) {
                break parked;
            }
        };
        // The stage decides, not the outcome of the park: the end may have come together with the deadline.
        (self.give_up(), parked)
    }

    /// Parks once; says what ended the wait, if it is over.
    fn park(&self, deadline: Option<Instant>, point: Point) -> Option<Parked> {
        let wait = Wait::begin();
        if !self.call.await_end(wait.waiter()) {
            return Some(Parked::Woken);
        }
        let until = deadline.into_iter().chain(self.pool.retry_at(self.number)).min();
        let parked = wait.park(until, point);
        if parked == Parked::TimedOut && until != deadline {
            self.pool.retry();
            return None;
        }
        (parked != Parked::Woken).then_some(parked)
    }

    /// Ends the wait. What there is of the call is the caller's from now on.
    fn give_up(&self) -> Stage<F, T> {
        let stage = self.call.give_up();
        if let Stage::Queued(_) = stage {
            self.pool.withdraw(self.number);
        }
        stage
    }
}

impl<F: FnOnce() -> T, T> Drop for Pending<F, T> {
    fn drop(&mut self) {
        // In an unwind, if there is still something.
        if self.kept {
            self.call.leave();
        } else {
            drop_quietly(self.give_up());
        }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests;
