//! What all streams have in common, for code that takes any of them.
//!
//! Owns the trait [`Stream`] and what is built on it at once: whole lists of buffers, files, and `bytes`. Must never know how
//! waiting works.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Buf, BufMut};
use dormouse_runtime::blocking;
use dormouse_runtime::loan::Buffer;
use dormouse_runtime::wait::Interest;

use crate::sys::{spare, transfer};
use crate::tcp::TcpStream;
use crate::unix::UnixStream;
use crate::whole::none_written;

/// The most pieces of a [`Buf`] that go in one call.
const PIECES: usize = 64;

/// A stream of dormouse's own: [`TcpStream`], [`UnixStream`](crate::os::unix::net::UnixStream), or a reference or a shared
/// pointer to one.
///
/// [`net::copy`](crate::copy), [`net::BufReader`](crate::BufReader) and [`net::BufWriter`](crate::BufWriter) take any of
/// these. Its methods move the data of the `bytes` crate.
///
/// # Examples
///
/// ```
/// use bytes::{Buf, Bytes, BytesMut};
/// use dormouse_net::{Stream, os::unix::net::UnixStream};
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, theirs) = UnixStream::pair()?;
/// let mut message = Bytes::from_static(b"len=").chain(&b"5"[..]);
/// ours.write_all_buf(&mut message)?;
///
/// let mut received = BytesMut::with_capacity(64);
/// theirs.read_buf(&mut received)?;
/// assert_eq!(received.freeze(), &b"len=5"[..]);
/// # Ok(())
/// # }
/// ```
pub trait Stream: sealed::Sealed {
    /// Receives into the free memory of `buf`, initialised or not, and advances it; gives how many bytes came, 0 for the end
    /// of the stream or if there is no room.
    ///
    /// A `BytesMut` without spare capacity grows by a little only: reserve as much as is to be received.
    ///
    /// # Errors
    ///
    /// Those of [`Read`](io::Read); then nothing was received.
    ///
    /// # Blocking
    ///
    /// As [`Read`](io::Read): parks the coroutine, or blocks the plain thread, until there is data or the stream has ended. A
    /// cancellation takes nothing from the stream.
    fn read_buf(&self, buf: &mut impl BufMut) -> io::Result<usize>
    where
        Self: Sized,
    {
        if !buf.has_remaining_mut() {
            return Ok(0);
        }
        self.part().receive_with(|fd| spare::recv(fd, buf))
    }

    /// Sends what there is room for of what `buf` has, up to 64 pieces of it in one call, and advances it by as much as was
    /// sent, which it gives; 0 only if there was nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Write`](io::Write); then nothing was sent.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is room for the first byte. A cancellation sends nothing, and
    /// leaves `buf` as it was.
    fn write_buf(&self, buf: &mut impl Buf) -> io::Result<usize>
    where
        Self: Sized,
    {
        if !buf.has_remaining() {
            return Ok(0);
        }
        let mut slices = [IoSlice::new(&[]); PIECES];
        let count = buf.chunks_vectored(&mut slices);
        let sent = self.part().send_some_vectored(&slices[..count])?;
        buf.advance(sent);
        Ok(sent)
    }

    /// Sends all that `buf` has, and advances it by as much as was sent, however this ends: an error, a timeout or a cancellation
    /// leaves in `buf` what was not sent.
    ///
    /// # Errors
    ///
    /// Those of [`Write`](io::Write).
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there was room for all. A cancellation point.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::{Buf, Bytes};
    /// use dormouse_net::{Stream, os::unix::net::UnixStream};
    /// use dormouse_runtime::time;
    /// use std::io::Read;
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let mut message = Bytes::from(vec![7; 10_000_000]);
    /// // Nobody reads.
    /// assert!(time::timeout(Duration::from_millis(1), || ours.write_all_buf(&mut message)).is_err());
    /// let sent = 10_000_000 - message.remaining();
    /// drop(ours);
    /// let mut received = Vec::new();
    /// assert_eq!(theirs.read_to_end(&mut received)?, sent);
    /// # Ok(())
    /// # }
    /// ```
    fn write_all_buf(&self, buf: &mut impl Buf) -> io::Result<()>
    where
        Self: Sized,
    {
        while buf.has_remaining() {
            if self.write_buf(buf)? == 0 {
                return Err(none_written());
            }
        }
        Ok(())
    }
}

/// Keeps [`Stream`] to dormouse's own streams: what is built on it goes past `Read` and `Write` to the socket.
mod sealed {
    use crate::socket::Socket;

    /// See the module.
    pub trait Sealed {
        /// What the stream is to this crate.
        #[doc(hidden)]
        fn part(&self) -> Part<'_>;
    }

