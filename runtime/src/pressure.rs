//! How busy a runtime is, for whoever decides at every connection: no system call, no allocation, no lock.
//!
//! Owns the two questions, not the figures: `counters.rs` has them. [`metrics()`](crate::metrics()) tells much more, and asks the
//! kernel for it.

use crate::current;
use crate::fleet::Fleet;
use crate::runtime;
use std::sync::Arc;
use std::time::Duration;

/// How much a runtime has to do.
///
/// Of the worker that the caller runs on it is of this very moment; of another one, of the end of its last turn, which is at most
/// 64 resumes long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pressure {
    /// Coroutines that could run and do not: those that are ready, and those that wait for their start.
    pub runnable: usize,
    /// Coroutines that have not ended, those that wait for their start included.
    pub live: usize,
}

/// How much the caller's runtime has to do. On a plain thread that is the default runtime, if it has been started. Of another
/// runtime its [`Handle`](crate::Handle::pressure) tells.
///
/// # Blocking
///
/// Never parks.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{Builder, pressure, thread};
///
/// Builder::new().workers(1).run(|| {
///     let waiting = thread::spawn(thread::park);
///     assert_eq!((pressure().runnable, pressure().live), (1, 2));
///     thread::yield_now();
///     assert_eq!((pressure().runnable, pressure().live), (0, 2));
///     waiting.thread().unpark();
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn pressure() -> Pressure {
    of_caller(Pressure::of)
}

/// How long a coroutine of the caller's runtime that is ready waits for its turn, and a new one for its start: the longest such
/// time of any worker, measured about once a turn. On a plain thread that is the default runtime, if it has been started. Of
/// another runtime its [`Handle`](crate::Handle::queue_delay) tells.
///
/// The first question begins the measuring, which costs a worker two readings of the clock in a turn that leaves something
/// waiting; the answer is zero then.
///
/// # Blocking
///
/// Never parks.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{Builder, queue_delay, thread};
/// use std::time::{Duration, Instant};
///
/// Builder::new().workers(1).run(|| {
///     assert_eq!(queue_delay(), Duration::ZERO);
///     let others: Vec<_> = (0..10).map(|_| thread::spawn(|| std::thread::sleep(Duration::from_millis(1)))).collect();
///     others.into_iter().for_each(|other| other.join().unwrap());
///     assert!(queue_delay() >= Duration::from_millis(1));
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn queue_delay() -> Duration {
    of_caller(delay_of)
}

/// What `ask` says of the caller's runtime, or what is said of none.
fn of_caller<T: Default>(ask: impl Fn(&Fleet) -> T) -> T {
    let own = current::with_coroutine(|worker| worker.map(|worker| Arc::clone(&worker.fleet)));
    own.or_else(runtime::started_default).map_or_else(T::default, |fleet| ask(&fleet))
}

/// As [`queue_delay`]; those who stayed with another process wait for nothing.
pub(crate) fn delay_of(fleet: &Fleet) -> Duration {
    if fleet.is_inherited() {
        return Duration::ZERO;
    }
    fleet.watch();
    let longest = fleet.workers.iter().map(|worker| worker.counters.queue_delay.read()).max();
    Duration::from_nanos(longest.unwrap_or(0))
}

impl Pressure {
    /// As [`pressure`].
    pub(crate) fn of(fleet: &Fleet) -> Pressure {
        if fleet.is_inherited() {
            return Pressure::default();
        }
        current::publish_figures();
        let mut total = Pressure::default();
        for worker in &fleet.workers {
            let counters = &worker.counters;
            let unstarted = counters.unstarted.read() as usize + worker.injected();
            total.runnable += counters.ready.read() as usize + unstarted;
            total.live += counters.live.read() as usize + unstarted;
        }
        total
    }
}
