//! Moving many datagrams through a [`UdpSocket`] in one system call, in memory that the caller provides.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use dormouse_runtime::budget;
use dormouse_runtime::wait::Interest;

use super::UdpSocket;
use super::transfer::nothing;
use crate::sys::datagram::{self, Received};

/// The most datagrams that one `send_many` sends, so that it ends in time for others: on the loopback interface one
/// takes
/// 2.5 to 4 us, whatever its length.
const MOST_SENT: usize = 64;

/// The bytes after which it sends no further datagram. On other interfaces a long one becomes many packets, each of
/// which takes its time.
const MOST_BYTES: usize = 256 * 1024;

/// A datagram to be sent by [`UdpSocket::send_many`]: borrowed bytes, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The bytes.
    payload: &'a [u8],
    /// Where they go; `None` for the socket's peer.
    target: Option<SocketAddr>,
}

impl<'a> Datagram<'a> {
    /// A datagram for the peer that was set by [`UdpSocket::connect`].
    pub const fn new(payload: &'a [u8]) -> Datagram<'a> {
        Datagram { payload, target: None }
    }

    /// A datagram for `target`, whatever the peer of the socket is.
    pub const fn to(payload: &'a [u8], target: SocketAddr) -> Datagram<'a> {
        Datagram { payload, target: Some(target) }
    }

    /// Returns the bytes.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Returns where the bytes go, `None` for the socket's peer.
    pub const fn target(&self) -> Option<SocketAddr> {
        self.target
    }
}

/// A borrowed buffer for [`UdpSocket::recv_many`], and after that the datagram in it. It can be used again and again.
pub struct DatagramMut<'a> {
    /// Room for the bytes.
    buffer: &'a mut [u8],
    /// What is said of the datagram in it.
    received: Received,
}

impl<'a> DatagramMut<'a> {
    /// An empty datagram with room for as many bytes as `buffer` has.
    pub fn new(buffer: &'a mut [u8]) -> DatagramMut<'a> {
        DatagramMut { buffer, received: Received::default() }
    }

    /// Returns the bytes that were received: none before anything was.
    pub fn payload(&self) -> &[u8] {
        &self.buffer[..self.received.length]
    }

    /// Returns the bytes that were received, to be changed in place.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.received.length]
    }

    /// Returns where the datagram came from: `None` before anything was received, or if that is no internet address.
    pub fn source(&self) -> Option<SocketAddr> {
        self.received.source
    }

    /// Returns whether the datagram was longer than the buffer, so that its end is lost.
    pub fn is_truncated(&self) -> bool {
        self.received.truncated
    }

    /// Gives the whole buffer back.
    pub fn into_buffer(self) -> &'a mut [u8] {
        self.buffer
    }
}

/// The datagram; not the rest of its buffer.
impl fmt::Debug for DatagramMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramMut")
            .field("payload", &self.payload())
            .field("source", &self.source())
            .field("is_truncated", &self.is_truncated())
            .field("room", &self.buffer.len())
            .finish()
    }
}

impl UdpSocket {
    /// The most datagrams that one [`recv_many`](UdpSocket::recv_many) takes.
    pub const RECV_MANY_MAX: usize = datagram::BATCH;

