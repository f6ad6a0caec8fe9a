//! A worker: the ready queue, and the loop that runs coroutines, reads the inbox, looks at the poller and sleeps.
//!
//! Owns what runs next. Knows how a coroutine is started, resumed and ended, but not why anybody parks.
//!
//! Invariant 1: everything here is touched by the worker's own thread only, from its loop or from the coroutine that
//! the loop has resumed. No borrow of a cell is held across a resume or a suspension.
//! Invariant 2: a slot index is in the ready queue exactly once while its coroutine is ready or has yielded, and never
//! otherwise.
//! Invariant 3: a parked slot is in at most one source queue and has at most one timer; whoever makes it ready takes
//! it out of both (`events.rs`).
//! Invariant 4: user code runs on coroutine stacks only, never in the loop.

mod doubt;
mod events;
mod figures;
mod keeping;
mod limits;
mod lives;
mod long_runs;
mod orphan;
mod queue_delays;
mod search;
mod settings;
mod stop;
mod storage;
mod suspension;

pub(crate) use limits::NEVER;
pub(crate) use settings::WorkerSettings;

use crate::fleet::Fleet;
use crate::linger::Linger;
use crate::locals::Locals;
use crate::long_run::{LongRuns, Report};
use crate::mail::Ticket;
use crate::pace::Pace;
use crate::panic_count::Purses;
use crate::poller::Poller;
use crate::prefetch::prefetch;
use crate::ready_queue::ReadyQueue;
use crate::remote::{self, Blocks, Message, RecordRef, Remote, WorkerId};
use crate::roster::{NOT_RUNNING, Roster, RunningSlot};
use crate::shelf::Shelf;
use crate::slot::{Event, Slot};
use crate::slots::Slots;
use crate::spawn_queue::SpawnQueue;
use crate::spins::Spins;
use crate::stack::{Stack, Stacks};
use crate::sys::affinity::CpuSet;
use crate::sys::clock::Clock;
use crate::timer::Wheel;
use crate::trim::Trim;
use doubt::Doubt;
use limits::Limits;
use queue_delays::QueueDelays;
use search::Search;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use stop::Owed;
use suspension::Watch;

/// I/O operations that succeed at once before the coroutine yields.
const IO_BUDGET: u32 = 64;

/// Surplus stacks given back per turn, at most.
const GIVE_BACK_BATCH: usize = 32;

/// Rounds of running, starting and reading between two looks, at most. A look costs a fifth of a spawn and its join, which are
/// a round; the more rounds, the later timers and poller are when coroutines that were short turn long.
const ROUNDS: u32 = 4;

/// Turns between two looks at a poller without sources, while there is something to run.
const BLIND_TURNS: u32 = 32;

/// So many messages take the worker a while, which is not the doing of a coroutine.
const FLOOD: usize = 4096;

/// Bytes above the stack pointer that a resumed coroutine touches first: the frames that return from its park, and what
/// they were called to fill.
const BOTTOM_FRAMES: usize = 1024;

/// Bytes below the base where a coroutine keeps the way back and what its first function owns: a socket, say.
const TOP_FRAMES: usize = 512;

/// So many ready coroutines that their stacks no longer fit the cache together. Fewer find it warm, and prefetching would cost
/// a request more than it saves.
const CROWD: u32 = 192;

