//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures a server under three times the load that it can serve, with and without admission control; or, with --slow, among
/// thousands of clients that send a byte a second.
#[derive(Parser, Debug, Clone)]
#[command(name = "overload", version)]
pub(crate) struct Options {
    /// Seconds of each measurement, after a warm-up
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub(crate) secs: Duration,

    /// Microseconds of processor time that a request takes
    #[arg(long, value_name = "US", default_value_t = 1000)]
    pub(crate) work: u64,

    /// Into how many pieces a request's work is cut, between which others run
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) pieces: u32,

    /// Milliseconds after which a client gives up
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub(crate) patience: u64,

    /// How many times its capacity the server is loaded with
    #[arg(long, value_name = "X", default_value_t = 3.0)]
    pub(crate) overload: f64,

    /// The share of its capacity that counts as no load
    #[arg(long, value_name = "X", default_value_t = 0.3)]
    pub(crate) unloaded: f64,

    /// What the server does with those whom it does not let in, each measured beside the others
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "refuse")]
    pub(crate) policies: Vec<Policy>,

    /// Ready coroutines above which the server turns clients away
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) max_ready: usize,

    /// Microseconds over which they are averaged
    #[arg(long, value_name = "US", default_value_t = 1000)]
    pub(crate) smoothing: u64,

    /// Instead: N clients that send a byte a second, beside --normal ones
    #[arg(long, value_name = "N")]
    pub(crate) slow: Option<usize>,

    /// Clients that are not slow
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) normal: usize,

    /// Requests a second of all of them together
    #[arg(long, value_name = "N", default_value_t = 5000.0)]
    pub(crate) rate: f64,

    /// Rounds of measurements, of which the medians count
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) rounds: u32,

    /// Which servers are measured among slow clients
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "patient,floor")]
    pub(crate) servers: Vec<Kind>,

    /// Fail unless the server does what the documentation says
    #[arg(long)]
    pub(crate) check: bool,

    /// Be this server: what the tool starts itself as
    #[arg(long, hide = true, requires = "parent")]
    pub(crate) serve: Option<Kind>,

    /// What that server does
    #[arg(long, hide = true, default_value = "refuse")]
    pub(crate) policy: Policy,

    /// The process without which the server has no reason to live
    #[arg(long, hide = true)]
    pub(crate) parent: Option<u32>,

    /// Rounds of work that a request takes
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) work_rounds: u64,
}

/// A server that the tool can start.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Works for each client that comes
    Everybody,
    /// The same, with `Admission`
    Admission,
    /// Echoes, for as long as it takes
    Patient,
    /// Echoes, unless the client is too slow
    Impatient,
    /// Echoes, and is no dormouse
    Floor,
    /// Takes connections and does nothing for them
    Sink,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Everybody => "everybody",
            Kind::Admission => "admission",
            Kind::Patient => "patient",
            Kind::Impatient => "impatient",
            Kind::Floor => "floor",
            Kind::Sink => "sink",
        }
    }
}

/// See `OnOverload`.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Tell them
    Refuse,
    /// Let them wait
    Delay,
    /// Do not listen
    Drop,
}

impl Policy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Policy::Refuse => "refuse",
            Policy::Delay => "delay",
            Policy::Drop => "drop",
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration >= Duration::from_millis(100) => Ok(duration),
        _ => Err("must be at least 0.1".into()),
    }
}
