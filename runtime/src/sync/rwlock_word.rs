//! The word of a reader-writer lock: who holds it, who waits for it.
//!
//! Owns the algorithm. Knows no value, no poison and no guard.
//!
//! | bits | meaning |
//! |---|---|
//! | `WRITING` | one writer holds it |
//! | `PARKED` | somebody may be in its queue |
//! | `WOKEN` | a writer was woken from the queue and is on its way; until it has tried, nobody else is chosen |
//! | the rest | how many readers hold it |
//!
//! There is one queue, for readers and writers in the order in which they came. A reader that comes while somebody waits
//! waits behind them: readers do not keep a writer out. Whoever frees the lock chooses from the front of the queue. Readers
//! there, as many as follow each other, have it at once: it is handed to them. A writer there is woken and tries; meanwhile
//! others may take the lock if it is free. If it was woken in vain it takes the first place again, and from there the lock is
//! handed to it. So nobody is passed over by more than those who take it while one writer wakes.
//!
//! Invariant 1: `PARKED` is set and cleared, and `WOKEN` is set, under the bucket's lock; only the woken one clears `WOKEN`,
//! or whoever woke it if it never comes.
//! Invariant 2: if somebody is in the queue, `PARKED` is set; and if then nobody holds it, `WOKEN` is set, or whoever held it
//! last is about to lock the bucket to choose.

use super::lot::{self, Answer, End, Ended, Line, Mark, Patience};
use crate::atomic::{AtomicU32, Ordering};
use crate::cancel::Point;

const WRITING: u32 = 1;
const PARKED: u32 = 2;
const WOKEN: u32 = 4;
/// One reader.
const READER: u32 = 8;
/// All of them.
const READERS: u32 = !(READER - 1);

/// Waits to read.
const READS: Mark = 0;
/// Waits to write.
const WRITES: Mark = 1;
/// Waits to write, and was woken in vain.
const PASSED_OVER: Mark = 2;

/// Is to try again.
const TRY: Answer = 0;
/// Holds it now.
const HANDED: Answer = 1;

/// See the heading.
#[derive(Debug)]
pub(super) struct RwLockWord(AtomicU32);

/// Whether a reader that comes may have it.
#[inline]
fn is_readable(word: u32) -> bool {
    word & (WRITING | PARKED) == 0
}

/// Whether a writer that comes may have it.
fn is_free(word: u32) -> bool {
    word & (WRITING | READERS) == 0
}

/// The word with one reader more.
#[inline]
fn plus_reader(word: u32) -> u32 {
    word.checked_add(READER).unwrap_or_else(|| too_many_readers())
}

#[cold]
fn too_many_readers() -> ! {
    panic!("too many active read locks on RwLock");
}

impl RwLockWord {
    /// A free one.
    #[cfg(not(dormouse_loom))]
    pub(super) const fn new() -> RwLockWord {
        RwLockWord(AtomicU32::new(0))
    }

    /// As above: loom's atomics are not `const`.
    #[cfg(dormouse_loom)]
    pub(super) fn new() -> RwLockWord {
        RwLockWord(AtomicU32::new(0))
    }

    /// Exchanges `word` for `new`; otherwise gives what there is.
    #[inline]
    fn take(&self, word: u32, new: u32) -> Result<u32, u32> {
        // ORDERING: Acquire pairs with the Release of `read_unlock`, `write_unlock`, `downgrade` and `choose`; a failure reads
        // nothing.
        self.0.compare_exchange(word, new, Ordering::Acquire, Ordering::Relaxed)
    }

    /// Takes it to read, together with others; parks while it cannot be had.
    #[inline]
    pub(super) fn read(&self) {
        if !self.try_read_once() {
            self.read_cold();
        }
    }

    #[inline]
    fn try_read_once(&self) -> bool {
        // ORDERING: Relaxed; the exchange decides.
        let word = self.0.load(Ordering::Relaxed);
        is_readable(word) && self.take(word, plus_reader(word)).is_ok()
    }

    /// Takes it to read, if it can be had and nobody waits for it.
    #[inline]
    pub(super) fn try_read(&self) -> bool {
        self.try_read_once() || self.barge_to_read(None)
    }

    /// Takes it to write; parks while another holds it.
    #[inline]
    pub(super) fn write(&self) {
        if self.take(0, WRITING).is_err() {
            self.write_cold();
        }
    }

