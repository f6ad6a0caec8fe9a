//! One connection of the load generator: a request goes out, its echo comes back and is compared byte for byte.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::poller::ENDING;

const BUFFER: usize = 64 * 1024;

/// A non-blocking connection and how far its request has come.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    index: u32,
    /// Counts the requests; zero until the connection is established.
    sequence: u32,
    sent: usize,
    received: usize,
    /// When the request under way began.
    pub(crate) began: Instant,
}

/// The bytes on their way, shared by all connections: one moves at a time.
pub(crate) struct Courier {
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Courier {
    pub(crate) fn new(size: usize) -> Self {
        let request = (0..size).map(|at| (at % 251) as u8).collect();
        Self { request, buffer: vec![0; BUFFER] }
    }

    /// The request of one connection and turn: any other's has other bytes, from eight bytes on.
    fn stamp(&mut self, index: u32, sequence: u32) {
        if let Some(stamp) = self.request.first_chunk_mut::<8>() {
            *stamp = (u64::from(index) << 32 | u64::from(sequence)).to_ne_bytes();
        }
    }
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, index: usize) -> Self {
        Self { stream, index: index as u32, sequence: 0, sent: 0, received: 0, began: Instant::now() }
    }

    pub(crate) fn is_established(&self) -> bool {
        self.sequence > 0
    }

    /// Sends the next request, as far as the socket takes it.
    pub(crate) fn begin(&mut self, now: Instant, courier: &mut Courier) -> io::Result<()> {
        self.began = now;
        self.sequence = self.sequence.wrapping_add(1).max(1);
        (self.sent, self.received) = (0, 0);
        courier.stamp(self.index, self.sequence);
        self.send(courier)
    }

    /// Goes on as far as the socket allows; true when the echo is complete.
    pub(crate) fn advance(&mut self, readiness: u32, courier: &mut Courier) -> io::Result<bool> {
        courier.stamp(self.index, self.sequence);
        if self.sent < courier.request.len() {
            self.send(courier)?;
        }
        while self.received < courier.request.len() {
            let length = match self.stream.read(&mut courier.buffer) {
                Ok(0) => return Err(io::Error::other("the server closed the connection")),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            self.compare(length, courier)?;
            // As in the server: a short read was the last one, unless the stream's end may follow.
            if length < courier.buffer.len() && readiness & ENDING == 0 {
                break;
            }
        }
        Ok(self.received == courier.request.len())
    }

    /// Looks at an event while no request is under way: only an end is news.
    pub(crate) fn check_idle(&self, readiness: u32) -> io::Result<()> {
        if readiness & ENDING == 0 { Ok(()) } else { Err(io::Error::other("the server closed an idle connection")) }
    }

    pub(crate) fn is_idle(&self, size: usize) -> bool {
        self.received == size
    }

    fn send(&mut self, courier: &Courier) -> io::Result<()> {
        while self.sent < courier.request.len() {
            match self.stream.write(&courier.request[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn compare(&mut self, length: usize, courier: &Courier) -> io::Result<()> {
        let end = self.received + length;
        if courier.request.get(self.received..end) != Some(&courier.buffer[..length]) {
            let (index, sequence) = (self.index, self.sequence);
            return Err(io::Error::other(format!("connection {index}, request {sequence}: the echo differs")));
        }
        self.received = end;
        Ok(())
    }
}
