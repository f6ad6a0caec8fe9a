//! What other threads may touch of a worker and of a coroutine.
//!
//! Owns [`Remote`], a worker's public half (inbox, injector, interruptible poller), and [`Record`], what outlives a
//! coroutine's slot and stack: its name, its place of spawn, its mail word, and the body that takes the closure in
//! and keeps the result. Knows nothing of slots or stacks: a record only remembers where its coroutine lives.
//!
//! Invariant 1: `Record::home` is set before the mail word says `STARTED`, so whoever is told to push finds it.
//! Invariant 2: only the owner worker calls `Body::run`, at most once, on the coroutine's own stack.

use crate::atomic::{AtomicU32, Ordering};
use crate::inbox::Inbox;
use crate::lock::Lock;
use crate::mail::{Mail, Ticket};
use crate::once_arc::OnceArc;
use crate::readiness::Interest;
use crate::sys::epoll::{self, Epoll};
use crate::sys::eventfd::EventFd;
use crossbeam_deque::{Injector, Steal};
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;
use std::sync::{Arc, LazyLock, Weak};

/// The token of a worker's own eventfd.
pub(crate) const NOTIFY_TOKEN: u64 = u64::MAX;

/// A reference to any coroutine.
pub(crate) type RecordRef = Arc<Record<dyn Body>>;

/// Every worker by name, for those who keep only that.
static REGISTRY: LazyLock<Lock<BTreeMap<WorkerId, Weak<Remote>>>> = LazyLock::new(|| Lock::new(BTreeMap::new()));

/// What one thread tells a worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// Read this coroutine's mail word.
    Mail(RecordRef),
    /// The socket is closed and no longer in the poller: free what is kept for it.
    SourceClosed(SourceId),
    /// The socket is now used on another worker: drop it here if nobody waits.
    SourceMoved(SourceId),
    /// Another worker took one connection and saw more: let a waiter try.
    PassTurn(SourceId, Interest),
}

/// Names a worker; unique in the process, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkerId(NonZeroU32);

impl WorkerId {
    fn fresh() -> io::Result<WorkerId> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let next = |number: u32| number.checked_add(1);
        // ORDERING: Relaxed; only uniqueness matters.
        let given = NEXT.fetch_update(std::sync::atomic::Ordering::Relaxed, std::sync::atomic::Ordering::Relaxed, next);
        let number = given.map_err(|_| io::Error::other("this process has started four billion workers"))?;
        Ok(WorkerId(NonZeroU32::new(number).expect("numbers start at 1")))
    }

    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }

    pub(crate) fn from_number(number: u32) -> Option<WorkerId> {
        NonZeroU32::new(number).map(WorkerId)
    }
}

/// One registration in one worker's poller; a stale one is recognised by its generation. One word of 32 bits, so that a
/// connection's registration fits one of 64 with the worker's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(u32);

impl SourceId {
    const INDEX_BITS: u32 = 22;

    /// The largest index: four million sources a worker.
    pub(crate) const LAST_INDEX: usize = (1 << SourceId::INDEX_BITS) - 1;

    /// How many generations an index has before they come round. An event or a message is read at the latest in the
    /// second turn after it was made, and in a turn an index is given away 64 times at the most.
    pub(crate) const GENERATIONS: u32 = 1 << (32 - SourceId::INDEX_BITS);

    pub(crate) fn new(index: usize, generation: u32) -> SourceId {
        debug_assert!(index <= SourceId::LAST_INDEX);
        SourceId(generation << SourceId::INDEX_BITS | index as u32)
    }

    /// Index in the poller's slab.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize & SourceId::LAST_INDEX
    }

    pub(crate) fn to_bits(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) fn from_bits(bits: u32) -> SourceId {
        SourceId(bits)
    }
}

/// A worker's public half.
pub(crate) struct Remote {
    /// Its name.
    pub(crate) id: WorkerId,
    /// Messages, and the sleep handshake.
    inbox: Inbox<Message>,
    /// Unstarted coroutines given by other threads.
    injector: Injector<RecordRef>,
    /// Coroutines live or waiting to start here, as last published by the owner: what placement compares.
    load: AtomicU32,
    /// The poller's descriptor; any thread may remove a registration from it.
    pub(crate) epoll: Epoll,
    /// Interrupts the poller.
    eventfd: EventFd,
}

