//! Slow clients, which send a byte a second and never come to the end of a request. Their bytes are spread evenly over the second.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::clients::lasting;

/// All that are connected to one server.
#[derive(Default)]
pub(crate) struct SlowOnes {
    server: Option<SocketAddr>,
    /// `None` for those whom the server has cut off.
    clients: Vec<Option<TcpStream>>,
    /// Bytes a second of all together.
    rate: usize,
    /// Bytes sent since they were renewed, and before.
    sent: usize,
    before: usize,
}

impl SlowOnes {
    /// So many connections, over which so many bytes go each second.
    pub(crate) fn connect(server: SocketAddr, count: usize, rate: usize) -> io::Result<Self> {
        let clients = (0..count).map(|_| lasting(server).map(Some)).collect::<io::Result<_>>()?;
        Ok(Self { server: Some(server), clients, rate, sent: 0, before: 0 })
    }

    /// Others come for those who were cut off, and time begins anew.
    pub(crate) fn renew(&mut self) -> io::Result<()> {
        self.before += std::mem::take(&mut self.sent);
        let Some(server) = self.server else {
            return Ok(());
        };
        for client in &mut self.clients {
            if client.as_mut().is_none_or(has_ended) {
                *client = Some(lasting(server)?);
            }
        }
        Ok(())
    }

    /// Sends what is due.
    pub(crate) fn send_until(&mut self, now: Duration) {
        let due = (now.as_secs_f64() * self.rate as f64) as usize;
        while self.sent < due {
            let index = (self.before + self.sent) % self.clients.len();
            self.sent += 1;
            let client = &mut self.clients[index];
            if client.as_mut().is_some_and(|client| is_failure(&client.write(b"."))) {
                *client = None;
            }
        }
    }

    /// How many of them have been found cut off.
    pub(crate) fn cut_off(&self) -> usize {
        self.clients.iter().filter(|client| client.is_none()).count()
    }
}

/// Nobody writes to slow clients: what can be read is the end.
fn has_ended(client: &mut TcpStream) -> bool {
    let read = client.read(&mut [0]);
    read.is_ok() || is_failure(&read)
}

fn is_failure(answer: &io::Result<usize>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
}
