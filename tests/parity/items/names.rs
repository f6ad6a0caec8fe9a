//! `std::net`: what names a peer. The types of addresses are std's own, which `parity.rs` proves.
#![allow(dead_code, trivial_bounds)]

use super::super::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};
use std::{io, iter, option, slice, vec};

/// Two names that resolve to one address each.
struct Both(SocketAddr, SocketAddr);

/// What a user may implement.
impl ToSocketAddrs for Both {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<vec::IntoIter<SocketAddr>> {
        Ok(vec![self.0, self.1].into_iter())
    }
}

fn to_socket_addrs<A: ToSocketAddrs + ?Sized>(names: &A) -> io::Result<impl Iterator<Item = SocketAddr> + use<A>> {
    ToSocketAddrs::to_socket_addrs(names)
}

fn to_socket_addrs_by_reference<T: ToSocketAddrs + ?Sized>(names: &T) -> io::Result<T::Iter> {
    <&T as ToSocketAddrs>::to_socket_addrs(&names)
}

fn names_are()
where
    SocketAddr: ToSocketAddrs<Iter = option::IntoIter<SocketAddr>>,
    SocketAddrV4: ToSocketAddrs<Iter = option::IntoIter<SocketAddr>>,
    SocketAddrV6: ToSocketAddrs<Iter = option::IntoIter<SocketAddr>>,
    (IpAddr, u16): ToSocketAddrs<Iter = option::IntoIter<SocketAddr>>,
    (Ipv4Addr, u16): ToSocketAddrs<Iter = option::IntoIter<SocketAddr>>,
    (Ipv6Addr, u16): ToSocketAddrs<Iter = option::IntoIter<SocketAddr>>,
    (&'static str, u16): ToSocketAddrs<Iter = vec::IntoIter<SocketAddr>>,
    (String, u16): ToSocketAddrs<Iter = vec::IntoIter<SocketAddr>>,
    str: ToSocketAddrs<Iter = vec::IntoIter<SocketAddr>>,
    String: ToSocketAddrs<Iter = vec::IntoIter<SocketAddr>>,
    &'static [SocketAddr]: ToSocketAddrs<Iter = iter::Cloned<slice::Iter<'static, SocketAddr>>>,
{
}
