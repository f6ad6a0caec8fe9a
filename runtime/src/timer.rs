//! The timer wheel of one worker: which timer is due, and when the next one is.
//!
//! Owns the timers and their order. Must never know a clock (`now` is an argument), a system call, or what an owner is: a
//! `u32` that is handed back at expiry. Times are nanoseconds since the worker's own epoch.
//!
//! # How it works
//!
//! Level `l` has 64 buckets of `64^l` ns each. A timer's level is the highest base-64 digit in which its deadline differs
//! from `elapsed`, an instant at or before the present; its bucket is the deadline's digit there. So whatever is in a level
//! is earlier than whatever is in a higher one, and the first occupied bucket of the first occupied level, two bitmaps
//! away, holds the earliest timer. When that bucket has come due it is searched if it is small, else *cascaded*: `elapsed`
//! moves to its least deadline, and its timers spread over the levels below. This is a radix heap (Ahuja, Mehlhorn, Orlin,
//! Tarjan, "Faster algorithms for the shortest path problem", 1990) with cancellation.
//!
//! Time alone moves nothing: a bucket is cascaded when a timer in it is due, not when its span begins. So a timer that is
//! always cancelled in time is never moved, and no wake-up serves the wheel only (but see invariant 6).
//!
//! Rejected, by measurement: one doubly linked node per timer, which waits for one cache miss per timer and cascade (120 to
//! 180 ns per expiry of 1,000,000 timers in random order, against 45 to 60; insert and cancel 6 ns, against 11). A tick of 16
//! or 1,024 ns: no faster, as small buckets are never cascaded anyway. Rejected by design: sleeping until the next cascade,
//! which wakes an idle process up to ten times per timer.
//!
//! The price of any cascade: it is not spread over time. A large bucket that comes due takes about 20 ns for each timer in
//! it, so of 1,000,000 timeouts of 30 s the first one due makes a pause of 20 ms, of 10,000 one of 0.2 ms.
//!
//! # Invariants
//!
//! 1. A live timer is in bucket `place_of(max(deadline, elapsed))`, and nowhere else. A level above 0 has no occupied
//!    bucket at or below `elapsed`'s digit, level 0 none below it.
//! 2. `elapsed` never goes back, and never passes the latest `now`, nor the deadline of a live timer that was not already
//!    due when inserted.
//! 3. A bucket's bit in `occupied` is set exactly while the bucket has timers; a level's bit in `levels` likewise.
//! 4. A live key's node holds the position of the entry that names the key, and the bucket it is in.
//! 5. `Bucket::least` is at or below every deadline in an occupied bucket, and equals the least of them if `exact`.
//! 6. `next_deadline` is exact unless the first bucket lost its least timer while it held more than `SEARCH_LIMIT`. Then it
//!    is a lower bound, the deadline of a timer since cancelled; a worker that sleeps until then looks once too early, and
//!    that look cascades the bucket, which makes every `least` in it exact.

mod bags;

use std::fmt;
use std::num::NonZeroU32;

use bags::{Bag, Bags, CHUNK, Entry};

/// Bits of a deadline that one level tells apart.
const DIGIT_BITS: u32 = 6;
/// Buckets in a level: one bitmap word.
const BUCKETS_PER_LEVEL: usize = 1 << DIGIT_BITS;
/// Enough levels for every bit of a `u64`.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;
/// A bucket of at most this many timers is searched when due, rather than cascaded: one chunk.
const SMALL: u32 = CHUNK;
/// A bucket of at most this many timers is searched by `next_deadline` when its least deadline is in doubt.
const SEARCH_LIMIT: u32 = 64;
/// The `KeyNode::place` of an unused key.
const FREE: u16 = u16::MAX;
/// Ends the list of unused keys.
const NONE: u32 = u32::MAX;

/// Names a live timer of one [`Wheel`]; dead once cancelled or popped.
///
/// Dead keys are used again for later timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerKey(NonZeroU32);

/// A hierarchical timer wheel: exact, never early, O(1) to insert and cancel.
pub struct Wheel {
    /// The instant that placement is relative to (invariants 1 and 2).
    elapsed: u64,
    /// Which levels have an occupied bucket, bit 0 for level 0.
    levels: u16,
    /// For each level, which of its buckets are occupied.
    occupied: [u64; LEVELS],
    /// The buckets of level 0, then of level 1, and so on.
    buckets: Box<[Bucket]>,
    /// The entries of every bucket.
    bags: Bags,
    /// Where each key's entry is, for key 1 first.
    key_nodes: Vec<KeyNode>,
    /// The first unused position in `key_nodes`, or `NONE`.
    free_key: u32,
    /// How many timers are live.
    len: usize,
}

