//! Descriptors in types that they are not made for, and through them.

use super::super::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use super::super::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use crate::record::{Case, LONG, Record, SHORT};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

pub(crate) const CASES: &[Case] = &[
    ("in a stream", in_a_stream),
    ("in a listener", in_a_listener),
    ("in a datagram socket", in_a_datagram_socket),
    ("in a Unix stream", in_a_unix_stream),
    ("in a Unix listener", in_a_unix_listener),
    ("in a Unix datagram socket", in_a_unix_datagram_socket),
    ("modes and timeouts travel", modes_and_timeouts_travel),
    ("there and back", there_and_back),
];

/// Descriptors of all sorts, from std.
fn strangers() -> io::Result<Vec<(&'static str, OwnedFd)>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
    stream.set_read_timeout(Some(SHORT))?;
    listener.set_nonblocking(true)?;
    let udp = std::net::UdpSocket::bind("127.0.0.1:0")?;
    udp.set_read_timeout(Some(SHORT))?;
    let (unix, _) = std::os::unix::net::UnixStream::pair()?;
    let datagram = std::os::unix::net::UnixDatagram::unbound()?;
    datagram.set_read_timeout(Some(SHORT))?;
    let (reader, writer) = io::pipe()?;
    let idle = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    Ok(vec![
        ("a listener", listener.into()),
        ("a stream", stream.into()),
        ("a UDP socket", udp.into()),
        ("a Unix stream", unix.into()),
        ("a Unix datagram socket", datagram.into()),
        ("a pipe to read", reader.into()),
        ("a pipe to write", writer.into()),
        ("a device", std::fs::File::open("/dev/null")?.into()),
        ("a socket that is not connected", idle.into()),
    ])
}

fn in_a_stream(seen: &mut Record) -> io::Result<()> {
    for (what, fd) in strangers()? {
        let stream = TcpStream::from(fd);
        seen.value(what, &stream);
        seen.answer("local_addr", stream.local_addr());
        seen.answer("peer_addr", stream.peer_addr());
        seen.answer("nodelay", stream.nodelay());
        seen.answer("set_nodelay", stream.set_nodelay(true));
        seen.answer("set_ttl", stream.set_ttl(5));
        seen.answer("read_timeout", stream.read_timeout());
        seen.answer("set_write_timeout", stream.set_write_timeout(Some(LONG)));
        seen.answer("take_error", stream.take_error());
        seen.answer("peek", stream.peek(&mut [0; 8]));
        seen.answer("read", (&stream).read(&mut [0; 8]));
        seen.answer("write", (&stream).write(b"x"));
        seen.answer("shutdown", stream.shutdown(Shutdown::Both));
        seen.outcome("try_clone", stream.try_clone());
        seen.answer("set_nonblocking", stream.set_nonblocking(true));
    }
    Ok(())
}

fn in_a_listener(seen: &mut Record) -> io::Result<()> {
    for (what, fd) in strangers()? {
        let listener = TcpListener::from(fd);
        seen.value(what, &listener);
        seen.answer("local_addr", listener.local_addr());
        seen.answer("accept", listener.accept());
        seen.answer("incoming", listener.incoming().next().unwrap());
        seen.answer("ttl", listener.ttl().map(|_| ()));
        seen.answer("set_nonblocking", listener.set_nonblocking(true));
        seen.answer("accept without waiting", listener.accept());
    }
    Ok(())
}

fn in_a_datagram_socket(seen: &mut Record) -> io::Result<()> {
    for (what, fd) in strangers()? {
        let socket = UdpSocket::from(fd);
        seen.value(what, &socket);
        seen.answer("local_addr", socket.local_addr());
        seen.answer("peer_addr", socket.peer_addr());
        seen.answer("broadcast", socket.broadcast());
        seen.answer("recv_from", socket.recv_from(&mut [0; 8]));
        seen.answer("recv", socket.recv(&mut [0; 8]));
        seen.answer("peek", socket.peek(&mut [0; 8]));
        seen.answer("send", socket.send(b"x"));
        seen.answer("send_to", socket.send_to(b"x", "127.0.0.1:0"));
        seen.answer("connect", socket.connect("[::1]:0"));
        seen.answer("set_nonblocking", socket.set_nonblocking(true));
    }
    Ok(())
}

fn in_a_unix_stream(seen: &mut Record) -> io::Result<()> {
    for (what, fd) in strangers()? {
        let stream = UnixStream::from(fd);
        seen.value(what, &stream);
        seen.answer("local_addr", stream.local_addr());
        seen.answer("peer_addr", stream.peer_addr());
        seen.answer("read", (&stream).read(&mut [0; 8]));
        seen.answer("write", (&stream).write(b"x"));
        seen.answer("set_read_timeout", stream.set_read_timeout(Some(LONG)));
        seen.answer("shutdown", stream.shutdown(Shutdown::Both));
        seen.answer("take_error", stream.take_error());
    }
    Ok(())
}

