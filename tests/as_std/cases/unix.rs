//! Unix listeners, streams and addresses.

use super::super::net::Shutdown;
use super::super::os::linux::net::SocketAddrExt;
use super::super::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use super::tcp_option::TIMEOUTS;
use crate::record::{Case, LONG, Record, SHORT};
use socket2::SockRef;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::path::Path;
use std::time::Instant;

pub(crate) const CASES: &[Case] = &[
    ("paths that cannot be connected to", paths_that_cannot_be_connected_to),
    ("paths that cannot be bound", paths_that_cannot_be_bound),
    ("long paths", long_paths),
    ("addresses", addresses),
    ("no path at all", no_path_at_all),
    ("names that are no paths", names_that_are_no_paths),
    ("who is whose peer", who_is_whose_peer),
    ("what Debug shows", what_debug_shows),
    ("accept without waiting", accept_without_waiting),
    ("a listener shut down through a borrow", a_listener_shut_down_through_a_borrow),
    ("nothing to move", nothing_to_move),
    ("out of time", out_of_time),
    ("without waiting", without_waiting),
    ("the peer has closed", the_peer_has_closed),
    ("we have shut down", we_have_shut_down),
    ("options", options),
];

fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (one, other) = UnixStream::pair()?;
    for end in [&one, &other] {
        end.set_read_timeout(Some(LONG))?;
        end.set_write_timeout(Some(LONG))?;
    }
    Ok((one, other))
}

fn paths_that_cannot_be_connected_to(seen: &mut Record) -> io::Result<()> {
    let folder = seen.folder().to_owned();
    std::fs::write(folder.join("file"), b"")?;
    let _datagram = UnixDatagram::bind(folder.join("datagram"))?;
    drop(UnixListener::bind(folder.join("left"))?);
    std::os::unix::fs::symlink(folder.join("circle"), folder.join("circle"))?;
    for name in ["missing", "missing/below", "file", "file/below", "datagram", "left", "circle", ".", "a\0b", ""] {
        let path = folder.join(name);
        seen.answer(name, UnixStream::connect(&path));
        let addr = seen.answer("as an address", SocketAddr::from_pathname(&path));
        seen.answer("by it", addr.map_or(Err(io::ErrorKind::NotFound.into()), |it| UnixStream::connect_addr(&it)));
    }
    for path in ["", "\0", "\0abstract", "a\0b"] {
        seen.answer(&format!("{path:?}"), UnixStream::connect(path));
    }
    Ok(())
}

fn paths_that_cannot_be_bound(seen: &mut Record) -> io::Result<()> {
    let folder = seen.folder().to_owned();
    std::fs::write(folder.join("file"), b"")?;
    let _listener = UnixListener::bind(folder.join("listener"))?;
    drop(UnixListener::bind(folder.join("left"))?);
    for name in ["file", "listener", "left", "missing/below", "file/below", ".", "a\0b"] {
        seen.answer(name, UnixListener::bind(folder.join(name)));
        seen.answer("for datagrams", UnixDatagram::bind(folder.join(name)));
    }
    Ok(())
}

