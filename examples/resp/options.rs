//! The command line.

use clap::Parser;

use super::serve::{self, bytes};

/// An in-memory server of Redis' protocol. Ctrl-C ends it once the commands under way are answered.
#[derive(Parser, Debug, Clone)]
#[command(name = "resp", version, mut_arg("addr", |addr| addr.default_value("127.0.0.1:6379")))]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) serve: serve::Options,

    /// The most clients at a time
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) max_clients: usize,

    /// The most answers that may wait for a client, which is disconnected beyond; no limit unless given
    #[arg(long, value_name = "BYTES", default_value = "0", hide_default_value = true, value_parser = bytes_or_none)]
    pub(crate) output_limit: usize,

    /// The most messages that may wait for a client that listens; for a minute it may be a quarter of that
    #[arg(long, value_name = "BYTES", default_value = "32M", value_parser = bytes)]
    pub(crate) pubsub_limit: usize,

    /// Log also what single clients do
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// 0 is no limit.
fn bytes_or_none(text: &str) -> Result<usize, String> {
    if text == "0" { Ok(0) } else { bytes(text) }
}
