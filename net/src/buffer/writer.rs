//! [`BufWriter`].
//!
//! Invariant 1: there is a buffer exactly while `begin < end`, and these are within it.
//! Invariant 2: what of the buffer is between them was not sent. Each single send either says what it sent, which is noted at
//! once, or was cut short and has sent nothing.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, Write};

use dormouse_runtime::loan::Buffer;
use dormouse_runtime::{blocking, cancel, wait};

use super::CAPACITY;
use crate::counted::WriteCounted;
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
/// However a write or a flush ends, be it by an error, a timeout or a cancellation: what was sent is known, and the next flush
/// goes on behind it. A write takes what it says, and nothing if it fails or is thrown out of.
///
/// Dropped, it is flushed, as std's is, and an error of that is not told: call [`flush`](Write::flush). In an unwind,
/// by a panic, a cancellation or a timeout, and inside `no_park`, the drop does not wait: what there is no room for is lost. (On
/// a plain thread, too, where nothing could end that wait.) A cancellation that strikes while it waits ends the wait, and unwinds
/// at the next cancellation point: the drop itself does not.
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
    /// Where in the buffer that begins.
    begin: usize,
    /// Where it ends.
    end: usize,
    /// The most bytes gathered.
    capacity: usize,
}

impl<S: Stream> BufWriter<S> {
    /// Gathers up to 8 KiB.
    pub fn new(stream: S) -> BufWriter<S> {
        BufWriter::with_capacity(CAPACITY, stream)
    }

    /// Gathers up to `capacity` bytes. Workers keep buffers of up to 256 KiB.
    pub fn with_capacity(capacity: usize, stream: S) -> BufWriter<S> {
        BufWriter { stream: Some(stream), buffer: None, begin: 0, end: 0, capacity }
    }

    /// What is not sent yet.
    pub fn buffer(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.begin..self.end])
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

    /// Gathers `buf` where there is something already and room behind it: most small writes are of this kind.
    #[inline]
    fn gather_more(&mut self, buf: &[u8]) -> bool {
        let fits = buf.len() <= self.capacity - self.end;
        let Some(buffer) = self.buffer.as_mut().filter(|_| fits) else {
            return false;
        };
        buffer[self.end..self.end + buf.len()].copy_from_slice(buf);
        self.end += buf.len();
        true
    }

    #[cold]
    fn write_all_cold(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            buf = &buf[self.write_vectored(&[IoSlice::new(buf)])?..];
        }
        Ok(())
    }

    /// Gathers what fits: `total` bytes.
    fn gather(&mut self, bufs: &[IoSlice<'_>], total: usize) {
        if total == 0 {
            return;
        }
        let buffer = self.buffer.get_or_insert_with(|| Buffer::new(self.capacity));
        if self.end + total > self.capacity {
            buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        for buf in bufs {
            buffer[self.end..self.end + buf.len()].copy_from_slice(buf);
            self.end += buf.len();
        }
    }

    /// Sends some of what is in the buffer and, after it, of `others`, which are not all empty if it is; gives how many bytes of
    /// those went.
    fn send(&mut self, others: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut all = [IoSlice::new(&[]); 1 + OTHERS];
        all[0] = IoSlice::new(self.buffer());
        let mut count = 1;
        for (place, other) in all[1..].iter_mut().zip(others.iter().filter(|other| !other.is_empty())) {
            *place = *other;
            count += 1;
        }
        let first = usize::from(self.buffer().is_empty());
        match self.get_ref().part().send_some_vectored(&all[first..count])? {
            0 => Err(none_written()),
            sent => Ok(self.forget(sent)),
        }
    }

    /// So many bytes were sent; gives how many were not of the buffer.
    fn forget(&mut self, sent: usize) -> usize {
        let own = sent.min(self.end - self.begin);
        self.begin += own;
        if self.begin == self.end {
            (self.buffer, self.begin, self.end) = (None, 0, 0);
        }
        sent - own
    }

    fn send_all(&mut self) -> io::Result<()> {
        while self.buffer.is_some() {
            match self.get_ref().part().send_some(self.buffer())? {
                0 => return Err(none_written()),
                sent => _ = self.forget(sent),
            }
        }
        Ok(())
    }
}

/// Parks the coroutine, or blocks the plain thread, until there is room for the first byte, once the buffer is full. A count is
/// less than asked for if there is no room for more. A cancellation takes nothing, and leaves in the buffer what was not sent.
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
            if asked <= self.capacity - self.buffer().len() {
                self.gather(bufs, asked);
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

/// What is written is what the writer took: in its buffer, or sent.
impl<S: Stream> WriteCounted for BufWriter<S> {
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write(buf)
    }
}

/// Flushes. Neither a cancellation nor a panic comes out of here.
impl<S: Stream> Drop for BufWriter<S> {
    fn drop(&mut self) {
        if self.buffer.is_none() {
            return;
        }
        if may_wait() {
            let _ = cancel::as_errors(|| self.send_all());
        } else {
            let _ = self.get_ref().part().send_at_once(self.buffer());
        }
    }
}

/// Whether a drop may wait. In a coroutine that unwinds a wait fails at once, but on a plain thread that does, one would last, and
/// no timeout around it would strike: the unwind may be that timeout's.
fn may_wait() -> bool {
    wait::may_park() && (blocking::in_coroutine() || !std::thread::panicking())
}

/// As std's: the stream, and how much is in the buffer.
impl<S: Stream + fmt::Debug> fmt::Debug for BufWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = format_args!("{}/{}", self.buffer().len(), self.capacity);
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

    /// What went wrong. The writer is dropped, which tries once more.
    pub fn into_error(self) -> io::Error {
        self.error
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
