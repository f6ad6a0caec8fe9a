//! The listening socket and its iterator.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::SocketAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;

use super::UnixStream;
use super::shown::FileDesc;
use crate::acceptor::Acceptor;
use crate::admission::Admission;
use crate::socket::Socket;
use crate::sys::{option, unix};

/// A Unix domain socket server, listening for connections, like [`std::os::unix::net::UnixListener`].
///
/// Any number of coroutines and plain threads may accept from one listener, or from clones of it. The socket is closed
/// when the value is dropped; its file stays.
///
/// # Examples
///
/// ```no_run
/// use std::io::Write;
/// use dormouse_net::os::unix::net::UnixListener;
///
/// # fn main() -> std::io::Result<()> {
/// let listener = UnixListener::bind("/run/greeter.sock")?;
/// for stream in listener.incoming() {
///     stream?.write_all(b"hello\n")?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct UnixListener {
    /// The socket, which we keep O_NONBLOCK.
    acceptor: Acceptor,
}

impl UnixListener {
    /// Creates a listener bound to `path`, where a socket file comes into being, with the longest queue that the system
    /// allows (net.core.somaxconn).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path of more than 107 bytes or with a NUL byte in it;
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) when the file exists; whatever bind(2) reports.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        let fd = unix::stream()?;
        UnixListener::listen(fd, &SocketAddr::from_pathname(path)?)
    }

    /// Creates a listener bound to `socket_addr`, which may be an abstract name.
    ///
    /// # Errors
    ///
    /// Whatever bind(2) reports.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::linux::net::SocketAddrExt;
    /// use dormouse_net::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let addr = SocketAddr::from_abstract_name(format!("greeter-{}", std::process::id()))?;
    /// let listener = UnixListener::bind_addr(&addr)?;
    /// let client = UnixStream::connect_addr(&addr)?;
    /// let (server, peer) = listener.accept()?;
    /// assert!(peer.is_unnamed());
    /// # drop((client, server));
    /// # Ok(())
    /// # }
    /// ```
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixListener> {
        UnixListener::listen(unix::stream()?, socket_addr)
    }

    fn listen(fd: OwnedFd, addr: &SocketAddr) -> io::Result<UnixListener> {
        unix::bind(fd.as_fd(), addr)?;
        unix::listen(fd.as_fd())?;
        Ok(UnixListener::from_socket(Socket::acceptor(fd)))
    }

    pub(super) fn from_socket(socket: Socket) -> UnixListener {
        UnixListener { acceptor: Acceptor::new(socket) }
    }

    pub(super) fn socket(&self) -> &Socket {
        self.acceptor.socket()
    }

    pub(super) fn into_socket(self) -> Socket {
        self.acceptor.into_socket()
    }

    /// Accepts a new connection, and returns it with the address of its peer, which mostly has none.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) in non-blocking mode when no connection waits; whatever accept(2)
    /// reports.
    ///
    /// With no descriptor or memory left (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`) each call fails after a pause of
    /// 5 ms, doubling to 100 ms until an accept succeeds, so that a loop that ignores errors does not spin. There is no
    /// pause in non-blocking mode, nor inside `no_park`.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until a connection comes in.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (socket, addr) = self.acceptor.accept(unix::accept)?;
        Ok((UnixStream::from_socket(socket), addr))
    }

    /// Creates another handle to the same listening socket, with the same mode.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<UnixListener> {
        Ok(UnixListener { acceptor: self.acceptor.try_clone()? })
    }

    /// Returns the local address of this listener.
    ///
    /// # Errors
    ///
    /// Whatever getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        unix::local_addr(self.socket().fd())
    }

    /// Sets whether `accept` answers [`WouldBlock`](io::ErrorKind::WouldBlock) instead of waiting, for this listener
    /// and its clones. Calls that wait already go on waiting.
    ///
    /// # Errors
    ///
    /// Whatever ioctl(2) reports.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket().set_nonblocking(nonblocking)
    }

    /// Returns SO_ERROR and clears it.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        option::take_error(self.socket().fd())
    }

    /// The same listener, which from now on lets connections in only as `admission` says. It gets a count of connections of its own; its
    /// clones to come share it, and those made before go on without. Replaces an admission it had. Std has no such method.
    ///
    /// Its `accept` returns only connections that are let in. A listener that becomes a descriptor or one of std loses it.
    ///
    /// # Blocking
    ///
    /// Not this, but `accept`: while connections are delayed or dropped it parks the coroutine, or blocks the plain thread, until
    /// there is room, too; in non-blocking mode it answers [`WouldBlock`](io::ErrorKind::WouldBlock). That there is room in the
    /// runtime no event tells: it looks again after 1 ms, doubling to 16 ms, while a connection waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    /// use dormouse_net::{Admission, OnOverload};
    /// use std::io::ErrorKind;
    /// use std::os::linux::net::SocketAddrExt;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let addr = SocketAddr::from_abstract_name(format!("one-at-a-time-{}", std::process::id()))?;
    /// let admission = Admission::new().max_connections(1).on_overload(OnOverload::Delay);
    /// let listener = UnixListener::bind_addr(&addr)?.with_admission(&admission);
    /// let clients = (UnixStream::connect_addr(&addr)?, UnixStream::connect_addr(&addr)?);
    /// let (first, _) = listener.accept()?;
    /// listener.set_nonblocking(true)?;
    /// assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// drop(first);
    /// assert!(listener.accept().is_ok());
    /// # drop(clients);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the listener is dropped if it is not used"]
    pub fn with_admission(self, admission: &Admission) -> UnixListener {
        UnixListener { acceptor: self.acceptor.with_admission(admission) }
    }

    /// Iterates over the connections as they come in; never ends. `next` is [`accept`](UnixListener::accept) without the
    /// address.
    ///
    /// # Blocking
    ///
    /// `next` parks or blocks, as `accept` does.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }
}

/// As std's: the fd and the address.
impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("UnixListener");
        output.field("fd", &FileDesc::of(self.socket().fd()));
        if let Ok(addr) = self.local_addr() {
            output.field("local", &addr);
        }
        output.finish()
    }
}

// As std's. A panic leaves a socket as it would leave a descriptor: usable.
impl UnwindSafe for UnixListener {}
impl RefUnwindSafe for UnixListener {}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

/// An iterator over the connections of a [`UnixListener`], made by [`incoming`](UnixListener::incoming).
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Incoming<'a> {
    /// What accepts.
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}
