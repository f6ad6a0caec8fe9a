//! The socket: how it comes to be, its names, timeouts and options. Moving datagrams is `transfer`'s and `many`'s.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use dormouse_runtime::wait::Interest;

use super::ToSocketAddrs;
use crate::resolve;
use crate::socket::Socket;
use crate::sys::{connection, datagram, option};

/// A UDP socket, like [`std::net::UdpSocket`].
///
/// Any number of coroutines and plain threads may receive from one socket and send through it, or through clones of it;
/// each datagram goes to one of them. The socket is closed when the value is dropped.
///
/// Besides what std has, [`recv_many`](UdpSocket::recv_many) and [`send_many`](UdpSocket::send_many) move many datagrams
/// in one system call.
///
/// # Examples
///
/// ```
/// use dormouse_net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(server.local_addr()?)?;
///
/// client.send(b"hello")?;
/// let mut buf = [0; 16];
/// let (length, source) = server.recv_from(&mut buf)?;
/// server.send_to(&buf[..length], source)?;
/// assert_eq!(client.recv(&mut buf)?, 5);
/// assert_eq!(&buf[..5], b"hello");
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    /// The socket, in the mode its user chose.
    socket: Socket,
}

impl UdpSocket {
    /// Creates a socket bound to `addr`. Port 0 asks for any free port. Each address that `addr` yields is tried until
    /// one succeeds.
    ///
    /// # Errors
    ///
    /// The last address's error; [`InvalidInput`](io::ErrorKind::InvalidInput) when there is no address.
    ///
    /// # Blocking
    ///
    /// Only for a host name, which it looks up: that parks the coroutine, a cancellation point, or blocks the plain
    /// thread.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        resolve::first_success(addr, |addr| {
            let fd = datagram::bound(addr)?;
            Ok(UdpSocket::from_socket(Socket::data(fd)))
        })
    }

    /// Sets the peer: [`send`](UdpSocket::send) sends there, and only what comes from there is received. Each address
    /// that `addr` yields is tried until one succeeds. Nothing is sent, so a peer that is not there is noticed later,
    /// by an ICMP message that [`send`](UdpSocket::send) and [`recv`](UdpSocket::recv) report.
    ///
    /// # Errors
    ///
    /// The last address's error; [`InvalidInput`](io::ErrorKind::InvalidInput) when there is no address.
    ///
    /// # Blocking
    ///
    /// Only for a host name, which it looks up: that parks the coroutine, a cancellation point, or blocks the plain
    /// thread.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        resolve::first_success(addr, |addr| datagram::connect(self.socket.fd(), addr))
    }

    pub(super) fn from_socket(socket: Socket) -> UdpSocket {
        UdpSocket { socket }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Returns the address of the peer that was set by [`connect`](UdpSocket::connect).
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) when there is none; see getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        connection::peer_addr(self.socket.fd())
    }

    /// Returns the address that the socket is bound to.
    ///
    /// # Errors
    ///
    /// Whatever getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        connection::local_addr(self.socket.fd())
    }

    /// Creates another handle to the same socket, with the same peer, mode, timeouts and options.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<UdpSocket> {
        self.socket.try_clone().map(UdpSocket::from_socket)
    }

    /// Sets the longest time that a receive waits, `None` for no limit, for clones too. Calls that wait already keep
    /// theirs. A receive that runs out of it fails with [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    /// use dormouse_net::UdpSocket;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_read_timeout(Some(Duration::from_millis(10)))?;
    /// let error = socket.recv_from(&mut [0; 16]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Interest::Read, dur)
    }

    /// Sets the longest time that a send waits, as [`set_read_timeout`](UdpSocket::set_read_timeout) does for receives.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Interest::Write, dur)
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

    /// Sets IP_TTL.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        option::set_ttl(self.socket.fd(), ttl)
    }

    /// Returns IP_TTL.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn ttl(&self) -> io::Result<u32> {
        option::ttl(self.socket.fd())
    }

    /// Returns SO_ERROR and clears it, so that no send or receive reports it any more.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        option::take_error(self.socket.fd())
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
}

/// As std's: the address and the fd.
impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("UdpSocket");
        if let Ok(addr) = self.local_addr() {
            output.field("addr", &addr);
        }
        output.field("fd", &self.socket.fd().as_raw_fd()).finish()
    }
}

// As std's. A panic leaves a socket as it would leave a descriptor: usable.
impl UnwindSafe for UdpSocket {}
impl RefUnwindSafe for UdpSocket {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_small() {
        assert!(size_of::<UdpSocket>() <= 32);
        assert_eq!(size_of::<Option<UdpSocket>>(), size_of::<UdpSocket>());
    }
}
