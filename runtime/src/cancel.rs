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

use std::io;

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
