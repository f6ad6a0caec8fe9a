//! What is borrowed from the worker for as long as it is needed: memory for bytes on their way, and pipes.
//!
//! A connection that has nothing to say should hold neither, so that a hundred thousand of them cost no more than those
//! which are busy at one time. Owns the borrowing and the giving back, which whoever drops a loan need not do on the
//! worker that lent it: it goes to the one that it is dropped on. On a plain thread there is no shelf: there a loan is
//! made, and ends.
//!
//! Invariant 1: only a pipe that its user calls empty is kept for others.
//! Invariant 2: nothing is shared with a parent process: a worker that a child of fork(2) inherited lends and keeps nothing.

use crate::current;
use crate::shelf::{self, Ends};
use crate::sys::pipe;
use crate::worker::Worker;
use std::fmt;
use std::io;
use std::mem::take;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes that a pipe is to have room for: as many as a socket of a fast connection has at a time.
const PIPE_BYTES: usize = 256 << 10;

/// Bytes for which there is room in a pipe of a user who has not many of them. One with less is of no use: what goes through it
/// in so small pieces goes faster through a buffer.
const LEAST_PIPE_BYTES: usize = 64 << 10;

/// Some memory, of the worker's while it is not in use: for bytes on their way to or from somebody else.
///
/// It holds what its last user left there, or zeroes.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::loan::Buffer;
///
/// let mut buffer = Buffer::new(5000);
/// assert!(buffer.len() >= 5000);
/// buffer[..5].copy_from_slice(b"hello");
/// ```
pub struct Buffer {
    /// The memory; none only at the end.
    bytes: Box<[u8]>,
}

impl Buffer {
    /// Borrows at least so many bytes. Up to 256 KiB they come from the worker if it has some.
    pub fn new(bytes: usize) -> Buffer {
        let kept = with_shelf(|worker| worker.shelf.borrow_mut().take_buffer(bytes)).flatten();
        Buffer { bytes: kept.unwrap_or_else(|| allocate_cold(bytes)) }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("size", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// The worker keeps it, if there is one and it has a place for it.
impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = take(&mut self.bytes);
        with_shelf(|worker| worker.keep(|shelf| shelf.keep_buffer(bytes)));
    }
}

/// A pipe, both ends of it ours, to splice(2) through: non-blocking, with room for 256 KiB where the kernel allows that, and
/// for 64 KiB at least.
///
/// Dropped, it is closed, with what may be in it.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::loan::Pipe;
///
/// # fn main() -> std::io::Result<()> {
/// let pipe = Pipe::new()?;
/// pipe.give_back();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pipe {
    /// The two ends.
    ends: Ends,
}

impl Pipe {
    /// Borrows an empty pipe, or opens one.
    ///
    /// # Errors
    ///
    /// EMFILE or ENFILE when there are no descriptors left; [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) when the user has
    /// so many pipes that a further one has room for less than 64 KiB (`fs.pipe-user-pages-soft`, see pipe(7)).
    pub fn new() -> io::Result<Pipe> {
        let kept = with_shelf(|worker| worker.shelf.borrow_mut().take_pipe()).flatten();
        kept.map_or_else(Pipe::open, |ends| Ok(Pipe { ends }))
    }

    fn open() -> io::Result<Pipe> {
        let ends = pipe::open()?;
        match pipe::widen(ends.1.as_fd(), PIPE_BYTES)? {
            ..LEAST_PIPE_BYTES => Err(io::ErrorKind::QuotaExceeded.into()),
            _ => Ok(Pipe { ends }),
        }
    }

    /// The end to read from.
    pub fn reader(&self) -> BorrowedFd<'_> {
        self.ends.0.as_fd()
    }

    /// The end to write to.
    pub fn writer(&self) -> BorrowedFd<'_> {
        self.ends.1.as_fd()
    }

    /// Lets others have the pipe, which must be empty: whatever is in it they would take for their own. On a plain thread it
    /// is closed.
    pub fn give_back(self) {
        with_shelf(|worker| worker.keep(|shelf| shelf.keep_pipe(self.ends)));
    }
}

/// As many bytes as a buffer has that is borrowed for so many.
#[cold]
fn allocate_cold(bytes: usize) -> Box<[u8]> {
    vec![0; shelf::size_for(bytes).unwrap_or(bytes)].into_boxed_slice()
}

/// Calls `f` with this thread's worker, if there is one whose shelf is its own (invariant 2).
#[inline]
fn with_shelf<R>(f: impl FnOnce(&Worker) -> R) -> Option<R> {
    current::with_worker(|worker| worker.filter(|worker| !worker.is_orphan()).map(f))
}
