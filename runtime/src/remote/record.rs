//! A coroutine as everybody may refer to it: what outlives its slot and its stack.
//!
//! Owns the identity, the mail word, the reference count and the memory of a record. The body that follows the record in
//! memory takes the closure in and keeps the result; here it is known by three functions only.
//!
//! ```text
//!   RecordRef --> | Record: count, slot, mail, home, table, ... | body: closure, later result |
//! ```
//!
//! A thin pointer to one allocation, since every connection pays for each word and every spawn for each call of malloc:
//! `Arc<dyn Body>` is two words, counts twice, and cannot be given memory that a worker has kept from the last spawn.
//!
//! Invariant 1: whoever holds a `RecordRef` holds one count; the memory lives until the last is dropped. The runner's count
//! goes to the holder of the handle together with the result ([`Leftover`]): then a join counts down without an exchange.
//! Invariant 2: the table is that of the body's type.
//! Invariant 3: `home` is set before the mail word says `HOMED`, so whoever is told to push knows where to.

#![allow(unsafe_code)]

use super::WorkerId;
use super::block::Block;
use crate::atomic::{AtomicU32, Ordering, fence};
use crate::mail::{Letters, Mail};
use std::alloc::Layout;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;

/// The slot of one that has none yet.
const UNSTARTED: u32 = u32::MAX;

/// How a coroutine begins.
#[derive(Debug)]
pub(crate) enum Start {
    /// Call the closure.
    Run,
    /// It was cancelled before its first instruction: drop the closure, on the coroutine's stack.
    Drop,
    /// There is no stack of the size it asked for: drop the closure, on another.
    Refuse(io::Error),
}

/// The closure of a coroutine, and later its result. Like the record, it is shared by threads.
pub(crate) trait Body: Send + Sync {
    /// Runs the closure on the coroutine's stack and keeps the result; never unwinds. Only the owner worker calls it, at most
    /// once. What is left to the caller may be nothing, not even the body: hence a pointer, since a reference would have to be
    /// good until this returns.
    ///
    /// # Safety
    ///
    /// The caller is that one, and has a count of the record.
    unsafe fn run(this: *const Self, record: NonNull<Record>, start: Start) -> Leftover;

    /// Instead of `run`, or of its end: the coroutine will never (again) run, and `join` is to say so. Drops the closure
    /// if it is still there, so it must not be called from a worker's loop. Only the owner calls it once it has ended, or
    /// whoever holds a record that no worker has. What is left is as for `run`.
    ///
    /// # Safety
    ///
    /// As for `run`.
    unsafe fn lose(this: *const Self) -> Leftover;
}

/// What the runner of a body still has of the record once the body has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Its count.
    Count,
    /// Nothing: whoever took the result owns the count as well, and may have freed the record.
    Nothing,
}

/// What can be done with a body of unknown type.
struct Table {
    /// [`Body::run`].
    run: unsafe fn(NonNull<Record>, Start) -> Leftover,
    /// [`Body::lose`].
    lose: unsafe fn(NonNull<Record>) -> Leftover,
    /// Drops record and body.
    end: unsafe fn(NonNull<Record>),
    /// What both take in memory.
    layout: Layout,
}

/// What everybody may know of a coroutine.
pub(crate) struct Record {
    /// How many `RecordRef`s there are.
    references: AtomicU32,
    /// The slot, once started, before `UNSTARTED`; owner only.
    slot: AtomicU32,
    /// Letters from other threads.
    mail: Mail,
    /// The owner worker's number, once it is certain; 0 before.
    home: AtomicU32,
    /// What names its coroutine-local storage on the owner worker; 0 if it has none. Owner only.
    locals: AtomicU32,
    /// Invariant 2.
    table: &'static Table,
    /// Unique in the process.
    pub(crate) id: u64,
    /// Where it was spawned.
    pub(crate) spawned_at: &'static Location<'static>,
    /// Given by the user; boxed twice to be one word.
    pub(crate) name: Option<Box<Box<str>>>,
    /// Bytes of stack asked for; 0 for the worker's default.
    pub(crate) stack_size: u32,
}

