//! What std has for TCP on Linux only.

use std::io;
use std::time::Duration;

use super::TcpStream;
use crate::sys::option;

/// Keeps [`TcpStreamExt`] to dormouse's own stream, as std keeps its own.
mod sealed {
    /// See the module.
    pub trait Sealed {}

    impl Sealed for super::TcpStream {}
}

/// Options of a [`TcpStream`] that only Linux has, like [`std::os::linux::net::TcpStreamExt`]. See tcp(7).
///
/// # Examples
///
/// ```
/// use dormouse_net::os::linux::net::TcpStreamExt;
/// use dormouse_net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// stream.set_quickack(true)?;
/// assert!(stream.quickack()?);
/// # Ok(())
/// # }
/// ```
pub trait TcpStreamExt: sealed::Sealed {
    /// Sets TCP_QUICKACK: received data is acknowledged at once instead of together with what is sent back. The kernel may
    /// change it again by itself at any later time.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    fn set_quickack(&self, quickack: bool) -> io::Result<()>;

    /// Returns TCP_QUICKACK.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    fn quickack(&self) -> io::Result<bool>;

    /// Sets TCP_DEFER_ACCEPT, in whole seconds: connecting counts as done only with the first data, or after that time.
    /// Unstable in std (`tcp_deferaccept`).
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    fn set_deferaccept(&self, accept: Duration) -> io::Result<()>;

    /// Returns TCP_DEFER_ACCEPT as the kernel keeps it: rounded to its retransmissions. Unstable in std
    /// (`tcp_deferaccept`).
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    fn deferaccept(&self) -> io::Result<Duration>;
}

impl TcpStreamExt for TcpStream {
    fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        option::set_quickack(self.socket().fd(), quickack)
    }

    fn quickack(&self) -> io::Result<bool> {
        option::quickack(self.socket().fd())
    }

    fn set_deferaccept(&self, accept: Duration) -> io::Result<()> {
        option::set_defer_accept(self.socket().fd(), accept)
    }

    fn deferaccept(&self) -> io::Result<Duration> {
        option::defer_accept(self.socket().fd())
    }
}
