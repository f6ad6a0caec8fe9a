//! What reading and writing answer at the edges: nothing to move, nobody there, no time left.

use super::super::net::{Shutdown, TcpStream};
use super::tcp::pair;
use crate::record::{Case, LONG, Record, SHORT};
use socket2::SockRef;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = &[
    ("nothing to read into", nothing_to_read_into),
    ("nothing to write", nothing_to_write),
    ("many buffers", many_buffers),
    ("out of time", out_of_time),
    ("without waiting", without_waiting),
    ("the peer has closed", the_peer_has_closed),
    ("we have shut down", we_have_shut_down),
    ("the peer has reset", the_peer_has_reset),
    ("closed with data unread", closed_with_data_unread),
    ("not what was meant", not_what_was_meant),
];

/// Resets the connection of `stream`.
fn reset(stream: TcpStream) -> io::Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

/// Reads of no bytes: by std's system calls some wait for data all the same.
fn nothing_to_read_into(seen: &mut Record) -> io::Result<()> {
    let (stream, mut peer) = pair()?;
    stream.set_read_timeout(Some(SHORT))?;
    for what in ["no data", "data", "the end"] {
        seen.answer(&format!("read, {what}"), (&stream).read(&mut []));
        seen.answer(&format!("peek, {what}"), stream.peek(&mut []));
        seen.answer(&format!("read_vectored, {what}"), (&stream).read_vectored(&mut []));
        let empty = &mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])];
        seen.answer(&format!("read_vectored into nothing, {what}"), (&stream).read_vectored(empty));
        seen.answer(&format!("read_exact, {what}"), (&stream).read_exact(&mut []));
        match what {
            "no data" => peer.write_all(b"data")?,
            _ => peer.shutdown(Shutdown::Write)?,
        }
    }
    let mut all = Vec::new();
    seen.answer("all", (&stream).read_to_end(&mut all));
    seen.value("is", all);
    Ok(())
}

fn nothing_to_write(seen: &mut Record) -> io::Result<()> {
    let (mut stream, peer) = pair()?;
    for what in ["open", "shut down"] {
        seen.answer(&format!("write, {what}"), stream.write(&[]));
        seen.answer(&format!("write_vectored, {what}"), stream.write_vectored(&[]));
        let empty = [IoSlice::new(&[]), IoSlice::new(&[])];
        seen.answer(&format!("write_vectored of nothing, {what}"), stream.write_vectored(&empty));
        seen.answer(&format!("write_all, {what}"), stream.write_all(&[]));
        seen.answer(&format!("flush, {what}"), stream.flush());
        stream.shutdown(Shutdown::Write)?;
    }
    seen.answer("the peer reads", (&peer).read(&mut [0; 8]));
    Ok(())
}

/// More than the kernel takes at once.
fn many_buffers(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    let byte = [7];
    let gathered: Vec<_> = (0..3000).map(|_| IoSlice::new(&byte)).collect();
    seen.answer("write_vectored", stream.write_vectored(&gathered));
    let mut rooms = [[0; 1]; 3000];
    let mut scattered: Vec<_> = rooms.iter_mut().map(|room| IoSliceMut::new(room)).collect();
    seen.answer("read_vectored", peer.read_vectored(&mut scattered));
    seen.value("arrived", rooms.iter().filter(|room| room[0] == 7).count());
    let mixed = [IoSlice::new(&[]), IoSlice::new(b"ab"), IoSlice::new(&[]), IoSlice::new(b"c")];
    seen.answer("some of them empty", stream.write_vectored(&mixed));
    let mut buf = [0; 8];
    seen.answer("peek", peer.peek(&mut buf));
    seen.answer("peek less", peer.peek(&mut [0; 2]));
    let (one, other) = buf.split_at_mut(1);
    seen.answer(
        "read",
        peer.read_vectored(&mut [IoSliceMut::new(one), IoSliceMut::new(&mut []), IoSliceMut::new(other)]),
    );
    seen.value("is", buf);
    Ok(())
}