/// A record and its body in memory.
#[repr(C)]
struct Whole<B> {
    /// First, so that a pointer to it is one to the whole.
    record: Record,
    /// What the table is for.
    body: B,
}

/// One count of a record.
pub(crate) struct RecordRef(NonNull<Record>);

// SAFETY: a record is made of atomics and constants, and a body is `Send` and `Sync`.
unsafe impl Send for RecordRef {}
// SAFETY: as above.
unsafe impl Sync for RecordRef {}

/// Where a coroutine comes from and what it was asked to be.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Unique in the process.
    pub(crate) id: u64,
    /// Where `spawn` was called.
    pub(crate) spawned_at: &'static Location<'static>,
    /// Given by the user.
    pub(crate) name: Option<String>,
    /// Bytes of stack; 0 for the worker's default.
    pub(crate) stack_size: u32,
}

impl RecordRef {
    /// A new record, in memory that `kept` has if it fits.
    #[cfg(any(test, dormouse_fuzz))]
    pub(crate) fn new<B: Body + 'static>(
        origin: Origin,
        body: B,
        kept: impl FnOnce(Layout) -> Option<Block>,
    ) -> RecordRef {
        // SAFETY: such a body borrows nothing.
        unsafe { RecordRef::new_borrowing(origin, body, kept) }
    }

    /// A new record, in memory that `kept` has if it fits. Its body may borrow.
    ///
    /// # Safety
    ///
    /// When those borrows end, the body holds nothing any more that they are needed for.
    #[inline]
    pub(crate) unsafe fn new_borrowing<B: Body>(
        origin: Origin,
        body: B,
        kept: impl FnOnce(Layout) -> Option<Block>,
    ) -> RecordRef {
        let block = kept(layout::<B>()).unwrap_or_else(|| Block::allocate(layout::<B>()));
        let whole = block.into_memory().cast::<Whole<B>>();
        let table = const { &Table { run: run::<B>, lose: lose::<B>, end: end::<B>, layout: layout::<B>() } };
        let record = Record {
            references: AtomicU32::new(1),
            slot: AtomicU32::new(UNSTARTED),
            mail: Mail::new(),
            home: AtomicU32::new(0),
            locals: AtomicU32::new(0),
            table,
            id: origin.id,
            spawned_at: origin.spawned_at,
            name: origin.name.map(|name| Box::new(name.into_boxed_str())),
            stack_size: origin.stack_size,
        };
        // SAFETY: the block has this layout and is nobody else's.
        unsafe { whole.write(Whole { record, body }) };
        RecordRef(whole.cast())
    }

    /// Two references for the count of one, to a record that was made just now.
    #[inline]
    pub(crate) fn double(self) -> (RecordRef, RecordRef) {
        // ORDERING: Relaxed; nobody else has a reference yet, so this need not even be one operation.
        let count = self.references.load(Ordering::Relaxed);
        debug_assert_eq!(count, 1);
        // ORDERING: Relaxed; as above.
        self.references.store(count + 1, Ordering::Relaxed);
        let other = RecordRef(self.0);
        (self, other)
    }

    /// The body.
    ///
    /// # Safety
    ///
    /// The record was made with a body of this very type.
    #[inline]
    pub(crate) unsafe fn body<B: Body>(&self) -> &B {
        // SAFETY: the caller's word; alive by invariant 1.
        unsafe { body(self.0) }
    }

    /// One more reference, for whoever has only a pointer.
    ///
    /// # Safety
    ///
    /// The record is alive.
    pub(crate) unsafe fn another(record: NonNull<Record>) -> RecordRef {
        let borrowed = ManuallyDrop::new(RecordRef(record));
        RecordRef::clone(&borrowed)
    }

    /// [`Body::run`].
    ///
    /// # Safety
    ///
    /// `record` points to a record of which the caller has a count, until the call returns and perhaps beyond.
    pub(crate) unsafe fn run(record: NonNull<Record>, start: Start) -> Leftover {
        // SAFETY: alive, by the caller's word.
        let table = unsafe { record.as_ref() }.table;
        // SAFETY: invariant 2.
        unsafe { (table.run)(record, start) }
    }

    /// [`Body::lose`].
    pub(crate) fn lose(self) {
        let record = self.0;
        std::mem::forget(self);
        // SAFETY: alive by the count that `self` was.
        let table = unsafe { record.as_ref() }.table;
        // SAFETY: invariant 2.
        let left = unsafe { (table.lose)(record) };
        if left == Leftover::Count {
            drop(RecordRef(record));
        }
    }

    /// The record, for whoever knows that this reference outlives the use.
    pub(crate) fn as_ptr(&self) -> NonNull<Record> {
        self.0
    }

    /// Drops this reference; gives the memory if it was the last.
    #[inline]
    pub(crate) fn release(self) -> Option<Block> {
        let record = self.0;
        std::mem::forget(self);
        // SAFETY: the count that `self` was.
        unsafe { release(record, 1) }
    }

    /// As [`RecordRef::release`], together with the count that came with the result.
    ///
    /// # Safety
    ///
    /// The caller took the result, so that the runner was left nothing, and does this once.
    #[inline]
    pub(crate) unsafe fn release_with_runners(self) -> Option<Block> {
        let record = self.0;
        std::mem::forget(self);
        // SAFETY: the count that `self` was, and the runner's, by the caller's word.
        unsafe { release(record, 2) }
    }
}

