//! The buffer that ancillary data are sent from and received into.
//!
//! Owns what is in the buffer, and received descriptors that nobody has taken. How messages are laid out is `control`'s
//! business, reading them `ancillary_messages`'.
//!
//! Invariants:
//! 1. The first `length` bytes of the buffer are whole control messages, written by the kernel or by `control`.
//! 2. What was received comes first there; `held` are its descriptors, in its order.

use std::fmt;
use std::os::fd::RawFd;

use super::{Messages, SocketCred};
use crate::closing;
use crate::sys::ancillary::{Held, Received};
use crate::sys::control;

/// Ancillary data of Unix sockets, like std's unstable `SocketAncillary` (`unix_socket_ancillary_data`): descriptors
/// and credentials to be sent, or that were received. See unix(7) and cmsg(3).
///
/// # Received descriptors
///
/// A descriptor that was received belongs to the `SocketAncillary` until [`ScmRights`](super::ScmRights) yields it;
/// then it belongs to whoever got it, who closes it, best by making an [`OwnedFd`](std::os::fd::OwnedFd) of it. Another
/// walk yields the same number again, and hands nothing over. What was never yielded is closed by
/// [`clear`](SocketAncillary::clear), by the next receive that succeeds, and by the drop; the number that is left in
/// the buffer then means nothing. With std's nobody closes it.
///
/// Received descriptors are close-on-exec from the start (MSG_CMSG_CLOEXEC).
///
/// Closing what was never yielded does not wait for a socket that lingers (SO_LINGER): that is closed in the
/// background.
///
/// # Peers that one does not trust
///
/// Descriptors that were sent and that no receive has room for, or that nobody receives, are closed by the kernel, as
/// part of the call that loses them: a read or receive without ancillary data, one whose buffer is too small, the close
/// of the socket that they wait in. If that closes a TCP connection that lingers, the call blocks its thread, and with
/// it all coroutines of the worker, for as long as the sender of the descriptors chose. No program can help that, but
/// from Linux 6.16 on a socket whose SO_PASSRIGHTS is cleared refuses descriptors.
///
/// A message that [`AncillaryData`](super::AncillaryData) has no name for may hold a descriptor too (SCM_PIDFD). It is
/// left to whoever asked the kernel for such messages, and is to be found in the buffer.
///
/// # The buffer
///
/// It may lie at any address, and all of it is used; std takes it to be aligned, and does not check that. A message
/// takes 16 bytes besides its data, rounded up to a multiple of 8 (on 64-bit systems). On sockets with SO_PASSCRED
/// every receive brings 32 bytes of credentials first. Descriptors for which there is no room, or that would exceed the
/// limit of open files, are closed by the kernel, and the ancillary data are [`truncated`](SocketAncillary::truncated).
pub struct SocketAncillary<'a> {
    /// The user's memory.
    buffer: &'a mut [u8],
    /// How much of it is in use.
    length: usize,
    /// Whether the last receive had more than there was room for.
    truncated: bool,
    /// The descriptors received last; those that were taken say so. Not in a `Drop` of this type, which would keep the
    /// buffer borrowed for longer than std's does.
    held: Descriptors,
}

/// Received descriptors, of which those that nobody took are closed with it, without waiting for any.
#[derive(Default)]
struct Descriptors(Box<[Held]>);

impl Drop for Descriptors {
    fn drop(&mut self) {
        self.0.iter_mut().filter_map(Held::take).for_each(closing::discard);
    }
}

impl<'a> SocketAncillary<'a> {
    /// Creates empty ancillary data with room for as much as `buffer` holds.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::os::unix::net::SocketAncillary;
    ///
    /// let mut buffer = [0; 128];
    /// let ancillary = SocketAncillary::new(&mut buffer);
    /// assert_eq!(ancillary.capacity(), 128);
    /// assert!(ancillary.is_empty());
    /// ```
    pub fn new(buffer: &'a mut [u8]) -> Self {
        SocketAncillary { buffer, length: 0, truncated: false, held: Descriptors::default() }
    }

