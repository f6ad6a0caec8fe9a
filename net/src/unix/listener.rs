//! A Unix listening socket.

use crate::socket::Socket;

/// A Unix listening socket, like [`std::os::unix::net::UnixListener`].
#[allow(missing_debug_implementations)]
pub struct UnixListener {
    /// The socket, in the mode its user chose.
    socket: Socket,
}

#[allow(dead_code)]
impl UnixListener {
    pub(super) fn from_socket(socket: Socket) -> UnixListener {
        UnixListener { socket }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }
}
