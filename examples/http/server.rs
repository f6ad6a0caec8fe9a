//! The server as a whole: what all connections share, and what is counted.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dormouse::net::MinRate;

use super::connection;
use super::options::Options;
use super::request::Request;
use super::serve::{self, LogLimit, Totals};
use super::status::Refusal;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: Options,
    /// Of the files; absolute, without symbolic links.
    pub(crate) root: Option<PathBuf>,
    /// The slowest that a body may come.
    pub(crate) rate: MinRate,
    /// Of refusals.
    log_limit: LogLimit,
    requests: AtomicU64,
    refusals: AtomicU64,
}

/// What a server did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) totals: Totals,
    pub(crate) requests: u64,
    pub(crate) refusals: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { totals, requests, refusals } = self;
        write!(f, "{requests} requests, {refusals} refused; {totals}")
    }
}

/// Serves until `stop` returns, and the requests under way are answered. `ready` is told where.
pub(crate) fn run(
    options: &Options,
    ready: impl FnOnce(SocketAddr),
    stop: impl FnOnce() -> io::Result<()>,
) -> io::Result<Summary> {
    let server = Arc::new(Server::new(options)?);
    let client = {
        let server = Arc::clone(&server);
        move |stream, peer| connection::serve(&server, stream, peer)
    };
    let totals = serve::run(&options.serve, client, ready, stop)?;
    Ok(Summary { totals, requests: server.requests.load(Relaxed), refusals: server.refusals.load(Relaxed) })
}

impl Server {
    fn new(options: &Options) -> io::Result<Server> {
        let root = options.root.as_ref().map(|root| {
            let told = |error| io::Error::other(format!("--root {}: {error}", root.display()));
            root.canonicalize().and_then(directory).map_err(told)
        });
        Ok(Server {
            options: options.clone(),
            root: root.transpose()?,
            rate: MinRate::bytes_per_second(options.min_rate).over(options.min_rate_window),
            log_limit: LogLimit::new(),
            requests: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        })
    }
}

fn directory(path: PathBuf) -> io::Result<PathBuf> {
    if path.is_dir() { Ok(path) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// A client's time here. What it did counts once it has gone, in whatever way.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) server: &'a Server,
    peer: SocketAddr,
    requests: u64,
}

impl<'a> Visit<'a> {
    pub(crate) fn begin(server: &'a Server, peer: SocketAddr) -> Visit<'a> {
        Visit { server, peer, requests: 0 }
    }

    pub(crate) fn note_request(&mut self, request: &Request, status: u16, bytes: u64) {
        self.requests += 1;
        log::debug!("{} {:?} {} {status} {bytes}", self.peer, request.method, request.target.as_str());
    }

    /// Whether the client was sent something.
    pub(crate) fn has_answered(&self) -> bool {
        self.requests > 0
    }

    pub(crate) fn note_refusal(&self, refusal: Refusal) {
        self.server.refusals.fetch_add(1, Relaxed);
        if self.server.log_limit.allows() {
            log::info!("{}: {refusal}", self.peer);
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let Visit { server, requests, .. } = self;
        server.requests.fetch_add(*requests, Relaxed);
    }
}
