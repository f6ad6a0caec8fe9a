//! The body of a request, as it comes.

use std::io::{self, ErrorKind, Write};

use dormouse::net::MinRate;

use super::chunks::{Chunks, Piece};
use super::framing::Framing;
use super::serve::Date;
use super::status::{CONTENT_TOO_LARGE, REQUEST_TIMEOUT, Refusal};
use super::wire::Wire;

/// The most bytes of a body that are read for nothing, so that the connection can go on.
pub(crate) const DISCARDED: u64 = 64 * 1024;

/// What is left of a body.
#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunked(Chunks),
}

#[derive(Debug)]
pub(crate) struct Body {
    rest: Rest,
    /// How many bytes it may still have.
    allowed: u64,
    /// Whether the client waits for a word before it sends it.
    is_awaited: bool,
    /// Whether it could not be read to its end.
    is_broken: bool,
    /// The slowest that it may come.
    rate: MinRate,
}

impl Body {
    /// Refuses one that says at once that it is longer than `allowed`.
    pub(crate) fn new(framing: Framing, is_awaited: bool, allowed: u64, rate: MinRate) -> Result<Body, Refusal> {
        let (rest, length) = match framing {
            Framing::Length(length) => (Rest::Length(length), length),
            Framing::Chunked => (Rest::Chunked(Chunks::new()), 1),
        };
        if framing != Framing::Chunked && length > allowed {
            return Err(Refusal::new(CONTENT_TOO_LARGE, "a body that is too long"));
        }
        Ok(Body { rest, allowed, is_awaited: is_awaited && length > 0, is_broken: false, rate })
    }

    /// Reads some of it, 0 at its end only, or into an empty buffer.
    pub(crate) fn read(&mut self, wire: &mut Wire<'_>, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.read_some(wire, buffer);
        self.is_broken |= outcome.is_err();
        outcome
    }

    pub(crate) fn is_done(&self) -> bool {
        match &self.rest {
            Rest::Length(left) => *left == 0,
            Rest::Chunked(chunks) => chunks.is_done(),
        }
    }

    /// Whether the connection cannot go on behind it, unless somebody reads it. Of a chunked one nobody knows how long it
    /// is: even if its end is here already, the answer is the same as if it were still to come.
    pub(crate) fn is_in_the_way(&self) -> bool {
        let is_long = match &self.rest {
            Rest::Length(left) => *left > DISCARDED,
            Rest::Chunked(chunks) => !chunks.is_done(),
        };
        self.is_broken || self.is_awaited || is_long
    }

    /// Reads the rest of it, if that is little, and tells whether it did.
    #[inline]
    pub(crate) fn discard(&mut self, wire: &mut Wire<'_>) -> io::Result<bool> {
        if self.is_done() { Ok(true) } else { self.discard_rest(wire) }
    }

    #[cold]
    fn discard_rest(&mut self, wire: &mut Wire<'_>) -> io::Result<bool> {
        let (mut buffer, mut count) = ([0; 1024], 0);
        while !self.is_done() && !self.is_in_the_way() && count < DISCARDED {
            count += self.read(wire, &mut buffer)? as u64;
        }
        Ok(self.is_done())
    }

    fn read_some(&mut self, wire: &mut Wire<'_>, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let left = self.data_ahead(wire)?;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let buffer = &mut buffer[..most];
        let buffered = wire.buffered();
        let count = if buffered.is_empty() {
            self.wait(wire, |wire| wire.receive_into(buffer))?
        } else {
            let count = buffered.len().min(most);
            buffer[..count].copy_from_slice(&buffered[..count]);
            wire.consume(count);
            count
        };
        self.take(count as u64);
        Ok(count)
    }

    /// How much data comes next without anything in between; 0 at the end.
    fn data_ahead(&mut self, wire: &mut Wire<'_>) -> io::Result<u64> {
        loop {
            let chunks = match &mut self.rest {
                Rest::Length(left) => return Ok(*left),
                Rest::Chunked(chunks) if chunks.is_done() => return Ok(0),
                Rest::Chunked(chunks) if chunks.data_left() > 0 => return Ok(chunks.data_left()),
                Rest::Chunked(chunks) => chunks,
            };
            let Piece { framing, data } = chunks.next(wire.buffered())?;
            wire.consume(framing);
            if data > self.allowed {
                return Err(Refusal::new(CONTENT_TOO_LARGE, "a body that is too long").into());
            }
            if data == 0 && !self.is_done() {
                self.wait(wire, |wire| wire.receive())?;
            }
        }
    }

    fn take(&mut self, count: u64) {
        match &mut self.rest {
            Rest::Length(left) => *left -= count,
            Rest::Chunked(chunks) => {
                self.allowed -= count;
                chunks.take(count);
            }
        }
    }

    /// Waits for the client, which may wait for a word itself.
    fn wait(
        &mut self,
        wire: &mut Wire<'_>,
        receive: impl FnOnce(&mut Wire<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if std::mem::take(&mut self.is_awaited) {
            wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        wire.flush()?;
        wire.pace(Some(self.rate));
        let received = receive(wire);
        Date::note();
        match received {
            Ok(0) => Err(Refusal::bad("half a body").into()),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                Err(Refusal::new(REQUEST_TIMEOUT, "a body that comes too slowly").into())
            }
            outcome => outcome,
        }
    }
}
