//! std's count of panics, made to follow the coroutine.
//!
//! std counts, per OS thread, the unwinds that are under way: a throw raises the count, a catch lowers it, each on the thread
//! where it happens, and `std::thread::panicking()` says whether it is above zero. So a coroutine that suspends in a Drop of its
//! unwind would leave its part of the count to all others of its worker: they would seem to panic, std's locks would be
//! poisoned by them, and nobody could tell into whom may be thrown. Its part is taken off while it is suspended.
//!
//! std has no call for that, but unwinds can be had. A *coin* is one that was thrown and is suspended in a Drop. Who *mints* it
//! raises the count of its thread, and who *spends* it, by letting it go on to its catch, lowers the count of its own. So a
//! coin minted on one thread and spent on another moves one from that count to this. The first coins of a worker are
//! minted by a thread that then ends, and its count with it. From then on each one that is spent, when a coroutine suspends, is
//! minted again when that coroutine goes on.
//!
//! Coins lie in *purses*: coroutines of this room's own that do nothing else, on stacks that no user's code sees. A purse throws
//! each coin in the Drop of the one before, which costs it about 100 bytes a coin (500 unoptimised): the unwinder's own frames are
//! gone once it calls a Drop.
//!
//! Owns coins and purses. Must never know of workers, nor of who unwinds and why.
//!
//! Invariant 1: a purse is the only coroutine that one thread starts and another resumes, one at a time. On its stack are
//! frames of this file, of std's catch and of nothing else, which hold nothing of a thread: the exception is on the heap. None of
//! them uses a thread-local both before and after a suspension: what throws, what suspends and what catches are functions of
//! their own, never inlined into each other, so that no address of one thread's is kept for another. Of std's, the count is
//! raised by who throws, and lowered by who catches.
//! Invariant 2: a coin is minted where one was spent before, or by a thread that ends with it. So there is room for it: a
//! purse has held as many.
//! Invariant 3: nobody spends more than is counted on its thread.
//! Invariant 4: where nothing unwinds, no coin is ever minted.

#![allow(unsafe_code)]

use crate::coroutine::{CAN_UNWIND, Coroutine, Suspender, stack_mark};
use crate::fork::PerProcess;
use crate::lock::Lock;
use crate::stack::{self, Stack};
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Coins that a worker borrows at first; later as many again as it has.
const FEWEST: usize = 4;

/// Coins in a purse, at most.
const MOST: usize = 256;

/// Coins that are taken off at a time, at most. More unwinds than that, each in a Drop of the one before, nobody has: then the
/// count is not what it seems, or `panicking()` not its.
const LIMIT: u32 = 1 << 16;

/// Milliseconds between the tries to start a thread: what others leave free for a moment is enough.
const PAUSES: [u64; 4] = [1, 2, 3, 4];

/// What a purse is to do next.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// To mint one more coin.
    Mint,
    /// To spend the last one minted.
    Spend,
}

/// What a purse shares with whoever holds it.
struct Counter {
    /// What is to be done at the next resume.
    order: Cell<Order>,
    /// The way back to whoever resumes it.
    way_back: Cell<Suspender>,
    /// The stack pointer where it suspended last, about.
    stack_mark: Cell<usize>,
}

/// Some coins. Dropped with coins in it, these are lost for good, and its stack with them.
struct Purse {
    /// Where its coins are thrown.
    coroutine: Coroutine<()>,
    /// How it is told what to do. It does not move.
    counter: Box<Counter>,
    /// How many are in it.
    coins: usize,
    /// How many have been, at most: what it has room for.
    most: usize,
}

// SAFETY: invariant 1.
unsafe impl Send for Purse {}

impl Purse {
    /// One with up to `wanted` coins, minted by the calling thread, which is to end.
    fn filled(wanted: usize) -> io::Result<Purse> {
        let stack = Stack::lone(stack::DEFAULT_SIZE)?;
        let half = stack.limit() + stack.size() / 2;
        let mut purse = Purse::empty(stack);
        // The rest of the stack is for the unwinder and for what allocates exceptions.
        while purse.coins < wanted.min(MOST) && purse.counter.stack_mark.get() > half {
            purse.most += 1;
            purse.mint();
        }
        Ok(purse)
    }