    /// Takes it to write, if nobody holds it.
    #[inline]
    pub(super) fn try_write(&self) -> bool {
        self.take(0, WRITING).is_ok() || self.barge_to_write(0, None)
    }

    /// Ends a read; one reader only.
    #[inline]
    pub(super) fn read_unlock(&self) {
        // ORDERING: Release pairs with the Acquire of `take`, by way of the sum: a writer comes after all readers.
        let word = self.0.fetch_sub(READER, Ordering::Release) - READER;
        if word == PARKED {
            self.choose_next(0);
        }
    }

    /// Ends the write; the writer only.
    #[inline]
    pub(super) fn write_unlock(&self) {
        // ORDERING: Release pairs with the Acquire of `take`; a failure publishes nothing.
        if self.0.compare_exchange(WRITING, 0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.write_unlock_cold();
        }
    }

    /// Makes of the write a read, which those who wait to read join; the writer only.
    #[inline]
    pub(super) fn downgrade(&self) {
        // ORDERING: Release pairs with the Acquire of `take`: who reads now sees what was written.
        let word = self.0.fetch_add(READER - WRITING, Ordering::Release);
        if word & (PARKED | WOKEN) == PARKED {
            self.admit_readers();
        }
    }

    #[cold]
    fn read_cold(&self) {
        if self.barge_to_read(Some(Patience::new())) {
            return;
        }
        lot::check(Point::Shielded);
        loop {
            let place = lot::enqueue(lot::key(self), READS, End::Back, || self.announce(is_readable, 0));
            if let Some(mut queued) = place
                && queued.park(None, Point::Shielded) == Ended::Chosen(HANDED)
            {
                return;
            }
            if self.barge_to_read(None) {
                return;
            }
        }
    }

    #[cold]
    fn write_cold(&self) {
        if self.barge_to_write(0, Some(Patience::new())) {
            return;
        }
        lot::check(Point::Shielded);
        // Nothing from here on unwinds: `WOKEN`, once it is this waiter's, does not get lost.
        let (mut own, mut mark, mut end) = (0, WRITES, End::Back);
        loop {
            if let Some(mut queued) = lot::enqueue(lot::key(self), mark, end, || self.announce(is_free, own)) {
                if queued.park(None, Point::Shielded) == Ended::Chosen(HANDED) {
                    return;
                }
                (own, mark, end) = (WOKEN, PASSED_OVER, End::Front);
            }
            if self.barge_to_write(own, Some(Patience::new())) {
                return;
            }
        }
    }

