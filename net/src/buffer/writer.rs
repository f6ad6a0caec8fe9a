//! [`BufWriter`].
//!
//! Invariant 1: there is a buffer exactly while `length > 0`.
//! Invariant 2: what is in the buffer was not sent, unless `is_torn`: then nobody knows how much of it was.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use dormouse_runtime::Cancelled;
use dormouse_runtime::loan::Buffer;

use super::CAPACITY;
use crate::stream::Stream;
use crate::whole::none_written;

/// The most buffers of a caller's that go in one call with ours.
const OTHERS: usize = 63;

/// Gathers small writes to a stream, like [`std::io::BufWriter`], but has a buffer only while there is something in it: it
/// borrows one from its worker at the first write, to which the flush gives it back.
///
/// What does not fit any more is sent together with what is in the buffer, in one call. On a plain thread buffers are
/// allocated and freed.
///
/// Dropped, it is flushed, as std's is, and an error of that is not told: call [`flush`](Write::flush). In a coroutine that
/// unwinds, by a panic or a cancellation, what the peer has no room for is lost then, and after an unwind out of a write of
/// its own nothing is sent. A cancellation that strikes while the drop waits ends the wait, and
/// unwinds at the next cancellation point: the drop itself does not.
///
/// # Examples
///
/// ```
/// use dormouse_net::{BufWriter, os::unix::net::UnixStream};
/// use std::io::{Read, Write};
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let mut writer = BufWriter::new(ours);
/// for n in 1..=3 {
///     write!(writer, "{n} ")?;
/// }
/// writer.flush()?;
/// let mut text = [0; 6];
/// theirs.read_exact(&mut text)?;
/// assert_eq!(&text, b"1 2 3 ");
/// # Ok(())
/// # }
/// ```
pub struct BufWriter<S: Stream> {
    /// Where the bytes go; `None` only at the end.
    stream: Option<S>,
    /// What is not sent yet.
    buffer: Option<Buffer>,
    /// How many bytes of the buffer that is.
    length: usize,
    /// The most bytes gathered.
    capacity: usize,
    /// Whether the last write was left by an unwind.
    is_torn: bool,
}

impl<S: Stream> BufWriter<S> {
    /// Gathers up to 8 KiB.
    pub fn new(stream: S) -> BufWriter<S> {
        BufWriter::with_capacity(CAPACITY, stream)
    }

    /// Gathers up to `capacity` bytes. Workers keep buffers of up to 256 KiB.
    pub fn with_capacity(capacity: usize, stream: S) -> BufWriter<S> {
        BufWriter { stream: Some(stream), buffer: None, length: 0, capacity, is_torn: false }
    }

