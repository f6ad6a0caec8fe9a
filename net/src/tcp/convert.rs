//! Conversions of the TCP types from and to file descriptors and std's types.
//!
//! Whatever shows the fd to others lends it: from then on they may have duplicated it or changed its mode, timeouts or
//! options, and each wait asks the kernel for mode and timeout (350 ns, measured) instead of remembering them.

use std::net;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::{TcpListener, TcpStream};
use crate::socket::Socket;

impl AsFd for TcpStream {
    /// Lends the fd: from now on each wait of this stream and its clones asks the kernel for mode and timeout, since
    /// the borrower may change them. A call of the borrower's that blocks, blocks the worker.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().lend()
    }
}

impl AsRawFd for TcpStream {
    /// Lends the fd, as [`as_fd`](AsFd::as_fd) does.
    fn as_raw_fd(&self) -> RawFd {
        self.socket().lend().as_raw_fd()
    }
}

impl From<TcpStream> for OwnedFd {
    /// Gives the fd away, with the mode and the timeouts of the stream.
    fn from(stream: TcpStream) -> OwnedFd {
        stream.into_socket().into_fd()
    }
}

impl IntoRawFd for TcpStream {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl From<OwnedFd> for TcpStream {
    /// Takes over a stream socket in the mode and with the timeouts that it has.
    fn from(fd: OwnedFd) -> TcpStream {
        TcpStream::from_socket(Socket::foreign_data(fd))
    }
}

impl FromRawFd for TcpStream {
    #[allow(unsafe_code)]
    unsafe fn from_raw_fd(fd: RawFd) -> TcpStream {
        // SAFETY: the caller passes an open fd and its ownership, as `FromRawFd` demands.
        TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl From<net::TcpStream> for TcpStream {
    /// Takes over std's stream in the mode and with the timeouts that it has.
    fn from(stream: net::TcpStream) -> TcpStream {
        TcpStream::from(OwnedFd::from(stream))
    }
}

impl From<TcpStream> for net::TcpStream {
    /// Gives the stream to std: it blocks as a stream of std does, and its timeouts hold there.
    fn from(stream: TcpStream) -> net::TcpStream {
        net::TcpStream::from(OwnedFd::from(stream))
    }
}

impl AsFd for TcpListener {
    /// Lends the fd, which is O_NONBLOCK whatever the mode of the listener is. A duplicate is so, too, also after the
    /// listener is dropped: who makes one sets its mode then. `OwnedFd::from` gives the fd away in the mode of the
    /// listener.
    ///
    /// A borrower's change of the flag is undone at the next accept, so use
    /// [`set_nonblocking`](TcpListener::set_nonblocking). Where accept undid one, the last listener of ours gives its
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

impl AsRawFd for TcpListener {
    /// Lends the fd, as [`as_fd`](AsFd::as_fd) does.
    fn as_raw_fd(&self) -> RawFd {
        self.socket().lend().as_raw_fd()
    }
}

impl From<TcpListener> for OwnedFd {
    /// Gives the fd away in the mode of the listener; while a clone of the listener lives, the fd is O_NONBLOCK.
    fn from(listener: TcpListener) -> OwnedFd {
        listener.into_socket().into_fd()
    }
}

impl IntoRawFd for TcpListener {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl From<OwnedFd> for TcpListener {
    /// Takes over a listening socket in the mode that it has. The first accept makes its description O_NONBLOCK, which
    /// others who share the description see; if it was not so before, the last listener of ours gives the mode back, as
    /// far as that can be known (see [`as_fd`](AsFd::as_fd)).
    ///
    /// One that was duplicated from a listener of ours, or sent by a program that has it as one, is O_NONBLOCK by that
    /// listener's doing, and is taken to be in non-blocking mode: call
    /// [`set_nonblocking(false)`](TcpListener::set_nonblocking) to have `accept` wait.
    fn from(fd: OwnedFd) -> TcpListener {
        TcpListener::from_socket(Socket::foreign_acceptor(fd))
    }
}

impl FromRawFd for TcpListener {
    #[allow(unsafe_code)]
    unsafe fn from_raw_fd(fd: RawFd) -> TcpListener {
        // SAFETY: the caller passes an open fd and its ownership, as `FromRawFd` demands.
        TcpListener::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl From<net::TcpListener> for TcpListener {
    /// Takes over std's listener in the mode that it has.
    fn from(listener: net::TcpListener) -> TcpListener {
        TcpListener::from(OwnedFd::from(listener))
    }
}

impl From<TcpListener> for net::TcpListener {
    /// Gives the listener to std in the mode that it has; while a clone of ours lives, it is O_NONBLOCK there.
    fn from(listener: TcpListener) -> net::TcpListener {
        net::TcpListener::from(OwnedFd::from(listener))
    }
}
