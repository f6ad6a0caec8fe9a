//! The listening socket and its iterators.

use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::net::SocketAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::{TcpListenerBuilder, TcpStream};
use crate::acceptor::Acceptor;
use crate::admission::Admission;
use crate::resolve::ToSocketAddrs;
use crate::socket::Socket;
use crate::sys::{connection, option};

/// A TCP socket server, listening for connections, like [`std::net::TcpListener`].
///
/// Any number of coroutines and plain threads may accept from one listener, or from clones of it. The socket is closed
/// when the value is dropped.
///
/// # Examples
///
/// ```no_run
/// use std::io::Write;
/// use dormouse_net::TcpListener;
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:7000")?;
/// for stream in listener.incoming() {
///     stream?.write_all(b"hello\n")?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct TcpListener {
    /// The socket, which we keep O_NONBLOCK.
    acceptor: Acceptor,
}

impl TcpListener {
    /// Creates a listener bound to `addr`, with SO_REUSEADDR and a queue of 4096 connections or the system's maximum.
    /// Port 0 asks for any free port. Each address that `addr` yields is tried until one succeeds.
    ///
    /// # Errors
    ///
    /// The last address's error; [`InvalidInput`](io::ErrorKind::InvalidInput) when there is no address.
    ///
    /// # Blocking
    ///
    /// Only for a host name, which it looks up: that parks the coroutine, a cancellation point, or blocks the plain
    /// thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// assert_ne!(listener.local_addr().unwrap().port(), 0);
    /// ```
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        TcpListener::builder().bind(addr)
    }

    /// Makes listeners with options that have to be set before they are bound. Std has no such function.
    pub fn builder() -> TcpListenerBuilder {
        TcpListenerBuilder::new()
    }

    pub(super) fn from_socket(socket: Socket) -> TcpListener {
        TcpListener { acceptor: Acceptor::new(socket) }
    }

    pub(super) fn socket(&self) -> &Socket {
        self.acceptor.socket()
    }

    pub(super) fn into_socket(self) -> Socket {
        self.acceptor.into_socket()
    }

    /// Returns the local address of this listener.
    ///
    /// # Errors
    ///
    /// Whatever getsockname(2) reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        connection::local_addr(self.socket().fd())
    }

    /// Creates another handle to the same listening socket, with the same mode.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        Ok(TcpListener { acceptor: self.acceptor.try_clone()? })
    }

    /// Accepts a new connection, and returns it with the address of its peer.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) in non-blocking mode when no connection waits; whatever accept(2)
    /// reports, such as `ECONNABORTED` for a connection that went away.
    ///
    /// With no descriptor or memory left (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`) each call fails after a pause of
    /// 5 ms, doubling to 100 ms until an accept succeeds, so that a loop that ignores errors does not spin. There is no
    /// pause in non-blocking mode, nor inside `no_park`.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until a connection comes in.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let client = TcpStream::connect(listener.local_addr()?)?;
    /// let (server, peer) = listener.accept()?;
    /// assert_eq!(peer, client.local_addr()?);
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, addr) = self.acceptor.accept(connection::accept)?;
        Ok((TcpStream::from_socket(socket), addr))
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
    /// use dormouse_net::{Admission, TcpListener, TcpStream};
    /// use std::io::{ErrorKind, Read};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let admission = Admission::new().max_connections(1);
    /// let listener = TcpListener::bind("127.0.0.1:0")?.with_admission(&admission);
    /// let addr = listener.local_addr()?;
    /// let first = TcpStream::connect(addr)?;
    /// let (first_here, _) = listener.accept()?;
    /// let mut second = TcpStream::connect(addr)?;
    /// listener.set_nonblocking(true)?;
    /// assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// assert_eq!(second.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    /// drop(first_here);
    /// let third = TcpStream::connect(addr)?;
    /// assert!(listener.accept().is_ok());
    /// # drop((first, third));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the listener is dropped if it is not used"]
    pub fn with_admission(self, admission: &Admission) -> TcpListener {
        TcpListener { acceptor: self.acceptor.with_admission(admission) }
    }

    /// Iterates over the connections as they come in; never ends. `next` is [`accept`](TcpListener::accept) without the
    /// address.
    ///
    /// # Blocking
    ///
    /// `next` parks or blocks, as `accept` does.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Turns the listener into an iterator over the connections as they come in, which owns it. Unstable in std
    /// (`tcplistener_into_incoming`).
    #[must_use = "`self` will be dropped if the result is not used"]
    pub fn into_incoming(self) -> IntoIncoming {
        IntoIncoming { listener: self }
    }

    /// Sets SO_LINGER, in whole seconds, which connections made from now on inherit: see
    /// [`TcpStream::set_linger`]. The listener itself never lingers. Std has no such method.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.socket().set_linger(linger)
    }

    /// Returns SO_LINGER. Std has no such method.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        option::linger(self.socket().fd())
    }

    /// Sets IP_TTL, which accepted connections inherit.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        option::set_ttl(self.socket().fd(), ttl)
    }

    /// Returns IP_TTL.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn ttl(&self) -> io::Result<u32> {
        option::ttl(self.socket().fd())
    }

    /// Sets IPV6_V6ONLY, which a bound socket refuses.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    #[deprecated(since = "0.1.0", note = "this option can only be set before the socket is bound")]
    pub fn set_only_v6(&self, only_v6: bool) -> io::Result<()> {
        option::set_only_v6(self.socket().fd(), only_v6)
    }

    /// Returns IPV6_V6ONLY.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    #[deprecated(since = "0.1.0", note = "this option can only be set before the socket is bound")]
    pub fn only_v6(&self) -> io::Result<bool> {
        option::only_v6(self.socket().fd())
    }

    /// Returns SO_ERROR and clears it.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        option::take_error(self.socket().fd())
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
}

/// As std's: the address and the fd.
impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::fd::AsRawFd;
        let mut output = f.debug_struct("TcpListener");
        if let Ok(addr) = self.local_addr() {
            output.field("addr", &addr);
        }
        output.field("fd", &self.socket().fd().as_raw_fd()).finish()
    }
}

// As std's. A panic leaves a socket as it would leave a descriptor: usable.
impl UnwindSafe for TcpListener {}
impl RefUnwindSafe for TcpListener {}

/// An iterator over the connections of a [`TcpListener`], made by [`incoming`](TcpListener::incoming).
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Incoming<'a> {
    /// What accepts.
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}

/// An iterator over the connections of the [`TcpListener`] it owns, made by
/// [`into_incoming`](TcpListener::into_incoming).
#[derive(Debug)]
pub struct IntoIncoming {
    /// What accepts.
    listener: TcpListener,
}

impl Iterator for IntoIncoming {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for IntoIncoming {}
