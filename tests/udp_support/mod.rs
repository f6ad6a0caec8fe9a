//! What the `udp_*` tests share: sockets, addresses where nobody is, and a Unix pair that looks like UDP.
#![allow(dead_code, reason = "each test file uses its own part")]

use dormouse::net::{SocketAddr, UdpSocket};
use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// A socket at some port of the loopback interface.
pub(crate) fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Two sockets that are each other's peers.
pub(crate) fn connected() -> (UdpSocket, UdpSocket) {
    let ((a, at_a), (b, at_b)) = (bound(), bound());
    a.connect(at_b).unwrap();
    b.connect(at_a).unwrap();
    (a, b)
}

/// A socket of ours whose peer is std's, which blocks the thread: for what is done at once.
pub(crate) fn with_std_peer() -> (UdpSocket, std::net::UdpSocket) {
    let (ours, theirs) = connected();
    (ours, theirs.into())
}

/// An address of this process's own in 127/8 to which none of the tests binds.
pub(crate) fn nowhere() -> SocketAddr {
    let pid = std::process::id();
    ([127, 1 + (pid >> 16) as u8 % 250, (pid >> 8) as u8, 1 + (pid % 250) as u8], 9).into()
}

/// A connected socket whose send buffer fills up, which UDP's hardly does on the loopback interface: a pair of Unix
/// datagram sockets holds a few datagrams until the other end takes them.
pub(crate) fn narrow_pair() -> (UdpSocket, UnixDatagram) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    (UdpSocket::from(OwnedFd::from(ours)), theirs)
}

#[track_caller]
pub(crate) fn would_block<T: Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Processor time of the calling thread.
pub(crate) fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
