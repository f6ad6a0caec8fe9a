//! A client's connection, with the bytes that came and are not read, and those written and not sent.
//!
//! Knows limits of time, and nothing of HTTP.
//!
//! 1. What was written is sent (`flush`) before anything waits for the client (`receive`, `receive_into`): a client may
//!    wait for the answer to one request before it sends the next. They are apart since they fail for different
//!    reasons.
//! 2. A connection without a request holds no buffer: what comes first comes to the stack.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use dormouse::net::{MinRate, TcpStream};
use dormouse::time;

/// The most bytes that come to the stack: of the page that a waiting coroutine has anyway.
const FIRST: usize = 512;

/// Bytes of a buffer for what comes.
const INPUT: usize = 8 * 1024;

/// What is written is sent once it is so much.
pub(crate) const OUTPUT: usize = 64 * 1024;

/// How long, and for how many bytes, a client that was told of the end may go on sending.
const FAREWELL: (Duration, usize) = (Duration::from_secs(2), 1 << 20);

#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    /// A place for what comes; empty while there is nothing.
    input: Vec<u8>,
    /// Where in it what is not consumed begins.
    begin: usize,
    /// Where that ends.
    end: usize,
    /// What is written and not sent.
    output: Vec<u8>,
    /// How long the client may take for what is sent at a time.
    write_timeout: Duration,
    /// Whether the client's pace is watched.
    is_paced: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, write_timeout: Duration) -> Wire {
        Wire { stream, input: Vec::new(), begin: 0, end: 0, output: Vec::new(), write_timeout, is_paced: false }
    }

    /// What came and is not consumed.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.input[self.begin..self.end]
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.begin += count;
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
    }

    /// Waits for more behind what is there, and gives how many bytes; 0 is the end of what the client sends.
    pub(crate) fn receive(&mut self) -> io::Result<usize> {
        debug_assert!(self.output.is_empty(), "invariant 1");
        if self.input.is_empty() {
            return self.receive_first();
        }
        // Who sends more than a short head soon sends much more.
        if self.end == self.input.len() || self.input.len() < INPUT {
            self.make_room();
        }
        let count = self.stream.read(&mut self.input[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Invariant 2. Not inlined, so that the array is on the stack only here.
    #[inline(never)]
    fn receive_first(&mut self) -> io::Result<usize> {
        let mut first = [0; FIRST];
        let count = self.stream.read(&mut first)?;
        // Most requests are all here now.
        self.input.extend_from_slice(&first[..count]);
        self.end = count;
        Ok(count)
    }

    fn make_room(&mut self) {
        if self.begin > 0 {
            self.input.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        let room = (2 * self.end).max(INPUT);
        if self.input.len() < room {
            self.input.resize(room, 0);
        }
    }

    /// Waits for bytes behind those that are buffered, of which there are none, and puts them elsewhere.
    pub(crate) fn receive_into(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        debug_assert!(self.buffered().is_empty(), "they come first");
        debug_assert!(self.output.is_empty(), "invariant 1");
        self.stream.read(buffer)
    }

    /// Gives back what is not needed until the client sends something.
    pub(crate) fn rest(&mut self) {
        if self.buffered().is_empty() {
            (self.input, self.begin, self.end) = (Vec::new(), 0, 0);
        }
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// Writes a few bytes, which always finds room.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// As `put`, for what is composed of several things.
    pub(crate) fn compose(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        write(&mut self.output)
    }

    /// Writes many bytes, and sends them if they are too many to keep.
    pub(crate) fn put_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.output.len() + bytes.len() < OUTPUT {
            self.put(bytes);
            return Ok(());
        }
        self.send(bytes)
    }

    /// Sends what was written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() { Ok(()) } else { self.send(&[]) }
    }

    /// Sends what was written, and these bytes, without a copy.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Wire { stream, output, .. } = self;
        time::timeout(self.write_timeout, || {
            let mut pieces = [IoSlice::new(output), IoSlice::new(bytes)];
            let mut rest = &mut pieces[..];
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match stream.write_vectored(rest)? {
                    0 => return Err(ErrorKind::WriteZero.into()),
                    sent => IoSlice::advance_slices(&mut rest, sent),
                }
            }
            io::Result::Ok(())
        })??;
        self.output.clear();
        Ok(())
    }

    /// From now on the client has to send this fast, when it is waited for; `None`, no longer.
    pub(crate) fn pace(&mut self, rate: Option<MinRate>) {
        if self.is_paced != rate.is_some() {
            self.is_paced = rate.is_some();
            self.stream.set_min_read_rate(rate);
        }
    }

    /// Ends the connection so that the client gets what was sent, though it may be sending still: what came and was not
    /// read would reset it. RFC 9112, section 9.6.
    pub(crate) fn part(&mut self) -> io::Result<()> {
        self.flush()?;
        self.stream.shutdown(Shutdown::Write)?;
        self.pace(None);
        let (time, bytes) = FAREWELL;
        time::deadline(Instant::now() + time, || {
            let mut unread = [0; FIRST];
            let mut count = 0;
            while count < bytes {
                match self.stream.read(&mut unread)? {
                    0 => break,
                    more => count += more,
                }
            }
            Ok(())
        })?
    }
}
