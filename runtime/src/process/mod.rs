//! Child processes with the names and signatures of `std::process`; whoever waits for one, or for its output, parks.
//!
//! [`Command`] has std's start the child, on a thread of the pool ([`blocking`](mod@crate::blocking)): fork(2) and
//! exec(2) take their time. Ends of pipes are non-blocking on our side and polled like sockets, and so is the end of a
//! child (pidfd_open(2), Linux 5.3; where that is missing, a waiting coroutine looks again after pauses of up to 50
//! ms). So no thread waits for a child.
//!
//! On a plain thread everything blocks, as std's does.
//!
//! | room | |
//! |---|---|
//! | `stream` | the three pipes |
//! | `orphans` | children whose waiting coroutine was cancelled |
//! | `child` | [`Child`] |
//! | `command` | [`Command`] |
//! | `unix` | what `std::os::unix::process` adds |

mod child;
mod command;
mod orphans;
mod stream;
pub mod unix;

pub use child::Child;
pub use command::Command;
pub use std::process::{CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, exit, id};
pub use stream::{ChildStderr, ChildStdin, ChildStdout};
