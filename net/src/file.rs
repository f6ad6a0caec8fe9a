//! Sending a file through a socket of any family.
//!
//! Owns the ways in which its bytes may go, and the care that no worker waits for a disk. Must never know a protocol.
//!
//! sendfile(2) copies nothing to the program and back, but where a page of the file is not in memory it waits for the
//! disk, and there is no flag against that. So in a coroutine, before each piece of 1 MiB, and again after each wait for
//! room, which may be long, the first and the last byte of what is left of the piece are asked for (preadv2(2) with
//! RWF_NOWAIT); if one is not there, a thread of the pool reads all of that first. A page between the two that alone was
//! dropped from memory is read by the worker. What was rejected: mincore(2) needs a mapping, cachestat(2) the right to write
//! to the file, and readahead(2) says neither whether it has to nor when it is done.
//!
//! Files that cannot be asked, those of /proc and of most network file systems, are read by the pool, and sent from a
//! buffer; so are all where the kernel refuses to splice, and where the description of the socket
//! is known to strangers (`switch`), if only from some piece on. tmpfs cannot be asked either, but has no disk. Files with
//! O_DIRECT are never in memory, and are read in whole blocks of 4 KiB: on a disk with larger ones that is an error, EINVAL.
//!
//! Where there is no descriptor or no thread for the pool, the worker waits for the disk: late is better than not at all.
//!
//! Invariant 1: what is sent comes from the offset that it is said to come from, in order, without gaps; the file's cursor
//! is neither used nor moved.
//! Invariant 2: each wait for room is one of nothing sent since the count was told.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use dormouse_runtime::loan::Buffer;
use dormouse_runtime::wait;
use dormouse_runtime::{blocking, budget};

use crate::socket::Socket;
use crate::sys::file::{self, Place};
use crate::sys::{connection, errno, splice, transfer};

/// Bytes between two looks at whether the file is in memory, and at others who want to run.
const PIECE: i64 = 1 << 20;

/// Bytes of a page, and the most of a block of a disk. Where pages are larger the questions are a little more than there need to
/// be; to larger blocks O_DIRECT refuses reads.
const PAGE: usize = 4096;

/// Bytes read at once into a buffer. With what comes of whole blocks at both ends, and of the buffer's own place, no more than
/// 64 KiB.
const READ: i64 = (64 << 10) - 3 * PAGE as i64;

/// How the bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By sendfile(2).
    Kernel,
    /// By way of a buffer.
    Buffer,
}

/// Sends up to `count` bytes of `file` from `offset` on; gives how many. Fewer are there to be sent, or an error came in
/// between, which the next call meets, or the time to wait for room was over.
pub(crate) fn send(socket: &Socket, file: BorrowedFd<'_>, offset: u64, count: u64) -> io::Result<u64> {
    let mut sent = 0;
    let mut sending = Sending::new(socket, file, offset, count)?;
    loop {
        sending.leaves_errors = sent > 0;
        match sending.some() {
            Err(error) if sent == 0 => return Err(error),
            Err(_) | Ok(0) => return Ok(sent),
            Ok(moved) => sent += moved,
        }
    }
}

/// Sends what of the `count` bytes of `file` from `offset` on comes after the first `sent`, or as much of it as there is; `sent`
/// grows with each byte that goes.
pub(crate) fn send_counted(
    socket: &Socket,
    file: BorrowedFd<'_>,
    offset: u64,
    count: u64,
    sent: &mut u64,
) -> io::Result<()> {
    let offset = offset.checked_add(*sent).ok_or_else(errno::refusal)?;
    let mut sending = Sending::new(socket, file, offset, count.saturating_sub(*sent))?;
    loop {
        match sending.some()? {
            0 => return Ok(()),
            moved => *sent += moved,
        }
    }
}

/// A file on its way.
struct Sending<'a> {
    /// Where it goes.
    socket: &'a Socket,
    /// Where it comes from.
    file: BorrowedFd<'a>,
    /// Where in the file the next byte to be sent is.
    at: i64,
    /// Where those end that are to be sent.
    end: i64,
    /// Where the piece ends that was asked for last.
    known: i64,
    /// Whether there was no room since, and what was in memory then may not be now.
    is_stale: bool,
    /// Whether the file has O_DIRECT.
    is_direct: bool,
    /// How the next bytes go.
    way: Way,
    /// What was read and is not sent yet, from `at` on.
    held: Option<Held>,
    /// Whether an error of the socket is for the next call.
    leaves_errors: bool,
}

/// Bytes that were read: those of the range, which is not empty but at the end of the file.
struct Held(Buffer, Range<usize>);

