//! A worker: the ready queue, and the loop that runs coroutines, reads the inbox, looks at the poller and sleeps.
//!
//! Owns what runs next. Knows how a coroutine is started, resumed and ended, but not why anybody parks.
//!
//! Invariant 1: everything here is touched by the worker's own thread only, from its loop or from the coroutine that
//! the loop has resumed. No borrow of a cell is held across a resume or a suspension.
//! Invariant 2: a slot index is in the ready queue exactly once while its state is ready, and never otherwise.
//! Invariant 3: a parked slot is in at most one source queue and has at most one timer; whoever makes it ready takes
//! it out of both (`make_ready`).
//! Invariant 4: user code runs on coroutine stacks only, never in the loop.

#![allow(unsafe_code)]

use crate::cancel;
use crate::coroutine::{Coroutine, Suspender};
use crate::mail::Letters;
use crate::pace::Pace;
use crate::poller::Poller;
use crate::readiness::Interest;
use crate::remote::{Message, RecordRef, Remote, SourceId, Start};
use crate::slot::{Awaited, Event, Outcome, Shield, Slot, Slots, State};
use crate::spawn_queue::{Fleet, SpawnQueue};
use crate::stack::{Stack, StackSettings, Stacks};
use crate::sys::clock::Clock;
use crate::timer::Wheel;
use crate::trim::Trim;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// I/O operations that succeed at once before the coroutine yields.
const IO_BUDGET: u32 = 64;

/// Surplus stacks given back per turn, at most.
const GIVE_BACK_BATCH: usize = 32;

/// Turns between two looks at a poller without sources, while there is something to run.
const BLIND_TURNS: u32 = 32;

/// No coroutine runs.
const NOT_RUNNING: u32 = u32::MAX;

/// Whether a coroutine's stack is being unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwinding {
    /// It is not.
    No,
    /// It may be: somebody on this thread is.
    Perhaps,
    /// It is.
    Yes,
}

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
    ready: RefCell<VecDeque<u32>>,
    /// Sources watched.
    poller: RefCell<Poller>,
    /// Deadlines of parked coroutines.
    timers: RefCell<Wheel>,
    /// Stacks, in use and free.
    stacks: RefCell<Stacks>,
    /// Unstarted coroutines.
    spawns: SpawnQueue,
    /// Unstarted coroutines for which there was no stack; one is tried again whenever a stack of its size comes back.
    starved: RefCell<VecDeque<RecordRef>>,
    /// A stack of the default size for dropping the closures of those that can have none; `None` while in use.
    reserve: RefCell<Option<Stack>>,
    /// Whether this thread was panicking already when the loop began: then std's word on it tells nothing.
    born_panicking: bool,
    /// Turns since the last look at a poller without sources.
    blind_turns: Cell<u32>,
    /// Which parked stacks are to be trimmed.
    trim: RefCell<Trim>,
    /// When the poller is looked at.
    pace: RefCell<Pace>,
    /// Messages being read; kept for its buffer.
    messages: RefCell<Vec<Message>>,
    /// The slot that runs, or `NOT_RUNNING`.
    running: Cell<u32>,
    /// Its way back to the loop.
    suspender: Cell<Suspender>,
    /// Where the coroutine that ran last suspended.
    stack_mark: Cell<usize>,
    /// What the fault handler reports about it.
    pub(crate) on_stack: Cell<Option<crate::overflow::OnStack>>,
    /// Bytes of each stack's guard.
    pub(crate) guard_size: usize,
    /// I/O operations left until the running coroutine yields.
    budget: Cell<u32>,
    /// Suspended coroutines that are or may be unwinding, by a panic or a cancellation.
    perhaps_unwinding: Cell<u32>,
    /// How often `perhaps_unwinding` was found to be none, so that who was counted before does not uncount itself.
    certainties: Cell<u32>,
    /// When what is left is leaked, once the end has begun.
    stop_at: Cell<Option<u64>>,
}

