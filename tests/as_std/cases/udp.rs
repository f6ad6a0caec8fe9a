//! UDP: what sockets take, and what they answer at the edges.

use super::super::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, UdpSocket};
use super::tcp_option::TIMEOUTS;
use crate::record::{Case, LONG, Record, SHORT};
use socket2::SockRef;
use std::io;
use std::time::Instant;

pub(crate) const CASES: &[Case] = &[
    ("binding", binding),
    ("not connected", not_connected),
    ("connected", connected),
    ("nobody there", nobody_there),
    ("sizes", sizes),
    ("addresses that cannot be sent to", addresses_that_cannot_be_sent_to),
    ("several addresses", several_addresses),
    ("shut down through a borrow", shut_down_through_a_borrow),
    ("out of time", out_of_time),
    ("without waiting", without_waiting),
    ("timeouts", timeouts),
    ("options", options),
    ("multicast", multicast),
    ("what Debug shows", what_debug_shows),
];

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(LONG))?;
    Ok(socket)
}

fn binding(seen: &mut Record) -> io::Result<()> {
    let addr = socket()?.local_addr()?;
    let _held = UdpSocket::bind(addr)?;
    seen.answer("in use", UdpSocket::bind(addr));
    seen.answer("in use from anywhere", UdpSocket::bind(("0.0.0.0", addr.port())));
    for addr in ["192.0.2.1:0", "[2001:db8::1]:0", "[fe80::1]:0", "[::1]:0", "0.0.0.0:0"] {
        seen.answer(addr, UdpSocket::bind(addr));
    }
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    seen.outcome("in use, free", UdpSocket::bind(&[addr, any][..]));
    seen.answer("free, in use", UdpSocket::bind(&[any, addr][..])?.peer_addr());
    seen.answer("free, in use", UdpSocket::bind(&[addr, addr][..]));
    Ok(())
}

fn not_connected(seen: &mut Record) -> io::Result<()> {
    let socket = socket()?;
    socket.set_read_timeout(Some(SHORT))?;
    seen.answer("peer", socket.peer_addr());
    seen.answer("send", socket.send(b"x"));
    seen.answer("send nothing", socket.send(&[]));
    seen.answer("recv", socket.recv(&mut [0; 8]));
    seen.answer("peek", socket.peek(&mut [0; 8]));
    let own = socket.local_addr()?;
    seen.answer("send to itself", socket.send_to(b"me", own));
    seen.answer("recv without a peer", socket.recv(&mut [0; 8]));
    Ok(())
}

fn connected(seen: &mut Record) -> io::Result<()> {
    let (one, other, stranger) = (socket()?, socket()?, socket()?);
    let (here, there) = (one.local_addr()?, other.local_addr()?);
    seen.answer("connect", one.connect(there));
    seen.answer("peer", one.peer_addr());
    stranger.send_to(b"psst", here)?;
    one.set_nonblocking(true)?;
    seen.answer("strangers are not heard", one.recv(&mut [0; 8]));
    one.set_nonblocking(false)?;
    seen.answer("send", one.send(b"to the peer"));
    seen.value("from", other.recv_from(&mut [0; 16])? == (11, here));
    seen.answer("send to the peer by address", one.send_to(b"x", there));
    seen.answer("send to another", one.send_to(b"x", stranger.local_addr()?));
    seen.answer("connect to another", one.connect(stranger.local_addr()?));
    seen.value("peer", one.peer_addr()? == stranger.local_addr()?);
    seen.answer("connect to port 0", one.connect("127.0.0.1:0"));
    seen.answer("peer", one.peer_addr());
    seen.answer("send", one.send(b"x"));
    seen.answer("connect to v6", one.connect("[::1]:9"));
    Ok(())
}

/// An answer of the kernel tells that nobody listens: the next call fails.
fn nobody_there(seen: &mut Record) -> io::Result<()> {
    let gone = socket()?.local_addr()?;
    let one = socket()?;
    one.connect(gone)?;
    seen.answer("send", one.send(b"x"));
    seen.answer("recv", one.recv(&mut [0; 8]));
    seen.answer("send", one.send(b"x"));
    seen.answer("send again", one.send(b"x"));
    seen.answer("send", one.send(b"x"));
    seen.answer("take_error", one.take_error().map(|error| error.map(|error| error.raw_os_error())));
    seen.answer("take_error again", one.take_error());
    seen.answer("send", one.send(b"x"));
    seen.answer("peek_from", one.peek_from(&mut [0; 8]));
    one.send(b"x")?;
    seen.answer("recv_from", one.recv_from(&mut [0; 8]));
    Ok(())
}

