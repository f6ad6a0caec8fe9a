//! TCP: what comes of a connection and of a listener when a call fails.

use crate::pages::*;
use crate::walk::As::Coroutine;
use crate::walk::Seen::{Lasting, Nothing, Waited, WaitedOut};
use crate::walk::{IN_VAIN, Row, Seen, Strike};
use dormouse::net::{Shutdown, TcpListener, TcpStream};
use libc::*;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;

pub(crate) fn listener() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// Ours and its peer, which is std's.
pub(crate) fn pair(strike: &Strike) -> io::Result<(TcpStream, std::net::TcpStream)> {
    let (listener, addr) = listener()?;
    let peer = std::net::TcpStream::connect(addr)?;
    let (ours, _) = listener.accept()?;
    ours.set_read_timeout(Some(strike.patience()))?;
    ours.set_write_timeout(Some(strike.patience()))?;
    Ok((ours, peer))
}

/// As [`pair`]; there are bytes to be read.
fn fed(strike: &Strike) -> io::Result<(TcpStream, std::net::TcpStream)> {
    let (ours, mut peer) = pair(strike)?;
    peer.write_all(&[7; 8])?;
    Ok((ours, peer))
}

/// Asserts that the byte is the one that was sent.
pub(crate) fn is_seven(byte: [u8; 1]) {
    assert_eq!(byte, [7]);
}

fn reads(strike: &Strike) -> io::Result<()> {
    let (mut ours, _peer) = fed(strike)?;
    strike.on(|| {
        let mut byte = [0];
        ours.read_exact(&mut byte).map(|()| is_seven(byte))
    });
    Ok(())
}

fn peeks(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = fed(strike)?;
    strike.on(|| ours.peek(&mut [0]).map(drop));
    Ok(())
}

fn reads_vectored(strike: &Strike) -> io::Result<()> {
    let (mut ours, _peer) = fed(strike)?;
    strike.on(|| {
        let mut byte = [0];
        ours.read_vectored(&mut [IoSliceMut::new(&mut byte)]).map(|_| is_seven(byte))
    });
    Ok(())
}

fn writes(strike: &Strike) -> io::Result<()> {
    let (mut ours, mut peer) = pair(strike)?;
    strike.on(|| {
        ours.write_all(&[7])?;
        let mut byte = [0];
        peer.read_exact(&mut byte).map(|()| is_seven(byte))
    });
    drop(ours);
    // What failed has sent nothing.
    assert_eq!(peer.read(&mut [0])?, 0);
    Ok(())
}

fn writes_vectored(strike: &Strike) -> io::Result<()> {
    let (mut ours, mut peer) = pair(strike)?;
    strike.on(|| ours.write_vectored(&[IoSlice::new(&[7]), IoSlice::new(&[7])]).map(drop));
    drop(ours);
    let mut all = Vec::new();
    peer.read_to_end(&mut all)?;
    assert_eq!(all, [7, 7]);
    Ok(())
}

/// A listener that a connection waits for in vain hands it out once accept works.
fn accepts(strike: &Strike) -> io::Result<()> {
    let (listener, addr) = listener()?;
    let client = std::net::TcpStream::connect(addr)?;
    let mut peers = Vec::new();
    strike.on(|| {
        peers.push(listener.accept()?.1);
        Ok(())
    });
    assert_eq!(peers, [client.local_addr()?]);
    Ok(())
}

fn connects(strike: &Strike) -> io::Result<()> {
    let (_listener, addr) = listener()?;
    strike.on(|| TcpStream::connect_timeout(&addr, strike.patience()).map(drop));
    Ok(())
}

fn listens(strike: &Strike) -> io::Result<()> {
    strike.on(|| TcpListener::bind(("127.0.0.1", 0)).map(drop));
    Ok(())
}

fn shuts(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = pair(strike)?;
    strike.on(|| ours.shutdown(Shutdown::Write));
    Ok(())
}

fn names_itself(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = pair(strike)?;
    strike.on(|| ours.local_addr().map(drop));
    Ok(())
}

fn names_its_peer(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = pair(strike)?;
    strike.on(|| ours.peer_addr().map(drop));
    Ok(())
}

