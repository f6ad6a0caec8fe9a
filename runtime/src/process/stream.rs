//! The pipes to and from a child.

use crate::fs::File;
use crate::pipe::Pipe;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::process::Stdio;

/// Where the bytes go.
enum End {
    /// To a pipe that was made for the child.
    Own(Pipe),
    /// To what a user put in its place, which may be anything, and known to anybody.
    Foreign(File),
}

impl End {
    fn own(fd: OwnedFd) -> io::Result<End> {
        Pipe::new(fd).map(End::Own)
    }

    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self {
            End::Own(pipe) => pipe.read(buffers),
            End::Foreign(file) => (&mut &*file).read_vectored(buffers),
        }
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            End::Own(pipe) => pipe.write(buffers),
            End::Foreign(file) => (&mut &*file).write_vectored(buffers),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            End::Own(pipe) => pipe.fd(),
            End::Foreign(file) => file.as_fd(),
        }
    }

    fn into_fd(self) -> OwnedFd {
        match self {
            End::Own(pipe) => pipe.into_fd(),
            End::Foreign(file) => file.into(),
        }
    }
}

/// What a child reads as its standard input. Dropped, it is closed.
///
/// The descriptor is non-blocking while it is here: whoever borrows it may see EWOULDBLOCK. Given away, it is blocking.
///
/// # Blocking
///
/// Writing parks a coroutine while the pipe is full; a cancellation point, at which nothing was transferred. Blocks a
/// plain thread.
pub struct ChildStdin {
    /// The pipe.
    end: End,
}

impl ChildStdin {
    pub(super) fn own(pipe: std::process::ChildStdin) -> io::Result<ChildStdin> {
        End::own(pipe.into()).map(|end| ChildStdin { end })
    }
}

impl Write for &ChildStdin {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.end.write(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.end.write(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for ChildStdin {
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

impl AsFd for ChildStdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.fd()
    }
}

impl AsRawFd for ChildStdin {
    fn as_raw_fd(&self) -> RawFd {
        self.end.fd().as_raw_fd()
    }
}

impl IntoRawFd for ChildStdin {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl From<ChildStdin> for OwnedFd {
    fn from(pipe: ChildStdin) -> OwnedFd {
        pipe.end.into_fd()
    }
}

/// Whatever it is, a pipe or not: a thread of the pool reads or writes it.
impl From<OwnedFd> for ChildStdin {
    fn from(fd: OwnedFd) -> ChildStdin {
        ChildStdin { end: End::Foreign(fd.into()) }
    }
}

impl From<ChildStdin> for Stdio {
    fn from(pipe: ChildStdin) -> Stdio {
        OwnedFd::from(pipe).into()
    }
}

impl fmt::Debug for ChildStdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildStdin").finish_non_exhaustive()
    }
}

/// What a child writes to its standard output. Dropped, it is closed.
///
/// The descriptor is non-blocking while it is here: whoever borrows it may see EWOULDBLOCK. Given away, it is blocking.
///
/// # Blocking
///
/// Reading parks a coroutine while the pipe is empty; a cancellation point, at which nothing was transferred. Blocks
/// a plain thread.
pub struct ChildStdout {
    /// The pipe.
    end: End,
}

impl ChildStdout {
    pub(super) fn own(pipe: std::process::ChildStdout) -> io::Result<ChildStdout> {
        End::own(pipe.into()).map(|end| ChildStdout { end })
    }
}

impl Read for ChildStdout {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.end.read(&mut [IoSliceMut::new(buf)])
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.end.read(bufs)
    }
}

impl AsFd for ChildStdout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.fd()
    }
}

impl AsRawFd for ChildStdout {
    fn as_raw_fd(&self) -> RawFd {
        self.end.fd().as_raw_fd()
    }
}

impl IntoRawFd for ChildStdout {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl From<ChildStdout> for OwnedFd {
    fn from(pipe: ChildStdout) -> OwnedFd {
        pipe.end.into_fd()
    }
}

/// Whatever it is, a pipe or not: a thread of the pool reads or writes it.
impl From<OwnedFd> for ChildStdout {
    fn from(fd: OwnedFd) -> ChildStdout {
        ChildStdout { end: End::Foreign(fd.into()) }
    }
}

impl From<ChildStdout> for Stdio {
    fn from(pipe: ChildStdout) -> Stdio {
        OwnedFd::from(pipe).into()
    }
}

impl fmt::Debug for ChildStdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildStdout").finish_non_exhaustive()
    }
}

/// What a child writes to its standard error. Dropped, it is closed.
///
/// The descriptor is non-blocking while it is here: whoever borrows it may see EWOULDBLOCK. Given away, it is blocking.
///
/// # Blocking
///
/// Reading parks a coroutine while the pipe is empty; a cancellation point, at which nothing was transferred. Blocks
/// a plain thread.
pub struct ChildStderr {
    /// The pipe.
    end: End,
}

impl ChildStderr {
    pub(super) fn own(pipe: std::process::ChildStderr) -> io::Result<ChildStderr> {
        End::own(pipe.into()).map(|end| ChildStderr { end })
    }
}

impl Read for ChildStderr {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.end.read(&mut [IoSliceMut::new(buf)])
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.end.read(bufs)
    }
}

impl AsFd for ChildStderr {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.fd()
    }
}

impl AsRawFd for ChildStderr {
    fn as_raw_fd(&self) -> RawFd {
        self.end.fd().as_raw_fd()
    }
}

impl IntoRawFd for ChildStderr {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl From<ChildStderr> for OwnedFd {
    fn from(pipe: ChildStderr) -> OwnedFd {
        pipe.end.into_fd()
    }
}

/// Whatever it is, a pipe or not: a thread of the pool reads or writes it.
impl From<OwnedFd> for ChildStderr {
    fn from(fd: OwnedFd) -> ChildStderr {
        ChildStderr { end: End::Foreign(fd.into()) }
    }
}

impl From<ChildStderr> for Stdio {
    fn from(pipe: ChildStderr) -> Stdio {
        OwnedFd::from(pipe).into()
    }
}

impl fmt::Debug for ChildStderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildStderr").finish_non_exhaustive()
    }
}