fn sizes(seen: &mut Record) -> io::Result<()> {
    let (one, other) = (socket()?, socket()?);
    let there = other.local_addr()?;
    let mut buf = [0; 8];
    seen.answer("send nothing", one.send_to(&[], there));
    seen.answer("recv nothing", other.recv_from(&mut buf).map(|(n, _)| n));
    one.send_to(b"longer than eight", there)?;
    seen.answer("peek_from", other.peek_from(&mut buf).map(|(n, _)| n));
    seen.answer("peek", other.peek(&mut buf[..3]));
    seen.answer("peek into nothing", other.peek(&mut []));
    seen.answer("recv", other.recv(&mut buf));
    seen.value("is", buf);
    one.send_to(b"lost", there)?;
    seen.answer("recv_from into nothing", other.recv_from(&mut []).map(|(n, _)| n));
    one.send_to(b"next", there)?;
    seen.answer("recv", other.recv(&mut buf));
    let mut large = vec![1; 1 << 17];
    seen.answer("the largest", one.send_to(&large[..65_507], there));
    seen.answer("recv", other.recv(&mut large));
    seen.answer("too large", one.send_to(&large[..65_508], there));
    seen.answer("far too large", one.send_to(&large, there));
    Ok(())
}

/// None of these leaves the machine.
fn addresses_that_cannot_be_sent_to(seen: &mut Record) -> io::Result<()> {
    let socket = socket()?;
    for addr in ["127.0.0.1:0", "255.255.255.255:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
        seen.answer(addr, socket.send_to(b"x", addr));
    }
    let v6 = UdpSocket::bind("[::1]:0")?;
    for addr in ["127.0.0.1:9", "[::1]:0", "[ff02::1]:9"] {
        seen.outcome(addr, v6.send_to(b"x", addr));
    }
    Ok(())
}

fn several_addresses(seen: &mut Record) -> io::Result<()> {
    let (one, other, third) = (socket()?, socket()?, socket()?);
    let (first, second) = (other.local_addr()?, third.local_addr()?);
    seen.answer("only the first is sent to", one.send_to(b"x", &[first, second][..]));
    other.recv(&mut [0; 8])?;
    third.set_nonblocking(true)?;
    seen.answer("nothing", third.recv(&mut [0; 8]));
    let v6: SocketAddr = "[::1]:9".parse().unwrap();
    seen.answer("even if that fails", one.send_to(b"x", &[v6, first][..]));
    seen.answer("each is connected to", one.connect(&[v6, second][..]));
    seen.value("peer", one.peer_addr()? == second);
    seen.answer("none of two", one.connect(&[v6, v6][..]));
    Ok(())
}

/// Std has no such method; programs that want to end a wait do it all the same.
fn shut_down_through_a_borrow(seen: &mut Record) -> io::Result<()> {
    let (one, other) = (socket()?, socket()?);
    one.connect(other.local_addr()?)?;
    other.connect(one.local_addr()?)?;
    seen.answer("shut down reading", SockRef::from(&one).shutdown(Shutdown::Read));
    seen.answer("the peer sends", other.send(b"x"));
    seen.answer("recv", one.recv(&mut [0; 8]));
    seen.answer("recv again", one.recv(&mut [0; 8]));
    seen.answer("peek", one.peek(&mut [0; 8]));
    seen.answer("recv_from", one.recv_from(&mut [0; 8]));
    seen.answer("peek_from", one.peek_from(&mut [0; 8]));
    seen.answer("shut down writing", SockRef::from(&one).shutdown(Shutdown::Write));
    seen.answer("send", one.send(b"x"));
    Ok(())
}

fn out_of_time(seen: &mut Record) -> io::Result<()> {
    let socket = socket()?;
    socket.set_read_timeout(Some(SHORT))?;
    let start = Instant::now();
    seen.answer("recv", socket.recv(&mut [0; 8]));
    seen.answer("recv_from", socket.recv_from(&mut [0; 8]));
    seen.answer("recv_from into nothing", socket.recv_from(&mut []));
    seen.answer("peek", socket.peek(&mut [0; 8]));
    seen.answer("peek_from", socket.peek_from(&mut [0; 8]));
    seen.value("waited", start.elapsed() >= 5 * SHORT && start.elapsed() < LONG);
    Ok(())
}

