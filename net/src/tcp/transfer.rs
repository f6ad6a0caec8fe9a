//! Moving bytes through a [`TcpStream`]: `Read`, `Write` and peek.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::BorrowedFd;

use dormouse_runtime::wait::Interest;

use super::TcpStream;
use crate::sys::{errno, transfer};

impl TcpStream {
    /// Receives data without removing it from the queue: the next read returns the same bytes.
    ///
    /// # Errors
    ///
    /// As for [`Read`]: [`WouldBlock`](io::ErrorKind::WouldBlock) when the read timeout passes or the stream is in
    /// non-blocking mode and there is nothing to read; whatever recv(2) reports.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is data or the stream has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use dormouse_net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// let (mut server, _) = listener.accept()?;
    ///
    /// client.write_all(b"knock")?;
    /// let mut buf = [0; 5];
    /// server.peek(&mut buf)?;
    /// server.read_exact(&mut buf)?;
    /// assert_eq!(&buf, b"knock");
    /// # Ok(())
    /// # }
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.socket().retry_empty(Interest::Read, |fd| transfer::peek(fd, buf));
        }
        self.socket().retry(Interest::Read, |fd| transfer::peek(fd, buf))
    }

    /// Receives up to `asked` bytes, and notes a short count before its turn ends.
    fn receive(&self, asked: usize, mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>) -> io::Result<usize> {
        let asked = asked.min(transfer::CERTAIN_BYTES);
        self.socket().receive(|fd| {
            let moved = attempt(fd)?;
            self.socket().note_short(Interest::Read, moved, asked);
            Ok(moved)
        })
    }

    /// Sends `asked` bytes; `attempt` is told how many were sent already, and `tried` says how many it then tries to send.
    fn send(
        &self,
        asked: usize,
        tried: impl Fn(usize) -> usize,
        mut attempt: impl FnMut(BorrowedFd<'_>, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let asked = asked.min(transfer::CERTAIN_BYTES);
        let short = Cell::new(false);
        self.socket().send_whole(asked, |fd, sent| {
            if short.take() && !self.socket().is_lent() {
                // What a further attempt would say.
                return Err(errno::would_block());
            }
            let tried = tried(sent).min(asked - sent);
            let moved = attempt(fd, sent)?;
            self.socket().note_short(Interest::Write, moved, tried);
            short.set(moved < tried);
            Ok(moved)
        })
    }
}

impl TcpStream {
    /// Sends what there is room for, waiting for room for the first byte only.
    pub(crate) fn send_some(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return (&*self).write(buf);
        }
        let buf = &buf[..buf.len().min(transfer::CERTAIN_BYTES)];
        self.socket().send_some(|fd| {
            let moved = transfer::send(fd, buf)?;
            self.socket().note_short(Interest::Write, moved, buf.len());
            Ok(moved)
        })
    }
}

/// Parks the coroutine, or blocks the plain thread, until there is data, the stream has ended, or the read timeout
/// passes ([`WouldBlock`](io::ErrorKind::WouldBlock), as std reports it). Never fails with `Interrupted`.
impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.socket().retry_empty(Interest::Read, |fd| transfer::recv(fd, buf));
        }
        self.receive(buf.len(), |fd| transfer::recv(fd, buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let bufs = transfer::first_mut(bufs);
        let asked = transfer::total(bufs);
        // Like readv(2), which std uses, and unlike recvmsg(2), which waits for data that it has no room for.
        if asked == 0 {
            return Ok(0);
        }
        self.receive(asked, |fd| transfer::recv_vectored(fd, bufs))
    }
}

/// Parks the coroutine, or blocks the plain thread, until there was room for all of the data, as std's does on Linux. The
/// count is less than asked for only if an error came in between, which the next write meets, or the write timeout passed;
/// if nothing was sent by then, the timeout is [`WouldBlock`](io::ErrorKind::WouldBlock), as std reports it. Never fails
/// with `Interrupted`, never raises SIGPIPE.
impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.socket().retry_without_room(|fd| transfer::send(fd, buf));
        }
        self.send(buf.len(), |sent| buf.len() - sent, |fd, sent| transfer::send(fd, &buf[sent..]))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = transfer::first(bufs);
        let asked = transfer::total(bufs);
        // Like writev(2), which std uses: no data, no error.
        if asked == 0 {
            return Ok(0);
        }
        self.send(asked, |sent| transfer::tried(bufs, sent), |fd, sent| transfer::send_vectored(fd, bufs, sent))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As for `&TcpStream`.
impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

/// As for `&TcpStream`.
impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