impl Remote {
    /// Opens the descriptors of one worker; fails with EMFILE, ENFILE or ENOMEM.
    pub(crate) fn open() -> io::Result<Arc<Remote>> {
        let id = WorkerId::fresh()?;
        let epoll = Epoll::new()?;
        let eventfd = EventFd::new()?;
        epoll.add(eventfd.as_fd().as_raw_fd(), epoll::IN | epoll::ET, NOTIFY_TOKEN)?;
        let remote = Arc::new(Remote {
            id,
            inbox: Inbox::new(),
            injector: Injector::new(),
            load: AtomicU32::new(0),
            epoll,
            eventfd,
        });
        REGISTRY.lock().insert(remote.id, Arc::downgrade(&remote));
        Ok(remote)
    }

    /// The worker of this name, if anything still refers to it.
    pub(crate) fn find(id: WorkerId) -> Option<Arc<Remote>> {
        REGISTRY.lock().get(&id).and_then(Weak::upgrade)
    }

    /// Sends a message and, if the worker sleeps, interrupts it.
    pub(crate) fn send(&self, message: Message) {
        if self.inbox.push(message) {
            self.eventfd.notify();
        }
    }

    /// Gives the worker a coroutine to start; if the worker has ended, the coroutine is refused.
    pub(crate) fn inject(&self, record: RecordRef) {
        // ORDERING: Relaxed; a guess for placement, corrected by the owner. It spreads a burst that the owner has not seen.
        self.load.fetch_add(1, Ordering::Relaxed);
        self.injector.push(record);
        if self.inbox.announce() {
            self.eventfd.notify();
        }
        if self.inbox.is_closed() {
            self.refuse_injected();
        }
    }

    /// Owner only, last: what comes from now on is dropped or refused.
    pub(crate) fn close(&self) {
        self.inbox.close();
        self.refuse_injected();
    }

    fn refuse_injected(&self) {
        while let Some(record) = self.pop_injected() {
            record.body.lose();
        }
    }

