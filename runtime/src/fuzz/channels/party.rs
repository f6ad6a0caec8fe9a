//! A coroutine that does what it is told, one thing at a time, and tells what came of it.

use super::broadcast::{self, Heard};
use super::ends::{Receiver, Sender, Unreceived, Unsent};
use super::ledger::{Letter, Over};
use super::world::{Arm, World};
use crate::sync::broadcast::Receiver as Listener;
use crate::sync::mpsc::RecvError;
use crate::sync::mpsc::SendError;
use crate::sync::select::Select;
use crate::thread;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    None,
    For(Duration),
    Endless,
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Order {
    /// Of what one is to be done.
    pub(super) arms: Vec<Arm>,
    /// Whether by a select; else the one arm is an operation of its own.
    pub(super) selects: bool,
    /// How long it may take.
    pub(super) patience: Patience,
}

/// An end, while an operation uses it.
pub(super) enum Held {
    Send(usize, Sender),
    Receive(usize, Receiver),
    Listen(usize, usize, Listener<Letter>),
}

/// Which arm of a select was done, and what came of it.
enum Done {
    Sent(usize, usize, Result<(), SendError<Letter>>),
    /// Also whether that used the receiver up, at which place among those held.
    Received(usize, usize, Result<Letter, RecvError>),
    Heard(usize, usize, Heard),
}

/// The life of a party: until it is cancelled.
pub(super) fn live(world: &World, me: usize) {
    loop {
        match world.order(me) {
            Some(order) => obey(world, me, &order),
            None => thread::park(),
        }
    }
}

fn obey(world: &World, me: usize, order: &Order) {
    let mut held: Vec<_> = order.arms.iter().filter_map(|arm| world.hold(*arm, order.selects)).collect();
    if held.is_empty() {
        return;
    }
    let busy = Busy::begin(world, me, &held, order.selects);
    let began = Instant::now();
    let in_time = if order.selects {
        select(world, &busy, held, order.patience)
    } else {
        alone(world, &busy, held.remove(0), order.patience)
    };
    if let (Patience::For(time), false) = (order.patience, in_time) {
        assert!(began.elapsed() >= time, "a timeout came early");
    }
}

/// One operation by itself; `false` if it timed out.
fn alone(world: &World, busy: &Busy<'_>, held: Held, patience: Patience) -> bool {
    match held {
        Held::Send(channel, sender) => {
            let letter = world.ledger.make(channel);
            let number = letter.number;
            busy.sends.set(Some(number));
            let sent = sender.send(letter, patience);
            let in_time = !matches!(sent, Err(Unsent::Late(_)));
            world.sent(channel, number, sent);
            in_time
        }
        Held::Receive(channel, receiver) => {
            let (received, left) = receiver.receive(patience);
            let in_time = !matches!(received, Err(Unreceived::Late));
            world.put_back(channel, left);
            world.received(channel, received);
            in_time
        }
        Held::Listen(broadcast, place, listener) => {
            let heard = broadcast::listen(&listener, patience);
            world.stop_listening(broadcast, place, listener);
            let late = matches!((&heard, patience), (Heard::Nothing, Patience::For(_)));
            world.heard(broadcast, place, heard, late);
            !late
        }
    }
}

/// The first of several; `false` if it timed out.
fn select(world: &World, busy: &Busy<'_>, held: Vec<Held>, patience: Patience) -> bool {
    let done = wait(world, &held, patience);
    let used_up = if let Some(Done::Received(place, ..)) = &done { Some(*place) } else { None };
    for (place, held) in held.into_iter().enumerate() {
        match held {
            Held::Receive(channel, receiver) if used_up != Some(place) => world.put_back(channel, Some(receiver)),
            Held::Listen(broadcast, place, listener) => world.stop_listening(broadcast, place, listener),
            Held::Send(..) | Held::Receive(..) => {}
        }
    }
    let late = done.is_none() && !matches!(patience, Patience::None);
    match done {
        Some(Done::Sent(channel, number, sent)) => {
            world.sent(channel, number, sent.map_err(|error| Unsent::Gone(error.0)));
        }
        Some(Done::Received(_, channel, received)) => world.received(channel, received.map_err(|_| Unreceived::Gone)),
        Some(Done::Heard(broadcast, place, heard)) => world.heard(broadcast, place, heard, false),
        None if late => {}
        None => world.nothing_done(busy.me),
    }
    !late
}

fn wait(world: &World, held: &[Held], patience: Patience) -> Option<Done> {
    let made = Cell::new(0);
    let mut select = Select::new();
    for (place, held) in held.iter().enumerate() {
        match held {
            Held::Send(channel, sender) => {
                let (channel, made) = (*channel, &made);
                let make = move || {
                    let letter = world.ledger.make(channel);
                    made.set(letter.number);
                    letter
                };
                select.send(sender, make, move |sent| Done::Sent(channel, made.get(), sent));
            }
            Held::Receive(channel, receiver) => {
                let channel = *channel;
                select.recv(receiver, move |received| Done::Received(place, channel, received));
            }
            Held::Listen(broadcast, place, listener) => {
                let (broadcast, place) = (*broadcast, *place);
                select.recv(listener, move |told| Done::Heard(broadcast, place, told.into()));
            }
        }
    }
    match patience {
        Patience::None => select.try_wait(),
        Patience::For(time) => select.wait_timeout(time),
        Patience::Endless => Some(select.wait()),
    }
}

/// Somebody is at work; over when this is dropped, whatever way.
struct Busy<'a> {
    /// Where that is known.
    world: &'a World,
    /// Who.
    me: usize,
    /// The message that it sends, which a cancel may leave in anybody's hands.
    sends: Cell<Option<usize>>,
}

impl Busy<'_> {
    fn begin<'a>(world: &'a World, me: usize, held: &[Held], selects: bool) -> Busy<'a> {
        let arms = held.iter().map(|held| match held {
            Held::Send(channel, _) => Arm::Send(*channel),
            Held::Receive(channel, _) => Arm::Receive(*channel),
            Held::Listen(broadcast, place, _) => Arm::Listen(*broadcast, *place),
        });
        world.begin(me, arms.collect(), selects);
        Busy { world, me, sends: Cell::new(None) }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.sends.get() {
            self.world.ledger.over(number, Over::Cancelled);
        }
        self.world.end_of_work(self.me);
    }
}
