//! Limits to what a client may take of the server's time.

use std::io::{self, Read};
use std::net::Shutdown;
use std::time::Duration;

use dormouse::net::TcpStream;
use dormouse::{cancel, time};

/// How long, and for how many bytes, a client that was told of the end may go on sending.
const FAREWELL: (Duration, usize) = (Duration::from_secs(2), 1 << 20);

/// Calls `f`, in which each wait fails once that long has passed, or the server ends. Nothing is unwound: what `f` works on
/// is whole, and the client can still be told.
pub(crate) fn within<T>(limit: Duration, f: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    time::timeout(limit, || cancel::as_errors(f))?
}

/// Ends the connection so that the client gets what was sent, though it may be sending still: what came and was not read
/// would reset it. The server's end waits for that.
pub(crate) fn part(stream: &TcpStream) -> io::Result<()> {
    cancel::shield(|| within(FAREWELL.0, || shut_and_drain(stream)))
}

fn shut_and_drain(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let (mut unread, mut count) = ([0; 512], 0);
    while count < FAREWELL.1 {
        match stream.read(&mut unread)? {
            0 => break,
            more => count += more,
        }
    }
    Ok(())
}
