//! Chunked bodies, decoded from fragments of any size: RFC 9112, section 7.1. Pure.
//!
//! Lines end with CR LF: the leniency of section 2.2 towards a bare LF is for heads alone. Trailer fields are checked
//! and dropped.
//!
//! 1. All that is neither data nor the end of a chunk's data is counted, and limited: sizes, extensions, trailers.

use super::status::{FIELDS_TOO_LARGE, Refusal};

/// The most bytes that are no data, beside what each chunk needs.
const OVERHEAD: usize = 16 * 1024;

/// Where in the body the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the first digit of a size.
    Size,
    /// After it.
    Digits,
    /// In white space after a size, which only an extension may follow.
    Blank,
    /// In an extension.
    Extension,
    /// Before the LF of a size's line.
    SizeEnd,
    /// In data, of which so much is left in this chunk.
    Data,
    /// Before the CR after data.
    DataReturn,
    /// Before the LF after data.
    DataEnd,
    /// At the beginning of a line after the last chunk.
    Trailer,
    /// In a trailer's name.
    TrailerName,
    /// In a trailer's value.
    TrailerValue,
    /// Before the LF of a trailer.
    TrailerEnd,
    /// Before the last LF.
    LastEnd,
    /// Past it all.
    Done,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// So many bytes of framing.
    pub(crate) framing: usize,
    /// Then so many of data, here or yet to come; 0 if the body has ended, or more bytes are needed to tell.
    pub(crate) data: u64,
}

/// How far a chunked body has been decoded.
#[derive(Debug)]
pub(crate) struct Chunks {
    place: Place,
    /// What is left of the chunk's data, or the part of its size that was read.
    left: u64,
    /// See invariant 1.
    overhead: usize,
}

impl Chunks {
    pub(crate) fn new() -> Chunks {
        Chunks { place: Place::Size, left: 0, overhead: 0 }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// What is left of the data of this chunk; 0 where there is framing next.
    pub(crate) fn data_left(&self) -> u64 {
        if self.place == Place::Data { self.left } else { 0 }
    }

    /// Decodes framing up to data, the body's end, or the last of `bytes`.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<Piece, Refusal> {
        let mut framing = 0;
        while framing < bytes.len() && !matches!(self.place, Place::Data | Place::Done) {
            self.place = self.step(bytes[framing])?;
            framing += 1;
        }
        Ok(Piece { framing, data: self.data_left() })
    }

    /// So much of the data was taken.
    pub(crate) fn take(&mut self, count: u64) {
        self.left -= count;
        if self.left == 0 {
            self.place = Place::DataReturn;
        }
    }

    fn step(&mut self, byte: u8) -> Result<Place, Refusal> {
        match (self.place, byte) {
            (Place::Size | Place::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte),
            (Place::Digits | Place::Extension, b'\r') => Ok(Place::SizeEnd),
            (Place::Digits | Place::Blank, b' ' | b'\t') => self.counted(Place::Blank),
            (Place::Digits | Place::Blank, b';') => self.counted(Place::Extension),
            (Place::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.counted(Place::Extension),
            (Place::SizeEnd, b'\n') => Ok(if self.left == 0 { Place::Trailer } else { Place::Data }),
            (Place::DataReturn, b'\r') => Ok(Place::DataEnd),
            (Place::DataEnd, b'\n') => Ok(Place::Size),
            (Place::Trailer, b'\r') => Ok(Place::LastEnd),
            (Place::Trailer | Place::TrailerName, byte) if is_token(byte) => self.counted(Place::TrailerName),
            (Place::TrailerName, b':') => self.counted(Place::TrailerValue),
            (Place::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => self.counted(Place::TrailerValue),
            (Place::TrailerValue, b'\r') => Ok(Place::TrailerEnd),
            (Place::TrailerEnd, b'\n') => self.counted(Place::Trailer),
            (Place::LastEnd, b'\n') => Ok(Place::Done),
            (Place::DataReturn | Place::DataEnd, _) => Err(Refusal::bad("a chunk is longer than its size")),
            (Place::Trailer | Place::TrailerName | Place::TrailerValue | Place::TrailerEnd | Place::LastEnd, _) => {
                Err(Refusal::bad("a malformed trailer field"))
            }
            _ => Err(Refusal::bad("a malformed chunk size")),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<Place, Refusal> {
        let digit = (byte as char).to_digit(16).map_or(0, u64::from);
        let size = self.left.checked_mul(16).ok_or(Refusal::bad("a chunk size that does not fit"))?;
        self.left = size + digit;
        // Zeros in front never end otherwise.
        if self.left == 0 { self.counted(Place::Digits) } else { Ok(Place::Digits) }
    }

    fn counted(&mut self, place: Place) -> Result<Place, Refusal> {
        self.overhead += 1;
        match self.overhead <= OVERHEAD {
            true => Ok(place),
            false => Err(Refusal::new(FIELDS_TOO_LARGE, "chunk extensions or trailer fields without end")),
        }
    }
}

/// Whether it may be in a field's name: RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
