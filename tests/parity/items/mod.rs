//! Every stable item of std's sockets, threads, locks, files and children, named with its signature, and the unstable ones
//! that people ask for.
//!
//! A method stands here as a coercion to its function pointer, a generic one as a call from a function of its signature,
//! an implementation as a bound that the compiler proves: in a `where` clause or, for all types that a generic one is made
//! of, as what a function makes of `it`. Nothing of this runs; it compiles or it does not. `table.rs` reads the text of
//! these files.

mod fs;
mod locks;
mod mpsc;
mod names;
mod negative;
mod once;
mod process;
mod tcp;
mod thread;
mod udp;
mod unix;
mod unix_datagram;
