//! What names a peer, and what does not.

use super::super::net::{
    Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, ToSocketAddrs, UdpSocket,
};
use crate::record::{Case, Record};
use std::io;

pub(crate) const CASES: &[Case] = &[
    ("names that are none", no_names),
    ("hosts that are none", no_hosts),
    ("no address at all", no_addresses),
    ("numeric names", numeric_names),
    ("the local host", the_local_host),
];

/// Without a lookup: what has no port, a bad port or no host. No name here reaches a server.
const NO_NAMES: &[&str] = &[
    "",
    "foo",
    "1.2.3.4",
    "[::1]",
    "127.0.0.1:",
    "127.0.0.1:99999",
    "127.0.0.1:-1",
    "127.0.0.1:0x50",
    "127.0.0.1:80 ",
    "127.0.0.1:port",
    "foo:bar:baz",
    "a\0b:80",
    ":80",
];

fn no_names(seen: &mut Record) -> io::Result<()> {
    for name in NO_NAMES {
        seen.answer(&format!("{name:?} is"), name.to_socket_addrs().map(Vec::from_iter));
        seen.answer(&format!("{name:?} as a string is"), name.to_string().to_socket_addrs().map(Vec::from_iter));
        seen.answer(&format!("connect to {name:?}"), TcpStream::connect(name));
        seen.answer(&format!("bind {name:?}"), TcpListener::bind(name));
        seen.answer(&format!("bind {name:?} for datagrams"), UdpSocket::bind(name));
    }
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for name in NO_NAMES {
        seen.answer(&format!("connect datagrams to {name:?}"), socket.connect(name));
        seen.answer(&format!("send to {name:?}"), socket.send_to(b"x", name));
    }
    Ok(())
}

fn no_hosts(seen: &mut Record) -> io::Result<()> {
    for host in ["", "a\0b", &"x".repeat(300)] {
        seen.answer(&format!("{host:?} is"), (host, 80).to_socket_addrs().map(Vec::from_iter));
        seen.answer(&format!("{host:?} as a string is"), (host.to_owned(), 80).to_socket_addrs().map(Vec::from_iter));
        seen.answer(&format!("connect to {host:?}"), TcpStream::connect((host, 80)));
        seen.answer(&format!("bind {host:?}"), TcpListener::bind((host, 80)));
    }
    Ok(())
}

fn no_addresses(seen: &mut Record) -> io::Result<()> {
    let none: &[SocketAddr] = &[];
    seen.answer("names", none.to_socket_addrs().map(Vec::from_iter));
    seen.answer("connect", TcpStream::connect(none));
    seen.answer("bind", TcpListener::bind(none));
    seen.answer("bind for datagrams", UdpSocket::bind(none));
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    seen.answer("connect datagrams", socket.connect(none));
    seen.answer("send to", socket.send_to(b"x", none));
    Ok(())
}

fn numeric_names(seen: &mut Record) -> io::Result<()> {
    let scoped = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 7, 3);
    seen.answer("with a scope", scoped.to_socket_addrs().map(Vec::from_iter));
    seen.answer("by v4", (Ipv4Addr::LOCALHOST, 80).to_socket_addrs().map(Vec::from_iter));
    seen.answer("by v6", (Ipv6Addr::UNSPECIFIED, 80).to_socket_addrs().map(Vec::from_iter));
    for text in ["127.0.0.1:80", "[::1]:80", "[fe80::1%5]:80", "[::ffff:127.0.0.1]:80", "255.255.255.255:65535"] {
        seen.answer(text, text.to_socket_addrs().map(Vec::from_iter));
    }
    for host in ["127.0.0.1", "::1", "::ffff:1.2.3.4", "0.0.0.0"] {
        seen.answer(host, (host, 443).to_socket_addrs().map(Vec::from_iter));
        let both = (host, 443).to_socket_addrs()?.zip((host.to_owned(), 443).to_socket_addrs()?);
        seen.value("as a string, too", both.map(|(one, other)| one == other).collect::<Vec<_>>());
    }
    Ok(())
}

fn the_local_host(seen: &mut Record) -> io::Result<()> {
    seen.answer("with a port", "localhost:80".to_socket_addrs().map(Vec::from_iter));
    seen.answer("beside a port", ("localhost", 80).to_socket_addrs().map(Vec::from_iter));
    let listener = TcpListener::bind(("localhost", 0))?;
    let addr = listener.local_addr()?;
    seen.value("bound", addr);
    let stream = TcpStream::connect(("localhost", addr.port()))?;
    seen.value("met", stream.peer_addr()? == addr);
    Ok(())
}
