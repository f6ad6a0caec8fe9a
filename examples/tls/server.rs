//! The server as a whole: what all connections share, and what is counted.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustls::ServerConfig;

use super::options::Options;
use super::serve::{self, HighWater, LogLimit, Totals};
use super::{certificate, client};

/// What all connections share.
// ORDERING: all counts are Relaxed: they order nothing, and are read for good behind the runtime's end.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: Options,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) stack: HighWater,
    /// Of what clients do wrong.
    log_limit: LogLimit,
    handshakes: AtomicU64,
    failures: AtomicU64,
    truncated: AtomicU64,
}

/// What a server did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) totals: Totals,
    /// Those that were completed.
    pub(crate) handshakes: u64,
    /// Connections that ended otherwise than by a close that both wanted, or by a limit of time.
    pub(crate) failures: u64,
    /// Those among them whose end came without a word: somebody may have cut it short.
    pub(crate) truncated: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { totals, handshakes, failures, truncated } = self;
        write!(f, "{handshakes} handshakes, {failures} failures, {truncated} of them truncated; {totals}")
    }
}

/// Serves until `stop` returns, and what was begun is sent. `ready` is told where.
pub(crate) fn run(
    options: &Options,
    ready: impl FnOnce(SocketAddr),
    stop: impl FnOnce() -> io::Result<()>,
) -> io::Result<Summary> {
    let server = Arc::new(Server {
        options: options.clone(),
        config: certificate::config(options)?,
        stack: HighWater::default(),
        log_limit: LogLimit::new(),
        handshakes: AtomicU64::new(0),
        failures: AtomicU64::new(0),
        truncated: AtomicU64::new(0),
    });
    let client = {
        let server = Arc::clone(&server);
        move |stream, peer| client::serve(&server, stream, peer)
    };
    let mut totals = serve::run(&options.serve, client, ready, stop)?;
    totals.stack = totals.stack.max(server.stack.most());
    let [handshakes, failures, truncated] =
        [&server.handshakes, &server.failures, &server.truncated].map(|count| count.load(Relaxed));
    Ok(Summary { totals, handshakes, failures, truncated })
}

impl Server {
    pub(crate) fn note_handshake(&self) {
        self.handshakes.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_failure(&self, peer: SocketAddr, error: &io::Error) {
        self.failures.fetch_add(1, Relaxed);
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.truncated.fetch_add(1, Relaxed);
        }
        if self.log_limit.allows() {
            log::info!("{peer}: {error}");
        }
    }
}
