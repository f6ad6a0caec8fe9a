//! From one stream to another, until the end: through a pipe in the kernel where much comes at once, else through a buffer.
//!
//! Owns which of the two it is, and what is in a pipe or a buffer on its way. Must never know how waiting works.
//!
//! Little messages go through a buffer: two splices cost more than a receive and a send of a few KiB. A receive
//! that fills its buffer begins splicing, which moves pages instead of bytes; a splice that brings little ends it.
//! Whoever waits for the next bytes holds neither pipe nor buffer (a plain thread keeps its own).
//!
//! Invariant 1: bytes that were taken from one stream are sent to the other before more are taken.
//! Invariant 2: only receiving tells the end, and that there is nothing to wait for: before an urgent mark a splice
//! answers as it does in both cases.
//! Invariant 3: a pipe is empty when it is given back, or spliced into.

use std::io;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

use dormouse_runtime::loan::{Buffer, Pipe};
use dormouse_runtime::wait::Interest;
use dormouse_runtime::{blocking, thread};

use crate::stream::{Part, Stream};
use crate::sys::{errno, file, splice, transfer};
use crate::whole::none_written;

/// Bytes received at once into a buffer; as many at once are a lot.
const LITTLE: usize = 16 << 10;

/// Bytes received at once into a buffer where splicing is refused.
const MUCH: usize = 64 << 10;

/// Bytes spliced at once.
const SPLICED: usize = 256 << 10;

/// Moves all that comes from one stream to another, until the end, and says how many bytes that were, as [`std::io::copy`].
///
/// `to` is not shut down. Where much comes at once the bytes stay in the kernel, by splice(2) through a pipe; while nothing
/// comes, a copy in a coroutine holds neither memory nor pipe.
///
/// From then on the descriptions of both are O_NONBLOCK, which nobody sees: as soon as one is shown to others (`as_fd` and the
/// like), it gets its mode back. Streams that others know already are copied through a buffer.
///
/// # Errors
///
/// Those of reading and writing, a read or write timeout included; each limits one wait, not the whole. How much was copied
/// by then is not told.
///
/// # Blocking
///
/// Parks the coroutine, or blocks the plain thread, until the end. A cancellation point: up to 256 KiB that were
/// received but not yet sent are lost then, as they are by an error of the second stream.
///
/// # Examples
///
/// ```
/// use dormouse_net as net;
/// use net::os::unix::net::UnixStream;
/// use std::io::{Read, Write};
///
/// # fn main() -> std::io::Result<()> {
/// let ((mut client, one), (two, mut server)) = (UnixStream::pair()?, UnixStream::pair()?);
/// client.write_all(b"by way of a proxy")?;
/// drop(client);
/// assert_eq!(net::copy(&one, &two)?, 17);
/// drop(two);
/// let mut text = String::new();
/// server.read_to_string(&mut text)?;
/// assert_eq!(text, "by way of a proxy");
/// # Ok(())
/// # }
/// ```
pub fn copy<A: Stream + ?Sized, B: Stream + ?Sized>(from: &A, to: &B) -> io::Result<u64> {
    Copy::new(from.part(), to.part()).run()
}

/// Moves all that comes from either stream to the other, until both have ended, and says how many bytes went from `a` to `b`
/// and from `b` to `a`: a whole proxy.
///
/// When one stream ends, the other is shut down for writing, and the other direction goes on: a half-closed connection
/// stays one. One direction is moved by the caller, the other by a coroutine on the same worker, or, from a plain
/// thread, by another thread. All that is said at [`copy`] holds for both.
///
/// # Errors
///
/// The first error of either direction. It ends both, and both streams are shut down. [`copy`] has a list of what may be an
/// error; also when there is no stack, or no thread, for the second direction.
///
/// # Blocking
///
/// Parks the coroutine, or blocks the plain thread, until both have ended. A cancellation point.
///
/// # Panics
///
/// In a coroutine, inside `no_park`.
///
/// # Examples
///
/// ```
/// use dormouse_net as net;
/// use net::os::unix::net::UnixStream;
/// use std::io::{Read, Write};
/// use std::net::Shutdown;
///
/// # fn main() -> std::io::Result<()> {
/// let ((mut client, one), (two, mut server)) = (UnixStream::pair()?, UnixStream::pair()?);
/// let proxy = std::thread::spawn(move || net::copy_bidirectional(&one, &two));
/// client.write_all(b"ping?")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut text = String::new();
/// server.read_to_string(&mut text)?;
/// server.write_all(b"pong")?;
/// drop(server);
/// client.read_to_string(&mut text)?;
/// assert_eq!(text, "ping?pong");
/// assert_eq!(proxy.join().unwrap()?, (5, 4));
/// # Ok(())
/// # }
/// ```
pub fn copy_bidirectional<A: Stream + ?Sized, B: Stream + ?Sized>(a: &A, b: &B) -> io::Result<(u64, u64)> {
    let both = Both { a: a.part(), b: b.part(), error: Mutex::new(None) };
    let (there, back) = match blocking::in_coroutine() {
        true => thread::scope(|scope| {
            let back = scope.spawn_here(|| both.back())?;
            let there = both.there();
            io::Result::Ok((there, back.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        })?,
        false => std::thread::scope(|scope| {
            let back = std::thread::Builder::new().spawn_scoped(scope, || both.back())?;
            let there = both.there();
            io::Result::Ok((there, back.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        })?,
    };
    match both.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok((there, back)),
    }
}

/// Two streams that are copied to each other.
struct Both<'a> {
    /// One.
    a: Part<'a>,
    /// The other.
    b: Part<'a>,
    /// What went wrong first.
    error: Mutex<Option<io::Error>>,
}

impl Both<'_> {
    fn there(&self) -> u64 {
        self.direct(self.a, self.b)
    }

    fn back(&self) -> u64 {
        self.direct(self.b, self.a)
    }

    /// One direction, and its end.
    fn direct(&self, from: Part<'_>, to: Part<'_>) -> u64 {
        let copied = Copy::new(from, to).run();
        match copied.and_then(|count| end(to).map(|()| count)) {
            Ok(count) => count,
            Err(error) => {
                self.fail(error);
                0
            }
        }
    }

    /// Ends both directions: whoever waits in the other one wakes.
    fn fail(&self, error: io::Error) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        for part in [self.a, self.b] {
            // Fails for a connection that is gone already.
            let _ = part.shutdown(Shutdown::Both);
        }
    }
}

