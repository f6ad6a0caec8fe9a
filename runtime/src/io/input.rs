//! What was read of standard input and nobody has taken.
//!
//! Invariant 1: what is read is the rest until somebody has taken it, whoever read it.

use std::io::{self, ErrorKind, Read};

/// How much is read at a time, in bytes. std's buffer is as large, and is passed by for that.
const PIECE: usize = 8 * 1024;

/// The most memory that is kept for the next line.
const KEPT: usize = 64 * 1024;

/// See the heading.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The rest, after what was taken already.
    bytes: Vec<u8>,
    /// How many bytes were taken.
    taken: usize,
}

impl Input {
    /// What nobody has taken.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Says that so many bytes of the rest were taken.
    pub(super) fn consume(&mut self, count: usize) {
        self.taken = (self.taken + count).min(self.bytes.len());
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
            self.taken = 0;
        }
    }

    /// Reads more behind the rest, which does not grow at the end of the input.
    pub(super) fn read_more(&mut self, mut from: impl Read) -> io::Result<()> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        let before = self.bytes.len();
        self.bytes.resize(before + PIECE, 0);
        let answer = loop {
            match from.read(&mut self.bytes[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                answer => break answer,
            }
        };
        self.bytes.truncate(before + *answer.as_ref().unwrap_or(&0));
        answer.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_grows_and_is_taken_in_order() {
        let mut input = Input::default();
        input.read_more(&b"one "[..]).unwrap();
        input.consume(1);
        input.read_more(&b"two"[..]).unwrap();
        assert_eq!(input.rest(), b"ne two");
        input.read_more(&b""[..]).unwrap();
        assert_eq!(input.rest(), b"ne two");
        input.consume(6);
        assert!(input.rest().is_empty());
    }

    #[test]
    fn an_error_loses_nothing() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::Other.into())
            }
        }
        let mut input = Input::default();
        input.read_more(&b"text"[..]).unwrap();
        input.read_more(Fails).unwrap_err();
        assert_eq!(input.rest(), b"text");
    }
}
