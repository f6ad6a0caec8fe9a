//! Says which coroutine overflowed its stack.
//!
//! Owns what the fault handler may read about the running coroutine, and the message. Everything here runs inside a
//! signal handler: no allocation, no lock, no borrow of a cell that the interrupted code may hold.

#![allow(unsafe_code)]

use crate::remote::{Body, Record, RecordRef};
use crate::stack::Extent;
use crate::sys::fault;
use std::fmt::{self, Write};
use std::sync::Arc;

/// What runs on which stack; valid while it is the worker's running coroutine.
#[derive(Clone, Copy)]
pub(crate) struct OnStack {
    /// The coroutine, kept alive by its slot.
    record: *const Record<dyn Body>,
    /// Its stack.
    stack: Extent,
}

impl OnStack {
    #[inline]
    pub(crate) fn new(record: &RecordRef, stack: Extent) -> OnStack {
        OnStack { record: Arc::as_ptr(record), stack }
    }
}

impl OnStack {
    /// Reports an overflow if `address` is in the guard, `guard_size` bytes.
    ///
    /// # Safety
    ///
    /// It is the running coroutine's.
    pub(crate) unsafe fn explain(self, address: usize, guard_size: usize) -> bool {
        let overflown = self.stack.guard_covers(address, guard_size);
        if overflown {
            // SAFETY: the running coroutine's slot holds a reference to its record until it has ended.
            report(unsafe { &*self.record }, self.stack.size());
        }
        overflown
    }
}

fn report(record: &Record<dyn Body>, size: usize) {
    let mut line = Line::new();
    // A name too long for the line is cut, which is the only way this can fail.
    let _ = writeln!(
        line,
        "\ndormouse: coroutine '{}', spawned at {}, overflowed its stack of {size} bytes",
        record.display_name(),
        record.spawned_at,
    );
    fault::report(line.bytes());
}

/// A line of text in place.
struct Line {
    /// The text.
    text: [u8; 512],
    /// How much of it is written.
    len: usize,
}

impl Line {
    fn new() -> Line {
        Line { text: [0; 512], len: 0 }
    }

    fn bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

impl Write for Line {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = self.text.len() - self.len;
        let taken = piece.len().min(room);
        self.text[self.len..self.len + taken].copy_from_slice(&piece.as_bytes()[..taken]);
        self.len += taken;
        if taken == piece.len() { Ok(()) } else { Err(fmt::Error) }
    }
}
