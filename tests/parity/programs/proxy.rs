//! Streams between streams, and what the two halves of one do.

use super::super::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use super::super::thread;
use super::Seen;
use std::io::{self, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;

/// More than the buffers of a connection take.
const LARGE: usize = 8 << 20;

/// Copies one way, and says at the end that nothing more comes.
fn pump(mut from: TcpStream, mut to: TcpStream) -> io::Result<u64> {
    let copied = io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)?;
    Ok(copied)
}

fn forward(client: TcpStream, to: SocketAddr) -> io::Result<(u64, u64)> {
    let server = TcpStream::connect(to)?;
    let (from, onto) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || pump(from, onto));
    let down = pump(server, client)?;
    Ok((up.join().unwrap()?, down))
}

/// A client, a proxy and a server that sends back all it has read.
pub(super) fn proxy() -> Seen {
    let (server, proxy) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let (behind, before) = (server.local_addr()?, proxy.local_addr()?);
    let server = thread::spawn(move || -> io::Result<usize> {
        let (mut stream, _) = server.accept()?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        stream.write_all(&all)?;
        Ok(all.len())
    });
    let proxy = thread::spawn(move || forward(proxy.accept()?.0, behind));
    let mut client = TcpStream::connect(before)?;
    let sent: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    client.write_all(&sent)?;
    client.shutdown(Shutdown::Write)?;
    let mut back = Vec::new();
    client.read_to_end(&mut back)?;
    let forwarded = format!("{:?}", proxy.join().unwrap()?);
    Ok(vec![forwarded, server.join().unwrap()?.to_string(), (back == sent).to_string()])
}

/// One thread reads while another writes, through one `Arc`; both move more than buffers take.
pub(super) fn both_halves() -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let echo = thread::spawn(move || -> io::Result<u64> {
        let (stream, _) = listener.accept()?;
        io::copy(&mut &stream, &mut &stream)
    });
    let stream = Arc::new(TcpStream::connect(addr)?);
    let writer = Arc::clone(&stream);
    let writer = thread::spawn(move || -> io::Result<()> {
        (&*writer).write_all(&vec![7; LARGE])?;
        writer.shutdown(Shutdown::Write)
    });
    let mut back = Vec::new();
    (&*stream).read_to_end(&mut back)?;
    writer.join().unwrap()?;
    let right = back.iter().all(|byte| *byte == 7);
    Ok(vec![echo.join().unwrap()?.to_string(), back.len().to_string(), right.to_string()])
}

/// Several buffers in one call, and `Read`'s adapters.
pub(super) fn gathered_and_scattered() -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    let sent = client.write_vectored(&[IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two three")])?;
    client.flush()?;
    let (mut first, mut second) = ([0; 2], [0; 4]);
    // All is there: loopback delivers before it returns.
    let got = (&server).read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)])?;
    drop(client);
    let rest: Vec<u8> = BufReader::new((&server).chain(&b"!"[..])).bytes().collect::<io::Result<_>>()?;
    let text = [&first[..], &second, &rest].concat();
    Ok(vec![sent.to_string(), got.to_string(), String::from_utf8(text)?])
}

/// A stream survives a way through its descriptor.
pub(super) fn through_descriptors() -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let listener = TcpListener::from(OwnedFd::from(listener));
    let client = TcpStream::connect(addr)?;
    let (server, _) = listener.accept()?;
    let same = client.as_fd().as_raw_fd() == client.as_raw_fd();
    let duplicate: TcpStream = client.as_fd().try_clone_to_owned()?.into();
    // SAFETY: the descriptor was given up by the stream that owned it.
    let mut client = unsafe { TcpStream::from_raw_fd(client.into_raw_fd()) };
    (&duplicate).write_all(b"from one, ")?;
    client.write_all(b"from the other")?;
    drop(duplicate);
    drop(client);
    let mut text = String::new();
    { server }.read_to_string(&mut text)?;
    Ok(vec![same.to_string(), text])
}
