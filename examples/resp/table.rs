//! A hash table of names, whose entries lie in one row: for a walk that goes on while entries come and go, and for
//! choosing one at random.
//!
//! Names are the clients' choice: the hash has a secret of its own, so that nobody can choose many that collide.
//!
//! 1. Each entry has one bucket, with its place in the row and half of its hash; an empty bucket ends a search.
//! 2. At most three quarters of the buckets are taken.
//! 3. An entry removed is replaced by the last one. So a walk from the end to the begin meets all that were there all
//!    the time: what moves goes to a place that is still to come only if it was still to come itself.

use std::hash::{BuildHasher, RandomState};

/// The fewest buckets.
const FEWEST: usize = 8;

/// A bucket of no entry.
const EMPTY: u64 = u64::MAX;

#[derive(Clone, Debug)]
struct Entry<V> {
    hash: u64,
    name: Box<[u8]>,
    value: V,
}

#[derive(Clone, Debug)]
pub(crate) struct Table<V> {
    entries: Vec<Entry<V>>,
    /// Invariant 1: the upper half of the hash, and the place.
    buckets: Vec<u64>,
    secret: RandomState,
}

impl<V> Default for Table<V> {
    fn default() -> Table<V> {
        Table { entries: Vec::new(), buckets: Vec::new(), secret: RandomState::new() }
    }
}

impl<V> Table<V> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.place(name).is_some()
    }

    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<&V> {
        self.place(name).map(|place| &self.entries[place].value)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, name: &[u8]) -> Option<&mut V> {
        self.place(name).map(|place| &mut self.entries[place].value)
    }

    /// The place of the entry in the row, until one is removed.
    #[inline]
    pub(crate) fn place(&self, name: &[u8]) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        let hash = self.hash(name);
        self.bucket(hash, |entry| &*entry.name == name).ok().map(|bucket| place_in(self.buckets[bucket]))
    }

    #[inline]
    pub(crate) fn at(&self, place: usize) -> (&[u8], &V) {
        let entry = &self.entries[place];
        (&entry.name, &entry.value)
    }

    #[inline]
    pub(crate) fn value_at(&mut self, place: usize) -> &mut V {
        &mut self.entries[place].value
    }

    /// Puts a value in; gives the one that was there.
    pub(crate) fn insert(&mut self, name: &[u8], value: V) -> Option<V> {
        if let Some(there) = self.get_mut(name) {
            return Some(std::mem::replace(there, value));
        }
        self.append(name, value);
        None
    }

    /// A new entry at the end of the row.
    fn append(&mut self, name: &[u8], value: V) -> usize {
        // Invariant 2.
        if (self.entries.len() + 1) * 4 > self.buckets.len() * 3 {
            self.rebuild((self.buckets.len() * 2).max(FEWEST));
        }
        let (hash, place) = (self.hash(name), self.entries.len());
        if let Err(free) = self.bucket(hash, |_| false) {
            self.buckets[free] = bucket_of(hash, place);
        }
        self.entries.push(Entry { hash, name: name.into(), value });
        place
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<V> {
        self.place(name).map(|place| self.remove_at(place).1)
    }

    pub(crate) fn remove_at(&mut self, place: usize) -> (Box<[u8]>, V) {
        let last = self.entries.len() - 1;
        let bucket = self.bucket_of_place(place);
        self.close(bucket);
        if place != last {
            let moved = self.bucket_of_place(last);
            self.buckets[moved] = bucket_of(self.entries[last].hash, place);
        }
        let entry = self.entries.swap_remove(place);
        if self.buckets.len() > FEWEST && self.entries.len() * 8 < self.buckets.len() {
            self.rebuild(self.buckets.len() / 2);
            self.entries.shrink_to(self.buckets.len());
        }
        (entry.name, entry.value)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &V)> {
        self.entries.iter().map(|entry| (&*entry.name, &entry.value))
    }

    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.entries.iter().map(|entry| &*entry.name)
    }

    #[inline]
    fn hash(&self, name: &[u8]) -> u64 {
        self.secret.hash_one(name)
    }

    /// The bucket of the entry that is meant, or the free one in which the search ends.
    #[inline]
    fn bucket(&self, hash: u64, is_meant: impl Fn(&Entry<V>) -> bool) -> Result<usize, usize> {
        let mask = self.buckets.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let bucket = self.buckets[at];
            if bucket == EMPTY {
                return Err(at);
            }
            if bucket >> 32 == hash >> 32 && is_meant(&self.entries[place_in(bucket)]) {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn bucket_of_place(&self, place: usize) -> usize {
        let mask = self.buckets.len() - 1;
        let mut at = self.entries[place].hash as usize & mask;
        while place_in(self.buckets[at]) != place || self.buckets[at] == EMPTY {
            at = (at + 1) & mask;
        }
        at
    }

    /// Empties a bucket, and moves up those behind that would not be found any more.
    fn close(&mut self, mut hole: usize) {
        let mask = self.buckets.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let bucket = self.buckets[at];
            if bucket == EMPTY {
                break;
            }
            let home = self.entries[place_in(bucket)].hash as usize & mask;
            // Whether it is at least as far from home as from the hole.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.buckets[hole] = bucket;
                hole = at;
            }
        }
        self.buckets[hole] = EMPTY;
    }

    fn rebuild(&mut self, count: usize) {
        self.buckets.clear();
        self.buckets.resize(count, EMPTY);
        self.buckets.shrink_to_fit();
        for place in 0..self.entries.len() {
            let hash = self.entries[place].hash;
            if let Err(free) = self.bucket(hash, |_| false) {
                self.buckets[free] = bucket_of(hash, place);
            }
        }
    }
}

#[inline]
fn bucket_of(hash: u64, place: usize) -> u64 {
    hash >> 32 << 32 | place as u64 & 0xffff_ffff
}

#[inline]
fn place_in(bucket: u64) -> usize {
    (bucket & 0xffff_ffff) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::random::Random;
    use super::Table;

    /// Against the map of std, with names that come, go and come again.
    #[test]
    fn it_holds_what_a_map_holds() {
        let (mut table, mut map, mut random) = (Table::default(), HashMap::new(), Random::new());
        for step in 0..200_000usize {
            // Grows to some thousands, and shrinks again.
            let range = if step / 20_000 % 2 == 0 { 5000 } else { 50 };
            let name = random.below(range).to_string().into_bytes();
            if random.below(2) == 0 {
                assert_eq!(table.insert(&name, step), map.insert(name, step));
            } else {
                assert_eq!(table.remove(&name), map.remove(&name));
            }
            assert_eq!(table.len(), map.len());
        }
        assert!(table.iter().all(|(name, value)| map.get(name) == Some(value)));
        assert!(map.iter().all(|(name, value)| table.get(name) == Some(value)));
    }
}
