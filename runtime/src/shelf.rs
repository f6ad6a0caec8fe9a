//! What a worker keeps for whoever of its coroutines needs one next: buffers, and pipes to splice through.
//!
//! Owns what is kept, and decides what is kept too long. Does not know what a buffer holds or who used it, nor when it is
//! asked to trim: each time the worker's trim alarm goes off, a second after something was put here or a coroutine parked.
//!
//! What was not needed between two alarms is given back, so a worker that has become idle keeps nothing after the second
//! one, and sets no further alarm.
//!
//! Invariant 1: `bytes` is the sum of the sizes of all buffers here, and at most [`MOST_BYTES`].
//! Invariant 2: a buffer here has exactly the size of its class.
//! Invariant 3: a pipe here is empty.

use std::os::fd::OwnedFd;

/// The bytes of the smallest buffers; each further class has twice as many.
const SMALLEST: usize = 4096;

/// How many classes there are: from 4 KiB to 256 KiB.
const CLASSES: usize = 7;

/// The most bytes that one worker keeps in buffers.
const MOST_BYTES: usize = 1 << 20;

/// The most pipes that one worker keeps.
const MOST_PIPES: usize = 16;

/// The ends of a pipe: to read from, and to write to.
pub(crate) type Ends = (OwnedFd, OwnedFd);

/// See the heading.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// Buffers, by class.
    buffers: [Stock<Box<[u8]>>; CLASSES],
    /// Invariant 1.
    bytes: usize,
    /// Pipes.
    pipes: Stock<Ends>,
}

/// Things of one kind. The one used last is used next: it is the warmest.
#[derive(Debug)]
struct Stock<T> {
    /// The things.
    things: Vec<T>,
    /// The fewest there were since the last trim: so many nobody needed.
    fewest: usize,
}

/// The size of the class for so many bytes, or `None` if there is none: then nothing is kept.
pub(crate) fn size_for(bytes: usize) -> Option<usize> {
    let class = class_for(bytes);
    (class < CLASSES).then_some(SMALLEST << class)
}

/// The class of the smallest buffers that have so many bytes; [`CLASSES`] or more if there is none.
#[inline]
fn class_for(bytes: usize) -> usize {
    // A power of two is the last of its class.
    let last = bytes.saturating_sub(1) | (SMALLEST - 1);
    (last.ilog2() - (SMALLEST - 1).ilog2()) as usize
}

/// The class of buffers of this very size.
#[inline]
fn class_of(size: usize) -> Option<usize> {
    let class = class_for(size);
    (class < CLASSES && size == SMALLEST << class).then_some(class)
}

impl Shelf {
    /// A buffer of the size that [`size_for`] gives for so many bytes, if there is one.
    #[inline]
    pub(crate) fn take_buffer(&mut self, bytes: usize) -> Option<Box<[u8]>> {
        let buffer = self.buffers.get_mut(class_for(bytes))?.take()?;
        self.bytes -= buffer.len();
        Some(buffer)
    }

    /// Keeps a buffer; gives it back if there is no place for it.
    #[inline]
    pub(crate) fn keep_buffer(&mut self, buffer: Box<[u8]>) -> Option<Box<[u8]>> {
        let size = buffer.len();
        match class_of(size) {
            Some(class) if self.bytes + size <= MOST_BYTES => {
                self.bytes += size;
                self.buffers[class].things.push(buffer);
                None
            }
            _ => Some(buffer),
        }
    }

    /// A pipe, if there is one.
    pub(crate) fn take_pipe(&mut self) -> Option<Ends> {
        self.pipes.take()
    }

    /// Keeps an empty pipe; gives it back if there is no place for it.
    pub(crate) fn keep_pipe(&mut self, pipe: Ends) -> Option<Ends> {
        if self.pipes.things.len() == MOST_PIPES {
            return Some(pipe);
        }
        self.pipes.things.push(pipe);
        None
    }

    /// Gives back what nobody needed since the last trim; whether something is left, for which another is to come.
    pub(crate) fn trim(&mut self) -> bool {
        self.pipes.trim();
        self.buffers.iter_mut().for_each(Stock::trim);
        self.bytes = self.buffers.iter().flat_map(|stock| &stock.things).map(|buffer| buffer.len()).sum();
        self.bytes > 0 || !self.pipes.things.is_empty()
    }
}

impl<T> Stock<T> {
    #[inline]
    fn take(&mut self) -> Option<T> {
        let thing = self.things.pop();
        self.fewest = self.fewest.min(self.things.len());
        thing
    }

    fn trim(&mut self) {
        // Those at the bottom are the coldest.
        self.things.drain(..self.fewest);
        self.things.shrink_to_fit();
        self.fewest = self.things.len();
    }
}

impl<T> Default for Stock<T> {
    fn default() -> Stock<T> {
        Stock { things: Vec::new(), fewest: 0 }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use crate::sys::pipe;

    fn buffer(size: usize) -> Box<[u8]> {
        vec![0; size].into_boxed_slice()
    }

    #[test]
    fn sizes_are_powers_of_two_within_limits() {
        assert_eq!([0, 1, 4096, 4097, 256 << 10].map(size_for), [4096, 4096, 4096, 8192, 256 << 10].map(Some));
        assert_eq!([(256 << 10) + 1, usize::MAX].map(size_for), [None; 2]);
        assert_eq!([4096, 8192, 256 << 10].map(class_of), [Some(0), Some(1), Some(CLASSES - 1)]);
        assert_eq!([0, 4095, 5000, 512 << 10].map(class_of), [None; 4]);
    }

    #[test]
    fn a_buffer_comes_back_as_what_it_was_and_no_more_are_kept_than_may_be() {
        let mut shelf = Shelf::default();
        assert!(shelf.take_buffer(8192).is_none());
        assert!(shelf.keep_buffer(buffer(8192)).is_none());
        assert!(shelf.take_buffer(4096).is_none());
        assert_eq!(shelf.take_buffer(8192).unwrap().len(), 8192);
        assert!(shelf.keep_buffer(buffer(5000)).is_some(), "of no class");
        for kept in 0..MOST_BYTES / (64 << 10) {
            assert!(shelf.keep_buffer(buffer(64 << 10)).is_none(), "{kept}");
        }
        assert!(shelf.keep_buffer(buffer(4096)).is_some());
        assert!(shelf.take_buffer(64 << 10).is_some());
        assert!(shelf.keep_buffer(buffer(4096)).is_none());
    }

    #[test]
    fn what_was_needed_stays_for_one_trim_more() {
        let mut shelf = Shelf::default();
        (0..3).for_each(|_| assert!(shelf.keep_buffer(buffer(4096)).is_none()));
        assert!(shelf.trim(), "they are new");
        let used = shelf.take_buffer(4096).unwrap();
        assert!(shelf.keep_buffer(used).is_none());
        assert!(shelf.trim(), "two were not needed, one was");
        assert_eq!((shelf.bytes, shelf.buffers[0].things.len()), (4096, 1));
        assert!(!shelf.trim());
        assert_eq!(shelf.bytes, 0);
    }

    #[test]
    fn pipes_are_limited_and_closed_in_time() {
        let mut shelf = Shelf::default();
        for _ in 0..MOST_PIPES {
            assert!(shelf.keep_pipe(pipe::open().unwrap()).is_none());
        }
        assert!(shelf.keep_pipe(pipe::open().unwrap()).is_some());
        assert!(shelf.take_pipe().is_some());
        assert!(shelf.trim());
        assert!(!shelf.trim());
        assert!(shelf.take_pipe().is_none());
    }
}