/// One worker.
pub(crate) struct Worker {
    /// What other threads may touch.
    pub(crate) remote: Arc<Remote>,
    /// The workers of this runtime.
    pub(crate) fleet: Arc<Fleet>,
    /// Nanoseconds since this worker began.
    pub(crate) clock: Clock,
    /// Every started coroutine.
    slots: RefCell<Slots>,
    /// What runs next.
    ready: ReadyQueue,
    /// Sources watched.
    poller: RefCell<Poller>,
    /// Deadlines of parked coroutines.
    timers: RefCell<Wheel>,
    /// When the timeouts around coroutines are over.
    limits: Limits,
    /// Stacks, in use and free.
    stacks: RefCell<Stacks>,
    /// Unstarted coroutines.
    spawns: SpawnQueue<RecordRef>,
    /// What is known of those of other workers.
    search: Search,
    /// Whether to wait for others before a sleep.
    linger: Linger,
    /// How often its coroutines try a contended lock.
    pub(crate) spins: Spins,
    /// Unstarted coroutines for which there was no stack; one is tried again whenever a stack of its size comes back.
    starved: RefCell<VecDeque<RecordRef>>,
    /// A stack of the default size for dropping the closures of those that can have none; `None` while in use.
    reserve: RefCell<Option<Stack>>,
    /// Turns since the last look at a poller without sources.
    blind_turns: Cell<u32>,
    /// Which parked stacks are to be trimmed.
    trim: RefCell<Trim>,
    /// Buffers and pipes that nobody uses now.
    pub(crate) shelf: RefCell<Shelf>,
    /// The coroutine-local storage of those that use any, each named by its record. What is left at the end is leaked.
    locals: RefCell<Slab<Locals>>,
    /// When the poller is looked at.
    pace: Pace,
    /// Messages being read; kept for its buffer.
    messages: RefCell<Vec<Message>>,
    /// The slot that runs, or `NOT_RUNNING`.
    running: RunningSlot,
    /// Who is in each slot, or was last.
    pub(crate) roster: Roster,
    /// Who keeps this worker from the poller.
    long_runs: LongRuns,
    /// How long its queues keep whoever enters them; only while somebody asks.
    queue_delays: QueueDelays,
    /// See [`WorkerSettings`].
    reporter: fn(Report) -> RecordRef,
    /// How many had been popped and started, and how often slabs had changed, when the figures were published last.
    published: Cell<(u32, u32, u64)>,
    /// Where that slot is; it does not move while a coroutine runs.
    running_slot: Cell<*mut Slot>,
    /// See [`WorkerSettings`].
    pub(crate) unpinned: Option<CpuSet>,
    /// Bytes of each stack's guard.
    pub(crate) guard_size: usize,
    /// Memory for records to come.
    pub(crate) blocks: RefCell<Blocks>,
    /// Identities for coroutines to come, from the first to before the second.
    ids: Cell<(u64, u64)>,
    /// The ticket given last. One count for all coroutines here, so that a stale waiter of one does not name a wait of the
    /// next in its slot.
    last_ticket: Cell<Ticket>,
    /// I/O operations left until the running coroutine yields.
    budget: Cell<u32>,
    /// By what std's count of panics follows the coroutines.
    panics: RefCell<Purses>,
    /// What is known of who unwinds while that cannot follow them.
    doubt: Doubt,
    /// What the loop has to see to after each resume.
    watch: Cell<Watch>,
    /// When what is left is leaked, once the end has begun.
    stop_at: Cell<Option<u64>>,
    /// Turns to be given before that.
    owed: Cell<Owed>,
    /// Whose waits are ended here: its own, until it takes leave.
    home_of: Cell<Option<WorkerId>>,
}

impl Worker {
    /// Makes a worker on the thread that will run it; fails with ENOMEM, EMFILE or ENFILE.
    pub(crate) fn new(remote: Arc<Remote>, fleet: Arc<Fleet>, settings: &WorkerSettings) -> io::Result<Worker> {
        let clock = Clock::start();
        let mut stacks = Stacks::new(settings.stacks)?;
        let reserve = stacks.acquire(0)?;
        Ok(Worker {
            guard_size: stacks.guard_size(),
            slots: RefCell::default(),
            ready: ReadyQueue::new(),
            poller: RefCell::new(Poller::new(Arc::clone(&remote))?),
            timers: RefCell::new(Wheel::new(0)),
            limits: Limits::default(),
            stacks: RefCell::new(stacks),
            spawns: SpawnQueue::new(&remote.unstarted),
            search: Search::new(fleet.index_of(&remote)),
            linger: Linger::new(),
            spins: Spins::new(fleet.workers.len()),
            trim: RefCell::default(),
            shelf: RefCell::default(),
            locals: RefCell::default(),
            pace: Pace::new(),
            messages: RefCell::default(),
            blocks: RefCell::default(),
            ids: Cell::default(),
            last_ticket: Cell::default(),
            running: RunningSlot::new(),
            roster: Roster::new(),
            long_runs: LongRuns::new(settings.long_run),
            queue_delays: QueueDelays::default(),
            reporter: settings.reporter,
            unpinned: settings.unpinned.clone(),
            published: Cell::default(),
            running_slot: Cell::new(std::ptr::null_mut()),
            budget: Cell::new(IO_BUDGET),
            panics: RefCell::default(),
            doubt: Doubt::default(),
            watch: Cell::default(),
            starved: RefCell::default(),
            reserve: RefCell::new(Some(reserve)),
            blind_turns: Cell::new(0),
            stop_at: Cell::new(None),
            owed: Cell::default(),
            home_of: Cell::new(Some(remote.id)),
            remote,
            fleet,
            clock,
        })
    }

