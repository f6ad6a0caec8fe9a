//! Bytes, read as the choices of a program.
//!
//! Owns the one rule: whatever the bytes, they mean something. What is missing at the end reads as 0.

/// What is left of the bytes.
pub(super) struct Input<'a> {
    /// Those not read yet.
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { bytes: bytes.iter() }
    }

    /// What to do next; `None` at the end.
    pub(super) fn next(&mut self) -> Option<u8> {
        self.bytes.next().copied()
    }

    /// A detail of what is to be done.
    pub(super) fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// One of `limit`, which is at most 256.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    /// Yes or no.
    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number of any magnitude up to that of `2^bits`: a few significant bits, shifted.
    pub(super) fn magnitude(&mut self, bits: u32) -> u64 {
        let shift = u32::from(self.byte()) % bits.max(1);
        u64::from(self.byte()) << shift
    }
}
