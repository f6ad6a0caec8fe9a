//! `std::os::unix::net`: listener, stream and addresses. `os::linux::net`: what Linux adds to the addresses.
#![allow(dead_code, trivial_bounds, clippy::type_complexity)]

use super::super::net::Shutdown;
use super::super::os::linux::net::SocketAddrExt;
use super::super::os::unix::net::{Incoming, SocketAddr, UnixListener, UnixStream};
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::time::Duration;

fn listener_bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
    UnixListener::bind::<P>(path)
}

fn listener() {
    let _: fn(&SocketAddr) -> io::Result<UnixListener> = UnixListener::bind_addr;
    let _: fn(&UnixListener) -> io::Result<(UnixStream, SocketAddr)> = UnixListener::accept;
    let _: fn(&UnixListener) -> io::Result<UnixListener> = UnixListener::try_clone;
    let _: fn(&UnixListener) -> io::Result<SocketAddr> = UnixListener::local_addr;
    let _: fn(&UnixListener, bool) -> io::Result<()> = UnixListener::set_nonblocking;
    let _: fn(&UnixListener) -> io::Result<Option<io::Error>> = UnixListener::take_error;
    let _: for<'a> fn(&'a UnixListener) -> Incoming<'a> = UnixListener::incoming;
}

fn listener_is()
where
    UnixListener: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd>,
    OwnedFd: From<UnixListener>,
    &'static UnixListener: IntoIterator<Item = io::Result<UnixStream>, IntoIter = Incoming<'static>>,
    UnixListener: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn incoming_is()
where
    Incoming<'static>: Iterator<Item = io::Result<UnixStream>>,
    Incoming<'static>: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn stream_connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
    UnixStream::connect::<P>(path)
}

fn stream() {
    let _: fn(&SocketAddr) -> io::Result<UnixStream> = UnixStream::connect_addr;
    let _: fn() -> io::Result<(UnixStream, UnixStream)> = UnixStream::pair;
    let _: fn(&UnixStream) -> io::Result<UnixStream> = UnixStream::try_clone;
    let _: fn(&UnixStream) -> io::Result<SocketAddr> = UnixStream::local_addr;
    let _: fn(&UnixStream) -> io::Result<SocketAddr> = UnixStream::peer_addr;
    let _: fn(&UnixStream, Option<Duration>) -> io::Result<()> = UnixStream::set_read_timeout;
    let _: fn(&UnixStream, Option<Duration>) -> io::Result<()> = UnixStream::set_write_timeout;
    let _: fn(&UnixStream) -> io::Result<Option<Duration>> = UnixStream::read_timeout;
    let _: fn(&UnixStream) -> io::Result<Option<Duration>> = UnixStream::write_timeout;
    let _: fn(&UnixStream, bool) -> io::Result<()> = UnixStream::set_nonblocking;
    let _: fn(&UnixStream) -> io::Result<Option<io::Error>> = UnixStream::take_error;
    let _: fn(&UnixStream, Shutdown) -> io::Result<()> = UnixStream::shutdown;
}

fn stream_is()
where
    UnixStream: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd>,
    OwnedFd: From<UnixStream>,
    UnixStream: Read + Write,
    &'static UnixStream: Read + Write,
    UnixStream: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn address_from_pathname<P: AsRef<Path>>(path: P) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname::<P>(path)
}

fn address_from_abstract_name<N: AsRef<[u8]>>(name: N) -> io::Result<SocketAddr> {
    <SocketAddr as SocketAddrExt>::from_abstract_name::<N>(name)
}

fn address() {
    let _: fn(&SocketAddr) -> bool = SocketAddr::is_unnamed;
    let _: for<'a> fn(&'a SocketAddr) -> Option<&'a Path> = SocketAddr::as_pathname;
    let _: for<'a> fn(&'a SocketAddr) -> Option<&'a [u8]> = <SocketAddr as SocketAddrExt>::as_abstract_name;
}

fn address_is()
where
    SocketAddr: Clone + Debug + SocketAddrExt + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}