/// One span of time.
struct Bucket {
    /// A lower bound of the deadlines (invariant 5); meaningless while empty.
    least: u64,
    /// The timers.
    bag: Bag,
    /// Whether `least` is some timer's deadline, rather than only a bound.
    exact: bool,
}

/// Where a live key's entry is, or an unused key.
#[derive(Clone, Copy)]
struct KeyNode {
    /// The position of the entry; for an unused key, the next unused one.
    position: u32,
    /// The index of the entry's bucket, or `FREE`.
    place: u16,
}

impl TimerKey {
    /// The position of this key's node.
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Wheel {
    /// Makes an empty wheel; `now` is the present.
    pub fn new(now: u64) -> Wheel {
        Wheel {
            elapsed: now,
            levels: 0,
            occupied: [0; LEVELS],
            buckets: [const { Bucket::EMPTY }; LEVELS * BUCKETS_PER_LEVEL].into(),
            bags: Bags::new(),
            key_nodes: Vec::new(),
            free_key: NONE,
            len: 0,
        }
    }

    /// The number of live timers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is live.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a timer due at `deadline` (nanoseconds), which may be past; `owner` is what [`pop_expired`](Self::pop_expired)
    /// will give back.
    ///
    /// O(1); allocates only when the tables have to grow, 24 bytes for a timer.
    ///
    /// # Panics
    ///
    /// When the tables would exceed 2^32 entries.
    pub fn insert(&mut self, deadline: u64, owner: u32) -> TimerKey {
        let key = self.take_key();
        self.len += 1;
        self.put(Entry { deadline, owner, key });
        TimerKey(NonZeroU32::MIN.saturating_add(key))
    }

    /// Removes a live timer. O(1).
    ///
    /// # Panics
    ///
    /// If `key` is dead and has not been used again. A dead key that names a later timer would cancel that one.
    pub fn cancel(&mut self, key: TimerKey) {
        let node = self.key_nodes[key.index()];
        assert!(node.place != FREE, "cancelled a dead timer");
        self.remove(usize::from(node.place), node.position);
    }

    /// When a live timer is due. O(1).
    pub fn deadline(&self, key: TimerKey) -> u64 {
        self.bags.entry(self.key_nodes[key.index()].position).deadline
    }

    /// Pops one timer that is due at `now`, and gives its owner back. Call in a loop until `None`.
    ///
    /// Exact: pops no timer with a deadline after `now`, and gives `None` only if every live timer has one. Timers come out
    /// in order of deadline, equal ones in any order; except that one inserted when it was already due may come after
    /// others that are due. The caller may insert and cancel between pops; `now` must not go back.
    ///
    /// O(1) amortised over a timer's life: it is moved at most once per level.
    pub fn pop_expired(&mut self, now: u64) -> Option<u32> {
        loop {
            let place = self.first_occupied();
            match place {
                Some(place) if self.buckets[place].least <= now => {
                    if let Some(position) = self.narrow(place, now) {
                        return Some(self.remove(place, position));
                    }
                }
                _ => {
                    self.catch_up(place, now);
                    return None;
                }
            }
        }
    }

    /// When the earliest timer is due, or `None` without timers.
    ///
    /// Never later than that; exact unless the bucket of the earliest timers is large and its earliest one was cancelled
    /// (invariant 6). A sleep until the returned instant then ends early, once, and the next answer is exact.
    pub fn next_deadline(&mut self) -> Option<u64> {
        let place = self.first_occupied()?;
        let bucket = &self.buckets[place];
        if !bucket.exact && bucket.bag.len() <= SEARCH_LIMIT {
            self.search(place);
        }
        Some(self.buckets[place].least)
    }

    /// The bucket that holds the earliest timer.
    fn first_occupied(&self) -> Option<usize> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize;
        Some(level * BUCKETS_PER_LEVEL + self.occupied[level].trailing_zeros() as usize)
    }

