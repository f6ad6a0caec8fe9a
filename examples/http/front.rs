//! The lines that each response begins with, gathered where a part of them costs a few instructions: in a buffer that
//! may have to be sent first, each costs several times as many.
//!
//! 1. They have room: all that differs in length is a reason, which is short, and a number.

use super::status::{OK, Status};

/// Bytes of the longest: the status line, the date, and how the end of the body is told.
const ROOM: usize = 128;

pub(crate) struct Front {
    bytes: [u8; ROOM],
    /// Where those not written yet begin.
    end: usize,
}

impl Front {
    #[inline]
    pub(crate) fn new() -> Front {
        Front { bytes: [0; ROOM], end: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, part: &[u8]) {
        let end = self.end + part.len();
        self.bytes[self.end..end].copy_from_slice(part);
        self.end = end;
    }

    /// The status line.
    #[inline]
    pub(crate) fn status(&mut self, status: Status) {
        if status == OK {
            // Nearly every response.
            return self.push(b"HTTP/1.1 200 OK\r\n");
        }
        self.push(b"HTTP/1.1 ");
        self.number(status.0.into());
        self.push(b" ");
        self.push(status.1.as_bytes());
        self.push(b"\r\n");
    }

    /// In decimal.
    #[inline(always)]
    pub(crate) fn number(&mut self, number: u64) {
        let digit = |number: u64| b'0' + (number % 10) as u8;
        match number {
            0..10 => return self.push(&[digit(number)]),
            10..100 => {}
            _ => self.leading_digits(number / 100),
        }
        self.push(&[digit(number / 10), digit(number)]);
    }

    /// Of a number, all but the last two.
    #[cold]
    fn leading_digits(&mut self, number: u64) {
        self.number(number);
    }
}