impl Worker {
    /// Makes a worker on the thread that will run it; fails with ENOMEM, EMFILE or ENFILE.
    pub(crate) fn new(remote: Arc<Remote>, fleet: Arc<Fleet>, stacks: StackSettings) -> io::Result<Worker> {
        let clock = Clock::start();
        let mut stacks = Stacks::new(stacks)?;
        let reserve = stacks.acquire(0)?;
        Ok(Worker {
            guard_size: stacks.guard_size(),
            slots: RefCell::default(),
            ready: RefCell::default(),
            poller: RefCell::new(Poller::new(Arc::clone(&remote))?),
            timers: RefCell::new(Wheel::new(0)),
            stacks: RefCell::new(stacks),
            spawns: SpawnQueue::new(),
            trim: RefCell::default(),
            pace: RefCell::new(Pace::new()),
            messages: RefCell::default(),
            running: Cell::new(NOT_RUNNING),
            suspender: Cell::new(Suspender::NONE),
            stack_mark: Cell::new(0),
            on_stack: Cell::new(None),
            budget: Cell::new(IO_BUDGET),
            perhaps_unwinding: Cell::new(0),
            certainties: Cell::new(0),
            starved: RefCell::default(),
            reserve: RefCell::new(Some(reserve)),
            born_panicking: std::thread::panicking(),
            blind_turns: Cell::new(0),
            stop_at: Cell::new(None),
            remote,
            fleet,
            clock,
        })
    }

    // ---- what the loop does ------------------------------------------------------------------------------------