/// Writes until it fails: the kernel may enlarge the buffers between two ends, or find room in them, at any time.
fn until_it_fails<T>(mut write: impl FnMut() -> io::Result<T>) -> io::Result<()> {
    loop {
        write()?;
    }
}

fn out_of_time(seen: &mut Record) -> io::Result<()> {
    let (mut stream, _peer) = pair()?;
    stream.set_read_timeout(Some(SHORT))?;
    stream.set_write_timeout(Some(SHORT))?;
    let start = Instant::now();
    seen.answer("read", stream.read(&mut [0; 8]));
    seen.answer("read_vectored", stream.read_vectored(&mut [IoSliceMut::new(&mut [0; 8])]));
    seen.answer("peek", stream.peek(&mut [0; 8]));
    seen.answer("read_exact", stream.read_exact(&mut [0; 8]));
    seen.answer("read_to_end", stream.read_to_end(&mut Vec::new()));
    seen.answer("read_to_string", stream.read_to_string(&mut String::new()));
    seen.answer("write", until_it_fails(|| stream.write(&[0; 1 << 16])));
    seen.answer("write_vectored", until_it_fails(|| stream.write_vectored(&[IoSlice::new(&[0; 1 << 16])])));
    seen.answer("write_all", until_it_fails(|| stream.write_all(&[0; 1 << 16])));
    seen.answer("write nothing", stream.write(&[]));
    seen.answer("write_vectored of nothing", stream.write_vectored(&[IoSlice::new(&[])]));
    seen.value("waited", start.elapsed() >= 9 * SHORT && start.elapsed() < LONG);
    Ok(())
}

fn without_waiting(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    stream.set_nonblocking(true)?;
    seen.answer("read", stream.read(&mut [0; 8]));
    seen.answer("read nothing", stream.read(&mut []));
    seen.answer("peek", stream.peek(&mut [0; 8]));
    seen.answer("read_vectored", stream.read_vectored(&mut [IoSliceMut::new(&mut [0; 8])]));
    seen.answer("read_exact", stream.read_exact(&mut [0; 8]));
    peer.write_all(b"abc")?;
    seen.answer("read_exact of more", stream.read_exact(&mut [0; 8]));
    seen.answer("read after", stream.read(&mut [0; 8]));
    seen.answer("write", until_it_fails(|| stream.write(&[0; 1 << 16])));
    seen.answer("write nothing", stream.write(&[]));
    seen.answer("write_vectored", until_it_fails(|| stream.write_vectored(&[IoSlice::new(&[0; 1 << 16])])));
    Ok(())
}

fn the_peer_has_closed(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    peer.write_all(b"last")?;
    drop(peer);
    let mut buf = [0; 8];
    seen.answer("what was left", stream.read(&mut buf));
    seen.answer("the end", stream.read(&mut buf));
    seen.answer("the end, again", stream.read(&mut buf));
    seen.answer("peek", stream.peek(&mut buf));
    seen.answer("read_exact", stream.read_exact(&mut buf));
    seen.answer("read_to_end", stream.read_to_end(&mut Vec::new()));
    seen.answer("the peer was", stream.peer_addr());
    // Answered with a reset, which is there when this returns.
    seen.answer("write", stream.write(b"x"));
    seen.answer("write nothing", stream.write(&[]));
    seen.answer("write again", stream.write(b"x"));
    seen.answer("write_vectored", stream.write_vectored(&[IoSlice::new(b"x")]));
    seen.answer("read after", stream.read(&mut buf));
    seen.outcome("the peer is", stream.peer_addr());
    seen.answer("shutdown", stream.shutdown(Shutdown::Both));
    seen.value("stream", &stream);
    Ok(())
}

