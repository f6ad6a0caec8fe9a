//! Normal clients, which stay, send a request now and then and get it echoed.
//!
//! 1. A request has two times. The one *as seen* begins when it was to be sent and ends when its answer is in the hands of this program:
//!    what the one thread that plays all the clients does meanwhile is in it, the sends of thousands of slow ones first of all. The one
//!    *on the wire* begins when the request is sent and ends when the kernel received the answer (`stamp`): that is the server's.
//! 2. If the one before on its connection is not answered yet, a request waits, and the time as seen runs.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::arrivals::Arrivals;
use crate::clients::lasting;
use crate::poller::{EDGE, Poller, READABLE};
use crate::server::MESSAGE;
use crate::slow_ones::SlowOnes;
use crate::stamp;

struct Normal {
    stream: TcpStream,
    /// When the requests that are not answered were to be sent; the first of them has been.
    due: VecDeque<Duration>,
    /// When the first of them was, by the clock of the stamps.
    sent: Duration,
    received: usize,
}

/// Nanoseconds of each request (invariant 1).
pub(crate) struct Latencies {
    pub(crate) seen: Histogram<u64>,
    pub(crate) wire: Histogram<u64>,
}

/// A request that was answered.
struct Answered {
    /// When it was to be sent.
    due: Duration,
    /// How long it took on the wire.
    wire: Duration,
}

/// Clients that are connected.
pub(crate) struct Normals {
    poller: Poller,
    clients: Vec<Normal>,
}

impl Normals {
    pub(crate) fn connect(server: SocketAddr, count: usize) -> io::Result<Self> {
        let poller = Poller::new()?;
        let mut clients = Vec::new();
        for index in 0..count {
            let stream = lasting(server)?;
            poller.add(&stream, READABLE | EDGE, index)?;
            stamp::enable(&stream)?;
            clients.push(Normal { stream, due: VecDeque::new(), sent: Duration::ZERO, received: 0 });
        }
        Ok(Self { poller, clients })
    }

    /// Plays for `warm_up` and then `measured`, and lets the slow ones send meanwhile; gives the times of the requests that were due in
    /// the latter.
    pub(crate) fn play(
        &mut self,
        slow: &mut SlowOnes,
        rate: f64,
        warm_up: Duration,
        measured: Duration,
    ) -> io::Result<Latencies> {
        let mut latencies = Latencies::new()?;
        let (start, end, mut arrivals) = (Instant::now(), warm_up + measured, Arrivals::new(rate));
        let mut requests = 0;
        loop {
            let now = start.elapsed();
            while let Some(due) = arrivals.due(now).filter(|due| *due < end) {
                let index = requests % self.clients.len();
                requests += 1;
                self.clients[index].ask(due)?;
            }
            slow.send_until(now);
            if now >= end && self.clients.iter().all(|client| client.due.is_empty()) {
                return Ok(latencies);
            }
            if now >= end + Duration::from_secs(10) {
                return Err(io::Error::other("normal clients are not answered within 10 s"));
            }
            // Never sleeps: a thread that is woken is late.
            let ready = self.poller.wait(Some(Duration::ZERO))?;
            for event in 0..ready {
                let (index, _) = self.poller.event(event);
                while let Some(Answered { due, wire }) = self.clients[index].answered()? {
                    if due >= warm_up {
                        latencies.record(start.elapsed().saturating_sub(due), wire);
                    }
                }
            }
        }
    }
}

impl Latencies {
    fn new() -> io::Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other);
        Ok(Self { seen: histogram()?, wire: histogram()? })
    }

    fn record(&mut self, seen: Duration, wire: Duration) {
        self.seen.saturating_record(seen.as_nanos() as u64);
        self.wire.saturating_record(wire.as_nanos() as u64);
    }
}

impl Normal {
    fn ask(&mut self, due: Duration) -> io::Result<()> {
        self.due.push_back(due);
        if self.due.len() == 1 { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
        self.sent = stamp::now();
        match self.stream.write(&[b'?'; MESSAGE])? {
            MESSAGE => Ok(()),
            _ => Err(ErrorKind::WriteZero.into()),
        }
    }

    /// The request whose answer has come now.
    fn answered(&mut self) -> io::Result<Option<Answered>> {
        let (mut buffer, mut received_at) = ([0; MESSAGE], None);
        while self.received < MESSAGE {
            let rest = MESSAGE - self.received;
            match stamp::read(&self.stream, &mut buffer[..rest]) {
                Ok((0, _)) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok((n, at)) => (self.received, received_at) = (self.received + n, at),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        self.received = 0;
        let wire = received_at.unwrap_or_else(stamp::now).saturating_sub(self.sent);
        let answered = self.due.pop_front().map(|due| Answered { due, wire });
        if !self.due.is_empty() {
            self.send()?;
        }
        Ok(answered)
    }
}
