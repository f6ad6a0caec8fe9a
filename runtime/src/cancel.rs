//! Cancellation: where it may strike, and how it unwinds. [`shield`] defers it, [`check`] and [`is_cancelled`] ask for it,
//! [`as_errors`] has it answered.
//!
//! Cancelling a coroutine makes its next cancellation point throw: the stack unwinds, destructors run, up to the frame
//! that asked. For a cancel ([`JoinHandle::cancel`](crate::thread::JoinHandle::cancel),
//! [`Thread::cancel`](crate::thread::Thread::cancel), [`Scope::cancel`](crate::thread::Scope::cancel), the end of the runtime)
//! that is the coroutine itself, for a [`timeout`](crate::time::timeout) its own call. Both strike at the same points. They are
//! level-triggered: code that catches the unwind and waits again is thrown into again, for a timeout as long as it is inside.
//! Nothing is ever thrown into a coroutine that is unwinding already: there a park waits, and a socket wait fails at once.
//!
//! # Cancellation points
//!
//! | operation                                              | when it may throw                            | what it answers inside `as_errors` |
//! |--------------------------------------------------------|----------------------------------------------|------------------------------------|
//! | `thread::park`, `park_timeout`                         | before and while parked; the token is not taken | returns; the token is not taken |
//! | `thread::sleep`, `sleep_until`                         | before and while parked                      | returns, early                     |
//! | `thread::yield_now`                                    | before it yields, and after the others ran   | returns                            |
//! | `cancel::check`                                        | at once                                      | returns                            |
//! | `JoinHandle::join`                                     | before and while parked; the handle is dropped | `Cancelled`; the handle is dropped |
//! | socket operations that find nothing to do at once      | before and while parked; nothing was transferred, but see below | an `io::Error` |
//! | `blocking::run`, `run_until`                           | before it hands over; while parked: a call not begun is never made | an `io::Error` |
//! | `blocking`                                             | as `blocking::run`                           | waits on |
//! | `thread::spawn_blocking`, while the queue is full      | before and while parked; the closure is dropped uncalled | waits on |
//! | `BlockingJoinHandle::join`                             | before and while parked; the handle is dropped | waits on                         |
//! | `fs`: whatever waits for a device, or for another's turn at the cursor | before and while parked; see `fs` for what it leaves | an `io::Error`; waits on for a turn |
//! | `process::Command::spawn`                              | before it begins; not while it goes on       | an `io::Error`                     |
//! | `process::Child::wait`, `wait_with_output`             | before and while parked; the child runs on   | an `io::Error`                     |
//! | the pipes of a child                                   | before and while parked; nothing was transferred | an `io::Error`                 |
//! | `io::stdin`: reading, `lock`                           | before and while parked; nothing was taken   | an `io::Error`; `lock` waits on    |
//! | `thread::scope`, `nursery`                             | after its children have ended, if the cancel cut one short; see there | cancels its children, waits for them, returns |
//! | `Barrier::wait`                                        | before and while parked; the arrival is taken back | waits on                     |
//! | `Semaphore::acquire` and its kin                       | before and while parked; permits granted go to the next | `AcquireError`; with a timeout, that it is over |
//! | `WaitGroup::wait`, `wait_timeout`                      | before and while parked; the group is dropped | waits on; with a timeout, that it is over |
//! | `Notify::wait`, `wait_timeout`                         | before and while parked; a notification is handed on | waits on; with a timeout, that it is over |
//! | `sync::Condvar`: `wait` and its kin                    | before and while parked; the mutex is held again when it unwinds | waits on; with a timeout, that it is over |
//! | `sync::{Once, OnceLock, LazyLock}`, while another makes the call | before and while parked            | waits on                           |
//! | `send`, `recv` of a channel that must wait             | before and while parked; no message is received, and one not sent is dropped | as of a channel whose other end is gone, the message comes back; with a timeout, that it is over |
//! | `select!` that must wait                               | as `send` and `recv`                         | waits on; with a timeout, that it is over |
//! | `block_on`, while the future is pending                | before and while parked; the future is dropped by the unwind | waits on           |
//! | `Signals::wait`, `signal::wait`, `ctrl_c`              | before and while parked; the signal is there for others | an `io::Error`          |
//! | the yield of a coroutine whose I/O (or channel) never has to wait | before the operation that it precedes        | goes on                 |
//!
//! Not cancellation points: everything else, `lock`, `read` and `write` of `sync::Mutex` and `sync::RwLock` among it,
//! anything inside [`shield`], or inside a Drop that runs during an unwind, the Drop of a closure that never ran and of a result
//! that nobody joins. On a plain thread nothing is cancelled, and only timeouts strike, at the same points, but not in what then
//! makes a blocking call right there.
//!
//! A timeout that is over strikes where something waits or yields: an operation that finds what it needs at once is done, however
//! late. (A cancel that is known does not let it begin.)
//!
//! # What becomes of it
//!
//! | cancelled is                    | by a cancel                                       | by a timeout around the call              |
//! |---------------------------------|---------------------------------------------------|-------------------------------------------|
//! | one that has ended              | nothing; `join` gives the result                  | cannot be: the call has its result        |
//! | one that has not started        | its closure is dropped, on its worker; `join` answers [`Cancelled`] | cannot be               |
//! | one of another worker           | by a message, when that worker reads it, or by `check` before | cannot be: it is one's own frame |
//! | one that computes               | at its next point; `check` is one                 | the same                                  |
//! | one that holds locks of ours    | guards are dropped by the unwind, which poisons; nobody waits for ever | the same             |
//! | one that waits for a lock       | it waits on, and has it first                     | the same                                  |
//! | in `select!`                    | it leaves all lines; what it was chosen for goes to the next | the same                       |
//! | in a rendezvous                 | either the message has changed hands, and the call returns, and what was due strikes at the next point, or it is dropped with its sender; a receiver takes none | the same |
//! | in `blocking`, `fs`             | a call not begun is never made; one begun goes on unheard | the same; on a plain thread it is waited for |
//! | in a lookup of a name           | the lookup goes on unheard                        | the same; on a plain thread it is waited for |
//! | in a scope's join               | its children are cancelled and waited for; then it unwinds if one was cut short | the same            |
//! | in a `timeout`                  | passes through it                                 | the innermost one that is over ends its call |
//! | in a `shield`                   | at the first point after it                       | the same                                  |
//! | in a Drop of an unwind          | after that unwind, if the coroutine goes on       | the same, if it is inside still           |
//! | in a wait begun while no thread is to be had for another's unwind | once that one has gone on; see below | the same           |
//!
//! That one coroutine waits in a Drop of its unwind changes nothing for the others of its worker: see
//! [`thread::panicking`](crate::thread::panicking). If it waits for what another one holds, a timeout around that one's wait, or a cancel
//! of it, ends both waits.
//!
//! That takes a thread for a moment, the first time. **If none can be had**, for 10 ms, nobody can tell who unwinds on that worker for
//! as long as that wait lasts, and to throw into an unwind aborts the process. So nothing strikes in waits that begin there
//! meanwhile, until it is certain again that nobody unwinds, and then at once; what waited before, or on other workers, is struck as ever.
//! Peers are waited for as ever, too. A Drop that waits for what such a wait holds may then wait for ever, but for the operation's own
//! limit (`recv_timeout`, `park_timeout`).
//!
//! Some operations do a part and then wait: `read_exact`, `write_all`, and a `write` to a stream, which as std's goes on until all is
//! sent. How far they came is lost with their frame; `net::ReadCounted` and `net::WriteCounted` keep the count. So do
//! `send_file_counted`, `net::copy_counted`, `write_all_buf` and a `net::BufWriter`, which goes on where it was.
//!
//! A panic hook had best not park: a panic in what is left of it then is one like any other, which calls the hook again. And where no
//! thread can be had, as above, std takes its thread to be in the hook still, and aborts at the next panic there.
//!
//! In a program built with panic=abort nothing can unwind: what would cancel panics and says so, and so does a timeout.

