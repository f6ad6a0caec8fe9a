//! One attempt to move data with ancillary data: recvmsg and sendmsg, each with MSG_DONTWAIT, so that the description
//! keeps the mode its user chose. See unix(7) and cmsg(3).
//!
//! Owns received descriptors from the moment the kernel installs them until somebody takes them.
//!
//! Invariant 1: a descriptor that a receive installed is in exactly one [`Held`], or somebody took it.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::sys::control::{self, Content};
use crate::sys::transfer::{message, transferred};
use crate::sys::unix_name::Name;

/// No descriptor.
const TAKEN: RawFd = -1;

/// Received descriptors are close-on-exec before anyone can see them.
const RECV_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;

/// A peer that is gone is an error, not a signal.
const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// A received descriptor that is closed with this value unless somebody took it. That close may block: those above take
/// it first.
#[derive(Debug)]
pub(crate) struct Held(AtomicI32);

impl Held {
    /// Says that the descriptor now belongs to somebody else, again and again if need be.
    pub(crate) fn let_go(&self) {
        // ORDERING: Relaxed: nothing is published by it, and its one reader is `drop`, which has the value to itself
        // and so comes after whatever handed it over.
        self.0.store(TAKEN, Ordering::Relaxed);
    }

    /// The descriptor, unless somebody took it before.
    pub(crate) fn take(&mut self) -> Option<OwnedFd> {
        let fd = std::mem::replace(self.0.get_mut(), TAKEN);
        // SAFETY: invariant 1: nobody took it, so it is open and ours.
        (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// What a receive brought besides the bytes; by default nothing, as after a shutdown.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// How many bytes of data.
    pub(crate) bytes: usize,
    /// How many bytes of control messages.
    pub(crate) control: usize,
    /// Some ancillary data did not fit, and are gone (MSG_CTRUNC).
    pub(crate) control_cut: bool,
    /// Some data did not fit, and are gone (MSG_TRUNC); never on a stream.
    pub(crate) data_cut: bool,
    /// The descriptors, in the order in which they are in the control messages.
    pub(crate) held: Box<[Held]>,
}

/// Takes data, and into `control` the ancillary data that came with them. See recvmsg(2).
pub(crate) fn recv(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>], control: &mut [u8]) -> io::Result<Received> {
    // `IoSliceMut` has the layout of `iovec`, as its documentation promises.
    receive(fd, &mut message(bufs.as_mut_ptr().cast(), bufs.len()), control)
}

/// As [`recv`], and from whom: an error if that is not a Unix socket.
pub(crate) fn recv_from(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    control: &mut [u8],
) -> io::Result<(Received, io::Result<SocketAddr>)> {
    let mut name = Name::room();
    let room = name.length();
    let mut header = message(bufs.as_mut_ptr().cast(), bufs.len());
    header.msg_name = name.for_writing().0.cast();
    header.msg_namelen = room;
    let received = receive(fd, &mut header, control)?;
    name.set_length(header.msg_namelen);
    Ok((received, name.to_std()))
}

/// Receives into what `header` names, whose pointers the caller borrows for writing, and into `control`.
fn receive(fd: BorrowedFd<'_>, header: &mut libc::msghdr, control: &mut [u8]) -> io::Result<Received> {
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = control.len() as _;
    // SAFETY: invariants 2 and 3 of `sys`.
    let n = unsafe { libc::recvmsg(fd.as_raw_fd(), header, RECV_FLAGS) };
    let bytes = transferred(n)?;
    let length = control.len().min(header.msg_controllen as _);
    Ok(Received {
        bytes,
        control: length,
        control_cut: header.msg_flags & libc::MSG_CTRUNC != 0,
        data_cut: header.msg_flags & libc::MSG_TRUNC != 0,
        held: hold(&control[..length]),
    })
}

/// Takes charge of the descriptors in what the kernel has just written.
fn hold(mut control: &[u8]) -> Box<[Held]> {
    let contents = std::iter::from_fn(|| control::next(&mut control));
    let rights = contents.filter_map(|content| match content {
        Content::Rights(data) => Some(data),
        Content::Credentials(_) | Content::Other { .. } => None,
    });
    rights.flat_map(control::fds).map(|fd| Held(AtomicI32::new(fd))).collect()
}

/// Hands over data, and the messages in `control`, to the peer. See sendmsg(2).
pub(crate) fn send(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>], control: &[u8]) -> io::Result<usize> {
    // `IoSlice` has the layout of `iovec`; the kernel only reads what a sent header points to.
    transmit(fd, message(bufs.as_ptr().cast_mut().cast(), bufs.len()), control)
}

/// As [`send`], to the socket that is bound to `addr`.
pub(crate) fn send_to(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    control: &[u8],
    addr: &SocketAddr,
) -> io::Result<usize> {
    let name = Name::of(addr);
    let mut header = message(bufs.as_ptr().cast_mut().cast(), bufs.len());
    header.msg_name = name.as_ptr().cast_mut().cast();
    header.msg_namelen = name.length();
    transmit(fd, header, control)
}

/// Sends what `header` names, whose pointers the caller borrows, and `control`.
fn transmit(fd: BorrowedFd<'_>, mut header: libc::msghdr, control: &[u8]) -> io::Result<usize> {
    header.msg_control = control.as_ptr().cast_mut().cast();
    header.msg_controllen = control.len() as _;
    // SAFETY: invariants 2 and 3 of `sys`.
    transferred(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, SEND_FLAGS) })
}
