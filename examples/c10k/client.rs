//! The load generator: a single-threaded epoll loop over all connections, the same for every server.
//!
//! 1. At most `IN_FLIGHT` connections are being opened at a time, below any listener's backlog: no SYN is dropped.
//! 2. An active connection has exactly one request outstanding: a closed loop.
//! 3. Nothing waits for ever: `STALL` without a single answer is a failure.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use socket2::{Domain, Socket, Type};

use crate::connection::{Connection, Courier};
use crate::failure::Failure;
use crate::limits;
use crate::poller::{EDGE, PEER_CLOSED, Poller, READABLE, WRITABLE};
use crate::process;

const IN_FLIGHT: usize = 128;
const STALL: Duration = Duration::from_secs(10);
const INTEREST: u32 = READABLE | WRITABLE | PEER_CLOSED | EDGE;

/// Connections to one server, every one of which has echoed once.
pub(crate) struct Client {
    poller: Poller,
    connections: Vec<Connection>,
    courier: Courier,
    size: usize,
}

/// What a stretch of ping-pong came to.
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    /// Nanoseconds from before a request is sent until its echo is here.
    pub(crate) latencies: Histogram<u64>,
}

impl Client {
    /// Opens `count` connections to `server`, echoes `size` bytes on each, and tells `progress` how many are done.
    pub(crate) fn open(server: SocketAddr, count: usize, size: usize, progress: impl Fn(u64)) -> Result<Self, Failure> {
        let connections = Vec::with_capacity(count);
        let mut client = Self { poller: Poller::new()?, connections, courier: Courier::new(size), size };
        let sources = Sources::new(server)?;
        let (mut done, mut last_news) = (0, Instant::now());
        while done < count {
            while client.connections.len() < (done + IN_FLIGHT).min(count) {
                client.connect(server, &sources).map_err(|error| connect_failed(done, server, error))?;
            }
            let answered = client.opening_turn().map_err(|error| connect_failed(done, server, error))?;
            done += answered;
            progress(done as u64);
            watch(answered, &mut last_news)?;
        }
        Ok(client)
    }

    /// Plays ping-pong for `duration` on `active` of the connections, spread evenly, and lets the last echoes come back.
    pub(crate) fn ping_pong(&mut self, active: usize, duration: Duration) -> Result<Load, Failure> {
        let latencies = Histogram::new_with_bounds(1, 3_600_000_000_000, 3);
        let latencies = latencies.map_err(|error| Failure::other(error.to_string()))?;
        let start = Instant::now();
        let mut load = Load { requests: 0, elapsed: Duration::ZERO, latencies };
        let all = self.connections.len();
        for number in 0..active {
            self.connections[number * all / active].begin(Instant::now(), &mut self.courier)?;
        }
        let (mut outstanding, mut last_news) = (active, Instant::now());
        while outstanding > 0 {
            let before = load.requests;
            outstanding -= self.ping_pong_turn(start + duration, &mut load)?;
            watch((load.requests - before) as usize, &mut last_news)?;
        }
        load.elapsed = start.elapsed();
        Ok(load)
    }

    fn connect(&mut self, server: SocketAddr, sources: &Sources) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM.nonblocking(), None)?;
        socket.set_tcp_nodelay(true)?;
        // A reset instead of TIME_WAIT at the end: the next server's measurement begins in a tidy kernel.
        socket.set_linger(Some(Duration::ZERO))?;
        let index = self.connections.len();
        sources.bind(&socket, index)?;
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let stream = TcpStream::from(socket);
        self.poller.add(&stream, INTEREST, index)?;
        self.connections.push(Connection::new(stream, index));
        Ok(())
    }

    /// Returns how many connections have echoed for the first time.
    fn opening_turn(&mut self) -> io::Result<usize> {
        let mut answered = 0;
        for event in 0..self.poller.wait(Some(STALL))? {
            let (index, readiness) = self.poller.event(event);
            let connection = &mut self.connections[index];
            if !connection.is_established() {
                if let Some(error) = connection.stream.take_error()? {
                    return Err(error);
                }
                connection.begin(Instant::now(), &mut self.courier)?;
            } else if connection.is_idle(self.size) {
                connection.check_idle(readiness)?;
            } else if connection.advance(readiness, &mut self.courier)? {
                answered += 1;
            }
        }
        Ok(answered)
    }

    /// Returns how many connections have stopped, because their echo came after `end`.
    fn ping_pong_turn(&mut self, end: Instant, load: &mut Load) -> io::Result<usize> {
        let mut stopped = 0;
        for event in 0..self.poller.wait(Some(STALL))? {
            let (index, readiness) = self.poller.event(event);
            let connection = &mut self.connections[index];
            if connection.is_idle(self.size) {
                connection.check_idle(readiness)?;
            } else if connection.advance(readiness, &mut self.courier)? {
                let now = Instant::now();
                load.requests += 1;
                load.latencies.saturating_record((now - connection.began).as_nanos() as u64);
                if now < end {
                    connection.begin(now, &mut self.courier)?;
                } else {
                    stopped += 1;
                }
            }
        }
        Ok(stopped)
    }
}

/// Where connections come from: one loopback address has fewer ports than there may be connections.
enum Sources {
    /// The kernel chooses the address.
    Any,
    /// 127.0.0.1, 127.0.0.2 and so on, each for this many connections.
    Loopback { each: usize },
}

impl Sources {
    fn new(server: SocketAddr) -> io::Result<Self> {
        match server.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => Ok(Self::Loopback { each: limits::ports_per_address()? }),
            _ => Ok(Self::Any),
        }
    }

    fn bind(&self, socket: &Socket, index: usize) -> io::Result<()> {
        let Self::Loopback { each } = self else {
            return Ok(());
        };
        let address = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + (index / each) as u32);
        // Without this, bind would take a port for itself instead of one for each pair of addresses.
        process::bind_address_only(socket)?;
        socket.bind(&SocketAddr::from((address, 0)).into())
    }
}

fn watch(news: usize, last_news: &mut Instant) -> Result<(), Failure> {
    if news > 0 {
        *last_news = Instant::now();
    } else if last_news.elapsed() >= STALL {
        return Err(Failure::other(format!("no answer from the server for {STALL:?}")));
    }
    Ok(())
}

fn connect_failed(done: usize, server: SocketAddr, error: io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => Failure::Shortage(vec![limits::out_of_ports(done, server)]),
        Some(libc::EMFILE | libc::ENFILE) => Failure::Shortage(vec![limits::out_of_descriptors(done)]),
        _ => Failure::other(format!("after {done} connections to {server}: {error}")),
    }
}