    /// Takes one step towards a due timer in the first occupied bucket: its position if it found one. Otherwise it has
    /// raised `least`, or emptied the bucket into lower levels, so repeating it comes to an end.
    fn narrow(&mut self, place: usize, now: u64) -> Option<u32> {
        let bucket = &self.buckets[place];
        if place < BUCKETS_PER_LEVEL {
            // A single instant, which `least` says has come, or what was due when inserted.
            Some(bucket.bag.last_position())
        } else if bucket.bag.len() <= SMALL {
            let earliest = self.search(place);
            (self.buckets[place].least <= now).then_some(earliest)
        } else {
            self.cascade(place);
            None
        }
    }

    /// Finds the position of an earliest timer in an occupied bucket, and makes `least` exact.
    fn search(&mut self, place: usize) -> u32 {
        let bucket = &mut self.buckets[place];
        let (earliest, least) = self.bags.earliest(&bucket.bag);
        bucket.least = least;
        bucket.exact = true;
        earliest
    }

    /// Moves `elapsed` to the first occupied bucket's `least`, which must have come, and its timers to the levels below.
    fn cascade(&mut self, place: usize) {
        let mut due = std::mem::replace(&mut self.buckets[place], Bucket::EMPTY);
        self.mark_empty(place);
        self.elapsed = due.least;
        while let Some(entry) = self.bags.pop(&mut due.bag) {
            self.put(entry);
        }
    }

    /// Moves `elapsed` to `now`, or just before the first occupied bucket if that has begun: no timer changes place.
    fn catch_up(&mut self, first: Option<usize>, now: u64) {
        let limit = match first {
            Some(place) => self.start_of(place).saturating_sub(1),
            None => u64::MAX,
        };
        self.elapsed = self.elapsed.max(now.min(limit));
    }

    /// The first instant of an occupied bucket's span.
    fn start_of(&self, place: usize) -> u64 {
        let level = (place / BUCKETS_PER_LEVEL) as u32;
        let above = u64::MAX.checked_shl(DIGIT_BITS * (level + 1)).unwrap_or(0);
        let digit = (place % BUCKETS_PER_LEVEL) as u64;
        self.elapsed & above | digit << (DIGIT_BITS * level)
    }

    /// The bucket for a deadline (invariant 1).
    fn place_of(&self, deadline: u64) -> usize {
        let instant = deadline.max(self.elapsed);
        let highest_bit = ((instant ^ self.elapsed) | 1).ilog2();
        let level = highest_bit / DIGIT_BITS;
        let digit = (instant >> (DIGIT_BITS * level)) as usize % BUCKETS_PER_LEVEL;
        level as usize * BUCKETS_PER_LEVEL + digit
    }

    /// Adds an entry to the bucket of its deadline.
    fn put(&mut self, entry: Entry) {
        let place = self.place_of(entry.deadline);
        self.mark_occupied(place);
        let bucket = &mut self.buckets[place];
        if bucket.bag.is_empty() || entry.deadline <= bucket.least {
            bucket.least = entry.deadline;
            bucket.exact = true;
        }
        let position = self.bags.push(&mut bucket.bag, entry);
        self.key_nodes[entry.key as usize] = KeyNode { position, place: place as u16 };
    }

    /// Removes the entry at a position of a bucket and gives its owner back; its key becomes the first unused one.
    fn remove(&mut self, place: usize, position: u32) -> u32 {
        let bucket = &mut self.buckets[place];
        let (removed, filler) = self.bags.swap_remove(&mut bucket.bag, position);
        bucket.exact &= removed.deadline != bucket.least;
        if bucket.bag.is_empty() {
            self.mark_empty(place);
        }
        self.key_nodes[filler.key as usize].position = position;
        self.key_nodes[removed.key as usize] = KeyNode { position: self.free_key, place: FREE };
        self.free_key = removed.key;
        self.len -= 1;
        removed.owner
    }

    /// Takes an unused key.
    fn take_key(&mut self) -> u32 {
        if self.free_key == NONE {
            self.grow_keys_cold();
        }
        let key = self.free_key;
        self.free_key = self.key_nodes[key as usize].position;
        key
    }

    /// Sets a bucket's bits (invariant 3).
    fn mark_occupied(&mut self, place: usize) {
        let level = place / BUCKETS_PER_LEVEL;
        self.occupied[level] |= 1 << (place % BUCKETS_PER_LEVEL);
        self.levels |= 1 << level;
    }

