//! A Unix stream socket.

use crate::socket::Socket;

/// A Unix stream socket, like [`std::os::unix::net::UnixStream`].
#[allow(missing_debug_implementations)]
pub struct UnixStream {
    /// The socket, in the mode its user chose.
    socket: Socket,
}

#[allow(dead_code)]
impl UnixStream {
    pub(super) fn from_socket(socket: Socket) -> UnixStream {
        UnixStream { socket }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }
}
