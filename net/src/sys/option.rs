//! Socket options: getsockopt and setsockopt.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use socket2::SockRef;

/// The shortest timeout the kernel knows; a shorter one must not become "none", which is zero.
const SHORTEST_TIMEOUT: Duration = Duration::from_micros(1);

/// SO_RCVTIMEO, `None` for no timeout.
pub(crate) fn read_timeout(fd: BorrowedFd<'_>) -> io::Result<Option<Duration>> {
    SockRef::from(&fd).read_timeout()
}

/// Sets SO_RCVTIMEO; `timeout` is not zero.
pub(crate) fn set_read_timeout(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<()> {
    SockRef::from(&fd).set_read_timeout(timeout.map(|t| t.max(SHORTEST_TIMEOUT)))
}

/// SO_SNDTIMEO, `None` for no timeout.
pub(crate) fn write_timeout(fd: BorrowedFd<'_>) -> io::Result<Option<Duration>> {
    SockRef::from(&fd).write_timeout()
}

/// Sets SO_SNDTIMEO; `timeout` is not zero.
pub(crate) fn set_write_timeout(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<()> {
    SockRef::from(&fd).set_write_timeout(timeout.map(|t| t.max(SHORTEST_TIMEOUT)))
}

/// SO_LINGER, in whole seconds.
pub(crate) fn linger(fd: BorrowedFd<'_>) -> io::Result<Option<Duration>> {
    SockRef::from(&fd).linger()
}

/// Sets SO_LINGER; fractions of a second are cut off.
pub(crate) fn set_linger(fd: BorrowedFd<'_>, linger: Option<Duration>) -> io::Result<()> {
    SockRef::from(&fd).set_linger(linger)
}

/// TCP_NODELAY.
pub(crate) fn nodelay(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).tcp_nodelay()
}

/// Sets TCP_NODELAY.
pub(crate) fn set_nodelay(fd: BorrowedFd<'_>, nodelay: bool) -> io::Result<()> {
    SockRef::from(&fd).set_tcp_nodelay(nodelay)
}

/// IP_TTL.
pub(crate) fn ttl(fd: BorrowedFd<'_>) -> io::Result<u32> {
    SockRef::from(&fd).ttl_v4()
}

/// Sets IP_TTL.
pub(crate) fn set_ttl(fd: BorrowedFd<'_>, ttl: u32) -> io::Result<()> {
    SockRef::from(&fd).set_ttl_v4(ttl)
}

/// IPV6_V6ONLY.
pub(crate) fn only_v6(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).only_v6()
}

/// Sets IPV6_V6ONLY.
pub(crate) fn set_only_v6(fd: BorrowedFd<'_>, only_v6: bool) -> io::Result<()> {
    SockRef::from(&fd).set_only_v6(only_v6)
}

/// SO_ERROR, which reading clears.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    SockRef::from(&fd).take_error()
}

/// Sets SO_REUSEADDR.
pub(crate) fn set_reuse_address(fd: BorrowedFd<'_>, reuse: bool) -> io::Result<()> {
    SockRef::from(&fd).set_reuse_address(reuse)
}

/// Sets SO_REUSEPORT.
pub(crate) fn set_reuse_port(fd: BorrowedFd<'_>, reuse: bool) -> io::Result<()> {
    SockRef::from(&fd).set_reuse_port(reuse)
}

/// Sets SO_RCVBUF, in bytes, which the kernel doubles.
pub(crate) fn set_recv_buffer_size(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    SockRef::from(&fd).set_recv_buffer_size(bytes.min(i32::MAX as usize))
}

/// Sets SO_SNDBUF, in bytes, which the kernel doubles.
pub(crate) fn set_send_buffer_size(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    SockRef::from(&fd).set_send_buffer_size(bytes.min(i32::MAX as usize))
}

/// Sets IP_BIND_ADDRESS_NO_PORT: a bind to port 0 leaves the port to connect(2). For IPv6 sockets, too.
pub(crate) fn set_bind_address_no_port(fd: BorrowedFd<'_>, no_port: bool) -> io::Result<()> {
    set_int(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, no_port.into())
}

/// TCP_QUICKACK.
pub(crate) fn quickack(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).tcp_quickack()
}

/// Sets TCP_QUICKACK.
pub(crate) fn set_quickack(fd: BorrowedFd<'_>, quickack: bool) -> io::Result<()> {
    SockRef::from(&fd).set_tcp_quickack(quickack)
}

/// TCP_CORK.
pub(crate) fn cork(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).tcp_cork()
}

/// Sets TCP_CORK.
pub(crate) fn set_cork(fd: BorrowedFd<'_>, cork: bool) -> io::Result<()> {
    SockRef::from(&fd).set_tcp_cork(cork)
}

/// TCP_DEFER_ACCEPT, in whole seconds.
pub(crate) fn defer_accept(fd: BorrowedFd<'_>) -> io::Result<Duration> {
    let seconds = int(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT)?;
    Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Sets TCP_DEFER_ACCEPT; fractions of a second are cut off.
pub(crate) fn set_defer_accept(fd: BorrowedFd<'_>, accept: Duration) -> io::Result<()> {
    let seconds = libc::c_int::try_from(accept.as_secs()).unwrap_or(libc::c_int::MAX);
    set_int(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)
}

/// An option that is an int. See getsockopt(2).
fn int(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: invariants 2 and 3 of `sys`; `length` is that of `value`.
    match unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(value),
    }
}

/// Sets an option that is an int. See setsockopt(2).
fn set_int(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: invariants 2 and 3 of `sys`; `length` is that of `value`.
    match unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), length) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
