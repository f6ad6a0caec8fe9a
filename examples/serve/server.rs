//! Lets clients in, a coroutine for each, counts them, and ends.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::spawn;

use super::high_water::HighWater;
use super::options::Options;
use super::shortage::Shortage;

/// What was counted so far.
// ORDERING: all Relaxed: these order nothing, and are read for good behind the runtime's end, which joins its workers.
#[derive(Debug, Default)]
struct Counts {
    live: AtomicUsize,
    connections: AtomicU64,
    stack: HighWater,
}

/// What a server did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    pub(crate) connections: u64,
    /// The most bytes of stack that a client's coroutine has used, by whole pages.
    pub(crate) stack: usize,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} connections; stack high water: {} bytes", self.connections, self.stack)
    }
}

/// Calls `client` for each client, in a coroutine of its own, until `stop` returns, and what is then under way is done.
/// `ready` is told where clients are let in.
pub(crate) fn run(
    options: &Options,
    client: impl Fn(TcpStream, SocketAddr) + Send + Sync + 'static,
    ready: impl FnOnce(SocketAddr),
    stop: impl FnOnce() -> io::Result<()>,
) -> io::Result<Totals> {
    let (counts, client) = (Arc::new(Counts::default()), Arc::new(client));
    options.runtime().run(|| {
        let listener = TcpListener::bind(&options.addr)?;
        ready(listener.local_addr()?);
        let accepting = spawn({
            let counts = Arc::clone(&counts);
            move || accept(&listener, &counts, &client)
        });
        stop()?;
        // With this the listener is closed: who comes now may try another server.
        accepting.cancel();
        let _ = accepting.join();
        log::info!("ending: {} connections, {:?} for what is under way", counts.live.load(Relaxed), options.drain);
        io::Result::Ok(())
    })??;
    Ok(Totals { connections: counts.connections.load(Relaxed), stack: counts.stack.most() })
}

fn accept<C>(listener: &TcpListener, counts: &Arc<Counts>, client: &Arc<C>)
where
    C: Fn(TcpStream, SocketAddr) + Send + Sync + 'static,
{
    let mut shortage = Shortage::default();
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Some(failures) = shortage.note_success(Instant::now()) {
                    log::warn!("connections are accepted again, after {failures} failures");
                }
                let (counts, client) = (Arc::clone(counts), Arc::clone(client));
                // Each of these protocols sends what it has to say as a whole.
                let _ = stream.set_nodelay(true);
                drop(spawn(move || {
                    let _visit = Visit::begin(&counts);
                    client(stream, peer);
                }));
            }
            // Without descriptors left, accept itself pauses.
            Err(error) if Shortage::is_meant_by(&error) => {
                if shortage.note_failure(Instant::now()) {
                    log::warn!("connections are not accepted for now: {error}");
                }
            }
            Err(error) => log::warn!("a connection is not accepted: {error}"),
        }
    }
}

/// A client's time here, which counts once it has gone, in whatever way.
struct Visit<'a>(&'a Counts);

impl Visit<'_> {
    fn begin(counts: &Counts) -> Visit<'_> {
        counts.live.fetch_add(1, Relaxed);
        Visit(counts)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let Visit(counts) = self;
        counts.live.fetch_sub(1, Relaxed);
        counts.connections.fetch_add(1, Relaxed);
        counts.stack.note();
    }
}
