//! The storage under the timer wheel: many bags of entries in one table.
//!
//! Owns the table and its unused chunks. Must never know a wheel, the present, or what a key means. A bag is some full
//! chunks of `CHUNK` entries and a last one that takes and gives; removing moves the bag's last entry into the hole:
//!
//! ```text
//! bag.last -> [e e e . . .] -> [e e e e e e] -> [e e e e e e]      -> is chunk_links
//! ```
//!
//! # Invariants
//!
//! 1. A bag of `len` entries owns `len.div_ceil(CHUNK)` chunks, all full but the last; no other bag owns them.
//! 2. Every chunk is owned by one bag, or on the free list.

/// Entries in a chunk: four cache lines.
pub(super) const CHUNK: u32 = 16;
/// Ends a list of chunks.
const NONE: u32 = u32::MAX;

/// The chunks of every bag. Positions in it name entries until the next change of their bag.
pub(super) struct Bags {
    /// The entries of chunk 0, then of chunk 1, and so on.
    entries: Vec<Entry>,
    /// For each chunk, the one filled before it in its bag, or the next unused one, or `NONE`.
    chunk_links: Vec<u32>,
    /// The first unused chunk, or `NONE`.
    free_chunk: u32,
}

/// Entries in no order; only the `Bags` that filled it can read it.
pub(super) struct Bag {
    /// The chunk that is being filled, or `NONE` while empty.
    last: u32,
    /// How many entries are in the bag.
    len: u32,
}

/// One timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When the timer is due.
    pub(super) deadline: u64,
    /// What the wheel's user gets back at expiry.
    pub(super) owner: u32,
    /// What the wheel finds this entry's position by.
    pub(super) key: u32,
}

impl Bags {
    /// Makes a table without entries.
    pub(super) fn new() -> Bags {
        Bags { entries: Vec::new(), chunk_links: Vec::new(), free_chunk: NONE }
    }

    /// The entry at a position.
    pub(super) fn entry(&self, position: u32) -> Entry {
        self.entries[position as usize]
    }

    /// Adds an entry to a bag and gives its position.
    pub(super) fn push(&mut self, bag: &mut Bag, entry: Entry) -> u32 {
        if bag.len.is_multiple_of(CHUNK) {
            self.add_chunk(bag);
        }
        bag.len += 1;
        let position = bag.last_position();
        self.entries[position as usize] = entry;
        position
    }

    /// Takes the entry that was pushed last, or moved to its place.
    pub(super) fn pop(&mut self, bag: &mut Bag) -> Option<Entry> {
        if bag.is_empty() {
            return None;
        }
        let entry = self.entry(bag.last_position());
        bag.len -= 1;
        if bag.len.is_multiple_of(CHUNK) {
            self.drop_chunk(bag);
        }
        Some(entry)
    }

    /// Removes the entry at a position of an occupied bag. The entry that is there from now on is the second answer: the
    /// bag's last one, or the removed one itself if that was the last.
    pub(super) fn swap_remove(&mut self, bag: &mut Bag, position: u32) -> (Entry, Entry) {
        let removed = self.entry(position);
        let filler = self.pop(bag).unwrap_or(removed);
        self.entries[position as usize] = filler;
        (removed, filler)
    }

    /// The position and deadline of an earliest entry of an occupied bag.
    pub(super) fn earliest(&self, bag: &Bag) -> (u32, u64) {
        let (mut earliest, mut least) = (bag.last_position(), u64::MAX);
        let mut chunk = bag.last;
        let mut end = bag.last_position() + 1;
        while chunk != NONE {
            let first = chunk * CHUNK;
            for (position, entry) in (first..).zip(&self.entries[first as usize..end as usize]) {
                if entry.deadline < least {
                    (earliest, least) = (position, entry.deadline);
                }
            }
            chunk = self.chunk_links[chunk as usize];
            end = chunk.wrapping_add(1).wrapping_mul(CHUNK);
        }
        (earliest, least)
    }

    /// Gives a bag whose chunks are full one more.
    fn add_chunk(&mut self, bag: &mut Bag) {
        if self.free_chunk == NONE {
            self.grow_cold();
        }
        let chunk = self.free_chunk;
        let previous = std::mem::replace(&mut bag.last, chunk);
        self.free_chunk = std::mem::replace(&mut self.chunk_links[chunk as usize], previous);
    }

    /// Takes from a bag its last chunk, whose last entry is gone.
    fn drop_chunk(&mut self, bag: &mut Bag) {
        let chunk = bag.last;
        bag.last = std::mem::replace(&mut self.chunk_links[chunk as usize], self.free_chunk);
        self.free_chunk = chunk;
    }

    /// Adds an unused chunk, when there is none.
    #[cold]
    fn grow_cold(&mut self) {
        let chunk = self.chunk_links.len();
        assert!(chunk < (NONE / CHUNK) as usize, "too many timers");
        self.chunk_links.push(NONE);
        self.entries.resize(self.entries.len() + CHUNK as usize, Entry::UNUSED);
        self.free_chunk = chunk as u32;
    }
}

impl Bag {
    /// A bag without entries.
    pub(super) const EMPTY: Bag = Bag { last: NONE, len: 0 };

    /// The number of entries.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The position of the last entry of an occupied bag.
    pub(super) fn last_position(&self) -> u32 {
        self.last * CHUNK + (self.len - 1) % CHUNK
    }
}

impl Entry {
    /// Fills a chunk that was never used.
    const UNUSED: Entry = Entry { deadline: 0, owner: 0, key: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry that is told by its key.
    fn entry(key: u32) -> Entry {
        Entry { deadline: u64::from(key), owner: 0, key }
    }

    #[test]
    fn a_bag_gives_back_what_it_took_and_its_chunks_serve_the_next() {
        let (mut bags, mut bag) = (Bags::new(), Bag::EMPTY);
        for round in 0..3 {
            for key in round..round + 100 {
                let position = bags.push(&mut bag, entry(key));
                assert_eq!(bags.entry(position), entry(key));
            }
            assert_eq!(bags.earliest(&bag).1, u64::from(round));
            let mut keys: Vec<u32> = std::iter::from_fn(|| bags.pop(&mut bag)).map(|entry| entry.key).collect();
            keys.sort_unstable();
            assert_eq!(keys, Vec::from_iter(round..round + 100));
            assert_eq!(bags.chunk_links.len(), 100usize.div_ceil(CHUNK as usize));
        }
    }

    #[test]
    fn removing_fills_the_hole_with_the_last_entry() {
        let (mut bags, mut bag) = (Bags::new(), Bag::EMPTY);
        let positions = [5, 6, 7].map(|key| bags.push(&mut bag, entry(key)));
        assert_eq!(bags.swap_remove(&mut bag, positions[0]), (entry(5), entry(7)));
        assert_eq!(bags.entry(positions[0]), entry(7));
        assert_eq!(bags.earliest(&bag), (positions[1], 6));
        assert_eq!(bags.swap_remove(&mut bag, positions[1]), (entry(6), entry(6)));
        assert_eq!(bag.len(), 1);
    }
}
