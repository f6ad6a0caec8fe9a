//! Waiting for signals, such as Ctrl-C and the polite request to end.
//!
//! A coroutine that waits for a signal parks; a plain thread blocks. So a server ends in good order: one coroutine waits, and
//! tells the others.
//!
//! ```
//! use dormouse_runtime::signal::{self, Signals};
//! use dormouse_runtime::{run, spawn};
//! # fn raise(signal: i32) {
//! #     // SAFETY: any signal may be raised; this one is handled.
//! #     unsafe { libc::raise(signal) };
//! # }
//!
//! run(|| {
//!     let signals = Signals::new(&[signal::SIGTERM, signal::SIGINT])?;
//!     let waiting = spawn(move || signals.wait());
//!     raise(signal::SIGTERM);
//!     assert_eq!(waiting.join().unwrap()?, signal::SIGTERM);
//!     Ok::<(), std::io::Error>(())
//! })
//! # .unwrap();
//! ```
//!
//! # What a signal does then
//!
//! The first listener for a signal installs a handler, which stays for the life of the process: from then on the signal no
//! longer does what it did by default, even when nobody listens any more. Who waited for Ctrl-C once, and then not, has a program
//! that Ctrl-C does not end. A handler that was there before is called, too. Where SIGCHLD was ignored, or had SA_NOCLDWAIT,
//! children leave nothing to be waited for, as before.
//!
//! That earlier handler may leave by longjmp(3). On a thread without an alternate stack (sigaltstack(2); workers and the threads
//! of std have one), a signal that afterwards comes deeper on the stack than the one it left looks like one within that call, and the
//! earlier handler is not called for it, nor for any other until one comes from less deep. Listeners hear of all of them.
//!
//! A handler that other code installs later takes the place of this one, and if it does not call the one before it, listeners
//! hear nothing. Nobody is told of that. So each listener that is made, and each wait that finds no signal, looks who is
//! there and puts this handler back, which from then on calls that other one. In between, and during a wait that has
//! begun, signals that the other one keeps to itself are lost.
//!
//! Signals coalesce, as POSIX says of those that are pending: one that comes again before a listener has taken it, is taken once.
//! Every listener gets every signal that it asked for, from its making on.
//!
//! System calls that a signal interrupts are begun again (SA_RESTART), by the kernel or by this library.
//!
//! # fork(2)
//!
//! A listener belongs to the process that made it. In a child it answers an error; the child may make others. The handlers are
//! inherited, until exec(2) puts back the default.
//!
//! # Invariants
//!
//! 1. A post is left by the process that took it, once, after its eventfd was deregistered.

mod arrivals;
mod board;

use crate::current;
use crate::fork;
use crate::sys;
use crate::wait::{Interest, Source};
use board::Post;
use std::io;
use std::time::{Duration, Instant};

pub use crate::sys::signal::numbers::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// Listens for signals, from its making on: none that comes between two waits is lost.
///
/// Coroutines and threads may share one; each signal then goes to one of them. Each listener gets them all. A handler that was there
/// before is called, too, but for one case in which it has left by longjmp(3) before, which the [module](self) tells of.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::signal::{self, Signals};
/// # fn raise(signal: i32) {
/// #     // SAFETY: any signal may be raised; this one is handled.
/// #     unsafe { libc::raise(signal) };
/// # }
///
/// let reload = Signals::new(&[signal::SIGHUP])?;
/// assert_eq!(reload.try_wait()?, None);
/// raise(signal::SIGHUP);
/// raise(signal::SIGHUP);
/// assert_eq!(reload.wait()?, signal::SIGHUP);
/// assert_eq!(reload.try_wait()?, None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Signals {
    /// Where the handler leaves what came.
    post: &'static Post,
    /// The eventfd's registrations.
    source: Source,
    /// Whose post it is, by [`fork::count`].
    process: u32,
}

