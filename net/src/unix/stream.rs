//! The connected socket: how it comes to be, and its options. Moving bytes is `transfer`'s.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::SocketAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::time::Duration;

use dormouse_runtime::wait::Interest;

use super::shown::FileDesc;
use crate::progress::MinRate;
use crate::socket::Socket;
use crate::sys::{connection, mode, option, unix};

/// A Unix stream socket, like [`std::os::unix::net::UnixStream`].
///
/// Reading and writing go through `&UnixStream` too, so that one coroutine may read while another writes. The connection
/// is closed when the value is dropped.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use dormouse_net::os::unix::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// let (mut ours, mut theirs) = UnixStream::pair()?;
/// ours.write_all(b"hello")?;
/// drop(ours);
/// let mut text = String::new();
/// theirs.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok(())
/// # }
/// ```
pub struct UnixStream {
    /// The socket, in the mode its user chose.
    socket: Socket,
}

impl UnixStream {
    /// Connects to the listener whose socket file is `path`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path of more than 107 bytes or with a NUL byte in it;
    /// [`NotFound`](io::ErrorKind::NotFound), [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when there is
    /// nobody; whatever else connect(2) reports.
    ///
    /// # Blocking
    ///
    /// While the listener's queue is full, parks the coroutine, or blocks the plain thread: no event tells of room, so it
    /// tries again after 1 ms, doubling to 50 ms.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        let fd = unix::stream()?;
        UnixStream::connect_with(fd, &SocketAddr::from_pathname(path)?)
    }

    /// Connects to the listener called `socket_addr`, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// Whatever connect(2) reports.
    ///
    /// # Blocking
    ///
    /// As [`connect`](UnixStream::connect).
    pub fn connect_addr(socket_addr: &SocketAddr) -> io::Result<UnixStream> {
        UnixStream::connect_with(unix::stream()?, socket_addr)
    }

    /// connect(2) answers at once only while the description is O_NONBLOCK; the user gets it back blocking.
    fn connect_with(fd: OwnedFd, addr: &SocketAddr) -> io::Result<UnixStream> {
        let socket = Socket::data(fd);
        socket.retry_after_pauses(Interest::Write, |fd| unix::connect(fd, addr))?;
        mode::set_nonblocking(socket.fd(), false)?;
        Ok(UnixStream { socket })
    }

    /// Creates two sockets that are connected to each other and have no names.
    ///
    /// # Errors
    ///
    /// Whatever socketpair(2) reports.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = unix::stream_pair()?;
        Ok((UnixStream::from_socket(Socket::data(one)), UnixStream::from_socket(Socket::data(other))))
    }

    pub(super) fn from_socket(socket: Socket) -> UnixStream {
        UnixStream { socket }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Creates another handle to the same connection, with the same mode and timeouts.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<UnixStream> {
        self.socket.try_clone().map(UnixStream::from_socket)
    }

    /// Returns the address of this end, which mostly has none.
    ///
    /// # Errors
    ///
    /// Whatever getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        unix::local_addr(self.socket.fd())
    }

    /// Returns the address of the other end.
    ///
    /// # Errors
    ///
    /// Whatever getpeername(2) reports.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        unix::peer_addr(self.socket.fd())
    }

    /// Sets the longest time that a read waits, `None` for no limit, for clones too. Calls that wait already keep
    /// theirs. A read that runs out of it fails with [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a timeout of zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_timeout(Interest::Read, timeout)
    }

    /// Sets the longest time that a write waits, as [`set_read_timeout`](UnixStream::set_read_timeout) does for reads.
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

    /// Limits how slow the peer may be in sending, `None` for no limit, for clones too. Each time that reads have waited for a
    /// whole window and got fewer bytes than it asks for, the read that waits fails, and so does every one that would have to
    /// wait from then on. Time in which no read waits does not count. Setting it begins a new window: a server sets it when a
    /// request begins, and takes it away while a connection may be idle. Calls that wait already keep what they have. Std
    /// has no such method.
    ///
    /// A read fails with [`TimedOut`](io::ErrorKind::TimedOut) then, where the [read timeout](UnixStream::set_read_timeout)
    /// is [`WouldBlock`](io::ErrorKind::WouldBlock): a timeout limits one wait, and a peer that sends a byte now and then
    /// never meets it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{ErrorKind, Read, Write};
    /// use std::time::Duration;
    /// use dormouse_net::MinRate;
    /// use dormouse_net::os::unix::net::UnixStream;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (mut slow, mut stream) = UnixStream::pair()?;
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

    /// Limits how slow the peer may be in taking what is sent, as [`set_min_read_rate`](UnixStream::set_min_read_rate) does
    /// for reads: counted are bytes for which there was room, so that what the kernel buffers hides the peer for a while. A write
    /// that has sent something by then tells how much; the next one fails. Std has no such method.
    pub fn set_min_write_rate(&self, rate: Option<MinRate>) {
        self.socket.set_min_rate(Interest::Write, rate);
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

    /// Shuts down reading, writing or both, for clones too. Whoever waits in an affected call wakes.
    ///
    /// # Errors
    ///
    /// Whatever shutdown(2) reports.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        connection::shutdown(self.socket.fd(), how)
    }
}

/// As std's: the fd and both addresses.
impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("UnixStream");
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
impl UnwindSafe for UnixStream {}
impl RefUnwindSafe for UnixStream {}
