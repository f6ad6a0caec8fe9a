//! Moving bytes through a [`UnixStream`]: `Read`, `Write` and peek.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsFd;

use dormouse_runtime::wait::Interest;

use super::UnixStream;
use crate::file;
use crate::sys::transfer;
use crate::whole;

impl UnixStream {
    /// Receives data without removing it from the queue: the next read returns the same bytes. Unstable in std
    /// (`unix_socket_peek`).
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
    /// use dormouse_net::os::unix::net::UnixStream;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (mut ours, mut theirs) = UnixStream::pair()?;
    /// ours.write_all(b"knock")?;
    /// let mut buf = [0; 5];
    /// theirs.peek(&mut buf)?;
    /// theirs.read_exact(&mut buf)?;
    /// assert_eq!(&buf, b"knock");
    /// # Ok(())
    /// # }
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket().retry(Interest::Read, |fd| transfer::peek(fd, buf))
    }

    /// Sends up to `count` bytes of a file, from `offset` on, and gives how many, as
    /// [`TcpStream::send_file`](crate::TcpStream::send_file).
    ///
    /// # Errors
    ///
    /// Those of [`TcpStream::send_file`](crate::TcpStream::send_file).
    ///
    /// # Blocking
    ///
    /// As [`TcpStream::send_file`](crate::TcpStream::send_file).
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::os::unix::net::UnixStream;
    /// use std::fs::File;
    /// use std::io::Read;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// // What sendfile(2) refuses goes through a buffer.
    /// assert_eq!(ours.send_file(&File::open("/proc/self/status")?, 0, 5)?, 5);
    /// let mut text = [0; 5];
    /// theirs.read_exact(&mut text)?;
    /// assert_eq!(&text, b"Name:");
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_file<F: AsFd + ?Sized>(&self, file: &F, offset: u64, count: u64) -> io::Result<u64> {
        file::send(self.socket(), file.as_fd(), offset, count)
    }

    /// As [`send_file`](UnixStream::send_file); `sent` says how many bytes have gone, however this ends, as for
    /// [`TcpStream::send_file_counted`](crate::TcpStream::send_file_counted).
    ///
    /// # Errors
    ///
    /// Those of [`TcpStream::send_file_counted`](crate::TcpStream::send_file_counted).
    ///
    /// # Blocking
    ///
    /// As [`TcpStream::send_file`](crate::TcpStream::send_file).
    pub fn send_file_counted<F: AsFd + ?Sized>(
        &self,
        file: &F,
        offset: u64,
        count: u64,
        sent: &mut u64,
    ) -> io::Result<()> {
        file::send_counted(self.socket(), file.as_fd(), offset, count, sent)
    }

    /// Sends all of the buffers, as [`Write::write_all`] does one. Unstable in std (`write_all_vectored`).
    ///
    /// # Errors
    ///
    /// Those of a write; how much was sent by then is not told, and `bufs` is changed.
    ///
    /// # Blocking
    ///
    /// As [`Write`]. A cancellation point.
    pub fn write_all_vectored(&self, bufs: &mut [IoSlice<'_>]) -> io::Result<()> {
        whole::write_all_vectored(|bufs| (&*self).write_vectored(bufs), bufs)
    }
}

impl UnixStream {
    /// Sends what there is room for, waiting for room for the first byte only.
    pub(crate) fn send_some(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return (&*self).write(buf);
        }
        self.socket().send_some(|fd| transfer::send(fd, buf))
    }
}

/// Parks the coroutine, or blocks the plain thread, until there is data, the stream has ended, or the read timeout
/// passes ([`WouldBlock`](io::ErrorKind::WouldBlock), as std reports it). Never fails with `Interrupted`.
///
/// Descriptors that the peer sent along are lost; see [`SocketAncillary`](super::SocketAncillary) for what that may
/// cost.
impl Read for &UnixStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket().receive(|fd| transfer::recv(fd, buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let bufs = transfer::first_mut(bufs);
        // Like readv(2), which std uses, and unlike recvmsg(2), which waits for data that it has no room for.
        if transfer::total(bufs) == 0 {
            return Ok(0);
        }
        self.socket().receive(|fd| transfer::recv_vectored(fd, bufs))
    }
}

/// Parks the coroutine, or blocks the plain thread, until there was room for all of the data, as std's does on Linux. The
/// count is less than asked for only if an error came in between, which the next write meets, or the write timeout passed;
/// if nothing was sent by then, the timeout is [`WouldBlock`](io::ErrorKind::WouldBlock), as std reports it. Never fails
/// with `Interrupted`, never raises SIGPIPE.
impl Write for &UnixStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.socket().retry_without_room(|fd| transfer::send(fd, buf));
        }
        self.socket().send_whole(buf.len(), |fd, sent| transfer::send(fd, &buf[sent..]))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = transfer::first(bufs);
        let asked = transfer::total(bufs);
        // Like writev(2), which std uses: no data, no error.
        if asked == 0 {
            return Ok(0);
        }
        self.socket().send_whole(asked, |fd, sent| transfer::send_vectored(fd, bufs, sent))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As for `&UnixStream`.
impl Read for UnixStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

/// As for `&UnixStream`.
impl Write for UnixStream {
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
