//! Clients that come with one request each: connect, send, wait for the answer, leave. One thread, one epoll loop.
//!
//! 1. A client's time begins when it was to come.
//! 2. Nobody waits longer than `patience`; whoever gives up closes the connection, as a user would.
//! 3. Every connection is closed by a reset, so that none lingers in TIME_WAIT.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use socket2::{Domain, SockRef, Socket, Type};

use crate::arrivals::Arrivals;
use crate::poller::{EDGE, PEER_CLOSED, Poller, READABLE, WRITABLE};
use crate::server::MESSAGE;

/// What became of the clients that came in the time measured.
pub(crate) struct Outcome {
    pub(crate) came: u64,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) gave_up: u64,
    pub(crate) measured: Duration,
    /// Nanoseconds, of those who were answered.
    pub(crate) latencies: Histogram<u64>,
}

impl Outcome {
    /// Answers a second.
    pub(crate) fn goodput(&self) -> f64 {
        self.answered as f64 / self.measured.as_secs_f64()
    }

    pub(crate) fn latency(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.latencies.value_at_quantile(quantile))
    }
}

struct Client {
    stream: TcpStream,
    /// When it was to come.
    since: Duration,
    sent: bool,
    received: usize,
}

/// Where new clients come from.
enum Source {
    /// They come when they come.
    Open(Arrivals),
    /// One comes for each that leaves.
    Closed(usize),
}

pub(crate) struct Load {
    server: SocketAddr,
    poller: Poller,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    /// Who came when, oldest first; some have left since.
    order: VecDeque<(Duration, usize)>,
    start: Instant,
    warm_up: Duration,
    patience: Duration,
    outcome: Outcome,
}

/// Clients that come at `rate` a second, for `warm_up` and then for `measured`.
pub(crate) fn open_loop(
    server: SocketAddr,
    rate: f64,
    warm_up: Duration,
    measured: Duration,
    patience: Duration,
) -> io::Result<Outcome> {
    Load::new(server, warm_up, measured, patience)?.run(Source::Open(Arrivals::new(rate)))
}

/// So many clients at a time, each followed by another: what the server can do at most.
pub(crate) fn closed_loop(server: SocketAddr, clients: usize, measured: Duration) -> io::Result<Outcome> {
    let warm_up = Duration::from_millis(200);
    Load::new(server, warm_up, measured, Duration::from_secs(10))?.run(Source::Closed(clients))
}

impl Load {
    fn new(server: SocketAddr, warm_up: Duration, measured: Duration, patience: Duration) -> io::Result<Self> {
        let latencies = Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
        let outcome = Outcome { came: 0, answered: 0, refused: 0, gave_up: 0, measured, latencies };
        let (poller, clients, free, order) = (Poller::new()?, Vec::new(), Vec::new(), VecDeque::new());
        Ok(Self { server, poller, clients, free, order, start: Instant::now(), warm_up, patience, outcome })
    }

    fn run(mut self, mut source: Source) -> io::Result<Outcome> {
        let end = self.warm_up + self.outcome.measured;
        loop {
            let now = self.start.elapsed();
            if now < end {
                self.let_come(&mut source, now)?;
            } else if self.present() == 0 {
                return Ok(self.outcome);
            }
            self.give_up(now);
            // Never sleeps: a thread that is woken is late.
            let ready = self.poller.wait(Some(Duration::ZERO))?;
            for index in 0..ready {
                let (token, _) = self.poller.event(index);
                self.serve(token);
            }
        }
    }

    fn present(&self) -> usize {
        self.clients.len() - self.free.len()
    }

    fn let_come(&mut self, source: &mut Source, now: Duration) -> io::Result<()> {
        match source {
            Source::Open(arrivals) => {
                while let Some(since) = arrivals.due(now) {
                    self.come(since)?;
                }
            }
            Source::Closed(clients) => {
                while self.present() < *clients {
                    self.come(now)?;
                }
            }
        }
        Ok(())
    }

    fn come(&mut self, since: Duration) -> io::Result<()> {
        self.outcome.came += u64::from(self.counts(since));
        let socket = Socket::new(Domain::for_address(self.server), Type::STREAM.nonblocking(), None)?;
        socket.set_linger(Some(Duration::ZERO))?;
        match socket.connect(&self.server.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let stream = TcpStream::from(socket);
        let index = self.free.pop().unwrap_or_else(|| {
            self.clients.push(None);
            self.clients.len() - 1
        });
        self.poller.add(&stream, READABLE | WRITABLE | PEER_CLOSED | EDGE, index)?;
        self.clients[index] = Some(Client { stream, since, sent: false, received: 0 });
        self.order.push_back((since, index));
        Ok(())
    }

    /// Whether a client that was to come then is one of those measured.
    fn counts(&self, since: Duration) -> bool {
        since >= self.warm_up && since < self.warm_up + self.outcome.measured
    }

    fn give_up(&mut self, now: Duration) {
        while let Some((since, index)) = self.order.front().copied() {
            let is_here = self.clients[index].as_ref().is_some_and(|client| client.since == since);
            if is_here && now < since + self.patience {
                return;
            }
            self.order.pop_front();
            if is_here {
                self.leave(index);
                self.outcome.gave_up += u64::from(self.counts(since));
            }
        }
    }

    fn leave(&mut self, index: usize) {
        self.clients[index] = None;
        self.free.push(index);
    }

    fn serve(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else {
            return;
        };
        let (since, progress) = (client.since, client.advance());
        match progress {
            Ok(false) => return,
            Ok(true) => {
                let took = self.start.elapsed().saturating_sub(since);
                if self.counts(since) {
                    self.outcome.answered += 1;
                    self.outcome.latencies.saturating_record(took.as_nanos() as u64);
                }
            }
            Err(_) => self.outcome.refused += u64::from(self.counts(since)),
        }
        self.leave(index);
    }
}

impl Client {
    /// As far as it goes now; whether the answer is there.
    fn advance(&mut self) -> io::Result<bool> {
        if !self.sent {
            match self.stream.write(&[b'?'; MESSAGE]) {
                Ok(MESSAGE) => self.sent = true,
                Ok(_) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if is_to_come(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        let mut buffer = [0; MESSAGE];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.received += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.received == MESSAGE {
                return Ok(true);
            }
        }
    }
}

/// Whether a write failed only because the connection does not stand yet.
fn is_to_come(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

/// A connection that plays on: without delay, closed by a reset.
pub(crate) fn lasting(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Ok(stream)
}
