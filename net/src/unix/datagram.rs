//! The datagram socket.
//!
//! `send` waits for readiness: a connected socket becomes writable when its peer's queue has room, and each failed try
//! asks to be told (`unix_dgram_peer_wake_me` in the kernel's net/unix/af_unix.c). `send_to` cannot: to the poller the
//! socket is writable all the while, whatever the addressee's queue is like.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::net::SocketAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::time::Duration;

use dormouse_runtime::wait::Interest;

use super::shown::FileDesc;
use crate::socket::Socket;
use crate::sys::{option, transfer, unix};

/// A Unix datagram socket, like [`std::os::unix::net::UnixDatagram`].
///
/// Any number of coroutines and plain threads may send and receive through one socket; each datagram is received once,
/// and none is lost: a sender waits while the receiver's queue (net.unix.max_dgram_qlen) is full.
///
/// # Examples
///
/// ```
/// use dormouse_net::os::unix::net::UnixDatagram;
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, theirs) = UnixDatagram::pair()?;
/// ours.send(b"hello")?;
/// let mut buf = [0; 16];
/// assert_eq!(theirs.recv(&mut buf)?, 5);
/// assert_eq!(&buf[..5], b"hello");
/// # Ok(())
/// # }
/// ```
pub struct UnixDatagram {
    /// The socket, in the mode its user chose.
    socket: Socket,
}

