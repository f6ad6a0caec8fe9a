//! Clients that stay: normal ones, which send a request now and then and get it echoed, and slow ones, which send a byte a second
//! and never come to the end of a request.
//!
//! 1. A request's time begins when it was to be sent. If the one before on its connection is not answered yet, it waits, and its
//!    time runs.
//! 2. The bytes of the slow ones are spread evenly over the second.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::arrivals::Arrivals;
use crate::clients::lasting;
use crate::poller::{EDGE, Poller, READABLE};
use crate::server::MESSAGE;

struct Normal {
    stream: TcpStream,
    /// When the requests that are not answered were to be sent; the first of them has been.
    due: VecDeque<Duration>,
    received: usize,
}

/// Clients that are connected.
pub(crate) struct Crowd {
    poller: Poller,
    normal: Vec<Normal>,
    /// `None` for those whom the server has cut off.
    slow: Vec<Option<TcpStream>>,
}

impl Crowd {
    pub(crate) fn connect(server: SocketAddr, normal: usize) -> io::Result<Self> {
        let poller = Poller::new()?;
        let mut clients = Vec::new();
        for index in 0..normal {
            let stream = lasting(server)?;
            poller.add(&stream, READABLE | EDGE, index)?;
            clients.push(Normal { stream, due: VecDeque::new(), received: 0 });
        }
        Ok(Self { poller, normal: clients, slow: Vec::new() })
    }

    pub(crate) fn add_slow(&mut self, server: SocketAddr, count: usize) -> io::Result<()> {
        self.slow = (0..count).map(|_| lasting(server).map(Some)).collect::<io::Result<_>>()?;
        Ok(())
    }

    /// All the slow ones leave; how many of them the server had cut off.
    pub(crate) fn remove_slow(&mut self) -> usize {
        self.slow.drain(..).filter(Option::is_none).count()
    }

    /// Plays for `warm_up` and then `measured`: nanoseconds of each request that was due in the latter.
    pub(crate) fn play(&mut self, rate: f64, warm_up: Duration, measured: Duration) -> io::Result<Histogram<u64>> {
        let mut latencies = Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
        let (start, end, mut arrivals) = (Instant::now(), warm_up + measured, Arrivals::new(rate));
        let (mut requests, mut bytes) = (0, 0u64);
        loop {
            let now = start.elapsed();
            while let Some(due) = arrivals.due(now).filter(|due| *due < end) {
                let index = requests % self.normal.len();
                requests += 1;
                self.normal[index].ask(due)?;
            }
            self.send_slow_bytes(now, &mut bytes);
            if now >= end && self.normal.iter().all(|client| client.due.is_empty()) {
                return Ok(latencies);
            }
            if now >= end + Duration::from_secs(10) {
                return Err(io::Error::other("normal clients are not answered within 10 s"));
            }
            // Never sleeps: a thread that is woken is late.
            let ready = self.poller.wait(Some(Duration::ZERO))?;
            for event in 0..ready {
                let (index, _) = self.poller.event(event);
                while let Some(due) = self.normal[index].answered()? {
                    if due >= warm_up {
                        latencies.saturating_record(start.elapsed().saturating_sub(due).as_nanos() as u64);
                    }
                }
            }
        }
    }

    fn send_slow_bytes(&mut self, now: Duration, sent: &mut u64) {
        let due = (now.as_secs_f64() * self.slow.len() as f64) as u64;
        while *sent < due {
            let index = *sent as usize % self.slow.len();
            *sent += 1;
            let cut_off = match &mut self.slow[index] {
                Some(client) => client.write(b".").is_err_and(|error| error.kind() != ErrorKind::WouldBlock),
                None => false,
            };
            if cut_off {
                self.slow[index] = None;
            }
        }
    }
}

impl Normal {
    fn ask(&mut self, due: Duration) -> io::Result<()> {
        self.due.push_back(due);
        if self.due.len() == 1 { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
        match self.stream.write(&[b'?'; MESSAGE])? {
            MESSAGE => Ok(()),
            _ => Err(ErrorKind::WriteZero.into()),
        }
    }

    /// When the request was due whose answer has come now.
    fn answered(&mut self) -> io::Result<Option<Duration>> {
        let mut buffer = [0; MESSAGE];
        while self.received < MESSAGE {
            let rest = MESSAGE - self.received;
            match self.stream.read(&mut buffer[..rest]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.received += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        self.received = 0;
        let due = self.due.pop_front();
        if !self.due.is_empty() {
            self.send()?;
        }
        Ok(due)
    }
}
