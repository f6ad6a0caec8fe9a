//! The life of a connection and its names: socket, bind, listen, connect, accept, shutdown, getsockname, getpeername.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

/// A new stream socket of the family of `addr`, close-on-exec and O_NONBLOCK.
pub(crate) fn stream_socket(addr: &SocketAddr) -> io::Result<OwnedFd> {
    Socket::new(Domain::for_address(*addr), Type::STREAM.nonblocking(), None).map(OwnedFd::from)
}

/// Gives the socket a local address. See bind(2).
pub(crate) fn bind(fd: BorrowedFd<'_>, addr: &SocketAddr) -> io::Result<()> {
    SockRef::from(&fd).bind(&SockAddr::from(*addr))
}

/// Lets the socket take connections, of which at most `backlog` wait (the kernel lowers it to net.core.somaxconn). See
/// listen(2).
pub(crate) fn listen(fd: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    SockRef::from(&fd).listen(backlog)
}

/// Begins a connection, or asks how the one that was begun fares. The description must be O_NONBLOCK. See connect(2).
pub(crate) fn connect(fd: BorrowedFd<'_>, addr: &SocketAddr) -> io::Result<()> {
    SockRef::from(&fd).connect(&SockAddr::from(*addr))
}

/// Takes one connection; its description is blocking and close-on-exec. The listening description must be O_NONBLOCK.
pub(crate) fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let (socket, addr) = SockRef::from(&fd).accept()?;
    Ok((socket.into(), internet(&addr)?))
}

/// Ends one or both directions. See shutdown(2).
pub(crate) fn shutdown(fd: BorrowedFd<'_>, how: Shutdown) -> io::Result<()> {
    SockRef::from(&fd).shutdown(how)
}

/// Whether receiving, or accepting, was shut down: a call with MSG_DONTWAIT or on an O_NONBLOCK description does not say so
/// where it would say that it would block. See poll(2).
pub(crate) fn is_shut_for_reading(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(shown(fd, libc::POLLRDHUP)? & libc::POLLRDHUP != 0)
}

/// What accept(2) would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backlog {
    /// Nothing.
    Empty,
    /// A connection, as far as is known.
    Waiting,
    /// An error, or the end.
    Trouble,
}

/// What accept(2) would find, without calling it.
pub(crate) fn backlog(fd: BorrowedFd<'_>) -> io::Result<Backlog> {
    let shown = shown(fd, libc::POLLIN)?;
    Ok(match shown & libc::POLLIN {
        _ if shown & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0 => Backlog::Trouble,
        0 => Backlog::Empty,
        _ => Backlog::Waiting,
    })
}

/// How many connections may wait to be accepted: of TCP what listen(2) was told last, of others as many as the system allows.
pub(crate) fn backlog_limit(fd: BorrowedFd<'_>) -> i32 {
    // SAFETY: a tcp_info is an array of integers, for which all zeroes is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    let place = (&raw mut info).cast();
    // SAFETY: invariants 2 and 3 of `sys`; the length is that of the struct.
    let asked = unsafe { libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length) };
    // Of a listening socket the kernel tells these two here: see tcp_get_info in its net/ipv4/tcp.c.
    if asked == 0 { i32::try_from(info.tcpi_sacked).unwrap_or(i32::MAX) } else { -1 }
}

/// Whether it takes connections. See SO_ACCEPTCONN in socket(7).
pub(crate) fn is_listening(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).is_listener()
}

/// Whether an error waits for the next call, which would take it away.
pub(crate) fn has_error(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(shown(fd, 0)? & libc::POLLERR != 0)
}

/// What poll(2) shows of `events`, and errors.
fn shown(fd: BorrowedFd<'_>, events: libc::c_short) -> io::Result<libc::c_short> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: invariants 2 and 3 of `sys`; with a timeout of zero it does not wait.
    match unsafe { libc::poll(&raw mut entry, 1, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(entry.revents),
    }
}

/// The address this end is bound to. See getsockname(2).
pub(crate) fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    internet(&SockRef::from(&fd).local_addr()?)
}

/// The address of the other end. See getpeername(2).
pub(crate) fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    internet(&SockRef::from(&fd).peer_addr()?)
}

/// The IPv4 or IPv6 address in `addr`.
fn internet(addr: &SockAddr) -> io::Result<SocketAddr> {
    addr.as_socket().ok_or_else(no_internet_address)
}

/// The error for an address of another family, with std's kind and message.
pub(crate) fn no_internet_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "invalid argument")
}
