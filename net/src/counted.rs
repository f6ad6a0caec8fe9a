//! `read_exact` and `write_all` that can be cut short: what was done is known, and can be gone on with.
//!
//! Owns where the count is: with the caller, outside of whatever ends the call, be it an error, a timeout of the stream, or
//! the unwind of a `time::timeout` or a cancel. Nothing is read or written that is not counted, since single operations either
//! move something and say so, or were cut short and moved nothing.
//!
//! Std's `write_all` cannot promise that, even where the error of each `write` were known: a `write` to a stream goes on until
//! all is sent, as the kernel's does, and what it had sent when it was thrown out of its wait, nobody is told.

use std::io::{self, ErrorKind, Read, Write};

use dormouse_runtime::process::ChildStdin;

use crate::tcp::TcpStream;
use crate::unix::UnixStream;

/// Reading to the end of a buffer, in as many calls as it takes.
///
/// It is there for all that reads. The count is right for whatever takes nothing where its `read` is thrown out of or fails, as
/// all of this library does, and `BufReader`.
///
/// # Examples
///
/// What came in time is not lost:
///
/// ```
/// use dormouse_net::ReadCounted;
/// use dormouse_net::os::unix::net::UnixStream;
/// use dormouse_runtime::time;
/// use std::io::Write;
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let (mut ours, mut theirs) = UnixStream::pair()?;
/// let (mut message, mut count) = ([0; 5], 0);
/// theirs.write_all(b"he")?;
/// let soon = Duration::from_millis(1);
/// assert!(time::timeout(soon, || ours.read_exact_counted(&mut message, &mut count)).is_err());
/// assert_eq!(&message[..count], b"he");
///
/// theirs.write_all(b"llo")?;
/// ours.read_exact_counted(&mut message, &mut count)?;
/// assert_eq!(&message, b"hello");
/// # Ok(())
/// # }
/// ```
pub trait ReadCounted: Read {
    /// As [`read_exact`](Read::read_exact) into what of `buf` comes after the first `count` bytes; `count` grows with each byte
    /// that is there, and says how many are, however this ends.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](ErrorKind::UnexpectedEof) if the end comes first; those of [`read`](Read::read), but `Interrupted`,
    /// after which it goes on. A timeout of the stream's is one, and counts from the last byte.
    ///
    /// # Blocking
    ///
    /// As [`read`](Read::read).
    ///
    /// # Panics
    ///
    /// Panics if `count` is more than there is room for.
    fn read_exact_counted(&mut self, buf: &mut [u8], count: &mut usize) -> io::Result<()> {
        while !buf[*count..].is_empty() {
            match self.read(&mut buf[*count..]) {
                Ok(0) => {
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, "the end came before the buffer was full"));
                }
                Ok(read) => *count += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<R: Read + ?Sized> ReadCounted for R {}

/// Writing a whole buffer, in as many calls as it takes.
///
/// # Examples
///
/// ```
/// use dormouse_net::os::unix::net::UnixStream;
/// use dormouse_net::{ReadCounted, WriteCounted};
/// use dormouse_runtime::time;
/// use std::io::Read;
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let (mut ours, mut theirs) = UnixStream::pair()?;
/// // More than there is room for, and nobody reads.
/// let (message, mut count) = (vec![7; 10_000_000], 0);
/// let soon = Duration::from_millis(1);
/// assert!(time::timeout(soon, || ours.write_all_counted(&message, &mut count)).is_err());
///
/// let mut arrived = vec![0; count];
/// theirs.read_exact(&mut arrived)?;
/// theirs.set_nonblocking(true)?;
/// assert!(theirs.read(&mut [0]).is_err(), "no more than that was sent");
/// # Ok(())
/// # }
/// ```
pub trait WriteCounted: Write {
    /// Writes what there is room for, and waits for room for the first byte only; where [`write`](Write::write) may go on until all
    /// is sent. None of it, if this is thrown out of or fails.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Write::write).
    ///
    /// # Blocking
    ///
    /// As [`write`](Write::write).
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize>;

    /// As [`write_all`](Write::write_all) of what of `buf` comes after the first `count` bytes; `count` grows with each byte
    /// that is sent, and says how many are, however this ends.
    ///
    /// # Errors
    ///
    /// [`WriteZero`](ErrorKind::WriteZero) if no more is taken; those of [`write`](Write::write), but `Interrupted`, after which
    /// it goes on. A timeout of the stream's is one, and counts from the last byte.
    ///
    /// # Blocking
    ///
    /// As [`write`](Write::write).
    ///
    /// # Panics
    ///
    /// Panics if `count` is more than there is.
    fn write_all_counted(&mut self, buf: &[u8], count: &mut usize) -> io::Result<()> {
        while !buf[*count..].is_empty() {
            match self.write_some(&buf[*count..]) {
                Ok(0) => return Err(io::Error::new(ErrorKind::WriteZero, "no more of the buffer was taken")),
                Ok(written) => *count += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl WriteCounted for TcpStream {
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send_some(buf)
    }
}

impl WriteCounted for &TcpStream {
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send_some(buf)
    }
}

impl WriteCounted for UnixStream {
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send_some(buf)
    }
}

impl WriteCounted for &UnixStream {
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send_some(buf)
    }
}

/// A pipe takes what there is room for.
impl WriteCounted for ChildStdin {
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write(buf)
    }
}

impl<W: WriteCounted + ?Sized> WriteCounted for &mut W {
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        (**self).write_some(buf)
    }
}

impl<W: WriteCounted + ?Sized> WriteCounted for Box<W> {
    fn write_some(&mut self, buf: &[u8]) -> io::Result<usize> {
        (**self).write_some(buf)
    }
}
