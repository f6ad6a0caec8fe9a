//! Sources, those who wait for them, and the table in which they are: what a worker does with events and wakes, in any
//! order, with those mixed in that come too late.
//!
//! Events are made up: which ones, and when, is the program's to say, not the kernel's. The glue between poller and slots is that
//! of `worker/events.rs`.
//!
//! What must hold: an event, a turn, a wake or a letter for what is gone changes nothing, though its index is in use again;
//! readiness is latched until an attempt finds nothing; whoever waits is woken by its own event only, in the order of waiting.

#![allow(unsafe_code)]

mod objects;

use super::STEPS;
use super::input::Input;
use crate::coroutine::{Coroutine, Suspender};
use crate::mail::Ticket;
use crate::poller::Poller;
use crate::readiness::Interest;
use crate::remote::{Body, Leftover, Origin, Record, RecordRef, Remote, SourceId, Start};
use crate::slot::{Awaited, Event, Outcome, Shield, Slot, State};
use crate::slots::Slots;
use crate::stack::pool::{Pool, PoolConfig};
use objects::{OBJECTS, Object};
use std::cell::Cell;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

/// Coroutines at one time, at most.
const MOST: usize = 8;

/// What a coroutine does, in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Runs,
    Ready(Outcome),
    WaitsFor(usize, Interest),
    Waits,
    Parks,
}

/// A coroutine, and what the model knows of it.
struct Live {
    /// Its slot.
    index: u32,
    /// Its name.
    record: RecordRef,
    /// Where it stands.
    doing: Doing,
    /// Whether it was unparked since it ran last.
    token: bool,
    /// Whether it was cancelled.
    cancelled: bool,
    /// Its last internal wait.
    ticket: Ticket,
}

/// The closure of one that does nothing.
struct Nothing;

impl Body for Nothing {
    unsafe fn run(_: *const Self, _: NonNull<Record>, _: Start) -> Leftover {
        Leftover::Count
    }

    unsafe fn lose(_: *const Self) -> Leftover {
        Leftover::Count
    }
}

/// What a worker has, beside what it should hold.
struct World {
    /// The worker's public half: its epoll instance, and its name.
    remote: Arc<Remote>,
    /// What is tested.
    poller: Poller,
    /// As above.
    slots: Slots,
    /// Where coroutines run, to end.
    stacks: Pool,
    /// What can be waited for.
    objects: Vec<Object>,
    /// Who has started and not ended.
    lives: Vec<Live>,
    /// Who has ended.
    graves: Vec<RecordRef>,
    /// Names of sources that are gone.
    gone: Vec<SourceId>,
    /// Every wait there was: in which slot, and its ticket.
    waits: Vec<(u32, Ticket)>,
    /// The last of these.
    last_ticket: Ticket,
    /// The identity given last.
    last_id: u64,
}

pub(super) fn run(mut input: Input<'_>) {
    let mut world = World::new();
    for _ in 0..STEPS {
        let Some(kind) = input.next() else { break };
        world.step(kind, &mut input);
        world.check();
    }
    world.finish();
}

impl World {
    fn new() -> World {
        let remote = Remote::open().expect("descriptors can be had");
        let mut poller = Poller::new(Arc::clone(&remote)).expect("descriptors can be had");
        let objects = (0..OBJECTS).map(|number| Object::new(number, &mut poller)).collect();
        World {
            remote,
            poller,
            slots: Slots::default(),
            stacks: Pool::new(PoolConfig::default()).expect("the sizes are good"),
            objects,
            lives: Vec::new(),
            graves: Vec::new(),
            gone: Vec::new(),
            waits: Vec::new(),
            last_ticket: Ticket::default(),
            last_id: 0,
        }
    }

    fn step(&mut self, kind: u8, input: &mut Input<'_>) {
        let (who, object) = (input.below(MOST), input.below(OBJECTS));
        match kind % 24 {
            0..=2 => self.begin(),
            3 => self.end(who),
            4..=7 => self.wait_for_source(who, object, input),
            8 => self.park(who, true),
            9 => self.park(who, false),
            10..=12 => self.event(object, input.byte()),
            13 => self.late_event(input),
            14 => self.pass_on(object, input.flag()),
            15 => self.take_turn(object, input.flag()),
            16 => self.late_turn(input),
            17 => self.deliver(who, Event::Timeout),
            18 => self.deliver(who, Event::Cancel),
            19 => self.deliver(who, Event::Unpark),
            20 => self.wake(input),
            21 => self.letter_to_the_dead(input),
            22 => self.drained(object, input.flag()),
            _ => self.close(object),
        }
        self.resume(input.below(MOST));
    }

    // ---- coroutines ------------------------------------------------------------------------------------------------