    fn empty(stack: Stack) -> Purse {
        let counter = Box::new(Counter {
            order: Cell::new(Order::Mint),
            way_back: Cell::new(Suspender::NONE),
            stack_mark: Cell::new(usize::MAX),
        });
        let place: *const Counter = &raw const *counter;
        // SAFETY: the purse owns the counter and the coroutine, which runs only while the purse is borrowed.
        let coroutine = Coroutine::new(stack, move || serve(unsafe { &*place }));
        let mut purse = Purse { coroutine, counter, coins: 0, most: 0 };
        purse.resume();
        purse
    }

    /// Raises the count of this thread.
    fn mint(&mut self) {
        debug_assert!(self.coins < self.most, "invariant 2");
        self.coins += 1;
        self.counter.order.set(Order::Mint);
        self.resume();
    }

    /// Lowers the count of this thread.
    fn spend(&mut self) {
        debug_assert!(std::thread::panicking(), "invariant 3");
        self.coins -= 1;
        self.counter.order.set(Order::Spend);
        self.resume();
    }

    fn resume(&mut self) {
        // SAFETY: the counter lives as long as the purse.
        let ended = unsafe { self.coroutine.resume(&raw const self.counter.way_back) };
        debug_assert!(ended.is_none(), "a purse serves for ever");
    }
}

impl std::fmt::Debug for Purse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Purse").field("coins", &self.coins).finish_non_exhaustive()
    }
}

/// What a purse does, in the Drop of its last coin: until that is to be spent.
#[inline(never)]
fn serve(counter: &Counter) {
    loop {
        suspend(counter);
        match counter.order.get() {
            Order::Mint => hold(counter),
            Order::Spend => return,
        }
    }
}

#[inline(never)]
fn suspend(counter: &Counter) {
    counter.stack_mark.set(stack_mark());
    // SAFETY: called on the stack of the purse, whose way back this is.
    unsafe { counter.way_back.get().suspend() };
}

/// Holds one coin until it is spent.
#[inline(never)]
fn hold(counter: &Counter) {
    // What was thrown has no size, so nothing is freed here.
    let _ = catch_unwind(AssertUnwindSafe(|| throw(counter)));
}

#[inline(never)]
fn throw(counter: &Counter) -> ! {
    let _coin = Coin(counter);
    resume_unwind(Box::new(Thrown))
}

/// What is thrown.
struct Thrown;

/// The frame in whose Drop a coin is suspended.
struct Coin<'a>(&'a Counter);

impl Drop for Coin<'_> {
    #[inline(never)]
    fn drop(&mut self) {
        serve(self.0);
    }
}

/// Purses of workers that have ended, none of them empty: for those that come.
static RESERVE: PerProcess<Lock<Vec<Purse>>> = PerProcess::new();

/// One with coins in it. Fails if there is none in reserve, and neither a thread nor memory for another is to be had, at once or after
/// these pauses, in which the thread waits.
#[cold]
fn borrow(wanted: usize, pauses: &[u64]) -> io::Result<Purse> {
    persist(pauses, || borrow_now(wanted))
}

/// Tries until it succeeds, with these pauses between the tries.
fn persist<T>(pauses: &[u64], mut tried: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut result = tried();
    for pause in pauses {
        if result.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(*pause));
        result = tried();
    }
    result
}

/// To start a thread takes up to 4 KiB of the caller's stack; the unwinder has just had more.
fn borrow_now(wanted: usize) -> io::Result<Purse> {
    if let Some(purse) = RESERVE.present().and_then(|reserve| reserve.lock().pop()) {
        return Ok(purse);
    }
    let lender = std::thread::Builder::new().name("dormouse-count".into());
    let lent = lender.spawn(move || Purse::filled(wanted))?.join();
    lent.unwrap_or_else(|_| Err(io::Error::other("the thread that was to lend a count of panics panicked")))
}

