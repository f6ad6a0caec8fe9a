//! A lock that costs the worker which alone uses it no atomic operation.
//!
//! Most channels have both ends on one worker, and there nobody else can be inside: the worker's own thread is one, and nothing
//! parks while it holds a lock. After [`USES`] uses in a row by one worker the word is left to it, *biased*; from then on
//! that worker enters by two plain stores and a load. Whoever else comes takes the bias away, once and for all, and waits
//! until the worker is outside. After Dice, Huang and Yang, "Asymmetric Dekker Synchronization" (2001).
//!
//! The rejected way, a channel of another kind for one worker, would be another type, or two engines behind one.
//!
//! ```text
//!   the owner, entering                       whoever comes
//!     busy = true                               word: BIASED -> CONTENDED    (one of them)
//!     light fence                               owner = NOBODY
//!     owner is still itself? -> inside          heavy fence
//!     else busy = false, takes the word         waits while busy             -> inside, holds the word
//! ```
//!
//! Either the owner sees that it is none any more, or the other sees it busy.
//!
//! Invariant 1: who is inside holds the word, or is the owner, with the word BIASED or its taker waiting for `busy` to end.
//! Invariant 2: only the owner's thread writes `busy`, and only that thread's uses name it as `home`.
//! Invariant 3: `owner` names nobody but while the word is BIASED, or for a moment before and after by the word's holder;
//! `usual` and `streak` are used by the word's holder only.

#![allow(unsafe_code)]

use super::word::{Found, Word};
use crate::atomic::{AtomicBool, AtomicU32, Ordering, doze, spin_loop};
use crate::sys::membarrier;
use std::cell::UnsafeCell;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Uses in a row by one worker, after its first, after which the word is left to it. Few channels live as long that are not used so for
/// ever; taking a bias away costs some microseconds.
#[cfg(not(dormouse_loom))]
const USES: u32 = 64;
#[cfg(dormouse_loom)]
const USES: u32 = 1;

/// The streak of a lock that was biased and is not to be again.
const NEVER: u32 = u32::MAX;

/// The owner of what is not biased; no worker's number.
const NOBODY: u32 = 0;

/// The home of those who are on no worker; no worker's number, and never an owner.
pub(crate) const STRANGER: u32 = u32::MAX;

/// Looks at a busy owner before the thread dozes: the owner may not be on a core.
#[cfg(not(dormouse_loom))]
const LOOKS: u32 = 100;
/// In a model the owner is on a core only if the others let it.
#[cfg(dormouse_loom)]
const LOOKS: u32 = 0;

/// The algorithm, without the value.
#[derive(Debug)]
struct Bias {
    /// Taken by all but the owner.
    word: Word,
    /// To whom it is left.
    owner: AtomicU32,
    /// Whether the owner is inside.
    busy: AtomicBool,
    /// Who used it last.
    usual: AtomicU32,
    /// How often in a row.
    streak: AtomicU32,
}

impl Bias {
    fn new() -> Bias {
        Bias {
            word: Word::new(),
            owner: AtomicU32::new(NOBODY),
            busy: AtomicBool::new(false),
            usual: AtomicU32::new(NOBODY),
            streak: AtomicU32::new(0),
        }
    }

    /// Comes in; `true` if as the owner.
    #[inline(always)]
    fn enter(&self, home: u32) -> bool {
        // ORDERING: Relaxed; pairs with `leave_to_usual`, by which only this thread itself becomes the owner, and what others
        // wrote before that it saw then.
        self.owner.load(Ordering::Relaxed) == home && self.enter_biased(home) || self.enter_cold(home)
    }

    #[inline(always)]
    fn enter_biased(&self, home: u32) -> bool {
        // ORDERING: Relaxed; the owner reads what it wrote.
        if self.busy.load(Ordering::Relaxed) {
            re_entered();
        }
        // ORDERING: Relaxed; the light fence orders it before the load below. Pairs with `revoke`.
        self.busy.store(true, Ordering::Relaxed);
        membarrier::light();
        // ORDERING: Relaxed; see the heading. Pairs with the store in `revoke`.
        let own = self.owner.load(Ordering::Relaxed) == home;
        if !own {
            self.leave_biased();
        }
        own
    }

    /// Never as the owner: `false`.
    #[inline(never)]
    fn enter_cold(&self, home: u32) -> bool {
        if self.word.acquire() == Found::Biased {
            self.revoke();
        }
        self.count(home);
        false
    }