    fn begin(&mut self) {
        if self.lives.len() == MOST {
            return;
        }
        self.last_id += 1;
        let origin = Origin { id: self.last_id, spawned_at: Location::caller(), name: None, stack_size: 0 };
        let record = RecordRef::new(origin, Nothing, |_| None);
        let stack = self.stacks.acquire().expect("there are few");
        let extent = stack.extent();
        let coroutine = Coroutine::new(stack, || Leftover::Count);
        let (index, _) = self.slots.insert(|_| Slot::new(record.clone(), extent, coroutine));
        record.start(self.remote.id, index);
        assert!(self.lives.iter().all(|live| live.index != index), "an index is given to one at a time");
        let (token, cancelled, ticket) = (false, false, Ticket::default());
        self.lives.push(Live { index, record, doing: Doing::Runs, token, cancelled, ticket });
    }

    fn end(&mut self, who: usize) {
        if self.lives.get(who).is_none_or(|live| live.doing != Doing::Runs) {
            return;
        }
        let live = self.lives.swap_remove(who);
        let (mut coroutine, record) = self.slots.remove(live.index);
        assert_eq!(record.id, live.record.id);
        let way_back = Cell::new(Suspender::NONE);
        // SAFETY: `way_back` lives on.
        let left = unsafe { coroutine.resume(&raw const way_back) };
        assert_eq!(left, Some(Leftover::Count));
        self.stacks.release(coroutine.into_stack());
        self.graves.push(live.record);
    }

    /// One that is ready runs, and has found what it was woken for.
    fn resume(&mut self, who: usize) {
        if let Some(live) = self.lives.get_mut(who)
            && matches!(live.doing, Doing::Ready(_))
        {
            live.doing = Doing::Runs;
            let life = &mut self.slots[live.index].life;
            life.state = State::Running;
            life.token = false;
            live.token = false;
        }
    }

    fn wait_for_source(&mut self, who: usize, object: usize, input: &mut Input<'_>) {
        let (interest, front) = (self.objects[object].interest(input.flag()), input.below(4) == 0);
        let Some(live) = self.lives.get_mut(who).filter(|live| live.doing == Doing::Runs) else { return };
        let source = &mut self.objects[object];
        self.poller.enqueue(&mut self.slots, source.id, interest, live.index, front).expect("it can be watched");
        source.enqueue(interest, live.index, front);
        live.doing = Doing::WaitsFor(object, interest);
        let slot = &mut self.slots[live.index];
        slot.source = source.id.index() as u32;
        slot.life.state = State::Parked { on: Awaited::Source(interest), shield: Shield::Open };
    }

    /// Parks, in an internal wait or until it is unparked.
    fn park(&mut self, who: usize, waits: bool) {
        let Some(live) = self.lives.get_mut(who).filter(|live| live.doing == Doing::Runs) else { return };
        let life = &mut self.slots[live.index].life;
        let on = if waits { Awaited::Wait } else { Awaited::Token };
        live.doing = if waits { Doing::Waits } else { Doing::Parks };
        if waits {
            self.last_ticket = self.last_ticket.next();
            live.ticket = self.last_ticket;
            life.begin_wait(self.last_ticket);
            self.waits.push((live.index, self.last_ticket));
        }
        life.state = State::Parked { on, shield: Shield::Open };
    }

    // ---- events ----------------------------------------------------------------------------------------------------

    fn event(&mut self, object: usize, mask: u8) {
        let (expected, id) = (self.objects[object].event(mask), self.objects[object].id);
        let woken = self.latch(id, objects::bits(mask));
        assert_eq!(woken, expected, "who waits longest, in each direction");
        self.woken(&woken);
    }

    fn latch(&mut self, id: SourceId, bits: u32) -> Vec<u32> {
        let mut woken = Vec::new();
        self.poller.latch(u64::from(id.to_bits()), bits, &mut self.slots, &mut |slots: &mut Slots, index| {
            assert!(slots[index].life.deliver(Event::SourceReady), "only who is parked is in a queue");
            woken.push(index);
        });
        woken
    }

    fn woken(&mut self, woken: &[u32]) {
        for live in self.lives.iter_mut().filter(|live| woken.contains(&live.index)) {
            assert!(matches!(live.doing, Doing::WaitsFor(..)));
            live.doing = Doing::Ready(Outcome::Woken);
        }
    }

    fn late_event(&mut self, input: &mut Input<'_>) {
        let mask = input.byte();
        if !self.gone.is_empty() {
            let id = self.gone[input.below(self.gone.len())];
            assert_eq!(self.latch(id, objects::bits(mask)), [], "it is gone");
        }
    }

    /// Whoever had the turn is done with it.
    fn pass_on(&mut self, object: usize, write: bool) {
        let source = &mut self.objects[object];
        let interest = source.interest(write);
        let expected = if source.accepts { None } else { source.next(interest) };
        let next = self.poller.pass_on(&mut self.slots, source.id, interest);
        assert_eq!(next, expected);
        self.source_ready(next);
    }

    /// Another worker left something.
    fn take_turn(&mut self, object: usize, write: bool) {
        let source = &mut self.objects[object];
        let interest = source.interest(write);
        let expected = source.turn(interest);
        let next = self.poller.take_turn(&mut self.slots, source.id, interest);
        assert_eq!(next, expected);
        self.source_ready(next);
    }

    fn source_ready(&mut self, next: Option<u32>) {
        let Some(index) = next else { return };
        assert!(self.slots[index].life.deliver(Event::SourceReady), "only who is parked is in a queue");
        self.woken(&[index]);
    }

