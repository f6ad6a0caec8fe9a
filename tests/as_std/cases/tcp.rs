//! How TCP connections come to be, or do not.

use super::super::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use crate::record::{Case, LONG, Record};
use socket2::{Domain, Socket, Type};
use std::io;
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = &[
    ("nobody listens", nobody_listens),
    ("addresses nobody can have", addresses_nobody_can_have),
    ("timeouts of connect", timeouts),
    ("several addresses", several_addresses),
    ("addresses in use", addresses_in_use),
    ("addresses of others", addresses_of_others),
    ("what Debug shows", what_debug_shows),
    ("scopes and flows", scopes_and_flows),
    ("accept without waiting", accept_without_waiting),
    ("accept with a timeout", accept_with_a_timeout),
    ("a listener shut down through a borrow", a_listener_shut_down_through_a_borrow),
];

/// An address that refuses as long as the socket lives: bound, but not listening.
pub(crate) fn refused() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    let addr = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok((socket, addr))
}

/// Two ends of a connection.
pub(crate) fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let (peer, _) = listener.accept()?;
    for end in [&stream, &peer] {
        end.set_read_timeout(Some(LONG))?;
        end.set_write_timeout(Some(LONG))?;
    }
    Ok((stream, peer))
}

fn nobody_listens(seen: &mut Record) -> io::Result<()> {
    let (_refuses, addr) = refused()?;
    seen.answer("connect", TcpStream::connect(addr));
    seen.answer("connect with a timeout", TcpStream::connect_timeout(&addr, LONG));
    seen.answer("connect to port 0", TcpStream::connect("127.0.0.1:0"));
    seen.answer("connect to port 0 of v6", TcpStream::connect("[::1]:0"));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (clone, addr) = (listener.try_clone()?, listener.local_addr()?);
    drop(listener);
    seen.outcome("the clone listens", TcpStream::connect(addr));
    drop(clone);
    seen.outcome("nobody listens any more", TcpStream::connect(addr));
    Ok(())
}

/// None of these leaves the machine.
fn addresses_nobody_can_have(seen: &mut Record) -> io::Result<()> {
    for addr in ["255.255.255.255:9", "224.0.0.1:9", "[ff02::1]:9"] {
        seen.answer(addr, TcpStream::connect(addr));
        seen.answer(addr, TcpStream::connect_timeout(&addr.parse().unwrap(), LONG));
        seen.outcome(addr, TcpListener::bind(addr));
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let anywhere = SocketAddr::from(([0, 0, 0, 0], listener.local_addr()?.port()));
    seen.answer("0.0.0.0 is here", TcpStream::connect(anywhere)?.peer_addr());
    Ok(())
}

fn timeouts(seen: &mut Record) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let (_refuses, gone) = refused()?;
    seen.answer("none at all", TcpStream::connect_timeout(&addr, Duration::ZERO));
    seen.answer("none at all, nobody there", TcpStream::connect_timeout(&gone, Duration::ZERO));
    seen.answer("a second", TcpStream::connect_timeout(&addr, Duration::from_secs(1)));
    seen.answer("for ever", TcpStream::connect_timeout(&addr, Duration::MAX));
    seen.answer("more than a poll takes", TcpStream::connect_timeout(&addr, Duration::from_secs(u64::MAX >> 8)));
    let stream = TcpStream::connect_timeout(&addr, LONG)?;
    seen.answer("does not stay as a read timeout", stream.read_timeout());
    seen.answer("does not stay as a write timeout", stream.write_timeout());
    full(seen)
}

/// A listener whose queue is full answers nobody.
fn full(seen: &mut Record) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(0)?;
    let addr = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    let _first = TcpStream::connect(addr)?;
    let (start, timeout) = (Instant::now(), Duration::from_millis(50));
    seen.answer("nobody answers", TcpStream::connect_timeout(&addr, timeout));
    seen.value("waited", start.elapsed() >= timeout && start.elapsed() < LONG);
    Ok(())
}

fn several_addresses(seen: &mut Record) -> io::Result<()> {
    let (_refuses, gone) = refused()?;
    let (one, other) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let (first, second) = (one.local_addr()?, other.local_addr()?);
    seen.value("refused, there", TcpStream::connect(&[gone, first][..])?.peer_addr()? == first);
    seen.value("there, refused", TcpStream::connect(&[first, gone][..])?.peer_addr()? == first);
    seen.value("both there", TcpStream::connect(&[second, first][..])?.peer_addr()? == second);
    let broadcast = "255.255.255.255:9".parse().unwrap();
    seen.answer("refused, unreachable", TcpStream::connect(&[gone, broadcast][..]));
    seen.answer("unreachable, refused", TcpStream::connect(&[broadcast, gone][..]));
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    seen.outcome("bind in use, free", TcpListener::bind(&[first, any][..]));
    seen.value("bind free, in use", TcpListener::bind(&[any, first][..])?.local_addr()? != first);
    seen.answer("bind in use, foreign", TcpListener::bind(&[first, "192.0.2.1:0".parse().unwrap()][..]));
    seen.answer("bind foreign, in use", TcpListener::bind(&["192.0.2.1:0".parse().unwrap(), first][..]));
    Ok(())
}

