//! `std::os::unix::net`: datagrams.
#![allow(dead_code, trivial_bounds, clippy::type_complexity)]

use super::super::net::Shutdown;
use super::super::os::unix::net::{SocketAddr, UnixDatagram};
use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::time::Duration;

fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
    UnixDatagram::bind::<P>(path)
}

fn connect<P: AsRef<Path>>(socket: &UnixDatagram, path: P) -> io::Result<()> {
    UnixDatagram::connect::<P>(socket, path)
}

fn send_to<P: AsRef<Path>>(socket: &UnixDatagram, buf: &[u8], path: P) -> io::Result<usize> {
    UnixDatagram::send_to::<P>(socket, buf, path)
}

fn socket() {
    let _: fn(&SocketAddr) -> io::Result<UnixDatagram> = UnixDatagram::bind_addr;
    let _: fn() -> io::Result<UnixDatagram> = UnixDatagram::unbound;
    let _: fn() -> io::Result<(UnixDatagram, UnixDatagram)> = UnixDatagram::pair;
    let _: fn(&UnixDatagram, &SocketAddr) -> io::Result<()> = UnixDatagram::connect_addr;
    let _: fn(&UnixDatagram) -> io::Result<UnixDatagram> = UnixDatagram::try_clone;
    let _: fn(&UnixDatagram) -> io::Result<SocketAddr> = UnixDatagram::local_addr;
    let _: fn(&UnixDatagram) -> io::Result<SocketAddr> = UnixDatagram::peer_addr;
    let _: fn(&UnixDatagram, Option<Duration>) -> io::Result<()> = UnixDatagram::set_read_timeout;
    let _: fn(&UnixDatagram, Option<Duration>) -> io::Result<()> = UnixDatagram::set_write_timeout;
    let _: fn(&UnixDatagram) -> io::Result<Option<Duration>> = UnixDatagram::read_timeout;
    let _: fn(&UnixDatagram) -> io::Result<Option<Duration>> = UnixDatagram::write_timeout;
    let _: fn(&UnixDatagram, bool) -> io::Result<()> = UnixDatagram::set_nonblocking;
    let _: fn(&UnixDatagram) -> io::Result<Option<io::Error>> = UnixDatagram::take_error;
    let _: fn(&UnixDatagram, Shutdown) -> io::Result<()> = UnixDatagram::shutdown;
}

fn transfer() {
    let _: fn(&UnixDatagram, &mut [u8]) -> io::Result<(usize, SocketAddr)> = UnixDatagram::recv_from;
    let _: fn(&UnixDatagram, &mut [u8]) -> io::Result<usize> = UnixDatagram::recv;
    let _: fn(&UnixDatagram, &[u8], &SocketAddr) -> io::Result<usize> = UnixDatagram::send_to_addr;
    let _: fn(&UnixDatagram, &[u8]) -> io::Result<usize> = UnixDatagram::send;
}

fn socket_is()
where
    UnixDatagram: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd>,
    OwnedFd: From<UnixDatagram>,
    UnixDatagram: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}
