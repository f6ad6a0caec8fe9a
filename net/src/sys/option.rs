//! Socket options: getsockopt and setsockopt.

use std::io;
use std::os::fd::BorrowedFd;
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
