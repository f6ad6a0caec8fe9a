//! The bytes on their way between a caller and a thread of the pool.
//!
//! A call of the pool may outlive its caller, so it cannot read into the caller's memory, nor write from there. Owns
//! the memory that it uses instead, which is kept for the next call, and what was read and nobody has taken yet, the
//! *rest*.
//!
//! Invariant 1: `rest` is within `read`.

use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;

/// The most bytes that one call moves, in bytes. A larger one would hardly be faster: this many take some ten times as
/// long as the way to the pool and back.
pub(super) const LARGEST: usize = 256 * 1024;

/// See the heading.
#[derive(Default)]
pub(super) struct Buffer {
    /// What reads read into; as large as the largest so far.
    read: Vec<u8>,
    /// Where the rest is.
    rest: Range<usize>,
    /// What is to be written.
    write: Vec<u8>,
}

impl Buffer {
    /// What was read and nobody has taken.
    pub(super) fn rest(&self) -> &[u8] {
        &self.read[self.rest.clone()]
    }

    /// Forgets the rest, because somebody has it.
    pub(super) fn clear(&mut self) {
        self.rest = 0..0;
    }

    /// Moves as much of the rest as there is room for; gives how much.
    pub(super) fn take(&mut self, buffers: &mut [IoSliceMut<'_>]) -> usize {
        let before = self.rest.len();
        for buffer in buffers {
            let part = self.rest().len().min(buffer.len());
            buffer[..part].copy_from_slice(&self.rest()[..part]);
            self.rest.start += part;
        }
        before - self.rest.len()
    }

    /// Memory to read up to `asked` bytes into. There must be no rest.
    pub(super) fn space(&mut self, asked: usize) -> &mut [u8] {
        self.clear();
        let asked = asked.min(LARGEST);
        if self.read.len() < asked {
            self.read.resize(asked, 0);
        }
        &mut self.read[..asked]
    }

    /// Says that so many bytes were read into the space given last. They are the rest then.
    pub(super) fn filled(&mut self, count: usize) {
        self.rest = 0..count.min(self.read.len());
    }

    /// Copies as many of the bytes as one call writes.
    pub(super) fn load(&mut self, buffers: &[IoSlice<'_>]) {
        self.write.clear();
        for buffer in buffers {
            let room = LARGEST - self.write.len();
            self.write.extend_from_slice(&buffer[..buffer.len().min(room)]);
        }
    }

    /// What was loaded.
    pub(super) fn loaded(&self) -> &[u8] {
        &self.write
    }
}

/// How many bytes there is room for.
pub(super) fn room(buffers: &[IoSliceMut<'_>]) -> usize {
    buffers.iter().map(|buffer| buffer.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_taken_in_pieces_across_buffers() {
        let mut buffer = Buffer::default();
        buffer.space(10)[..7].copy_from_slice(b"abcdefg");
        buffer.filled(7);
        let (mut first, mut second) = ([0; 2], [0; 3]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(room(&buffers), 5);
        assert_eq!((buffer.take(&mut buffers), buffer.rest()), (5, &b"fg"[..]));
        assert_eq!((&first, &second), (b"ab", b"cde"));
        assert_eq!(buffer.take(&mut [IoSliceMut::new(&mut second)]), 2);
        assert!(buffer.rest().is_empty());
    }

    #[test]
    fn no_call_moves_more_than_the_largest() {
        let (mut buffer, many) = (Buffer::default(), vec![7; LARGEST]);
        buffer.load(&[IoSlice::new(&many[1..]), IoSlice::new(b"xy")]);
        assert_eq!((buffer.loaded().len(), buffer.loaded().last()), (LARGEST, Some(&b'x')));
        assert_eq!(buffer.space(2 * LARGEST).len(), LARGEST);
    }
}
