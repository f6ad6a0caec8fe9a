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
use std::any::Any;
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
    /// Ids have 22 bits, so that a registration fits one word.
    pub(crate) const LAST: u32 = (1 << 22) - 1;

    /// # Panics
    ///
    /// Panics after four million workers.
    fn fresh() -> WorkerId {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        // ORDERING: Relaxed; only uniqueness matters.
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(number <= WorkerId::LAST, "a process may start four million workers in its life");
        WorkerId::from_number(number).expect("numbers start at 1")
    }

    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }

    pub(crate) fn from_number(number: u32) -> Option<WorkerId> {
        NonZeroU32::new(number).map(WorkerId)
    }
}

/// One registration in one worker's poller; a stale one is recognised by its generation. 42 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId {
    /// Index in the poller's slab.
    index: u32,
    /// Which of the sources that lived at this index. It comes round after a million, long after the last event in
    /// flight for the first one.
    generation: u32,
}

impl SourceId {
    /// The largest index: four million sources a worker.
    pub(crate) const LAST_INDEX: u32 = (1 << 22) - 1;

    const GENERATIONS: u32 = 1 << 20;

    pub(crate) fn new(index: u32, generation: u32) -> SourceId {
        debug_assert!(index <= SourceId::LAST_INDEX);
        SourceId { index, generation: generation % SourceId::GENERATIONS }
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }

    pub(crate) fn generation(self) -> u32 {
        self.generation
    }

    /// In the low 42 bits.
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.generation) << 22 | u64::from(self.index)
    }

    /// What [`SourceId::pack`] made, whatever is above it.
    #[inline]
    pub(crate) fn unpack(word: u64) -> SourceId {
        let index = word as u32 & SourceId::LAST_INDEX;
        SourceId { index, generation: (word >> 22) as u32 % SourceId::GENERATIONS }
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
    pub(crate) load: AtomicU32,
    /// The poller's descriptor; any thread may remove a registration from it.
    pub(crate) epoll: Epoll,
    /// Interrupts the poller.
    eventfd: EventFd,
}

impl Remote {
    /// Opens the descriptors of one worker; fails with EMFILE, ENFILE or ENOMEM.
    pub(crate) fn open() -> io::Result<Arc<Remote>> {
        let epoll = Epoll::new()?;
        let eventfd = EventFd::new()?;
        epoll.add(eventfd.as_fd().as_raw_fd(), epoll::IN | epoll::ET, NOTIFY_TOKEN)?;
        let remote = Arc::new(Remote {
            id: WorkerId::fresh(),
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
            record.body.refuse(crate::cancel::payload());
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

    /// Whether nothing was injected that has not been popped.
    pub(crate) fn has_injected(&self) -> bool {
        !self.injector.is_empty()
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Call the closure.
    Run,
    /// It was cancelled before its first instruction: drop the closure, on the coroutine's stack.
    Drop,
}

/// The closure of a coroutine, and later its result.
pub(crate) trait Body: Send + Sync {
    /// Runs the closure on the coroutine's stack and keeps the result; never unwinds.
    fn run(&self, start: Start);

    /// Instead of `run`, or of its end: the coroutine will never (again) run, and `join` is to say so. Drops the closure
    /// if it is still there. Only the owner calls it, or whoever took the record from a queue that has no owner any more.
    fn refuse(&self, payload: Box<dyn Any + Send>);
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
