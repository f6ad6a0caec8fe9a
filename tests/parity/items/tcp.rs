//! `std::net`: TCP. `os::linux::net`: what Linux adds to it.
#![allow(dead_code, deprecated, trivial_bounds, clippy::type_complexity)]
#![allow(clippy::incompatible_msrv, reason = "std has `TcpStreamExt` since 1.89, ours is there before")]

use super::super::net::{Incoming, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use super::super::os::linux::net::TcpStreamExt;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::iter::FusedIterator;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

fn listener_bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
    TcpListener::bind::<A>(addr)
}

fn listener() {
    let _: fn(&TcpListener) -> io::Result<SocketAddr> = TcpListener::local_addr;
    let _: fn(&TcpListener) -> io::Result<TcpListener> = TcpListener::try_clone;
    let _: fn(&TcpListener) -> io::Result<(TcpStream, SocketAddr)> = TcpListener::accept;
    let _: for<'a> fn(&'a TcpListener) -> Incoming<'a> = TcpListener::incoming;
    let _: fn(&TcpListener, u32) -> io::Result<()> = TcpListener::set_ttl;
    let _: fn(&TcpListener) -> io::Result<u32> = TcpListener::ttl;
    let _: fn(&TcpListener, bool) -> io::Result<()> = TcpListener::set_only_v6;
    let _: fn(&TcpListener) -> io::Result<bool> = TcpListener::only_v6;
    let _: fn(&TcpListener) -> io::Result<Option<io::Error>> = TcpListener::take_error;
    let _: fn(&TcpListener, bool) -> io::Result<()> = TcpListener::set_nonblocking;
}

fn listener_is()
where
    TcpListener: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd>,
    OwnedFd: From<TcpListener>,
    TcpListener: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn incoming_is()
where
    Incoming<'static>: Iterator<Item = io::Result<TcpStream>> + FusedIterator,
    Incoming<'static>: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn stream_connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
    TcpStream::connect::<A>(addr)
}

fn stream() {
    let _: fn(&SocketAddr, Duration) -> io::Result<TcpStream> = TcpStream::connect_timeout;
    let _: fn(&TcpStream) -> io::Result<SocketAddr> = TcpStream::peer_addr;
    let _: fn(&TcpStream) -> io::Result<SocketAddr> = TcpStream::local_addr;
    let _: fn(&TcpStream, Shutdown) -> io::Result<()> = TcpStream::shutdown;
    let _: fn(&TcpStream) -> io::Result<TcpStream> = TcpStream::try_clone;
    let _: fn(&TcpStream, Option<Duration>) -> io::Result<()> = TcpStream::set_read_timeout;
    let _: fn(&TcpStream, Option<Duration>) -> io::Result<()> = TcpStream::set_write_timeout;
    let _: fn(&TcpStream) -> io::Result<Option<Duration>> = TcpStream::read_timeout;
    let _: fn(&TcpStream) -> io::Result<Option<Duration>> = TcpStream::write_timeout;
    let _: fn(&TcpStream, &mut [u8]) -> io::Result<usize> = TcpStream::peek;
    let _: fn(&TcpStream, bool) -> io::Result<()> = TcpStream::set_nodelay;
    let _: fn(&TcpStream) -> io::Result<bool> = TcpStream::nodelay;
    let _: fn(&TcpStream, u32) -> io::Result<()> = TcpStream::set_ttl;
    let _: fn(&TcpStream) -> io::Result<u32> = TcpStream::ttl;
    let _: fn(&TcpStream) -> io::Result<Option<io::Error>> = TcpStream::take_error;
    let _: fn(&TcpStream, bool) -> io::Result<()> = TcpStream::set_nonblocking;
    let _: fn(&TcpStream, bool) -> io::Result<()> = <TcpStream as TcpStreamExt>::set_quickack;
    let _: fn(&TcpStream) -> io::Result<bool> = <TcpStream as TcpStreamExt>::quickack;
}

fn stream_is()
where
    TcpStream: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd>,
    OwnedFd: From<TcpStream>,
    TcpStream: Read + Write + TcpStreamExt,
    &'static TcpStream: Read + Write,
    TcpStream: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}
