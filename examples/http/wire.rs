//! A client's connection, with the bytes that came and are not read, and those written and not sent.
//!
//! Knows limits of time, and nothing of HTTP.
//!
//! 1. What was written is sent (`flush`) before anything waits for the client (`receive`, `receive_into`): a client may
//!    wait for the answer to one request before it sends the next. They are apart since they fail for different
//!    reasons.
//! 2. A connection without a request holds no buffer: the library's have memory only while there is something in it.
//! 3. Nothing is sent without a limit of time.

use std::io::{self, BufRead, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use dormouse::net::{BufReader, BufWriter, MinRate, TcpStream};
use dormouse::time;

use super::serve;

/// The fewest bytes that a buffer for what comes has.
const INPUT: usize = 4 * 1024;

/// What is written is sent once it is so much.
const OUTPUT: usize = 16 * 1024;

/// So many bytes a client takes within the limit of time for writing.
const TIMED: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Wire<'a> {
    stream: &'a TcpStream,
    /// What came and is not consumed.
    input: BufReader<&'a TcpStream>,
    /// What is written and not sent.
    output: BufWriter<&'a TcpStream>,
    /// How long the client may take for each `TIMED` bytes.
    write_timeout: Duration,
    /// Whether the client's pace is watched.
    is_paced: bool,
}

impl<'a> Wire<'a> {
    /// At least `ahead` bytes can be there without being consumed.
    pub(crate) fn new(stream: &'a TcpStream, ahead: usize, write_timeout: Duration) -> Wire<'a> {
        let input = BufReader::with_capacity(ahead.max(INPUT), stream);
        Wire { stream, input, output: BufWriter::with_capacity(OUTPUT, stream), write_timeout, is_paced: false }
    }

    /// What came and is not consumed.
    pub(crate) fn buffered(&self) -> &[u8] {
        self.input.buffer()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.input.consume(count);
    }

    /// Waits for more behind what is there, and gives how many bytes; 0 is the end of what the client sends.
    pub(crate) fn receive(&mut self) -> io::Result<usize> {
        debug_assert!(self.output.buffer().is_empty(), "invariant 1");
        self.input.read_more()
    }

    /// Waits for bytes behind those that are buffered, of which there are none, and puts them elsewhere.
    pub(crate) fn receive_into(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        debug_assert!(self.buffered().is_empty(), "they come first");
        debug_assert!(self.output.buffer().is_empty(), "invariant 1");
        self.input.read(buffer)
    }

    /// As `flush`, where the limit of time counts from `now`.
    pub(crate) fn flush_since(&mut self, now: Instant) -> io::Result<()> {
        match self.output.buffer().is_empty() {
            true => Ok(()),
            false => time::deadline(now + self.write_timeout, || self.output.flush())?,
        }
    }

    /// Sends a part of a file, behind what was written, and gives how much there was of it.
    pub(crate) fn send_file(&mut self, file: &impl AsFd, offset: u64, count: u64) -> io::Result<u64> {
        // So that what was written goes in one segment with the first bytes of the file.
        self.stream.set_cork(true)?;
        self.flush()?;
        // A limit for a file as a whole would have to know how long it is, and how fast the client.
        let rate = (TIMED as f64 / self.write_timeout.as_secs_f64()) as u32;
        self.stream.set_min_write_rate(Some(MinRate::bytes_per_second(rate).over(self.write_timeout)));
        let mut sent = 0;
        while sent < count {
            match self.stream.send_file(file, offset + sent, count - sent)? {
                0 => break,
                moved => sent += moved,
            }
        }
        self.stream.set_cork(false)?;
        Ok(sent)
    }

    #[cold]
    fn write_all_timed(&mut self, bytes: &[u8]) -> io::Result<()> {
        let limit = self.write_timeout * bytes.len().div_ceil(TIMED) as u32;
        time::timeout(limit, || self.output.write_all(bytes))?
    }

    /// From now on the client has to send this fast, when it is waited for; `None`, no longer.
    pub(crate) fn pace(&mut self, rate: Option<MinRate>) {
        if self.is_paced != rate.is_some() {
            self.is_paced = rate.is_some();
            self.stream.set_min_read_rate(rate);
        }
    }

    /// Ends the connection so that the client gets what was sent. RFC 9112, section 9.6.
    pub(crate) fn part(&mut self) -> io::Result<()> {
        self.flush()?;
        self.pace(None);
        serve::part(self.stream)
    }
}

/// Sends only what there is no more room for, until the flush.
impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match bytes.len() <= OUTPUT - self.output.buffer().len() {
            true => self.output.write_all(bytes),
            false => self.write_all_timed(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_since(Instant::now())
    }
}

/// Invariant 3: the library would try once more to send what could not be sent, and wait.
impl Drop for Wire<'_> {
    fn drop(&mut self) {
        if !self.output.buffer().is_empty() {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}
