//! The request that a connection begins with, and the answers to those that want no WebSocket.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::time::SystemTime;

use dormouse::net::TcpStream;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};

use super::rooms;
use super::serve::Date;

const PAGE: &str = include_str!("page.html");

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

/// Answers the request; gives what the client wants from now on, and what of it came already.
pub(crate) fn answer(mut stream: &TcpStream) -> io::Result<(Wish, Vec<u8>)> {
    let (request, rest) = match read(stream)? {
        Ok(read) => read,
        Err(status) => return refuse(stream, status, "no request\n"),
    };
    let wish = match request.uri().path() {
        "/" => return tell(stream, "200 OK", "text/html; charset=utf-8", PAGE),
        "/echo" => Wish::Echo,
        path => match path.strip_prefix("/chat/").filter(|name| rooms::is_name(name)) {
            Some(name) => Wish::Chat(name.to_owned()),
            None => return refuse(stream, "404 Not Found", "there are /, /echo and /chat/ROOM\n"),
        },
    };
    let mut response = Vec::new();
    match create_response(&request).and_then(|answer| write_response(&mut response, &answer)) {
        Ok(()) => stream.write_all(&response).map(|()| (wish, rest)),
        Err(error) => {
            let status = "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13";
            refuse(stream, status, &format!("{error}\n"))
        }
    }
}

/// Reads a head, and what came behind it; or gives what to answer.
fn read(mut stream: &TcpStream) -> io::Result<Result<(Request, Vec<u8>), &'static str>> {
    let mut input = Vec::new();
    loop {
        let begin = input.len();
        input.resize(begin + PIECE, 0);
        let count = stream.read(&mut input[begin..])?;
        input.truncate(begin + count);
        match Request::try_parse(&input) {
            Ok(Some((length, request))) => return Ok(Ok((request, input.split_off(length)))),
            Err(tungstenite::Error::Protocol(ProtocolError::WrongHttpMethod)) => {
                return Ok(Err("405 Method Not Allowed\r\nAllow: GET"));
            }
            Err(_) => return Ok(Err("400 Bad Request")),
            Ok(None) if count == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(None) if input.len() > MAX_HEAD => return Ok(Err("431 Request Header Fields Too Large")),
            Ok(None) => {}
        }
    }
}

fn refuse(stream: &TcpStream, status: &str, why: &str) -> io::Result<(Wish, Vec<u8>)> {
    tell(stream, status, "text/plain", why)
}

fn tell(mut stream: &TcpStream, status: &str, kind: &str, body: &str) -> io::Result<(Wish, Vec<u8>)> {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: {kind}\r\n", body.len());
    write!(text, "Date: {}\r\n", Date::of(SystemTime::now())).expect("a String takes all");
    text.push_str("Connection: close\r\n\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes()).map(|()| (Wish::None, Vec::new()))
}