    fn late_turn(&mut self, input: &mut Input<'_>) {
        if self.gone.is_empty() {
            return;
        }
        let id = self.gone[input.below(self.gone.len())];
        assert_eq!(self.poller.take_turn(&mut self.slots, id, Interest::Read), None);
        assert_eq!(self.poller.pass_on(&mut self.slots, id, Interest::Read), None);
        self.poller.moved(id);
        self.poller.closed(id);
    }

    /// As `Worker::deliver`, for one that lives.
    fn deliver(&mut self, who: usize, event: Event) {
        let Some(live) = self.lives.get_mut(who) else { return };
        // Its timer is disarmed unless it is parked.
        let parked = !matches!(live.doing, Doing::Runs | Doing::Ready(_));
        if event == Event::Timeout && !parked {
            return;
        }
        let outcome = match event {
            Event::Timeout => Some(Outcome::TimedOut),
            Event::Cancel if parked => Some(Outcome::Cancelled),
            Event::Unpark if live.doing == Doing::Parks => Some(Outcome::Woken),
            _ => None,
        };
        live.token |= event == Event::Unpark;
        live.cancelled |= event == Event::Cancel;
        let (index, slot) = self.slots.find(&live.record).expect("it lives");
        assert_eq!(index, live.index);
        assert_eq!(slot.life.deliver(event), outcome.is_some());
        let Some(outcome) = outcome else { return };
        if let Doing::WaitsFor(object, interest) = live.doing {
            self.poller.dequeue(&mut self.slots, self.objects[object].id.index() as u32, interest, index);
            self.objects[object].dequeue(interest, index);
        }
        live.doing = Doing::Ready(outcome);
    }

    /// The end of some wait there was: it wakes nobody but who is still in it.
    fn wake(&mut self, input: &mut Input<'_>) {
        let recent = self.waits.len().saturating_sub(1 + input.below(12));
        let Some(&(index, ticket)) = self.waits.get(recent) else { return };
        let waiting = |live: &&mut Live| live.index == index && live.ticket == ticket && live.doing == Doing::Waits;
        let live = self.lives.iter_mut().find(waiting);
        let woke = self.slots.get_mut(index).is_some_and(|slot| slot.life.deliver(Event::Wake(ticket)));
        assert_eq!(woke, live.is_some());
        if let Some(live) = live {
            live.doing = Doing::Ready(Outcome::Woken);
        }
    }

    fn letter_to_the_dead(&mut self, input: &mut Input<'_>) {
        if !self.graves.is_empty() {
            let grave = &self.graves[input.below(self.graves.len())];
            assert!(self.slots.find(grave).is_none(), "its slot is another's");
        }
    }

    // ---- sources ---------------------------------------------------------------------------------------------------

    fn drained(&mut self, object: usize, write: bool) {
        let source = &mut self.objects[object];
        let interest = source.interest(write);
        source.drained(interest);
        self.poller.drained(source.id, interest);
    }

    /// The socket is closed, which takes it from whoever could wait; another takes its place.
    fn close(&mut self, object: usize) {
        if self.objects[object].is_watched() {
            return;
        }
        self.gone.push(self.objects[object].close(&self.remote, &mut self.poller));
        self.objects[object] = Object::new(object, &mut self.poller);
        let id = self.objects[object].id;
        assert!(!self.gone.contains(&id), "names are not given again so soon");
    }

    // ---- what must hold --------------------------------------------------------------------------------------------

    fn check(&self) {
        assert_eq!(self.slots.len(), self.lives.len());
        assert_eq!(self.slots.is_empty(), self.lives.is_empty());
        let mut indexes: Vec<_> = self.lives.iter().map(|live| live.index).collect();
        indexes.sort_unstable();
        assert_eq!(self.slots.indexes(), indexes);
        self.lives.iter().for_each(|live| self.check_life(live));
        self.objects.iter().for_each(|object| object.check(&self.poller));
    }

    fn check_life(&self, live: &Live) {
        let life = &self.slots[live.index].life;
        assert_eq!((life.token, life.terms.is_cancelled()), (live.token, live.cancelled));
        let parked = |on| State::Parked { on, shield: Shield::Open };
        let expected = match live.doing {
            Doing::Runs => State::Running,
            Doing::Ready(outcome) => State::Ready(outcome),
            Doing::WaitsFor(_, interest) => parked(Awaited::Source(interest)),
            Doing::Waits => parked(Awaited::Wait),
            Doing::Parks => parked(Awaited::Token),
        };
        assert_eq!(life.state, expected);
    }

    fn finish(mut self) {
        (0..MOST).for_each(|who| self.deliver(who, Event::Timeout));
        (0..MOST).for_each(|who| self.resume(who));
        (0..MOST).for_each(|_| self.end(0));
        assert!(self.slots.is_empty());
        for object in &mut self.objects {
            assert!(!object.is_watched(), "nobody is left in a queue");
            object.close(&self.remote, &mut self.poller);
        }
        assert!(!self.poller.has_sources());
    }
}