fn we_have_shut_down(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    let mut buf = [0; 8];
    seen.answer("shut down writing", stream.shutdown(Shutdown::Write));
    seen.answer("write", stream.write(b"x"));
    seen.answer("write_vectored", stream.write_vectored(&[IoSlice::new(b"x")]));
    seen.answer("again", stream.shutdown(Shutdown::Write));
    peer.write_all(b"abc")?;
    seen.answer("shut down reading", stream.shutdown(Shutdown::Read));
    seen.answer("what was there", stream.read(&mut buf));
    seen.answer("read", stream.read(&mut buf));
    seen.answer("peek", stream.peek(&mut buf));
    seen.answer("the peer is", stream.peer_addr().map(|_| ()));
    peer.write_all(b"de")?;
    seen.answer("reading goes on, as Linux has it", stream.read(&mut buf));
    seen.answer("peer shuts down", peer.shutdown(Shutdown::Write));
    seen.answer("the end", peer.read(&mut buf));
    seen.answer("shut down both", stream.shutdown(Shutdown::Both));
    seen.answer("of the peer", peer.shutdown(Shutdown::Both));
    seen.outcome("the peer's peer", peer.peer_addr());
    seen.value("stream", &stream);
    Ok(())
}

fn the_peer_has_reset(seen: &mut Record) -> io::Result<()> {
    let mut buf = [0; 8];
    let (mut stream, peer) = pair()?;
    reset(peer)?;
    seen.answer("read", stream.read(&mut buf));
    seen.answer("read again", stream.read(&mut buf));
    seen.answer("write", stream.write(b"x"));
    let (mut stream, peer) = pair()?;
    reset(peer)?;
    seen.answer("write first", stream.write(b"x"));
    seen.answer("write then", stream.write(b"x"));
    seen.answer("then read", stream.read(&mut buf));
    let (mut stream, peer) = pair()?;
    reset(peer)?;
    seen.answer("write nothing first", stream.write(&[]));
    seen.answer("write nothing then", stream.write(&[]));
    let (stream, peer) = pair()?;
    reset(peer)?;
    seen.answer("take_error", stream.take_error().map(|error| error.map(|error| error.raw_os_error())));
    seen.answer("take_error again", stream.take_error());
    seen.answer("peer_addr", stream.peer_addr());
    seen.answer("local_addr", stream.local_addr().map(|_| ()));
    seen.answer("shutdown", stream.shutdown(Shutdown::Write));
    seen.answer("set_nodelay", stream.set_nodelay(true));
    seen.answer("read after the error is taken", (&stream).read(&mut buf));
    seen.value("stream", &stream);
    let (stream, mut peer) = pair()?;
    peer.write_all(b"lost")?;
    reset(peer)?;
    seen.answer("peek", stream.peek(&mut buf));
    seen.answer("read_to_end", (&stream).read_to_end(&mut Vec::new()));
    Ok(())
}

/// A close with data unread resets the connection.
fn closed_with_data_unread(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    stream.write_all(b"never read")?;
    peer.write_all(b"answer")?;
    drop(peer);
    seen.answer("read_vectored", stream.read_vectored(&mut [IoSliceMut::new(&mut [0; 16])]));
    seen.answer("read after", stream.read(&mut [0; 16]));
    seen.answer("write_all", stream.write_all(b"x"));
    Ok(())
}

/// Errors that std's own traits make of ours.
fn not_what_was_meant(seen: &mut Record) -> io::Result<()> {
    let (mut stream, mut peer) = pair()?;
    peer.write_all(b"\xff\xfe")?;
    drop(peer);
    let mut text = String::from("kept");
    seen.answer("not UTF-8", stream.read_to_string(&mut text));
    seen.value("text", text);
    let (stream, mut peer) = pair()?;
    peer.write_all(b"abc")?;
    drop(peer);
    let mut buf = [0; 8];
    seen.answer("too short", (&stream).read_exact(&mut buf));
    seen.value("is", buf);
    Ok(())
}
