//! [`BufReader`].
//!
//! Invariant: there is a buffer exactly while `begin < end`, and these are within it.

use std::fmt;
use std::io::{self, BufRead, IoSliceMut, Read};

use bytes::Bytes;
use dormouse_runtime::loan::Buffer;

use super::CAPACITY;
use crate::stream::Stream;

/// Reads a stream in large pieces, like [`std::io::BufReader`], but has a buffer only while there is something in it.
///
/// [`fill_buf`](BufRead::fill_buf) waits until there is something to read, and only then borrows a buffer from its worker,
/// to which it goes back as soon as all was consumed. So of many connections of which few have something to say at one
/// time, few have a buffer. On a plain thread it is allocated and freed.
///
/// Dropped, it loses what was read and not consumed.
///
/// # Examples
///
/// ```
/// use dormouse_net::{BufReader, os::unix::net::UnixStream};
/// use std::io::{BufRead, Write};
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, mut theirs) = UnixStream::pair()?;
/// theirs.write_all(b"one\ntwo\n")?;
/// drop(theirs);
/// let lines: Vec<_> = BufReader::new(ours).lines().collect::<Result<_, _>>()?;
/// assert_eq!(lines, ["one", "two"]);
/// # Ok(())
/// # }
/// ```
pub struct BufReader<S> {
    /// Where the bytes come from.
    stream: S,
    /// What was read, if not all of it is consumed.
    buffer: Option<Buffer>,
    /// Where what is not consumed begins.
    begin: usize,
    /// Where it ends.
    end: usize,
    /// The most bytes read at a time.
    capacity: usize,
}

impl<S: Stream> BufReader<S> {
    /// Reads `stream` 8 KiB at a time, at the most.
    pub fn new(stream: S) -> BufReader<S> {
        BufReader::with_capacity(CAPACITY, stream)
    }

    /// Reads `stream` up to `capacity` bytes at a time; none is taken for one. Workers keep buffers of up to 256 KiB.
    pub fn with_capacity(capacity: usize, stream: S) -> BufReader<S> {
        BufReader { stream, buffer: None, begin: 0, end: 0, capacity: capacity.max(1) }
    }

    /// Reads more behind what is in the buffer already, and gives how many bytes; 0 is the end of the stream. For what can
    /// only be understood as a whole, such as the head of a message.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the buffer is full; those of reading. Neither changes what is in
    /// the buffer.
    ///
    /// # Blocking
    ///
    /// As [`Read`] of the stream. While part of a message is there, the buffer is not given back.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::{BufReader, os::unix::net::UnixStream};
    /// use std::io::{BufRead, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let mut reader = BufReader::new(ours);
    /// theirs.write_all(b"hel")?;
    /// assert_eq!(reader.fill_buf()?, b"hel");
    /// theirs.write_all(b"lo")?;
    /// assert_eq!(reader.read_more()?, 2);
    /// assert_eq!(reader.buffer(), b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_more(&mut self) -> io::Result<usize> {
        let Some(buffer) = &mut self.buffer else {
            return self.fill_buf().map(|bytes| bytes.len());
        };
        if self.end - self.begin == self.capacity {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the buffer is full"));
        }
        if self.end == self.capacity {
            buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        let count = self.stream.part().receive(&mut buffer[self.end..self.capacity])?;
        self.end += count;
        Ok(count)
    }

    /// Takes all that is in the buffer, and the buffer with it, without a copy. It goes to a worker when the last part of
    /// the `Bytes` is dropped; until then a few bytes keep a whole buffer.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::{BufReader, os::unix::net::UnixStream};
    /// use std::io::{BufRead, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// theirs.write_all(b"head body")?;
    /// let mut reader = BufReader::new(ours);
    /// reader.fill_buf()?;
    /// let mut message = reader.freeze();
    /// let head = message.split_to(4);
    /// assert_eq!((head, message), ("head".into(), " body".into()));
    /// assert!(reader.buffer().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn freeze(&mut self) -> Bytes {
        let (begin, end) = (self.begin, self.end);
        self.buffer.take().map_or_else(Bytes::new, |buffer| Bytes::from_owner(buffer).slice(begin..end))
    }
}

impl<S> BufReader<S> {
    /// What was read and is not consumed. Reads nothing.
    pub fn buffer(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.begin..self.end])
    }

    /// The most bytes read at a time.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The stream. What is read from it directly is missing here.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream. What is read from it directly is missing here.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream. What is in the buffer is lost.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Says that so many more bytes of the buffer are consumed.
    fn advance(&mut self, count: usize) {
        self.begin = self.end.min(self.begin + count);
        if self.begin == self.end {
            self.buffer = None;
        }
    }
}

/// Parks the coroutine, or blocks the plain thread, where the stream's `read` does; nothing is lost by a cancellation.
impl<S: Stream> BufRead for BufReader<S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.buffer.is_none() {
            let (buffer, count) = self.stream.part().receive_borrowed(self.capacity, &mut None)?;
            (self.begin, self.end) = (0, count);
            self.buffer = (count > 0).then_some(buffer);
        }
        Ok(self.buffer())
    }

    fn consume(&mut self, amount: usize) {
        if self.buffer.is_some() {
            self.advance(amount);
        }
    }
}

/// As [`BufRead`]. A read of at least the capacity goes past an empty buffer.
impl<S: Stream> Read for BufReader<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_none() && buf.len() >= self.capacity {
            return self.stream.part().receive(buf);
        }
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = self.fill_buf()?.read_vectored(bufs)?;
        self.consume(count);
        Ok(count)
    }
}

/// As std's: the stream, and how much is in the buffer.
impl<S: fmt::Debug> fmt::Debug for BufReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = format_args!("{}/{}", self.buffer().len(), self.capacity);
        f.debug_struct("BufReader").field("reader", &self.stream).field("buffer", &filled).finish()
    }
}
