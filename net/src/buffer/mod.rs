//! Buffered reading and writing, with memory that idle connections do not hold.
//!
//! Owns what is in a buffer and when the buffer goes back to the worker. Must never know how a byte moves, nor where
//! buffers come from.

mod reader;
mod writer;

pub use reader::BufReader;
pub use writer::{BufWriter, IntoInnerError};

/// The capacity if none is asked for, in bytes: std's.
const CAPACITY: usize = 8 << 10;