mod frame;
mod payload;

pub(crate) use frame::Frame;
pub use payload::Cancelled;
pub(crate) use payload::{ends, is_own, payload, throw, value};

use crate::coroutine::CAN_UNWIND;
use crate::current;
use crate::worker::{NEVER, Worker};
use std::io;
use std::time::Instant;

/// What may end a park, beside its event and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// A cancel and a timeout around it end it by throwing.
    Cancellable,
    /// As `Cancellable`; but where errors are asked for, what would be thrown is the answer.
    Fallible,
    /// As `Fallible`, and what would be thrown is the answer, too: the caller looks at what has become of its wait, and if
    /// nothing has, goes on with [`strike`].
    Answered,
    /// Neither ends it.
    Shielded,
}

/// What a wait answers that strikes where errors are asked for. Not `TimedOut`, which is the operation's own, nor `Interrupted`,
/// after which it would be tried again.
#[cold]
pub(crate) fn error() -> io::Error {
    io::Error::other(value())
}

impl Point {
    /// Whether something other than a throw may say that something struck.
    #[inline(always)]
    pub(crate) fn has_answer(self) -> bool {
        matches!(self, Point::Fallible | Point::Answered)
    }
}

/// After a wait at [`Point::Answered`] that something ended: throws that, but where errors are asked for.
#[cold]
pub(crate) fn strike() {
    if !asks_for_errors() {
        throw();
    }
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

/// Calls `f`, inside which nothing is thrown: a wait that a cancel ends, or a timeout around it, answers with an error instead.
///
/// For code that must not be unwound: a callback of a library in C, say. What has no error to answer with, and no other way to
/// say that it did not wait to the end, waits on as in [`shield`]; the table above says what does what. Code that goes on for
/// long without a wait asks [`is_cancelled`].
///
/// An [`io::Error`] that says so is of kind [`Other`](io::ErrorKind::Other), and has a [`Cancelled`] in it.
///
/// It is so for all that `f` calls: a [`timeout`](crate::time::timeout) inside, too, only makes waits fail. After the end, the next
/// cancellation point throws.
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
/// use dormouse_runtime::{cancel, run, spawn, thread};
///
/// run(|| {
///     let asked = spawn(|| {
///         // As a callback would.
///         let answer = cancel::as_errors(|| spawn(thread::park).join());
///         assert!(answer.unwrap_err().is::<cancel::Cancelled>());
///         "not unwound"
///     });
///     thread::yield_now();
///     asked.cancel();
///     assert_eq!(asked.join().unwrap(), "not unwound");
/// });
/// ```
pub fn as_errors<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    let _errors = Frame::erring();
    f()
}

/// Whether anything could end a wait of the caller: in a coroutine, and inside a timeout.
pub(crate) fn may_strike() -> bool {
    current::with_coroutine(|worker| worker.is_some()) || current::thread_terms().limit.is_some()
}

/// Whether the caller is inside [`as_errors`].
pub(crate) fn asks_for_errors() -> bool {
    current::with_coroutine(|worker| match worker {
        Some(worker) => worker.with_running(|slot| slot.life.terms.asks_for_errors()),
        None => current::thread_terms().errors,
    })
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
    if !terms.is_due() || terms.asks_for_errors() {
        return;
    }
    if std::thread::panicking() && !worker.is_certain() && !terms.forbids_parks() {
        // Who makes that unsure needs a turn to end it, and code that asks in a loop gives none.
        worker.yield_now(true);
    }
    if !std::thread::panicking() {
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
