//! Sends one client what its outbox holds: the coroutine of this direction.

use std::io::{self, BufWriter, Write};
use std::net::Shutdown;
use std::time::Duration;

use dormouse::net::TcpStream;
use dormouse::{cancel, time};

use super::outbox::Outbox;
use super::server::Server;

/// Frames that go out together are as long as this, or one frame.
const TOGETHER: usize = 64 * 1024;

/// Bytes of the buffer in which they are put together; there is none while nothing is sent.
const BUFFER: usize = 8 * 1024;

/// Sends until the outbox has ended, or the client takes nothing any more: then the reader learns it from the stream. The
/// server's end strikes in the reader alone, and the outbox ends with that.
pub(crate) fn run(server: &Server, stream: &TcpStream, outbox: &Outbox) {
    if let Err(error) = cancel::shield(|| send_all(stream, outbox, server.options.write_timeout)) {
        log::debug!("{:?} is not sent to: {error}", stream.peer_addr().ok());
        outbox.give_up();
        let _ = stream.shutdown(Shutdown::Both);
    }
    server.stack.note();
}

fn send_all(stream: &TcpStream, outbox: &Outbox, limit: Duration) -> io::Result<()> {
    while let Some(frame) = outbox.wait_next() {
        time::timeout(limit, || send_some(stream, outbox, &frame))??;
    }
    Ok(())
}

/// Sends this frame, and some that are there behind it.
fn send_some(stream: &TcpStream, outbox: &Outbox, frame: &[u8]) -> io::Result<()> {
    let mut output = BufWriter::with_capacity(BUFFER, stream);
    output.write_all(frame)?;
    let mut count = frame.len();
    while count < TOGETHER
        && let Some(frame) = outbox.try_next()
    {
        output.write_all(&frame)?;
        count += frame.len();
    }
    output.flush()
}
