//! One attempt to move datagrams: recvfrom, sendto, recvmmsg and sendmmsg, each with MSG_DONTWAIT, and the sockets that
//! they move through.
//!
//! Invariants, besides those of `sys`:
//! 1. The headers, iovecs and names of a batch stay where they are from being linked to the end of the call.
//! 2. A call is told of as many headers as have been filled.

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::connection::no_internet_address;
use super::transfer::{SEND_FLAGS, transferred};

/// The most datagrams that one call moves, so that its headers take 4 KiB of a coroutine's stack.
pub(crate) const BATCH: usize = 32;

/// A new datagram socket bound to `addr`, blocking and close-on-exec.
pub(crate) fn bound(addr: &SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(*addr), Type::DGRAM, None)?;
    socket.bind(&SockAddr::from(*addr))?;
    Ok(socket.into())
}

/// Notes the peer, which takes no waiting on a datagram socket. See connect(2).
pub(crate) fn connect(fd: BorrowedFd<'_>, addr: &SocketAddr) -> io::Result<()> {
    let addr = SockAddr::from(*addr);
    loop {
        match SockRef::from(&fd).connect(&addr) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Room for the address of either family; both have the family first.
#[repr(C)]
#[derive(Clone, Copy)]
union Name {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Name {
    /// No address yet; every byte is there, whatever the kernel overwrites.
    fn empty() -> Name {
        // SAFETY: both fields are integers, for which zero is a value.
        unsafe { std::mem::zeroed() }
    }

    fn of(addr: &SocketAddr) -> Name {
        let mut name = Name::empty();
        match addr {
            SocketAddr::V4(addr) => {
                let ip = libc::in_addr { s_addr: u32::from_ne_bytes(addr.ip().octets()) };
                let (family, port) = (libc::AF_INET as _, addr.port().to_be());
                name.v4 = libc::sockaddr_in { sin_family: family, sin_port: port, sin_addr: ip, sin_zero: [0; 8] };
            }
            SocketAddr::V6(addr) => {
                name.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as _,
                    sin6_port: addr.port().to_be(),
                    sin6_flowinfo: addr.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: addr.ip().octets() },
                    sin6_scope_id: addr.scope_id(),
                };
            }
        }
        name
    }

    /// How many bytes of the name say something.
    fn length_for(addr: &SocketAddr) -> libc::socklen_t {
        match addr {
            SocketAddr::V4(_) => size_of::<libc::sockaddr_in>() as _,
            SocketAddr::V6(_) => size_of::<libc::sockaddr_in6>() as _,
        }
    }

    /// The address, of which the kernel wrote `length` bytes; `None` for another family, or for none.
    fn address(&self, length: libc::socklen_t) -> Option<SocketAddr> {
        let holds = |size: usize| length as usize >= size;
        // SAFETY: all bytes are initialized since `empty`, and any are a `sockaddr_in`.
        let v4 = unsafe { self.v4 };
        match i32::from(v4.sin_family) {
            libc::AF_INET if holds(size_of::<libc::sockaddr_in>()) => {
                let ip = v4.sin_addr.s_addr.to_ne_bytes().into();
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 if holds(size_of::<libc::sockaddr_in6>()) => {
                // SAFETY: all bytes are initialized since `empty`, and any are a `sockaddr_in6`.
                let v6 = unsafe { self.v6 };
                let (ip, port) = (v6.sin6_addr.s6_addr.into(), u16::from_be(v6.sin6_port));
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// Takes one datagram and says from whom; what does not fit into `buf` is lost. See recvfrom(2).
pub(crate) fn recv_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    recv_from_with(fd, buf, libc::MSG_DONTWAIT)
}

/// Copies one datagram and leaves it where it is (MSG_PEEK).
pub(crate) fn peek_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    recv_from_with(fd, buf, libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

fn recv_from_with(fd: BorrowedFd<'_>, buf: &mut [u8], flags: libc::c_int) -> io::Result<(usize, SocketAddr)> {
    let mut name = Name::empty();
    let mut length = size_of::<Name>() as libc::socklen_t;
    let (to, room, from) = (buf.as_mut_ptr().cast(), buf.len(), (&raw mut name).cast());
    // SAFETY: invariants 2 and 3 of `sys`; `length` says how long the name is.
    let n = transferred(unsafe { libc::recvfrom(fd.as_raw_fd(), to, room, flags, from, &raw mut length) })?;
    let source = name.address(length).ok_or_else(no_internet_address)?;
    Ok((n, source))
}

/// Hands over one datagram for `addr`. See sendto(2).
pub(crate) fn send_to(fd: BorrowedFd<'_>, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
    let (name, length) = (Name::of(addr), Name::length_for(addr));
    let (from, to) = (buf.as_ptr().cast(), (&raw const name).cast());
    // SAFETY: invariants 2 and 3 of `sys`; `length` is at most that of the name.
    transferred(unsafe { libc::sendto(fd.as_raw_fd(), from, buf.len(), SEND_FLAGS, to, length) })
}

/// What is said of a datagram that came in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    /// How many bytes are in the buffer.
    pub(crate) length: usize,
    /// From whom; `None` if that is no internet address.
    pub(crate) source: Option<SocketAddr>,
    /// Whether it was longer than the buffer.
    pub(crate) truncated: bool,
}

/// A header of which only buffers are known.
fn header(buffers: *mut libc::iovec, name: *mut Name, name_length: libc::socklen_t) -> libc::mmsghdr {
    // SAFETY: `mmsghdr` is integers and pointers, for which zero is a value (absent).
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_iov = buffers;
    header.msg_hdr.msg_iovlen = 1;
    header.msg_hdr.msg_name = name.cast();
    header.msg_hdr.msg_namelen = name_length;
    header
}

/// Memory for the kernel, which is told how much of it has been written.
type Unwritten<T> = [MaybeUninit<T>; BATCH];

const fn unwritten<T>() -> Unwritten<T> {
    [const { MaybeUninit::uninit() }; BATCH]
}

/// Takes the datagrams that are there, one into each buffer, and says of each what is to be said; how many there were.
/// Looks at the first [`BATCH`] buffers. An error that comes behind a datagram stays with the socket. See recvmmsg(2).
///
/// Not inlined, so that who waits between attempts has none of this on its stack.
#[inline(never)]
pub(crate) fn recv_many<'a>(
    fd: BorrowedFd<'_>,
    buffers: impl Iterator<Item = (&'a mut [u8], &'a mut Received)>,
) -> io::Result<usize> {
    let (mut headers, mut vectors) = (unwritten::<libc::mmsghdr>(), unwritten());
    let (mut names, mut answers) = ([Name::empty(); BATCH], [const { None }; BATCH]);
    let mut count = 0;
    for (buffer, answer) in buffers.take(BATCH) {
        let vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let (vector, name) = (vectors[count].write(vector), &raw mut names[count]);
        headers[count].write(header(vector, name, size_of::<Name>() as _));
        answers[count] = Some(answer);
        count += 1;
    }
    let (first, flags) = (headers.as_mut_ptr().cast::<libc::mmsghdr>(), libc::MSG_DONTWAIT);
    // SAFETY: invariants 1 and 2; each iovec is a buffer that is borrowed for writing until the end of this function.
    let n = unsafe { libc::recvmmsg(fd.as_raw_fd(), first, count as _, flags as _, ptr::null_mut()) };
    let moved = transferred(n as isize)?;
    for ((header, name), answer) in headers.iter().zip(&names).zip(answers.into_iter().flatten()).take(moved) {
        // SAFETY: written above, as was its answer, which ends the zip otherwise.
        let header = unsafe { header.assume_init_ref() };
        *answer = Received {
            length: header.msg_len as usize,
            source: name.address(header.msg_hdr.msg_namelen),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        };
    }
    Ok(moved)
}

/// Hands over datagrams, each for its address or for the peer; how many went. Looks at the first [`BATCH`]. The error of
/// one that did not go is lost if another went before. See sendmmsg(2).
///
/// Not inlined, as [`recv_many`] is not.
#[inline(never)]
pub(crate) fn send_many<'a>(
    fd: BorrowedFd<'_>,
    datagrams: impl Iterator<Item = (&'a [u8], Option<&'a SocketAddr>)>,
) -> io::Result<usize> {
    let (mut headers, mut vectors, mut names) = (unwritten::<libc::mmsghdr>(), unwritten(), unwritten());
    let mut count = 0;
    for (payload, target) in datagrams.take(BATCH) {
        let vector = libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
        let vector = vectors[count].write(vector);
        headers[count].write(match target {
            Some(addr) => header(vector, names[count].write(Name::of(addr)), Name::length_for(addr)),
            None => header(vector, ptr::null_mut(), 0),
        });
        count += 1;
    }
    let first = headers.as_mut_ptr().cast::<libc::mmsghdr>();
    // SAFETY: invariants 1 and 2; each iovec is a payload, which the kernel only reads.
    let n = unsafe { libc::sendmmsg(fd.as_raw_fd(), first, count as _, SEND_FLAGS as _) };
    transferred(n as isize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_through_the_kernels_form() {
        for text in ["127.0.0.1:7", "255.254.253.252:65535", "[::1]:7", "[fe80::1:2%3]:8", "[ff02::fb%4294967295]:1"] {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(Name::of(&addr).address(Name::length_for(&addr)), Some(addr));
        }
        let with_flow = SocketAddr::from(SocketAddrV6::new([1; 16].into(), 2, 0x1234_5678, 3));
        assert_eq!(Name::of(&with_flow).address(Name::length_for(&with_flow)), Some(with_flow));
    }

    #[test]
    fn what_is_no_internet_address_is_none() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 7));
        assert_eq!(Name::empty().address(0), None);
        assert_eq!(Name::of(&addr).address(2), None, "cut off behind the family");
        let mut unix = Name::of(&addr);
        unix.v4.sin_family = libc::AF_UNIX as _;
        assert_eq!(unix.address(size_of::<Name>() as _), None);
    }

    #[test]
    fn a_batch_takes_one_page_of_stack() {
        let per_datagram = size_of::<libc::mmsghdr>() + size_of::<libc::iovec>() + size_of::<Name>() + size_of::<&()>();
        assert!(per_datagram * BATCH <= 4096);
    }
}
