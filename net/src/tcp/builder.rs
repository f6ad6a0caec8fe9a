//! Sockets made to order: what counts only if it is set before bind(2), listen(2) or connect(2), which std cannot set.
//!
//! Owns the choices and the order of the calls. Making a connection is `stream`'s.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::{TcpListener, TcpStream, stream};
use crate::resolve::{self, ToSocketAddrs};
use crate::socket::Socket;
use crate::sys::{connection, option};

/// The longest queue of connections that wait to be accepted; the kernel lowers it to net.core.somaxconn.
const BACKLOG: u32 = 4096;

/// What both kinds of socket can be given.
#[derive(Clone, Debug, Default)]
struct Options {
    /// SO_REUSEADDR.
    reuse_address: bool,
    /// SO_REUSEPORT.
    reuse_port: bool,
    /// SO_RCVBUF, in bytes.
    recv_buffer_size: Option<usize>,
    /// SO_SNDBUF, in bytes.
    send_buffer_size: Option<usize>,
}

impl Options {
    /// A new socket for `addr` with these options.
    fn socket(&self, addr: &SocketAddr) -> io::Result<OwnedFd> {
        let socket = connection::stream_socket(addr)?;
        let fd = socket.as_fd();
        if self.reuse_address {
            option::set_reuse_address(fd, true)?;
        }
        if self.reuse_port {
            option::set_reuse_port(fd, true)?;
        }
        set_if_some(fd, self.recv_buffer_size, option::set_recv_buffer_size)?;
        set_if_some(fd, self.send_buffer_size, option::set_send_buffer_size)?;
        Ok(socket)
    }
}

