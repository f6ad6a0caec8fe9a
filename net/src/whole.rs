//! Writing until nothing is left.
//!
//! Owns what to do with a write that took only a part. Must never know what is written to.

use std::io::{self, IoSlice};

/// Writes all of `bufs`, of which each `write` takes a part from the front; what is left of them was not written.
pub(crate) fn write_all_vectored(
    mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    bufs: &mut [IoSlice<'_>],
) -> io::Result<()> {
    let mut left = bufs;
    // Empty ones first: a write of nothing but those takes nothing, which is no error.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match write(left)? {
            0 => return Err(none_written()),
            written => IoSlice::advance_slices(&mut left, written),
        }
    }
    Ok(())
}

/// The error of a write that takes nothing, with std's kind and message.
pub(crate) fn none_written() -> io::Error {
    io::Error::new(io::ErrorKind::WriteZero, "failed to write whole buffer")
}
