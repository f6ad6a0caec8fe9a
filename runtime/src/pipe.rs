//! Our end of a pipe to or from a child: non-blocking, and waited for by parking.
//!
//! Owns the descriptor, its mode and its registration, and the retry loop of the runtime's own descriptors. THE retry
//! loop, `net/src/socket.rs`, is that of sockets: it obeys modes, timeouts and lent descriptors, of which a pipe has
//! none, and it is in a crate above this one.
//!
//! O_NONBLOCK belongs to the open description, which is ours alone as long as this lives: the child has the other end,
//! which is another description. Whoever gets the descriptor gets it in blocking mode.
//!
//! Invariant 1: the source is deregistered before the descriptor is closed or leaves the object.
//! Invariant 2: a `Turn` is kept until after the attempt that follows it.

use crate::budget;
use crate::sys::mode;
use crate::wait::{Interest, Source};
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};

/// One end of a pipe.
pub(crate) struct Pipe {
    /// The descriptor, as what reads and writes; `None` only at the end.
    file: Option<File>,
    /// Its registrations.
    source: Source,
}

impl Pipe {
    /// Takes over a descriptor whose description nobody else has.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Pipe> {
        mode::set_nonblocking(fd.as_fd(), true)?;
        Ok(Pipe { file: Some(fd.into()), source: Source::new() })
    }

    /// Reads what there is, waiting for the first byte or the end.
    pub(crate) fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.retry(Interest::Read, |mut file| file.read_vectored(buffers))
    }

    /// Writes as much as there is room for, waiting for room for one byte.
    pub(crate) fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.retry(Interest::Write, |mut file| file.write_vectored(buffers))
    }

    /// Runs `attempt` until it answers something other than EWOULDBLOCK, waiting in between.
    fn retry<T>(&self, interest: Interest, mut attempt: impl FnMut(&File) -> io::Result<T>) -> io::Result<T> {
        budget::spend();
        let (file, mut turn) = (self.file(), None);
        loop {
            match attempt(file) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    turn = Some(self.source.wait(file.as_fd(), interest, None, turn)?);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                answer => return answer,
            }
        }
    }

    fn file(&self) -> &File {
        self.file.as_ref().expect("a pipe in use has its descriptor")
    }

    /// The descriptor, which is non-blocking.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file().as_fd()
    }

    /// Gives the descriptor away, in blocking mode.
    pub(crate) fn into_fd(mut self) -> OwnedFd {
        let file = self.file.take().expect("a pipe in use has its descriptor");
        self.source.deregister(file.as_fd(), false);
        // Fails for no pipe.
        let _ = mode::set_nonblocking(file.as_fd(), false);
        file.into()
    }
}

/// As std's: whatever a panic leaves half done, descriptor and registrations are whole.
impl UnwindSafe for Pipe {}
impl RefUnwindSafe for Pipe {}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            self.source.deregister(file.as_fd(), false);
        }
    }
}
