//! Just enough of HTTP/1.1 to see a page in a browser; `examples/http` has all of it.

use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::time::SystemTime;

use dormouse::cancel;
use httparse::{EMPTY_HEADER, Status};

use super::client::{Tls, receive, send};
use super::serve::{Date, within};
use super::server::Server;

const PAGE: &str = "<!doctype html><title>dormouse</title><p>Hello over TLS, from a coroutine.\n";

/// The longest head of a request.
const MAX_HEAD: usize = 8 * 1024;

/// The most fields of a head.
const MAX_FIELDS: usize = 64;

/// What a response begins with, and its body.
type Answer = (&'static str, &'static str);

const FOUND: Answer = ("200 OK", PAGE);
const BAD: Answer = ("400 Bad Request", "no request\n");
const NO_HOST: Answer = ("400 Bad Request", "there is one Host in a request\n");
const NOT_FOUND: Answer = ("404 Not Found", "there is only /\n");
const NOT_ALLOWED: Answer = ("405 Method Not Allowed\r\nAllow: GET, HEAD", "only GET and HEAD\n");
const TOO_LONG: Answer = ("431 Request Header Fields Too Large", "a head that is too long\n");

/// What was asked for.
struct Request {
    /// Bytes of its head.
    length: usize,
    answer: Answer,
    /// Whether there is no body in the answer.
    is_head: bool,
    /// Whether there may be another request.
    goes_on: bool,
}

/// What came and is not read.
type Input = Vec<u8>;

/// Serves requests until one is the last.
pub(crate) fn serve(server: &Server, tls: &mut Tls) -> io::Result<()> {
    let mut input = Input::new();
    loop {
        // Without a request, the server's end strikes here.
        if input.is_empty() && within(server.options.idle_timeout, || receive(tls, &mut input))? == 0 {
            return Ok(());
        }
        if !cancel::shield(|| turn(server, tls, &mut input))? {
            return Ok(());
        }
    }
}

/// One request. Gives whether there may be another.
fn turn(server: &Server, tls: &mut Tls, input: &mut Input) -> io::Result<bool> {
    let request = within(server.options.handshake_timeout, || request(tls, input))?;
    input.drain(..request.length);
    // The answer to a client that came when the server ends is the last one.
    let goes_on = request.goes_on && !cancel::is_cancelled();
    send(server, tls, response(&request, goes_on).as_bytes())?;
    Ok(goes_on)
}

fn request(tls: &mut Tls, input: &mut Input) -> io::Result<Request> {
    loop {
        if let Some(request) = parse(input) {
            return Ok(request);
        }
        if receive(tls, input)? == 0 {
            return Err(io::Error::new(ErrorKind::InvalidData, "half a request"));
        }
    }
}

/// The request that these bytes begin with, or what is wrong with it; `None` while there may be more of it.
fn parse(bytes: &[u8]) -> Option<Request> {
    let refused = |answer| Some(Request { length: bytes.len(), answer, is_head: false, goes_on: false });
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    match head.parse(bytes) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => Some(understand(length, &head)),
        Ok(Status::Partial) if bytes.len() <= MAX_HEAD => None,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => refused(TOO_LONG),
        Err(_) => refused(BAD),
    }
}

fn understand(length: usize, head: &httparse::Request<'_, '_>) -> Request {
    let values = |name: &'static str| {
        head.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    };
    // All of each name count: of two, somebody on the way may have believed the other one.
    let has_body =
        values("transfer-encoding").next().is_some() || values("content-length").any(|length| length != b"0");
    let is_last = values("connection").any(has_close);
    let (hosts, is_new) = (values("host").count(), head.version == Some(1));
    let answer = match (head.method, head.path) {
        _ if hosts > 1 || is_new && hosts == 0 => NO_HOST,
        (Some("GET" | "HEAD"), Some(target)) if is_page(target) => FOUND,
        (Some("GET" | "HEAD"), _) => NOT_FOUND,
        _ => NOT_ALLOWED,
    };
    let goes_on = is_new && !has_body && !is_last && answer != NO_HOST;
    Request { length, answer, is_head: head.method == Some("HEAD"), goes_on }
}

/// Whether the client wants this to be the last request.
fn has_close(options: &[u8]) -> bool {
    options.split(|byte| *byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// Whether a target, which may have a query, and be the whole address, is `/`.
fn is_page(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or(target);
    match path.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
            rest.split_once('/').map_or(!rest.is_empty(), |(host, path)| !host.is_empty() && path.is_empty())
        }
        _ => path == "/",
    }
}

fn response(request: &Request, goes_on: bool) -> String {
    let (status, body) = request.answer;
    let kind = if body == PAGE { "text/html" } else { "text/plain" };
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: {kind}\r\n", body.len());
    write!(text, "Date: {}\r\n", Date::of(SystemTime::now())).expect("a String takes all");
    text.push_str(if goes_on { "\r\n" } else { "Connection: close\r\n\r\n" });
    if !request.is_head {
        text.push_str(body);
    }
    text
}
