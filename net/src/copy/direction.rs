//! The bytes of one direction.
//!
//! Owns which way they take, and what is in a pipe or a buffer on its way.
//!
//! Little messages go through a buffer: two splices cost more than a receive and a send of a few KiB. A receive
//! that fills its buffer begins splicing, which moves pages instead of bytes; a splice that brings little ends it.
//! Whoever waits for the next bytes holds neither pipe nor buffer (a plain thread keeps its own).
//!
//! Invariant 1: bytes that were taken from one stream are sent to the other before more are taken.
//! Invariant 2: only receiving tells the end, and that there is nothing to wait for: before an urgent mark a splice
//! answers as it does in both cases.
//! Invariant 3: a pipe is empty when it is given back, or spliced into.
//! Invariant 4: what the other stream has taken is in the count before anything waits.

use std::io;
use std::os::fd::BorrowedFd;

use dormouse_runtime::blocking;
use dormouse_runtime::loan::{Buffer, Pipe};
use dormouse_runtime::wait::Interest;

use crate::stream::Part;
use crate::sys::{errno, file, splice, transfer};
use crate::whole::none_written;

/// Bytes received at once into a buffer; as many at once are a lot.
const LITTLE: usize = 16 << 10;

/// Bytes received at once into a buffer where splicing is refused.
const MUCH: usize = 64 << 10;

/// Bytes spliced at once.
const SPLICED: usize = 256 << 10;

/// How often bytes go through a buffer before a pipe is asked for again, where there was none.
const ROUNDS: u32 = 64;

/// Gives an empty pipe back, but on a plain thread, which has nobody to give it to.
fn put_by(pipe: Pipe, in_coroutine: bool) -> Option<Pipe> {
    if in_coroutine {
        pipe.give_back();
        return None;
    }
    Some(pipe)
}

/// Bytes on their way from one stream to another.
pub(super) struct Direction<'a> {
    /// Where they come from.
    from: Part<'a>,
    /// Where they go.
    to: Part<'a>,
    /// How many have arrived there.
    count: &'a mut u64,
    /// Whether splicing is worth a try now.
    splices: bool,
    /// Whether the kernel, or somebody who shares a description, is against it.
    is_refused: bool,
    /// How often a buffer is to be used before a pipe is asked for again.
    rounds: u32,
    /// A plain thread's buffer, while it waits.
    buffer: Option<Buffer>,
    /// A plain thread's pipe, while it waits.
    pipe: Option<Pipe>,
    /// Whether it is a coroutine that copies, and borrows these each time.
    in_coroutine: bool,
}

/// What waiting for bytes to be spliced has come to.
enum Filled {
    /// So many are in the pipe; 0 tells nothing.
    With(usize),
    /// There is no pipe.
    NoPipe,
    /// It is refused.
    Refused,
}

impl<'a> Direction<'a> {
    pub(super) fn new(from: Part<'a>, to: Part<'a>, count: &'a mut u64) -> Direction<'a> {
        Direction {
            from,
            to,
            count,
            splices: false,
            is_refused: false,
            rounds: 0,
            buffer: None,
            pipe: None,
            in_coroutine: blocking::in_coroutine(),
        }
    }

    /// Moves bytes until the end.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            if self.splices {
                self.splice()?;
            } else if self.carry()? == 0 {
                return Ok(());
            }
        }
    }

    /// Once through a buffer; gives how many bytes, 0 at the end.
    fn carry(&mut self) -> io::Result<usize> {
        let only = self.is_refused || self.rounds > 0;
        let asked = if only { MUCH } else { LITTLE };
        let mut kept = self.buffer.take().filter(|buffer| buffer.len() >= asked);
        let (buffer, count) = self.from.receive_borrowed(asked, &mut kept)?;
        self.to.send_all(&buffer[..count], self.count)?;
        self.rounds = self.rounds.saturating_sub(1);
        self.splices = count == asked && !self.is_refused && self.rounds == 0;
        self.buffer = (!self.in_coroutine).then_some(buffer);
        Ok(count)
    }

    /// Once through a pipe.
    fn splice(&mut self) -> io::Result<()> {
        let mut filled = None;
        let count = match self.fill(&mut filled)? {
            Filled::With(count) => count,
            Filled::NoPipe => {
                (self.rounds, self.splices) = (ROUNDS, false);
                return Ok(());
            }
            Filled::Refused => {
                self.refuse();
                return Ok(());
            }
        };
        self.splices = count >= LITTLE;
        if let Some(pipe) = filled {
            self.drain(&pipe, count)?;
            self.pipe = put_by(pipe, self.in_coroutine);
        }
        Ok(())
    }

    fn refuse(&mut self) {
        (self.is_refused, self.splices) = (true, false);
    }

    /// Waits for bytes, and moves them into a pipe.
    ///
    /// Before an urgent mark a splice answers EWOULDBLOCK, and so it does where there is nothing, which only then is to be
    /// waited for. What is behind the mark is for a receive.
    fn fill(&mut self, filled: &mut Option<Pipe>) -> io::Result<Filled> {
        let (socket, kept, in_coroutine) = (self.from.socket, &mut self.pipe, self.in_coroutine);
        let attempt = |_: BorrowedFd<'_>| {
            let Some(pipe) = kept.take().or_else(|| Pipe::new().ok()) else {
                // A buffer will do.
                return Ok(Filled::NoPipe);
            };
            let attempt = |fd: BorrowedFd<'_>| splice::receive(fd, pipe.writer(), SPLICED);
            let answer = socket.attempt_switched(attempt).and_then(|moved| moved.ok_or_else(errno::refusal));
            match answer {
                Ok(_) => *filled = Some(pipe),
                _ => *kept = put_by(pipe, in_coroutine),
            }
            answer.map(Filled::With)
        };
        let look = |fd: BorrowedFd<'_>| transfer::peek(fd, &mut [0]).map(|_| Filled::With(0));
        match socket.retry_if_vain(Interest::Read, attempt, look) {
            Ok(Filled::With(count)) => {
                socket.note_moved(Interest::Read, count);
                Ok(Filled::With(count))
            }
            Err(error) if errno::is_refusal(&error) => Ok(Filled::Refused),
            answer => answer,
        }
    }

    /// Sends the `left` bytes that are in the pipe.
    fn drain(&mut self, pipe: &Pipe, mut left: usize) -> io::Result<()> {
        let socket = self.to.socket;
        while left > 0 {
            let sent = socket.send_some(|_| {
                let attempt = |fd: BorrowedFd<'_>| splice::send(pipe.reader(), fd, left);
                socket.attempt_switched(attempt)?.ok_or_else(errno::refusal)
            });
            match sent {
                Ok(0) => return Err(none_written()),
                Ok(sent) => {
                    *self.count += sent as u64;
                    left -= sent;
                }
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
    fn ladle(&mut self, pipe: &Pipe, mut left: usize) -> io::Result<()> {
        let mut buffer = Buffer::new(MUCH);
        while left > 0 {
            let read = file::read(pipe.reader(), &mut buffer)?;
            self.to.send_all(&buffer[..read], self.count)?;
            left -= read;
        }
        Ok(())
    }
}
