//! The command line.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::serve::{self, bytes, bytes_in, seconds};

/// How long the longest head may be: a buffer can grow to that for each client.
const MAX_HEAD: RangeInclusive<usize> = 256..=16 << 20;

/// Serves files, a line of text at /, and an echo at /echo, over HTTP/1.1. Ctrl-C ends it once the requests under way
/// are answered.
#[derive(Parser, Debug, Clone)]
#[command(name = "http", version, mut_arg("addr", |addr| addr.default_value("127.0.0.1:8080")))]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) serve: serve::Options,

    /// Serve the files below this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,

    /// The longest head of a request
    #[arg(long, value_name = "BYTES", default_value = "16K", value_parser = bytes_in(MAX_HEAD))]
    pub(crate) max_head: usize,

    /// The longest body of a request
    #[arg(long, value_name = "BYTES", default_value = "64M", value_parser = bytes)]
    pub(crate) max_body: usize,

    /// Seconds that a connection may be without a request
    #[arg(long, value_name = "S", default_value = "75", value_parser = seconds)]
    pub(crate) idle_timeout: Duration,

    /// Seconds that a head may take from its first byte to its last
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) head_timeout: Duration,

    /// Seconds in which a client has to take each 64 KiB of what is sent
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    pub(crate) write_timeout: Duration,

    /// The slowest that a body may come, in bytes a second
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    pub(crate) min_rate: u32,

    /// Seconds over which that is averaged
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) min_rate_window: Duration,

    /// Log a line for each request
    #[arg(long)]
    pub(crate) log_requests: bool,
}
