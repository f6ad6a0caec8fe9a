//! A request and the response to it. Reading gives the request's body, writing makes the response's.
//!
//! 1. A response is begun once. What can still become an error response has not been begun.
//! 2. The connection goes on only behind a request that was read to its end, and a response that was written to its.

use std::io::{self, Read, Write};

use dormouse::cancel;
use dormouse::fs::File;

use super::body::Body;
use super::front::Front;
use super::request::{Method, Request};
use super::serve::Date;
use super::status::{METHOD_NOT_ALLOWED, NOT_IMPLEMENTED, NOT_MODIFIED, OK, Refusal, Status};
use super::wire::Wire;

/// The field of a body that only says what the response is.
pub(crate) const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n";

/// The field of what is only there to be read.
pub(crate) const READ_ONLY: &str = "Allow: GET, HEAD, OPTIONS\r\n";

/// How the end of the response's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    /// Invariant 1: not begun.
    Owed,
    /// So many bytes are left of it.
    Length(u64),
    /// As in `Length`, but nobody asked for them: HEAD.
    Unsent,
    Chunked,
    /// By the connection's end, for clients of HTTP/1.0.
    ToTheEnd,
}

#[derive(Debug)]
pub(crate) struct Exchange<'a, 'w> {
    wire: &'a mut Wire<'w>,
    pub(crate) request: &'a Request,
    body: Body,
    reply: Reply,
    /// The status of the response, and the bytes of its body, for the log.
    pub(crate) told: (u16, u64),
    /// Invariant 2.
    goes_on: bool,
    /// Whether the rest of the request's body will be read after the response was begun.
    reads_on: bool,
}

impl<'a, 'w> Exchange<'a, 'w> {
    pub(crate) fn new(wire: &'a mut Wire<'w>, request: &'a Request, body: Body) -> Exchange<'a, 'w> {
        let goes_on = request.persists;
        Exchange { wire, request, body, reply: Reply::Owed, told: (0, 0), goes_on, reads_on: false }
    }

    /// Whether an error can still be told.
    pub(crate) fn is_owed(&self) -> bool {
        self.reply == Reply::Owed
    }

    /// Promises to read the request's body to its end, beside writing the response.
    pub(crate) fn read_on(&mut self) {
        self.reads_on = true;
    }

    /// Begins the response. `length` is that of its body, `None` if nobody knows yet; `fields` are whole lines.
    pub(crate) fn begin(&mut self, status: Status, length: Option<u64>, fields: &str) -> io::Result<()> {
        debug_assert!(self.is_owed(), "invariant 1");
        // A client that is told of the end sends no more requests.
        self.goes_on &= self.reads_on || !self.body.is_in_the_way();
        self.goes_on &= !cancel::is_cancelled();
        self.goes_on &= length.is_some() || !self.request.is_old;
        self.told.0 = status.0;
        let head = Head { status, length, fields, goes_on: self.goes_on, is_old: self.request.is_old };
        head.write(self.wire)?;
        let is_unsent = self.request.method == Method::Head || status == NOT_MODIFIED;
        self.reply = match length {
            _ if is_unsent => Reply::Unsent,
            Some(length) => Reply::Length(length),
            None if self.request.is_old => Reply::ToTheEnd,
            None => Reply::Chunked,
        };
        Ok(())
    }

    /// A response that is here as a whole.
    pub(crate) fn answer(&mut self, status: Status, body: &[u8], fields: &str) -> io::Result<()> {
        self.begin(status, Some(body.len() as u64), fields)?;
        self.write_all(body)
    }

    /// A response that only says what it is.
    pub(crate) fn tell(&mut self, status: Status, fields: &str) -> io::Result<()> {
        self.answer(status, format!("{status}\n").as_bytes(), &format!("{TEXT}{fields}"))
    }

    /// Refuses the request. The connection goes on if it can.
    pub(crate) fn refuse(&mut self, refusal: Refusal) -> io::Result<()> {
        let text = format!("{refusal}\n");
        self.answer(refusal.status, text.as_bytes(), TEXT)
    }

