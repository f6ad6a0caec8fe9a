//! What other threads may touch of a worker and of a coroutine.
//!
//! Owns [`Remote`], a worker's public half (inbox, injector, interruptible poller); `record.rs` owns what outlives a
//! coroutine's slot and stack. Knows nothing of slots or stacks: a record only remembers where its coroutine lives.

mod block;
mod record;

pub(crate) use block::{Block, Blocks};
pub(crate) use record::{Body, Leftover, Origin, Record, RecordRef, Start};

use crate::atomic::{AtomicU32, Ordering};
use crate::counters::Counters;
use crate::inbox::Inbox;
use crate::lock::Lock;
use crate::mail::Ticket;
use crate::readiness::Interest;
use crate::roster::Shown;
use crate::sys::epoll::{self, Epoll};
use crate::sys::eventfd::EventFd;
use crossbeam_deque::{Injector, Steal};
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, LazyLock, Weak};

/// The token of a worker's own eventfd.
pub(crate) const NOTIFY_TOKEN: u64 = u64::MAX;

/// Every worker by name, for those who keep only that.
static REGISTRY: LazyLock<Lock<BTreeMap<WorkerId, Weak<Remote>>>> = LazyLock::new(|| Lock::new(BTreeMap::new()));

/// What one thread tells a worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// Read this coroutine's mail word.
    Mail(RecordRef),
    /// The internal wait with this ticket, of the coroutine in this slot, is over.
    Wake(u32, Ticket),
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

/// A slot of a worker. One word, written and read as a whole: what is read in larger pieces than it was written in just before
/// waits for the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotName(u64);

impl SlotName {
    #[inline]
    pub(crate) fn new(worker: WorkerId, index: u32) -> SlotName {
        SlotName(u64::from(worker.number()) << 32 | u64::from(index))
    }

    /// Whether it is one of this worker's.
    #[inline]
    pub(crate) fn is_on(self, worker: WorkerId) -> bool {
        (self.0 >> 32) as u32 == worker.number()
    }

    /// Whose it is.
    pub(crate) fn worker(self) -> Option<WorkerId> {
        WorkerId::from_number((self.0 >> 32) as u32)
    }

    /// Which of them.
    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0 as u32
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
    /// What the owner counts.
    pub(crate) counters: Counters,
    /// What runs there now, for other threads to name.
    pub(crate) shown: Shown,
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
            counters: Counters::new(),
            shown: Shown::new(),
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

    /// By the owner, last, or by whoever has given it up: what comes from now on is dropped or refused.
    pub(crate) fn close(&self) {
        self.inbox.close();
        self.refuse_injected();
    }

    fn refuse_injected(&self) {
        while let Some(record) = self.pop_injected() {
            record.lose();
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

    /// How many were injected that have not been popped.
    pub(crate) fn injected(&self) -> usize {
        self.injector.len()
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

/// An identity for a coroutine or a plain thread, never given twice.
pub(crate) fn fresh_id() -> u64 {
    fresh_ids(1).start
}

/// As many of them.
pub(crate) fn fresh_ids(count: u64) -> Range<u64> {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    // ORDERING: Relaxed; only uniqueness matters.
    let start = NEXT.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
    start..start + count
}
