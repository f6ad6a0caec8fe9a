//! The head of a request: what `httparse` makes of its syntax, and what RFC 9112 asks for beyond that. Pure.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::conditions::Conditions;
use super::framing::{Framing, Lengths};
use super::status::{EXPECTATION_FAILED, FIELDS_TOO_LARGE, NOT_IMPLEMENTED, Refusal, VERSION_NOT_SUPPORTED};
use super::target::{self, Target};

/// The most fields of a head.
const FIELDS: usize = 100;

/// The most fields of nearly all heads: a place for more would be another page of the stack.
const FEW_FIELDS: usize = 24;

/// What is to be done: RFC 9110, section 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Options,
    /// One that HTTP has, and that the echo alone serves.
    Other,
    /// One that HTTP does not have.
    Unknown,
}

/// A head, as the rest of the program needs it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Target,
    /// Whether it is of HTTP/1.0.
    pub(crate) is_old: bool,
    pub(crate) framing: Framing,
    /// Whether the client wants to go on with this connection.
    pub(crate) persists: bool,
    /// Whether the client waits for a word before it sends the body.
    pub(crate) expects_continue: bool,
    /// What a file is asked for only under, if anything.
    pub(crate) conditions: Option<Box<Conditions>>,
}

impl Request {
    /// Reads a head from the front of `bytes`, which begins with no empty line, and gives its length, too; `None` if it
    /// goes on beyond them.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(usize, Request)>, Refusal> {
        Request::parse_up_to::<FEW_FIELDS>(bytes)
    }

    #[inline(never)]
    fn parse_up_to<const MOST: usize>(bytes: &[u8]) -> Result<Option<(usize, Request)>, Refusal> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST];
        let mut head = httparse::Request::new(&mut []);
        match head.parse_with_uninit_headers(bytes, &mut fields) {
            Ok(Status::Partial) => Ok(None),
            Ok(Status::Complete(length)) => Ok(Some((length, Request::of(&head)?))),
            Err(httparse::Error::TooManyHeaders) if MOST < FIELDS => Request::parse_up_to::<FIELDS>(bytes),
            // Which version it is, is told by the whole line.
            Err(httparse::Error::Version) if !bytes.contains(&b'\n') => Ok(None),
            Err(error) => Err(refusal(error, bytes)),
        }
    }

    fn of(head: &httparse::Request<'_, '_>) -> Result<Request, Refusal> {
        let method = method(head.method.unwrap_or_default())?;
        let (target, _) = Target::parse(head.path.unwrap_or_default())?;
        if target == Target::Server && method != Method::Options {
            return Err(Refusal::bad("a target for OPTIONS only"));
        }
        let is_old = head.version == Some(0);
        let seen = Fields::read(head.headers)?;
        if !seen.host && !is_old {
            return Err(Refusal::bad("no Host"));
        }
        // What came with HTTP/1.1 is nothing in HTTP/1.0: RFC 9110, section 10.1.1.
        if seen.unknown_expectation && !is_old {
            return Err(Refusal::new(EXPECTATION_FAILED, "an unknown expectation"));
        }
        Ok(Request {
            method,
            target,
            is_old,
            framing: seen.lengths.framing(is_old)?,
            persists: !seen.close && (!is_old || seen.keep_alive),
            expects_continue: seen.expects_continue && !is_old,
            conditions: seen.conditions,
        })
    }
}

/// What was found among the fields.
#[derive(Default)]
struct Fields {
    lengths: Lengths,
    host: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    unknown_expectation: bool,
    conditions: Option<Box<Conditions>>,
}

impl Fields {
    fn read(headers: &[Header<'_>]) -> Result<Fields, Refusal> {
        let mut fields = Fields::default();
        for header in headers {
            fields.note(header.name, header.value)?;
        }
        Ok(fields)
    }

    /// By length first: most fields of most requests are of no interest here.
    fn note(&mut self, name: &str, value: &[u8]) -> Result<(), Refusal> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is("host") => self.host(value)?,
            6 if is("expect") => match value.eq_ignore_ascii_case(b"100-continue") {
                true => self.expects_continue = true,
                false => self.unknown_expectation = true,
            },
            10 if is("connection") => self.connection(value),
            14 if is("content-length") => self.lengths.content_length(value)?,
            17 if is("transfer-encoding") => self.lengths.transfer_encoding(value)?,
            _ => Conditions::note(&mut self.conditions, name, value),
        }
        Ok(())
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.host {
            return Err(Refusal::bad("more than one Host"));
        }
        self.host = true;
        target::is_authority(value).then_some(()).ok_or(Refusal::bad("a malformed Host"))
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

fn method(name: &str) -> Result<Method, Refusal> {
    match name {
        "GET" => Ok(Method::Get),
        "HEAD" => Ok(Method::Head),
        "OPTIONS" => Ok(Method::Options),
        "POST" | "PUT" | "DELETE" | "PATCH" | "TRACE" => Ok(Method::Other),
        // What follows its head is no longer HTTP.
        "CONNECT" => Err(Refusal::new(NOT_IMPLEMENTED, "this server is no proxy")),
        _ => Ok(Method::Unknown),
    }
}

fn refusal(error: httparse::Error, bytes: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName => Refusal::bad("a malformed field name, or a folded line"),
        httparse::Error::HeaderValue => Refusal::bad("a malformed field value"),
        httparse::Error::NewLine => Refusal::bad("a malformed end of a line"),
        httparse::Error::TooManyHeaders => Refusal::new(FIELDS_TOO_LARGE, "too many fields"),
        httparse::Error::Version if has_other_version(bytes) => {
            Refusal::new(VERSION_NOT_SUPPORTED, "neither HTTP/1.1 nor HTTP/1.0")
        }
        _ => Refusal::bad("a malformed request line"),
    }
}

/// Whether the request line ends like one of another version.
fn has_other_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes).trim_ascii_end();
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or(line);
    matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}
