//! Unix datagrams.

use super::super::net::Shutdown;
use super::super::os::linux::net::SocketAddrExt;
use super::super::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use super::tcp_option::TIMEOUTS;
use crate::record::{Case, LONG, Record, SHORT};
use std::io;
use std::time::Instant;

pub(crate) const CASES: &[Case] = &[
    ("paths that cannot be sent to", paths_that_cannot_be_sent_to),
    ("not connected", not_connected),
    ("connected", connected),
    ("sizes", sizes),
    ("who sent it", who_sent_it),
    ("the peer has gone", the_peer_has_gone),
    ("we have shut down", we_have_shut_down),
    ("out of time", out_of_time),
    ("without waiting", without_waiting),
    ("options", options),
    ("what Debug shows", what_debug_shows),
];

fn bound(seen: &mut Record, name: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::bind(seen.path(name))?;
    socket.set_read_timeout(Some(LONG))?;
    Ok(socket)
}

fn paths_that_cannot_be_sent_to(seen: &mut Record) -> io::Result<()> {
    let folder = seen.folder().to_owned();
    std::fs::write(folder.join("file"), b"")?;
    let _listener = UnixListener::bind(folder.join("listener"))?;
    drop(UnixDatagram::bind(folder.join("left"))?);
    let socket = UnixDatagram::unbound()?;
    for name in ["missing", "missing/below", "file", "listener", "left", ".", "a\0b"] {
        let path = folder.join(name);
        seen.answer(&format!("send to {name:?}"), socket.send_to(b"x", &path));
        seen.answer("connect", socket.connect(&path));
        let addr = seen.answer("as an address", SocketAddr::from_pathname(&path));
        let Some(addr) = addr else { continue };
        seen.answer("send to it", socket.send_to_addr(b"x", &addr));
        seen.answer("connect to it", socket.connect_addr(&addr));
    }
    for length in [107, 108, 109] {
        let path = seen.path_of(length);
        seen.answer(&format!("send to {length} bytes"), socket.send_to(b"x", &path));
        seen.answer("connect", socket.connect(&path));
        seen.answer("bind", UnixDatagram::bind(&path));
    }
    seen.answer("send to no path", socket.send_to(b"x", ""));
    seen.answer("connect to no path", socket.connect(""));
    let absent = SocketAddr::from_abstract_name(b"as_std: nobody has this name")?;
    seen.answer("send to a name", socket.send_to_addr(b"x", &absent));
    seen.answer("connect to a name", socket.connect_addr(&absent));
    Ok(())
}

fn not_connected(seen: &mut Record) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_read_timeout(Some(SHORT))?;
    seen.answer("local", socket.local_addr());
    seen.answer("peer", socket.peer_addr());
    seen.answer("send", socket.send(b"x"));
    seen.answer("recv", socket.recv(&mut [0; 8]));
    seen.answer("shutdown", socket.shutdown(Shutdown::Write));
    Ok(())
}

fn connected(seen: &mut Record) -> io::Result<()> {
    let (one, other) = (bound(seen, "one")?, bound(seen, "other")?);
    let (here, there) = (seen.path("one"), seen.path("other"));
    seen.answer("connect", one.connect(&there));
    seen.answer("peer", one.peer_addr());
    seen.answer("send", one.send(b"hello"));
    seen.answer("recv", other.recv_from(&mut [0; 8]));
    seen.answer("strangers may not send", UnixDatagram::unbound()?.send_to(b"x", &here));
    seen.answer("the peer may", other.send_to(b"x", &here));
    seen.answer("recv", one.recv_from(&mut [0; 8]));
    seen.answer("connect to itself, which is taken", one.connect(&here));
    seen.answer("send", one.send(b"to whom"));
    seen.answer("recv", other.recv_from(&mut [0; 8]));
    Ok(())
}

fn sizes(seen: &mut Record) -> io::Result<()> {
    let (one, other) = UnixDatagram::pair()?;
    other.set_read_timeout(Some(LONG))?;
    let mut buf = [0; 8];
    seen.answer("send nothing", one.send(&[]));
    seen.answer("recv nothing", other.recv(&mut buf));
    seen.answer("send", one.send(b"longer than eight"));
    seen.answer("recv", other.recv(&mut buf));
    seen.value("is", buf);
    one.send(b"lost")?;
    seen.answer("recv into nothing", other.recv(&mut []));
    one.send(b"lost, too")?;
    seen.answer("recv_from into nothing", other.recv_from(&mut []));
    one.send(b"next")?;
    seen.answer("recv", other.recv(&mut buf));
    seen.answer("far too large", one.send(&vec![0; 64 << 20]));
    Ok(())
}

