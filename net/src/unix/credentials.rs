//! Who is at the other end.

use std::io;

use super::UnixStream;
use crate::sys::unix;

/// The credentials of a process, as std's `UCred` (unstable there, `peer_credentials_unix_socket`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UCred {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process id; always there on Linux.
    pub pid: Option<i32>,
}

impl UnixStream {
    /// Returns the credentials of the process at the other end, as they were when it connected, called listen(2), or made
    /// the pair (SO_PEERCRED, see unix(7)). Unstable in std (`peer_credentials_unix_socket`).
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::os::unix::net::UnixStream;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// assert_eq!(ours.peer_cred()?.pid, Some(std::process::id() as i32));
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_cred(&self) -> io::Result<UCred> {
        let (uid, gid, pid) = unix::peer_credentials(self.socket().fd())?;
        Ok(UCred { uid, gid, pid: Some(pid) })
    }
}
