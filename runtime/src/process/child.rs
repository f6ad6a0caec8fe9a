//! A child that was started.
//!
//! Owns how a coroutine waits for its end: by its pidfd, which a poller watches, opened at the first wait.

use super::orphans;
use super::stream::{ChildStderr, ChildStdin, ChildStdout};
use crate::cancel::{self, Cancelled};
use crate::sys::pidfd;
use crate::thread::{Builder, scope};
use crate::wait::{self, Interest, Source};
use std::any::Any;
use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe, resume_unwind};
use std::process::{ExitStatus, Output};
use std::time::Duration;

/// Without a pidfd, the pause after the first look; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A child process, like [`std::process::Child`]. Dropped, it runs on.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::process::{Command, Stdio};
/// use dormouse_runtime::run;
/// use std::io::{Read, Write};
///
/// # fn main() -> std::io::Result<()> {
/// let shouted = run(|| {
///     let mut child = Command::new("tr").args(["a-z", "A-Z"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
///     child.stdin.take().unwrap().write_all(b"hello")?;
///     let mut text = String::new();
///     child.stdout.take().unwrap().read_to_string(&mut text)?;
///     assert!(child.wait()?.success());
///     std::io::Result::Ok(text)
/// })?;
/// assert_eq!(shouted, "HELLO");
/// # Ok(())
/// # }
/// ```
pub struct Child {
    /// std's, without pipes; taken by whoever waits in a call that owns it.
    inner: Option<std::process::Child>,
    /// What tells of its end.
    end: Option<End>,
    /// The pipe to its standard input, if it has one.
    pub stdin: Option<ChildStdin>,
    /// The pipe from its standard output, if it has one.
    pub stdout: Option<ChildStdout>,
    /// The pipe from its standard error, if it has one.
    pub stderr: Option<ChildStderr>,
}

/// A descriptor that tells of an end.
struct End {
    /// The pidfd.
    fd: OwnedFd,
    /// Its registrations.
    source: Source,
}

/// As std's: whatever a panic leaves half done, descriptor and registrations are whole.
impl UnwindSafe for End {}
impl RefUnwindSafe for End {}

impl Drop for End {
    fn drop(&mut self) {
        self.source.deregister(self.fd.as_fd(), false);
    }
}

impl Child {
    pub(super) fn new(mut inner: std::process::Child) -> io::Result<Child> {
        let stdin = inner.stdin.take().map(ChildStdin::own).transpose()?;
        let stdout = inner.stdout.take().map(ChildStdout::own).transpose()?;
        let stderr = inner.stderr.take().map(ChildStderr::own).transpose()?;
        Ok(Child { inner: Some(inner), end: None, stdin, stdout, stderr })
    }

    fn inner(&mut self) -> &mut std::process::Child {
        self.inner.as_mut().expect("only taken at the end")
    }

    /// Kills it, if it has not ended. Never blocks.
    ///
    /// # Errors
    ///
    /// Those of [`std::process::Child::kill`].
    pub fn kill(&mut self) -> io::Result<()> {
        self.inner().kill()
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.inner.as_ref().expect("only taken at the end").id()
    }

    /// Waits for its end, after closing the pipe to its standard input.
    ///
    /// # Errors
    ///
    /// Those of [`std::process::Child::wait`]; in a coroutine that unwinds, an error instead of a wait.
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point, which leaves the child alone. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park), unless it has ended.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        if !cancel::may_strike() {
            return self.inner().wait();
        }
        match self.inner().try_wait()? {
            Some(status) => Ok(status),
            None => self.wait_by_parking(),
        }
    }

    fn wait_by_parking(&mut self) -> io::Result<ExitStatus> {
        if self.end.is_none() {
            // Without a pidfd, for whatever reason, there are pauses.
            self.end = pidfd::open(self.id()).ok().map(|fd| End { fd, source: Source::new() });
        }
        let inner = self.inner.as_mut().expect("only taken at the end");
        let (mut turn, mut pause) = (None, FIRST_PAUSE);
        loop {
            match &self.end {
                Some(end) => turn = Some(end.source.wait(end.fd.as_fd(), Interest::Read, None, turn)?),
                None => wait::pause(pause, None)?,
            }
            pause = (2 * pause).min(LONGEST_PAUSE);
            if let Some(status) = inner.try_wait()? {
                return Ok(status);
            }
        }
    }

    /// How it ended, if it has. Never blocks.
    ///
    /// # Errors
    ///
    /// Those of [`std::process::Child::try_wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.inner().try_wait()
    }

    /// Waits for its end and for all that it writes to its pipes, after closing the one to its standard input.
    ///
    /// # Errors
    ///
    /// Those of [`std::process::Child::wait_with_output`].
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point: the child runs on, and what it wrote is lost. Blocks a plain thread. If
    /// there are two pipes, a second coroutine reads one of them.
    ///
    /// # Panics
    ///
    /// As [`Child::wait`].
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        if !cancel::may_strike() {
            return self.into_std().wait_with_output();
        }
        let mut waiting = Waiting(self);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        match (waiting.0.stdout.take(), waiting.0.stderr.take()) {
            (Some(out), Some(err)) => read_both(out, &mut stdout, err, &mut stderr)?,
            (out, err) => {
                out.map_or(Ok(0), |mut out| out.read_to_end(&mut stdout))?;
                err.map_or(Ok(0), |mut err| err.read_to_end(&mut stderr))?;
            }
        }
        let status = waiting.0.wait()?;
        Ok(Output { status, stdout, stderr })
    }

    /// Waits for its end and keeps only that.
    pub(super) fn into_status(self) -> io::Result<ExitStatus> {
        Waiting(self).0.wait()
    }

    /// std's, with the pipes.
    fn into_std(mut self) -> std::process::Child {
        let mut inner = self.inner.take().expect("only taken at the end");
        inner.stdout = self.stdout.take().map(|pipe| OwnedFd::from(pipe).into());
        inner.stderr = self.stderr.take().map(|pipe| OwnedFd::from(pipe).into());
        inner
    }
}

/// A child in the hands of a call that owns it. Dropped by an unwind or an error, it becomes an orphan; once its end is
/// known, it is none of the kernel's any more.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.inner.take()
            && let Ok(None) = child.try_wait()
        {
            orphans::adopt(child);
        }
    }
}

/// Reads both pipes at once, so that the child can fill neither.
fn read_both(
    mut first: impl Read,
    first_to: &mut Vec<u8>,
    mut second: impl Read + Send,
    second_to: &mut Vec<u8>,
) -> io::Result<()> {
    scope(|scope| {
        let reads = Builder::new().spawn_scoped(scope, move || second.read_to_end(second_to))?;
        let read = first.read_to_end(first_to);
        reads.join().unwrap_or_else(go_on)?;
        read.map(drop)
    })
}

/// What becomes of a reading that was cut short.
fn go_on(payload: Box<dyn Any + Send>) -> io::Result<usize> {
    if cancel::asks_for_errors() && payload.is::<Cancelled>() { Err(cancel::error()) } else { resume_unwind(payload) }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}
