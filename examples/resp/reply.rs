//! What is said to a client, in either version of the protocol.

use std::fmt;

use super::failure::Failure;
use super::lines::Outcome;
use super::number::with_integer;

/// What one command may say that says the same again and again, as often as it is asked to: the longest value that there
/// is unless set.
const REPEATED: usize = 512 << 20;

/// The answers to what a client has sent at a time.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    /// Whether the client speaks version 3.
    pub(crate) is_new: bool,
    /// Beyond so many bytes nothing long is put in, and the client is to be disconnected.
    pub(crate) most: usize,
}

impl Reply {
    pub(crate) fn of_version(is_new: bool) -> Reply {
        Reply { bytes: Vec::new(), is_new, most: usize::MAX }
    }

    /// Whether it was too long at any time: what there is of it is not the whole.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.bytes.len() > self.most || self.most == 0
    }

    /// Takes back all of what is too long already, and holds as good as nothing from now on.
    #[cold]
    pub(crate) fn cut(&mut self) {
        (self.bytes, self.most) = (Vec::new(), 0);
    }

    /// Has `put` put in one thing, so often, unless that is too long.
    pub(crate) fn repeat(&mut self, count: u64, mut put: impl FnMut(&mut Reply)) {
        let most = self.most.min(self.bytes.len().saturating_add(REPEATED));
        for _ in 0..count {
            if self.bytes.len() > most {
                return self.cut();
            }
            put(self);
        }
    }

    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[inline]
    pub(crate) fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    pub(crate) fn simple(&mut self, text: &str) {
        self.raw(b"+");
        self.raw(text.as_bytes());
        self.raw(b"\r\n");
    }

    /// An error. What would end its line is a space in it.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        self.raw(b"-");
        self.bytes.extend(failure.text().iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
        self.raw(b"\r\n");
    }

    #[inline]
    fn number(&mut self, kind: u8, value: i64) {
        self.bytes.push(kind);
        with_integer(value, |text| self.raw(text));
        self.raw(b"\r\n");
    }

    #[inline]
    pub(crate) fn integer(&mut self, value: i64) {
        self.number(b':', value);
    }

    pub(crate) fn count(&mut self, value: usize) {
        self.integer(value as i64);
    }

    pub(crate) fn truth(&mut self, value: bool) {
        self.integer(i64::from(value));
    }

    #[inline]
    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        if self.bytes.len() > self.most {
            return;
        }
        self.bytes.reserve(bytes.len() + 16);
        self.number(b'$', bytes.len() as i64);
        self.raw(bytes);
        self.raw(b"\r\n");
    }

    /// One that is there, or nothing.
    #[inline]
    pub(crate) fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    pub(crate) fn text(&mut self, text: impl fmt::Display) {
        self.bulk(text.to_string().as_bytes());
    }

    /// Text for people.
    pub(crate) fn verbatim(&mut self, text: &str) {
        if !self.is_new {
            return self.bulk(text.as_bytes());
        }
        self.number(b'=', text.len() as i64 + 4);
        self.raw(b"txt:");
        self.raw(text.as_bytes());
        self.raw(b"\r\n");
    }

    #[inline]
    pub(crate) fn null(&mut self) {
        self.raw(if self.is_new { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// In place of an array.
    pub(crate) fn null_array(&mut self) {
        self.raw(if self.is_new { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(crate) fn array(&mut self, length: usize) {
        self.number(b'*', length as i64);
    }

    /// As many pairs follow.
    pub(crate) fn map(&mut self, pairs: usize) {
        match self.is_new {
            true => self.number(b'%', pairs as i64),
            false => self.array(2 * pairs),
        }
    }

    pub(crate) fn set(&mut self, length: usize) {
        self.number(if self.is_new { b'~' } else { b'*' }, length as i64);
    }

    /// What no command asked for.
    pub(crate) fn push(&mut self, length: usize) {
        self.number(if self.is_new { b'>' } else { b'*' }, length as i64);
    }

    pub(crate) fn bulks<'a>(&mut self, all: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.array(all.len());
        all.for_each(|bytes| self.bulk(bytes));
    }

    /// Lines, as help is given.
    pub(crate) fn lines(&mut self, lines: &[&str]) {
        self.array(lines.len());
        lines.iter().for_each(|line| self.simple(line));
    }

    /// A value, and the list that it was popped from.
    pub(crate) fn popped(&mut self, key: &[u8], value: &[u8]) {
        self.array(2);
        self.bulk(key);
        self.bulk(value);
    }

    pub(crate) fn popped_many(&mut self, key: &[u8], values: &[Box<[u8]>]) {
        self.array(2);
        self.bulk(key);
        self.bulks(values.iter().map(|value| &value[..]));
    }

    /// What came of waiting for a list; `None` if nothing came in time.
    pub(crate) fn outcome(&mut self, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Popped(key, value)) => self.popped(&key, &value),
            Some(Outcome::PoppedMany(key, values)) => self.popped_many(&key, &values),
            Some(Outcome::Moved(value)) => self.bulk(&value),
            Some(Outcome::Failed(failure)) => self.failure(&failure),
            Some(Outcome::Nothing) | None => self.null_array(),
        }
    }
}