    /// What is not sent yet.
    pub fn buffer(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[..self.length])
    }

    /// The most bytes gathered.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The stream. What is written to it directly comes before what is in the buffer.
    pub fn get_ref(&self) -> &S {
        self.stream.as_ref().expect("a writer in use has its stream")
    }

    /// The stream. What is written to it directly comes before what is in the buffer.
    pub fn get_mut(&mut self) -> &mut S {
        self.stream.as_mut().expect("a writer in use has its stream")
    }

    /// Flushes, and gives the stream.
    ///
    /// # Errors
    ///
    /// Those of writing; the writer comes with them, with what was not sent.
    ///
    /// # Blocking
    ///
    /// As [`flush`](Write::flush).
    pub fn into_inner(mut self) -> Result<S, IntoInnerError<BufWriter<S>>> {
        match self.send_all() {
            Ok(()) => Ok(self.stream.take().expect("a writer in use has its stream")),
            Err(error) => Err(IntoInnerError { writer: self, error }),
        }
    }

    /// Gathers `buf` where there is something already and it fits: most small writes are of this kind.
    #[inline]
    fn gather_more(&mut self, buf: &[u8]) -> bool {
        let fits = buf.len() <= self.capacity - self.length;
        let Some(buffer) = self.buffer.as_mut().filter(|_| fits) else {
            return false;
        };
        buffer[self.length..self.length + buf.len()].copy_from_slice(buf);
        self.length += buf.len();
        true
    }

    #[cold]
    fn write_all_cold(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write_vectored(&[IoSlice::new(buf)])? {
                0 => return Err(none_written()),
                written => buf = &buf[written..],
            }
        }
        Ok(())
    }

    /// Gathers what fits.
    fn gather(&mut self, bufs: &[IoSlice<'_>]) {
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            let buffer = self.buffer.get_or_insert_with(|| Buffer::new(self.capacity));
            buffer[self.length..self.length + buf.len()].copy_from_slice(buf);
            self.length += buf.len();
        }
    }

    /// Sends what is in the buffer and, after it, `others`; gives how many bytes of those went.
    fn send(&mut self, others: &[IoSlice<'_>]) -> io::Result<usize> {
        self.is_torn = true;
        let sent = match &self.buffer {
            Some(buffer) if others.is_empty() => self.get_ref().part().send(&buffer[..self.length]),
            _ => self.send_vectored(others),
        };
        self.is_torn = false;
        match sent? {
            0 => Err(none_written()),
            sent => Ok(self.forget(sent)),
        }
    }

    #[inline(never)]
    fn send_vectored(&self, others: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut all = [IoSlice::new(&[]); 1 + OTHERS];
        let count = others.len().min(OTHERS);
        all[0] = IoSlice::new(self.buffer());
        all[1..=count].copy_from_slice(&others[..count]);
        let first = usize::from(self.length == 0);
        self.get_ref().part().send_vectored(&all[first..=count])
    }

    /// So many bytes were sent; gives how many were not of the buffer.
    fn forget(&mut self, sent: usize) -> usize {
        if let Some(buffer) = self.buffer.as_mut().filter(|_| sent < self.length) {
            buffer.copy_within(sent..self.length, 0);
            self.length -= sent;
            return 0;
        }
        self.buffer = None;
        sent - std::mem::take(&mut self.length)
    }

    fn send_all(&mut self) -> io::Result<()> {
        while self.length > 0 {
            self.send(&[])?;
        }
        Ok(())
    }
}

/// Parks the coroutine, or blocks the plain thread, where the stream's `write` does, once the buffer is full. A cancellation
/// leaves the writer such that it sends no more by itself: nobody knows what was sent.
impl<S: Stream> Write for BufWriter<S> {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.gather_more(buf) { Ok(buf.len()) } else { self.write_vectored(&[IoSlice::new(buf)]) }
    }

    #[inline]
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        if self.gather_more(buf) { Ok(()) } else { self.write_all_cold(buf) }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let asked = bufs.iter().fold(0usize, |sum, buf| sum.saturating_add(buf.len()));
        loop {
            if asked <= self.capacity - self.length {
                self.gather(bufs);
                return Ok(asked);
            }
            match self.send(bufs)? {
                0 => {}
                taken => return Ok(taken),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_all()
    }
}

/// Flushes, unless an unwind came out of a write. A cancellation does not come out of here.
impl<S: Stream> Drop for BufWriter<S> {
    fn drop(&mut self) {
        if self.stream.is_none() || self.length == 0 || self.is_torn {
            return;
        }
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.send_all()))
            && !payload.is::<Cancelled>()
        {
            resume_unwind(payload);
        }
    }
}

/// As std's: the stream, and how much is in the buffer.
impl<S: Stream + fmt::Debug> fmt::Debug for BufWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = format_args!("{}/{}", self.length, self.capacity);
        f.debug_struct("BufWriter").field("writer", self.get_ref()).field("buffer", &filled).finish()
    }
}

/// Why [`BufWriter::into_inner`] could not, like [`std::io::IntoInnerError`].
#[derive(Debug)]
pub struct IntoInnerError<W> {
    /// The writer, with what was not sent.
    writer: W,
    /// What went wrong.
    error: io::Error,
}

impl<W> IntoInnerError<W> {
    /// What went wrong.
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// The writer, with what was not sent.
    pub fn into_inner(self) -> W {
        self.writer
    }

    /// Both.
    pub fn into_parts(self) -> (io::Error, W) {
        (self.error, self.writer)
    }
}

impl<W> From<IntoInnerError<W>> for io::Error {
    fn from(error: IntoInnerError<W>) -> io::Error {
        error.error
    }
}

impl<W: fmt::Debug> Error for IntoInnerError<W> {}

impl<W> fmt::Display for IntoInnerError<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}
