//! What the `unix_ancillary*` tests share: both kinds of sockets that carry ancillary data, descriptors to be sent, and
//! who holds them.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

#[path = "../net_support/mod.rs"]
mod net_support;

pub(crate) use net_support::*;

use dormouse::os::unix::net::{AncillaryData, SocketAncillary, UnixDatagram, UnixStream};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A socket that carries ancillary data: a stream or a datagram socket.
pub(crate) trait Carrier: Send + Sync {
    fn send_all(&self, bufs: &[IoSlice<'_>], ancillary: &mut SocketAncillary<'_>) -> io::Result<usize>;
    fn recv_all(&self, bufs: &mut [IoSliceMut<'_>], ancillary: &mut SocketAncillary<'_>) -> io::Result<usize>;
    fn set_mode(&self, nonblocking: bool);
    fn raw(&self) -> RawFd;

    /// Sends `data` with `fds` in one message.
    fn send_fds(&self, data: &[u8], fds: &[RawFd]) -> io::Result<usize> {
        let mut room = room_for(fds.len());
        let mut ancillary = SocketAncillary::new(&mut room);
        assert!(ancillary.add_fds(fds));
        self.send_all(&[IoSlice::new(data)], &mut ancillary)
    }

    /// Receives up to 64 bytes with what comes with them.
    fn receive(&self, ancillary: &mut SocketAncillary<'_>) -> io::Result<Vec<u8>> {
        let mut data = [0; 64];
        let n = self.recv_all(&mut [IoSliceMut::new(&mut data)], ancillary)?;
        Ok(data[..n].to_vec())
    }

    /// As `receive`, with room for `count` descriptors, all of which it takes.
    fn receive_fds(&self, count: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let mut room = room_for(count);
        let mut ancillary = SocketAncillary::new(&mut room);
        let data = self.receive(&mut ancillary)?;
        Ok((data, take(&ancillary)))
    }
}

impl Carrier for UnixStream {
    fn send_all(&self, bufs: &[IoSlice<'_>], ancillary: &mut SocketAncillary<'_>) -> io::Result<usize> {
        self.send_vectored_with_ancillary(bufs, ancillary)
    }

    fn recv_all(&self, bufs: &mut [IoSliceMut<'_>], ancillary: &mut SocketAncillary<'_>) -> io::Result<usize> {
        self.recv_vectored_with_ancillary(bufs, ancillary)
    }

    fn set_mode(&self, nonblocking: bool) {
        self.set_nonblocking(nonblocking).unwrap();
    }

    fn raw(&self) -> RawFd {
        self.as_raw_fd()
    }
}

impl Carrier for UnixDatagram {
    fn send_all(&self, bufs: &[IoSlice<'_>], ancillary: &mut SocketAncillary<'_>) -> io::Result<usize> {
        self.send_vectored_with_ancillary(bufs, ancillary)
    }

    fn recv_all(&self, bufs: &mut [IoSliceMut<'_>], ancillary: &mut SocketAncillary<'_>) -> io::Result<usize> {
        let (n, truncated) = self.recv_vectored_with_ancillary(bufs, ancillary)?;
        assert!(!truncated);
        Ok(n)
    }

    fn set_mode(&self, nonblocking: bool) {
        self.set_nonblocking(nonblocking).unwrap();
    }

    fn raw(&self) -> RawFd {
        self.as_raw_fd()
    }
}

pub(crate) type Pair = (Box<dyn Carrier>, Box<dyn Carrier>);

/// A pair of streams and a pair of datagram sockets.
pub(crate) fn carriers() -> [Pair; 2] {
    let stream = UnixStream::pair().unwrap();
    let datagram = UnixDatagram::pair().unwrap();
    [(Box::new(stream.0), Box::new(stream.1)), (Box::new(datagram.0), Box::new(datagram.1))]
}

/// A buffer for just a message with `count` descriptors.
pub(crate) fn room_for(count: usize) -> Vec<u8> {
    // SAFETY: computes.
    vec![0; unsafe { libc::CMSG_SPACE(4 * count as u32) } as usize]
}

/// Takes all descriptors.
pub(crate) fn take(ancillary: &SocketAncillary<'_>) -> Vec<OwnedFd> {
    let rights = ancillary.messages().filter_map(|message| match message {
        Ok(AncillaryData::ScmRights(rights)) => Some(rights),
        _ => None,
    });
    // SAFETY: they were received, and have just been handed over.
    rights.flatten().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

/// Something of its own to be sent, and to be told from all else.
pub(crate) fn gift() -> OwnedFd {
    std::os::unix::net::UnixDatagram::unbound().unwrap().into()
}

/// What a descriptor is open for.
pub(crate) fn identity(fd: RawFd) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap()
}

/// How many descriptors of this process are open for what `fd` is open for.
pub(crate) fn holders(fd: &impl AsFd) -> usize {
    let wanted = identity(fd.as_fd().as_raw_fd());
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    all.filter(|entry| std::fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|link| link == wanted)).count()
}
