//! Cancellation: where it may strike, and how it unwinds.
//!
//! Cancelling a coroutine makes its next cancellation point throw: the stack unwinds, destructors run, up to the frame
//! that asked. It is level-triggered: code that catches the unwind and parks again is thrown into again. Nothing is
//! ever thrown into a coroutine that is unwinding already: there a park waits ([`Point::Shielded`]), and a socket wait
//! fails at once.
//!
//! # Cancellation points
//!
//! | operation                                              | when it may throw                            |
//! |--------------------------------------------------------|----------------------------------------------|
//! | `thread::park`, `park_timeout`                         | before and while parked; the token is not taken |
//! | `thread::sleep`, `sleep_until`                         | before and while parked                      |
//! | `thread::yield_now`                                    | before it yields, and after the others ran   |
//! | `JoinHandle::join`                                     | before and while parked; the handle is dropped |
//! | socket operations that find nothing to do at once      | before and while parked; nothing was transferred |
//! | `blocking::run`, `run_until`                           | before it hands over; while parked: a call not begun is never made |
//! | `thread::spawn_blocking`, while the queue is full      | before and while parked; the closure is dropped uncalled |
//! | `BlockingJoinHandle::join`                             | before and while parked; the handle is dropped |
//! | `fs`: whatever waits for a device, or for another's turn at the cursor | before and while parked; see `fs` for what it leaves |
//! | `process::Command::spawn`                              | before it begins; not while it goes on       |
//! | `process::Child::wait`, `wait_with_output`             | before and while parked; the child runs on   |
//! | the pipes of a child                                   | before and while parked; nothing was transferred |
//! | `io::stdin`: reading, `lock`                           | before and while parked; nothing was taken   |
//! | `thread::scope`                                        | after its children have ended, if the cancel cut one short; see there |
//! | `Barrier::wait`                                        | before and while parked; the arrival is taken back |
//! | `Semaphore::acquire` and its kin                       | before and while parked; permits granted go to the next |
//! | `WaitGroup::wait`, `wait_timeout`                      | before and while parked; the group is dropped |
//! | `Notify::wait`, `wait_timeout`                         | before and while parked; a notification is handed on |
//! | `sync::Condvar`: `wait` and its kin                    | before and while parked; the mutex is held again when it unwinds |
//! | `sync::{Once, OnceLock, LazyLock}`, while another makes the call | before and while parked            |
//! | `send`, `recv` of a channel, `select!`, that must wait  | before and while parked; no message is received, and one not sent is dropped |
//! | `block_on`, while the future is pending                | before and while parked; the future is dropped by the unwind |
//! | `Signals::wait`, `signal::wait`, `ctrl_c`              | before and while parked; the signal is there for others |
//! | the yield of a coroutine whose I/O (or channel) never has to wait | before the operation that it precedes        |
//!
//! Not cancellation points: everything else, `lock`, `read` and `write` of `sync::Mutex` and `sync::RwLock` among it,
//! anything inside a Drop that runs during an unwind, the Drop of a closure that never ran and of a result that nobody
//! joins, anything on a plain thread.
//!
//! A panic hook must not park: std then takes every further panic of that thread for one inside the hook, and aborts.

mod frame;
mod payload;

pub(crate) use frame::Frame;
pub use payload::Cancelled;
pub(crate) use payload::{ends, is_own, payload, throw};

use crate::coroutine::CAN_UNWIND;
use crate::current;
use crate::worker::{NEVER, Unwinding, Worker};
use std::io;
use std::time::Instant;

/// What may end a park, beside its event and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// A cancel and a timeout around it end it by throwing.
    Cancellable,
    /// As `Cancellable`; but where errors are asked for, what would be thrown is the answer.
    Fallible,
    /// Neither ends it.
    Shielded,
}

/// What a wait answers that strikes where errors are asked for. Not `TimedOut`, which is the operation's own, nor `Interrupted`,
/// after which it would be tried again.
#[cold]
pub(crate) fn error() -> io::Error {
    io::Error::other(payload::value())
}