fn addresses_in_use(seen: &mut Record) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    seen.answer("a second time", TcpListener::bind(addr));
    seen.answer("from anywhere", TcpListener::bind(("0.0.0.0", addr.port())));
    seen.answer("take_error", listener.take_error());
    let stream = TcpStream::connect(addr)?;
    let (peer, from) = listener.accept()?;
    seen.value("from", from == stream.local_addr()?);
    drop((listener, peer, stream));
    seen.outcome("again, over the remains of a connection", TcpListener::bind(addr));
    Ok(())
}

fn addresses_of_others(seen: &mut Record) -> io::Result<()> {
    for addr in ["192.0.2.1:0", "255.255.255.255:0", "[2001:db8::1]:0", "[fe80::1]:0"] {
        seen.answer(addr, TcpListener::bind(addr));
    }
    for addr in ["[::1]:0", "[::]:0", "0.0.0.0:0"] {
        let listener = seen.answer(addr, TcpListener::bind(addr));
        seen.answer("is at", listener.map_or(Err(io::ErrorKind::NotFound.into()), |it| it.local_addr()));
    }
    Ok(())
}

fn what_debug_shows(seen: &mut Record) -> io::Result<()> {
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(addr)?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (peer, from) = listener.accept()?;
        seen.value("listener", &listener);
        seen.value("stream", &stream);
        seen.value("peer", &peer);
        seen.value("from", from);
        seen.value("incoming", listener.incoming());
        seen.lines_of("pretty listener", &format!("{listener:#?}"));
        seen.lines_of("pretty stream", &format!("{stream:#?}"));
        seen.value("in an Option", Some(stream));
    }
    Ok(())
}

fn scopes_and_flows(seen: &mut Record) -> io::Result<()> {
    let listener = TcpListener::bind("[::1]:0")?;
    let port = listener.local_addr()?.port();
    for (flow, scope) in [(0, 0), (5, 0), (0, 1), (0, 4_000_000_000)] {
        let addr = SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, flow, scope);
        let Some(stream) = seen.answer(&format!("flow {flow}, scope {scope}"), TcpStream::connect(addr)) else {
            continue;
        };
        seen.answer("to", stream.peer_addr());
        seen.answer("from", stream.local_addr());
    }
    let mapped = TcpListener::bind("127.0.0.1:0")?;
    let addr = SocketAddrV6::new("::ffff:127.0.0.1".parse().unwrap(), mapped.local_addr()?.port(), 0, 0);
    let stream = seen.answer("a mapped address", TcpStream::connect(addr));
    seen.answer("is at", stream.map_or(Err(io::ErrorKind::NotFound.into()), |it| it.peer_addr()));
    seen.answer("which saw", mapped.accept()?.0.peer_addr());
    Ok(())
}

fn accept_without_waiting(seen: &mut Record) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    seen.answer("accept", listener.accept());
    seen.answer("a clone accepts", listener.try_clone()?.accept());
    seen.answer("incoming", listener.incoming().next().unwrap());
    let _stream = TcpStream::connect(listener.local_addr()?)?;
    let (peer, _) = seen.answer("now", listener.accept()).unwrap();
    peer.set_read_timeout(Some(crate::record::SHORT))?;
    // The mode is the listener's, not the connection's.
    let start = Instant::now();
    seen.answer("read", io::Read::read(&mut &peer, &mut [0; 8]));
    seen.value("waited", start.elapsed() >= crate::record::SHORT);
    Ok(())
}

/// A read timeout, which only strangers can set on a listener, bounds accept.
fn accept_with_a_timeout(seen: &mut Record) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    socket2::SockRef::from(&listener).set_read_timeout(Some(crate::record::SHORT))?;
    let start = Instant::now();
    seen.answer("accept", listener.accept());
    seen.value("waited", start.elapsed() >= crate::record::SHORT);
    let _stream = TcpStream::connect(listener.local_addr()?)?;
    let (peer, _) = listener.accept()?;
    seen.answer("inherited", peer.read_timeout());
    Ok(())
}

/// Std has no such method; programs that want to end a loop of accepts do it all the same.
fn a_listener_shut_down_through_a_borrow(seen: &mut Record) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    socket2::SockRef::from(&listener).set_read_timeout(Some(LONG))?;
    seen.answer("shut down", socket2::SockRef::from(&listener).shutdown(super::super::net::Shutdown::Both));
    seen.answer("accept", listener.accept());
    seen.answer("incoming", listener.incoming().next().unwrap());
    seen.answer("connect", TcpStream::connect(addr));
    Ok(())
}