fn in_a_unix_listener(seen: &mut Record) -> io::Result<()> {
    for (what, fd) in strangers()? {
        let listener = UnixListener::from(fd);
        seen.value(what, &listener);
        seen.answer("local_addr", listener.local_addr());
        seen.answer("accept", listener.accept());
        seen.answer("take_error", listener.take_error());
        seen.answer("set_nonblocking", listener.set_nonblocking(true));
    }
    let tcp = std::net::TcpListener::bind("127.0.0.1:0")?;
    let _stream = std::net::TcpStream::connect(tcp.local_addr()?)?;
    seen.answer("a connection of another family", UnixListener::from(OwnedFd::from(tcp)).accept());
    let path = seen.path("listener");
    let unix = std::os::unix::net::UnixListener::bind(&path)?;
    let _stream = std::os::unix::net::UnixStream::connect(&path)?;
    seen.answer("and the other way", TcpListener::from(OwnedFd::from(unix)).accept());
    Ok(())
}

fn in_a_unix_datagram_socket(seen: &mut Record) -> io::Result<()> {
    for (what, fd) in strangers()? {
        let socket = UnixDatagram::from(fd);
        seen.value(what, &socket);
        seen.answer("local_addr", socket.local_addr());
        seen.answer("peer_addr", socket.peer_addr());
        seen.answer("recv_from", socket.recv_from(&mut [0; 8]));
        seen.answer("recv", socket.recv(&mut [0; 8]));
        seen.answer("send", socket.send(b"x"));
        seen.answer("send_to", socket.send_to(b"x", "/dev/null"));
        seen.answer("set_nonblocking", socket.set_nonblocking(true));
    }
    let (one, other) = (std::net::UdpSocket::bind("127.0.0.1:0")?, std::net::UdpSocket::bind("127.0.0.1:0")?);
    let there = one.local_addr()?;
    other.send_to(b"x", there)?;
    other.send_to(b"x", there)?;
    let socket = UnixDatagram::from(OwnedFd::from(one));
    socket.set_read_timeout(Some(LONG))?;
    seen.answer("a datagram of another family", socket.recv_from(&mut [0; 8]));
    seen.answer("the next one", socket.recv(&mut [0; 8]));
    Ok(())
}

fn modes_and_timeouts_travel(seen: &mut Record) -> io::Result<()> {
    let (stream, peer) = super::tcp::pair()?;
    stream.set_nonblocking(true)?;
    let mut std = std::net::TcpStream::from(OwnedFd::from(stream));
    seen.answer("mode, to std", std.read(&mut [0; 8]));
    seen.answer("timeout, to std", std.read_timeout());
    std.set_nonblocking(false)?;
    std.set_read_timeout(Some(SHORT))?;
    let back = TcpStream::from(OwnedFd::from(std));
    seen.answer("timeout, from std", (&back).read(&mut [0; 8]));
    socket2::SockRef::from(&back).set_nonblocking(true)?;
    seen.answer("mode, through a borrow", (&back).read(&mut [0; 8]));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let std = std::net::TcpListener::from(OwnedFd::from(listener));
    seen.answer("mode of a listener, to std", std.accept());
    let back = TcpListener::from(OwnedFd::from(std));
    seen.answer("mode of a listener, from std", back.accept());
    drop(peer);
    Ok(())
}

fn there_and_back(seen: &mut Record) -> io::Result<()> {
    let (stream, mut peer) = super::tcp::pair()?;
    let number = stream.as_raw_fd();
    seen.value("borrowed is the same", stream.as_fd().as_raw_fd() == number);
    let raw = stream.into_raw_fd();
    seen.value("given is the same", raw == number);
    // SAFETY: the descriptor was given up by the stream that owned it.
    let mut stream = unsafe { TcpStream::from_raw_fd(raw) };
    peer.write_all(b"still there")?;
    let mut buf = [0; 16];
    seen.answer("read", stream.read(&mut buf));
    drop(stream);
    seen.answer("closed with it", peer.read(&mut buf));
    let (one, other) = UnixDatagram::pair()?;
    // SAFETY: the descriptor was given up by the socket that owned it.
    let one = unsafe { UnixDatagram::from_raw_fd(one.into_raw_fd()) };
    seen.answer("send", one.send(b"x"));
    seen.answer("recv", other.recv(&mut buf));
    let path = seen.path("listener");
    let listener = UnixListener::bind(&path)?;
    // SAFETY: the descriptor was given up by the listener that owned it.
    let listener = unsafe { UnixListener::from_raw_fd(listener.into_raw_fd()) };
    seen.answer("connect", UnixStream::connect(&path));
    seen.answer("accept", listener.accept().map(|(stream, _)| drop(stream)));
    Ok(())
}
