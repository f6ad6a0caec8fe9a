//! The command line: what to measure and how hard. Knows nothing of how it is done.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures what a connection costs an echo server: one coroutine per client, beside one thread per client and a
/// hand-written epoll loop. Without arguments: all three, 10,000 connections, 100 of them active.
#[derive(Parser, Debug, Clone)]
#[command(name = "c10k", version)]
pub(crate) struct Options {
    /// Connections to open (for `parked`: coroutines to park)
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = positive)]
    pub(crate) conns: usize,

    /// Connections of these that play ping-pong, spread evenly over all
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = positive)]
    pub(crate) active: usize,

    /// Bytes of a request, and of its echo
    #[arg(long, value_name = "B", default_value = "64", value_parser = size)]
    pub(crate) size: usize,

    /// Seconds of ping-pong measured, after half a second of warm-up
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub(crate) secs: Duration,

    /// Servers to measure, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "coroutine,thread,epoll")]
    pub(crate) model: Vec<Model>,

    /// Stack of a coroutine: bytes, or with K or M
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = size)]
    pub(crate) stack: usize,

    /// Workers of the coroutine server
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    pub(crate) workers: usize,

    /// Also write the table to FILE as a JSON array, an object a row
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Instead of the table's models: N interleaved pairs of coroutine and epoll, and the ratios within each pair
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with_all = ["model", "connect"])]
    pub(crate) pairs: Option<usize>,

    /// Pair the coroutine server not with epoll but with itself on one worker, on the same cores
    #[arg(long, requires = "pairs")]
    pub(crate) scale: bool,

    /// Also measure the echo server listening at ADDR, written in anything (`--model none`: only that one)
    #[arg(long, value_name = "ADDR", requires = "pid")]
    pub(crate) connect: Option<SocketAddr>,

    /// Process id of the server at ADDR
    #[arg(long, value_name = "PID", requires = "connect")]
    pub(crate) pid: Option<u32>,

    /// Name of the server at ADDR in the table
    #[arg(long, value_name = "NAME", requires = "connect", default_value = "other")]
    pub(crate) label: String,

    /// Be the server of this model: what c10k starts itself as
    #[arg(long, hide = true, requires = "parent")]
    pub(crate) serve: Option<Model>,

    /// The process without which the server has no reason to live
    #[arg(long, hide = true)]
    pub(crate) parent: Option<u32>,
}

/// An echo server c10k can start, or `parked`: coroutines without sockets.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// One dormouse coroutine per client
    Coroutine,
    /// One OS thread per client
    Thread,
    /// Hand-written edge-triggered epoll loop with one buffer: the floor
    Epoll,
    /// No sockets: coroutines that park at once
    Parked,
    /// Nothing but the server of --connect
    None,
}

impl Model {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Model::Coroutine => "coroutine",
            Model::Thread => "thread",
            Model::Epoll => "epoll",
            Model::Parked => "parked",
            Model::None => "none",
        }
    }
}

impl Options {
    /// The models to start, without the placeholder `none`.
    pub(crate) fn models(&self) -> impl Iterator<Item = Model> + '_ {
        self.model.iter().copied().filter(|&model| model != Model::None)
    }

    /// Whether c10k itself starts the server of `model`.
    pub(crate) fn starts(&self, model: Model) -> bool {
        match self.pairs {
            Some(_) => model == Model::Coroutine || model == Model::Epoll && !self.scale,
            None => self.model.contains(&model),
        }
    }

    /// Whether any row needs sockets.
    pub(crate) fn uses_sockets(&self) -> bool {
        self.pairs.is_some() || self.connect.is_some() || self.models().any(|model| model != Model::Parked)
    }

    /// The active connections there can be: never more than there are connections.
    pub(crate) fn active(&self) -> usize {
        self.active.min(self.conns)
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

fn size(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.trim_end_matches(['K', 'k', 'M', 'm']) {
        digits if digits.len() == text.len() => (digits, 0),
        digits if text.ends_with(['K', 'k']) => (digits, 10),
        digits => (digits, 20),
    };
    let bytes = positive(digits)?;
    bytes.checked_mul(1 << shift).ok_or_else(|| "too large".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration >= Duration::from_millis(100) => Ok(duration),
        _ => Err("must be at least 0.1".into()),
    }
}