fn set_if_some<T>(
    fd: BorrowedFd<'_>,
    value: Option<T>,
    set: fn(BorrowedFd<'_>, T) -> io::Result<()>,
) -> io::Result<()> {
    value.map_or(Ok(()), |value| set(fd, value))
}

/// Makes listeners whose options std cannot set, since it binds at once. Made by [`TcpListener::builder`].
///
/// # Examples
///
/// Two listeners share a port; the kernel spreads the connections over them:
///
/// ```
/// use dormouse_net::TcpListener;
///
/// # fn main() -> std::io::Result<()> {
/// let builder = TcpListener::builder().reuse_port(true).backlog(64);
/// let first = builder.bind("127.0.0.1:0")?;
/// let second = builder.bind(first.local_addr()?)?;
/// assert_eq!(first.local_addr()?, second.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "must eventually bind"]
pub struct TcpListenerBuilder {
    /// What streams have, too.
    options: Options,
    /// IPV6_V6ONLY, if not the system's default.
    only_v6: Option<bool>,
    /// The longest queue of connections that wait to be accepted.
    backlog: u32,
}

impl TcpListenerBuilder {
    /// What [`TcpListener::bind`] makes: SO_REUSEADDR and a queue of 4096 connections.
    pub fn new() -> TcpListenerBuilder {
        let options = Options { reuse_address: true, ..Options::default() };
        TcpListenerBuilder { options, only_v6: None, backlog: BACKLOG }
    }

    /// Sets SO_REUSEADDR: connections of an earlier listener that are still ending (TIME_WAIT) do not keep the port. On
    /// by default, as in std.
    pub fn reuse_address(mut self, reuse: bool) -> TcpListenerBuilder {
        self.options.reuse_address = reuse;
        self
    }

    /// Sets SO_REUSEPORT: several listeners of one user, each made with it, share the port, and the kernel spreads
    /// connections over them. A connection that waits in the queue of a listener is reset when that is closed.
    pub fn reuse_port(mut self, reuse: bool) -> TcpListenerBuilder {
        self.options.reuse_port = reuse;
        self
    }

    /// Sets IPV6_V6ONLY: whether `[::]` leaves IPv4 alone. Else the system decides (net.ipv6.bindv6only). It means
    /// nothing for IPv4 addresses.
    pub fn only_v6(mut self, only_v6: bool) -> TcpListenerBuilder {
        self.only_v6 = Some(only_v6);
        self
    }

    /// Sets how many connections may wait to be accepted; the kernel lowers it to net.core.somaxconn.
    pub fn backlog(mut self, connections: u32) -> TcpListenerBuilder {
        self.backlog = connections;
        self
    }

    /// Sets SO_RCVBUF in bytes, which accepted connections inherit; set later, it would come too late for their window
    /// scale. The kernel doubles it, and then does not tune it by itself.
    pub fn recv_buffer_size(mut self, bytes: usize) -> TcpListenerBuilder {
        self.options.recv_buffer_size = Some(bytes);
        self
    }

    /// Sets SO_SNDBUF in bytes, which accepted connections inherit. The kernel doubles it, and then does not tune it by
    /// itself.
    pub fn send_buffer_size(mut self, bytes: usize) -> TcpListenerBuilder {
        self.options.send_buffer_size = Some(bytes);
        self
    }

    /// Makes a listener bound to `addr`. Each address that `addr` yields is tried until one succeeds.
    ///
    /// # Errors
    ///
    /// As for [`TcpListener::bind`]; whatever setsockopt(2) reports.
    ///
    /// # Blocking
    ///
    /// As [`TcpListener::bind`].
    pub fn bind<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpListener> {
        resolve::first_success(addr, |addr| self.bind_to(addr))
    }

    fn bind_to(&self, addr: &SocketAddr) -> io::Result<TcpListener> {
        let socket = self.options.socket(addr)?;
        set_if_some(socket.as_fd(), self.only_v6.filter(|_| addr.is_ipv6()), option::set_only_v6)?;
        connection::bind(socket.as_fd(), addr)?;
        connection::listen(socket.as_fd(), i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(TcpListener::from_socket(Socket::acceptor(socket)))
    }
}

impl Default for TcpListenerBuilder {
    fn default() -> TcpListenerBuilder {
        TcpListenerBuilder::new()
    }
}

/// Makes connections from an address of one's choice, or with options that std cannot set, since it connects at once. Made
/// by [`TcpStream::builder`].
///
/// # Examples
///
/// ```
/// use dormouse_net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let from = "127.0.0.2:0".parse().unwrap();
/// let client = TcpStream::builder().local_addr(from).connect(listener.local_addr()?)?;
/// let (_server, peer) = listener.accept()?;
/// assert_eq!(peer.ip(), from.ip());
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "must eventually connect"]
pub struct TcpStreamBuilder {
    /// What listeners have, too.
    options: Options,
    /// Where the connection comes from; else the kernel chooses.
    local_addr: Option<SocketAddr>,
}

impl TcpStreamBuilder {
    /// What [`TcpStream::connect`] makes.
    pub fn new() -> TcpStreamBuilder {
        TcpStreamBuilder::default()
    }

    /// Sets the address that the connection comes from. With port 0 the kernel chooses the port, and only once it knows
    /// the peer (IP_BIND_ADDRESS_NO_PORT, Linux 4.2), so that connections to different peers can have the same one.
    pub fn local_addr(mut self, addr: SocketAddr) -> TcpStreamBuilder {
        self.local_addr = Some(addr);
        self
    }

    /// Sets SO_REUSEADDR: a local port can be bound although connections from it are still ending (TIME_WAIT).
    pub fn reuse_address(mut self, reuse: bool) -> TcpStreamBuilder {
        self.options.reuse_address = reuse;
        self
    }

    /// Sets SO_REUSEPORT: several sockets of one user, each made with it, can be bound to the same local address.
    pub fn reuse_port(mut self, reuse: bool) -> TcpStreamBuilder {
        self.options.reuse_port = reuse;
        self
    }

    /// Sets SO_RCVBUF in bytes; set later, it would come too late for the window scale. The kernel doubles it, and then
    /// does not tune it by itself.
    pub fn recv_buffer_size(mut self, bytes: usize) -> TcpStreamBuilder {
        self.options.recv_buffer_size = Some(bytes);
        self
    }

    /// Sets SO_SNDBUF in bytes. The kernel doubles it, and then does not tune it by itself.
    pub fn send_buffer_size(mut self, bytes: usize) -> TcpStreamBuilder {
        self.options.send_buffer_size = Some(bytes);
        self
    }

    /// Opens a connection to a remote host. Each address that `addr` yields is tried until one accepts; those of another
    /// family than the [local address](TcpStreamBuilder::local_addr) are left out.
    ///
    /// # Errors
    ///
    /// As for [`TcpStream::connect`]; whatever setsockopt(2) and bind(2) report, such as
    /// [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable) for a local address that this host has not.
    ///
    /// # Blocking
    ///
    /// As [`TcpStream::connect`].
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpStream> {
        let reachable = |peer: &SocketAddr| self.local_addr.is_none_or(|local| local.is_ipv4() == peer.is_ipv4());
        let peers: Vec<SocketAddr> = addr.to_socket_addrs()?.filter(reachable).collect();
        resolve::first_success(&peers[..], |peer| stream::connect_on(self.socket(peer)?, peer, || Ok(None)))
    }

    /// Opens a connection to a remote host, and gives up after `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`TcpStream::connect_timeout`]; whatever setsockopt(2) and bind(2) report.
    ///
    /// # Blocking
    ///
    /// As [`TcpStream::connect_timeout`].
    pub fn connect_timeout(&self, addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        stream::connect_on(self.socket(addr)?, addr, || stream::deadline_of(timeout))
    }

    /// A socket for a connection to `peer`, bound if it is to be.
    fn socket(&self, peer: &SocketAddr) -> io::Result<OwnedFd> {
        let socket = self.options.socket(peer)?;
        if let Some(local) = &self.local_addr {
            if local.port() == 0 {
                // Where the kernel does not know it, the port is chosen by the bind.
                let _ = option::set_bind_address_no_port(socket.as_fd(), true);
            }
            connection::bind(socket.as_fd(), local)?;
        }
        Ok(socket)
    }
}
