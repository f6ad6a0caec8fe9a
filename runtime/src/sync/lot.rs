//! Where waiters of locks wait: queues keyed by address, so that a lock itself is one small word.
//!
//! Owns the lot, a table of buckets that all locks of the process share, and the life of one's place in it ([`Queued`]).
//! Does not know what a lock is: the *mark* is what a waiter says of itself, the *answer* what it was chosen for, and both are
//! numbers that only the lock at that address understands.
//!
//! Addresses are spread over a fixed number of buckets. A bucket finds a key among those that are waited for in it by
//! looking at each, so that a choice costs about a nanosecond for every thousand keys that are waited for in the whole
//! process; how many wait for one key does not matter. Memory is only taken when more wait in a bucket than ever before,
//! and given back once nobody does.
//!
//! Invariant 1: a place is in the queue of its key until it is chosen or left. Both happen under the bucket's lock, so
//! that exactly one of the two does. A chosen place stays with its waiter, who takes the answer from it; if that one never
//! comes (`waiter.rs`), with whoever chose it.
//! Invariant 2: under a bucket's lock nothing runs but this file, `queues.rs` and the few instructions in which a lock
//! looks at its word; who was chosen is woken after.

mod patience;
mod queues;

pub(super) use patience::Patience;
pub(super) use queues::{Answer, End, Mark};

use crate::cancel::Point;
use crate::current;
use crate::fork::{self, PerProcess};
use crate::lock::{Guard, Lock};
use crate::os_thread::Parked;
use crate::park;
use crate::waiter::{Wait, Waiter};
use queues::{Look, Queues};
use std::time::Instant;

/// How many bits of an address's hash name its bucket. In models all addresses share one.
const BUCKET_BITS: u32 = if cfg!(dormouse_loom) { 0 } else { 8 };

/// The table: 32 KiB, taken when somebody waits for the first time.
struct Lot(Box<[Bucket]>);

/// A part of it. On cache lines of its own.
#[repr(align(128))]
struct Bucket(Lock<Queues>);

#[cfg(not(dormouse_loom))]
static LOT: PerProcess<Lot> = PerProcess::new();

// Each execution of a model has its own.
#[cfg(dormouse_loom)]
loom::lazy_static! {
    static ref LOT: Lot = Lot::new();
}

/// This process's. A child of fork(2) finds nobody waiting: who waited is not there.
#[cfg(not(dormouse_loom))]
#[inline]
fn lot() -> &'static Lot {
    LOT.get(Lot::new)
}

#[cfg(dormouse_loom)]
fn lot() -> &'static Lot {
    &LOT
}

impl Lot {
    fn new() -> Lot {
        watch_forks();
        Lot((0..1 << BUCKET_BITS).map(|_| Bucket(Lock::new(Queues::new()))).collect())
    }

    fn bucket(&self, key: usize) -> &Lock<Queues> {
        // Fibonacci hashing: the upper bits of a product with 2^64 divided by the golden ratio.
        let hash = u128::from((key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        &self.0[(hash >> (64 - BUCKET_BITS)) as usize].0
    }
}

/// Has the process know of a fork to come: a child is to know that it is one, though it has no runtime. For want of memory it
/// does not.
fn watch_forks() {
    if cfg!(not(dormouse_loom)) {
        let _ = fork::install(current::forked);
    }
}

/// The `bits` of a word by which somebody was said to be on its way, where that may be somebody of a parent process, who never
/// comes: in a child of fork(2). They are cleared whenever somebody queues; one of this process that is on its way finds
/// that others were woken, too.
pub(super) fn stale(bits: u32) -> u32 {
    if fork::count() > 0 { bits } else { 0 }
}

/// The key of what lies at this address.
pub(super) fn key<T>(place: &T) -> usize {
    std::ptr::from_ref(place).addr()
}

/// Panics inside `no_park` and throws a cancel that is due, as the park to come would; to be called before anything that the
/// park is to undo.
pub(super) fn check(point: Point) {
    if current::with_coroutine(|worker| worker.is_some()) {
        park::check(point).expect("no lock asks for errors");
    }
}

/// Takes a place in the queue of `key`, at its `end`, if `validate`, which is called under the bucket's lock, says so.
pub(super) fn enqueue(key: usize, mark: Mark, end: End, validate: impl FnOnce() -> bool) -> Option<Queued> {
    let wait = Wait::begin();
    let mut queues = lot().bucket(key).lock();
    let place = validate().then(|| queues.push(key, mark, end, wait.waiter()));
    drop(queues);
    Some(Queued { wait, key, place: Some(place?) })
}

/// As [`enqueue`], for one that never comes.
#[cfg(all(test, dormouse_loom))]
pub(super) fn enqueue_absent(key: usize, mark: Mark, validate: impl FnOnce() -> bool) {
    let mut queues = lot().bucket(key).lock();
    if validate() {
        queues.push(key, mark, End::Back, Waiter::absent());
    }
}

/// A place in a queue.
#[derive(Debug)]
#[must_use = "whoever does not park leaves the queue"]
pub(super) struct Queued {
    /// The present wait; its other end is in the queue.
    wait: Wait,
    /// Which queue.
    key: usize,
    /// The place, until it was left.
    place: Option<usize>,
}

/// How the wait in a queue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was chosen, for this.
    Chosen(Answer),
    /// The deadline passed first, or what is answered as an error came.
    TimedOut,
}

impl Queued {
    /// Parks until chosen, or until the deadline; either way the place is left.
    ///
    /// Throws if the coroutine is cancelled and `point` allows it. The place is then still there: whoever holds this asks
    /// `leave` in a Drop whether it was chosen all the same.
    pub(super) fn park(&mut self, deadline: Option<Instant>, point: Point) -> Ended {
        loop {
            let parked = self.wait.park(deadline, point);
            if let Some(ended) = self.look(parked != Parked::Woken) {
                return ended;
            }
        }
    }

