//! A Unix datagram socket.

use crate::socket::Socket;

/// A Unix datagram socket, like [`std::os::unix::net::UnixDatagram`].
#[allow(missing_debug_implementations)]
pub struct UnixDatagram {
    /// The socket, in the mode its user chose.
    socket: Socket,
}

#[allow(dead_code)]
impl UnixDatagram {
    pub(super) fn from_socket(socket: Socket) -> UnixDatagram {
        UnixDatagram { socket }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }
}