    /// Receives at least one datagram, and of those that are there already as many as there are `datagrams` to put them
    /// in, at most [`RECV_MANY_MAX`](UdpSocket::RECV_MANY_MAX); it does not wait for more. Returns how many it received:
    /// these are the first, in the order in which they came, and the others are left as they were. With no room at all
    /// it returns 0 at once.
    ///
    /// One system call, and no allocation.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UdpSocket::recv_from), and only if nothing was received: an error that comes up behind a
    /// datagram is that of the next call.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, until there is a datagram.
    ///
    /// # Examples
    ///
    /// A server that answers in batches. Buffers of this size belong on the heap, not on a coroutine's stack.
    ///
    /// ```
    /// use dormouse_net::{Datagram, DatagramMut, UdpSocket};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let (server, client) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// # client.send_to(b"hello", server.local_addr()?)?;
    /// # client.send_to(b"", server.local_addr()?)?;
    /// let mut memory = vec![0; UdpSocket::RECV_MANY_MAX * 2048];
    /// let mut requests: Vec<_> = memory.chunks_mut(2048).map(DatagramMut::new).collect();
    /// loop {
    ///     let count = server.recv_many(&mut requests)?;
    ///     for request in &requests[..count] {
    ///         if !request.is_truncated() && let Some(source) = request.source() {
    ///             server.send_to(request.payload(), source)?;
    ///         }
    ///     }
    /// #   assert_eq!((count, client.recv(&mut [0; 8])?), (2, 5));
    /// #   break;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_many(&self, datagrams: &mut [DatagramMut<'_>]) -> io::Result<usize> {
        if datagrams.is_empty() {
            return Ok(0);
        }
        let receive = |fd: BorrowedFd<'_>| {
            let rooms = datagrams.iter_mut().map(|datagram| (&mut *datagram.buffer, &mut datagram.received));
            datagram::recv_many(fd, rooms)
        };
        self.socket().retry_unless_shut(Interest::Read, receive, nothing)
    }

    /// Sends at least one of `datagrams`, and as many more, in their order, as it can without waiting. Returns how many
    /// it sent; to send the rest, call again with the rest. With nothing to send it returns 0 at once.
    ///
    /// One system call for 32 datagrams, and no allocation. So that a coroutine does not keep its worker from others
    /// for much more than 200 us, one call sends at most 64 datagrams, and none behind the first 256 KiB; and it counts
    /// as that many sends towards the operations after which a coroutine lets others run.
    ///
    /// # Errors
    ///
    /// That of the first datagram, as for [`send_to`](UdpSocket::send_to) and [`send`](UdpSocket::send). If another one
    /// fails, the call returns how many went before. An error of that one's own, such as `EMSGSIZE`, is that of the next
    /// call; one that an ICMP message brought is lost, since sendmmsg(2) does not tell it.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine, or blocks the plain thread, while the send buffer has no room for the first datagram.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::{Datagram, UdpSocket};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listeners = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///
    /// let news = [
    ///     Datagram::to(b"one", listeners[0].local_addr()?),
    ///     Datagram::to(b"two", listeners[1].local_addr()?),
    ///     Datagram::to(b"three", listeners[0].local_addr()?),
    /// ];
    /// let mut rest = &news[..];
    /// while !rest.is_empty() {
    ///     rest = &rest[socket.send_many(rest)?..];
    /// }
    /// assert_eq!(listeners[1].recv(&mut [0; 8])?, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_many(&self, datagrams: &[Datagram<'_>]) -> io::Result<usize> {
        if datagrams.is_empty() {
            return Ok(0);
        }
        let datagrams = first(datagrams);
        // Before anything is sent, as `retry` does for the first: a cancellation that comes with a yield loses nothing.
        (1..datagrams.len()).for_each(|_| budget::spend());
        self.socket().retry(Interest::Write, |fd| send_batches(fd, datagrams))
    }
}

/// The datagrams that one call sends.
fn first<'a, 'b>(datagrams: &'a [Datagram<'b>]) -> &'a [Datagram<'b>] {
    let mut bytes = 0;
    let in_time = |datagram: &&Datagram<'_>| {
        let in_time = bytes < MOST_BYTES;
        bytes += datagram.payload.len();
        in_time
    };
    let count = datagrams.iter().take(MOST_SENT).take_while(in_time).count();
    &datagrams[..count]
}

/// Sends batch after batch, up to the first that does not go out whole.
fn send_batches(fd: BorrowedFd<'_>, datagrams: &[Datagram<'_>]) -> io::Result<usize> {
    let mut sent = 0;
    for batch in datagrams.chunks(datagram::BATCH) {
        match datagram::send_many(fd, batch.iter().map(|datagram| (datagram.payload, datagram.target.as_ref()))) {
            Ok(count) => sent += count,
            Err(error) if sent == 0 => return Err(error),
            Err(_) => break,
        }
        if sent % datagram::BATCH != 0 {
            break;
        }
    }
    Ok(sent)
}