    /// After a park: whether it was for nothing (`None`), in which case another wait has begun.
    fn look(&mut self, timed_out: bool) -> Option<Ended> {
        if timed_out {
            return Some(self.leave().map_or(Ended::TimedOut, Ended::Chosen));
        }
        let place = self.place.expect("parked in a queue");
        let wait = Wait::begin();
        let mut queues = lot().bucket(self.key).lock();
        let look = queues.look(place, || wait.waiter());
        drop(queues);
        match look {
            Look::Chosen(answer) => {
                self.place = None;
                Some(Ended::Chosen(answer))
            }
            Look::Queued(stale) => {
                drop(stale);
                self.wait = wait;
                None
            }
        }
    }

    /// Leaves the queue, if that did not happen yet; what it was chosen for, if it was.
    pub(super) fn leave(&mut self) -> Option<Answer> {
        let place = self.place.take()?;
        let mut queues = lot().bucket(self.key).lock();
        let left = queues.remove(place);
        drop(queues);
        left.err()
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The queue of one key, under its bucket's lock: who waits does not change but by this.
pub(super) struct Line {
    /// The bucket.
    queues: Guard<'static, Queues>,
    /// Which queue.
    key: usize,
    /// Whom to wake first, without an allocation, and its place.
    first: Option<(usize, Waiter)>,
    /// Whom to wake after that.
    others: Vec<(usize, Waiter)>,
}

/// Locks the queue of `key`.
pub(super) fn line(key: usize) -> Line {
    Line { queues: lot().bucket(key).lock(), key, first: None, others: Vec::new() }
}

impl Line {
    /// What those who wait say of themselves, in order.
    pub(super) fn marks(&self) -> impl Iterator<Item = Mark> {
        self.queues.marks(self.key)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.marks().next().is_none()
    }

    /// Chooses the first; `false` if there is none.
    pub(super) fn choose(&mut self, answer: Answer) -> bool {
        let chosen = self.queues.choose(self.key, answer);
        let any = chosen.is_some();
        match &self.first {
            None => self.first = chosen,
            Some(_) => self.others.extend(chosen),
        }
        any
    }

    /// Unlocks the queue and wakes the chosen. Gives how many of them will never come: what they were chosen for is the
    /// caller's to take back.
    #[must_use]
    pub(super) fn wake(self) -> usize {
        let Line { queues, key, first, others } = self;
        drop(queues);
        let absent = |(place, waiter): (usize, Waiter)| {
            let absent = !waiter.wake_chosen();
            if absent {
                clear(key, place);
            }
            usize::from(absent)
        };
        first.into_iter().chain(others).map(absent).sum()
    }
}

/// Removes the place of one who was chosen and never comes.
#[cold]
fn clear(key: usize, place: usize) {
    let mut queues = lot().bucket(key).lock();
    let chosen = queues.remove(place);
    drop(queues);
    debug_assert!(chosen.is_err(), "it was chosen");
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    const MARK: Mark = 7;

    /// Several to a bucket; under Miri, which is a thousand times slower, about one.
    const KEYS: usize = if cfg!(miri) { 256 } else { 4096 };

    fn queued(key: usize) -> Queued {
        enqueue(key, MARK, End::Back, || true).expect("valid")
    }

    #[test]
    fn who_is_not_valid_takes_no_place() {
        let here = 0;
        assert!(enqueue(key(&here), MARK, End::Back, || false).is_none());
        assert!(line(key(&here)).is_empty());
    }

    #[test]
    fn whoever_was_chosen_has_the_answer_even_after_its_deadline() {
        let here = 0;
        let mut place = queued(key(&here));
        let mut all = line(key(&here));
        assert!(all.choose(3) && !all.choose(4));
        assert_eq!(all.wake(), 0);
        assert_eq!(place.park(Some(Instant::now()), Point::Shielded), Ended::Chosen(3));
        assert_eq!(place.leave(), None);
    }

    #[test]
    fn a_deadline_is_never_early_and_leaves_the_queue() {
        let here = 0;
        let mut place = queued(key(&here));
        let deadline = Instant::now() + Duration::from_millis(2);
        assert_eq!(place.park(Some(deadline), Point::Shielded), Ended::TimedOut);
        assert!(Instant::now() >= deadline);
        assert!(line(key(&here)).is_empty());
    }

    #[test]
    fn a_place_that_is_dropped_is_left() {
        let here = 0;
        drop(queued(key(&here)));
        assert!(line(key(&here)).is_empty());
    }

    #[test]
    fn keys_do_not_mix() {
        let here = [0u64; KEYS];
        let places: Vec<_> = here.iter().map(|place| queued(key(place))).collect();
        for place in &here {
            let mut own = line(key(place));
            assert!(own.choose(1) && !own.choose(1));
            assert_eq!(own.wake(), 0);
        }
        assert!(places.into_iter().all(|mut place| place.leave() == Some(1)));
    }
}