impl Signals {
    /// Listens for these signals, by number.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is none, or one that is no signal or cannot be waited for: SIGKILL, SIGSTOP, and what faults
    /// raise (SIGSEGV, SIGBUS, SIGILL, SIGFPE). EMFILE, ENFILE or ENOMEM.
    pub fn new(signals: &[i32]) -> io::Result<Signals> {
        if signals.is_empty() || !signals.iter().all(|signal| sys::signal::may_be_handled(*signal)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no signal, or one that cannot be waited for"));
        }
        fork::install(current::forked)?;
        let post = Post::take(signals.iter().copied().collect())?;
        let listener = Signals { post, source: Source::new(), process: fork::count() };
        listener.take_place()?;
        Ok(listener)
    }

    /// Puts the handler where it is not, or no longer.
    fn take_place(&self) -> io::Result<()> {
        self.post.wanted().try_for_each(|signal| sys::signal::handle(signal, board::deliver))
    }

    /// Waits for the next signal, and gives its number; of several that have come, the lowest.
    ///
    /// # Errors
    ///
    /// ENOSPC (`fs.epoll.max_user_watches`) or ENOMEM; `Other` in a coroutine that unwinds, which does not wait for a peer, and in
    /// a child of fork(2), whose parent's this is.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine; a cancellation point, after which the signal is there for others. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park), unless a signal has come.
    pub fn wait(&self) -> io::Result<i32> {
        self.wait_until(None)
    }

    /// As [`Signals::wait`], but no longer than this.
    ///
    /// # Errors
    ///
    /// Those of [`Signals::wait`], and `TimedOut`.
    ///
    /// # Blocking
    ///
    /// As [`Signals::wait`].
    ///
    /// # Panics
    ///
    /// As [`Signals::wait`].
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<i32> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    /// The next signal, if one has come. Never blocks.
    ///
    /// # Errors
    ///
    /// `Other` in a child of fork(2), whose parent's this is.
    pub fn try_wait(&self) -> io::Result<Option<i32>> {
        if self.process != fork::count() {
            return Err(io::Error::other("this listener for signals belongs to the parent process"));
        }
        Ok(self.post.next_arrival())
    }

    fn wait_until(&self, deadline: Option<Instant>) -> io::Result<i32> {
        let mut turn = None;
        loop {
            if let Some(signal) = self.try_wait()? {
                return Ok(signal);
            }
            if turn.is_none() {
                self.take_place()?;
            }
            turn = Some(self.source.wait(self.post.eventfd(), Interest::Read, deadline, turn.take())?);
        }
    }
}

/// Invariant 1.
impl Drop for Signals {
    fn drop(&mut self) {
        if self.process == fork::count() {
            self.source.deregister(self.post.eventfd(), false);
            self.post.leave();
        }
    }
}

/// Waits until one of these signals comes, and gives its number.
///
/// What came before does not count: who waits again and again, and must not miss one in between, keeps a [`Signals`].
///
/// # Errors
///
/// Those of [`Signals::new`] and [`Signals::wait`].
///
/// # Blocking
///
/// Parks the coroutine; a cancellation point. Blocks a plain thread.
///
/// # Panics
///
/// Panics inside [`no_park`](crate::thread::no_park).
///
/// # Examples
///
/// A server that is asked to end:
///
/// ```no_run
/// use dormouse_runtime::{run, signal, spawn, thread};
///
/// run(|| {
///     let server = spawn(thread::park);
///     let signal = signal::wait(&[signal::SIGTERM, signal::SIGINT])?;
///     println!("ending, since signal {signal} came");
///     server.cancel();
///     Ok::<(), std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub fn wait(signals: &[i32]) -> io::Result<i32> {
    Signals::new(signals)?.wait()
}

/// Waits until somebody presses Ctrl-C, or sends SIGINT otherwise.
///
/// # Errors
///
/// Those of [`wait`].
///
/// # Blocking
///
/// As [`wait`].
///
/// # Panics
///
/// As [`wait`].
pub fn ctrl_c() -> io::Result<()> {
    wait(&[SIGINT]).map(drop)
}
