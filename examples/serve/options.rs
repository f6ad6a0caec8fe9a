//! The part of the command line that every server has.

use std::time::Duration;

use clap::Args;
use dormouse::Builder;

use super::units::{bytes, seconds};

/// Where a server listens, and what it runs on.
///
/// One with a port of its own says so where it flattens this:
/// `#[command(mut_arg("addr", |addr| addr.default_value("127.0.0.1:8080")))]`. One whose clients need a deep
/// stack refuses less in the same way: `mut_arg("stack", |stack| stack.value_parser(serve::stack_from(32 << 10)))`.
#[derive(Args, Debug, Clone)]
#[group(skip)]
pub(crate) struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) addr: String,

    /// Threads that run coroutines; one for each core unless given
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,

    /// Bytes of each coroutine's stack, such as 64K; the library's own choice unless given
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) stack: Option<usize>,

    /// Seconds that work under way has, once the server is asked to end
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) drain: Duration,
}

impl Options {
    /// The runtime that these ask for.
    pub(crate) fn runtime(&self) -> Builder {
        let mut runtime = Builder::new().shutdown_timeout(self.drain);
        if let Some(workers) = self.workers {
            runtime = runtime.workers(workers);
        }
        if let Some(stack) = self.stack {
            runtime = runtime.stack_size(stack);
        }
        runtime
    }
}
