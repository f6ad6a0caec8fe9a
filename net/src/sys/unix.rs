//! Unix domain sockets: making, naming, connecting, datagrams with names, and their own options.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::SocketAddr;

use socket2::{Domain, SockRef, Socket, Type};

use super::unix_name::Name;

/// The longest queue of connections that wait to be accepted: all that net.core.somaxconn allows (the kernel reads the
/// number as unsigned, and lowers it), as std has it on Linux.
const BACKLOG: libc::c_int = -1;

/// A new stream socket, close-on-exec and O_NONBLOCK, for [`connect`] or [`listen`].
pub(crate) fn stream() -> io::Result<OwnedFd> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).map(OwnedFd::from)
}

/// A new datagram socket, close-on-exec and blocking.
pub(crate) fn datagram() -> io::Result<OwnedFd> {
    Socket::new(Domain::UNIX, Type::DGRAM, None).map(OwnedFd::from)
}

/// Two connected stream sockets, close-on-exec and blocking. See socketpair(2).
pub(crate) fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(Type::STREAM)
}

/// Two connected datagram sockets, close-on-exec and blocking.
pub(crate) fn datagram_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(Type::DGRAM)
}

fn pair(kind: Type) -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = Socket::pair(Domain::UNIX, kind, None)?;
    Ok((one.into(), other.into()))
}

/// Gives the socket a name; for an unnamed `addr` the kernel picks an abstract one. See bind(2).
pub(crate) fn bind(fd: BorrowedFd<'_>, addr: &SocketAddr) -> io::Result<()> {
    let name = Name::of(addr);
    // SAFETY: invariants 2 and 3 of `sys`.
    done(unsafe { libc::bind(fd.as_raw_fd(), name.as_ptr(), name.length()) })
}

/// Lets connections come in.
pub(crate) fn listen(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).listen(BACKLOG)
}

/// Connects at once or not at all: a stream socket, which must be O_NONBLOCK, answers EAGAIN when the listener's queue is
/// full; a datagram socket never waits. See connect(2).
pub(crate) fn connect(fd: BorrowedFd<'_>, addr: &SocketAddr) -> io::Result<()> {
    let name = Name::of(addr);
    // SAFETY: invariants 2 and 3 of `sys`.
    done(unsafe { libc::connect(fd.as_raw_fd(), name.as_ptr(), name.length()) })
}

/// Takes one connection; its description is blocking and close-on-exec. The listening description must be O_NONBLOCK.
pub(crate) fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let mut peer = Name::room();
    let (name, length) = peer.for_writing();
    // SAFETY: invariants 2 and 3 of `sys`; the length is that of the room.
    let accepted = unsafe { libc::accept4(fd.as_raw_fd(), name, length, libc::SOCK_CLOEXEC) };
    done(accepted)?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    let accepted = unsafe { OwnedFd::from_raw_fd(accepted) };
    Ok((accepted, peer.to_std()?))
}

/// The name of this end. See getsockname(2).
pub(crate) fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let mut own = Name::room();
    let (name, length) = own.for_writing();
    // SAFETY: invariants 2 and 3 of `sys`; the length is that of the room.
    done(unsafe { libc::getsockname(fd.as_raw_fd(), name, length) })?;
    own.to_std()
}

/// The name of the other end. See getpeername(2).
pub(crate) fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let mut peer = Name::room();
    let (name, length) = peer.for_writing();
    // SAFETY: invariants 2 and 3 of `sys`; the length is that of the room.
    done(unsafe { libc::getpeername(fd.as_raw_fd(), name, length) })?;
    peer.to_std()
}

/// Sends one datagram to the socket called `to`. See sendto(2).
pub(crate) fn send_to(fd: BorrowedFd<'_>, buf: &[u8], to: &SocketAddr) -> io::Result<usize> {
    let (name, flags) = (Name::of(to), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
    let (data, len) = (buf.as_ptr().cast(), buf.len());
    // SAFETY: invariants 2 and 3 of `sys`.
    let n = unsafe { libc::sendto(fd.as_raw_fd(), data, len, flags, name.as_ptr(), name.length()) };
    transferred(n)
}

/// Takes one datagram, as much of it as fits, and the name of its sender. See recvfrom(2).
pub(crate) fn recv_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    recv_from_with(fd, buf, libc::MSG_DONTWAIT)
}

/// Copies one datagram and leaves it where it is (MSG_PEEK).
pub(crate) fn peek_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    recv_from_with(fd, buf, libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

fn recv_from_with(fd: BorrowedFd<'_>, buf: &mut [u8], flags: libc::c_int) -> io::Result<(usize, SocketAddr)> {
    let mut from = Name::room();
    let (name, length) = from.for_writing();
    // SAFETY: invariants 2 and 3 of `sys`; the length is that of the room.
    let n = unsafe { libc::recvfrom(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), flags, name, length) };
    Ok((transferred(n)?, from.to_std()?))
}

/// What a blocking recvfrom(2) gives after a shutdown: no bytes, from nobody.
pub(crate) fn nobody() -> io::Result<(usize, SocketAddr)> {
    Ok((0, SocketAddr::from_pathname("")?))
}

/// The user, the group and the process of whoever connected, listened, or made the pair (SO_PEERCRED).
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<(u32, u32, i32)> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    let place = (&raw mut found).cast();
    // SAFETY: invariants 2 and 3 of `sys`; the length is that of the struct.
    done(unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, place, &raw mut length) })?;
    Ok((found.uid, found.gid, found.pid))
}

/// Whether received messages carry the credentials of their senders (SO_PASSCRED).
pub(crate) fn passcred(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).passcred()
}

/// Sets SO_PASSCRED.
pub(crate) fn set_passcred(fd: BorrowedFd<'_>, passcred: bool) -> io::Result<()> {
    SockRef::from(&fd).set_passcred(passcred)
}

/// Sets SO_MARK.
pub(crate) fn set_mark(fd: BorrowedFd<'_>, mark: u32) -> io::Result<()> {
    SockRef::from(&fd).set_mark(mark)
}

/// The answer of a call that gives nothing: -1 is an error.
fn done(answer: libc::c_int) -> io::Result<()> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The answer of the kernel: a count of bytes, or -1 and errno.
fn transferred(n: isize) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}