impl<'a> Sending<'a> {
    fn new(socket: &'a Socket, file: BorrowedFd<'a>, offset: u64, count: u64) -> io::Result<Sending<'a>> {
        let at = i64::try_from(offset).map_err(|_| errno::refusal())?;
        let end = at.saturating_add_unsigned(count);
        let is_direct = file::is_direct(file);
        let way = if is_direct { Way::Buffer } else { Way::Kernel };
        Ok(Sending {
            socket,
            file,
            at,
            end,
            known: at,
            is_stale: false,
            is_direct,
            way,
            held: None,
            leaves_errors: false,
        })
    }

    /// Sends some; 0 if there is no more, or an error that is left.
    fn some(&mut self) -> io::Result<u64> {
        if self.at >= self.end {
            return Ok(0);
        }
        let moved = loop {
            match self.way {
                Way::Kernel => match self.by_kernel() {
                    Err(error) if errno::is_refusal(&error) => self.way = Way::Buffer,
                    Ok(None) => {}
                    answer => break answer?.unwrap_or(0),
                },
                Way::Buffer => break self.by_buffer()?,
            }
        };
        self.at += moved as i64;
        Ok(moved as u64)
    }

    /// Sends by sendfile what is in memory; `None` if something had to be done about that first.
    ///
    /// Where that is, is asked in the attempt itself: behind any wait for room, however long.
    fn by_kernel(&mut self) -> io::Result<Option<usize>> {
        let (file, at) = (self.file, self.at);
        let is_new = at >= self.known;
        let end = if is_new { self.end.min(at.saturating_add(PIECE)) } else { self.known };
        let piece = at..end;
        let (mut asks, mut found) = (is_new || self.is_stale, Place::Memory);
        let sent = self.attempt(|_| {
            if std::mem::take(&mut asks) {
                found = place(file, &piece);
            }
            if found != Place::Memory {
                return Ok(0);
            }
            let attempt = |fd: BorrowedFd<'_>| splice::send_file(fd, file, at, (piece.end - at) as usize);
            let sent = self.socket.attempt_switched(attempt).and_then(|sent| sent.ok_or_else(errno::refusal));
            // If there is another attempt of this call, it comes after a wait.
            asks = sent.is_err();
            sent
        });
        (self.known, self.is_stale) = (piece.end, asks);
        match found {
            Place::Memory => sent.map(Some),
            Place::Device => fetch(file, piece).map(|()| None),
            Place::Unknown => {
                self.way = Way::Buffer;
                Ok(None)
            }
        }
    }

    /// A read may give less than there is, so only nothing is the end.
    fn by_buffer(&mut self) -> io::Result<usize> {
        let Held(buffer, mut left) = match self.held.take() {
            Some(held) => held,
            None => read(self.file, self.is_direct, self.at..self.end.min(self.at.saturating_add(READ)))?,
        };
        if left.is_empty() {
            return Ok(0);
        }
        let moved = self.attempt(|fd| transfer::send(fd, &buffer[left.clone()]))?;
        left.start += moved;
        self.held = (!left.is_empty()).then_some(Held(buffer, left));
        Ok(moved)
    }

    /// Runs an attempt to send, until it has sent something.
    fn attempt(&self, mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>) -> io::Result<usize> {
        self.socket.send_some(|fd| {
            if self.leaves_errors && connection::has_error(fd)? {
                return Ok(0);
            }
            attempt(fd)
        })
    }
}

/// Where a piece is, as far as two of its bytes tell. To who keeps no others waiting it is as good as at hand.
fn place(file: BorrowedFd<'_>, piece: &Range<i64>) -> Place {
    if !may_use_pool() {
        return Place::Memory;
    }
    // Behind the end of a file there is nothing to be fetched, and nothing to be learnt.
    let end = file::size(file).map_or(piece.end, |size| piece.end.min(size));
    let last = (end - piece.start > PAGE as i64).then_some(end - 1);
    let places = [Some(piece.start), last].into_iter().flatten().map(|at| file::place(file, at));
    match places.into_iter().find(|place| *place != Place::Memory) {
        Some(Place::Unknown) if file::is_of_memory(file) => Place::Memory,
        place => place.unwrap_or(Place::Memory),
    }
}

/// Whether the caller is a coroutine that may wait for a thread of the pool.
fn may_use_pool() -> bool {
    blocking::in_coroutine() && wait::may_park()
}

/// Has a thread of the pool read a piece, so that it is in memory, if that can be had.
#[cold]
fn fetch(file: BorrowedFd<'_>, piece: Range<i64>) -> io::Result<()> {
    by_pool(file, move |file| {
        let (mut buffer, mut at) = (vec![0; 64 << 10], piece.start);
        while at < piece.end {
            match file::read_at(file, &mut buffer, at) {
                // Whatever is wrong with the file, who sends it will be told.
                Ok(0) | Err(_) => break,
                Ok(count) => at += count as i64,
            }
        }
    })
    .map(|_| ())
}

/// Makes a call on a thread of the pool; `None` if there is no descriptor for it, or no thread.
fn by_pool<T: Send + 'static>(
    file: BorrowedFd<'_>,
    call: impl FnOnce(BorrowedFd<'_>) -> T + Send + 'static,
) -> io::Result<Option<T>> {
    // A call of the pool may outlive its caller: it has a descriptor of its own.
    match file.try_clone_to_owned().and_then(|file| blocking::run(move || call(file.as_fd()))) {
        Err(error) if errno::is_want(&error) => Ok(None),
        answer => answer.map(Some),
    }
}

/// Reads some of what is in `range`.
fn read(file: BorrowedFd<'_>, is_direct: bool, range: Range<i64>) -> io::Result<Held> {
    budget::spend();
    let here = if is_direct { !may_use_pool() } else { place(file, &range) == Place::Memory };
    if here {
        return fill(file, is_direct, range);
    }
    let wanted = range.clone();
    match by_pool(file, move |file| fill(file, is_direct, wanted))? {
        Some(held) => held,
        None => fill(file, is_direct, range),
    }
}

fn fill(file: BorrowedFd<'_>, is_direct: bool, range: Range<i64>) -> io::Result<Held> {
    let count = (range.end - range.start) as usize;
    if !is_direct {
        let mut buffer = Buffer::new(count);
        let read = file::read_at(file, &mut buffer[..count], range.start)?;
        return Ok(Held(buffer, 0..read));
    }
    // From a whole block on, to the end of one, and to such a place in memory.
    let before = range.start as usize % PAGE;
    let asked = (before + count).next_multiple_of(PAGE);
    let mut buffer = Buffer::new(asked + PAGE);
    let begin = buffer.as_ptr().align_offset(PAGE);
    let read = file::read_at(file, &mut buffer[begin..begin + asked], range.start - before as i64)?;
    let end = begin + read.min(before + count);
    Ok(Held(buffer, end.min(begin + before)..end))
}