    /// Returns the length of the buffer in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Returns whether there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns how many bytes of the buffer are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Returns an iterator over the messages that were received or added.
    ///
    /// It hands over received descriptors; see [`SocketAncillary`].
    pub fn messages(&self) -> Messages<'_> {
        Messages::new(self.filled(), &self.held.0)
    }

    /// Returns whether the last receive brought more than there was room for (MSG_CTRUNC). What is missing is gone, and
    /// missing descriptors are closed.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Adds a message with descriptors (SCM_RIGHTS). Returns `false`, and adds nothing, if there is no room.
    ///
    /// They stay the caller's and must be open when they are sent; the kernel refuses more than 253 of them in one
    /// send. The receiver shares their descriptions, with all that belongs to them.
    ///
    /// The descriptor of a listener of ours is O_NONBLOCK, whatever the listener's mode, and stays so when the listener
    /// is dropped. A receiver that wants another mode sets it itself: with
    /// [`set_nonblocking(false)`](crate::TcpListener::set_nonblocking) if it makes a listener of ours of it, which
    /// takes the flag for its user's wish; else once the sender does not accept any more, since a receiver that clears
    /// the flag may block the sender's worker (see `as_fd` of [`UnixListener`](super::UnixListener)).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{IoSlice, IoSliceMut, Read, Write};
    /// use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    /// use dormouse_net::os::unix::net::{AncillaryData, SocketAncillary, UnixStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (sender, receiver) = UnixStream::pair()?;
    /// let (mut gift, mut peer) = UnixStream::pair()?;
    ///
    /// let mut buffer = [0; 32];
    /// let mut ancillary = SocketAncillary::new(&mut buffer);
    /// assert!(ancillary.add_fds(&[peer.as_raw_fd()]));
    /// sender.send_vectored_with_ancillary(&[IoSlice::new(b"!")], &mut ancillary)?;
    ///
    /// let mut buffer = [0; 32];
    /// let mut ancillary = SocketAncillary::new(&mut buffer);
    /// receiver.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut [0])], &mut ancillary)?;
    /// for message in ancillary.messages() {
    ///     let Ok(AncillaryData::ScmRights(rights)) = message else { continue };
    ///     for fd in rights {
    ///         // SAFETY: the iterator has just handed it over.
    ///         let mut received = UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
    ///         received.write_all(b"hello")?;
    ///     }
    /// }
    /// let mut answer = [0; 5];
    /// gift.read_exact(&mut answer)?;
    /// assert_eq!(&answer, b"hello");
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_fds(&mut self, fds: &[RawFd]) -> bool {
        let length = control::add_fds(self.buffer, self.length, fds);
        self.added(length)
    }

    /// Adds a message with credentials (SCM_CREDENTIALS). Returns `false`, and adds nothing, if there is no room.
    ///
    /// The kernel takes one of them for a send, and checks it: without privileges it must be the sender's own. It is
    /// delivered to peers with SO_PASSCRED, see [`UnixSocketExt`](crate::os::linux::net::UnixSocketExt).
    pub fn add_creds(&mut self, creds: &[SocketCred]) -> bool {
        let all: Vec<_> = creds.iter().map(SocketCred::credentials).collect();
        let length = control::add_credentials(self.buffer, self.length, &all);
        self.added(length)
    }

    fn added(&mut self, length: Option<usize>) -> bool {
        self.truncated = false;
        self.length = length.unwrap_or(self.length);
        length.is_some()
    }

    /// Removes all messages, and closes received descriptors that nobody has taken.
    pub fn clear(&mut self) {
        self.length = 0;
        self.truncated = false;
        self.held = Descriptors::default();
    }

    /// The messages.
    pub(super) fn filled(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// Where a receive may write. One that fails leaves it alone; one that succeeds is followed by `replace`.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer
    }

    /// The messages are now those that a receive wrote to `space`.
    pub(super) fn replace(&mut self, received: Received) {
        self.length = received.control;
        self.truncated = received.control_cut;
        self.held = Descriptors(received.held);
    }

    /// A send is not a receive, so nothing was truncated.
    pub(super) fn sending(&mut self) -> &[u8] {
        self.truncated = false;
        self.filled()
    }
}

