//! Moving bytes with ancillary data through a [`UnixStream`] or a [`UnixDatagram`].
//!
//! A receive that brings descriptors or credentials may be short with more behind it, so no count says anything of
//! readiness here.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use dormouse_runtime::wait::Interest;

use super::{SocketAncillary, UnixDatagram, UnixStream};
use crate::sys;
use crate::sys::ancillary::Received;
use crate::sys::{transfer, unix};

impl UnixStream {
    /// Receives data, and the ancillary data that came with them; gives the count of bytes of data. Unstable in std
    /// (`unix_socket_ancillary_data`).
    ///
    /// What `ancillary` held before is replaced if the call succeeds, and kept if not. A call delivers the descriptors
    /// of one send at the most, and ends within the data that they were sent with, though there may be more behind; it
    /// may begin with data that were sent before them. Without room for a single byte it waits for data all the same,
    /// takes the descriptors that are with the first of them, and leaves the data. Any other way to read loses
    /// descriptors.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the read timeout passes or the stream is in non-blocking mode and
    /// there is nothing to read; EMSGSIZE for more than 1,024 buffers; whatever recvmsg(2) reports. That descriptors
    /// were lost for want of room is no error: see [`SocketAncillary::truncated`].
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is data or the stream has ended.
    pub fn recv_vectored_with_ancillary(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let attempt = |fd: BorrowedFd<'_>| sys::ancillary::recv(fd, bufs, ancillary.space());
        let received = self.socket().retry(Interest::Read, attempt)?;
        let (bytes, _) = accept(received, ancillary);
        self.socket().note_moved(Interest::Read, bytes);
        Ok(bytes)
    }

    /// Sends data with ancillary data; gives the count of bytes of data that were sent. Unstable in std
    /// (`unix_socket_ancillary_data`).
    ///
    /// Ancillary data go with the first byte. If the call succeeds with fewer bytes than asked for, they have gone, and
    /// the rest is to be sent without them. Without a single byte of data nothing is sent, and the answer is `Ok(0)`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the write timeout passes or the stream is in non-blocking mode
    /// and there is no room; EBADF for a descriptor that is not open; EINVAL for more than 253; EMSGSIZE for more than
    /// 1,024 buffers; EPERM for credentials that are not the caller's; [`BrokenPipe`](io::ErrorKind::BrokenPipe) when
    /// the peer is gone, without a SIGPIPE; whatever else sendmsg(2) reports.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is room for some of the data.
    pub fn send_vectored_with_ancillary(
        &self,
        bufs: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let control = ancillary.sending();
        if transfer::total(bufs) == 0 {
            return self.socket().retry_without_room(|fd| sys::ancillary::send(fd, bufs, control));
        }
        let sent = self.socket().retry(Interest::Write, |fd| sys::ancillary::send(fd, bufs, control))?;
        self.socket().note_moved(Interest::Write, sent);
        Ok(sent)
    }
}

impl UnixDatagram {
    /// Receives a datagram, and the ancillary data that came with it, as [`recv_vectored_with_ancillary`] does; gives
    /// the sender's address, too.
    ///
    /// [`recv_vectored_with_ancillary`]: UnixDatagram::recv_vectored_with_ancillary
    ///
    /// # Errors
    ///
    /// As for [`recv_vectored_with_ancillary`]; [`InvalidInput`](io::ErrorKind::InvalidInput) if this is not a Unix
    /// socket.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is a datagram or receiving is shut down, which
    /// gives 0 bytes and no ancillary data.
    pub fn recv_vectored_with_ancillary_from(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<(usize, bool, SocketAddr)> {
        let attempt = |fd: BorrowedFd<'_>| sys::ancillary::recv_from(fd, bufs, ancillary.space());
        let nothing = || Ok((Received::default(), unix::nobody().map(|(_, addr)| addr)));
        let (received, addr) = self.receive(attempt, nothing)?;
        let (bytes, truncated) = accept(received, ancillary);
        Ok((bytes, truncated, addr?))
    }

    /// Receives a datagram, and the ancillary data that came with it; gives the count of bytes, and whether there were
    /// more than there was room for. Unstable in std (`unix_socket_ancillary_data`).
    ///
    /// What `ancillary` held before is replaced if the call succeeds, and kept if not. Any other way to receive loses
    /// ancillary data.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the read timeout passes or the socket is in non-blocking mode and
    /// there is no datagram; EMSGSIZE for more than 1,024 buffers; whatever recvmsg(2) reports. That descriptors were
    /// lost for want of room is no error: see [`SocketAncillary::truncated`].
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is a datagram or receiving is shut down, which
    /// gives 0 bytes and no ancillary data.
    pub fn recv_vectored_with_ancillary(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<(usize, bool)> {
        let attempt = |fd: BorrowedFd<'_>| sys::ancillary::recv(fd, bufs, ancillary.space());
        let received = self.receive(attempt, || Ok(Received::default()))?;
        Ok(accept(received, ancillary))
    }

    /// Sends a datagram with ancillary data to the socket that is bound to `path`, as
    /// [`send_vectored_with_ancillary`](UnixDatagram::send_vectored_with_ancillary) does to the peer.
    ///
    /// # Errors
    ///
    /// As there; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that is too long or has a zero byte.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is room for the datagram.
    pub fn send_vectored_with_ancillary_to<P: AsRef<Path>>(
        &self,
        bufs: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
        path: P,
    ) -> io::Result<usize> {
        let addr = SocketAddr::from_pathname(path)?;
        let control = ancillary.sending();
        // A full peer that is not the connected one: its room raises no event here.
        self.socket().retry_after_pauses(Interest::Write, |fd| sys::ancillary::send_to(fd, bufs, control, &addr))
    }

    /// Sends a datagram with ancillary data to the peer; gives the count of bytes. Unstable in std
    /// (`unix_socket_ancillary_data`).
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the write timeout passes or the socket is in non-blocking mode
    /// and there is no room; EBADF for a descriptor that is not open; EINVAL for more than 253; EMSGSIZE for more than
    /// 1,024 buffers, or more bytes than a datagram may have; EPERM for credentials that are not the caller's; whatever
    /// else sendmsg(2) reports.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is room for the datagram.
    pub fn send_vectored_with_ancillary(
        &self,
        bufs: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let control = ancillary.sending();
        self.socket().retry(Interest::Write, |fd| sys::ancillary::send(fd, bufs, control))
    }
}

/// Keeps what was received; gives the count of bytes, and whether there were more.
fn accept(received: Received, ancillary: &mut SocketAncillary<'_>) -> (usize, bool) {
    let answer = (received.bytes, received.data_cut);
    ancillary.replace(received);
    answer
}
