//! One client, from its handshake to its end: the coroutine that each has.
//!
//! 1. Each wait for the client has a limit (`within`). What one ends fails and is not unwound, nor by the server's end:
//!    the connection is whole, and the client can be told.
//! 2. The end of what a client sends is its close_notify. Without that somebody else may have cut it short: an error,
//!    of kind `UnexpectedEof`. RFC 8446, section 6.1.
//! 3. What was begun to be sent is sent: the server's end strikes only where a client is waited for (`cancel::shield`).

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dormouse::cancel;
use dormouse::net::TcpStream;
use rustls::{ServerConnection, StreamOwned};

use super::https;
use super::serve::{part, within};
use super::server::Server;

/// A client's connection: it reads and writes as any stream does.
pub(crate) type Tls = StreamOwned<ServerConnection, TcpStream>;

/// How long it may take to tell the client of the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves the client until one of the two has enough.
pub(crate) fn serve(server: &Server, stream: TcpStream, peer: SocketAddr) {
    let mut tls = match ServerConnection::new(Arc::clone(&server.config)) {
        Ok(connection) => Tls::new(connection, stream),
        Err(error) => return server.note_failure(peer, &io::Error::other(error)),
    };
    match talk(server, &mut tls, peer) {
        Ok(()) => {}
        // The server's end is nobody's failure.
        Err(_) if cancel::is_cancelled() => {}
        Err(error) => server.note_failure(peer, &error),
    }
    // Also from a client that has failed: an alert says why, and what came and was not read would reset the connection
    // before it arrives.
    let told = cancel::shield(|| within(GOODBYE, || say_goodbye(&mut tls)));
    let parted = told.and_then(|()| part(&tls.sock));
    log::debug!("{peer} left: {:?}", parted.err());
}

fn talk(server: &Server, tls: &mut Tls, peer: SocketAddr) -> io::Result<()> {
    within(server.options.handshake_timeout, || shake_hands(tls))?;
    // No coroutine here ever goes deeper; later its stack may have been given back meanwhile.
    server.stack.note();
    server.note_handshake();
    log::debug!("{peer}: {:?}, {:?}", tls.conn.protocol_version(), tls.conn.negotiated_cipher_suite());
    if server.options.https { https::serve(server, tls) } else { echo(server, tls) }
}

/// Not left to the first read, so that it has a limit of its own.
fn shake_hands(tls: &mut Tls) -> io::Result<()> {
    while tls.conn.is_handshaking() {
        if tls.conn.complete_io(&mut tls.sock)? == (0, 0) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

fn echo(server: &Server, tls: &mut Tls) -> io::Result<()> {
    let mut piece = Vec::new();
    while within(server.options.idle_timeout, || receive(tls, &mut piece))? > 0 {
        // Taken: a client that waits has no buffer here.
        send(server, tls, &std::mem::take(&mut piece))?;
    }
    Ok(())
}

/// Waits for more behind what is there, and gives how many bytes; 0 is the end of what the client sends: invariant 2.
pub(crate) fn receive(tls: &mut Tls, input: &mut Vec<u8>) -> io::Result<usize> {
    let piece = tls.fill_buf()?;
    let count = piece.len();
    input.extend_from_slice(piece);
    tls.consume(count);
    Ok(count)
}

/// Sends all of it: invariant 3.
pub(crate) fn send(server: &Server, tls: &mut Tls, bytes: &[u8]) -> io::Result<()> {
    let sent = || {
        tls.write_all(bytes)?;
        tls.flush()
    };
    cancel::shield(|| within(server.options.write_timeout, sent))
}

/// Tells the client that this is all.
fn say_goodbye(tls: &mut Tls) -> io::Result<()> {
    tls.conn.send_close_notify();
    // A flush would go on with a handshake that is not done.
    while tls.conn.wants_write() {
        tls.conn.write_tls(&mut tls.sock)?;
    }
    Ok(())
}
