//! What std has on nightly only, and people ask for: compiled for ours alone.
#![allow(dead_code, trivial_bounds, clippy::type_complexity)]

use super::net::{IntoIncoming, TcpListener, TcpStream};
use super::os::linux::net::UnixSocketExt;
use super::os::unix::net::{AncillaryData, AncillaryError, Messages, ScmCredentials, ScmRights};
use super::os::unix::net::{SocketAddr, SocketAncillary, SocketCred, UCred, UnixDatagram, UnixStream};
use std::fmt::Debug;
use std::hash::Hash;
use std::io::{self, IoSlice, IoSliceMut};
use std::iter::FusedIterator;
use std::os::fd::RawFd;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::time::Duration;

fn tcp() {
    let _: fn(TcpListener) -> IntoIncoming = TcpListener::into_incoming;
    let _: fn(&TcpStream, Option<Duration>) -> io::Result<()> = TcpStream::set_linger;
    let _: fn(&TcpStream) -> io::Result<Option<Duration>> = TcpStream::linger;
}

fn tcp_is()
where
    IntoIncoming: Iterator<Item = io::Result<TcpStream>> + FusedIterator,
    IntoIncoming: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn stream() {
    let _: fn(&UnixStream) -> io::Result<UCred> = UnixStream::peer_cred;
    let _: fn(&UnixStream, &mut [u8]) -> io::Result<usize> = UnixStream::peek;
    let _: fn(&UnixStream, &mut [IoSliceMut<'_>], &mut SocketAncillary<'_>) -> io::Result<usize> =
        UnixStream::recv_vectored_with_ancillary;
    let _: fn(&UnixStream, &[IoSlice<'_>], &mut SocketAncillary<'_>) -> io::Result<usize> =
        UnixStream::send_vectored_with_ancillary;
}

fn datagram_send_to<P: AsRef<Path>>(
    socket: &UnixDatagram,
    bufs: &[IoSlice<'_>],
    ancillary: &mut SocketAncillary<'_>,
    path: P,
) -> io::Result<usize> {
    UnixDatagram::send_vectored_with_ancillary_to::<P>(socket, bufs, ancillary, path)
}

fn datagram() {
    let _: fn(&UnixDatagram, &mut [u8]) -> io::Result<usize> = UnixDatagram::peek;
    let _: fn(&UnixDatagram, &mut [u8]) -> io::Result<(usize, SocketAddr)> = UnixDatagram::peek_from;
    let _: fn(&UnixDatagram, &mut [IoSliceMut<'_>], &mut SocketAncillary<'_>) -> io::Result<(usize, bool, SocketAddr)> =
        UnixDatagram::recv_vectored_with_ancillary_from;
    let _: fn(&UnixDatagram, &mut [IoSliceMut<'_>], &mut SocketAncillary<'_>) -> io::Result<(usize, bool)> =
        UnixDatagram::recv_vectored_with_ancillary;
    let _: fn(&UnixDatagram, &[IoSlice<'_>], &mut SocketAncillary<'_>) -> io::Result<usize> =
        UnixDatagram::send_vectored_with_ancillary;
}

fn passcred() {
    let _: fn(&UnixStream) -> io::Result<bool> = <UnixStream as UnixSocketExt>::passcred;
    let _: fn(&UnixStream, bool) -> io::Result<()> = <UnixStream as UnixSocketExt>::set_passcred;
    let _: fn(&UnixDatagram) -> io::Result<bool> = <UnixDatagram as UnixSocketExt>::passcred;
    let _: fn(&UnixDatagram, bool) -> io::Result<()> = <UnixDatagram as UnixSocketExt>::set_passcred;
}

fn passcred_is()
where
    UnixStream: UnixSocketExt,
    UnixDatagram: UnixSocketExt,
{
}

fn ancillary<'a>(_: &'a ()) {
    let _: fn(&'a mut [u8]) -> SocketAncillary<'a> = SocketAncillary::new;
    let _: fn(&SocketAncillary<'a>) -> usize = SocketAncillary::capacity;
    let _: fn(&SocketAncillary<'a>) -> bool = SocketAncillary::is_empty;
    let _: fn(&SocketAncillary<'a>) -> usize = SocketAncillary::len;
    let _: for<'b> fn(&'b SocketAncillary<'a>) -> Messages<'b> = SocketAncillary::messages;
    let _: fn(&SocketAncillary<'a>) -> bool = SocketAncillary::truncated;
    let _: fn(&mut SocketAncillary<'a>, &[RawFd]) -> bool = SocketAncillary::add_fds;
    let _: fn(&mut SocketAncillary<'a>, &[SocketCred]) -> bool = SocketAncillary::add_creds;
    let _: fn(&mut SocketAncillary<'a>) = SocketAncillary::clear;
}

fn credentials() {
    let _: fn() -> SocketCred = SocketCred::new;
    let _: fn(&mut SocketCred, i32) = SocketCred::set_pid;
    let _: fn(&SocketCred) -> i32 = SocketCred::get_pid;
    let _: fn(&mut SocketCred, u32) = SocketCred::set_uid;
    let _: fn(&SocketCred) -> u32 = SocketCred::get_uid;
    let _: fn(&mut SocketCred, u32) = SocketCred::set_gid;
    let _: fn(&SocketCred) -> u32 = SocketCred::get_gid;
}

fn message(message: AncillaryData<'_>) -> Result<ScmRights<'_>, ScmCredentials<'_>> {
    match message {
        AncillaryData::ScmRights(rights) => Ok(rights),
        AncillaryData::ScmCredentials(credentials) => Err(credentials),
    }
}

fn unknown(error: &AncillaryError) -> Option<(i32, i32)> {
    match *error {
        AncillaryError::Unknown { cmsg_level, cmsg_type, .. } => Some((cmsg_level, cmsg_type)),
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

fn peer(uid: u32, gid: u32, pid: Option<i32>) -> UCred {
    UCred { uid, gid, pid }
}

fn ancillary_is()
where
    SocketAncillary<'static>: Debug + Send + Sync + Unpin + RefUnwindSafe,
    Messages<'static>: Iterator<Item = Result<AncillaryData<'static>, AncillaryError>>,
    Messages<'static>: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    AncillaryData<'static>: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    AncillaryError: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    ScmRights<'static>: Iterator<Item = RawFd> + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    ScmCredentials<'static>: Iterator<Item = SocketCred> + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    SocketCred: Clone + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    UCred: Clone + Copy + Debug + Eq + PartialEq + Hash + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}
