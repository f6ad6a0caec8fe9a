//! One client, from its first byte to its last: what it asks for, its session, and a farewell.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use dormouse::net::TcpStream;
use dormouse::{cancel, time};

use super::head::{self, Wish};
use super::server::Server;
use super::session;

/// How long, and for how many bytes, a client that was told of the end may go on sending.
const FAREWELL: (Duration, usize) = (Duration::from_secs(2), 1 << 20);

/// Serves the client until one of the two has enough.
pub(crate) fn serve(server: &Server, stream: &TcpStream, peer: SocketAddr) {
    let outcome = match within(server.options.head_timeout, || head::answer(stream)) {
        Ok((Wish::None, _)) => Ok(()),
        Ok((wish, input)) => session::serve(server, stream, peer, wish, input),
        Err(_) if cancel::is_cancelled() => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(why) = outcome {
        server.note_failure(peer, &why);
    }
    let _ = cancel::shield(|| within(FAREWELL.0, || part(stream)));
}

/// Ends the connection so that the client gets what was sent, though it may be sending still: what came and was not read
/// would reset it.
fn part(mut stream: &TcpStream) -> io::Result<()> {
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

/// Calls `f`, in which each wait fails once that long has passed, or the server ends.
pub(crate) fn within<T>(limit: Duration, f: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    time::timeout(limit, || cancel::as_errors(f))?
}
