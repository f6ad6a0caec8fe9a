//! All of `std::io`, with a standard input that parks.
//!
//! Standard output and error are std's. Writing to them blocks the worker while the pipe or the terminal behind them is
//! full, as `println!` does, which no library can change; and their locks belong to the OS thread, which coroutines
//! share. So hold no [`StdoutLock`] across a park: another coroutine of the worker would write in between, and those of
//! other workers would be blocked with their threads. Where the reader may be slow, write through a
//! [`File`](crate::fs::File) of the descriptor, or inside [`blocking`](crate::blocking()). A pipe made by [`pipe`] is
//! std's, too: it blocks; as a [`File`](crate::fs::File), it parks.
//!
//! # Examples
//!
//! ```no_run
//! use dormouse_runtime::io;
//!
//! dormouse_runtime::run(|| {
//!     for line in io::stdin().lines() {
//!         println!("you said {}", line?);
//!     }
//!     io::Result::Ok(())
//! })?;
//! # io::Result::Ok(())
//! ```

mod input;
mod stdin;

pub use std::io::*;
pub use stdin::{Stdin, StdinLock, stdin};
