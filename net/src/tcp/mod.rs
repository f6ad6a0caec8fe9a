//! TCP: the listener and the stream, as `std::net` has them.
//!
//! Owns what is particular to TCP above the retry loop of `socket`: connecting, accepting, the options, and that a
//! short transfer means there was no more. Must never know what waits, nor how.

mod builder;
mod convert;
mod linux;
mod listener;
mod send_file;
mod stream;
mod transfer;

pub use builder::{TcpListenerBuilder, TcpStreamBuilder};
pub use linux::TcpStreamExt;
pub use listener::{Incoming, IntoIncoming, TcpListener};
pub use stream::TcpStream;
