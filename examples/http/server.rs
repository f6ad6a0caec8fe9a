//! The server as a whole: who is let in, what is counted, and how it ends.
//!
//! The end of the runtime is the end of the server: connections without a request are cancelled, and those with one,
//! which are shielded from that, are waited for.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use dormouse::net::{MinRate, TcpListener};
use dormouse::{Builder, spawn, thread};

use super::connection;
use super::options::Options;
use super::request::Request;
use super::status::Refusal;

/// The most refusals that are logged each second.
const REFUSALS: u64 = 10;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: Options,
    /// Of the files; absolute, without symbolic links.
    pub(crate) root: Option<PathBuf>,
    /// The slowest that a body may come.
    pub(crate) rate: MinRate,
    began: Instant,
    /// The second of the last refusal that was logged, and how many were in it.
    last_refusals: [AtomicU64; 2],
    live: AtomicUsize,
    connections: AtomicU64,
    requests: AtomicU64,
    refusals: AtomicU64,
    /// The most bytes of stack that a connection has used.
    stack: AtomicUsize,
}

/// What a server did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) connections: u64,
    pub(crate) requests: u64,
    pub(crate) refusals: u64,
    /// The most bytes of stack that a connection has used, by whole pages.
    pub(crate) stack: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { connections, requests, refusals, stack } = self;
        write!(
            f,
            "{requests} requests on {connections} connections, {refusals} refused; stack high water: {stack} bytes"
        )
    }
}

/// Serves until `stop` returns, and the requests under way are answered. `ready` is told where.
pub(crate) fn run(
    options: &Options,
    ready: impl FnOnce(SocketAddr),
    stop: impl FnOnce() -> io::Result<()>,
) -> io::Result<Summary> {
    let server = Arc::new(Server::new(options)?);
    let mut runtime = Builder::new().shutdown_timeout(options.drain);
    if let Some(workers) = options.workers {
        runtime = runtime.workers(workers);
    }
    if let Some(stack) = options.stack {
        runtime = runtime.stack_size(stack);
    }
    runtime.run(|| {
        let listener = TcpListener::bind(&options.addr)?;
        ready(listener.local_addr()?);
        let accepting = spawn({
            let server = Arc::clone(&server);
            move || accept(&server, &listener)
        });
        stop()?;
        // With this the listener is closed: who comes now may try another server.
        accepting.cancel();
        let _ = accepting.join();
        log::info!("ending: {} connections, {:?} for their requests", server.live.load(Relaxed), options.drain);
        io::Result::Ok(())
    })??;
    Ok(server.summary())
}

fn accept(server: &Arc<Server>, listener: &TcpListener) {
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                let server = Arc::clone(server);
                // Responses are sent as a whole.
                let _ = stream.set_nodelay(true);
                drop(spawn(move || connection::serve(&server, stream, peer)));
            }
            // Without descriptors left, accept itself pauses.
            Err(error) => log::warn!("a connection is not accepted: {error}"),
        }
    }
}

impl Server {
    fn new(options: &Options) -> io::Result<Server> {
        let root = options.root.as_ref().map(|root| {
            let told = |error| io::Error::other(format!("--root {}: {error}", root.display()));
            root.canonicalize().map_err(told)
        });
        Ok(Server {
            options: options.clone(),
            root: root.transpose()?,
            rate: MinRate::bytes_per_second(options.min_rate).over(options.min_rate_window),
            began: Instant::now(),
            last_refusals: [AtomicU64::new(0), AtomicU64::new(0)],
            live: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            stack: AtomicUsize::new(0),
        })
    }

    fn summary(&self) -> Summary {
        Summary {
            connections: self.connections.load(Relaxed),
            requests: self.requests.load(Relaxed),
            refusals: self.refusals.load(Relaxed),
            stack: self.stack.load(Relaxed),
        }
    }

    /// Whether one more refusal may be logged: clients do not fill the log.
    fn may_log_refusal(&self) -> bool {
        let [second, count] = &self.last_refusals;
        let now = self.began.elapsed().as_secs();
        if second.swap(now, Relaxed) != now {
            count.store(0, Relaxed);
        }
        count.fetch_add(1, Relaxed) < REFUSALS
    }
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
        server.live.fetch_add(1, Relaxed);
        Visit { server, peer, requests: 0 }
    }

    pub(crate) fn note_request(&mut self, request: &Request, status: u16, bytes: u64) {
        self.requests += 1;
        log::debug!("{} {:?} {} {status} {bytes}", self.peer, request.method, request.target.as_str());
    }

    pub(crate) fn note_refusal(&self, refusal: Refusal) {
        self.server.refusals.fetch_add(1, Relaxed);
        if self.server.may_log_refusal() {
            log::info!("{}: {refusal}", self.peer);
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let Visit { server, requests, .. } = self;
        server.live.fetch_sub(1, Relaxed);
        server.connections.fetch_add(1, Relaxed);
        server.requests.fetch_add(*requests, Relaxed);
        if let Ok(Some(bytes)) = thread::stack_high_water() {
            server.stack.fetch_max(bytes, Relaxed);
        }
    }
}