/// The kernel's addresses hold 108 bytes, and a path ends with a zero there.
fn long_paths(seen: &mut Record) -> io::Result<()> {
    for length in [106, 107, 108, 109, 300] {
        let path = seen.path_of(length);
        seen.answer(
            &format!("{length}: address"),
            SocketAddr::from_pathname(&path).map(|it| it.as_pathname() == Some(&path)),
        );
        seen.answer("connect", UnixStream::connect(&path));
        let listener = seen.answer("bind", UnixListener::bind(&path));
        seen.outcome("connect now", UnixStream::connect(&path));
        let Some(listener) = listener else { continue };
        seen.value("is at", listener.local_addr()?.as_pathname() == Some(&path));
        drop(listener);
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

fn addresses(seen: &mut Record) -> io::Result<()> {
    for path in ["/a/path", "relative", "", "\0", "a\0b", "ends in zero\0"] {
        let addr = seen.answer(&format!("{path:?}"), SocketAddr::from_pathname(path));
        let Some(addr) = addr else { continue };
        seen.value("unnamed", addr.is_unnamed());
        seen.value("path", addr.as_pathname());
        seen.value("name", addr.as_abstract_name());
        seen.value("clone", addr.clone());
    }
    for name in [&b"name"[..], b"", b"with\0zero", b"\xff\x01", &[b'x'; 107], &[b'x'; 108]] {
        let addr = seen.answer(&format!("abstract {name:?}"), SocketAddr::from_abstract_name(name));
        let Some(addr) = addr else { continue };
        seen.value("unnamed", addr.is_unnamed());
        seen.value("path", addr.as_pathname());
        seen.value("name", addr.as_abstract_name());
    }
    Ok(())
}

/// Binding to no path gives a name of the kernel's.
fn no_path_at_all(seen: &mut Record) -> io::Result<()> {
    let listener = seen.outcome("bind", UnixListener::bind("")).unwrap();
    let addr = listener.local_addr()?;
    seen.value("unnamed", addr.is_unnamed());
    seen.value("path", addr.as_pathname());
    seen.value("length of the name", addr.as_abstract_name().map(<[u8]>::len));
    seen.outcome("connect", UnixStream::connect_addr(&addr));
    seen.outcome("connect to no path", UnixStream::connect(""));
    seen.outcome("bind an unnamed address", UnixListener::bind_addr(&UnixDatagram::unbound()?.local_addr()?));
    seen.outcome("connect to an unnamed address", UnixStream::connect_addr(&UnixDatagram::unbound()?.local_addr()?));
    Ok(())
}

fn names_that_are_no_paths(seen: &mut Record) -> io::Result<()> {
    let name = format!("as_std {} {:?}", std::process::id(), std::thread::current().id());
    let addr = SocketAddr::from_abstract_name(name.as_bytes())?;
    let absent = seen.answer("connect too early", UnixStream::connect_addr(&addr));
    seen.value("absent", absent.is_none());
    let listener = UnixListener::bind_addr(&addr)?;
    seen.answer("bind again", UnixListener::bind_addr(&addr));
    let stream = UnixStream::connect_addr(&addr)?;
    seen.value("name of the peer", stream.peer_addr()?.as_abstract_name() == Some(name.as_bytes()));
    let (peer, from) = listener.accept()?;
    seen.value("from", from);
    seen.value("name of the accepted", peer.local_addr()?.as_abstract_name() == Some(name.as_bytes()));
    drop(listener);
    seen.outcome("connect too late", UnixStream::connect_addr(&addr));
    Ok(())
}

fn who_is_whose_peer(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("listener");
    let listener = UnixListener::bind(&path)?;
    seen.answer("listener", listener.local_addr());
    let stream = UnixStream::connect(&path)?;
    let (peer, from) = listener.accept()?;
    seen.value("from", &from);
    seen.answer("near", stream.local_addr());
    seen.answer("far", stream.peer_addr());
    seen.answer("accepted near", peer.local_addr());
    seen.answer("accepted far", peer.peer_addr());
    std::fs::remove_file(&path)?;
    seen.answer("after the file has gone", stream.peer_addr());
    seen.outcome("connect after the file has gone", UnixStream::connect(&path));
    drop(peer);
    seen.answer("after the peer has gone", stream.peer_addr());
    seen.value("path", stream.peer_addr()?.as_pathname().map(Path::to_owned));
    Ok(())
}

fn what_debug_shows(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("listener");
    let listener = UnixListener::bind(&path)?;
    let stream = UnixStream::connect(&path)?;
    let (peer, _) = listener.accept()?;
    seen.value("listener", &listener);
    seen.value("incoming", listener.incoming());
    seen.value("stream", &stream);
    seen.value("peer", &peer);
    seen.value("pair", UnixStream::pair()?);
    Ok(())
}

fn accept_without_waiting(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("listener");
    let listener = UnixListener::bind(&path)?;
    seen.answer("set", listener.set_nonblocking(true));
    seen.answer("accept", listener.accept());
    seen.answer("a clone accepts", listener.try_clone()?.accept());
    seen.answer("incoming", listener.incoming().next().unwrap());
    seen.answer("by reference", (&listener).into_iter().next().unwrap());
    let _stream = UnixStream::connect(&path)?;
    let (peer, _) = listener.accept()?;
    peer.set_read_timeout(Some(SHORT))?;
    let start = Instant::now();
    seen.answer("read", (&peer).read(&mut [0; 8]));
    seen.value("waited", start.elapsed() >= SHORT);
    seen.answer("take_error", listener.take_error());
    Ok(())
}

/// Std has no such method; programs that want to end a loop of accepts do it all the same.
fn a_listener_shut_down_through_a_borrow(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("listener");
    let listener = UnixListener::bind(&path)?;
    SockRef::from(&listener).set_read_timeout(Some(LONG))?;
    seen.answer("shut down", SockRef::from(&listener).shutdown(Shutdown::Both));
    seen.answer("accept", listener.accept());
    seen.answer("incoming", listener.incoming().next().unwrap());
    seen.answer("connect", UnixStream::connect(&path));
    Ok(())
}

fn nothing_to_move(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    stream.set_read_timeout(Some(SHORT))?;
    for what in ["no data", "data", "the end"] {
        seen.answer(&format!("read, {what}"), stream.read(&mut []));
        seen.answer(&format!("read_vectored, {what}"), stream.read_vectored(&mut []));
        let empty = &mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])];
        seen.answer(&format!("read_vectored into nothing, {what}"), stream.read_vectored(empty));
        seen.answer(&format!("write, {what}"), stream.write(&[]));
        seen.answer(&format!("write_vectored, {what}"), stream.write_vectored(&[]));
        seen.answer(&format!("write_vectored of nothing, {what}"), stream.write_vectored(&[IoSlice::new(&[])]));
        seen.answer(&format!("flush, {what}"), stream.flush());
        match what {
            "no data" => peer.write_all(b"data")?,
            _ => peer.shutdown(Shutdown::Both)?,
        }
    }
    seen.answer("all", stream.read_to_end(&mut Vec::new()));
    let byte = [7];
    let (mut stream, mut peer) = pair()?;
    let gathered: Vec<_> = (0..3000).map(|_| IoSlice::new(&byte)).collect();
    seen.answer("many buffers", stream.write_vectored(&gathered));
    let mut rooms = [[0; 1]; 3000];
    let mut scattered: Vec<_> = rooms.iter_mut().map(|room| IoSliceMut::new(room)).collect();
    seen.answer("into many buffers", peer.read_vectored(&mut scattered));
    Ok(())
}

