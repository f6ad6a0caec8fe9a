//! Unix domain sockets, as `std::os::unix::net` has them.
//!
//! Owns what is particular to them above the retry loop of `socket`: connecting, accepting, datagrams, credentials,
//! ancillary data. Must never know what waits, nor how.
//!
//! Invariant 1: a short transfer is never noted as the last. Descriptors that a peer passed end a read with more behind
//! it.
//! Invariant 2: what no event tells of (a connect to a listener whose queue is full, a datagram to a full peer that the
//! socket is not connected to) is retried after pauses, never by waiting for readiness.

mod ancillary;
mod ancillary_messages;
mod ancillary_transfer;
mod convert;
mod credentials;
mod datagram;
mod listener;
mod shown;
mod socket_ext;
mod stream;
mod transfer;

pub use ancillary::SocketAncillary;
pub use ancillary_messages::{AncillaryData, AncillaryError, Messages, ScmCredentials, ScmRights, SocketCred};
pub use credentials::UCred;
pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use socket_ext::UnixSocketExt;
pub use stream::UnixStream;
