//! Conversions of the Unix types from and to file descriptors and std's types.
//!
//! Whatever shows the fd to others lends it, as for the TCP types: from then on each wait asks the kernel for mode and
//! timeout instead of remembering them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net;

use super::{UnixDatagram, UnixListener, UnixStream};
use crate::socket::Socket;

impl AsFd for UnixStream {
    /// Lends the fd: from now on each wait of this stream and its clones asks the kernel for mode and timeout, since
    /// the borrower may change them. A call of the borrower's that blocks, blocks the worker.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().lend()
    }
}

impl AsRawFd for UnixStream {
    /// Lends the fd, as [`as_fd`](AsFd::as_fd) does.
    fn as_raw_fd(&self) -> RawFd {
        self.socket().lend().as_raw_fd()
    }
}

impl From<UnixStream> for OwnedFd {
    /// Gives the fd away, with the mode and the timeouts of the stream.
    fn from(stream: UnixStream) -> OwnedFd {
        stream.into_socket().into_fd()
    }
}

impl IntoRawFd for UnixStream {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl From<OwnedFd> for UnixStream {
    /// Takes over a stream socket in the mode and with the timeouts that it has.
    fn from(fd: OwnedFd) -> UnixStream {
        UnixStream::from_socket(Socket::foreign_data(fd))
    }
}

impl FromRawFd for UnixStream {
    #[allow(unsafe_code)]
    unsafe fn from_raw_fd(fd: RawFd) -> UnixStream {
        // SAFETY: the caller passes an open fd and its ownership, as `FromRawFd` demands.
        UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl From<net::UnixStream> for UnixStream {
    /// Takes over std's stream in the mode and with the timeouts that it has.
    fn from(stream: net::UnixStream) -> UnixStream {
        UnixStream::from(OwnedFd::from(stream))
    }
}

impl From<UnixStream> for net::UnixStream {
    /// Gives the stream to std: it blocks as a stream of std does, and its timeouts hold there.
    fn from(stream: UnixStream) -> net::UnixStream {
        net::UnixStream::from(OwnedFd::from(stream))
    }
}

impl AsFd for UnixDatagram {
    /// Lends the fd: from now on each wait of this socket and its clones asks the kernel for mode and timeout, since
    /// the borrower may change them. A call of the borrower's that blocks, blocks the worker.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().lend()
    }
}

impl AsRawFd for UnixDatagram {
    /// Lends the fd, as [`as_fd`](AsFd::as_fd) does.
    fn as_raw_fd(&self) -> RawFd {
        self.socket().lend().as_raw_fd()
    }
}

impl From<UnixDatagram> for OwnedFd {
    /// Gives the fd away, with the mode and the timeouts of the socket.
    fn from(datagram: UnixDatagram) -> OwnedFd {
        datagram.into_socket().into_fd()
    }
}

impl IntoRawFd for UnixDatagram {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl From<OwnedFd> for UnixDatagram {
    /// Takes over a datagram socket in the mode and with the timeouts that it has.
    fn from(fd: OwnedFd) -> UnixDatagram {
        UnixDatagram::from_socket(Socket::foreign_data(fd))
    }
}

impl FromRawFd for UnixDatagram {
    #[allow(unsafe_code)]
    unsafe fn from_raw_fd(fd: RawFd) -> UnixDatagram {
        // SAFETY: the caller passes an open fd and its ownership, as `FromRawFd` demands.
        UnixDatagram::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl From<net::UnixDatagram> for UnixDatagram {
    /// Takes over std's socket in the mode and with the timeouts that it has.
    fn from(datagram: net::UnixDatagram) -> UnixDatagram {
        UnixDatagram::from(OwnedFd::from(datagram))
    }
}

impl From<UnixDatagram> for net::UnixDatagram {
    /// Gives the socket to std: it blocks as a socket of std does, and its timeouts hold there.
    fn from(datagram: UnixDatagram) -> net::UnixDatagram {
        net::UnixDatagram::from(OwnedFd::from(datagram))
    }
}

impl AsFd for UnixListener {
    /// Lends the fd, which is O_NONBLOCK whatever the mode of the listener is. A duplicate is so, too, also after the
    /// listener is dropped: who makes one sets its mode then. `OwnedFd::from` gives the fd away in the mode of the
    /// listener.
    ///
    /// A borrower's change of the flag is undone at the next accept, so use
    /// [`set_nonblocking`](UnixListener::set_nonblocking). Where accept undid one, the last listener of ours gives its
    /// mode to the description as it is dropped, even if strangers have meanwhile set O_NONBLOCK themselves: nobody can
    /// tell.
    ///
    /// # Blocking
    ///
    /// Whoever has the flag cleared, in this process or another, while this listener accepts may block its worker until
    /// a connection comes: looking at the flag and accept(2) are two calls.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().lend()
    }
}

impl AsRawFd for UnixListener {
    /// Lends the fd, as [`as_fd`](AsFd::as_fd) does.
    fn as_raw_fd(&self) -> RawFd {
        self.socket().lend().as_raw_fd()
    }
}

impl From<UnixListener> for OwnedFd {
    /// Gives the fd away in the mode of the listener; while a clone of the listener lives, the fd is O_NONBLOCK.
    fn from(listener: UnixListener) -> OwnedFd {
        listener.into_socket().into_fd()
    }
}

impl IntoRawFd for UnixListener {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl From<OwnedFd> for UnixListener {
    /// Takes over a listening socket in the mode that it has. The first accept makes its description O_NONBLOCK, which
    /// others who share the description see; if it was not so before, the last listener of ours gives the mode back, as
    /// far as that can be known (see [`as_fd`](AsFd::as_fd)).
    ///
    /// One that was duplicated from a listener of ours, or sent by a program that has it as one, is O_NONBLOCK by that
    /// listener's doing, and is taken to be in non-blocking mode: call
    /// [`set_nonblocking(false)`](UnixListener::set_nonblocking) to have `accept` wait.
    fn from(fd: OwnedFd) -> UnixListener {
        UnixListener::from_socket(Socket::foreign_acceptor(fd))
    }
}

impl FromRawFd for UnixListener {
    #[allow(unsafe_code)]
    unsafe fn from_raw_fd(fd: RawFd) -> UnixListener {
        // SAFETY: the caller passes an open fd and its ownership, as `FromRawFd` demands.
        UnixListener::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl From<net::UnixListener> for UnixListener {
    /// Takes over std's listener in the mode that it has.
    fn from(listener: net::UnixListener) -> UnixListener {
        UnixListener::from(OwnedFd::from(listener))
    }
}

impl From<UnixListener> for net::UnixListener {
    /// Gives the listener to std in the mode that it has; while a clone of ours lives, it is O_NONBLOCK there.
    fn from(listener: UnixListener) -> net::UnixListener {
        net::UnixListener::from(OwnedFd::from(listener))
    }
}
