//! UDP and Unix sockets, and the options of multicast.

use crate::pages::*;
use crate::tcp::is_seven;
use crate::walk::As::Coroutine;
use crate::walk::Seen::{Waited, WaitedOut};
use crate::walk::{Row, Seen, Strike};
use dormouse::net::{Datagram, DatagramMut, Shutdown, UdpSocket};
use dormouse::os::unix::net::{SocketAncillary, UnixDatagram, UnixListener, UnixStream};
use libc::*;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read};
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

fn udp(strike: &Strike) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.set_read_timeout(Some(strike.patience()))?;
    socket.set_write_timeout(Some(strike.patience()))?;
    Ok(socket)
}

/// A socket, and one that has sent it something.
fn fed(strike: &Strike) -> io::Result<(UdpSocket, std::net::UdpSocket)> {
    let (ours, peer) = (udp(strike)?, std::net::UdpSocket::bind(("127.0.0.1", 0))?);
    (0..4).try_for_each(|_| peer.send_to(&[7], ours.local_addr()?).map(drop))?;
    Ok((ours, peer))
}

fn receives(strike: &Strike) -> io::Result<()> {
    let (ours, peer) = fed(strike)?;
    strike.on(|| {
        let mut byte = [0];
        let (_, from) = ours.recv_from(&mut byte)?;
        is_seven(byte);
        assert_eq!(from, peer.local_addr()?);
        Ok(())
    });
    Ok(())
}

fn receives_many(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = fed(strike)?;
    strike.on(|| {
        let mut byte = [0];
        ours.recv_many(&mut [DatagramMut::new(&mut byte)])?;
        is_seven(byte);
        Ok(())
    });
    Ok(())
}

/// Asserts that as many datagrams have come as were sent.
fn have_come(count: usize, peer: &std::net::UdpSocket) -> io::Result<()> {
    peer.set_nonblocking(true)?;
    (0..count).try_for_each(|_| peer.recv(&mut [0]).map(drop))?;
    assert_eq!(peer.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    Ok(())
}

fn sends(strike: &Strike) -> io::Result<()> {
    let (ours, peer, mut sent) = (udp(strike)?, std::net::UdpSocket::bind(("127.0.0.1", 0))?, 0);
    let addr = peer.local_addr()?;
    strike.on(|| {
        ours.send_to(&[7], addr)?;
        sent += 1;
        Ok(())
    });
    have_come(sent, &peer)
}

fn sends_many(strike: &Strike) -> io::Result<()> {
    let (ours, peer, mut sent) = (udp(strike)?, std::net::UdpSocket::bind(("127.0.0.1", 0))?, 0);
    let addr = peer.local_addr()?;
    strike.on(|| {
        sent += ours.send_many(&[Datagram::to(&[7], addr), Datagram::to(&[7], addr)])?;
        Ok(())
    });
    have_come(sent, &peer)
}

fn binds(strike: &Strike) -> io::Result<()> {
    strike.on(|| UdpSocket::bind(("127.0.0.1", 0)).map(drop));
    Ok(())
}

fn notes_its_peer(strike: &Strike) -> io::Result<()> {
    let (ours, peer) = (udp(strike)?, udp(strike)?.local_addr()?);
    strike.on(|| ours.connect(peer));
    Ok(())
}

fn gets_multicast(strike: &Strike) -> io::Result<()> {
    let ours = udp(strike)?;
    strike.on(|| ours.broadcast().map(drop));
    strike.on(|| ours.multicast_loop_v4().map(drop));
    strike.on(|| ours.multicast_ttl_v4().map(drop));
    Ok(())
}

fn sets_multicast(strike: &Strike) -> io::Result<()> {
    let ours = udp(strike)?;
    strike.on(|| ours.set_broadcast(true));
    strike.on(|| ours.set_multicast_loop_v4(false));
    strike.on(|| ours.set_multicast_ttl_v4(3));
    // Another group each time: to join twice is an error.
    let mut group = Ipv4Addr::new(239, 255, 77, 1).to_bits();
    strike.on(|| {
        let (this, here) = (Ipv4Addr::from_bits(group), Ipv4Addr::LOCALHOST);
        ours.join_multicast_v4(&this, &here)?;
        group += 1;
        Ok(())
    });
    Ok(())
}

/// A name that nobody has.
fn fresh_name() -> io::Result<SocketAddr> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("dormouse faults {} {}", std::process::id(), NEXT.fetch_add(1, SeqCst));
    SocketAddr::from_abstract_name(name)
}

fn unix_listener() -> io::Result<(UnixListener, SocketAddr)> {
    let addr = fresh_name()?;
    Ok((UnixListener::bind_addr(&addr)?, addr))
}

fn unix_accepts(strike: &Strike) -> io::Result<()> {
    let (listener, addr) = unix_listener()?;
    let _client = std::os::unix::net::UnixStream::connect_addr(&addr)?;
    let mut accepted = 0;
    strike.on(|| {
        listener.accept()?;
        accepted += 1;
        Ok(())
    });
    assert_eq!(accepted, 1);
    Ok(())
}

fn unix_connects(strike: &Strike) -> io::Result<()> {
    let (_listener, addr) = unix_listener()?;
    strike.on(|| UnixStream::connect_addr(&addr).map(drop));
    Ok(())
}

fn unix_listens(strike: &Strike) -> io::Result<()> {
    strike.on(|| UnixListener::bind_addr(&fresh_name()?).map(drop));
    Ok(())
}

fn unix_pairs(strike: &Strike) -> io::Result<()> {
    strike.on(|| UnixStream::pair().map(drop));
    Ok(())
}

fn unix_names(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = UnixStream::pair()?;
    strike.on(|| ours.local_addr().map(drop));
    Ok(())
}