fn without_waiting(seen: &mut Record) -> io::Result<()> {
    let socket = socket()?;
    socket.set_nonblocking(true)?;
    seen.answer("recv", socket.recv(&mut [0; 8]));
    seen.answer("recv_from", socket.recv_from(&mut [0; 8]));
    seen.answer("peek", socket.peek(&mut [0; 8]));
    seen.answer("peek_from", socket.try_clone()?.peek_from(&mut [0; 8]));
    let own = socket.local_addr()?;
    seen.answer("send", socket.send_to(b"me", own));
    seen.answer("recv", socket.recv(&mut [0; 8]));
    Ok(())
}

fn timeouts(seen: &mut Record) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for timeout in TIMEOUTS {
        seen.answer(&format!("read {timeout:?}"), socket.set_read_timeout(Some(*timeout)));
        seen.answer("is", socket.read_timeout());
        seen.answer(&format!("write {timeout:?}"), socket.set_write_timeout(Some(*timeout)));
        seen.answer("is", socket.write_timeout());
    }
    seen.answer("no read timeout", socket.set_read_timeout(None));
    seen.answer("no write timeout", socket.set_write_timeout(None));
    seen.answer("is", socket.read_timeout());
    seen.answer("is", socket.write_timeout());
    Ok(())
}

fn options(seen: &mut Record) -> io::Result<()> {
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        let socket = UdpSocket::bind(addr)?;
        seen.answer("broadcast", socket.broadcast());
        seen.answer("set", socket.set_broadcast(true));
        seen.answer("broadcast", socket.broadcast());
        for ttl in [0, 1, 255, 256, u32::MAX] {
            seen.answer(&format!("ttl {ttl}"), socket.set_ttl(ttl));
            seen.answer("is", socket.ttl());
            seen.answer(&format!("multicast ttl {ttl}"), socket.set_multicast_ttl_v4(ttl));
            seen.answer("is", socket.multicast_ttl_v4());
        }
        for on in [false, true] {
            seen.answer("set loop v4", socket.set_multicast_loop_v4(on));
            seen.answer("loop v4", socket.multicast_loop_v4());
            seen.answer("set loop v6", socket.set_multicast_loop_v6(on));
            seen.answer("loop v6", socket.multicast_loop_v6());
        }
        seen.answer("take_error", socket.take_error());
    }
    Ok(())
}

fn multicast(seen: &mut Record) -> io::Result<()> {
    let (group, here) = (Ipv4Addr::new(239, 255, 77, 1), Ipv4Addr::LOCALHOST);
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    seen.answer("leave what was not joined", socket.leave_multicast_v4(&group, &here));
    seen.answer("join", socket.join_multicast_v4(&group, &here));
    seen.answer("join again", socket.join_multicast_v4(&group, &here));
    seen.answer("leave", socket.leave_multicast_v4(&group, &here));
    seen.answer("no group", socket.join_multicast_v4(&here, &here));
    seen.answer("no interface", socket.join_multicast_v4(&group, &Ipv4Addr::new(192, 0, 2, 1)));
    let group: Ipv6Addr = "ff02::77:1".parse().unwrap();
    seen.answer("v6 by a v4 socket", socket.join_multicast_v6(&group, 1));
    let socket = UdpSocket::bind("[::]:0")?;
    seen.answer("leave what was not joined", socket.leave_multicast_v6(&group, 1));
    seen.answer("join", socket.join_multicast_v6(&group, 1));
    seen.answer("leave", socket.leave_multicast_v6(&group, 1));
    seen.answer("no group", socket.join_multicast_v6(&Ipv6Addr::LOCALHOST, 1));
    seen.answer("no interface", socket.join_multicast_v6(&group, 4_000_000));
    Ok(())
}

fn what_debug_shows(seen: &mut Record) -> io::Result<()> {
    for addr in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
        let socket = UdpSocket::bind(addr)?;
        seen.value("socket", &socket);
        socket.connect(UdpSocket::bind("127.0.0.1:0")?.local_addr()?).ok();
        seen.value("connected", &socket);
        seen.lines_of("pretty", &format!("{socket:#?}"));
    }
    Ok(())
}
