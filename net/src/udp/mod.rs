//! UDP: the socket, as `std::net` has it.

use crate::socket::Socket;

/// A UDP socket, like [`std::net::UdpSocket`].
#[allow(missing_debug_implementations)]
pub struct UdpSocket {
    /// The socket, in the mode its user chose.
    #[allow(dead_code)]
    socket: Socket,
}