/// As std's: the whole buffer, how much of it is in use, and whether the last receive was truncated.
impl fmt::Debug for SocketAncillary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketAncillary")
            .field("buffer", &self.buffer)
            .field("length", &self.length)
            .field("truncated", &self.truncated)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unix::{AncillaryData, ScmRights};
    use std::panic::RefUnwindSafe;

    fn rights<'a>(ancillary: &'a SocketAncillary<'_>) -> ScmRights<'a> {
        match ancillary.messages().next() {
            Some(Ok(AncillaryData::ScmRights(rights))) => rights,
            other => panic!("no descriptors first: {other:?}"),
        }
    }

    #[test]
    fn what_is_added_is_read() {
        let mut buffer = [0; 128];
        let mut ancillary = SocketAncillary::new(&mut buffer);
        let mut cred = SocketCred::new();
        assert_eq!((cred.get_pid(), cred.get_uid(), cred.get_gid()), (0, 0, 0));
        cred.set_pid(-2);
        cred.set_uid(3);
        cred.set_gid(u32::MAX);
        assert!(ancillary.add_fds(&[10, 11, 12]));
        assert!(ancillary.add_creds(&[cred.clone(), SocketCred::new()]));
        assert_eq!(ancillary.len(), 72);
        for _ in 0..2 {
            assert_eq!(rights(&ancillary).collect::<Vec<_>>(), [10, 11, 12]);
            let Some(Ok(AncillaryData::ScmCredentials(all))) = ancillary.messages().nth(1) else {
                panic!("no credentials second");
            };
            let all: Vec<_> = all.map(|cred| (cred.get_pid(), cred.get_uid(), cred.get_gid())).collect();
            assert_eq!(all, [(-2, 3, u32::MAX), (0, 0, 0)]);
            assert!(ancillary.messages().nth(2).is_none());
        }
    }

    #[test]
    fn what_has_no_room_is_not_added() {
        let mut buffer = [0; 47];
        let mut ancillary = SocketAncillary::new(&mut buffer);
        assert!(!ancillary.add_fds(&[0; 9]) && ancillary.is_empty());
        assert!(ancillary.add_fds(&[1, 2]));
        assert!(!ancillary.add_fds(&[3]) && !ancillary.add_creds(&[SocketCred::new()]));
        assert_eq!((ancillary.len(), ancillary.capacity()), (24, 47));
        assert_eq!(rights(&ancillary).collect::<Vec<_>>(), [1, 2]);
        ancillary.clear();
        assert!(ancillary.is_empty() && ancillary.messages().next().is_none());
    }

    #[test]
    fn what_shows_descriptors_is_as_std_shows_it() {
        let mut buffer = [0; 2];
        let mut ancillary = SocketAncillary::new(&mut buffer);
        assert_eq!(format!("{ancillary:?}"), "SocketAncillary { buffer: [0, 0], length: 0, truncated: false }");
        ancillary.truncated = true;
        assert!(!ancillary.add_fds(&[1]) && !ancillary.truncated(), "nothing received any more");
    }

    #[test]
    fn the_buffer_is_free_after_the_last_use_as_with_std() {
        let mut buffer = [0; 64];
        let mut ancillary = SocketAncillary::new(&mut buffer);
        assert!(ancillary.add_fds(&[5]));
        assert_eq!(buffer[16], 5);
    }

    #[test]
    fn goes_wherever_std_goes() {
        fn is<T: Send + Sync + Unpin + RefUnwindSafe>() {}
        is::<SocketAncillary<'_>>();
        is::<crate::unix::Messages<'_>>();
        is::<AncillaryData<'_>>();
        is::<SocketCred>();
    }
}
