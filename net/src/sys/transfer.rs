//! One attempt to move data: recv, send, recvmsg and sendmsg, each with MSG_DONTWAIT, so that the description keeps the
//! mode its user chose.

use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Deref;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The most buffers that the kernel takes in one call (UIO_MAXIOV).
const MAX_BUFFERS: usize = libc::UIO_MAXIOV as usize;

/// A count of bytes that the kernel never cuts short for being too large: its MAX_RW_COUNT with pages of 64 KiB.
pub(crate) const CERTAIN_BYTES: usize = 0x7fff_0000;

/// What a send carries besides MSG_DONTWAIT: a peer that is gone is an error, not a signal.
pub(super) const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Takes received bytes; 0 is the end of the stream. See recv(2).
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    recv_with(fd, buf, libc::MSG_DONTWAIT)
}

/// Copies received bytes and leaves them where they are (MSG_PEEK).
pub(crate) fn peek(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    recv_with(fd, buf, libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

fn recv_with(fd: BorrowedFd<'_>, buf: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: invariants 2 and 3 of `sys`.
    let n = unsafe { libc::recv(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), flags) };
    transferred(n)
}

/// Takes received bytes into as many buffers as [`first_mut`] leaves. See recvmsg(2).
pub(crate) fn recv_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    // `IoSliceMut` has the layout of `iovec`, as its documentation promises.
    let mut header = message(bufs.as_mut_ptr().cast(), bufs.len());
    // SAFETY: invariants 2 and 3 of `sys`; each iovec of the header is one of `bufs`, borrowed for writing.
    let n = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
    transferred(n)
}

/// Hands over bytes to be sent. See send(2).
pub(crate) fn send(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    // SAFETY: invariants 2 and 3 of `sys`.
    let n = unsafe { libc::send(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len(), SEND_FLAGS) };
    transferred(n)
}

/// Hands over bytes of as many buffers as [`first`] leaves, but for the first `sent`: what is left of the buffer in which
/// those end, else all others. See sendmsg(2).
pub(crate) fn send_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>], sent: usize) -> io::Result<usize> {
    let (begun, bufs) = rest(bufs, sent);
    if !begun.is_empty() {
        return send(fd, begun);
    }
    // `IoSlice` has the layout of `iovec`; the kernel only reads what a sent header points to.
    let header = message(bufs.as_ptr().cast_mut().cast(), bufs.len());
    // SAFETY: invariants 2 and 3 of `sys`; each iovec of the header is one of `bufs`.
    let n = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, SEND_FLAGS) };
    transferred(n)
}

/// The bytes that one [`send_vectored`] tries to send.
pub(crate) fn tried(bufs: &[IoSlice<'_>], sent: usize) -> usize {
    let (begun, bufs) = rest(bufs, sent);
    if begun.is_empty() { total(bufs) } else { begun.len() }
}

/// What is left after the first `sent` bytes: the rest of the buffer in which they end, and the buffers after it.
fn rest<'a, 'b>(mut bufs: &'a [IoSlice<'b>], mut sent: usize) -> (&'a [u8], &'a [IoSlice<'b>]) {
    while let [first, others @ ..] = bufs {
        if sent == 0 {
            break;
        }
        bufs = others;
        if sent < first.len() {
            return (&first[sent..], bufs);
        }
        sent -= first.len();
    }
    (&[], bufs)
}

/// The buffers that one call can send from; a longer list is cut, as std cuts it.
pub(crate) fn first<'a, 'b>(bufs: &'a [IoSlice<'b>]) -> &'a [IoSlice<'b>] {
    &bufs[..bufs.len().min(MAX_BUFFERS)]
}

/// The buffers that one call can receive into; a longer list is cut, as std cuts it.
pub(crate) fn first_mut<'a, 'b>(bufs: &'a mut [IoSliceMut<'b>]) -> &'a mut [IoSliceMut<'b>] {
    let count = bufs.len().min(MAX_BUFFERS);
    &mut bufs[..count]
}

/// The bytes in all of `bufs`, which may name the same memory more than once.
pub(crate) fn total(bufs: &[impl Deref<Target = [u8]>]) -> usize {
    bufs.iter().fold(0, |sum, buf| sum.saturating_add(buf.len()))
}

/// A message header with neither address nor ancillary data.
pub(super) fn message(buffers: *mut libc::iovec, count: usize) -> libc::msghdr {
    // SAFETY: `msghdr` is integers and pointers, for which zero is a value (absent).
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = buffers;
    header.msg_iovlen = count as _;
    header
}

/// The answer of the kernel: a count of bytes, or -1 and errno.
pub(super) fn transferred(n: isize) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_begins_where_the_sent_bytes_end() {
        let bufs = [&b""[..], b"abc", b"", b"de"].map(IoSlice::new);
        let shown = |sent| {
            let (begun, others) = rest(&bufs, sent);
            (begun.to_vec(), others.iter().flat_map(|buf| buf.to_vec()).collect::<Vec<_>>())
        };
        assert_eq!(shown(0), (vec![], b"abcde".to_vec()));
        assert_eq!(shown(1), (b"bc".to_vec(), b"de".to_vec()));
        assert_eq!(shown(3), (vec![], b"de".to_vec()));
        assert_eq!(shown(4), (b"e".to_vec(), vec![]));
        assert_eq!(shown(5), (vec![], vec![]));
        assert_eq!([0, 1, 3, 4, 5].map(|sent| tried(&bufs, sent)), [5, 2, 2, 1, 0]);
    }
}
