//! What other threads may touch of a worker and of a coroutine.
//!
//! Owns [`Remote`], a worker's public half (inbox, unstarted, interruptible poller); `record.rs` owns what outlives a
//! coroutine's slot and stack. Knows nothing of slots or stacks: a record only remembers where its coroutine lives.

mod block;
mod record;

pub(crate) use block::{Block, Blocks};
pub(crate) use record::{Body, Leftover, Origin, Record, RecordRef, Start};

use crate::atomic::{AtomicBool, Ordering, fence};
use crate::counters::Counters;
use crate::fork::PerProcess;
use crate::inbox::{Inbox, Pushed};
use crate::lock::Lock;
use crate::mail::Ticket;
use crate::readiness::Interest;
use crate::roster::Shown;
use crate::spawn_queue::SharedQueue;
use crate::sys::epoll::{self, Epoll};
use crate::sys::eventfd::EventFd;
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Weak};

/// The token of a worker's own eventfd.
pub(crate) const NOTIFY_TOKEN: u64 = u64::MAX;

/// Workers by name.
type Registry = Lock<BTreeMap<WorkerId, Weak<Remote>>>;

/// Every worker of this process, for those who keep only its name.
static REGISTRY: PerProcess<Registry> = PerProcess::new();

/// The name that the next worker gets.
static NEXT_WORKER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);

/// The least name of a worker of this process; those below are in processes that it descends from.
static FIRST_WORKER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);

/// Whether any worker has been given up: spares those who join the question which.
static ANY_GIVEN_UP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// The identity that the next coroutine gets.
static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

/// The least identity of a coroutine of this process; as for workers.
static FIRST_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

fn registry() -> &'static Registry {
    REGISTRY.get(|| Lock::new(BTreeMap::new()))
}

/// What there is of workers and coroutines stayed with the parent. For the only thread of a child, first thing.
pub(crate) fn disown() {
    // ORDERING: Relaxed; there is no other thread.
    let first_worker = NEXT_WORKER.load(Ordering::Relaxed);
    // ORDERING: as above; read by `is_inherited`.
    FIRST_WORKER.store(first_worker, Ordering::Relaxed);
    // ORDERING: as above.
    let first_id = NEXT_ID.load(Ordering::Relaxed);
    // ORDERING: as above; read by `is_inherited`.
    FIRST_ID.store(first_id, Ordering::Relaxed);
}

/// Whether a coroutine of this identity stayed with a process that this one descends from.
#[inline]
pub(crate) fn is_inherited(id: u64) -> bool {
    // ORDERING: Relaxed; it changes while a process has one thread only.
    id < FIRST_ID.load(Ordering::Relaxed)
}

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
    /// A worker was given up: whoever joins looks whether that was the one.
    GivenUp,
}

/// Names a worker; unique in the process, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkerId(NonZeroU32);

impl WorkerId {
    fn fresh() -> io::Result<WorkerId> {
        let next = |number: u32| number.checked_add(1);
        // ORDERING: Relaxed; only uniqueness matters.
        let given =
            NEXT_WORKER.fetch_update(std::sync::atomic::Ordering::Relaxed, std::sync::atomic::Ordering::Relaxed, next);
        let number = given.map_err(|_| io::Error::other("this process has started four billion workers"))?;
        Ok(WorkerId(NonZeroU32::new(number).expect("numbers start at 1")))
    }

    pub(crate) fn number(self) -> u32 {
        self.0.get()
    }