fn who_sent_it(seen: &mut Record) -> io::Result<()> {
    let socket = bound(seen, "socket")?;
    let path = seen.path("socket");
    bound(seen, "named")?.send_to(b"x", &path)?;
    seen.answer("one with a path", socket.recv_from(&mut [0; 8]));
    UnixDatagram::unbound()?.send_to(b"x", &path)?;
    seen.answer("one without a name", socket.recv_from(&mut [0; 8]));
    let name = SocketAddr::from_abstract_name(format!("as_std sender {}", std::process::id()))?;
    UnixDatagram::bind_addr(&name)?.send_to(b"x", &path)?;
    let (_, from) = socket.recv_from(&mut [0; 8])?;
    seen.value("one with a name that is no path", from.as_abstract_name() == name.as_abstract_name());
    let (one, other) = UnixDatagram::pair()?;
    one.send(b"x")?;
    seen.answer("one of a pair", other.recv_from(&mut [0; 8]));
    seen.answer("whose peer is", other.peer_addr());
    Ok(())
}

fn the_peer_has_gone(seen: &mut Record) -> io::Result<()> {
    let (one, other) = UnixDatagram::pair()?;
    one.set_read_timeout(Some(SHORT))?;
    other.send(b"last")?;
    drop(other);
    seen.answer("what was left", one.recv(&mut [0; 8]));
    seen.answer("recv", one.recv(&mut [0; 8]));
    seen.answer("send", one.send(b"x"));
    seen.answer("send again", one.send(b"x"));
    seen.answer("peer", one.peer_addr());
    let service = bound(seen, "service")?;
    let client = UnixDatagram::unbound()?;
    client.connect(seen.path("service"))?;
    drop(service);
    seen.answer("send", client.send(b"x"));
    seen.answer("peer", client.peer_addr());
    Ok(())
}

fn we_have_shut_down(seen: &mut Record) -> io::Result<()> {
    let (one, other) = UnixDatagram::pair()?;
    one.set_read_timeout(Some(LONG))?;
    other.send(b"before")?;
    seen.answer("shut down reading", one.shutdown(Shutdown::Read));
    seen.answer("what was there", one.recv(&mut [0; 8]));
    let start = Instant::now();
    seen.answer("recv", one.recv(&mut [0; 8]));
    seen.answer("recv_from", one.recv_from(&mut [0; 8]));
    seen.value("at once", start.elapsed() < LONG);
    seen.answer("the peer sends", other.send(b"x"));
    seen.answer("shut down writing", one.shutdown(Shutdown::Write));
    seen.answer("send", one.send(b"x"));
    seen.answer("again", one.shutdown(Shutdown::Both));
    other.set_read_timeout(Some(SHORT))?;
    seen.answer("the peer receives", other.recv(&mut [0; 8]));
    Ok(())
}

fn out_of_time(seen: &mut Record) -> io::Result<()> {
    let (one, other) = UnixDatagram::pair()?;
    one.set_read_timeout(Some(SHORT))?;
    let start = Instant::now();
    seen.answer("recv", one.recv(&mut [0; 8]));
    seen.answer("recv_from", one.recv_from(&mut [0; 8]));
    seen.answer("recv into nothing", one.recv(&mut []));
    fill(&one)?;
    one.set_write_timeout(Some(SHORT))?;
    seen.answer("send", one.send(b"x"));
    seen.value("waited", start.elapsed() >= 4 * SHORT && start.elapsed() < LONG);
    let path = seen.path("full");
    let full = UnixDatagram::bind(&path)?;
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    while sender.send_to(b"x", &path).is_ok() {}
    sender.set_nonblocking(false)?;
    sender.set_write_timeout(Some(SHORT))?;
    seen.answer("send to the full", sender.send_to(b"x", &path));
    drop((full, other));
    seen.answer("send to the gone", sender.send_to(b"x", &path));
    Ok(())
}

/// Fills the queue of the peer.
fn fill(socket: &UnixDatagram) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    while socket.send(b"x").is_ok() {}
    socket.set_nonblocking(false)
}

fn without_waiting(seen: &mut Record) -> io::Result<()> {
    let (one, _other) = UnixDatagram::pair()?;
    one.set_nonblocking(true)?;
    seen.answer("recv", one.recv(&mut [0; 8]));
    seen.answer("recv_from", one.try_clone()?.recv_from(&mut [0; 8]));
    fill(&one)?;
    one.set_nonblocking(true)?;
    seen.answer("send", one.send(b"x"));
    Ok(())
}

fn options(seen: &mut Record) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    for timeout in TIMEOUTS {
        seen.answer(&format!("read {timeout:?}"), socket.set_read_timeout(Some(*timeout)));
        seen.answer("is", socket.read_timeout());
        seen.answer(&format!("write {timeout:?}"), socket.set_write_timeout(Some(*timeout)));
        seen.answer("is", socket.write_timeout());
    }
    seen.answer("no timeout", socket.set_read_timeout(None));
    seen.answer("is", socket.read_timeout());
    seen.answer("take_error", socket.take_error());
    Ok(())
}

fn what_debug_shows(seen: &mut Record) -> io::Result<()> {
    let (one, other) = (bound(seen, "one")?, UnixDatagram::unbound()?);
    seen.value("bound", &one);
    seen.value("unbound", &other);
    other.connect(seen.path("one"))?;
    seen.value("connected", &other);
    seen.value("pair", UnixDatagram::pair()?);
    Ok(())
}
