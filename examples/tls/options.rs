//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::serve::{self, seconds};

/// The least stack with which a handshake does not overflow.
const STACK: usize = 32 * 1024;

/// Sends back over TLS what clients send, or answers them over HTTPS. Ctrl-C ends it; clients are told.
#[derive(Parser, Debug, Clone)]
#[command(name = "tls", version, mut_arg("addr", |addr| addr.default_value("127.0.0.1:8443")))]
#[command(mut_arg("stack", |stack| stack.value_parser(serve::stack_from(STACK))))]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) serve: serve::Options,

    /// The certificate and those that vouch for it, in PEM; one is made at the start unless given
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// Answer GET with a page, over HTTP/1.1
    #[arg(long)]
    pub(crate) https: bool,

    /// Seconds that a handshake may take, and the head of a request
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) handshake_timeout: Duration,

    /// Seconds that a client may be without sending anything
    #[arg(long, value_name = "S", default_value = "75", value_parser = seconds)]
    pub(crate) idle_timeout: Duration,

    /// Seconds in which a client has to take what is sent at a time, 16 KiB at the most
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    pub(crate) write_timeout: Duration,

    /// Log a line for each client
    #[arg(long)]
    pub(crate) verbose: bool,
}