    /// The coroutine that was injected first.
    pub(crate) fn pop_injected(&self) -> Option<RecordRef> {
        loop {
            match self.injector.steal() {
                Steal::Success(record) => return Some(record),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    /// Whether something was injected that has not been popped.
    pub(crate) fn has_injected(&self) -> bool {
        !self.injector.is_empty()
    }

    /// Owner only: tells placement how many coroutines live or wait here, the injected ones not counted in `own`.
    pub(crate) fn publish_load(&self, own: usize) {
        let load = own + self.injector.len();
        // ORDERING: Relaxed; a guess is enough to place by.
        self.load.store(load as u32, Ordering::Relaxed);
    }

    /// Coroutines that live or wait here, about.
    pub(crate) fn load(&self) -> u32 {
        // ORDERING: Relaxed; as above.
        self.load.load(Ordering::Relaxed)
    }

    /// Makes the worker look around, if it sleeps.
    pub(crate) fn notify(&self) {
        if self.inbox.announce() {
            self.eventfd.notify();
        }
    }

    /// Owner only: moves the messages into `into`.
    pub(crate) fn take_messages(&self, into: &mut Vec<Message>) {
        self.inbox.take(into);
    }

    /// Owner only: whether messages wait.
    #[inline]
    pub(crate) fn has_messages(&self) -> bool {
        self.inbox.is_pending()
    }

    /// Owner only: as [`Inbox::prepare_sleep`], with `elsewhere` beside the injector.
    pub(crate) fn prepare_sleep(&self, elsewhere: impl FnOnce() -> bool) -> bool {
        self.inbox.prepare_sleep(|| !self.injector.is_empty() || elsewhere())
    }

    /// Owner only: it runs again.
    pub(crate) fn awake(&self) {
        self.inbox.awake();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        REGISTRY.lock().remove(&self.id);
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("id", &self.id).finish_non_exhaustive()
    }
}

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

/// The closure of a coroutine, and later its result.
pub(crate) trait Body: Send + Sync {
    /// Runs the closure on the coroutine's stack and keeps the result; never unwinds.
    fn run(&self, start: Start);

    /// Instead of `run`, or of its end: the coroutine will never (again) run, and `join` is to say so. Drops the closure
    /// if it is still there, so it must not be called from a worker's loop. Only the owner calls it once it has ended, or
    /// whoever holds a record that no worker has.
    fn lose(&self);
}

/// What outlives a coroutine's slot and stack.
pub(crate) struct Record<B: ?Sized> {
    /// Letters from other threads.
    mail: Mail,
    /// The owner worker, once started.
    home: OnceArc<Remote>,
    /// The slot, once started; owner only.
    slot: AtomicU32,
    /// Bytes of stack asked for; 0 for the worker's default.
    pub(crate) stack_size: u32,
    /// Unique in the process.
    pub(crate) id: u64,
    /// Where it was spawned.
    pub(crate) spawned_at: &'static Location<'static>,
    /// Given by the user; boxed twice to be one word.
    pub(crate) name: Option<Box<Box<str>>>,
    /// The closure, and later the result.
    pub(crate) body: B,
}

impl<B> Record<B> {
    pub(crate) fn new(origin: Origin, body: B) -> Record<B> {
        Record {
            mail: Mail::new(),
            home: OnceArc::new(),
            slot: AtomicU32::new(u32::MAX),
            stack_size: origin.stack_size,
            id: origin.id,
            spawned_at: origin.spawned_at,
            name: origin.name.map(|name| Box::new(name.into_boxed_str())),
            body,
        }
    }
}

impl<B: ?Sized> Record<B> {
    /// Owner only, at the first run; gives what was posted before. See invariant 1.
    pub(crate) fn settle(&self, home: &Arc<Remote>, slot: u32) -> crate::mail::Letters {
        self.home.set(Arc::clone(home));
        self.set_slot(slot);
        self.mail.start()
    }

    /// Owner only: where the coroutine lives in the slot table.
    pub(crate) fn set_slot(&self, slot: u32) {
        // ORDERING: Relaxed; written and read by the owner alone.
        self.slot.store(slot, Ordering::Relaxed);
    }

    /// Owner only: the slot, which may since belong to another coroutine if this one is done.
    pub(crate) fn slot(&self) -> u32 {
        // ORDERING: Relaxed; written and read by the owner alone.
        self.slot.load(Ordering::Relaxed)
    }

    /// Whether `worker` is the owner.
    pub(crate) fn lives_on(&self, worker: &Remote) -> bool {
        self.home.get().is_some_and(|home| home.id == worker.id)
    }

    /// Owner only: reads and empties the mail word.
    pub(crate) fn take_mail(&self) -> crate::mail::Letters {
        self.mail.take()
    }

    /// The name, or a word for having none.
    pub(crate) fn display_name(&self) -> &str {
        self.name.as_ref().map_or("<unnamed>", |name| name)
    }
}

/// Leaves an unpark token from any thread.
pub(crate) fn post_unpark(record: &RecordRef) {
    if record.mail.post_unpark() {
        push(record);
    }
}

/// Asks for cancellation from any thread.
pub(crate) fn post_cancel(record: &RecordRef) {
    if record.mail.post_cancel() {
        push(record);
    }
}

/// Ends one wait from any thread.
pub(crate) fn post_wake(record: &RecordRef, ticket: Ticket) {
    if record.mail.post_wake(ticket) {
        push(record);
    }
}

fn push(record: &RecordRef) {
    // Invariant 1: told to push, so it is started, so it has a home.
    if let Some(home) = record.home.get() {
        home.send(Message::Mail(Arc::clone(record)));
    }
}

impl<B: ?Sized> std::fmt::Debug for Record<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coroutine")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("spawned_at", &format_args!("{}", self.spawned_at))
            .finish_non_exhaustive()
    }
}

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

impl Origin {
    /// A fresh identity.
    pub(crate) fn new(name: Option<String>, stack_size: u32, spawned_at: &'static Location<'static>) -> Origin {
        Origin { id: fresh_id(), spawned_at, name, stack_size }
    }
}

/// An identity for a coroutine or a plain thread, never given twice.
pub(crate) fn fresh_id() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    // ORDERING: Relaxed; only uniqueness matters.
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
