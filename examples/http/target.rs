//! Targets of requests: RFC 9112, section 3.2, and the file that one names. Pure.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::status::{NOT_FOUND, Refusal};

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/`.
    Root,
    /// `/echo`.
    Echo,
    /// Another path that begins with a slash, as it was sent, with its query if there is one.
    Path(Box<str>),
    /// The server as a whole, `*`.
    Server,
}

impl Target {
    /// Of a request that is not CONNECT. Gives the authority, too, where the target has one.
    pub(crate) fn parse(text: &str) -> Result<(Target, Option<&str>), Refusal> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Refusal::bad("a character that no target may have"));
        }
        if text == "*" {
            return Ok((Target::Server, None));
        }
        if text.starts_with('/') {
            return Ok((Target::path(text), None));
        }
        let (scheme, rest) = text.split_once("://").ok_or(Refusal::bad("a target of no known form"))?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(Refusal::bad("a target of another scheme"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if !is_authority(authority.as_bytes()) || authority.is_empty() {
            return Err(Refusal::bad("a malformed authority"));
        }
        Ok((if path.starts_with('/') { Target::path(path) } else { Target::path("/") }, Some(authority)))
    }

    fn path(text: &str) -> Target {
        // Most are short: a loop finds the query before a search has begun.
        let end = text.bytes().position(|byte| byte == b'?').unwrap_or(text.len());
        match &text[..end] {
            "/" => Target::Root,
            "/echo" => Target::Echo,
            _ => Target::Path(text.into()),
        }
    }

    /// The path, and the query behind it, which is empty or begins with its question mark.
    pub(crate) fn parts(&self) -> (&str, &str) {
        let text = self.as_str();
        text.split_at(text.find('?').unwrap_or(text.len()))
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Target::Root => "/",
            Target::Echo => "/echo",
            Target::Path(path) => path,
            Target::Server => "*",
        }
    }
}

/// Which bytes may be in the name of a host: RFC 3986, section 3.2.2.
const IN_NAME: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0);
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || is_in(b"-._~%!$&'()*+,;=", byte as u8);
        byte += 1;
    }
    table
};

/// `contains`, which is not const.
const fn is_in(bytes: &[u8], byte: u8) -> bool {
    match bytes {
        [] => false,
        [first, rest @ ..] => *first == byte || is_in(rest, byte),
    }
}

/// Whether it may be the value of Host: a host and perhaps a port. Users are no part of one.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let in_name = |byte: &u8| IN_NAME[*byte as usize];
    let end = match text {
        [b'[', literal @ ..] => match literal.iter().position(|byte| !in_name(byte) && *byte != b':') {
            Some(end) if literal[end] == b']' => end + 2,
            _ => return false,
        },
        name => name.iter().position(|byte| !in_name(byte)).unwrap_or(name.len()),
    };
    match &text[end..] {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The file that a path names, from the root on. Nothing leads out of it: a segment `..` is refused, not resolved, and
/// so is a slash that was written otherwise.
pub(crate) fn file_of(path: &str) -> Result<PathBuf, Refusal> {
    let mut file = PathBuf::new();
    for segment in path.split('/') {
        let segment = decode(segment)?;
        match segment.as_slice() {
            b"" | b"." => {}
            b".." => return Err(Refusal::new(NOT_FOUND, "a path that leads upwards")),
            name if name.contains(&b'/') || name.contains(&0) => {
                return Err(Refusal::new(NOT_FOUND, "a name that no file has"));
            }
            _ => file.push(OsString::from_vec(segment)),
        }
    }
    Ok(file)
}

/// Takes back percent-encoding: RFC 3986, section 2.1.
fn decode(segment: &str) -> Result<Vec<u8>, Refusal> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    let digit = |bytes: &mut std::str::Bytes<'_>| bytes.next().and_then(|byte| (byte as char).to_digit(16));
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => match (digit(&mut bytes), digit(&mut bytes)) {
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                _ => return Err(Refusal::bad("a malformed percent-encoding")),
            },
            byte => byte,
        };
        decoded.push(byte);
    }
    Ok(decoded)
}
