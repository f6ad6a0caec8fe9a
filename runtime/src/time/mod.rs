//! Limits of time for any code: [`timeout`] and [`deadline`].
//!
//! Owns where an unwind by a timeout ends. When it begins is for the parks to say (`park.rs`), and `cancel` has the table of
//! what it does to each of them.
//!
//! std's own `Duration`, `Instant` and `SystemTime` are here as well, so that `std::time` is ported by its name.

use crate::cancel::{self, Frame};
use crate::coroutine::CAN_UNWIND;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub use std::time::{Duration, Instant, SystemTime, SystemTimeError, TryFromFloatSecsError, UNIX_EPOCH};

/// Calls `f`, and unwinds it if it still waits after `duration`.
///
/// As [`deadline`], that long from now.
///
/// # Errors
///
/// As [`deadline`].
///
/// # Blocking
///
/// As [`deadline`].
///
/// # Panics
///
/// As [`deadline`].
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread, time};
/// use std::time::Duration;
///
/// run(|| {
///     let late = time::timeout(Duration::from_millis(2), thread::park);
///     assert!(late.is_err());
///     assert_eq!(time::timeout(Duration::from_secs(9), || 6 * 7), Ok(42));
/// });
/// ```
pub fn timeout<F, T>(duration: Duration, f: F) -> Result<T, Elapsed>
where
    F: FnOnce() -> T,
{
    match Instant::now().checked_add(duration) {
        Some(at) => deadline(at, f),
        // Not within the life of any process.
        None => Ok(f()),
    }
}

/// Calls `f`, and unwinds it if it still waits at `at`.
///
/// It strikes where a cancel would, at the cancellation points (see [`cancel`]): code that only computes
/// is not stopped, and asks [`cancel::check`](crate::cancel::check()) now and then. Whatever `f` returns is the result, however late;
/// nothing that came is taken back.
///
/// **Nested**, each timeout ends its own call. If several are over, the innermost of them is the one whose call ends, and the
/// next cancellation point after it goes on to the next: also if the outer one was over first, or only while the inner unwind was
/// on its way. A cancel goes before all of them, and passes through.
///
/// **Level-triggered**: code inside that catches the unwind and swallows it is thrown into again, as long as it is inside.
///
/// A coroutine that is spawned inside is not: it has frames of its own. A [`scope`](crate::thread::scope) inside is cancelled,
/// its coroutines with it, and the unwind goes on once they have ended.
///
/// Inside `no_park`, where nothing waits, only [`cancel::check`] throws; in a Drop that runs during an unwind
/// nothing does: there a timeout only says in vain how long something may take.
///
/// While another coroutine of the worker waits in a Drop of its unwind, a timeout does not end a wait that begins meanwhile; it
/// does as soon as that one has gone on. If that one waits for what is held in here, neither ends: see [`cancel`].
///
/// It costs two looks at a clock and no allocation; each park inside sets and takes back one timer. Nothing of it is paid by code
/// outside.
///
/// # Errors
///
/// [`Elapsed`] if it was unwound. Destructors have run; mutexes that were locked inside are poisoned, as by a panic.
///
/// # Blocking
///
/// Where `f` does. On a plain thread it is the waits of this library that are cut short: they block, and unwind at `at` as those
/// of a coroutine do. There, what makes a call that blocks right on the spot ([`blocking`](crate::blocking()), `fs`, a lookup of
/// a name) takes the time that it takes.
///
/// # Panics
///
/// Panics where `f` does, and in a program built with panic=abort, where nothing can unwind.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::mpsc::channel;
/// use dormouse_runtime::{run, thread, time};
/// use std::time::{Duration, Instant};
///
/// run(|| {
///     let (sends, receives) = channel();
///     let soon = Instant::now() + Duration::from_millis(2);
///     let none: Result<i32, _> = time::deadline(soon, || {
///         loop {
///             // Many waits, one limit.
///             thread::sleep(Duration::from_micros(50));
///             if let Ok(number) = receives.try_recv() {
///                 return number;
///             }
///         }
///     });
///     assert!(none.is_err());
///     sends.send(1).unwrap();
/// });
/// ```
pub fn deadline<F, T>(at: Instant, f: F) -> Result<T, Elapsed>
where
    F: FnOnce() -> T,
{
    if !CAN_UNWIND {
        panic!("a timeout cannot end a call in a program built with panic=abort");
    }
    let frame = Frame::until(at);
    let ended = catch_unwind(AssertUnwindSafe(f));
    drop(frame);
    match ended {
        Ok(value) => Ok(value),
        Err(payload) if cancel::ends(&*payload, at) => Err(Elapsed(())),
        Err(payload) => resume_unwind(payload),
    }
}

/// The error of a [`timeout`] that was over first. As an [`io::Error`] it is one of kind
/// [`TimedOut`](io::ErrorKind::TimedOut).
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread, time};
/// use std::io;
/// use std::time::Duration;
///
/// fn wait() -> io::Result<()> {
///     time::timeout(Duration::from_millis(1), thread::park)?;
///     Ok(())
/// }
///
/// assert_eq!(run(wait).unwrap_err().kind(), io::ErrorKind::TimedOut);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was over first")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
