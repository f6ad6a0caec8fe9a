//! Conversions of [`UdpSocket`] from and to file descriptors and std's type.
//!
//! Whatever shows the fd to others lends it: from then on they may have duplicated it or changed its mode, timeouts or
//! options, and each wait asks the kernel for mode and timeout instead of remembering them.

use std::net;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::UdpSocket;
use crate::socket::Socket;

impl AsFd for UdpSocket {
    /// Lends the fd: from now on each wait of this socket and its clones asks the kernel for mode and timeout, since
    /// the borrower may change them. A call of the borrower's that blocks, blocks the worker.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().lend()
    }
}

impl AsRawFd for UdpSocket {
    /// Lends the fd, as [`as_fd`](AsFd::as_fd) does.
    fn as_raw_fd(&self) -> RawFd {
        self.socket().lend().as_raw_fd()
    }
}

impl From<UdpSocket> for OwnedFd {
    /// Gives the fd away, with the mode and the timeouts of the socket.
    fn from(socket: UdpSocket) -> OwnedFd {
        socket.into_socket().into_fd()
    }
}

impl IntoRawFd for UdpSocket {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl From<OwnedFd> for UdpSocket {
    /// Takes over a datagram socket in the mode and with the timeouts that it has.
    fn from(fd: OwnedFd) -> UdpSocket {
        UdpSocket::from_socket(Socket::foreign_data(fd))
    }
}

impl FromRawFd for UdpSocket {
    #[allow(unsafe_code)]
    unsafe fn from_raw_fd(fd: RawFd) -> UdpSocket {
        // SAFETY: the caller passes an open fd and its ownership, as `FromRawFd` demands.
        UdpSocket::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl From<net::UdpSocket> for UdpSocket {
    /// Takes over std's socket in the mode and with the timeouts that it has.
    fn from(socket: net::UdpSocket) -> UdpSocket {
        UdpSocket::from(OwnedFd::from(socket))
    }
}

impl From<UdpSocket> for net::UdpSocket {
    /// Gives the socket to std: it blocks as a socket of std does, and its timeouts hold there.
    fn from(socket: UdpSocket) -> net::UdpSocket {
        net::UdpSocket::from(OwnedFd::from(socket))
    }
}
