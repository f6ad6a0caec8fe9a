//! What came from a client and is not consumed.
//!
//! Nearly always that is little, and is in a buffer that the worker lends, while there is something in it. What does
//! not fit, one long command, has memory of its own, until it is consumed.

use std::io::{self, BufRead, Read};

use dormouse::net::{BufReader, TcpStream};

/// Bytes of a buffer that is lent.
const LENT: usize = 16 * 1024;

/// Long commands are read so many bytes at a time, at the most.
const PIECE: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Input<'a> {
    reader: BufReader<&'a TcpStream>,
    /// What does not fit into the buffer that is lent; then there is none. A place for bytes, empty while not needed.
    large: Vec<u8>,
    /// Where in it what is not consumed begins, and ends.
    begin: usize,
    end: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(stream: &'a TcpStream) -> Input<'a> {
        Input { reader: BufReader::with_capacity(LENT, stream), large: Vec::new(), begin: 0, end: 0 }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.large.is_empty() { self.reader.buffer() } else { &self.large[self.begin..self.end] }
    }

    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        if self.large.is_empty() {
            return self.reader.consume(count);
        }
        self.begin += count;
        if self.begin == self.end {
            (self.large, self.begin, self.end) = (Vec::new(), 0, 0);
        }
    }

    /// Waits for more behind what is there, and gives how many bytes; 0 is the end of what the client sends. At least
    /// `missing` will have to come.
    pub(crate) fn more(&mut self, missing: usize) -> io::Result<usize> {
        if self.large.is_empty() {
            let length = self.reader.buffer().len();
            if length == 0 {
                return self.reader.fill_buf().map(<[u8]>::len);
            }
            if length + missing <= LENT && length < LENT {
                return self.reader.read_more();
            }
            self.enlarge(&[]);
        }
        self.make_room(missing);
        let count = self.reader.get_mut().read(&mut self.large[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Puts bytes behind what is there, which came in another way.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.enlarge(bytes);
        }
    }

    /// Moves what is there to memory of its own, with more behind it.
    fn enlarge(&mut self, more: &[u8]) {
        let large = [self.bytes(), more].concat();
        self.reader.consume(self.reader.buffer().len());
        (self.begin, self.end, self.large) = (0, large.len(), large);
    }

    /// What is missing is believed by pieces: a client has to send what it announces before memory is taken for it.
    fn make_room(&mut self, missing: usize) {
        if self.begin > 0 {
            self.large.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        let room = self.end + missing.clamp(LENT, PIECE.max(self.end));
        if self.large.len() < room {
            self.large.resize(room, 0);
        }
    }
}