    /// Runs until the fleet stops and nothing is left here, or until its grace has passed.
    pub(crate) fn run(&self) {
        self.begin_window();
        loop {
            self.read_inbox();
            if self.fleet.is_watched() {
                self.mark_queues();
            }
            self.run_turn();
            self.publish_load();
            self.publish_figures(0);
            if self.is_ended() {
                return self.take_leave();
            }
            self.look().expect("epoll and timerfd fail only when misused");
        }
    }

    fn read_inbox(&self) {
        if !self.remote.has_messages() {
            return;
        }
        let mut messages = self.messages.take();
        self.remote.take_messages(&mut messages);
        let flood = messages.len() >= FLOOD;
        if flood {
            self.read_clock();
        }
        for message in messages.drain(..) {
            self.read(message);
        }
        if flood {
            self.begin_window();
        }
        self.messages.replace(messages);
    }

    fn read(&self, message: Message) {
        match message {
            Message::Mail(record) => self.read_mail(&record),
            Message::Wake(index, ticket) => self.wake_from_afar(index, ticket),
            Message::SourceClosed(id) => self.poller.borrow_mut().closed(id),
            Message::SourceMoved(id) => self.poller.borrow_mut().moved(id),
            Message::PassTurn(id, interest) => {
                let next = self.poller.borrow_mut().take_turn(&mut *self.slots.borrow_mut(), id, interest);
                self.source_ready(next);
            }
            Message::GivenUp => self.wake_joiners(),
        }
    }

    /// What was posted to a coroutine that has not started, it finds when it does.
    fn read_mail(&self, record: &RecordRef) {
        if !record.has_started() {
            return;
        }
        let letters = record.take_mail();
        if letters.unpark {
            self.deliver_from_afar(record, Event::Unpark);
        }
        if letters.cancel {
            self.deliver_from_afar(record, Event::Cancel);
        }
    }

    /// Runs, starts and reads what there is until a look is due: one round of it, or a few while resumes are short.
    fn run_turn(&self) {
        for _ in 0..ROUNDS {
            let due = self.run_ready();
            if self.start_spawned() || due || !self.pace.is_brisk() || !self.has_work() {
                return;
            }
            self.read_inbox();
        }
    }

    /// Runs what is ready until a look is due (`true`); what becomes ready meanwhile only if there is nothing to
    /// start or to read and resumes are short.
    fn run_ready(&self) -> bool {
        loop {
            let ready = self.ready.len();
            let crowded = ready >= CROWD;
            let round = ready.min(self.pace.allowance());
            for _ in 0..round {
                let index = self.ready.pop().expect("as many were ready");
                if crowded {
                    self.prefetch_next();
                }
                self.resume(index);
            }
            if round == 0 {
                return false;
            }
            if self.ran(round) {
                return true;
            }
            let others = !self.spawns.is_empty() || self.remote.has_messages();
            if round == ready && (others || !self.pace.is_brisk()) {
                return false;
            }
        }
    }

    /// Has the cache fetch what the next coroutine touches first, and the slot of a later one. With 10,000 busy connections
    /// that is worth a tenth of the time of a request.
    fn prefetch_next(&self) {
        let slots = self.slots.borrow();
        if let Some(slot) = self.ready.peek(0).and_then(|next| slots.get(next)) {
            prefetch(slot.stack.address_of(slot.stack_mark), BOTTOM_FRAMES);
            prefetch(slot.stack.base() - TOP_FRAMES, TOP_FRAMES);
            self.poller.borrow().prefetch(slot.source);
        }
        if let Some(later) = self.ready.peek(2) {
            slots.prefetch(later);
        }
    }

