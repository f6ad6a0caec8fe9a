//! Where a command ends and the next one begins, in either form: an array of bulk strings, or a line of text.
//!
//! Knows bytes, and neither where they come from nor what a command means. What Redis is lenient with, this is, too:
//! the byte behind a carriage return is not looked at.
//!
//! 1. `parse` is called with all bytes from the command's first on. What was understood at one call is not read again
//!    at the next: a command that comes byte by byte costs no more than its bytes.
//! 2. A span is counted from the command's first byte, or, for a line of text, in `line`.

use super::args::{Args, Span};
use super::line;
use super::number;

/// The most bytes of a line.
const LINE: usize = 64 * 1024;

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A command of so many bytes; of no words, if there is nothing to be done.
    Whole(usize),
    /// The beginning of one. So many more bytes are missing at the least.
    Part(usize),
}

/// What a client said that no client may say. The connection ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    InlineTooBig,
    Quotes,
    CountTooBig,
    Count,
    LengthTooBig,
    Length,
    NoBulk(u8),
}

/// The command under way.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// Its words so far.
    spans: Vec<Span>,
    /// Where the next thing to be understood begins.
    position: usize,
    /// Words to come; 0 until their number is known.
    missing: usize,
    /// The length of the next word, once known.
    length: Option<usize>,
    /// The words of a line of text, without quotes.
    line: Vec<u8>,
    is_line: bool,
    /// Whether the command is whole, so that the next call begins anew.
    is_done: bool,
}

impl Parser {
    /// Looks at `bytes`, in which no word may be longer than `longest`.
    pub(crate) fn parse(&mut self, bytes: &[u8], longest: usize) -> Result<Parsed, Malformed> {
        if self.is_done {
            self.begin();
        }
        let parsed = match bytes.first() {
            None => Parsed::Part(1),
            Some(b'*') => self.array(bytes, longest)?,
            Some(_) => self.text(bytes)?,
        };
        self.is_done = matches!(parsed, Parsed::Whole(_));
        Ok(parsed)
    }

    /// The words of the command that was found in `bytes`.
    pub(crate) fn args<'a>(&'a self, bytes: &'a [u8]) -> Args<'a> {
        Args::new(if self.is_line { &self.line } else { bytes }, &self.spans)
    }

    fn begin(&mut self) {
        self.spans.clear();
        self.line.clear();
        (self.position, self.missing, self.length) = (0, 0, None);
        (self.is_line, self.is_done) = (false, false);
        // One long command is not held for ever.
        if self.spans.capacity() > 256 || self.line.capacity() > 4096 {
            (self.spans, self.line) = (Vec::new(), Vec::new());
        }
    }

    fn array(&mut self, bytes: &[u8], longest: usize) -> Result<Parsed, Malformed> {
        if self.missing == 0 {
            let Some(count) = self.number(bytes, Malformed::CountTooBig)? else {
                return Ok(Parsed::Part(1));
            };
            let count = count.filter(|count| *count <= i64::from(i32::MAX)).ok_or(Malformed::Count)?;
            if count <= 0 {
                return Ok(Parsed::Whole(self.position));
            }
            self.missing = count as usize;
        }
        while self.missing > 0 {
            if let Some(part) = self.bulk(bytes, longest)? {
                return Ok(part);
            }
        }
        Ok(Parsed::Whole(self.position))
    }

    /// One word; gives something if it is not there yet.
    #[inline]
    fn bulk(&mut self, bytes: &[u8], longest: usize) -> Result<Option<Parsed>, Malformed> {
        let length = match self.length {
            Some(length) => length,
            None => match self.bulk_length(bytes, longest)? {
                Some(length) => length,
                None => return Ok(Some(Parsed::Part(1))),
            },
        };
        let end = self.position + length + 2;
        if bytes.len() < end {
            self.length = Some(length);
            return Ok(Some(Parsed::Part(end - bytes.len())));
        }
        self.spans.push((self.position, end - 2));
        self.position = end;
        self.length = None;
        self.missing -= 1;
        Ok(None)
    }

    #[inline]
    fn bulk_length(&mut self, bytes: &[u8], longest: usize) -> Result<Option<usize>, Malformed> {
        let first = bytes.get(self.position).copied();
        let Some(length) = self.number(bytes, Malformed::LengthTooBig)? else {
            return Ok(None);
        };
        match first {
            Some(b'$') => {}
            other => return Err(Malformed::NoBulk(other.unwrap_or(0))),
        }
        let length = length.and_then(|length| usize::try_from(length).ok());
        length.filter(|length| *length <= longest).ok_or(Malformed::Length).map(Some)
    }

    /// The number behind a byte that says of what; `None` while its line is not there, `Some(None)` if it is no number.
    #[inline]
    fn number(&mut self, bytes: &[u8], endless: Malformed) -> Result<Option<Option<i64>>, Malformed> {
        let rest = bytes.get(self.position..).unwrap_or_default();
        // As strchr(3), which ends at a zero.
        let found = rest.iter().position(|byte| *byte == b'\r' || *byte == 0).filter(|at| rest[*at] == b'\r');
        let Some(at) = found else {
            return if rest.len() > LINE { Err(endless) } else { Ok(None) };
        };
        // With what follows a carriage return.
        if at + 2 > rest.len() {
            return Ok(None);
        }
        self.position += at + 2;
        Ok(Some(number::integer(rest.get(1..at).unwrap_or_default())))
    }

    /// A line of text.
    fn text(&mut self, bytes: &[u8]) -> Result<Parsed, Malformed> {
        let from = self.position;
        let found = bytes[from..].iter().position(|byte| *byte == b'\n' || *byte == 0).map(|at| at + from);
        let Some(at) = found.filter(|at| bytes[*at] == b'\n') else {
            // A zero is the end of what is looked at.
            self.position = found.unwrap_or(bytes.len());
            return if bytes.len() > LINE { Err(Malformed::InlineTooBig) } else { Ok(Parsed::Part(1)) };
        };
        let text = bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]);
        self.is_line = true;
        line::split(text, &mut self.line, &mut self.spans).ok_or(Malformed::Quotes)?;
        Ok(Parsed::Whole(at + 1))
    }
}

/// As it is told to the client.
impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Protocol error: ")?;
        f.write_str(match self {
            Malformed::InlineTooBig => "too big inline request",
            Malformed::Quotes => "unbalanced quotes in request",
            Malformed::CountTooBig => "too big mbulk count string",
            Malformed::Count => "invalid multibulk length",
            Malformed::LengthTooBig => "too big bulk count string",
            Malformed::Length => "invalid bulk length",
            Malformed::NoBulk(byte) => return write!(f, "expected '$', got '{}'", char::from(*byte)),
        })
    }
}
