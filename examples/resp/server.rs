//! The server as a whole: what all connections share, who is let in, and what expires.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use dormouse::net::TcpStream;
use dormouse::sync::{Mutex, MutexGuard, Notify};
use dormouse::thread;
use socket2::{SockRef, TcpKeepalive};

use super::client::Client;
use super::config::Config;
use super::connection;
use super::database::NEVER;
use super::options::Options;
use super::serve::{self, LogLimit, Totals};
use super::store::{Store, now};

/// Keys that expire under one lock, at the most.
const SLICE: usize = 64;

/// Seconds of silence that the kernel can wait for, at the most.
const LONGEST_SILENCE: u64 = 32_767;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    store: Mutex<Store>,
    /// That a key comes to expire before all others.
    sooner: Arc<Notify>,
    pub(crate) began: Instant,
    /// `Config::timeout`, where it is read without the lock.
    silence: AtomicU64,
    /// Of clients that are turned away.
    log_limit: LogLimit,
}

/// What a server did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) totals: Totals,
    pub(crate) commands: u64,
    pub(crate) rejected: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { totals, commands, rejected } = self;
        write!(f, "{commands} commands, {rejected} clients turned away; {totals}")
    }
}

/// Serves until `stop` returns, and the commands under way are answered. `ready` is told where.
pub(crate) fn run(
    options: &Options,
    ready: impl FnOnce(SocketAddr),
    stop: impl FnOnce() -> io::Result<()>,
) -> io::Result<Summary> {
    let server = Arc::new(Server::new(options));
    let client = {
        let server = Arc::clone(&server);
        move |stream, peer| connection::serve(&server, stream, peer)
    };
    let listens = |address| {
        server.lock().config.listens(address);
        let server = Arc::clone(&server);
        drop(dormouse::spawn(move || server.expire()));
        ready(address);
    };
    let totals = serve::run(&options.serve, client, listens, stop)?;
    let counts = server.lock().counts;
    Ok(Summary { totals, commands: counts.commands, rejected: counts.rejected })
}

impl Server {
    fn new(options: &Options) -> Server {
        let config = Config::new(options.max_clients, options.output_limit, options.pubsub_limit);
        let sooner = Arc::new(Notify::new());
        Server {
            store: Mutex::new(Store::new(config, &sooner)),
            sooner,
            began: Instant::now(),
            silence: AtomicU64::new(0),
            log_limit: LogLimit::new(),
        }
    }

    /// The store. A command that panicked has left it as it is.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How long a client may be silent.
    #[inline]
    pub(crate) fn silence(&self) -> Option<Duration> {
        // ORDERING: Relaxed, with `set_silence`: a setting, which orders nothing.
        match self.silence.load(Relaxed) {
            0 => None,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    pub(crate) fn set_silence(&self, seconds: u64) {
        self.silence.store(seconds, Relaxed);
    }

    /// Lets a client in, unless there are too many.
    pub(crate) fn admit(&self, mut stream: TcpStream, peer: SocketAddr) -> Option<Arc<Client>> {
        let mut store = self.lock();
        store.counts.connections += 1;
        if store.clients.len() >= store.config.clients {
            store.counts.rejected += 1;
            drop(store);
            if self.log_limit.allows() {
                log::warn!("{peer} is turned away: there are too many clients");
            }
            // Nobody can be told that it fails.
            let _ = stream.write_all(b"-ERR max number of clients reached\r\n");
            return None;
        }
        keep_alive(&stream, store.config.keepalive);
        let client = Client::new(store.number(), stream, peer, now());
        store.clients.insert(client.id, Arc::clone(&client));
        Some(client)
    }

    /// Removes keys when they expire, also those that nobody looks for.
    fn expire(&self) {
        loop {
            let (next, now) = self.expire_some();
            match next {
                NEVER => self.sooner.wait(),
                next if next <= now => thread::yield_now(),
                // Woken or not, there may be something to be done.
                next => {
                    let _ = self.sooner.wait_timeout(Duration::from_millis(next - now));
                }
            }
        }
    }

    /// Gives when there is more to be done, and the time it is.
    fn expire_some(&self) -> (u64, u64) {
        let (mut store, now, mut left) = (self.lock(), now(), SLICE);
        for database in &mut store.databases {
            left -= database.expire_some(now, left);
        }
        let next = store.databases.iter().map(|database| database.next_deadline()).min();
        (next.unwrap_or(NEVER), now)
    }
}

/// Has the kernel end the connection of a client that has gone without a word. It fails if the client has left already.
fn keep_alive(stream: &TcpStream, seconds: u64) {
    if seconds == 0 {
        return;
    }
    let seconds = seconds.min(LONGEST_SILENCE);
    let interval = Duration::from_secs((seconds / 3).max(1));
    let probes = TcpKeepalive::new().with_time(Duration::from_secs(seconds)).with_interval(interval).with_retries(3);
    let _ = SockRef::from(stream).set_tcp_keepalive(&probes);
}
