//! Numbers for choosing at random. Nothing is kept secret with them.

use std::hash::{BuildHasher, RandomState};

#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Random {
        // Xorshift stays at zero.
        Random(RandomState::new().hash_one(0) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `count`, which is above zero.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// Up to `most` of `count` numbers, each once, in any order.
    pub(crate) fn choose(&mut self, count: usize, most: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..count).collect();
        for at in 0..most.min(count) {
            let other = at + self.below(count - at);
            all.swap(at, other);
        }
        all.truncate(most);
        all
    }
}
