//! The hand-written server beside dormouse's: an epoll loop that echoes messages, and waits for those that come bit by bit. What moves
//! its clients is the kernel's and the machine's doing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use crate::poller::{EDGE, ENDING, PEER_CLOSED, Poller, READABLE};
use crate::process;
use crate::server::MESSAGE;

/// A connection and what has come of its message.
struct Client {
    stream: TcpStream,
    message: [u8; MESSAGE],
    received: usize,
}

/// Serves until the process is killed.
pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut poller = Poller::new()?;
    let own = listener.as_raw_fd() as usize;
    poller.add(listener, READABLE, own)?;
    let mut clients: Vec<Option<Box<Client>>> = Vec::new();
    loop {
        for index in 0..poller.wait(None)? {
            let (fd, readiness) = poller.event(index);
            if fd == own {
                accept(listener, &poller, &mut clients)?;
            } else if clients[fd].as_mut().is_some_and(|client| client.echo(readiness).is_err()) {
                clients[fd] = None;
            }
        }
    }
}

fn accept(listener: &TcpListener, poller: &Poller, clients: &mut Vec<Option<Box<Client>>>) -> io::Result<()> {
    loop {
        let stream = match process::accept_nonblocking(listener) {
            Ok(stream) => TcpStream::from(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let fd = stream.as_raw_fd() as usize;
        poller.add(&stream, READABLE | PEER_CLOSED | EDGE, fd)?;
        if clients.len() <= fd {
            clients.resize_with(fd + 1, || None);
        }
        clients[fd] = Some(Box::new(Client { stream, message: [0; MESSAGE], received: 0 }));
    }
}

impl Client {
    /// Goes on until there is no more; an error, the stream's end among them, closes the connection.
    fn echo(&mut self, readiness: u32) -> io::Result<()> {
        loop {
            match self.stream.read(&mut self.message[self.received..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.received += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.received == MESSAGE {
                self.received = 0;
                // A client asks once it was answered: there is room.
                self.stream.write_all(&self.message)?;
            } else if readiness & ENDING == 0 {
                // A short read: there was no more.
                return Ok(());
            }
        }
    }
}
