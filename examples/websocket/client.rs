//! One client, from its first byte to its last: what it asks for, its session, and a farewell.

use std::net::SocketAddr;

use dormouse::cancel;
use dormouse::net::TcpStream;

use super::head::{self, Wish};
use super::serve::{part, within};
use super::server::Server;
use super::session;

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
    let _ = part(stream);
}
