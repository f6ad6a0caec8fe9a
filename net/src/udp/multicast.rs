//! The options of a [`UdpSocket`] that reaches more than one receiver at once.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::UdpSocket;
use crate::sys::multicast;

impl UdpSocket {
    /// Sets SO_BROADCAST, without which sending to a broadcast address is refused.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        multicast::set_broadcast(self.socket().fd(), broadcast)
    }

    /// Returns SO_BROADCAST.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn broadcast(&self) -> io::Result<bool> {
        multicast::broadcast(self.socket().fd())
    }

    /// Sets IP_MULTICAST_LOOP: whether members on this host receive what this socket sends. On at first.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        multicast::set_loop_v4(self.socket().fd(), multicast_loop_v4)
    }

    /// Returns IP_MULTICAST_LOOP.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        multicast::loop_v4(self.socket().fd())
    }

    /// Sets IP_MULTICAST_TTL: how many hops what is sent to a group may go. 1, the local network, at first.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports, such as [`InvalidInput`](io::ErrorKind::InvalidInput) for more than 255.
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        multicast::set_ttl_v4(self.socket().fd(), multicast_ttl_v4)
    }

    /// Returns IP_MULTICAST_TTL.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        multicast::ttl_v4(self.socket().fd())
    }

    /// Sets IPV6_MULTICAST_LOOP, as [`set_multicast_loop_v4`](UdpSocket::set_multicast_loop_v4) for IPv6.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        multicast::set_loop_v6(self.socket().fd(), multicast_loop_v6)
    }

    /// Returns IPV6_MULTICAST_LOOP.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        multicast::loop_v6(self.socket().fd())
    }

    /// Joins the group `multiaddr` on the interface that has the address `interface`; the routes choose one if that is
    /// unspecified.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports for IP_ADD_MEMBERSHIP; see ip(7).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use dormouse_net::{Ipv4Addr, UdpSocket};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let socket = UdpSocket::bind("0.0.0.0:5353")?;
    /// socket.join_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), &Ipv4Addr::UNSPECIFIED)?;
    /// let (length, source) = socket.recv_from(&mut [0; 1500])?;
    /// println!("{source} announces itself in {length} bytes");
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        multicast::join_v4(self.socket().fd(), multiaddr, interface)
    }

    /// Joins the group `multiaddr` on the interface of that index; the routes choose one if it is 0.
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports for IPV6_ADD_MEMBERSHIP; see ipv6(7).
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        multicast::join_v6(self.socket().fd(), multiaddr, interface)
    }

    /// Leaves a group joined by [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports for IP_DROP_MEMBERSHIP.
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        multicast::leave_v4(self.socket().fd(), multiaddr, interface)
    }

    /// Leaves a group joined by [`join_multicast_v6`](UdpSocket::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports for IPV6_DROP_MEMBERSHIP.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        multicast::leave_v6(self.socket().fd(), multiaddr, interface)
    }
}
