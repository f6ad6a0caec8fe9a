//! The baseline below: a hand-written, single-threaded, edge-triggered epoll loop with one buffer for everybody.
//!
//! 1. A request that came whole costs one recv and one send; a read that was short is taken for the last one, unless the
//!    event told of the stream's end, since data and FIN can arrive as one edge.
//! 2. A connection owns four bytes, its descriptor, in a table indexed by it. Only one whose peer does not read also owns
//!    what could not be sent, and only then is there interest in writability.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use crate::poller::{EDGE, ENDING, PEER_CLOSED, Poller, READABLE, WRITABLE};
use crate::process;

const BUFFER: usize = 64 * 1024;
const INTEREST: u32 = READABLE | PEER_CLOSED | EDGE;

pub(crate) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let poller = Poller::new()?;
    // The listener is level-triggered, and its token its own descriptor, as it is for the connections.
    poller.add(&listener, READABLE, listener.as_raw_fd() as usize)?;
    super::announce(listener.local_addr()?)?;
    let floor = Floor { poller, listener, clients: Vec::new(), unsent: HashMap::new(), buffer: vec![0; BUFFER] };
    floor.run()
}

struct Floor {
    poller: Poller,
    listener: TcpListener,
    /// By descriptor.
    clients: Vec<Option<TcpStream>>,
    /// What a full socket refused, by descriptor; nothing is read from such a client until it is gone.
    unsent: HashMap<usize, Vec<u8>>,
    buffer: Vec<u8>,
}

impl Floor {
    fn run(mut self) -> io::Result<()> {
        let listener = self.listener.as_raw_fd() as usize;
        loop {
            for index in 0..self.poller.wait(None)? {
                let (fd, readiness) = self.poller.event(index);
                if fd == listener {
                    self.accept()?;
                } else if self.echo(fd, readiness).is_err() {
                    self.unsent.remove(&fd);
                    self.clients[fd] = None;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let client = match process::accept_nonblocking(&self.listener) {
                Ok(client) => TcpStream::from(client),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            client.set_nodelay(true)?;
            let fd = client.as_raw_fd() as usize;
            self.poller.add(&client, INTEREST, fd)?;
            if self.clients.len() <= fd {
                self.clients.resize_with(fd + 1, || None);
            }
            self.clients[fd] = Some(client);
        }
    }

    /// Sends back all that has come; an error, the stream's end among them, closes the connection.
    fn echo(&mut self, fd: usize, readiness: u32) -> io::Result<()> {
        let Some(client) = &mut self.clients[fd] else {
            return Ok(());
        };
        if !self.unsent.is_empty() && self.unsent.contains_key(&fd) {
            return self.flush(fd);
        }
        loop {
            let length = match client.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let sent = send(client, &self.buffer[..length])?;
            if sent < length {
                self.unsent.insert(fd, self.buffer[sent..length].to_vec());
                return self.poller.modify(client, INTEREST | WRITABLE, fd);
            }
            if length < self.buffer.len() && readiness & ENDING == 0 {
                return Ok(());
            }
        }
    }

    /// Sends what was left over. When that is all gone, the change of interest reports anew what can be read.
    #[cold]
    fn flush(&mut self, fd: usize) -> io::Result<()> {
        let (Some(client), Some(unsent)) = (&mut self.clients[fd], self.unsent.get_mut(&fd)) else {
            return Ok(());
        };
        let sent = send(client, unsent)?;
        unsent.drain(..sent);
        if unsent.is_empty() {
            self.unsent.remove(&fd);
            return self.poller.modify(client, INTEREST, fd);
        }
        Ok(())
    }
}

/// Sends what the socket takes: zero bytes when it takes none.
fn send(client: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match client.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        answer => answer,
    }
}
