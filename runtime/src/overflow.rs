//! Says which coroutine overflowed its stack, or aborted the process by what its unwind did.
//!
//! Owns the message. Everything here runs inside a signal handler: no allocation, no lock.

use crate::remote::Record;
use crate::sys::fault;
use std::fmt::{self, Write};

/// Says whose stack of `size` bytes it was.
pub(crate) fn report(record: &Record, size: usize) {
    say(record, format_args!("overflowed its stack of {size} bytes"));
}

/// Says who runs while the process aborts.
pub(crate) fn report_abort(record: &Record) {
    say(record, format_args!("aborts the process by a panic while it unwinds"));
}

fn say(record: &Record, what: fmt::Arguments<'_>) {
    let mut line = Line::new();
    // A name too long for the line is cut, which is the only way this can fail.
    let _ =
        writeln!(line, "\ndormouse: coroutine '{}', spawned at {}, {what}", record.display_name(), record.spawned_at);
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