    /// A streak is that of the present holder, so that only its own thread ever leaves the word to a worker.
    fn count(&self, home: u32) {
        // ORDERING: Relaxed, here and below; the word's holder only (invariant 3).
        let streak = self.streak.load(Ordering::Relaxed);
        if streak == NEVER {
            return;
        }
        // ORDERING: as above.
        let again = self.usual.load(Ordering::Relaxed) == home && home != STRANGER;
        // ORDERING: as above.
        self.usual.store(home, Ordering::Relaxed);
        // ORDERING: as above.
        self.streak.store(if again { streak + 1 } else { 0 }, Ordering::Relaxed);
    }

    /// Takes the bias away; the word is held already.
    #[cold]
    fn revoke(&self) {
        // ORDERING: Relaxed; the heavy fence orders it before the loads below. Pairs with the load in `enter_biased`.
        self.owner.store(NOBODY, Ordering::Relaxed);
        membarrier::heavy().unwrap_or_else(|error| give_up(&error));
        let mut looks = 0;
        // ORDERING: Acquire pairs with the Release store in `leave_biased`: what the owner did inside is seen.
        while self.busy.load(Ordering::Acquire) {
            looks += 1;
            if looks < LOOKS { spin_loop() } else { doze() }
        }
        // ORDERING: Relaxed; the word's holder only.
        self.streak.store(NEVER, Ordering::Relaxed);
    }

    #[inline(always)]
    fn leave(&self, as_owner: bool) {
        if as_owner { self.leave_biased() } else { self.leave_cold() }
    }

    #[inline(always)]
    fn leave_biased(&self) {
        // ORDERING: Release pairs with the Acquire load in `revoke`.
        self.busy.store(false, Ordering::Release);
    }

    #[inline(never)]
    fn leave_cold(&self) {
        // ORDERING: Relaxed; the word's holder only.
        let streak = self.streak.load(Ordering::Relaxed);
        if streak < USES || streak == NEVER || !self.leave_to_usual() {
            self.word.release();
        }
    }

    /// Leaves the word to who used it last, which is the caller; `false` if that cannot be.
    fn leave_to_usual(&self) -> bool {
        if !membarrier::is_available() {
            return false;
        }
        // ORDERING: Relaxed; the word's holder only.
        let usual = self.usual.load(Ordering::Relaxed);
        // ORDERING: Relaxed; whoever takes the bias away takes the word first, and this thread sees its own.
        self.owner.store(usual, Ordering::Relaxed);
        let left = self.word.leave_biased();
        if !left {
            // ORDERING: Relaxed; as above.
            self.owner.store(NOBODY, Ordering::Relaxed);
        }
        left
    }
}

/// The word would be held for ever.
#[cold]
fn give_up(error: &io::Error) -> ! {
    let _ = writeln!(io::stderr(), "dormouse: membarrier(2) fails though it did not before, aborting: {error}");
    std::process::abort();
}

/// Two would be inside at a time, on one thread. A lock that is not biased hangs here.
#[cold]
fn re_entered() -> ! {
    let _ = writeln!(io::stderr(), "dormouse: a channel was used while it used the global allocator, aborting");
    std::process::abort();
}

/// A value that one thread at a time may touch, for a few instructions, as that of a [`Lock`](super::Lock), whose invariants hold
/// here, too.
pub(crate) struct Biased<T> {
    /// Who is inside.
    bias: Bias,
    /// What is guarded.
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time is inside, and once, by the heading and `re_entered`; so the value need only be `Send`.
unsafe impl<T: Send> Sync for Biased<T> {}

impl<T> Biased<T> {
    pub(crate) fn new(value: T) -> Biased<T> {
        Biased { bias: Bias::new(), value: UnsafeCell::new(value) }
    }

    /// Takes the lock, on the thread of the worker of number `home`, or of none ([`STRANGER`]); blocks the thread while
    /// another holds it. Taken twice by a thread, it blocks for ever or aborts.
    ///
    /// # Safety
    ///
    /// The caller is on that worker's thread, and workers' numbers are never given twice.
    #[inline(always)]
    pub(crate) unsafe fn lock(&self, home: u32) -> BiasedGuard<'_, T> {
        let as_owner = self.bias.enter(home);
        BiasedGuard { lock: self, as_owner, value: PhantomData }
    }
}

impl<T> std::fmt::Debug for Biased<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Biased").finish_non_exhaustive()
    }
}

