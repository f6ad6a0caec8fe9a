//! What is answered without a file: a line of text, and what the server as a whole can do.

use std::io;

use super::exchange::{Exchange, READ_ONLY};
use super::status::OK;

const GREETING: &[u8] = b"Hello, World!";

/// At `/`.
pub(crate) fn greet(exchange: &mut Exchange<'_, '_>) -> io::Result<()> {
    match exchange.only_reads()? {
        true => exchange.answer(OK, GREETING, "Content-Type: text/plain\r\n"),
        false => Ok(()),
    }
}

/// `OPTIONS *`.
pub(crate) fn options(exchange: &mut Exchange<'_, '_>) -> io::Result<()> {
    exchange.answer(OK, b"", READ_ONLY)
}
