//! Frames as they go to clients. These are not masked, so that one frame does for everybody in a room.

use tungstenite::Bytes;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

pub(crate) fn text(text: &str) -> Bytes {
    message(text.to_owned(), Data::Text)
}

pub(crate) fn binary(bytes: Bytes) -> Bytes {
    message(bytes, Data::Binary)
}

fn message(payload: impl Into<Bytes>, kind: Data) -> Bytes {
    encode(Frame::message(payload, OpCode::Data(kind), true))
}

pub(crate) fn ping() -> Bytes {
    encode(Frame::ping(Bytes::new()))
}

pub(crate) fn close(code: CloseCode, reason: &'static str) -> Bytes {
    encode(Frame::close(Some(CloseFrame { code, reason: reason.into() })))
}

/// Who reads too slowly is told what it missed.
pub(crate) fn missed(count: u64) -> Bytes {
    text(&format!("* you read too slowly: {count} messages were left out"))
}

fn encode(frame: Frame) -> Bytes {
    let mut bytes = Vec::with_capacity(frame.len());
    frame.format(&mut bytes).expect("a Vec takes all");
    bytes.into()
}
