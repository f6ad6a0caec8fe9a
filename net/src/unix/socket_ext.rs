//! Options that only Linux has.

use std::io;

use super::{UnixDatagram, UnixStream};
use crate::sys::unix;

/// What Linux adds to [`UnixDatagram`] and [`UnixStream`], as std's `UnixSocketExt` (unstable there,
/// `unix_socket_ancillary_data`).
pub trait UnixSocketExt: Sealed {
    /// Returns SO_PASSCRED.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    fn passcred(&self) -> io::Result<bool>;

    /// Sets SO_PASSCRED: received messages carry the credentials of their senders as ancillary data, see unix(7).
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::os::linux::net::UnixSocketExt;
    /// use dormouse_net::os::unix::net::UnixDatagram;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let socket = UnixDatagram::unbound()?;
    /// socket.set_passcred(true)?;
    /// assert!(socket.passcred()?);
    /// # Ok(())
    /// # }
    /// ```
    fn set_passcred(&self, passcred: bool) -> io::Result<()>;
}

/// Only our own types are extended.
pub trait Sealed {}

impl Sealed for UnixDatagram {}
impl Sealed for UnixStream {}

impl UnixSocketExt for UnixDatagram {
    fn passcred(&self) -> io::Result<bool> {
        unix::passcred(self.socket().fd())
    }

    fn set_passcred(&self, passcred: bool) -> io::Result<()> {
        unix::set_passcred(self.socket().fd(), passcred)
    }
}

impl UnixSocketExt for UnixStream {
    fn passcred(&self) -> io::Result<bool> {
        unix::passcred(self.socket().fd())
    }

    fn set_passcred(&self, passcred: bool) -> io::Result<()> {
        unix::set_passcred(self.socket().fd(), passcred)
    }
}