    /// Takes it to read if that can be had; while somebody writes and nobody waits, tries again as long as there is patience.
    #[cold]
    fn barge_to_read(&self, mut patience: Option<Patience>) -> bool {
        // ORDERING: Relaxed; the exchange decides.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if is_readable(word) {
                match self.take(word, plus_reader(word)) {
                    Ok(_) => {
                        patience.iter().for_each(Patience::was_rewarded);
                        return true;
                    }
                    Err(now) => word = now,
                }
            } else if word & PARKED != 0 || !patience.as_mut().is_some_and(Patience::spin) {
                return false;
            } else {
                // ORDERING: Relaxed; as above.
                word = self.0.load(Ordering::Relaxed);
            }
        }
    }

    /// Takes it to write if nobody holds it, clearing `own`; otherwise as above.
    #[cold]
    fn barge_to_write(&self, own: u32, mut patience: Option<Patience>) -> bool {
        // ORDERING: Relaxed; the exchange decides.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if is_free(word) {
                match self.take(word, (word | WRITING) & !own) {
                    Ok(_) => {
                        patience.iter().for_each(Patience::was_rewarded);
                        return true;
                    }
                    Err(now) => word = now,
                }
            } else if word & PARKED != 0 && own == 0 || !patience.as_mut().is_some_and(Patience::spin) {
                return false;
            } else {
                // ORDERING: Relaxed; as above.
                word = self.0.load(Ordering::Relaxed);
            }
        }
    }

    /// Under the bucket's lock: says that somebody waits, and is no longer on its way; `false` if it can be had by now.
    fn announce(&self, can_be_had: fn(u32) -> bool, own: u32) -> bool {
        // ORDERING: Relaxed; a holder that finds `PARKED` set then locks the bucket, which is locked here.
        let stale = lot::stale(WOKEN);
        let set = |word: u32| match word & !stale {
            free if can_be_had(free) => (free != word).then_some(free),
            taken => Some((taken | PARKED) & !own),
        };
        // ORDERING: as above.
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, set);
        before.is_ok_and(|before| !can_be_had(before & !stale))
    }

    #[cold]
    fn write_unlock_cold(&self) {
        if !self.free_write() {
            self.choose_next(WRITING);
        }
    }

    /// Ends the write, unless somebody is to be chosen; the writer only.
    fn free_write(&self) -> bool {
        // ORDERING: Release pairs with the Acquire of `take`; a failure publishes nothing.
        let free = |word: u32| (word & PARKED == 0 || word & WOKEN != 0).then_some(word & !WRITING);
        self.0.fetch_update(Ordering::Release, Ordering::Relaxed, free).is_ok()
    }

    /// Chooses from the front of the queue who has it next. `own` is `WRITING` for the writer, who gives it up by this; for the
    /// last reader, who has given it up, it is 0, and if another was faster than it the choice is left to that one.
    #[cold]
    fn choose_next(&self, own: u32) {
        let mut absent = self.choose_once(own);
        while absent != 0 {
            absent = self.take_back(absent);
        }
    }

    /// Gives what was handed to those who will never come, as a part of the word: 0 if there is none of them.
    fn choose_once(&self, own: u32) -> u32 {
        let mut line = lot::line(lot::key(self));
        // ORDERING: Relaxed; the exchange in `choose` decides.
        let mut word = self.0.load(Ordering::Relaxed);
        let mut chosen = 0;
        while word == own | PARKED {
            match self.choose(&mut line, word) {
                Ok(held) => {
                    chosen = held;
                    break;
                }
                Err(now) => word = now,
            }
        }
        absent_of(chosen, line.wake())
    }

    /// In the stead of those who were chosen and never come, gives up what they were chosen for. Gives the same of those who
    /// were chosen thereby.
    #[cold]
    fn take_back(&self, absent: u32) -> u32 {
        match absent {
            WOKEN if !self.try_for_absent() => 0,
            WOKEN | WRITING => match self.free_write() {
                true => 0,
                false => self.choose_once(WRITING),
            },
            // ORDERING: Release, as in `read_unlock`.
            readers => match self.0.fetch_sub(readers, Ordering::Release) - readers {
                PARKED => self.choose_once(0),
                _ => 0,
            },
        }
    }

    /// `true` if the caller writes now, in the stead of one on its way. Otherwise somebody holds it, and chooses the next.
    fn try_for_absent(&self) -> bool {
        loop {
            if self.barge_to_write(WOKEN, None) {
                return true;
            }
            let line = lot::line(lot::key(self));
            let left = self.announce(is_free, WOKEN);
            drop(line);
            if left {
                return false;
            }
        }
    }

    /// One attempt of the above, while nobody else holds it and nobody is on its way. Gives what was handed over.
    fn choose(&self, line: &mut Line, word: u32) -> Result<u32, u32> {
        let (count, answer, held) = match line.marks().next() {
            None => (0, TRY, 0),
            Some(READS) => readers_in_front(line),
            Some(WRITES) => (1, TRY, WOKEN),
            Some(_) => (1, HANDED, WRITING),
        };
        let rest = if line.marks().nth(count).is_some() { PARKED } else { 0 };
        // ORDERING: Release pairs with the Acquire of `take`; those it is handed to lock the bucket after this. Acquire pairs with
        // the Release of `read_unlock`: what it is handed over for comes after the readers that were faster.
        self.0.compare_exchange(word, held | rest, Ordering::AcqRel, Ordering::Relaxed)?;
        (0..count).for_each(|_| {
            line.choose(answer);
        });
        Ok(held)
    }

    /// Lets the readers at the front of the queue join one that holds it; that one only.
    #[cold]
    fn admit_readers(&self) {
        let mut line = lot::line(lot::key(self));
        let (count, answer, held) = readers_in_front(&line);
        let rest = if line.marks().nth(count).is_some() { PARKED } else { 0 };
        // ORDERING: Release, as in `choose`. Nobody can write here, and who is on its way chooses later.
        let admit = |word: u32| {
            (word & (PARKED | WOKEN) == PARKED).then(|| (word & !PARKED | rest).checked_add(held)).flatten()
        };
        if self.0.fetch_update(Ordering::Release, Ordering::Relaxed, admit).is_ok() {
            (0..count).for_each(|_| {
                line.choose(answer);
            });
        }
        let absent = absent_of(held, line.wake());
        // The caller reads as well, so nobody is chosen thereby.
        if absent != 0 {
            self.take_back(absent);
        }
    }
}

