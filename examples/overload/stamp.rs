//! When the kernel received what is read: the software receive time of socket(7)'s SO_TIMESTAMPNS.
//!
//! On a loopback connection that is when the peer's send call handed the segment to the network stack, on the peer's core: what
//! follows, until this process gets to read it, is its own delay and not the peer's.
#![allow(unsafe_code)]

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Room for one control message with a timespec.
const CONTROL: usize = 64;

/// The control messages of one call, aligned as their header is.
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// The clock of the stamps.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// From now on each read may tell.
pub(crate) fn enable(stream: &TcpStream) -> io::Result<()> {
    let (on, length): (libc::c_int, _) = (1, size_of::<libc::c_int>() as libc::socklen_t);
    let option = libc::SO_TIMESTAMPNS;
    // SAFETY: `on` is an integer of `length` bytes, only read.
    let set = unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const on).cast(), length) };
    if set == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Reads, and tells when the last byte of it was received, if the kernel does.
pub(crate) fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Option<Duration>)> {
    let mut control = Control([0; CONTROL]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: a msghdr is made of integers and pointers, for which all zeroes is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
    (header.msg_control, header.msg_controllen) = (control.0.as_mut_ptr().cast(), CONTROL);
    // SAFETY: `header` names the buffer and the control buffer with their lengths; all outlive the call.
    let read = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut header, 0) };
    if read == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok((read as usize, stamp(&header)))
}

fn stamp(header: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the kernel has filled in `header`, whose control buffer is alive and aligned.
    let first = unsafe { libc::CMSG_FIRSTHDR(header).as_ref() }?;
    if (first.cmsg_level, first.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
        return None;
    }
    // SAFETY: a message of this type holds a timespec, which the kernel need not have aligned.
    let time: libc::timespec = unsafe { libc::CMSG_DATA(first).cast::<libc::timespec>().read_unaligned() };
    Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}
