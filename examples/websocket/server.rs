//! The server as a whole: what all connections share, and what is counted.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::client;
use super::options::Options;
use super::rooms::Rooms;
use super::serve::{self, HighWater, LogLimit, Totals};

/// What all connections share.
// ORDERING: all counts are Relaxed: they order nothing, and are read for good behind the runtime's end.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: Options,
    pub(crate) rooms: Rooms,
    pub(crate) stack: HighWater,
    /// Of what clients do wrong.
    log_limit: LogLimit,
    sessions: AtomicU64,
    messages: AtomicU64,
    missed: AtomicU64,
    failures: AtomicU64,
}

/// What a server did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) totals: Totals,
    /// WebSockets.
    pub(crate) sessions: u64,
    /// Those that came.
    pub(crate) messages: u64,
    /// Those that were not sent, once for each client that missed one.
    pub(crate) missed: u64,
    /// Connections that ended otherwise than by a close that both agreed on.
    pub(crate) failures: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { totals, sessions, messages, missed, failures } = self;
        write!(f, "{sessions} websockets, {messages} messages, {missed} missed, {failures} failures; {totals}")
    }
}

/// Serves until `stop` returns, and clients are told. `ready` is told where.
pub(crate) fn run(
    options: &Options,
    ready: impl FnOnce(SocketAddr),
    stop: impl FnOnce() -> io::Result<()>,
) -> io::Result<Summary> {
    let server = Arc::new(Server {
        options: options.clone(),
        rooms: Rooms::default(),
        stack: HighWater::default(),
        log_limit: LogLimit::new(),
        sessions: AtomicU64::new(0),
        messages: AtomicU64::new(0),
        missed: AtomicU64::new(0),
        failures: AtomicU64::new(0),
    });
    let client = {
        let server = Arc::clone(&server);
        move |stream, peer| client::serve(&server, &stream, peer)
    };
    let mut totals = serve::run(&options.serve, client, ready, stop)?;
    totals.stack = totals.stack.max(server.stack.most());
    let [sessions, messages, missed, failures] =
        [&server.sessions, &server.messages, &server.missed, &server.failures].map(|count| count.load(Relaxed));
    Ok(Summary { totals, sessions, messages, missed, failures })
}

impl Server {
    pub(crate) fn note_session(&self) {
        self.sessions.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_message(&self, missed: u64) {
        self.messages.fetch_add(1, Relaxed);
        self.missed.fetch_add(missed, Relaxed);
    }

    pub(crate) fn note_failure(&self, peer: SocketAddr, why: &str) {
        self.failures.fetch_add(1, Relaxed);
        if self.log_limit.allows() {
            log::info!("{peer}: {why}");
        }
    }
}
