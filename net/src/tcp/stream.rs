//! The connected socket: how it comes to be, and its options. Moving bytes is `transfer`'s.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use dormouse_runtime::wait::Interest;

use super::TcpStreamBuilder;
use crate::description;
use crate::progress::MinRate;
use crate::resolve::{self, ToSocketAddrs};
use crate::socket::Socket;
use crate::sys::{connection, errno, mode, option};

/// A TCP stream between a local and a remote socket, like [`std::net::TcpStream`].
///
/// Reading and writing go through `&TcpStream` too, so that one coroutine may read while another writes. The connection
/// is closed when the value is dropped; with SO_LINGER set, that waits for what was sent (see
/// [`set_linger`](TcpStream::set_linger)).
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use dormouse_net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (mut server, _) = listener.accept()?;
///
/// client.write_all(b"hello")?;
/// let mut buf = [0; 5];
/// server.read_exact(&mut buf)?;
/// assert_eq!(&buf, b"hello");
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    /// The socket, in the mode its user chose.
    socket: Socket,
}

impl TcpStream {
    /// Opens a connection to a remote host. Each address that `addr` yields is tried until one accepts.
    ///
    /// # Errors
    ///
    /// The last address's error; [`InvalidInput`](io::ErrorKind::InvalidInput) when there is no address.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until the connection stands or has failed; before that, if `addr`
    /// has a host name, until it has been looked up. Both are cancellation points.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        resolve::first_success(addr, |addr| connect_on(connection::stream_socket(addr)?, addr, || Ok(None)))
    }

    /// Opens a connection to a remote host, and gives up after `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) when `timeout` passes; [`InvalidInput`](io::ErrorKind::InvalidInput) when
    /// it is zero; whatever connect(2) reports.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, for at most `timeout`.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        connect_on(connection::stream_socket(addr)?, addr, || deadline_of(timeout))
    }

    /// Makes connections from a local address of one's choice, or with options that have to be set before they are made.
    /// Std has no such function.
    pub fn builder() -> TcpStreamBuilder {
        TcpStreamBuilder::new()
    }

    pub(super) fn from_socket(socket: Socket) -> TcpStream {
        TcpStream { socket }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Returns the address of the remote end.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` ([`NotConnected`](io::ErrorKind::NotConnected)) when the connection is gone; see getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        connection::peer_addr(self.socket.fd())
    }

    /// Returns the address of the local end.
    ///
    /// # Errors
    ///
    /// Whatever getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        connection::local_addr(self.socket.fd())
    }

    /// Shuts down reading, writing or both, for clones too. Whoever waits in an affected call wakes.
    ///
    /// # Errors
    ///
    /// Whatever shutdown(2) reports; the second call may fail with [`NotConnected`](io::ErrorKind::NotConnected).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        connection::shutdown(self.socket.fd(), how)
    }

    /// Creates another handle to the same connection, with the same mode and timeouts.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        self.socket.try_clone().map(TcpStream::from_socket)
    }

    /// Sets the longest time that a read waits, `None` for no limit, for clones too. Calls that wait already keep
    /// theirs. A read that runs out of it fails with [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{ErrorKind, Read};
    /// use std::time::Duration;
    /// use dormouse_net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut silent = TcpStream::connect(listener.local_addr()?)?;
    /// silent.set_read_timeout(Some(Duration::from_millis(10)))?;
    /// let error = silent.read(&mut [0]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Interest::Read, dur)
    }

    /// Sets the longest time that a write waits, as [`set_read_timeout`](TcpStream::set_read_timeout) does for reads.
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

    /// Limits how slow the peer may be in sending, `None` for no limit, for clones too. Each time that reads have waited for a
    /// whole window and got fewer bytes than it asks for, the read that waits fails, and so does every one that would have to
    /// wait from then on. Time in which no read waits does not count. Setting it begins a new window: a server sets it when a
    /// request begins, and takes it away while a connection may be idle. Calls that wait already keep what they have. Std
    /// has no such method.
    ///
    /// A read fails with [`TimedOut`](io::ErrorKind::TimedOut) then, where the [read timeout](TcpStream::set_read_timeout)
    /// is [`WouldBlock`](io::ErrorKind::WouldBlock): a timeout limits one wait, and a peer that sends a byte now and then
    /// never meets it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{ErrorKind, Read, Write};
    /// use std::time::Duration;
    /// use dormouse_net::MinRate;
    /// use dormouse_net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut slow = TcpStream::connect(listener.local_addr()?)?;
    /// let (mut stream, _) = listener.accept()?;
    /// stream.set_min_read_rate(Some(MinRate::bytes_per_second(1000).over(Duration::from_millis(20))));
    /// slow.write_all(b"G")?;
    /// let error = stream.read_exact(&mut [0; 100]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_min_read_rate(&self, rate: Option<MinRate>) {
        self.socket.set_min_rate(Interest::Read, rate);
    }

    /// Limits how slow the peer may be in taking what is sent, as [`set_min_read_rate`](TcpStream::set_min_read_rate) does
    /// for reads: counted are bytes for which there was room, so that what the kernel buffers hides the peer for a while. A write
    /// that has sent something by then tells how much; the next one fails. Std has no such method.
    pub fn set_min_write_rate(&self, rate: Option<MinRate>) {
        self.socket.set_min_rate(Interest::Write, rate);
    }

    /// Sets SO_LINGER, in whole seconds: closing waits that long for unsent data to be acknowledged; zero drops the
    /// data and resets the connection. Unstable in std (`tcp_linger`).
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    ///
    /// # Blocking
    ///
    /// Not this call, but the drop that closes the connection, as in std, non-blocking mode or not: it blocks a plain
    /// thread and parks a coroutine, for as long as the data takes. That is no cancellation point; inside `no_park`, and in
    /// a coroutine that unwinds, the drop does not wait, and the connection is closed in the background.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(linger)
    }

    /// Returns SO_LINGER. Unstable in std (`tcp_linger`).
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        option::linger(self.socket.fd())
    }

    /// Sets TCP_NODELAY: small writes are sent at once instead of being gathered (Nagle's algorithm, RFC 896).
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        option::set_nodelay(self.socket.fd(), nodelay)
    }

    /// Returns TCP_NODELAY.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn nodelay(&self) -> io::Result<bool> {
        option::nodelay(self.socket.fd())
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

    /// Returns SO_ERROR and clears it.
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

/// Connects a fresh O_NONBLOCK socket; `deadline` is asked once there is something to wait for, as std checks its timeout.
pub(super) fn connect_on(
    socket: OwnedFd,
    addr: &SocketAddr,
    deadline: impl FnOnce() -> io::Result<Option<Instant>>,
) -> io::Result<TcpStream> {
    let socket = Socket::data(socket);
    match connection::connect(socket.fd(), addr) {
        Err(error) if errno::is_connecting(&error) => finish(&socket, addr, deadline()?)?,
        begun => begun?,
    }
    mode::set_nonblocking(socket.fd(), false)?;
    Ok(TcpStream { socket })
}

/// The end of a connect that may take as long as `timeout`.
pub(super) fn deadline_of(timeout: Duration) -> io::Result<Option<Instant>> {
    match timeout {
        Duration::ZERO => Err(description::zero_timeout()),
        timeout => Ok(description::deadline_after(timeout)),
    }
}

/// Waits for a connection that has begun. Asking connect(2) again tells "not yet" from "done" and reports SO_ERROR.
fn finish(socket: &Socket, addr: &SocketAddr, deadline: Option<Instant>) -> io::Result<()> {
    socket.retry_until(Interest::Write, deadline, connect_timed_out, |fd| match connection::connect(fd, addr) {
        Err(error) if errno::is_connecting(&error) => Err(errno::would_block()),
        Err(error) if errno::is_connected(&error) => Ok(()),
        answer => answer,
    })
}

/// The error of a connect whose timeout passed, with std's kind and message.
fn connect_timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "connection timed out")
}

/// As std's: both addresses and the fd.
impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("TcpStream");
        if let Ok(addr) = self.local_addr() {
            output.field("addr", &addr);
        }
        if let Ok(peer) = self.peer_addr() {
            output.field("peer", &peer);
        }
        output.field("fd", &self.socket.fd().as_raw_fd()).finish()
    }
}

// As std's. A panic leaves a socket as it would leave a descriptor: usable.
impl UnwindSafe for TcpStream {}
impl RefUnwindSafe for TcpStream {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_small() {
        assert!(size_of::<TcpStream>() <= 32);
        assert_eq!(size_of::<Option<TcpStream>>(), size_of::<TcpStream>());
    }
}
