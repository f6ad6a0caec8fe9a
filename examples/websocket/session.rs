//! A client's WebSocket, from its opening to its close: the coroutine that reads, with one beside it that writes.
//!
//! `tungstenite` has one object for both directions, which two coroutines cannot use at once. But only what comes needs its
//! state: lengths, fragments, masks, and which frame may follow which. So the object belongs to the reader, over a stream
//! (`Incoming`) whose reads are the socket's, and whose writes, the answers that it gives by itself, are frames for the
//! outbox; there the reader's messages go, too, and those of others in a room. The writer only sends the frames in
//! their order. Each of the two waits for one thing, and nobody polls.
//!
//! 1. Only the reader ends the outbox; the writer, if the client takes nothing.
//! 2. Whatever comes is a sign of life. Without one for a while the client is asked for a pong.
//! 3. The server's end strikes only where the reader waits for the client, as an error (`cancel::as_errors`), and is then
//!    told: close code 1001.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use dormouse::cancel;
use dormouse::net::TcpStream;
use dormouse::thread::{self, ScopedJoinHandle};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::head::Wish;
use super::outbox::{Ended, Outbox};
use super::rooms::Place;
use super::serve::within;
use super::server::Server;
use super::{frames, writer};

/// What is received at a time. A client that is idle has a buffer of so much.
const PIECE: usize = 8 * 1024;

/// Why a session is at its end.
#[derive(Debug)]
enum End {
    /// The client wants it.
    Wanted,
    /// The server does, for this reason.
    Close(CloseCode, &'static str),
    /// There is nobody to be told.
    Gone(String),
}

/// A message of so many bytes is one behind which the stack is looked at.
const LONG: usize = 64 * 1024;

const AWAY: End = End::Close(CloseCode::Away, "the server ends");

/// What the client's messages are for.
enum Endpoint<'a> {
    Echo,
    Chat(Place<'a>),
}

/// What the reader's object sees of the socket.
struct Incoming<'a> {
    stream: &'a TcpStream,
    outbox: &'a Outbox,
}

struct Session<'a> {
    server: &'a Server,
    socket: WebSocket<Incoming<'a>>,
    endpoint: Endpoint<'a>,
    /// Whether a pong is waited for.
    is_asked: bool,
}

/// Ends the outbox, also by an unwind: nobody else would, and the writer would be waited for.
struct EndOnDrop<'a>(&'a Outbox);

/// Serves a client that wants this, and whose first frames may be here already. Gives what went wrong.
pub(crate) fn serve(
    server: &Server,
    stream: &TcpStream,
    peer: SocketAddr,
    wish: Wish,
    input: Vec<u8>,
) -> Result<(), String> {
    server.note_session();
    log::debug!("{peer}: {wish:?}");
    let outbox = Arc::new(Outbox::new(server.options.queue));
    thread::scope(|scope| {
        let writes = scope.spawn(|| writer::run(server, stream, &outbox));
        let _ends = EndOnDrop(&outbox);
        let endpoint = match wish {
            Wish::Chat(room) => Endpoint::Chat(server.rooms.join(&room, &outbox)),
            _ => Endpoint::Echo,
        };
        let socket = Incoming { stream, outbox: &outbox };
        let config = Some(config(server));
        let socket = WebSocket::from_partially_read(socket, input, Role::Server, config);
        let mut session = Session { server, socket, endpoint, is_asked: false };
        let end = session.read_all();
        log::debug!("{peer} ends: {end:?}");
        session.part(writes, end)
    })
}

fn config(server: &Server) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(PIECE)
        // Answers go to the outbox at once.
        .write_buffer_size(0)
        .max_message_size(Some(server.options.max_message))
        .max_frame_size(Some(server.options.max_frame))
}

