//! The body back, with any method: at once if it is short, while it comes if it is not.
//!
//! A client that sends a long body without reading what comes back meets the limits of time, once the buffers of both
//! kernels are full.

use std::io::{self, Read, Write};

use super::exchange::Exchange;
use super::framing::Framing;
use super::status::OK;

/// Up to here a body is read to its end before the response begins, so that what is wrong with it can still be told.
const SHORT: usize = 64 * 1024;

const BYTES: &str = "Content-Type: application/octet-stream\r\n";

/// At `/echo`.
pub(crate) fn echo(exchange: &mut Exchange<'_, '_>) -> io::Result<()> {
    let known = match exchange.request.framing {
        Framing::Length(length) => Some(length),
        Framing::Chunked => None,
    };
    let mut piece = vec![0; known.map_or(SHORT, |length| length.min(SHORT as u64) as usize)];
    let begun = fill(exchange, &mut piece)?;
    if known.is_none() && begun < SHORT || known == Some(begun as u64) {
        // Chunked goes back chunked, so that each kind of body can be tried.
        exchange.begin(OK, known, BYTES)?;
        return exchange.write_all(&piece[..begun]);
    }
    exchange.read_on();
    exchange.begin(OK, known, BYTES)?;
    exchange.write_all(&piece[..begun])?;
    loop {
        match exchange.read(&mut piece)? {
            0 => return Ok(()),
            count => exchange.write_all(&piece[..count])?,
        }
        exchange.flush()?;
    }
}

/// Reads until there is no more room, or no more body.
fn fill(exchange: &mut Exchange<'_, '_>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match exchange.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