    /// A stream, as this crate sees it.
    #[derive(Clone, Copy)]
    #[allow(missing_debug_implementations, reason = "nobody else has one")]
    pub struct Part<'a> {
        /// Where the bytes go.
        pub(crate) socket: &'a Socket,
        /// Whether a short count means that there was no more, or no more room (see [`Socket::note_short`]).
        pub(super) is_tcp: bool,
    }
}

pub(crate) use sealed::Part;

impl sealed::Sealed for TcpStream {
    fn part(&self) -> Part<'_> {
        Part { socket: self.socket(), is_tcp: true }
    }
}

impl sealed::Sealed for UnixStream {
    fn part(&self) -> Part<'_> {
        Part { socket: self.socket(), is_tcp: false }
    }
}

impl<S: sealed::Sealed + ?Sized> sealed::Sealed for &S {
    fn part(&self) -> Part<'_> {
        (**self).part()
    }
}

impl<S: sealed::Sealed + ?Sized> sealed::Sealed for &mut S {
    fn part(&self) -> Part<'_> {
        (**self).part()
    }
}

impl<S: sealed::Sealed + ?Sized> sealed::Sealed for Box<S> {
    fn part(&self) -> Part<'_> {
        (**self).part()
    }
}

impl<S: sealed::Sealed + ?Sized> sealed::Sealed for Rc<S> {
    fn part(&self) -> Part<'_> {
        (**self).part()
    }
}

impl<S: sealed::Sealed + ?Sized> sealed::Sealed for Arc<S> {
    fn part(&self) -> Part<'_> {
        (**self).part()
    }
}

impl<S: sealed::Sealed> Stream for S {}

impl Part<'_> {
    /// Notes a short count, where it says something.
    fn note_short(self, interest: Interest, moved: usize, asked: usize) {
        if self.is_tcp {
            self.socket.note_short(interest, moved, asked.min(transfer::CERTAIN_BYTES));
        }
    }

    /// Runs an attempt to receive, which says how many bytes came and how many were asked for.
    pub(crate) fn receive_with(
        self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<(usize, usize)>,
    ) -> io::Result<usize> {
        self.socket.receive(|fd| {
            let (count, asked) = attempt(fd)?;
            self.note_short(Interest::Read, count, asked);
            Ok(count)
        })
    }

    /// Receives into `buf`, which is not empty.
    pub(crate) fn receive(self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive_with(|fd| Ok((transfer::recv(fd, buf)?, buf.len())))
    }

    /// Receives into a buffer that is borrowed for each attempt only: who waits holds none. It has at least `asked` bytes.
    /// In place of it goes `kept`, which is then kept while a plain thread waits.
    pub(crate) fn receive_borrowed(self, asked: usize, kept: &mut Option<Buffer>) -> io::Result<(Buffer, usize)> {
        let in_coroutine = blocking::in_coroutine();
        let mut received = None;
        let count = self.receive_with(|fd| {
            let mut buffer = kept.take().unwrap_or_else(|| Buffer::new(asked));
            match transfer::recv(fd, &mut buffer[..asked]) {
                Ok(count) => {
                    received = Some(buffer);
                    Ok((count, asked))
                }
                Err(error) => {
                    *kept = (!in_coroutine).then_some(buffer);
                    Err(error)
                }
            }
        })?;
        Ok((received.expect("the last attempt received"), count))
    }

    /// Sends what there is room for of `buf`, which is not empty: see [`Socket::send_some`].
    pub(crate) fn send_some(self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send_some(|fd| {
            let moved = transfer::send(fd, buf)?;
            self.note_short(Interest::Write, moved, buf.len());
            Ok(moved)
        })
    }

    /// As [`Part::send_some`], of the buffers, which are not all empty, or of as many of them as go in one call.
    pub(crate) fn send_some_vectored(self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [buf] = bufs {
            return self.send_some(buf);
        }
        let bufs = transfer::first(bufs);
        let asked = transfer::total(bufs);
        self.socket.send_some(|fd| {
            let moved = transfer::send_vectored(fd, bufs, 0)?;
            self.note_short(Interest::Write, moved, asked);
            Ok(moved)
        })
    }

    /// Sends what there is room for now. For where nothing may wait.
    pub(crate) fn send_at_once(self, buf: &[u8]) -> io::Result<usize> {
        transfer::send(self.socket.fd(), buf)
    }

    /// Sends all of `buf`; `count` grows with each byte that is sent.
    pub(crate) fn send_all(self, mut buf: &[u8], count: &mut u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.send_some(buf)? {
                0 => return Err(none_written()),
                sent => {
                    *count += sent as u64;
                    buf = &buf[sent..];
                }
            }
        }
        Ok(())
    }

    /// Shuts down one or both directions.
    pub(crate) fn shutdown(self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}
