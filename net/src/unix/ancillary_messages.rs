//! Reading the messages of ancillary data.
//!
//! Owns the walk over a buffer, and the rule that yielding a received descriptor hands it over. How messages are laid
//! out is `control`'s business.
//!
//! Invariant 1: `held` begins with the descriptors of the messages that are still to come, as far as they were
//! received.

use std::fmt;
use std::os::fd::RawFd;

use crate::sys::ancillary::Held;
use crate::sys::control::{self, Content, Credentials};

/// Who sent a message, like std's unstable `SocketCred`; see unix(7).
#[derive(Clone, Debug, Default)]
pub struct SocketCred(Credentials);

impl SocketCred {
    /// Creates credentials of process, user and group 0.
    #[must_use]
    pub fn new() -> SocketCred {
        SocketCred::default()
    }

    /// Sets the process.
    pub fn set_pid(&mut self, pid: i32) {
        self.0.pid = pid;
    }

    /// Returns the process; 0 if it is in a namespace that the receiver cannot see, or was not recorded.
    #[must_use]
    pub fn get_pid(&self) -> i32 {
        self.0.pid
    }

    /// Sets the user.
    pub fn set_uid(&mut self, uid: u32) {
        self.0.uid = uid;
    }

    /// Returns the user.
    #[must_use]
    pub fn get_uid(&self) -> u32 {
        self.0.uid
    }

    /// Sets the group.
    pub fn set_gid(&mut self, gid: u32) {
        self.0.gid = gid;
    }

    /// Returns the group.
    #[must_use]
    pub fn get_gid(&self) -> u32 {
        self.0.gid
    }

    pub(super) fn credentials(&self) -> Credentials {
        self.0
    }
}

/// The descriptors of a message (SCM_RIGHTS).
///
/// Each received descriptor that is yielded, also to an adapter that skips it, is the caller's from then on; those left
/// when the iterator is dropped stay with the [`SocketAncillary`](super::SocketAncillary).
pub struct ScmRights<'a> {
    /// The descriptors to come.
    data: &'a [u8],
    /// Where they are kept, as far as they were received.
    held: &'a [Held],
}

impl Iterator for ScmRights<'_> {
    type Item = RawFd;

    fn next(&mut self) -> Option<RawFd> {
        let fd = control::next_fd(&mut self.data)?;
        if let Some((held, rest)) = self.held.split_first() {
            held.let_go();
            self.held = rest;
        }
        Some(fd)
    }
}

/// The descriptors to come, which stay where they are.
impl fmt::Debug for ScmRights<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(control::fds(self.data)).finish()
    }
}

/// The credentials of a message (SCM_CREDENTIALS).
///
/// They come first with every receive from a socket that has SO_PASSCRED, which is to be set before the peer sends:
/// what was sent earlier, unless with credentials, comes with process 0 and with user and group of nobody. A read of a
/// stream then ends where the data of another sender begin.
///
/// # Examples
///
/// ```
/// use std::io::{IoSliceMut, Write};
/// use dormouse_net::os::linux::net::UnixSocketExt;
/// use dormouse_net::os::unix::net::{AncillaryData, SocketAncillary, UnixStream};
///
/// # fn main() -> std::io::Result<()> {
/// let (mut sender, receiver) = UnixStream::pair()?;
/// receiver.set_passcred(true)?;
/// sender.write_all(b"who am I?")?;
///
/// let mut buffer = [0; 32];
/// let mut ancillary = SocketAncillary::new(&mut buffer);
/// receiver.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut [0; 9])], &mut ancillary)?;
/// let Some(Ok(AncillaryData::ScmCredentials(mut all))) = ancillary.messages().next() else {
///     panic!("no credentials");
/// };
/// assert_eq!(all.next().unwrap().get_pid() as u32, std::process::id());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ScmCredentials<'a> {
    /// The credentials to come.
    data: &'a [u8],
}

impl Iterator for ScmCredentials<'_> {
    type Item = SocketCred;

    fn next(&mut self) -> Option<SocketCred> {
        control::next_credentials(&mut self.data).map(SocketCred)
    }
}

/// Why a control message cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum AncillaryError {
    /// It is of a kind that [`AncillaryData`] has no name for.
    Unknown {
        /// Who defines the kind: the level of a socket option, as SOL_SOCKET.
        cmsg_level: i32,
        /// The kind.
        cmsg_type: i32,
    },
}

/// A control message.
#[derive(Debug)]
pub enum AncillaryData<'a> {
    /// Descriptors.
    ScmRights(ScmRights<'a>),
    /// Credentials.
    ScmCredentials(ScmCredentials<'a>),
}

/// An iterator over control messages, from [`SocketAncillary::messages`](super::SocketAncillary::messages).
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Messages<'a> {
    /// The messages to come.
    rest: &'a [u8],
    /// The received ones of their descriptors.
    held: &'a [Held],
}

impl<'a> Messages<'a> {
    pub(super) fn new(messages: &'a [u8], held: &'a [Held]) -> Messages<'a> {
        Messages { rest: messages, held }
    }

    /// The descriptors in `data`, which is the next message that has any.
    fn rights(&mut self, data: &'a [u8]) -> ScmRights<'a> {
        let count = control::fds(data).count().min(self.held.len());
        let (held, others) = self.held.split_at(count);
        self.held = others;
        ScmRights { data, held }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<AncillaryData<'a>, AncillaryError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match control::next(&mut self.rest)? {
            Content::Rights(data) => Ok(AncillaryData::ScmRights(self.rights(data))),
            Content::Credentials(data) => Ok(AncillaryData::ScmCredentials(ScmCredentials { data })),
            Content::Other { level, kind } => Err(AncillaryError::Unknown { cmsg_level: level, cmsg_type: kind }),
        })
    }
}
