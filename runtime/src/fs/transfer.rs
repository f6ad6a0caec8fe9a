//! Reading, writing and seeking at the cursor of a file.
//!
//! Owns how the bytes get from the pool to the caller and back. Whose turn it is, and what a cancelled read leaves, is
//! `cursor`'s.

use super::File;
use super::buffer::{LARGEST, room};
use super::cursor::Turn;
use crate::sys::nowait::{self, Attempt};
use crate::{blocking, budget};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

/// How many bytes are asked for first by whoever reads to the end; then it is twice as many each time.
const FIRST_PIECE: usize = 16 * 1024;

impl File {
    /// Reads at once what the kernel has in memory; `None` if that cannot be told, or is nothing.
    pub(super) fn read_at_once(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        offset: Option<u64>,
    ) -> Option<io::Result<usize>> {
        if !self.shared.may_try() || room(buffers) > LARGEST {
            return None;
        }
        match nowait::read(self.file.as_fd(), buffers, offset) {
            Attempt::Made(answer) => Some(answer),
            Attempt::WouldWait => None,
            Attempt::Unknown => {
                self.shared.cannot_try();
                None
            }
        }
    }

    fn read_to(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let in_coroutine = blocking::in_coroutine();
        budget::spend();
        let mut turn = self.shared.turn_to_read(&self.file);
        if !turn.lease.rest().is_empty() {
            return Ok(turn.lease.take(buffers));
        }
        if !in_coroutine {
            return (&*self.file).read_vectored(buffers);
        }
        if let Some(answer) = self.read_at_once(buffers, None) {
            return answer;
        }
        let mut turn = read_by_pool(turn, room(buffers))?;
        Ok(turn.lease.take(buffers))
    }

    /// Reads up to `asked` bytes into the buffer of the turn, where there is nothing.
    fn fill(&self, mut turn: Turn, asked: usize) -> io::Result<Turn> {
        let space = turn.lease.space(asked);
        match self.read_at_once(&mut [IoSliceMut::new(space)], None) {
            Some(answer) => turn.lease.filled(answer?),
            None => turn = read_by_pool(turn, asked)?,
        }
        Ok(turn)
    }

    /// Reads to the end in pieces, without the zeroes that std's loop writes first.
    fn read_rest(&self, out: &mut Vec<u8>) -> io::Result<usize> {
        let (before, mut asked) = (out.len(), FIRST_PIECE);
        loop {
            budget::spend();
            let mut turn = self.shared.turn_to_read(&self.file);
            if turn.lease.rest().is_empty() {
                turn = match self.fill(turn, asked) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    answer => answer?,
                };
            }
            let rest = turn.lease.rest();
            if rest.is_empty() {
                return Ok(out.len() - before);
            }
            out.try_reserve(rest.len())?;
            out.extend_from_slice(rest);
            turn.lease.clear();
            asked = (2 * asked).min(LARGEST);
        }
    }

    fn write_from(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut turn = self.shared.turn_to_write(&self.file);
        if !blocking::in_coroutine() {
            return (&*self.file).write_vectored(buffers);
        }
        turn.lease.load(buffers);
        let (_turn, answer) = blocking::run(move || {
            let answer = (&*turn.file).write(turn.lease.loaded());
            (turn, answer)
        })?;
        answer
    }

    fn move_cursor(&self, to: SeekFrom) -> io::Result<u64> {
        let turn = self.shared.turn_to_read(&self.file);
        match to {
            SeekFrom::Start(_) | SeekFrom::Current(_) => (&*turn.file).seek(to),
            // A network or user-space file system may have to ask for the length.
            SeekFrom::End(_) => blocking::run(move || (&*turn.file).seek(to))?,
        }
    }
}

/// Reads up to `asked` bytes; the turn comes back with them.
fn read_by_pool(mut turn: Turn, asked: usize) -> io::Result<Turn> {
    let (turn, answer) = blocking::run(move || {
        let file = Arc::clone(&turn.file);
        let answer = (&*file).read(turn.lease.space(asked)).map(|count| turn.lease.filled(count));
        (turn, answer)
    })?;
    answer.map(|()| turn)
}

impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let asked = if blocking::in_coroutine() { buf.len().min(LARGEST) } else { buf.len() };
        self.read_to(&mut [IoSliceMut::new(&mut buf[..asked])])
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.read_to(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        if blocking::in_coroutine() {
            return self.read_rest(buf);
        }
        let mut turn = self.shared.turn_to_read(&self.file);
        let kept = turn.lease.rest().len();
        buf.extend_from_slice(turn.lease.rest());
        turn.lease.clear();
        Ok(kept + (&*self.file).read_to_end(buf)?)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        let mut bytes = Vec::new();
        let answer = self.read_to_end(&mut bytes);
        match str::from_utf8(&bytes) {
            Ok(text) => {
                buf.push_str(text);
                answer
            }
            Err(_) => answer.and(Err(io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"))),
        }
    }
}

impl Write for &File {
    /// Writes up to 256 KiB, and says exactly how many bytes were written.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_from(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_from(bufs)
    }

    /// Does nothing, as std's: nothing is kept back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.move_cursor(pos)
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }
}

impl Write for File {
    /// Writes up to 256 KiB, and says exactly how many bytes were written.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    /// Does nothing, as std's: nothing is kept back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        (&*self).seek(pos)
    }
}