impl Session<'_> {
    fn read_all(&mut self) -> End {
        if let Err(error) = self.expect_within(self.server.options.ping_after) {
            return End::Gone(error.to_string());
        }
        loop {
            if let Err(end) = cancel::as_errors(|| self.turn()) {
                return end;
            }
        }
    }

    /// One message.
    fn turn(&mut self) -> Result<(), End> {
        let message = match self.socket.read() {
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return self.ask(),
            read => read.map_err(end_by)?,
        };
        if self.is_asked {
            self.is_asked = false;
            self.expect_within(self.server.options.ping_after).map_err(|error| End::Gone(error.to_string()))?;
        }
        match message {
            Message::Text(text) => self.take(Ok(text.as_str())),
            Message::Binary(bytes) => self.take(Err(bytes)),
            Message::Close(_) => Err(End::Wanted),
            // Pings are answered by the object.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn take(&mut self, message: Result<&str, Bytes>) -> Result<(), End> {
        let (mut missed, is_long) = (0, message.as_ref().map_or_else(Bytes::len, |text| text.len()) >= LONG);
        match (&self.endpoint, message) {
            (Endpoint::Echo, message) => {
                let frame = message.map_or_else(frames::binary, frames::text);
                self.socket.get_ref().outbox.push(frame).map_err(|Ended| not_accepted())?;
            }
            (Endpoint::Chat(place), Ok(text)) => missed = place.say(text),
            (Endpoint::Chat(_), Err(_)) => return Err(End::Close(CloseCode::Unsupported, "only text is told")),
        }
        if is_long {
            self.server.stack.note();
        }
        self.server.note_message(missed);
        Ok(())
    }

    /// Nothing came for too long: invariant 2.
    fn ask(&mut self) -> Result<(), End> {
        if self.is_asked {
            return Err(End::Gone("it does not answer".into()));
        }
        self.is_asked = true;
        self.socket.get_ref().outbox.ping();
        self.expect_within(self.server.options.pong_timeout).map_err(|error| End::Gone(error.to_string()))
    }

    fn expect_within(&self, limit: std::time::Duration) -> io::Result<()> {
        self.socket.get_ref().stream.set_read_timeout(Some(limit))
    }

    /// Ends the session as RFC 6455 has it, section 7, if the client does its part in time.
    fn part(self, writes: ScopedJoinHandle<'_, ()>, end: End) -> Result<(), String> {
        let Session { server, mut socket, endpoint, .. } = self;
        let Incoming { stream, outbox } = *socket.get_ref();
        // From here on nobody else tells this client anything.
        drop(endpoint);
        let closed = cancel::shield(|| {
            within(server.options.close_timeout, || {
                match &end {
                    // The object has the answer, and sends it now.
                    End::Wanted => while socket.flush().is_ok() {},
                    End::Close(code, reason) => outbox.end(Some(frames::close(*code, reason))),
                    End::Gone(_) => outbox.give_up(),
                }
                outbox.end(None);
                if let End::Close(CloseCode::Away | CloseCode::Unsupported, _) = end {
                    until_agreed(&mut socket)?;
                }
                writes.join().map_err(|_| io::Error::other("its writer has panicked"))
            })
        });
        if closed.is_err() || matches!(end, End::Gone(_)) {
            // The writer, if it still waits, does not any more.
            outbox.give_up();
            let _ = stream.shutdown(Shutdown::Both);
        }
        match end {
            End::Gone(why) => Err(why),
            End::Close(code, why) if code != CloseCode::Away => Err(why.into()),
            End::Wanted | End::Close(..) => closed.map_err(|error| format!("it does not agree to a close: {error}")),
        }
    }
}

/// Reads until the client agrees to the close. What it has sent before it knew of that is left.
fn until_agreed(socket: &mut WebSocket<Incoming<'_>>) -> io::Result<()> {
    loop {
        match socket.read() {
            Ok(Message::Close(_)) => return Ok(()),
            Ok(_) => {}
            Err(Error::Io(error)) => return Err(error),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// What an error in what came means for the session.
fn end_by(error: Error) -> End {
    match error {
        Error::Io(_) if cancel::is_cancelled() => AWAY,
        Error::Io(error) if error.kind() == ErrorKind::BrokenPipe => not_accepted(),
        Error::Capacity(_) => End::Close(CloseCode::Size, "a message that is too long"),
        Error::Utf8(_) => End::Close(CloseCode::Invalid, "text that is not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Gone("it has gone without a word".into()),
        Error::Protocol(_) => End::Close(CloseCode::Protocol, "a frame that is none"),
        error => End::Gone(error.to_string()),
    }
}

/// What it means that the outbox did not accept something.
fn not_accepted() -> End {
    if cancel::is_cancelled() { AWAY } else { End::Gone("it takes nothing".into()) }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

/// Each write is one frame: nothing is kept back by the object.
impl Write for Incoming<'_> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        match self.outbox.push(Bytes::copy_from_slice(frame)) {
            Ok(()) => Ok(frame.len()),
            Err(Ended) => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end(None);
    }
}
