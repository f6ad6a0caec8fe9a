//! One of the databases: keys, when they expire, and who watches them.
//!
//! Times are milliseconds since 1970, and given by the caller.
//!
//! 1. No key holds an empty list, set or hash.
//! 2. A key has a deadline exactly if it is among `deadlines` with that one.
//! 3. Nobody is given a key whose deadline has passed: it is removed when it is looked for, if not before.
//! 4. Whatever changes a key says so (`touch`): transactions that watch it fail.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use dormouse::sync::Notify;

use super::failure::Failure;
use super::table::Table;
use super::value::{Kind, Value};

/// The deadline of what has none.
pub(crate) const NEVER: u64 = u64::MAX;

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// Or `NEVER`.
    pub(crate) deadline: u64,
}

/// What tells a transaction that a key was changed.
pub(crate) type Dirty = Arc<AtomicBool>;

#[derive(Debug)]
pub(crate) struct Database {
    keys: Table<Entry>,
    /// Invariant 2.
    deadlines: BTreeSet<(u64, Box<[u8]>)>,
    /// Who is to be told of a change of a key.
    watched: HashMap<Box<[u8]>, Vec<Dirty>>,
    /// Keys that expired so far.
    pub(crate) expired: u64,
    /// Is told when a key comes to expire before all others.
    sooner: Arc<Notify>,
}

impl Database {
    pub(crate) fn new(sooner: &Arc<Notify>) -> Database {
        Database {
            keys: Table::default(),
            deadlines: BTreeSet::new(),
            watched: HashMap::new(),
            expired: 0,
            sooner: Arc::clone(sooner),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Keys that will expire.
    pub(crate) fn expiring(&self) -> usize {
        self.deadlines.len()
    }

    /// The place of a key, until one is removed.
    #[inline]
    fn place(&mut self, key: &[u8], now: u64) -> Option<usize> {
        let place = self.keys.place(key)?;
        if self.keys.at(place).1.deadline > now {
            return Some(place);
        }
        self.expire(key);
        None
    }

    #[cold]
    fn expire(&mut self, key: &[u8]) {
        self.remove(key);
        self.expired += 1;
    }

    #[inline]
    pub(crate) fn find(&mut self, key: &[u8], now: u64) -> Option<&mut Entry> {
        let place = self.place(key, now)?;
        Some(self.keys.value_at(place))
    }

    pub(crate) fn contains(&mut self, key: &[u8], now: u64) -> bool {
        self.place(key, now).is_some()
    }

    /// The value of a key, which must be of this kind.
    #[inline]
    pub(crate) fn get<T: Kind>(&mut self, key: &[u8], now: u64) -> Result<Option<&mut T>, Failure> {
        match self.find(key, now) {
            Some(entry) => T::of_mut(&mut entry.value).ok_or(Failure::WRONG_TYPE).map(Some),
            None => Ok(None),
        }
    }

    /// As `get`; a key that is not there comes to be, and the caller puts something in, for invariant 1.
    pub(crate) fn get_or_new<T: Kind>(&mut self, key: &[u8], now: u64) -> Result<&mut T, Failure> {
        if self.place(key, now).is_none() {
            self.keys.insert(key, Entry { value: T::default().into_value(), deadline: NEVER });
        }
        let entry = self.keys.get_mut(key).ok_or(Failure::NO_KEY)?;
        T::of_mut(&mut entry.value).ok_or(Failure::WRONG_TYPE)
    }

    /// Puts a value in place of whatever was there.
    pub(crate) fn put(&mut self, key: &[u8], value: Value, deadline: u64) {
        let old = self.keys.insert(key, Entry { value, deadline });
        self.note_deadline(key, old.map_or(NEVER, |entry| entry.deadline), deadline);
        self.touch(key);
    }

    /// Removes a key, expired or not.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.keys.remove(key)?;
        self.note_deadline(key, entry.deadline, NEVER);
        self.touch(key);
        Some(entry)
    }

    /// Invariant 1, behind what took something out. Says that the key was changed.
    pub(crate) fn settle(&mut self, key: &[u8]) {
        match self.keys.get(key) {
            Some(entry) if entry.value.is_void() => drop(self.remove(key)),
            _ => self.touch(key),
        }
    }

    /// Sets the deadline of a key that is there.
    pub(crate) fn set_deadline(&mut self, key: &[u8], deadline: u64) {
        if let Some(entry) = self.keys.get_mut(key) {
            let old = std::mem::replace(&mut entry.deadline, deadline);
            self.note_deadline(key, old, deadline);
        }
    }

    /// Invariant 2.
    #[inline]
    fn note_deadline(&mut self, key: &[u8], old: u64, new: u64) {
        if old == new {
            return;
        }
        if old != NEVER {
            self.deadlines.remove(&(old, key.into()));
        }
        if new != NEVER {
            self.deadlines.insert((new, key.into()));
            if self.next_deadline() == new {
                self.sooner.notify_one();
            }
        }
    }

    /// When the next key expires.
    pub(crate) fn next_deadline(&self) -> u64 {
        self.deadlines.first().map_or(NEVER, |(deadline, _)| *deadline)
    }

    /// Removes up to `most` keys that have expired; gives how many.
    pub(crate) fn expire_some(&mut self, now: u64, most: usize) -> usize {
        let mut count = 0;
        while count < most && self.next_deadline() <= now {
            let Some((_, key)) = self.deadlines.first().cloned() else { break };
            self.expire(&key);
            count += 1;
        }
        count
    }

    /// Removes all.
    pub(crate) fn clear(&mut self) {
        for (key, watchers) in &self.watched {
            if self.keys.contains(key) {
                watchers.iter().for_each(|dirty| dirty.store(true, Relaxed));
            }
        }
        self.keys = Table::default();
        self.deadlines.clear();
    }

    /// Two databases get each other's keys. Who watches one stays there.
    pub(crate) fn exchange(&mut self, other: &mut Database) {
        for (key, watchers) in self.watched.iter().chain(&other.watched) {
            if self.keys.contains(key) || other.keys.contains(key) {
                watchers.iter().for_each(|dirty| dirty.store(true, Relaxed));
            }
        }
        std::mem::swap(&mut self.keys, &mut other.keys);
        std::mem::swap(&mut self.deadlines, &mut other.deadlines);
    }

    /// All keys, those that have expired and were not looked for among them.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (&[u8], &Entry)> {
        self.keys.iter()
    }

    pub(crate) fn at(&self, place: usize) -> (&[u8], &Entry) {
        self.keys.at(place)
    }

    /// Invariant 4.
    // ORDERING: Relaxed, as all of `Dirty`: it is set and read under the lock of the store.
    #[inline]
    pub(crate) fn touch(&mut self, key: &[u8]) {
        if !self.watched.is_empty()
            && let Some(watchers) = self.watched.get(key)
        {
            watchers.iter().for_each(|dirty| dirty.store(true, Relaxed));
        }
    }

    pub(crate) fn watch(&mut self, key: &[u8], dirty: &Dirty) {
        self.watched.entry(key.into()).or_default().push(Arc::clone(dirty));
    }

    pub(crate) fn unwatch(&mut self, key: &[u8], dirty: &Dirty) {
        if let Some(watchers) = self.watched.get_mut(key) {
            watchers.retain(|other| !Arc::ptr_eq(other, dirty));
            if watchers.is_empty() {
                self.watched.remove(key);
            }
        }
    }
}