/// What so many of those have to whom `held` was handed: a writer, or readers.
fn absent_of(held: u32, count: usize) -> u32 {
    if held & READERS == 0 && count > 0 { held } else { count as u32 * READER }
}

/// How many readers follow each other at the front, that it is handed to them, and what that adds to the word.
fn readers_in_front(line: &Line) -> (usize, Answer, u32) {
    let count = line.marks().take_while(|mark| *mark == READS).take((READERS / READER) as usize).count();
    (count, HANDED, count as u32 * READER)
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::sync::Arc;

    type Shared = (RwLockWord, Cell<i32>);

    fn add(shared: &Shared) {
        shared.0.write();
        // The loom cell reports any access to it that is not ordered by the word.
        shared.1.set(shared.1.get() + 1);
        shared.0.write_unlock();
    }

    fn read(shared: &Shared) -> i32 {
        shared.0.read();
        let value = shared.1.get();
        shared.0.read_unlock();
        value
    }

    fn among(others: [fn(&Shared); 2], own: fn(&Shared)) {
        loom::model(move || {
            let shared = Arc::new((RwLockWord::new(), Cell::new(0)));
            let threads = others.map(|other| {
                let shared = Arc::clone(&shared);
                loom::thread::spawn(move || other(&shared))
            });
            own(&shared);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(shared.0.0.load(Ordering::Relaxed), 0, "free, and nobody said to wait");
        });
    }

    /// Writers exclude each other and readers, and nobody sleeps for ever.
    #[test]
    fn two_writers_and_a_reader() {
        among([add, add], |shared| assert!(read(shared) <= 2));
    }

    /// Readers let each other in, and a writer.
    #[test]
    fn two_readers_and_a_writer() {
        among([|shared| assert!(read(shared) <= 1), |shared| assert!(read(shared) <= 1)], add);
    }

    /// Those who never come are passed over: readers and writers, woken or handed it.
    #[test]
    fn the_absent_keep_nobody_out() {
        for marks in [[READS, READS], [WRITES, READS], [READS, WRITES], [PASSED_OVER, WRITES]] {
            loom::model(move || {
                let shared = Arc::new((RwLockWord::new(), Cell::new(0)));
                let other = Arc::clone(&shared);
                shared.0.write();
                let wait = |mark| {
                    let announce = || shared.0.announce(|_| false, 0);
                    lot::enqueue_absent(lot::key(&shared.0), mark, announce);
                };
                marks.into_iter().for_each(wait);
                let thread = loom::thread::spawn(move || read(&other));
                shared.0.write_unlock();
                add(&shared);
                assert!(thread.join().unwrap() <= 1);
                assert_eq!(shared.0.0.load(Ordering::Relaxed) & !PARKED, 0);
            });
        }
    }

    /// So they are where a downgrade lets them in.
    #[test]
    fn the_absent_do_not_keep_a_read() {
        loom::model(|| {
            let shared = Arc::new((RwLockWord::new(), Cell::new(0)));
            let other = Arc::clone(&shared);
            shared.0.write();
            let announce = || shared.0.announce(|_| false, 0);
            lot::enqueue_absent(lot::key(&shared.0), READS, announce);
            let thread = loom::thread::spawn(move || add(&other));
            shared.0.downgrade();
            shared.0.read_unlock();
            thread.join().unwrap();
            assert_eq!(shared.0.0.load(Ordering::Relaxed) & !PARKED, 0);
        });
    }

    /// Who downgrades reads what it wrote, with others, and a writer comes after.
    #[test]
    fn a_downgrade_lets_readers_in_and_keeps_writers_out() {
        let downgrade = |shared: &Shared| {
            shared.0.write();
            shared.1.set(shared.1.get() + 10);
            let written = shared.1.get();
            shared.0.downgrade();
            assert_eq!(shared.1.get(), written);
            shared.0.read_unlock();
        };
        among([|shared| _ = read(shared), add], downgrade);
    }
}
