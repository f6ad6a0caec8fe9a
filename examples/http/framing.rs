//! How long a request's body is: RFC 9112, section 6.3. Pure.
//!
//! Two programs that read the same bytes and find different ends of a message are how requests are smuggled past the
//! first of them. So whatever could be read in two ways is refused, where the RFC leaves a choice.

use super::status::{CONTENT_TOO_LARGE, NOT_IMPLEMENTED, Refusal};

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes; zero without a body.
    Length(u64),
    /// Where its chunks say so.
    Chunked,
}

/// What the fields of a head say so far.
#[derive(Debug, Default)]
pub(crate) struct Lengths {
    /// Content-Length.
    length: Option<u64>,
    /// Whether there was a Transfer-Encoding.
    encoded: bool,
    /// Whether `chunked` was its last coding so far.
    chunked: bool,
    /// Whether there was a coding that this server does not know.
    unknown: bool,
}

impl Lengths {
    /// One field Content-Length. A list is refused, even one of the same number over and over.
    pub(crate) fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::bad("more than one Content-Length"));
        }
        // `parse` would take a sign.
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::bad("the Content-Length is not a number"));
        }
        let number = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
        self.length = Some(number.ok_or(Refusal::new(CONTENT_TOO_LARGE, "the Content-Length does not fit"))?);
        Ok(())
    }

    /// One field Transfer-Encoding; several are one list.
    pub(crate) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.encoded = true;
        for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            // An empty element is none.
            if coding.is_empty() {
                continue;
            }
            if self.chunked {
                return Err(Refusal::bad("chunked is not the last transfer coding"));
            }
            match coding.eq_ignore_ascii_case(b"chunked") {
                true => self.chunked = true,
                false => self.unknown = true,
            }
        }
        Ok(())
    }

    /// The end of the head. `is_old` says that it is of HTTP/1.0.
    pub(crate) fn framing(&self, is_old: bool) -> Result<Framing, Refusal> {
        match (self.encoded, self.length) {
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
            (true, Some(_)) => Err(Refusal::bad("both Content-Length and Transfer-Encoding")),
            (true, None) if is_old => Err(Refusal::bad("Transfer-Encoding in HTTP/1.0")),
            (true, None) if !self.chunked => Err(Refusal::bad("chunked is not the last transfer coding")),
            (true, None) if self.unknown => Err(Refusal::new(NOT_IMPLEMENTED, "an unknown transfer coding")),
            (true, None) => Ok(Framing::Chunked),
        }
    }
}