    /// Runs until the fleet stops and nothing is left here, or until its grace has passed.
    pub(crate) fn run(&self) {
        loop {
            self.read_inbox();
            self.run_ready();
            self.start_spawned();
            self.publish_load();
            if self.is_ended() {
                return;
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
        for message in messages.drain(..) {
            self.read(message);
        }
        self.messages.replace(messages);
    }

    fn read(&self, message: Message) {
        match message {
            Message::Mail(record) => self.deliver_mail(&record, record.take_mail()),
            Message::SourceClosed(id) => self.poller.borrow_mut().closed(id),
            Message::SourceMoved(id) => self.poller.borrow_mut().moved(id),
            Message::PassTurn(id, interest) => {
                let next = self.poller.borrow_mut().take_turn(&mut *self.slots.borrow_mut(), id, interest);
                self.source_ready(next);
            }
        }
    }

    fn deliver_mail(&self, record: &RecordRef, letters: Letters) {
        let events = [
            letters.unpark.then_some(Event::Unpark),
            letters.wake.map(Event::Wake),
            letters.cancel.then_some(Event::Cancel),
        ];
        for event in events.into_iter().flatten() {
            self.deliver(record, event);
        }
    }

    /// Runs what is ready now, not what becomes ready meanwhile, until a look is due.
    fn run_ready(&self) {
        let now_ready = self.ready.borrow().len();
        for _ in 0..now_ready {
            let Some(index) = self.ready.borrow_mut().pop_front() else {
                return;
            };
            self.resume(index);
            if self.is_look_due() {
                return;
            }
        }
    }

    /// Starts what was spawned, until a look is due; at least one a turn, so that a full ready queue starves no newcomer.
    fn start_spawned(&self) {
        while let Some(record) = self.spawns.pop(&self.remote) {
            self.start(record);
            if self.is_look_due() {
                return;
            }
        }
    }

    #[inline]
    fn is_look_due(&self) -> bool {
        self.pace.borrow_mut().is_look_due(|| self.clock.now())
    }

    fn publish_load(&self) {
        self.remote.publish_load(self.slots.borrow().len() + self.spawns.len());
    }

    fn has_work(&self) -> bool {
        !self.ready.borrow().is_empty()
            || !self.spawns.is_empty()
            || self.remote.has_messages()
            || self.remote.has_injected()
    }

    /// Looks at timers and poller; sleeps if there is nothing to run.
    fn look(&self) -> io::Result<()> {
        self.stacks.borrow_mut().give_back(GIVE_BACK_BATCH);
        self.trim_due()?;
        self.expire_timers();
        if self.has_work() || self.stacks.borrow().has_surplus() || self.trim.borrow().is_due() {
            if self.poller.borrow().has_sources() || self.is_blind_for_long() {
                self.poll(Some(Duration::ZERO))?;
            }
            self.pace.borrow_mut().looked(false);
            return Ok(());
        }
        if self.remote.prepare_sleep(|| self.fleet.is_stopping() && self.stop_at.get().is_none()) {
            let slept = self.poll(self.sleep_limit());
            self.remote.awake();
            slept?;
        }
        self.pace.borrow_mut().looked(true);
        Ok(())
    }

    /// Without sources only the trim alarm can come out of a look, and that can wait for a few turns.
    fn is_blind_for_long(&self) -> bool {
        let turns = (self.blind_turns.get() + 1) % BLIND_TURNS;
        self.blind_turns.set(turns);
        turns == 0
    }

    fn poll(&self, timeout: Option<Duration>) -> io::Result<()> {
        let woken = |slots: &mut Slots, index: u32| {
            if slots[index].life.deliver(Event::SourceReady) {
                self.disarm(&mut slots[index]);
                self.ready.borrow_mut().push_back(index);
            }
        };
        let looked = self.poller.borrow_mut().look(timeout, &self.slots, woken)?;
        if looked.alarm {
            self.trim.borrow_mut().alarm();
        }
        Ok(())
    }

    /// How long a sleep may last: until the next deadline, or the end of a stop's grace.
    fn sleep_limit(&self) -> Option<Duration> {
        let deadline = self.timers.borrow_mut().next_deadline();
        let until = [deadline, self.stop_at.get()].into_iter().flatten().min()?;
        Some(Duration::from_nanos(until.saturating_sub(self.clock.now())))
    }

    fn expire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = self.clock.now();
        loop {
            let expired = self.timers.borrow_mut().pop_expired(now);
            let Some(index) = expired else {
                return;
            };
            self.slots.borrow_mut()[index].timer = None;
            self.deliver_at(index, Event::Timeout);
        }
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

    // ---- starting, resuming, ending ------------------------------------------------------------------------------

    /// Starts a coroutine and runs it until it suspends. If there is no stack for it now, it waits for one.
    fn start(&self, record: RecordRef) {
        let acquired = self.stacks.borrow_mut().acquire(record.stack_size as usize);
        match acquired {
            Ok(stack) => self.start_on(stack, record, Start::Run),
            Err(error) => self.starve(record, error),
        }
    }

    fn start_on(&self, stack: Stack, record: RecordRef, start: Start) {
        let index = self.slots.borrow_mut().insert(Slot::new(Arc::clone(&record), stack.extent()));
        let letters = record.settle(&self.remote, index);
        let dropped = letters.cancel || self.fleet.is_stopping();
        let start = if dropped && matches!(start, Start::Run) { Start::Drop } else { start };
        let body = Arc::clone(&record);
        let coroutine = Coroutine::new(stack, move |suspender| enter(suspender, &body, start));
        {
            let slot = &mut self.slots.borrow_mut()[index];
            slot.coroutine = Some(coroutine);
            slot.life.token = letters.unpark;
            slot.life.cancelled = dropped && cancel::CAN_THROW;
        }
        self.resume(index);
    }

    /// No stack: the record waits until one of its size comes back. If none is out, that is in vain: its closure is
    /// dropped, on the reserve (invariant 4), and its `join` tells why.
    #[cold]
    fn starve(&self, record: RecordRef, error: io::Error) {
        // The reserve itself is out for good.
        let comes_back = self.stacks.borrow().are_out(record.stack_size as usize);
        let reserve = if comes_back { None } else { self.reserve.borrow_mut().take() };
        match reserve {
            Some(stack) => self.start_on(stack, record, Start::Refuse(error)),
            None => self.starved.borrow_mut().push_back(record),
        }
    }

    /// A stack came back: tries one record of its size again, and all that no stack will come back for.
    #[cold]
    fn feed_starved(&self, size: usize) {
        let mut starved = self.starved.borrow_mut();
        let mut fed = false;
        for _ in 0..starved.len() {
            let Some(record) = starved.pop_front() else {
                return;
            };
            let hopeless = !self.stacks.borrow().are_out(record.stack_size as usize);
            let fits = !fed && self.stacks.borrow().size_of(record.stack_size as usize) == size;
            if hopeless || fits {
                fed |= fits;
                self.spawns.push_local(record);
            } else {
                starved.push_back(record);
            }
        }
    }

    /// Gives the thread to a ready coroutine until it suspends or ends.
    fn resume(&self, index: u32) {
        let mut coroutine = self.before_resume(index);
        let ended = coroutine.resume();
        self.running.set(NOT_RUNNING);
        self.on_stack.set(None);
        if self.perhaps_unwinding.get() > 0 && !std::thread::panicking() {
            self.become_certain();
        }
        if ended {
            self.end(index, coroutine);
        } else {
            let slot = &mut self.slots.borrow_mut()[index];
            slot.coroutine = Some(coroutine);
            slot.depth = slot.stack.depth_of(self.stack_mark.get());
        }
    }

    fn before_resume(&self, index: u32) -> Coroutine {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[index];
        self.trim.borrow_mut().ran(index);
        self.running.set(index);
        self.suspender.set(slot.suspender);
        self.budget.set(IO_BUDGET);
        let coroutine = slot.coroutine.take().expect("a ready coroutine is in its slot");
        self.on_stack.set(Some(crate::overflow::OnStack::new(&slot.record, slot.stack)));
        coroutine
    }

    fn end(&self, index: u32, coroutine: Coroutine) {
        let slot = self.slots.borrow_mut().remove(index);
        let stack = coroutine.into_stack();
        let size = stack.size();
        self.release(stack);
        drop(slot);
        if !self.starved.borrow().is_empty() {
            self.feed_starved(size);
        }
    }

    /// Back to the pool, unless the reserve is missing.
    fn release(&self, stack: Stack) {
        let mut reserve = self.reserve.borrow_mut();
        let mut stacks = self.stacks.borrow_mut();
        if reserve.is_none() && stack.size() == stacks.size_of(0) {
            *reserve = Some(stack);
        } else {
            stacks.release(stack);
        }
    }

    // ---- for the coroutine that runs -----------------------------------------------------------------------------

    /// Whether a coroutine runs (and not the loop).
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.running.get() != NOT_RUNNING
    }

    /// Calls `f` with the slot of the running coroutine. `f` must not suspend.
    pub(crate) fn with_running<R>(&self, f: impl FnOnce(&mut Slot) -> R) -> R {
        f(&mut self.slots.borrow_mut()[self.running.get()])
    }

    /// Lets others run; the running coroutine goes to the end of the ready queue.
    pub(crate) fn yield_now(&self) {
        let index = self.running.get();
        self.slots.borrow_mut()[index].life.state = State::Ready(Outcome::Woken);
        self.ready.borrow_mut().push_back(index);
        self.suspend();
        self.resumed(index);
    }

    /// Suspends the running coroutine until an event of `on`, the deadline (nanoseconds of this worker's clock) or,
    /// unless shielded, a cancel. Whoever calls this has put it where its event finds it.
    pub(crate) fn park(&self, on: Awaited, deadline: Option<u64>, shield: Shield) -> Outcome {
        let index = self.running.get();
        let timer = deadline.map(|deadline| self.timers.borrow_mut().insert(deadline, index));
        {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[index];
            slot.timer = timer;
            slot.life.state = State::Parked { on, shield };
        }
        self.suspend();
        self.resumed(index)
    }

    fn suspend(&self) {
        if self.unwinding() == Unwinding::No {
            self.switch();
            return;
        }
        self.perhaps_unwinding.set(self.perhaps_unwinding.get() + 1);
        let certainties = self.certainties.get();
        self.switch();
        if self.certainties.get() == certainties {
            self.perhaps_unwinding.set(self.perhaps_unwinding.get() - 1);
        }
    }

    fn switch(&self) {
        // SAFETY: the suspender is that of the running coroutine, which is who calls this (`park`, `yield_now`).
        unsafe { self.suspender.get().suspend(&self.stack_mark) };
    }

    /// Back from a suspension: the outcome of the park.
    fn resumed(&self, index: u32) -> Outcome {
        let life = &mut self.slots.borrow_mut()[index].life;
        match std::mem::replace(&mut life.state, State::Running) {
            State::Ready(outcome) => outcome,
            state => unreachable!("resumed while {state:?}"),
        }
    }

    /// Whether the running coroutine is being unwound, by our throw or by a panic.
    ///
    /// std counts panics per OS thread. While another coroutine of this worker is suspended in a Drop of its unwind, std
    /// says that everybody here panics, and only our own throw is known for certain.
    pub(crate) fn unwinding(&self) -> Unwinding {
        if !std::thread::panicking() {
            Unwinding::No
        } else if self.born_panicking {
            if self.with_running(|slot| slot.life.thrown) { Unwinding::Yes } else { Unwinding::No }
        } else if self.perhaps_unwinding.get() == 0 || self.with_running(|slot| slot.life.thrown) {
            Unwinding::Yes
        } else {
            Unwinding::Perhaps
        }
    }

    /// std says that nobody on this thread unwinds any more: parks that were unsure are open now.
    #[cold]
    fn become_certain(&self) {
        self.perhaps_unwinding.set(0);
        self.certainties.set(self.certainties.get().wrapping_add(1));
        let indexes = self.slots.borrow().indexes();
        for index in indexes {
            let before = self.slots.borrow()[index].life.state;
            let cancelled = self.slots.borrow_mut()[index].life.make_sure();
            if cancelled {
                self.unpark(index, before);
            }
        }
    }

    /// Counts one I/O operation that succeeded at once; `true` when it is time to yield.
    #[inline]
    pub(crate) fn spend_budget(&self) -> bool {
        let left = self.budget.get() - 1;
        self.budget.set(if left == 0 { IO_BUDGET } else { left });
        left == 0
    }

    // ---- events ----------------------------------------------------------------------------------------------------

    /// Applies an event to a coroutine of this worker, if it is not done.
    pub(crate) fn deliver(&self, record: &RecordRef, event: Event) {
        let found = self.slots.borrow_mut().find(record).map(|(index, _)| index);
        if let Some(index) = found {
            self.deliver_at(index, event);
        }
    }

    fn deliver_at(&self, index: u32, event: Event) {
        let before = self.slots.borrow()[index].life.state;
        let woke = self.slots.borrow_mut()[index].life.deliver(event);
        if woke {
            self.unpark(index, before);
        }
    }

    /// A slot is ready that was parked as `before` says: takes it out of its queue and its timer (invariant 3).
    fn unpark(&self, index: u32, before: State) {
        let mut slots = self.slots.borrow_mut();
        if let State::Parked { on: Awaited::Source(interest), .. } = before {
            let source = slots[index].source;
            self.poller.borrow_mut().dequeue(&mut *slots, source, interest, index);
        }
        self.disarm(&mut slots[index]);
        self.ready.borrow_mut().push_back(index);
    }

    fn disarm(&self, slot: &mut Slot) {
        if let Some(timer) = slot.timer.take() {
            self.timers.borrow_mut().cancel(timer);
        }
    }

    /// The source's queue gave up this slot: it is its turn.
    fn source_ready(&self, slot: Option<u32>) {
        let Some(index) = slot else {
            return;
        };
        let mut slots = self.slots.borrow_mut();
        if slots[index].life.deliver(Event::SourceReady) {
            self.disarm(&mut slots[index]);
            self.ready.borrow_mut().push_back(index);
        }
    }

    // ---- sources ---------------------------------------------------------------------------------------------------

    /// Calls `f` with the poller. `f` must not suspend.
    pub(crate) fn with_poller<R>(&self, f: impl FnOnce(&mut Poller) -> R) -> R {
        f(&mut self.poller.borrow_mut())
    }

    /// Queues the running coroutine for a source and parks it. See [`Poller::enqueue`].
    pub(crate) fn park_on_source(
        &self,
        id: SourceId,
        interest: Interest,
        front: bool,
        deadline: Option<u64>,
        shield: Shield,
    ) -> io::Result<Outcome> {
        let index = self.running.get();
        {
            let mut slots = self.slots.borrow_mut();
            self.poller.borrow_mut().enqueue(&mut *slots, id, interest, index, front)?;
            slots[index].source = id.index() as u32;
        }
        Ok(self.park(Awaited::Source(interest), deadline, shield))
    }

    /// The end of a turn at a source.
    pub(crate) fn pass_on(&self, id: SourceId, interest: Interest) {
        let next = self.poller.borrow_mut().pass_on(&mut *self.slots.borrow_mut(), id, interest);
        self.source_ready(next);
    }

    // ---- spawning ----------------------------------------------------------------------------------------------------

    /// Queues a new coroutine here or, if others have much less to do, there.
    pub(crate) fn spawn(&self, record: RecordRef) {
        if self.fleet.is_stopping() {
            // The others may have ended already.
            return self.spawns.push(record);
        }
        let load = (self.slots.borrow().len() + self.spawns.len()) as u32;
        match self.fleet.place(&self.remote, load) {
            None => self.spawns.push(record),
            Some(other) => other.inject(record),
        }
    }

    /// Queues a new coroutine that never leaves this worker.
    pub(crate) fn spawn_local(&self, record: RecordRef) {
        self.spawns.push_local(record);
    }

    // ---- the end -----------------------------------------------------------------------------------------------------

    /// Begins the end when the fleet says so; `true` once nothing is left or the grace has passed.
    fn is_ended(&self) -> bool {
        if !self.fleet.is_stopping() {
            return false;
        }
        let stop_at = self.stop_at.get().unwrap_or_else(|| self.begin_stop());
        let empty = self.slots.borrow().is_empty()
            && !self.has_work()
            && !self.remote.has_injected()
            && self.starved.borrow().is_empty();
        empty || self.clock.now() >= stop_at
    }

    fn begin_stop(&self) -> u64 {
        let grace = u64::try_from(self.fleet.grace.as_nanos()).unwrap_or(u64::MAX);
        let stop_at = self.clock.now().saturating_add(grace);
        self.stop_at.set(Some(stop_at));
        if cancel::CAN_THROW {
            let indexes = self.slots.borrow().indexes();
            indexes.into_iter().for_each(|index| self.deliver_at(index, Event::Cancel));
        }
        stop_at
    }

    /// Takes out what did not end, for its names; its stacks stay as they are for ever.
    pub(crate) fn leak_rest(&self) -> Vec<RecordRef> {
        let mut rest: Vec<RecordRef> = self.slots.borrow_mut().drain().map(|slot| slot.record).collect();
        rest.extend(self.starved.borrow_mut().drain(..));
        rest.extend(std::iter::from_fn(|| self.spawns.pop(&self.remote)));
        rest
    }
}

/// The first instructions of every coroutine, on its own stack.
fn enter(suspender: Suspender, record: &RecordRef, start: Start) {
    crate::current::with_worker(|worker| {
        if let Some(worker) = worker {
            worker.suspender.set(suspender);
            worker.with_running(|slot| {
                slot.suspender = suspender;
                slot.life.state = State::Running;
            });
        }
    });
    record.body.run(start);
}
