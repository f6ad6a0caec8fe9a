//! The request that a connection begins with, and the answers to those that want no WebSocket.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::time::SystemTime;

use dormouse::net::TcpStream;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::{HeaderValue, Version};

use super::rooms;
use super::serve::Date;

const PAGE: &str = include_str!("page.html");

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain";

const BAD: &str = "400 Bad Request";
const NOT_ALLOWED: &str = "405 Method Not Allowed\r\nAllow: GET";

/// The longest head.
const MAX_HEAD: usize = 8 * 1024;

/// What is received at a time.
const PIECE: usize = 1024;

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Echo,
    /// The room's name.
    Chat(String),
    /// It was answered.
    None,
}

/// A head, as far as it could be read.
struct Asked {
    request: Request,
    /// What came behind it.
    rest: Vec<u8>,
    /// Whether it is of HEAD, for which `request` is of GET.
    is_head: bool,
}

/// Answers the request; gives what the client wants from now on, and what of it came already.
pub(crate) fn answer(mut stream: &TcpStream) -> io::Result<(Wish, Vec<u8>)> {
    let Asked { mut request, rest, is_head } = match read(stream)? {
        Ok(asked) => asked,
        Err(status) => return refuse(stream, status, "no request\n"),
    };
    if !is_clear(&request) {
        return refuse(stream, BAD, "there is one Host in a request, and one Sec-WebSocket-Key at the most\n");
    }
    let wish = match request.uri().path() {
        "/" if is_head => return tell(stream, "200 OK", HTML, Err(PAGE.len())),
        "/" => return tell(stream, "200 OK", HTML, Ok(PAGE)),
        _ if is_head => return tell(stream, NOT_ALLOWED, TEXT, Err(0)),
        "/echo" => Wish::Echo,
        path => match path.strip_prefix("/chat/").filter(|name| rooms::is_name(name)) {
            Some(name) => Wish::Chat(name.to_owned()),
            None => return refuse(stream, "404 Not Found", "there are /, /echo and /chat/ROOM\n"),
        },
    };
    choose_websocket(&mut request);
    let mut response = Vec::new();
    match create_response(&request).and_then(|answer| write_response(&mut response, &answer)) {
        Ok(()) => stream.write_all(&response).map(|()| (wish, rest)),
        Err(tungstenite::Error::Protocol(
            error @ (ProtocolError::MissingSecWebSocketKey | ProtocolError::InvalidSecWebSocketKey),
        )) => refuse(stream, BAD, &format!("{error}\n")),
        Err(error) => {
            let status = "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13";
            refuse(stream, status, &format!("{error}\n"))
        }
    }
}

/// Whether nothing is said in two ways, or not at all: RFC 9112, section 3.2, and RFC 6455, section 4.2.1.
fn is_clear(request: &Request) -> bool {
    let count = |name| request.headers().get_all(name).iter().count();
    let hosts = count("host");
    let is_old = request.version() < Version::HTTP_11;
    (hosts == 1 || is_old && hosts == 0) && count("sec-websocket-key") <= 1
}

/// Leaves the one protocol of those offered that is spoken here: the crate knows only an offer of one.
fn choose_websocket(request: &mut Request) {
    let websocket = HeaderValue::from_static("websocket");
    let is_websocket = |name: &[u8]| name.trim_ascii().eq_ignore_ascii_case(websocket.as_bytes());
    let mut offers = request.headers().get_all("upgrade").iter();
    if offers.any(|offer| offer.as_bytes().split(|byte| *byte == b',').any(is_websocket)) {
        request.headers_mut().insert("upgrade", websocket);
    }
}

/// Reads a head; or gives what to answer.
fn read(mut stream: &TcpStream) -> io::Result<Result<Asked, &'static str>> {
    let (mut input, mut is_head) = (Vec::new(), false);
    loop {
        let begin = input.len();
        input.resize(begin + PIECE, 0);
        let count = stream.read(&mut input[begin..])?;
        input.truncate(begin + count);
        if !is_head && input.starts_with(b"HEAD ") {
            // The crate knows only GET.
            input.splice(..4, *b"GET");
            is_head = true;
        }
        match Request::try_parse(&input) {
            Ok(Some((length, request))) => return Ok(Ok(Asked { request, rest: input.split_off(length), is_head })),
            Err(tungstenite::Error::Protocol(ProtocolError::WrongHttpMethod)) => {
                return Ok(Err(NOT_ALLOWED));
            }
            Err(_) => return Ok(Err(BAD)),
            Ok(None) if count == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(None) if input.len() > MAX_HEAD => return Ok(Err("431 Request Header Fields Too Large")),
            Ok(None) => {}
        }
    }
}

fn refuse(stream: &TcpStream, status: &str, why: &str) -> io::Result<(Wish, Vec<u8>)> {
    tell(stream, status, TEXT, Ok(why))
}

/// The body, or only how long it would be.
type Body<'a> = Result<&'a str, usize>;

fn tell(mut stream: &TcpStream, status: &str, kind: &str, body: Body<'_>) -> io::Result<(Wish, Vec<u8>)> {
    let length = body.map_or_else(|length| length, str::len);
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: {kind}\r\n");
    write!(text, "Date: {}\r\n", Date::of(SystemTime::now())).expect("a String takes all");
    text.push_str("Connection: close\r\n\r\n");
    text.push_str(body.unwrap_or_default());
    stream.write_all(text.as_bytes()).map(|()| (Wish::None, Vec::new()))
}