/// Passes the end on. A connection that is gone needs to hear of none: whoever reads from it does.
fn end(to: Part<'_>) -> io::Result<()> {
    match to.shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        answer => answer,
    }
}

/// Gives an empty pipe back, but on a plain thread, which has nobody to give it to.
fn put_by(pipe: Pipe, in_coroutine: bool) -> Option<Pipe> {
    if in_coroutine {
        pipe.give_back();
        return None;
    }
    Some(pipe)
}

/// Bytes on their way from one stream to another.
struct Copy<'a> {
    /// Where they come from.
    from: Part<'a>,
    /// Where they go.
    to: Part<'a>,
    /// Whether splicing is worth a try now.
    splices: bool,
    /// Whether the kernel, or somebody who shares a description, is against it.
    is_refused: bool,
    /// A plain thread's buffer, while it waits.
    buffer: Option<Buffer>,
    /// A plain thread's pipe, while it waits.
    pipe: Option<Pipe>,
    /// Whether it is a coroutine that copies, and borrows these each time.
    in_coroutine: bool,
}

impl<'a> Copy<'a> {
    fn new(from: Part<'a>, to: Part<'a>) -> Copy<'a> {
        Copy {
            from,
            to,
            splices: false,
            is_refused: false,
            buffer: None,
            pipe: None,
            in_coroutine: blocking::in_coroutine(),
        }
    }

    fn run(mut self) -> io::Result<u64> {
        let mut total = 0;
        loop {
            if self.splices {
                total += self.splice()?;
                continue;
            }
            match self.carry()? {
                0 => break,
                count => total += count,
            }
        }
        Ok(total)
    }

    /// Once through a buffer; 0 is the end.
    fn carry(&mut self) -> io::Result<u64> {
        let asked = if self.is_refused { MUCH } else { LITTLE };
        let (buffer, count) = self.from.receive_borrowed(asked, &mut self.buffer)?;
        self.to.send_all(&buffer[..count])?;
        self.splices = count == asked && !self.is_refused;
        self.buffer = (!self.in_coroutine).then_some(buffer);
        Ok(count as u64)
    }

    /// Once through a pipe; 0 tells nothing.
    fn splice(&mut self) -> io::Result<u64> {
        let mut filled = None;
        let Some(count) = self.fill(&mut filled)? else {
            self.refuse();
            return Ok(0);
        };
        self.splices = count >= LITTLE;
        if let Some(pipe) = filled {
            self.drain(&pipe, count)?;
            self.pipe = put_by(pipe, self.in_coroutine);
        }
        Ok(count as u64)
    }

    fn refuse(&mut self) {
        (self.is_refused, self.splices) = (true, false);
        // Its size was for another way.
        self.buffer = None;
    }

    /// Waits for bytes, and says how many are in the pipe then; `None` if that is refused.
    ///
    /// Before an urgent mark a splice answers EWOULDBLOCK, and so it does where there is nothing, which only then is to be
    /// waited for. What is behind the mark is for a receive.
    fn fill(&mut self, filled: &mut Option<Pipe>) -> io::Result<Option<usize>> {
        let (socket, kept, in_coroutine) = (self.from.socket, &mut self.pipe, self.in_coroutine);
        let attempt = |_: BorrowedFd<'_>| {
            let Some(pipe) = kept.take().or_else(|| Pipe::new().ok()) else {
                // No descriptors: a buffer will do.
                return Ok(None);
            };
            let answer = socket.attempt_switched(|fd| splice::receive(fd, pipe.writer(), SPLICED));
            match answer {
                Ok(Some(_)) => *filled = Some(pipe),
                _ => *kept = put_by(pipe, in_coroutine),
            }
            answer
        };
        let look = |fd: BorrowedFd<'_>| transfer::peek(fd, &mut [0]).map(|_| Some(0));
        match socket.retry_if_vain(Interest::Read, attempt, look) {
            Err(error) if errno::is_refusal(&error) => Ok(None),
            answer => answer,
        }
    }

    /// Sends the `left` bytes that are in the pipe.
    fn drain(&mut self, pipe: &Pipe, mut left: usize) -> io::Result<()> {
        let socket = self.to.socket;
        while left > 0 {
            let sent = socket.send_whole(left, |_, sent| {
                let attempt = |fd: BorrowedFd<'_>| splice::send(pipe.reader(), fd, left - sent);
                socket.attempt_switched(attempt)?.ok_or_else(errno::refusal)
            });
            match sent {
                Ok(0) => return Err(none_written()),
                Ok(sent) => left -= sent,
                Err(error) if errno::is_refusal(&error) => {
                    self.refuse();
                    return self.ladle(pipe, left);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what is in the pipe by way of a buffer.
    fn ladle(&self, pipe: &Pipe, mut left: usize) -> io::Result<()> {
        let mut buffer = Buffer::new(MUCH);
        while left > 0 {
            let count = file::read(pipe.reader(), &mut buffer)?;
            self.to.send_all(&buffer[..count])?;
            left -= count;
        }
        Ok(())
    }
}