    /// Whether it is one of a process that this one descends from.
    #[inline]
    pub(crate) fn is_inherited(self) -> bool {
        // ORDERING: Relaxed; it changes while a process has one thread only.
        self.number() < FIRST_WORKER.load(Ordering::Relaxed)
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

    /// Whether it is one of this worker's; none is nobody's.
    #[inline]
    pub(crate) fn is_on(self, worker: Option<WorkerId>) -> bool {
        (self.0 >> 32) as u32 == worker.map_or(0, WorkerId::number)
    }

    /// One of nobody's.
    #[cfg(all(test, dormouse_loom))]
    pub(crate) const NOWHERE: SlotName = SlotName(0);

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

/// Whether this worker was given up: nothing of it is to be waited for. It may come back all the same.
///
/// Whoever waits on a worker looks before it parks, and again upon [`Message::GivenUp`], which is sent after that is so.
#[inline]
pub(crate) fn is_given_up(id: Option<WorkerId>) -> bool {
    // ORDERING: Acquire; pairs with the Release store in `Remote::give_up`.
    ANY_GIVEN_UP.load(std::sync::atomic::Ordering::Acquire) && id.is_some_and(was_given_up)
}

#[cold]
fn was_given_up(id: WorkerId) -> bool {
    // ORDERING: Relaxed; the Acquire load of `is_given_up` came after it.
    Remote::find(id).is_some_and(|worker| worker.given_up.load(Ordering::Relaxed))
}

/// A worker's public half.
pub(crate) struct Remote {
    /// Its name.
    pub(crate) id: WorkerId,
    /// Messages, and the sleep handshake.
    inbox: Inbox<Message>,
    /// Unstarted coroutines that others gave or may take.
    pub(crate) unstarted: SharedQueue<RecordRef>,
    /// The poller's descriptor; any thread may remove a registration from it.
    pub(crate) epoll: Epoll,
    /// What the owner counts.
    pub(crate) counters: Counters,
    /// What runs there now, for other threads to name.
    pub(crate) shown: Shown,
    /// It is not waited for any more, though it has not ended.
    given_up: AtomicBool,
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
            unstarted: SharedQueue::new(),
            epoll,
            counters: Counters::new(),
            shown: Shown::new(),
            given_up: AtomicBool::new(false),
            eventfd,
        });
        registry().lock().insert(remote.id, Arc::downgrade(&remote));
        Ok(remote)
    }

    /// The worker of this name, if it is this process's and anything still refers to it.
    pub(crate) fn find(id: WorkerId) -> Option<Arc<Remote>> {
        registry().lock().get(&id).and_then(Weak::upgrade)
    }

    /// Sends a message and, if the worker sleeps, interrupts it; `false` if the worker has ended.
    pub(crate) fn send(&self, message: Message) -> bool {
        let pushed = self.inbox.push(message);
        if pushed == Pushed::Unheard {
            self.interrupt();
        }
        pushed != Pushed::Refused
    }

    /// Ends a sleep; not that of a parent process, which shares the eventfd.
    fn interrupt(&self) {
        if !self.id.is_inherited() {
            self.eventfd.notify();
        }
    }

    /// Gives the worker a coroutine to start; if the worker has ended, the coroutine is refused. Whether it slept, and was
    /// interrupted.
    pub(crate) fn inject(&self, record: RecordRef) -> bool {
        self.unstarted.inject(record);
        let slept = self.inbox.announce();
        if slept {
            self.interrupt();
        }
        // ORDERING: Relaxed; the fence in `announce` pairs with that in `give_up`.
        if self.inbox.is_closed() || self.given_up.load(Ordering::Relaxed) {
            self.refuse_injected();
        }
        slept
    }

    /// Owner only: no message comes from now on; gives those that are there.
    pub(crate) fn close_inbox(&self) -> Vec<Message> {
        self.inbox.close()
    }

    /// Last, after [`Remote::close_inbox`]: what was or will be injected is refused.
    pub(crate) fn close(&self) {
        self.refuse_injected();
    }

    /// By another thread, at the end of the runtime, of a worker that never comes to its own end: what will be injected is
    /// refused. What waits where others could take it is to be [lost](Remote::lose_unstarted). What only the worker can reach, its coroutines that are
    /// parked and those that only it may start, stays as it is; but whoever joins them from elsewhere is told ([`is_given_up`]).
    /// Its inbox stays open: should the worker go on one day, its coroutines must not have missed a wake.
    pub(crate) fn give_up(&self) {
        // ORDERING: Relaxed; ordered by the fence below, and for `is_given_up` by the store after it.
        self.given_up.store(true, Ordering::Relaxed);
        // ORDERING: SeqCst fence; pairs with that in `Inbox::announce`: whoever injects sees this, or is seen here.
        fence(Ordering::SeqCst);
        // ORDERING: Release; pairs with the Acquire load in `is_given_up`.
        ANY_GIVEN_UP.store(true, std::sync::atomic::Ordering::Release);
        let all: Vec<_> = registry().lock().values().filter_map(Weak::upgrade).collect();
        all.iter().for_each(|worker| _ = worker.send(Message::GivenUp));
    }

    /// After [`Remote::give_up`]: loses what waits where others could have taken it, one after the other. Runs code of the user's.
    pub(crate) fn lose_unstarted(&self) {
        self.refuse_injected();
        while let Some(record) = self.unstarted.take_spawned() {
            record.lose();
        }
    }

    fn refuse_injected(&self) {
        while let Some(record) = self.unstarted.pop_injected() {
            record.lose();
        }
    }

    /// How many were injected that have not been popped.
    pub(crate) fn injected(&self) -> usize {
        self.unstarted.injected()
    }

    /// Makes the worker look around, if it sleeps.
    pub(crate) fn notify(&self) {
        if self.inbox.announce() {
            self.interrupt();
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

    /// Owner only: as [`Inbox::prepare_sleep`], with `elsewhere` beside what was injected.
    pub(crate) fn prepare_sleep(&self, elsewhere: impl FnOnce() -> bool) -> bool {
        self.inbox.prepare_sleep(|| self.unstarted.has_injected() || elsewhere())
    }

    /// Owner only: it runs again.
    pub(crate) fn awake(&self) {
        self.inbox.awake();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if !self.id.is_inherited() {
            registry().lock().remove(&self.id);
        }
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
    // ORDERING: Relaxed; only uniqueness matters.
    let start = NEXT_ID.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
    start..start + count
}