    /// Starts what was spawned, until a look is due (`true`); at least one, so that a full ready queue starves no newcomer.
    fn start_spawned(&self) -> bool {
        let mut next = self.spawns.pop_fairly(&self.remote.unstarted);
        while let Some(record) = next {
            self.start(record);
            if self.ran(1) {
                return true;
            }
            next = self.spawns.pop(&self.remote.unstarted);
        }
        false
    }

    /// So many resumes later: whether a look at the poller is due.
    #[inline]
    fn ran(&self, resumes: u32) -> bool {
        self.pace.ran(resumes, || self.read_clock())
    }

    fn has_work(&self) -> bool {
        !self.ready.is_empty()
            || !self.spawns.is_empty()
            || self.remote.has_messages()
            || self.remote.unstarted.has_injected()
    }

    /// Looks at timers and poller; sleeps if there is nothing to run.
    fn look(&self) -> io::Result<()> {
        self.stacks.borrow_mut().give_back(GIVE_BACK_BATCH);
        self.trim_due()?;
        self.expire_timers();
        self.close_window_if_idle();
        if self.has_work() || self.stacks.borrow().has_surplus() || self.trim.borrow().is_due() {
            if self.poller.borrow().has_sources() || self.is_blind_for_long() {
                self.poll(Some(Duration::ZERO))?;
            }
            self.pace.looked(false);
            return Ok(());
        }
        self.rest()?;
        self.pace.looked(true);
        Ok(())
    }

    /// Without sources only the trim alarm can come out of a look, and that can wait for a few turns.
    fn is_blind_for_long(&self) -> bool {
        let turns = (self.blind_turns.get() + 1) % BLIND_TURNS;
        self.blind_turns.set(turns);
        turns == 0
    }

    fn poll(&self, timeout: Option<Duration>) -> io::Result<()> {
        let counters = &self.remote.counters;
        let woken = |slots: &mut Slots, index: u32| {
            if slots[index].life.deliver(Event::SourceReady) {
                self.disarm(&mut slots[index]);
                self.ready.push(index);
                counters.io_wakes.add(1);
            }
        };
        counters.polls.add(1);
        let looked = self.poller.borrow_mut().look(timeout, &self.slots, woken)?;
        if looked.alarm {
            self.alarm();
        }
        Ok(())
    }

    /// How long a sleep may last: until the next deadline, the end of a stop's grace, or that of patience with another worker.
    fn sleep_limit(&self) -> Option<Duration> {
        let deadline = self.timers.borrow_mut().next_deadline();
        let until = [deadline, self.stop_at.get(), self.watch_until()].into_iter().flatten().min()?;
        // Where there are timers, the clock was read just now.
        Some(Duration::from_nanos(until.saturating_sub(self.long_runs.since())))
    }

    fn trim_due(&self) -> io::Result<()> {
        let mut trim = self.trim.borrow_mut();
        if trim.needs_alarm() {
            self.poller.borrow().set_alarm(crate::trim::DELAY)?;
            trim.alarm_is_set();
        }
        if trim.is_due() {
            trim.run(&self.slots.borrow());
        }
        Ok(())
    }

    /// Queues a new coroutine here or, if others have much less to do, there.
    pub(crate) fn spawn(&self, record: RecordRef) {
        self.remote.counters.spawns.add(1);
        if self.fleet.is_stopping() {
            // The others may have ended already, and steal no more.
            return self.queue_local(record);
        }
        if self.fleet.workers.len() == 1 {
            // Nobody else looks into the shared queue.
            return self.queue_local(record);
        }
        self.spawn_shared(record);
    }

    /// An identity never given before.
    #[inline]
    pub(crate) fn fresh_id(&self) -> u64 {
        let (id, end) = self.ids.get();
        if id == end {
            return self.fresh_id_cold();
        }
        self.ids.set((id + 1, end));
        id
    }

    #[cold]
    fn fresh_id_cold(&self) -> u64 {
        let ids = remote::fresh_ids(1024);
        self.ids.set((ids.start + 1, ids.end));
        ids.start
    }

    /// Queues a new coroutine that never leaves this worker.
    #[inline]
    pub(crate) fn spawn_local(&self, record: RecordRef) {
        self.remote.counters.spawns.add(1);
        self.queue_local(record);
    }

    #[inline]
    fn queue_local(&self, record: RecordRef) {
        record.settle(self.remote.id);
        self.spawns.push_local(record);
    }
}