/// Gives up so many counts.
///
/// # Safety
///
/// They are the caller's.
#[inline]
unsafe fn release(record: NonNull<Record>, counts: u32) -> Option<Block> {
    // SAFETY: alive by the counts.
    let references = unsafe { &record.as_ref().references };
    // ORDERING: Acquire; pairs with the Release decrements of all other holders. The only holder need not count down.
    if references.load(Ordering::Acquire) != counts {
        // ORDERING: Release, so that all use of the record by this holder comes before its end.
        let before = references.fetch_sub(counts, Ordering::Release);
        debug_assert!(before >= counts, "a count was given up twice");
        if before != counts {
            return None;
        }
        // ORDERING: Acquire; as the load above.
        fence(Ordering::Acquire);
    }
    // SAFETY: alive until `end`.
    let table = unsafe { record.as_ref() }.table;
    // SAFETY: they were the last; invariant 2.
    unsafe { (table.end)(record) };
    // SAFETY: `new_borrowing` put the whole into a block of this layout, and it is nobody's any more.
    Some(unsafe { Block::from_memory(record.cast(), table.layout) })
}

impl Clone for RecordRef {
    #[inline]
    fn clone(&self) -> RecordRef {
        // ORDERING: Relaxed; made from a live reference, which publishes nothing new.
        let before = self.references.fetch_add(1, Ordering::Relaxed);
        if before > u32::MAX / 2 {
            // A panic could be caught, and the count go on to zero.
            std::process::abort();
        }
        RecordRef(self.0)
    }
}

impl Drop for RecordRef {
    fn drop(&mut self) {
        // SAFETY: the count that `self` was.
        drop(unsafe { release(self.0, 1) });
    }
}

impl Deref for RecordRef {
    type Target = Record;

    #[inline]
    fn deref(&self) -> &Record {
        // SAFETY: invariant 1.
        unsafe { self.0.as_ref() }
    }
}

/// # Safety
///
/// The record is alive and has a body of this type.
unsafe fn body<'a, B: Body>(record: NonNull<Record>) -> &'a B {
    // SAFETY: the record is the first field of its whole (`repr(C)`).
    unsafe { &record.cast::<Whole<B>>().as_ref().body }
}

/// # Safety
///
/// As [`body`].
unsafe fn run<B: Body>(record: NonNull<Record>, start: Start) -> Leftover {
    // SAFETY: the record is the first field of its whole (`repr(C)`).
    let body = unsafe { &raw const (*record.cast::<Whole<B>>().as_ptr()).body };
    // SAFETY: the caller's word.
    unsafe { B::run(body, record, start) }
}

/// # Safety
///
/// As [`body`].
unsafe fn lose<B: Body>(record: NonNull<Record>) -> Leftover {
    // SAFETY: the record is the first field of its whole (`repr(C)`).
    let body = unsafe { &raw const (*record.cast::<Whole<B>>().as_ptr()).body };
    // SAFETY: the caller's word.
    unsafe { B::lose(body) }
}