/// Fills the buffers between two ends.
fn fill(stream: &UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    while { stream }.write(&[0; 1 << 12]).is_ok() {}
    stream.set_nonblocking(false)
}

fn out_of_time(seen: &mut Record) -> io::Result<()> {
    let (mut stream, _peer) = pair()?;
    stream.set_read_timeout(Some(SHORT))?;
    stream.set_write_timeout(Some(SHORT))?;
    let start = Instant::now();
    seen.answer("read", stream.read(&mut [0; 8]));
    seen.answer("read_vectored", stream.read_vectored(&mut [IoSliceMut::new(&mut [0; 8])]));
    seen.answer("read_exact", stream.read_exact(&mut [0; 8]));
    fill(&stream)?;
    seen.answer("write", stream.write(&[0; 1 << 12]));
    seen.answer("write_vectored", stream.write_vectored(&[IoSlice::new(&[0; 1 << 12])]));
    seen.answer("write_all", stream.write_all(&[0; 1 << 12]));
    seen.answer("write nothing", stream.write(&[]));
    seen.answer("write_vectored of nothing", stream.write_vectored(&[IoSlice::new(&[])]));
    seen.value("waited", start.elapsed() >= 6 * SHORT && start.elapsed() < LONG);
    Ok(())
}

fn without_waiting(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    stream.set_nonblocking(true)?;
    seen.answer("read", stream.read(&mut [0; 8]));
    seen.answer("read nothing", stream.read(&mut []));
    peer.write_all(b"abc")?;
    seen.answer("read_exact of more", stream.read_exact(&mut [0; 8]));
    fill(&stream)?;
    stream.set_nonblocking(true)?;
    seen.answer("write", stream.write(&[0; 1 << 12]));
    seen.answer("write nothing", stream.write(&[]));
    Ok(())
}

fn the_peer_has_closed(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    peer.write_all(b"last")?;
    drop(peer);
    seen.answer("what was left", stream.read(&mut [0; 8]));
    seen.answer("the end", stream.read(&mut [0; 8]));
    seen.answer("write", stream.write(b"x"));
    seen.answer("write_vectored", stream.write_vectored(&[IoSlice::new(b"x")]));
    seen.answer("write nothing", stream.write(&[]));
    seen.answer("peer", stream.peer_addr());
    seen.answer("shutdown", stream.shutdown(Shutdown::Both));
    let (mut stream, peer) = pair()?;
    stream.write_all(b"never read")?;
    drop(peer);
    seen.answer("closed with data unread", stream.read(&mut [0; 8]));
    seen.answer("read again", stream.read(&mut [0; 8]));
    seen.answer("take_error", stream.take_error());
    Ok(())
}

fn we_have_shut_down(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    seen.answer("shut down writing", stream.shutdown(Shutdown::Write));
    seen.answer("write", stream.write(b"x"));
    seen.answer("again", stream.shutdown(Shutdown::Write));
    peer.write_all(b"abc")?;
    seen.answer("shut down reading", stream.shutdown(Shutdown::Read));
    seen.answer("what was there", stream.read(&mut [0; 8]));
    seen.answer("read", stream.read(&mut [0; 8]));
    seen.answer("peer writes", peer.write(b"x"));
    seen.answer("peer reads", peer.read(&mut [0; 8]));
    let listener = UnixListener::bind(seen.path("listener"))?;
    drop(stream);
    seen.answer("listener", listener.take_error());
    Ok(())
}

fn options(seen: &mut Record) -> io::Result<()> {
    let (stream, _peer) = UnixStream::pair()?;
    for timeout in TIMEOUTS {
        seen.answer(&format!("read {timeout:?}"), stream.set_read_timeout(Some(*timeout)));
        seen.answer("is", stream.read_timeout());
        seen.answer(&format!("write {timeout:?}"), stream.set_write_timeout(Some(*timeout)));
        seen.answer("is", stream.write_timeout());
    }
    seen.answer("no timeout", stream.set_read_timeout(None));
    seen.answer("is", stream.read_timeout());
    seen.answer("take_error", stream.take_error());
    let clone = stream.try_clone()?;
    clone.set_nonblocking(true)?;
    seen.answer("mode is shared", (&stream).read(&mut [0; 8]));
    Ok(())
}
