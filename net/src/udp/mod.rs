//! UDP: the socket, as `std::net` has it, and moving many datagrams in one call.
//!
//! Owns what is particular to datagrams above the retry loop of `socket`: the peer, the addresses, the options, batches.
//! A short or empty datagram says nothing of what is behind it, so nothing here tells the source that it is drained.
//! Must never know what waits, nor how.

mod convert;
mod many;
mod multicast;
mod socket;
mod transfer;

// What names a peer, for all files of this room.
use crate::resolve::ToSocketAddrs;

pub use many::{Datagram, DatagramMut};
pub use socket::UdpSocket;
