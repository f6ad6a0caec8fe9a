//! Moving one datagram through a [`UdpSocket`].

use std::io;
use std::net::SocketAddr;

use dormouse_runtime::wait::Interest;

use super::{ToSocketAddrs, UdpSocket};
use crate::sys::{connection, datagram, transfer};

impl UdpSocket {
    /// Receives one datagram into `buf`, and returns its length and where it came from. What does not fit into `buf` is
    /// lost; [`recv_many`](UdpSocket::recv_many) says whether anything was.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the read timeout passes or the socket is in non-blocking mode and
    /// nothing is there; whatever recvfrom(2) reports. Never `Interrupted`.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is a datagram.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket().retry_unless_shut(Interest::Read, |fd| datagram::recv_from(fd, buf), from_nobody)
    }

    /// Receives one datagram as [`recv_from`](UdpSocket::recv_from) does, without removing it from the queue: the next
    /// receive returns the same.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is a datagram.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket().retry_unless_shut(Interest::Read, |fd| datagram::peek_from(fd, buf), from_nobody)
    }

    /// Sends one datagram to the first address that `addr` yields, whatever the peer of the socket is, and returns its
    /// length.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when there is no address;
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the write timeout passes or the socket is in non-blocking mode and
    /// its send buffer is full; whatever sendto(2) reports, such as `EMSGSIZE` for more than 65,507 bytes. Never
    /// `Interrupted`.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, while the send buffer is full. So does the lookup of a host
    /// name; a numeric address needs none. Both are cancellation points.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let addr = addr.to_socket_addrs()?.next().ok_or_else(no_addresses)?;
        self.socket().retry(Interest::Write, |fd| datagram::send_to(fd, buf, &addr))
    }

    /// Sends one datagram to the peer that was set by [`connect`](UdpSocket::connect), and returns its length.
    ///
    /// # Errors
    ///
    /// `EDESTADDRREQ` when there is no peer; [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when an ICMP
    /// message said that an earlier datagram found nobody, and then this one has not been sent; else as for
    /// [`send_to`](UdpSocket::send_to).
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, while the send buffer is full.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket().retry(Interest::Write, |fd| transfer::send(fd, buf))
    }

    /// Receives one datagram into `buf`, and returns its length. With a peer set by [`connect`](UdpSocket::connect),
    /// only its datagrams are received. What does not fit into `buf` is lost.
    ///
    /// # Errors
    ///
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when an ICMP message said that a datagram found nobody;
    /// else as for [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is a datagram.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket().retry_unless_shut(Interest::Read, |fd| transfer::recv(fd, buf), nothing)
    }

    /// Receives one datagram as [`recv`](UdpSocket::recv) does, without removing it from the queue: the next receive
    /// returns the same.
    ///
    /// # Errors
    ///
    /// As for [`recv`](UdpSocket::recv).
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is a datagram.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket().retry_unless_shut(Interest::Read, |fd| transfer::peek(fd, buf), nothing)
    }
}

/// What a blocking receive gives once the socket was shut down for reading, by way of its fd.
pub(super) fn nothing() -> io::Result<usize> {
    Ok(0)
}

/// What becomes of that where there is to be an address.
fn from_nobody() -> io::Result<(usize, SocketAddr)> {
    Err(connection::no_internet_address())
}

/// The error of a send to nowhere, with std's kind and message.
fn no_addresses() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no addresses to send data to")
}
