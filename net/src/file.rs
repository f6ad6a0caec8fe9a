//! Sending a file through a socket of any family.
//!
//! Owns the ways in which its bytes may go, and the care that no worker waits for a disk. Must never know a protocol.
//!
//! sendfile(2) copies nothing to the program and back, but where a page of the file is not in memory it waits for the
//! disk, and there is no flag against that. So in a coroutine, before each piece of 256 KiB, the first and the last byte
//! of the piece are asked for (preadv2(2) with RWF_NOWAIT); if one is not there, a thread of the pool reads the whole
//! piece first. A page between the two that alone was dropped from memory is read by the worker. What
//! was rejected: mincore(2) needs a mapping, cachestat(2) the right to write to the file, and readahead(2) says neither
//! whether it has to nor when it is done.
//!
//! Files that cannot be asked, those of /proc and of most network file systems, are read by the pool, and sent from a
//! buffer; so are all where the kernel refuses to splice, and, by whoever sends them, where the description of the socket
//! is known to strangers (`switch`). tmpfs cannot be asked either, but has no disk.
//!
//! Invariant 1: what is sent comes from the offset that it is said to come from, in order, without gaps; the file's cursor
//! is neither used nor moved.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dormouse_runtime::loan::Buffer;
use dormouse_runtime::wait;
use dormouse_runtime::{blocking, budget};

use crate::socket::Socket;
use crate::sys::file::{self, Place};
use crate::sys::{connection, errno, splice, transfer};

/// Bytes between two looks at whether the file is in memory, and at others who want to run.
const PIECE: usize = 256 << 10;

/// Bytes of a page; where they are larger the questions are a little more than there need to be.
const PAGE: usize = 4096;

/// How the bytes of a piece go.
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
    let begin = i64::try_from(offset).map_err(|_| errno::refusal())?;
    let count = count.min(i64::MAX as u64 - offset);
    let (mut sent, mut way) = (0, Way::Kernel);
    while sent < count && !(sent > 0 && connection::has_error(socket.fd())?) {
        let piece = (count - sent).min(PIECE as u64) as usize;
        match send_piece(socket, file, begin + sent as i64, piece, &mut way) {
            Err(error) if sent == 0 => return Err(error),
            Err(_) => break,
            Ok(moved) => {
                sent += moved as u64;
                if moved < piece {
                    break;
                }
            }
        }
    }
    Ok(sent)
}

fn send_piece(socket: &Socket, file: BorrowedFd<'_>, offset: i64, count: usize, way: &mut Way) -> io::Result<usize> {
    if *way == Way::Kernel {
        match place(file, offset, count) {
            Place::Memory => {}
            Place::Device => fetch(file, offset, count)?,
            Place::Unknown => *way = Way::Buffer,
        }
    }
    if *way == Way::Kernel {
        match send_by_kernel(socket, file, offset, count) {
            Err(error) if errno::is_refusal(&error) => *way = Way::Buffer,
            answer => return answer,
        }
    }
    send_by_buffer(socket, file, offset, count)
}

fn send_by_kernel(socket: &Socket, file: BorrowedFd<'_>, offset: i64, count: usize) -> io::Result<usize> {
    socket.send_whole(count, |_, sent| {
        let attempt = |fd: BorrowedFd<'_>| splice::send_file(fd, file, offset + sent as i64, count - sent);
        socket.attempt_switched(attempt)?.ok_or_else(errno::refusal)
    })
}

/// A read may give less than there is, so only nothing is the end.
fn send_by_buffer(socket: &Socket, file: BorrowedFd<'_>, offset: i64, count: usize) -> io::Result<usize> {
    let (mut buffer, mut sent) = (Buffer::new(count), 0);
    while sent < count {
        let read = match read(file, offset + sent as i64, &mut buffer, count - sent) {
            Err(error) if sent == 0 => return Err(error),
            read => read.unwrap_or(0),
        };
        let bytes = &buffer[..read];
        if read == 0 {
            break;
        }
        let moved = match socket.send_whole(read, |fd, moved| transfer::send(fd, &bytes[moved..])) {
            Err(error) if sent == 0 => return Err(error),
            moved => moved.unwrap_or(0),
        };
        sent += moved;
        if moved < read {
            break;
        }
    }
    Ok(sent)
}

/// Where a piece is, as far as two of its bytes tell. To who keeps no others waiting it is as good as at hand.
fn place(file: BorrowedFd<'_>, offset: i64, count: usize) -> Place {
    if !may_use_pool() {
        return Place::Memory;
    }
    let last = (count > PAGE).then_some(offset + (count - 1) as i64);
    let places = [Some(offset), last].into_iter().flatten().map(|at| file::place(file, at));
    match places.into_iter().find(|place| *place != Place::Memory) {
        Some(Place::Unknown) if file::is_of_memory(file) => Place::Memory,
        place => place.unwrap_or(Place::Memory),
    }
}

/// Whether the caller is a coroutine that may wait for a thread of the pool.
fn may_use_pool() -> bool {
    blocking::in_coroutine() && wait::may_park()
}

/// Has a thread of the pool read a piece, so that it is in memory.
#[cold]
fn fetch(file: BorrowedFd<'_>, offset: i64, count: usize) -> io::Result<()> {
    let (file, end) = (file.try_clone_to_owned()?, offset + count as i64);
    blocking::run(move || {
        let (mut buffer, mut at) = (vec![0; 64 << 10], offset);
        while at < end {
            match file::read_at(file.as_fd(), &mut buffer, at) {
                // Whatever is wrong with the file, who sends it will be told.
                Ok(0) | Err(_) => break,
                Ok(count) => at += count as i64,
            }
        }
    })
}

/// Reads up to `count` bytes into a buffer that has room for them.
fn read(file: BorrowedFd<'_>, offset: i64, buffer: &mut Buffer, count: usize) -> io::Result<usize> {
    budget::spend();
    if place(file, offset, count) == Place::Memory {
        return file::read_at(file, &mut buffer[..count], offset);
    }
    let file: OwnedFd = file.try_clone_to_owned()?;
    // A call of the pool may outlive its caller: it has the buffer meanwhile.
    let mut lent = std::mem::replace(buffer, Buffer::new(0));
    let (lent, read) = blocking::run(move || {
        let read = file::read_at(file.as_fd(), &mut lent[..count], offset);
        (lent, read)
    })?;
    *buffer = lent;
    read
}
