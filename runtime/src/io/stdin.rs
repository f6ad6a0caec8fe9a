//! Standard input: a thread of the pool reads it, at most one at a time.
//!
//! Owns the handles and the turns. A line is taken only when it is whole, so that whoever is cancelled while waiting
//! for the rest of it has taken nothing.
//!
//! Invariant 1: a lock has the input, or is about to wait for it: it gave it to a call that was refused, or left
//! behind.

use super::input::Input;
use crate::blocking;
use crate::lease::{Home, Lease};
use std::fmt;
use std::io::{self, BufRead, ErrorKind, IoSliceMut, IsTerminal, Lines, Read};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, LazyLock};

/// The input of the process.
static INPUT: LazyLock<Arc<Home<Input>>> = LazyLock::new(|| Home::new(Input::default()));

/// A handle to standard input, like [`std::io::Stdin`].
///
/// Reading parks a coroutine, and blocks a plain thread, until there is something. It is a cancellation point, at which
/// nothing is lost: what comes later is there for the next reader. The thread that reads stays behind until something
/// comes, and is the next reader's.
///
/// What std's handle has read ahead is read first. Otherwise the two have a buffer each: use one of them.
pub struct Stdin {
    /// std's.
    inner: io::Stdin,
}

/// Standard input for one reader alone, like [`std::io::StdinLock`].
pub struct StdinLock<'a> {
    /// Invariant 1.
    input: Option<Lease<Input>>,
    /// std's, for its descriptor.
    inner: io::Stdin,
    /// As std's, which is always `'static` today.
    borrowed: PhantomData<&'a ()>,
}

/// A handle to standard input.
///
/// # Examples
///
/// ```no_run
/// let mut line = String::new();
/// dormouse_runtime::run(|| dormouse_runtime::io::stdin().read_line(&mut line))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    Stdin { inner: io::stdin() }
}

impl Stdin {
    /// Waits until nobody else reads, and keeps others from reading.
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point. Blocks a plain thread.
    pub fn lock(&self) -> StdinLock<'static> {
        StdinLock { input: Some(INPUT.lease()), inner: io::stdin(), borrowed: PhantomData }
    }

    /// Reads a line with its end, and appends it.
    ///
    /// # Errors
    ///
    /// Those of [`std::io::Stdin::read_line`], and of [`blocking::run`](crate::blocking::run).
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point. Blocks a plain thread.
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_line(buf)
    }

    /// All lines, without their ends.
    ///
    /// # Blocking
    ///
    /// As [`Stdin::lock`]; the iterator as [`Stdin::read_line`].
    pub fn lines(self) -> Lines<StdinLock<'static>> {
        self.lock().lines()
    }

    /// Whether it is a terminal, as [`IsTerminal`] says, which cannot be implemented outside std.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.inner.is_terminal()
    }
}

impl StdinLock<'_> {
    /// Whether it is a terminal, as [`IsTerminal`] says, which cannot be implemented outside std.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.inner.is_terminal()
    }

    fn input(&mut self) -> &mut Lease<Input> {
        self.input.get_or_insert_with(|| INPUT.lease())
    }

    /// Reads more behind what there is; `false` at the end of the input.
    fn read_more(&mut self) -> io::Result<bool> {
        let before = self.input().rest().len();
        let mut input = self.input.take().expect("it was there just now");
        let (input, answer) = blocking::run(move || {
            let answer = input.read_more(io::stdin().lock());
            (input, answer)
        })?;
        let grew = input.rest().len() > before;
        self.input = Some(input);
        answer.map(|()| grew)
    }

    /// How long the rest is up to `delimiter`, reading until that is there, or the end.
    fn await_delimiter(&mut self, delimiter: u8) -> io::Result<usize> {
        let mut searched = 0;
        loop {
            let rest = self.input().rest();
            if let Some(at) = rest[searched..].iter().position(|byte| *byte == delimiter) {
                return Ok(searched + at + 1);
            }
            searched = rest.len();
            if !self.read_more()? {
                return Ok(searched);
            }
        }
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.input().rest().is_empty() {
            self.read_more()?;
        }
        Ok(self.input().rest())
    }

    fn consume(&mut self, amount: usize) {
        self.input().consume(amount);
    }

    fn read_until(&mut self, byte: u8, buf: &mut Vec<u8>) -> io::Result<usize> {
        let length = self.await_delimiter(byte)?;
        buf.extend_from_slice(&self.input().rest()[..length]);
        self.consume(length);
        Ok(length)
    }

    fn read_line(&mut self, buf: &mut String) -> io::Result<usize> {
        let length = self.await_delimiter(b'\n')?;
        let valid = str::from_utf8(&self.input().rest()[..length]).map(|line| buf.push_str(line));
        self.consume(length);
        match valid {
            Ok(()) => Ok(length),
            Err(_) => Err(io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8")),
        }
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        let count = self.fill_buf()?.read_vectored(bufs)?;
        self.consume(count);
        Ok(count)
    }
}

impl Read for &Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.lock().read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.lock().read_exact(buf)
    }
}

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(buf)
    }
}

/// As std's: whatever a panic leaves half done, the input is whole.
impl UnwindSafe for StdinLock<'_> {}
impl RefUnwindSafe for StdinLock<'_> {}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl AsFd for StdinLock<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for StdinLock<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

impl fmt::Debug for StdinLock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdinLock").finish_non_exhaustive()
    }
}