/// Asks for each option there is.
fn gets_options(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = pair(strike)?;
    strike.on(|| ours.nodelay().map(drop));
    strike.on(|| ours.read_timeout().map(drop));
    strike.on(|| ours.linger().map(drop));
    strike.on(|| ours.ttl().map(drop));
    strike.on(|| ours.take_error().map(drop));
    Ok(())
}

fn sets_options(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = pair(strike)?;
    strike.on(|| ours.set_read_timeout(Some(IN_VAIN)));
    strike.on(|| ours.set_ttl(60));
    strike.on(|| ours.set_linger(None));
    strike.on(|| ours.set_nodelay(true));
    Ok(())
}

fn changes_mode(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = pair(strike)?;
    strike.on(|| ours.set_nonblocking(false));
    Ok(())
}

/// One that strangers know asks for its mode before it waits, here in vain.
fn asks_for_mode(strike: &Strike) -> io::Result<()> {
    let (mut ours, _peer) = pair(strike)?;
    ours.set_read_timeout(Some(IN_VAIN))?;
    let _lent = ours.as_fd();
    strike.on(|| match ours.read(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        answer => answer.map(drop),
    });
    Ok(())
}

fn clones(strike: &Strike) -> io::Result<()> {
    let (ours, _peer) = pair(strike)?;
    strike.on(|| ours.try_clone().map(drop));
    Ok(())
}

fn closes(strike: &Strike) -> io::Result<()> {
    strike.on(|| {
        let (ours, peer) = pair(strike)?;
        drop((ours, peer));
        Ok(())
    });
    Ok(())
}

/// EAGAIN of a call that has what it needs: on a plain thread poll(2) contradicts it, so there it happens once only.
const LATER: (&[i32], Seen) = (&[EAGAIN], Waited);
const LATER_OR_NEVER: (&[i32], Seen) = (&[EAGAIN], WaitedOut(ErrorKind::WouldBlock));
const BEGUN: &[i32] = &[EINPROGRESS, EALREADY];

pub(crate) const ROWS: &[Row] = &[
    Row::new("recv", RECV, reads).but(&[LATER]),
    Row::new("recv", &[EAGAIN], reads).but(&[LATER_OR_NEVER]).only(Coroutine),
    Row::new("recv", RECV, peeks).but(&[LATER]),
    Row::new("recvmsg", RECV, reads_vectored).but(&[LATER]),
    Row::new("send", SEND, writes).but(&[LATER]),
    Row::new("send", &[EAGAIN], writes).but(&[LATER_OR_NEVER]).only(Coroutine),
    Row::new("sendmsg", SEND, writes_vectored).but(&[LATER]),
    Row::new("accept4", ACCEPT, accepts).but(&[LATER]),
    Row::new("connect", &[EAGAIN], connects).attempt(),
    Row::new("connect", CONNECT, connects).but(&[(BEGUN, Waited), (&[EINTR], Waited), (&[EISCONN], Lasting)]),
    Row::new("connect", BEGUN, connects).but(&[(BEGUN, WaitedOut(ErrorKind::TimedOut))]).only(Coroutine),
    Row::new("socket", SOCKET, connects),
    Row::new("socket", SOCKET, listens),
    Row::new("bind", BIND, listens),
    Row::new("listen", LISTEN, listens),
    Row::new("setsockopt", SETSOCKOPT, listens),
    Row::new("shutdown", SHUTDOWN, shuts),
    Row::new("getsockname", GETSOCKNAME, names_itself),
    Row::new("getpeername", GETPEERNAME, names_its_peer),
    Row::new("getsockopt", GETSOCKOPT, gets_options),
    Row::new("setsockopt", SETSOCKOPT, sets_options),
    Row::new("ioctl(FIONBIO)", IOCTL, changes_mode),
    Row::new("ioctl(FIONBIO)", IOCTL, connects),
    Row::new("fcntl(GETFL)", FCNTL_GETFL, asks_for_mode),
    Row::new("fcntl(DUPFD)", FCNTL_DUPFD, clones),
    Row::new("close", CLOSE, closes).seen(Nothing).but(&[(&[EINTR], Nothing)]),
];