/// Calls `f`, inside which neither a cancel strikes nor a timeout around it: for what is to be done as a whole.
///
/// Both are deferred: the first cancellation point after the shield throws. A [`timeout`](crate::time::timeout) inside ends its
/// call as ever, so that what must not be cut short can still be given a limit. What waits here at the end of the runtime is
/// waited for, as long as its grace lasts.
///
/// # Blocking
///
/// Where `f` does.
///
/// # Panics
///
/// Panics where `f` does.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{Cancelled, cancel, run, thread};
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use std::time::Duration;
///
/// run(|| {
///     let whole = Rc::new(Cell::new(false));
///     let sets = Rc::clone(&whole);
///     let handle = thread::spawn_local(move || {
///         cancel::shield(|| {
///             thread::sleep(Duration::from_millis(1));
///             sets.set(true);
///         });
///         thread::park();
///     });
///     thread::yield_now();
///     handle.cancel();
///     assert!(handle.join().unwrap_err().is::<Cancelled>());
///     assert!(whole.get());
/// });
/// ```
pub fn shield<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    let _shield = Frame::shielded();
    f()
}

/// Whether the calling coroutine was asked to end, by a cancel or since its runtime ends, or a timeout around the caller
/// is over.
///
/// Also where nothing strikes: inside [`shield`], where it answers for cancels, and for timeouts inside of it; in a Drop; in a program
/// built with panic=abort, for the end of the runtime. On a plain thread it answers for timeouts.
///
/// # Blocking
///
/// Never. Looks at a clock, inside a timeout.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{cancel, run, spawn, thread};
/// use std::time::Duration;
///
/// run(|| {
///     let computes = spawn(|| {
///         let mut rounds = 0u64;
///         while !cancel::is_cancelled() {
///             rounds += 1;
///             cancel::shield(thread::yield_now);
///         }
///         rounds
///     });
///     thread::sleep(Duration::from_millis(1));
///     computes.cancel();
///     assert!(computes.join().unwrap() > 0);
/// });
/// ```
#[must_use]
pub fn is_cancelled() -> bool {
    current::with_coroutine(|worker| match worker {
        Some(worker) => {
            note(worker);
            let terms = worker.with_running(|slot| slot.life.terms);
            terms.is_cancelled() || terms.is_expired() || worker.fleet.is_stopping()
        }
        None => current::thread_terms().limit.is_some_and(is_over),
    })
}

/// A cancellation point and nothing else: for code that computes, and waits for nothing.
///
/// Others of the worker have no turn by it: see [`yield_now`](crate::thread::yield_now). A cancel from another thread is seen, even
/// though no worker has read it yet.
///
/// # Blocking
///
/// Never; may be called inside `no_park`. Looks at a clock, inside a timeout. On a plain thread it throws for a timeout.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{cancel, run, time};
/// use std::time::Duration;
///
/// let endless = run(|| {
///     time::timeout(Duration::from_millis(1), || {
///         loop {
///             cancel::check();
///         }
///     })
/// });
/// assert!(endless.is_err());
/// ```
pub fn check() {
    current::with_coroutine(|worker| match worker {
        Some(worker) => check_on(worker),
        None => check_thread(),
    });
}

/// As [`check`], in the coroutine that runs on this worker.
pub(crate) fn check_on(worker: &Worker) {
    note(worker);
    let terms = worker.with_running(|slot| slot.life.terms);
    if terms.is_due() && !terms.asks_for_errors() && worker.unwinding() == Unwinding::No {
        throw();
    }
}

fn check_thread() {
    let terms = current::thread_terms();
    if terms.limit.is_some_and(is_over) && !terms.errors && !std::thread::panicking() {
        throw();
    }
}

fn is_over(limit: Instant) -> bool {
    limit <= Instant::now()
}

/// Takes note of what the coroutine that runs would hear of only in a park: that it was cancelled, or is about to be, and what time
/// it is.
fn note(worker: &Worker) {
    let asked = worker.with_running(|slot| slot.record.mail().holds_cancel()) || worker.fleet.is_stopping();
    let limit = worker.limit();
    let over = limit != NEVER && limit <= worker.clock.now();
    worker.with_running(|slot| {
        if asked && CAN_UNWIND {
            slot.life.terms.note_cancel();
        }
        if over {
            slot.life.terms.note_expiry();
        }
    });
}
