//! A server to talk to, and a client: `tungstenite` over std's streams.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use clap::Parser;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::{Error, Message, WebSocket};

use crate::example::{self, Options, Summary};
use crate::served::{Served, connect};

pub(crate) type Server = Served<Summary>;
pub(crate) type Client = WebSocket<TcpStream>;

pub(crate) fn start(arguments: &[&str]) -> Server {
    let fixed = ["websocket", "--addr", "127.0.0.1:0", "--workers", "2"];
    let options = Options::parse_from(fixed.iter().chain(arguments));
    Served::start(move |ready, stop| example::run(&options, ready, stop))
}

/// A client at this path.
pub(crate) fn open(address: SocketAddr, path: &str) -> Client {
    open_on(connect(address), path)
}

pub(crate) fn open_on(stream: TcpStream, path: &str) -> Client {
    let address = stream.peer_addr().unwrap();
    let (client, response) = tungstenite::client(format!("ws://{address}{path}"), stream).unwrap();
    assert_eq!(response.status(), 101);
    client
}

/// A client in this room, that has heard of its own coming.
pub(crate) fn enter(address: SocketAddr, room: &str) -> Client {
    let mut client = open(address, &format!("/chat/{room}"));
    let heard = text(&mut client);
    assert!(heard.starts_with("* #") && heard.contains(" has come; "), "{heard}");
    client
}

/// The next message, which is text.
#[track_caller]
pub(crate) fn text(client: &mut Client) -> String {
    match client.read().unwrap() {
        Message::Text(text) => text.to_string(),
        other => panic!("no text: {other:?}"),
    }
}

/// What comes back for a message.
#[track_caller]
pub(crate) fn echoed(client: &mut Client, message: Message) -> Message {
    client.send(message).unwrap();
    client.read().unwrap()
}

/// One of the frames of a message.
pub(crate) fn fragment(bytes: &[u8], kind: Data, is_final: bool) -> Message {
    Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(kind), is_final))
}

/// Reads the rest, in which there are no messages any more: the code of the server's close, and that the connection ends in
/// good order behind it.
#[track_caller]
pub(crate) fn closed(client: &mut Client) -> Option<CloseCode> {
    let code = match client.read().unwrap() {
        Message::Close(frame) => frame.map(|frame| frame.code),
        other => panic!("no close: {other:?}"),
    };
    gone(client);
    code
}

/// Reads until the connection has ended, in which there is nothing else.
#[track_caller]
pub(crate) fn gone(client: &mut Client) {
    let end = client.read();
    assert!(matches!(end, Err(Error::ConnectionClosed)), "{end:?}");
    client.get_ref().shutdown(Shutdown::Both).unwrap();
}

/// A frame of a client with a mask of zeros, which changes nothing.
pub(crate) fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// What a server answers to these bytes, until it ends the connection, which it must not do by a reset.
pub(crate) fn say(server: &Server, bytes: &[u8]) -> String {
    let mut stream = server.connect();
    stream.write_all(bytes).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all
}
