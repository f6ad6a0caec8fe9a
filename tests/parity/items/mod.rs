//! Every stable item of std's sockets, files and children, named with its signature, and the unstable ones that people
//! ask for.
//!
//! A method stands here as a coercion to its function pointer, a generic one as a call from a function of its signature,
//! an implementation as a bound that the compiler proves. Nothing of this runs; it compiles or it does not. `table.rs`
//! reads the text of these files, so an implementation belongs into a `where` clause.

mod fs;
mod names;
mod process;
mod tcp;
mod udp;
mod unix;
mod unix_datagram;