    /// Clears a bucket's bits (invariant 3).
    fn mark_empty(&mut self, place: usize) {
        let level = place / BUCKETS_PER_LEVEL;
        self.occupied[level] &= !(1 << (place % BUCKETS_PER_LEVEL));
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// Adds an unused key, when there is none.
    #[cold]
    fn grow_keys_cold(&mut self) {
        let index = self.key_nodes.len();
        assert!(index < NONE as usize, "too many timers");
        self.key_nodes.push(KeyNode { position: NONE, place: FREE });
        self.free_key = index as u32;
    }
}

impl fmt::Debug for Wheel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Wheel").field("elapsed", &self.elapsed).field("len", &self.len).finish_non_exhaustive()
    }
}

impl Bucket {
    /// A bucket without timers.
    const EMPTY: Bucket = Bucket { least: 0, bag: Bag::EMPTY, exact: true };
}

#[cfg(any(test, dormouse_fuzz))]
pub(crate) mod model;

#[cfg(test)]
mod model_tests;

#[cfg(test)]
mod tests {
    use super::*;

    /// Nanoseconds in a second.
    const SECOND: u64 = 1_000_000_000;

    /// Pops all that is due.
    fn drain(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        std::iter::from_fn(|| wheel.pop_expired(now)).collect()
    }

    #[test]
    fn sizes_stay_small() {
        assert_eq!(size_of::<Option<TimerKey>>(), 4);
        assert_eq!(size_of::<Entry>() + size_of::<KeyNode>(), 24);
        assert_eq!(size_of::<Bucket>(), 24);
    }

    #[test]
    fn expires_at_the_deadline_and_not_before() {
        let mut wheel = Wheel::new(7);
        for deadline in [8, 9, 100, SECOND, 3600 * SECOND, u64::MAX - 1] {
            wheel.insert(deadline, 1);
            assert_eq!(wheel.pop_expired(deadline - 1), None);
            assert_eq!(wheel.pop_expired(deadline), Some(1));
            assert_eq!(wheel.next_deadline(), None);
        }
    }

    /// Seconds. Fewer under Miri, which is a thousand times slower.
    const FAR: u64 = if cfg!(miri) { 100 } else { 3600 };

    #[test]
    fn one_far_timer_asks_for_one_sleep() {
        let mut wheel = Wheel::new(0);
        wheel.insert(FAR * SECOND, 1);
        for now in (0..FAR).map(|second| second * SECOND) {
            assert_eq!(wheel.pop_expired(now), None);
            assert_eq!(wheel.next_deadline(), Some(FAR * SECOND));
        }
    }

    #[test]
    fn late_inserts_expire_at_the_next_pop() {
        let mut wheel = Wheel::new(0);
        assert_eq!(wheel.pop_expired(SECOND), None);
        wheel.insert(5, 1);
        wheel.insert(SECOND, 2);
        assert_eq!(wheel.next_deadline(), Some(5));
        assert_eq!(drain(&mut wheel, SECOND).len(), 2);
    }

    #[test]
    fn pops_in_order_of_deadline() {
        let mut wheel = Wheel::new(0);
        for i in 0..1000 {
            let deadline = i * 7919 % 1000;
            wheel.insert(u64::from(deadline * 1000 + 10), deadline);
        }
        assert_eq!(drain(&mut wheel, SECOND), Vec::from_iter(0..1000));
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_large_bucket_that_lost_its_least_looks_early_once() {
        let mut wheel = Wheel::new(0);
        let idle = 64u64.pow(5);
        let keys: Vec<_> = (0..1000).map(|i| wheel.insert(idle + i * 1000, i as u32)).collect();
        for &key in &keys[..10] {
            wheel.cancel(key);
        }
        assert_eq!(wheel.next_deadline(), Some(idle));
        assert_eq!(wheel.pop_expired(idle), None);
        assert_eq!(wheel.next_deadline(), Some(idle + 10_000));
    }

    #[test]
    #[should_panic(expected = "dead timer")]
    fn cancelling_a_popped_timer_panics() {
        let mut wheel = Wheel::new(0);
        let key = wheel.insert(1, 1);
        assert_eq!(wheel.pop_expired(1), Some(1));
        wheel.cancel(key);
    }
}
