//! Socket options for reaching more than one receiver at once: broadcast and multicast.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use socket2::SockRef;

/// SO_BROADCAST.
pub(crate) fn broadcast(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).broadcast()
}

/// Sets SO_BROADCAST.
pub(crate) fn set_broadcast(fd: BorrowedFd<'_>, broadcast: bool) -> io::Result<()> {
    SockRef::from(&fd).set_broadcast(broadcast)
}

/// IP_MULTICAST_LOOP.
pub(crate) fn loop_v4(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).multicast_loop_v4()
}

/// Sets IP_MULTICAST_LOOP.
pub(crate) fn set_loop_v4(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    SockRef::from(&fd).set_multicast_loop_v4(on)
}

/// IPV6_MULTICAST_LOOP.
pub(crate) fn loop_v6(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).multicast_loop_v6()
}

/// Sets IPV6_MULTICAST_LOOP.
pub(crate) fn set_loop_v6(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    SockRef::from(&fd).set_multicast_loop_v6(on)
}

/// IP_MULTICAST_TTL.
pub(crate) fn ttl_v4(fd: BorrowedFd<'_>) -> io::Result<u32> {
    SockRef::from(&fd).multicast_ttl_v4()
}

/// Sets IP_MULTICAST_TTL.
pub(crate) fn set_ttl_v4(fd: BorrowedFd<'_>, ttl: u32) -> io::Result<()> {
    SockRef::from(&fd).set_multicast_ttl_v4(ttl)
}

/// IP_ADD_MEMBERSHIP; an unspecified `interface` leaves the choice to the routes.
pub(crate) fn join_v4(fd: BorrowedFd<'_>, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
    SockRef::from(&fd).join_multicast_v4(group, interface)
}

/// IP_DROP_MEMBERSHIP.
pub(crate) fn leave_v4(fd: BorrowedFd<'_>, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
    SockRef::from(&fd).leave_multicast_v4(group, interface)
}

/// IPV6_ADD_MEMBERSHIP; the interface of index 0 leaves the choice to the routes.
pub(crate) fn join_v6(fd: BorrowedFd<'_>, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
    SockRef::from(&fd).join_multicast_v6(group, interface)
}

/// IPV6_DROP_MEMBERSHIP.
pub(crate) fn leave_v6(fd: BorrowedFd<'_>, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
    SockRef::from(&fd).leave_multicast_v6(group, interface)
}