/// Puts purses into the reserve. Room for them is made outside of its lock; who looks meanwhile may find none.
fn give(reserve: &Lock<Vec<Purse>>, mut purses: Vec<Purse>) {
    while !purses.is_empty() {
        let mut found = std::mem::take(&mut *reserve.lock());
        purses.append(&mut found);
        // What others have put there since is left to be put back.
        std::mem::swap(&mut *reserve.lock(), &mut purses);
    }
}

/// One worker's purses.
#[derive(Debug, Default)]
pub(crate) struct Purses {
    /// Those with coins in them; only the last is not full.
    stocked: Vec<Purse>,
    /// Those without.
    empty: Vec<Purse>,
    /// Room for coins in all of them.
    room: usize,
    /// Whether the last try to borrow another was in vain: then the next waits for nothing.
    refused: bool,
}

impl Purses {
    /// Takes off what this thread counts, and says how much that is; std's `panicking()` is `false` afterwards.
    ///
    /// Fails, with nothing changed, if neither a thread nor memory for coins is to be had. Before it does so for the first time, the
    /// thread has waited for 10 ms.
    pub(crate) fn take_off(&mut self) -> io::Result<u32> {
        self.take_off_at_most(LIMIT)
    }

    fn take_off_at_most(&mut self, limit: u32) -> io::Result<u32> {
        let mut taken = 0;
        while CAN_UNWIND && std::thread::panicking() {
            let spent =
                if taken < limit { self.spend() } else { Err(io::Error::other("a count of panics has no end")) };
            if let Err(error) = spent {
                self.put_back(taken);
                return Err(error);
            }
            taken += 1;
        }
        Ok(taken)
    }

    /// Puts back what was taken off.
    pub(crate) fn put_back(&mut self, taken: u32) {
        (0..taken).for_each(|_| self.mint());
    }

    fn spend(&mut self) -> io::Result<()> {
        if self.stocked.is_empty() {
            let pauses = if self.refused { &[] } else { &PAUSES[..] };
            let borrowed = borrow(self.room.max(FEWEST), pauses);
            self.refused = borrowed.is_err();
            let purse = borrowed?;
            self.room += purse.coins;
            self.stocked.push(purse);
        }
        let last = self.stocked.last_mut().expect("there is one, if only since just now");
        last.spend();
        if last.coins == 0 {
            self.empty.extend(self.stocked.pop());
        }
        Ok(())
    }

    fn mint(&mut self) {
        if self.stocked.last().is_none_or(|last| last.coins == last.most) {
            // Invariant 2.
            self.stocked.push(self.empty.pop().expect("a coin is put back where one was spent"));
        }
        self.stocked.last_mut().expect("there is one, if only since just now").mint();
    }
}

/// What is left goes to others. What those who were leaked have spent never comes back, nor do the purses that only they could fill.
impl Drop for Purses {
    fn drop(&mut self) {
        if self.stocked.is_empty() {
            return;
        }
        let left = self.stocked.drain(..).map(|purse| Purse { most: purse.coins, ..purse });
        give(RESERVE.get(|| Lock::new(Vec::new())), left.collect());
    }
}

/// The count of a plain thread taken off until the value is dropped: for what does not unwind although its caller does.
#[derive(Debug)]
pub(crate) struct SetAside {
    /// Where it was taken off by.
    purses: Purses,
    /// How much it is.
    taken: u32,
}