/// # Safety
///
/// As [`body`], and nobody else refers to it.
unsafe fn end<B: Body>(record: NonNull<Record>) {
    // SAFETY: the caller's word.
    unsafe { record.cast::<Whole<B>>().drop_in_place() };
}

/// What a record with such a body takes: rounded up to what glibc's malloc gives anyway, so that few sizes are in use.
const fn layout<B>() -> Layout {
    let exact = Layout::new::<Whole<B>>();
    let rounded = (exact.size() + 7) / 16 * 16 + 8;
    match Layout::from_size_align(rounded, exact.align()) {
        Ok(layout) => layout,
        Err(_) => panic!("a closure larger than memory"),
    }
}

impl Record {
    /// Spawner only, before anybody else has the record: nobody but `home` will start it. Spares the start an exchange.
    #[inline]
    pub(crate) fn settle(&self, home: WorkerId) {
        // ORDERING: Relaxed; whatever hands the record to others publishes it.
        self.home.store(home.number(), Ordering::Relaxed);
        self.mail.settle();
    }

    /// Owner only, of one that it cannot start yet: nobody else will.
    pub(crate) fn claim(&self, home: WorkerId) {
        // ORDERING: Relaxed; as in `start`, which publishes it. Who reads it earlier wants to know whether its worker is given up.
        self.home.store(home.number(), Ordering::Relaxed);
    }

    /// Owner only, at the first run; gives what was posted before. See invariant 3.
    #[inline]
    pub(crate) fn start(&self, home: WorkerId, slot: u32) -> Letters {
        // ORDERING: Relaxed; published by `Mail::start` below, and read by others after the mail word said `HOMED`.
        self.home.store(home.number(), Ordering::Relaxed);
        // ORDERING: Relaxed; written and read by the owner alone.
        self.slot.store(slot, Ordering::Relaxed);
        self.mail.start()
    }

    /// Owner only: whether it has started; it may have ended since.
    pub(crate) fn has_started(&self) -> bool {
        self.slot() != UNSTARTED
    }

    /// Owner only: the slot, which may since belong to another coroutine if this one is done.
    pub(crate) fn slot(&self) -> u32 {
        // ORDERING: Relaxed; written and read by the owner alone.
        self.slot.load(Ordering::Relaxed)
    }

    /// Whether `worker`, which is the caller's, is the owner and has started it.
    pub(crate) fn started_on(&self, worker: WorkerId) -> bool {
        self.home() == Some(worker) && self.has_started()
    }

    /// Whether it is a coroutine of a process that this one descends from: it will never run here.
    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        super::is_inherited(self.id)
    }

    /// The owner, once it is certain.
    pub(crate) fn home(&self) -> Option<WorkerId> {
        // ORDERING: Relaxed; whoever was told to push saw `HOMED`, which came after it (see `start`). Whoever joins what a given-up
        // worker keeps reads what that stored before it got stuck, the whole grace of a shutdown ago.
        WorkerId::from_number(self.home.load(Ordering::Relaxed))
    }

    /// Owner only: what names its coroutine-local storage; 0 if it has none.
    #[inline]
    pub(crate) fn locals(&self) -> u32 {
        // ORDERING: Relaxed; written and read by the owner alone.
        self.locals.load(Ordering::Relaxed)
    }

    /// Owner only: as [`Record::locals`] will say.
    pub(crate) fn set_locals(&self, name: u32) {
        // ORDERING: Relaxed; as above.
        self.locals.store(name, Ordering::Relaxed);
    }

    /// The mail word, for posting. Whoever is told to push sends the record to its home.
    pub(crate) fn mail(&self) -> &Mail {
        &self.mail
    }

    /// Owner only: reads and empties the mail word.
    pub(crate) fn take_mail(&self) -> Letters {
        self.mail.take()
    }

    /// The name, if the user gave one.
    #[inline]
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|name| &***name)
    }

    /// The name, or a word for having none.
    pub(crate) fn display_name(&self) -> &str {
        self.name.as_ref().map_or("<unnamed>", |name| name)
    }
}

impl std::fmt::Debug for RecordRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coroutine")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("spawned_at", &format_args!("{}", self.spawned_at))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests;