    /// For a target that is only there to be read. Gives whether that is what the client wants; else it has its answer.
    pub(crate) fn only_reads(&mut self) -> io::Result<bool> {
        match self.request.method {
            Method::Get | Method::Head => return Ok(true),
            Method::Options => self.answer(OK, b"", READ_ONLY)?,
            Method::Other => self.tell(METHOD_NOT_ALLOWED, READ_ONLY)?,
            Method::Unknown => self.tell(NOT_IMPLEMENTED, READ_ONLY)?,
        }
        Ok(false)
    }

    /// Sends a part of a file, which was begun with its length, without reading it.
    pub(crate) fn send_file(&mut self, file: &File, first: u64, count: u64) -> io::Result<()> {
        let Reply::Length(left) = &mut self.reply else {
            return Ok(());
        };
        debug_assert_eq!(*left, count, "what its head says");
        let sent = self.wire.send_file(file, first, count)?;
        *left -= sent;
        self.told.1 += sent;
        match *left {
            0 => Ok(()),
            _ => Err(io::Error::other("the file has become shorter")),
        }
    }

    /// The end of the response. Gives whether the connection goes on.
    pub(crate) fn finish(&mut self) -> io::Result<bool> {
        match self.reply {
            Reply::Owed | Reply::Length(1..) => return Err(io::Error::other("a response that is not complete")),
            Reply::Chunked => self.wire.write_all(b"0\r\n\r\n")?,
            Reply::Length(0) | Reply::Unsent | Reply::ToTheEnd => {}
        }
        let goes_on = self.goes_on && self.body.discard(self.wire)?;
        self.wire.pace(None);
        Ok(goes_on)
    }
}

/// The body of the request.
impl Read for Exchange<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(self.wire, buffer)
    }
}

/// The body of the response, which must have been begun. A write takes all; each is one chunk where the length is not known.
impl Write for Exchange<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.reply {
            _ if bytes.is_empty() => return Ok(0),
            Reply::Owed => return Err(io::Error::other("a body before its head")),
            Reply::Unsent => return Ok(bytes.len()),
            Reply::Length(left) => {
                let rest = left.checked_sub(bytes.len() as u64);
                *left = rest.ok_or_else(|| io::Error::other("a body longer than its head says"))?;
                self.wire.write_all(bytes)?;
            }
            Reply::Chunked => {
                write!(self.wire, "{:x}\r\n", bytes.len())?;
                self.wire.write_all(bytes)?;
                self.wire.write_all(b"\r\n")?;
            }
            Reply::ToTheEnd => self.wire.write_all(bytes)?,
        }
        self.told.1 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.flush()
    }
}

/// The head of a response.
pub(crate) struct Head<'a> {
    pub(crate) status: Status,
    /// `None` for chunks, or for the connection's end.
    pub(crate) length: Option<u64>,
    /// The other fields, each a line with its end.
    pub(crate) fields: &'a str,
    pub(crate) goes_on: bool,
    /// Whether the client is of HTTP/1.0.
    pub(crate) is_old: bool,
}

impl Head<'_> {
    pub(crate) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        debug_assert!(self.fields.is_empty() || self.fields.ends_with("\r\n"), "whole lines");
        output.write_all(self.front().bytes())?;
        output.write_all(self.fields.as_bytes())?;
        match (self.goes_on, self.is_old) {
            (true, false) => output.write_all(b"\r\n"),
            (true, true) => output.write_all(b"Connection: keep-alive\r\n\r\n"),
            (false, _) => output.write_all(b"Connection: close\r\n\r\n"),
        }
    }

    /// The lines that each response has.
    #[inline]
    fn front(&self) -> Front {
        let mut front = Front::new();
        front.status(self.status);
        front.push(&Date::noted());
        match self.length {
            _ if self.status == NOT_MODIFIED => {}
            Some(length) => {
                front.push(b"Content-Length: ");
                front.number(length);
                front.push(b"\r\n");
            }
            None if self.is_old => {}
            None => front.push(b"Transfer-Encoding: chunked\r\n"),
        }
        front
    }
}