fn unix_names_peer(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = UnixStream::pair()?;
    strike.on(|| ours.peer_addr().map(drop));
    Ok(())
}

/// Descriptors that come with bytes come once, and none stays open.
fn unix_receives_descriptors(strike: &Strike) -> io::Result<()> {
    let (ours, peer) = UnixStream::pair()?;
    ours.set_read_timeout(Some(strike.patience()))?;
    let mut room = [0; 64];
    let mut rights = SocketAncillary::new(&mut room);
    rights.add_fds(&[0]);
    peer.send_vectored_with_ancillary(&[IoSlice::new(&[7])], &mut rights)?;
    strike.on(|| {
        let (mut byte, mut room) = ([0], [0; 64]);
        let mut ancillary = SocketAncillary::new(&mut room);
        ours.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut byte)], &mut ancillary)?;
        assert_eq!(ancillary.messages().count(), 1);
        is_seven(byte);
        Ok(())
    });
    Ok(())
}

fn unix_sends_descriptors(strike: &Strike) -> io::Result<()> {
    let (ours, mut peer) = UnixStream::pair()?;
    ours.set_write_timeout(Some(strike.patience()))?;
    let mut sent = 0;
    strike.on(|| {
        let mut room = [0; 64];
        let mut ancillary = SocketAncillary::new(&mut room);
        ancillary.add_fds(&[0]);
        sent += ours.send_vectored_with_ancillary(&[IoSlice::new(&[7])], &mut ancillary)?;
        Ok(())
    });
    drop(ours);
    let mut all = Vec::new();
    peer.read_to_end(&mut all)?;
    assert_eq!(all.len(), sent);
    Ok(())
}

fn unix_datagram(strike: &Strike) -> io::Result<(UnixDatagram, SocketAddr)> {
    let addr = fresh_name()?;
    let socket = UnixDatagram::bind_addr(&addr)?;
    socket.set_read_timeout(Some(strike.patience()))?;
    socket.set_write_timeout(Some(strike.patience()))?;
    Ok((socket, addr))
}

fn unix_datagram_sends(strike: &Strike) -> io::Result<()> {
    let ((ours, _), (_peer, addr)) = (unix_datagram(strike)?, unix_datagram(strike)?);
    strike.on(|| ours.send_to_addr(&[7], &addr).map(drop));
    Ok(())
}

fn unix_datagram_receives(strike: &Strike) -> io::Result<()> {
    let ((ours, addr), (peer, _)) = (unix_datagram(strike)?, unix_datagram(strike)?);
    (0..4).try_for_each(|_| peer.send_to_addr(&[7], &addr).map(drop))?;
    strike.on(|| {
        let mut byte = [0];
        ours.recv_from(&mut byte)?;
        is_seven(byte);
        Ok(())
    });
    Ok(())
}

/// One that was shut down asks poll(2) whether it is to read the end.
fn unix_datagram_shut(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = UnixDatagram::pair()?;
    ours.shutdown(Shutdown::Read)?;
    strike.on(|| ours.recv(&mut [0]).map(|count| assert_eq!(count, 0)));
    Ok(())
}

/// Once: on a plain thread poll(2) would contradict it.
const LATER: (&[i32], Seen) = (&[EAGAIN], Waited);
const LATER_OR_NEVER: (&[i32], Seen) = (&[EAGAIN], WaitedOut(ErrorKind::WouldBlock));

pub(crate) const UDP: &[Row] = &[
    Row::new("recvfrom", RECV, receives).but(&[LATER]),
    Row::new("recvfrom", &[EAGAIN], receives).but(&[LATER_OR_NEVER]).only(Coroutine),
    Row::new("recvmmsg", RECV, receives_many).but(&[LATER]),
    Row::new("sendto", SEND, sends).but(&[LATER]),
    Row::new("sendto", &[EAGAIN], sends).but(&[LATER_OR_NEVER]).only(Coroutine),
    Row::new("sendmmsg", SEND, sends_many).but(&[LATER]),
    Row::new("socket", SOCKET, binds),
    Row::new("bind", BIND, binds),
    Row::new("connect", CONNECT, notes_its_peer),
    Row::new("connect", &[EAGAIN], notes_its_peer),
    Row::new("getsockopt", GETSOCKOPT, gets_multicast),
    Row::new("setsockopt", SETSOCKOPT, sets_multicast),
];

pub(crate) const UNIX: &[Row] = &[
    Row::new("accept4", ACCEPT, unix_accepts).but(&[LATER]),
    // A full queue, which is tried again after pauses; without a timeout, for as long as it is full.
    Row::new("connect", &[EAGAIN], unix_connects).but(&[LATER]),
    Row::new("connect", CONNECT, unix_connects),
    Row::new("socket", SOCKET, unix_connects),
    Row::new("socket", SOCKET, unix_listens),
    Row::new("bind", BIND, unix_listens),
    Row::new("listen", LISTEN, unix_listens),
    Row::new("socketpair", SOCKETPAIR, unix_pairs),
    Row::new("getsockname", GETSOCKNAME, unix_names),
    Row::new("getpeername", GETPEERNAME, unix_names_peer),
    Row::new("recvmsg", RECV, unix_receives_descriptors).but(&[LATER]),
    Row::new("sendmsg", SEND, unix_sends_descriptors).but(&[LATER]),
    // A full peer: each attempt after a pause, from a plain thread too.
    Row::new("sendto", SEND, unix_datagram_sends).but(&[LATER_OR_NEVER]),
    Row::new("recvfrom", RECV, unix_datagram_receives).but(&[LATER]),
    Row::new("poll", POLL, unix_datagram_shut),
];