impl UnixDatagram {
    /// Creates a socket bound to `path`, where a socket file comes into being.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path of more than 107 bytes or with a NUL byte in it;
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) when the file exists; whatever bind(2) reports.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        let datagram = UnixDatagram::unbound()?;
        unix::bind(datagram.socket.fd(), &SocketAddr::from_pathname(path)?)?;
        Ok(datagram)
    }

    /// Creates a socket bound to `socket_addr`, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// Whatever bind(2) reports.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixDatagram> {
        let datagram = UnixDatagram::unbound()?;
        unix::bind(datagram.socket.fd(), socket_addr)?;
        Ok(datagram)
    }

    /// Creates a socket without a name.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn unbound() -> io::Result<UnixDatagram> {
        unix::datagram().map(|fd| UnixDatagram::from_socket(Socket::data(fd)))
    }

    /// Creates two sockets that are connected to each other and have no names.
    ///
    /// # Errors
    ///
    /// Whatever socketpair(2) reports.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = unix::datagram_pair()?;
        Ok((UnixDatagram::from_socket(Socket::data(one)), UnixDatagram::from_socket(Socket::data(other))))
    }

    pub(super) fn from_socket(socket: Socket) -> UnixDatagram {
        UnixDatagram { socket }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Makes the socket whose file is `path` the peer: where [`send`](UnixDatagram::send) sends to, and the only one
    /// received from. Never waits.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path of more than 107 bytes or with a NUL byte in it;
    /// whatever connect(2) reports.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        unix::connect(self.socket.fd(), &SocketAddr::from_pathname(path)?)
    }

    /// Makes the socket called `socket_addr` the peer, as [`connect`](UnixDatagram::connect) does.
    ///
    /// # Errors
    ///
    /// Whatever connect(2) reports.
    pub fn connect_addr(&self, socket_addr: &SocketAddr) -> io::Result<()> {
        unix::connect(self.socket.fd(), socket_addr)
    }

    /// Creates another handle to the same socket, with the same mode and timeouts.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<UnixDatagram> {
        self.socket.try_clone().map(UnixDatagram::from_socket)
    }

    /// Returns the address of this socket.
    ///
    /// # Errors
    ///
    /// Whatever getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        unix::local_addr(self.socket.fd())
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` ([`NotConnected`](io::ErrorKind::NotConnected)) without a peer; see getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        unix::peer_addr(self.socket.fd())
    }

    /// Runs `attempt` until there is a datagram; after a shutdown, receiving gives `nothing`.
    pub(super) fn receive<T>(
        &self,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
        nothing: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        self.socket.retry_unless_shut(Interest::Read, attempt, nothing)
    }

    /// Receives one datagram and the address of its sender. What does not fit into `buf` is lost.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the read timeout passes or the socket is in non-blocking mode and
    /// there is no datagram; whatever recvfrom(2) reports.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is a datagram or receiving is shut down, which gives 0
    /// bytes.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(|fd| unix::recv_from(fd, buf), unix::nobody)
    }

    /// Receives one datagram. What does not fit into `buf` is lost.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](UnixDatagram::recv_from).
    ///
    /// # Blocking
    ///
    /// As [`recv_from`](UnixDatagram::recv_from).
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(|fd| transfer::recv(fd, buf), || Ok(0))
    }

    /// Receives a copy of one datagram, which the next call receives again. Unstable in std (`unix_socket_peek`).
    ///
    /// # Errors
    ///
    /// As [`recv_from`](UnixDatagram::recv_from).
    ///
    /// # Blocking
    ///
    /// As [`recv_from`](UnixDatagram::recv_from).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(|fd| transfer::peek(fd, buf), || Ok(0))
    }

    /// Receives a copy of one datagram, which the next call receives again, and the address of its sender. Unstable in
    /// std (`unix_socket_peek`).
    ///
    /// # Errors
    ///
    /// As [`recv_from`](UnixDatagram::recv_from).
    ///
    /// # Blocking
    ///
    /// As [`recv_from`](UnixDatagram::recv_from).
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(|fd| unix::peek_from(fd, buf), unix::nobody)
    }

    /// Sends one datagram to the socket whose file is `path`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path of more than 107 bytes or with a NUL byte in it;
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the write timeout passes or the socket is in non-blocking mode and
    /// there is no room; whatever sendto(2) reports.
    ///
    /// # Blocking
    ///
    /// While the queue of the addressee is full, parks the coroutine, or blocks the plain thread: no event tells of
    /// room, so it tries again after 1 ms, doubling to 50 ms. Who sends much to one peer had better
    /// [`connect`](UnixDatagram::connect) and [`send`](UnixDatagram::send).
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.send_to_addr(buf, &SocketAddr::from_pathname(path)?)
    }

    /// Sends one datagram to the socket called `socket_addr`, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// As [`send_to`](UnixDatagram::send_to).
    ///
    /// # Blocking
    ///
    /// As [`send_to`](UnixDatagram::send_to).
    pub fn send_to_addr(&self, buf: &[u8], socket_addr: &SocketAddr) -> io::Result<usize> {
        self.socket.retry_after_pauses(Interest::Write, |fd| unix::send_to(fd, buf, socket_addr))
    }

    /// Sends one datagram to the peer.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` ([`NotConnected`](io::ErrorKind::NotConnected)) without a peer;
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the write timeout passes or the socket is in non-blocking mode and
    /// there is no room; whatever send(2) reports.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is room.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.retry(Interest::Write, |fd| transfer::send(fd, buf))
    }

    /// Sets the longest time that receiving waits, `None` for no limit, for clones too. Calls that wait already keep
    /// theirs. A call that runs out of it fails with [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Interest::Read, timeout)
    }

    /// Sets the longest time that sending waits, as [`set_read_timeout`](UnixDatagram::set_read_timeout) does for
    /// receiving.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Interest::Write, timeout)
    }

    /// Returns the read timeout as the kernel keeps it: rounded up to clock ticks.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Interest::Read)
    }

    /// Returns the write timeout as the kernel keeps it: rounded up to clock ticks.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.timeout(Interest::Write)
    }

    /// Sets whether calls that would wait answer [`WouldBlock`](io::ErrorKind::WouldBlock) at once, for clones too.
    /// Calls that wait already go on waiting.
    ///
    /// # Errors
    ///
    /// Whatever ioctl(2) reports.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// Sets SO_MARK, which needs CAP_NET_ADMIN or CAP_NET_RAW. Unstable in std (`unix_set_mark`).
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        unix::set_mark(self.socket.fd(), mark)
    }

    /// Returns SO_ERROR and clears it.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        option::take_error(self.socket.fd())
    }

    /// Shuts down receiving, sending or both, for clones too. Whoever waits in an affected call wakes.
    ///
    /// # Errors
    ///
    /// Whatever shutdown(2) reports.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

/// As std's: the fd and both addresses.
impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("UnixDatagram");
        output.field("fd", &FileDesc::of(self.socket.fd()));
        if let Ok(addr) = self.local_addr() {
            output.field("local", &addr);
        }
        if let Ok(addr) = self.peer_addr() {
            output.field("peer", &addr);
        }
        output.finish()
    }
}

// As std's. A panic leaves a socket as it would leave a descriptor: usable.
impl UnwindSafe for UnixDatagram {}
impl RefUnwindSafe for UnixDatagram {}