/// The right to touch the value, until dropped.
#[derive(Debug)]
pub(crate) struct BiasedGuard<'a, T> {
    /// The lock that is held.
    lock: &'a Biased<T>,
    /// Whether as its owner.
    as_owner: bool,
    /// A reference to the value; it stays on its thread, whose worker may be the owner.
    value: PhantomData<(&'a mut T, *mut ())>,
}

impl<T> BiasedGuard<'_, T> {
    /// Whether the lock is left to the one worker that uses it.
    #[inline(always)]
    pub(crate) fn is_owners(&self) -> bool {
        self.as_owner
    }
}

impl<T> Deref for BiasedGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: a guard exists, and it is the only one (`Sync`, above).
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for BiasedGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and it is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for BiasedGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.bias.leave(self.as_owner);
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    const HOME: u32 = 7;

    /// Locks made and shared.
    const ROUNDS: u32 = if cfg!(miri) { 2 } else { 200 };

    /// Takes the lock as the worker of number `home`, which no other thread of the test does.
    fn add(lock: &Biased<u64>, home: u32) {
        // SAFETY: as the heading of this function says.
        *unsafe { lock.lock(home) } += 1;
    }

    fn is_biased(lock: &Biased<u64>) -> bool {
        // ORDERING: Relaxed; the test's own thread wrote it.
        lock.bias.owner.load(Ordering::Relaxed) == HOME
    }

    #[test]
    fn many_uses_by_one_worker_bias_it_and_one_by_another_ends_that() {
        membarrier::register();
        let lock = Biased::new(0);
        (0..=USES).for_each(|_| add(&lock, HOME));
        assert_eq!(is_biased(&lock), membarrier::is_available());
        (0..10).for_each(|_| add(&lock, HOME));
        add(&lock, STRANGER);
        assert!(!is_biased(&lock));
        (0..10 * USES).for_each(|_| add(&lock, HOME));
        assert!(!is_biased(&lock), "once and for all");
        // SAFETY: this thread plays all workers.
        assert_eq!(*unsafe { lock.lock(STRANGER) }, u64::from(USES + 12 + 10 * USES));
    }

    #[test]
    fn two_workers_in_turn_do_not_bias_it() {
        membarrier::register();
        let lock = Biased::new(0);
        for _ in 0..USES {
            (1..USES).for_each(|_| add(&lock, HOME));
            add(&lock, HOME + 1);
        }
        assert!(!is_biased(&lock));
    }

    /// The owner never stops while others come, on fresh locks so that many biases are taken away.
    #[test]
    fn nobody_is_inside_with_the_owner() {
        membarrier::register();
        for _ in 0..ROUNDS {
            let lock = Arc::new(Biased::new(0));
            (0..=USES).for_each(|_| add(&lock, HOME));
            let strangers: Vec<_> = (0..2)
                .map(|_| {
                    let lock = Arc::clone(&lock);
                    std::thread::spawn(move || (0..50).for_each(|_| add(&lock, STRANGER)))
                })
                .collect();
            (0..500).for_each(|_| add(&lock, HOME));
            strangers.into_iter().for_each(|stranger| stranger.join().unwrap());
            // SAFETY: no thread plays a worker any more.
            assert_eq!(*unsafe { lock.lock(STRANGER) }, u64::from(USES) + 601);
        }
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::sync::Arc;

    const HOME: u32 = 7;

    /// The loom cell reports any two that are inside at a time, and whoever misses what another wrote.
    fn add(shared: &(Bias, Cell<u32>), home: u32) {
        let as_owner = shared.0.enter(home);
        shared.1.set(shared.1.get() + 1);
        shared.0.leave(as_owner);
    }

    /// So many strangers that come so often each, and uses by the worker.
    fn model(strangers: u32, visits: u32, uses: u32) {
        loom::model(move || {
            let shared = Arc::new((Bias::new(), Cell::new(0)));
            let start = |_| {
                let shared = Arc::clone(&shared);
                loom::thread::spawn(move || (0..visits).for_each(|_| add(&shared, STRANGER)))
            };
            let threads: Vec<_> = (0..strangers).map(start).collect();
            // Biased from the second of these on, unless a stranger comes in between.
            (0..uses).for_each(|_| add(&shared, HOME));
            threads.into_iter().for_each(|stranger| stranger.join().unwrap());
            assert_eq!(shared.1.get(), uses + strangers * visits);
        });
    }

    #[test]
    fn a_stranger_takes_the_bias_away() {
        model(1, 1, 4);
    }

    #[test]
    fn two_strangers_come_at_once() {
        model(2, 1, 3);
    }

    #[test]
    fn strangers_never_own_it() {
        model(2, 3, 0);
    }
}
