//! `std::net`: UDP.
#![allow(dead_code, trivial_bounds, clippy::type_complexity)]

use super::super::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
    UdpSocket::bind::<A>(addr)
}

fn connect<A: ToSocketAddrs>(socket: &UdpSocket, addr: A) -> io::Result<()> {
    UdpSocket::connect::<A>(socket, addr)
}

fn send_to<A: ToSocketAddrs>(socket: &UdpSocket, buf: &[u8], addr: A) -> io::Result<usize> {
    UdpSocket::send_to::<A>(socket, buf, addr)
}

fn transfer() {
    let _: fn(&UdpSocket, &mut [u8]) -> io::Result<(usize, SocketAddr)> = UdpSocket::recv_from;
    let _: fn(&UdpSocket, &mut [u8]) -> io::Result<(usize, SocketAddr)> = UdpSocket::peek_from;
    let _: fn(&UdpSocket, &[u8]) -> io::Result<usize> = UdpSocket::send;
    let _: fn(&UdpSocket, &mut [u8]) -> io::Result<usize> = UdpSocket::recv;
    let _: fn(&UdpSocket, &mut [u8]) -> io::Result<usize> = UdpSocket::peek;
}

fn socket() {
    let _: fn(&UdpSocket) -> io::Result<SocketAddr> = UdpSocket::peer_addr;
    let _: fn(&UdpSocket) -> io::Result<SocketAddr> = UdpSocket::local_addr;
    let _: fn(&UdpSocket) -> io::Result<UdpSocket> = UdpSocket::try_clone;
    let _: fn(&UdpSocket, Option<Duration>) -> io::Result<()> = UdpSocket::set_read_timeout;
    let _: fn(&UdpSocket, Option<Duration>) -> io::Result<()> = UdpSocket::set_write_timeout;
    let _: fn(&UdpSocket) -> io::Result<Option<Duration>> = UdpSocket::read_timeout;
    let _: fn(&UdpSocket) -> io::Result<Option<Duration>> = UdpSocket::write_timeout;
    let _: fn(&UdpSocket, bool) -> io::Result<()> = UdpSocket::set_broadcast;
    let _: fn(&UdpSocket) -> io::Result<bool> = UdpSocket::broadcast;
    let _: fn(&UdpSocket, u32) -> io::Result<()> = UdpSocket::set_ttl;
    let _: fn(&UdpSocket) -> io::Result<u32> = UdpSocket::ttl;
    let _: fn(&UdpSocket) -> io::Result<Option<io::Error>> = UdpSocket::take_error;
    let _: fn(&UdpSocket, bool) -> io::Result<()> = UdpSocket::set_nonblocking;
}

fn multicast() {
    let _: fn(&UdpSocket, bool) -> io::Result<()> = UdpSocket::set_multicast_loop_v4;
    let _: fn(&UdpSocket) -> io::Result<bool> = UdpSocket::multicast_loop_v4;
    let _: fn(&UdpSocket, u32) -> io::Result<()> = UdpSocket::set_multicast_ttl_v4;
    let _: fn(&UdpSocket) -> io::Result<u32> = UdpSocket::multicast_ttl_v4;
    let _: fn(&UdpSocket, bool) -> io::Result<()> = UdpSocket::set_multicast_loop_v6;
    let _: fn(&UdpSocket) -> io::Result<bool> = UdpSocket::multicast_loop_v6;
    let _: fn(&UdpSocket, &Ipv4Addr, &Ipv4Addr) -> io::Result<()> = UdpSocket::join_multicast_v4;
    let _: fn(&UdpSocket, &Ipv6Addr, u32) -> io::Result<()> = UdpSocket::join_multicast_v6;
    let _: fn(&UdpSocket, &Ipv4Addr, &Ipv4Addr) -> io::Result<()> = UdpSocket::leave_multicast_v4;
    let _: fn(&UdpSocket, &Ipv6Addr, u32) -> io::Result<()> = UdpSocket::leave_multicast_v6;
}

fn socket_is()
where
    UdpSocket: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd>,
    OwnedFd: From<UdpSocket>,
    UdpSocket: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}