impl SetAside {
    /// Nothing, if the thread does not unwind. Fails as [`Purses::take_off`].
    pub(crate) fn begin() -> io::Result<SetAside> {
        let mut purses = Purses::default();
        let taken = purses.take_off()?;
        Ok(SetAside { purses, taken })
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        self.purses.put_back(self.taken);
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use std::thread::panicking;

    /// Calls `f` in a Drop of `depth` unwinds, each in a Drop of the one before.
    fn unwinding(depth: u32, f: &mut dyn FnMut()) {
        struct InDrop<'a>(u32, &'a mut dyn FnMut());
        impl Drop for InDrop<'_> {
            fn drop(&mut self) {
                unwinding(self.0, self.1);
            }
        }
        if depth == 0 {
            return f();
        }
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _in_drop = InDrop(depth - 1, f);
            resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err());
    }

    #[test]
    fn what_was_taken_off_is_put_back() {
        for depth in [0, 1, 2, 7] {
            let mut purses = Purses::default();
            unwinding(depth, &mut || {
                assert_eq!(panicking(), depth > 0);
                for _ in 0..3 {
                    let taken = purses.take_off().unwrap();
                    assert_eq!((taken, panicking()), (depth, false));
                    assert_eq!(purses.take_off().unwrap(), 0);
                    purses.put_back(taken);
                    assert_eq!(panicking(), depth > 0);
                }
            });
            // Had one too many or too few been put back, the catches would not have come out even.
            assert!(!panicking());
        }
    }

    /// What it cannot take off whole it leaves whole.
    #[test]
    fn a_count_without_an_end_is_left_as_it_is() {
        let mut purses = Purses::default();
        unwinding(7, &mut || {
            assert!(purses.take_off_at_most(6).is_err());
            assert!(panicking());
            assert_eq!((purses.take_off_at_most(7).unwrap(), panicking()), (7, false));
            purses.put_back(7);
        });
        assert!(!panicking());
    }

    #[test]
    fn a_thread_is_asked_for_again() {
        for (failures, pauses, succeeds) in
            [(0, &[][..], true), (1, &[], false), (4, &PAUSES, true), (5, &PAUSES, false)]
        {
            let mut tries = 0;
            let result = persist(pauses, || {
                tries += 1;
                if tries > failures { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EAGAIN)) }
            });
            assert_eq!((result.is_ok(), tries), (succeeds, if succeeds { failures + 1 } else { 1 + pauses.len() }));
        }
    }

    /// More at a time than one purse holds: borrowed once, and used again.
    #[test]
    fn coins_circulate() {
        let mut purses = Purses::default();
        let mut grown = Vec::new();
        for _ in 0..3 {
            unwinding(1000, &mut || {
                let taken = purses.take_off().unwrap();
                assert_eq!((taken, panicking()), (1000, false));
                purses.put_back(taken);
            });
            assert!(!panicking());
            grown.push((purses.room, purses.stocked.len(), purses.empty.len()));
        }
        let (room, stocked, empty) = grown[0];
        assert!((1000..3000).contains(&room) && stocked < 30 && empty == 0, "{grown:?}");
        assert!(grown.iter().all(|later| *later == grown[0]), "{grown:?}");
    }

    #[test]
    fn a_purse_goes_from_thread_to_thread() {
        let mut purse = std::thread::spawn(|| Purse::filled(MOST).unwrap()).join().unwrap();
        let coins = purse.coins;
        assert!(coins > MOST / 4, "{coins}");
        for depth in 1..20 {
            let used = std::thread::spawn(move || {
                unwinding(depth, &mut || {
                    (0..depth).for_each(|_| purse.spend());
                    assert!(!panicking());
                    (0..depth).for_each(|_| purse.mint());
                    assert!(panicking());
                });
                assert!(!panicking());
                purse
            });
            purse = used.join().unwrap();
        }
        assert_eq!(purse.coins, coins);
    }

    /// The only test here that looks into the reserve; others take from it meanwhile, and put back.
    #[test]
    fn those_who_come_have_what_others_leave() {
        let mut first = Purses::default();
        unwinding(1, &mut || {
            first.take_off().unwrap();
            first.put_back(1);
        });
        let place = std::ptr::from_ref(&*first.stocked[0].counter).addr();
        drop(first);
        let mut found = Vec::new();
        eventually(|| {
            found.extend(RESERVE.present().and_then(|reserve| reserve.lock().pop()));
            found.iter().any(|purse: &Purse| std::ptr::from_ref(&*purse.counter).addr() == place)
        });
        RESERVE.present().unwrap().lock().extend(found);
    }

    fn eventually(mut condition: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !condition() {
            assert!(start.elapsed().as_secs() < 10, "the purse is gone");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_thread_sets_its_count_aside() {
        unwinding(2, &mut || {
            let aside = SetAside::begin().unwrap();
            assert!(!panicking());
            drop(aside);
            assert!(panicking());
        });
        assert!(!panicking());
        drop(SetAside::begin().unwrap());
        assert!(!panicking());
    }
}
