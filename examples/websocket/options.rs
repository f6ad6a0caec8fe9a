//! The command line.

use std::time::Duration;

use clap::Parser;

use super::serve::{self, bytes, seconds};

/// The least stack with which a session does not overflow.
const STACK: usize = 24 * 1024;

/// Serves WebSockets: an echo at /echo, a chat at /chat/ROOM, and at / a page to try both. Ctrl-C ends it; clients are
/// told.
#[derive(Parser, Debug, Clone)]
#[command(name = "websocket", version, mut_arg("addr", |addr| addr.default_value("127.0.0.1:8081")))]
#[command(mut_arg("stack", |stack| stack.value_parser(serve::stack_from(STACK))))]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) serve: serve::Options,

    /// The longest message
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = bytes)]
    pub(crate) max_message: usize,

    /// The longest frame, of which a message may have many
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = bytes)]
    pub(crate) max_frame: usize,

    /// What may wait for a client to take it, beside one message; what is told in its room beyond that, it misses
    #[arg(long, value_name = "BYTES", default_value = "256K", value_parser = bytes)]
    pub(crate) queue: usize,

    /// Seconds that the head of a request may take
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) head_timeout: Duration,

    /// Seconds in which a client has to take what is sent at a time, 64 KiB or one message
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    pub(crate) write_timeout: Duration,

    /// Seconds after which a client that sends nothing is asked whether it is there
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    pub(crate) ping_after: Duration,

    /// Seconds that it has to answer
    #[arg(long, value_name = "S", default_value = "20", value_parser = seconds)]
    pub(crate) pong_timeout: Duration,

    /// Seconds that a client has to agree to a close
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub(crate) close_timeout: Duration,

    /// Log a line for each client
    #[arg(long)]
    pub(crate) verbose: bool,
}
