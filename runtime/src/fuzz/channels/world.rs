//! Who holds what and waits for what, and what each answer proves about that.
//!
//! Whatever an end or a message does when it is dropped, it calls nothing in here, and runs nobody else.

use super::LISTENERS;
use super::broadcast::{Broadcast, Heard};
use super::ends::{self, Receiver, Sender, Unreceived, Unsent};
use super::ledger::{Ledger, Letter, Over};
use super::party::{Held, Order};
use crate::sync::broadcast::Receiver as Listener;
use crate::thread::LocalJoinHandle;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

/// What is done at one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arm {
    Send(usize),
    Receive(usize),
    /// At a broadcast, by the listener at a place.
    Listen(usize, usize),
}

/// A channel whose messages go to one receiver each.
pub(super) struct Channel {
    /// The sender that others are cloned from.
    pub(super) sender: Option<Sender>,
    /// As above.
    pub(super) receiver: Option<Receiver>,
    /// How many messages it can hold.
    pub(super) capacity: usize,
    /// When the send of that message began which did so last of all that were received.
    latest: Cell<u64>,
    /// Whether a select ever was to send here.
    select_sends: Cell<bool>,
}

/// What somebody is at.
#[derive(Debug)]
pub(super) struct Work {
    /// At which channels, and what.
    pub(super) arms: Vec<Arm>,
    /// Whether by a select, which brings no message before it is chosen.
    pub(super) selects: bool,
}

/// A place for a party.
#[derive(Default)]
pub(super) struct Party {
    /// Who is there; `None` if the place is free.
    handle: Option<LocalJoinHandle<()>>,
    /// Whether it is to end.
    cancelled: bool,
    /// What it has been told and has not begun.
    order: Option<Order>,
    /// What it is at, and perhaps waits in.
    pub(super) work: Option<Work>,
}

/// See the heading.
pub(super) struct World {
    /// Every message.
    pub(super) ledger: Arc<Ledger>,
    /// Channels, in the order in which they were opened.
    pub(super) channels: RefCell<Vec<Channel>>,
    /// Those whose messages go to all.
    pub(super) broadcasts: RefCell<Vec<Broadcast>>,
    /// Places for parties.
    pub(super) parties: RefCell<Vec<Party>>,
}

impl World {
    pub(super) fn new(parties: usize) -> World {
        let parties = (0..parties).map(|_| Party::default()).collect();
        World {
            ledger: Ledger::new(),
            channels: RefCell::default(),
            broadcasts: RefCell::default(),
            parties: RefCell::new(parties),
        }
    }

    // ---- parties ---------------------------------------------------------------------------------------------------

    pub(super) fn exists(&self, party: usize) -> bool {
        self.parties.borrow()[party].handle.is_some()
    }

    pub(super) fn is_idle(&self, party: usize) -> bool {
        let party = &self.parties.borrow()[party];
        party.handle.is_some() && !party.cancelled && party.order.is_none() && party.work.is_none()
    }

    pub(super) fn seat(&self, party: usize, handle: LocalJoinHandle<()>) {
        self.parties.borrow_mut()[party] = Party { handle: Some(handle), ..Party::default() };
    }

    /// The handle of one that has ended, and whether it was cancelled.
    pub(super) fn remove_ended(&self, party: usize) -> Option<(LocalJoinHandle<()>, bool)> {
        let party = &mut self.parties.borrow_mut()[party];
        party.handle.as_ref().filter(|handle| handle.is_finished())?;
        Some((party.handle.take()?, party.cancelled))
    }

    pub(super) fn give(&self, party: usize, order: Order) {
        self.parties.borrow_mut()[party].order = Some(order);
        self.unpark(party);
    }

    pub(super) fn order(&self, me: usize) -> Option<Order> {
        self.parties.borrow_mut()[me].order.take()
    }

    /// Also of one that waits for something else, which that must not end.
    pub(super) fn unpark(&self, party: usize) {
        if let Some(handle) = &self.parties.borrow()[party].handle {
            handle.thread().unpark();
        }
    }

    pub(super) fn cancel(&self, party: usize) {
        let party = &mut self.parties.borrow_mut()[party];
        if let Some(handle) = &party.handle {
            party.cancelled = true;
            handle.cancel();
        }
    }

    pub(super) fn begin(&self, me: usize, arms: Vec<Arm>, selects: bool) {
        if selects {
            let sends = arms.iter().filter_map(|arm| if let Arm::Send(channel) = arm { Some(*channel) } else { None });
            sends.for_each(|channel| self.channels.borrow()[channel].select_sends.set(true));
        }
        self.parties.borrow_mut()[me].work = Some(Work { arms, selects });
    }

    pub(super) fn end_of_work(&self, me: usize) {
        let Some(work) = self.parties.borrow_mut()[me].work.take() else { return };
        for arm in work.arms {
            if let Arm::Listen(broadcast, place) = arm {
                self.broadcasts.borrow_mut()[broadcast].forget_unless_back(place);
            }
        }
    }

    /// How many are at this.
    pub(super) fn workers(&self, arm: Arm) -> usize {
        let parties = self.parties.borrow();
        parties.iter().filter(|party| party.work.as_ref().is_some_and(|work| work.arms.contains(&arm))).count()
    }

    // ---- ends ------------------------------------------------------------------------------------------------------

    pub(super) fn open(&self, kind: u8) {
        let (sender, receiver, capacity) = ends::open(kind);
        let (latest, select_sends) = (Cell::new(0), Cell::new(false));
        let (sender, receiver) = (Some(sender), Some(receiver));
        self.channels.borrow_mut().push(Channel { sender, receiver, capacity, latest, select_sends });
    }

    pub(super) fn open_broadcast(&self, capacity: usize) {
        let mut broadcasts = self.broadcasts.borrow_mut();
        let name = usize::MAX - broadcasts.len();
        broadcasts.push(Broadcast::new(name, capacity, LISTENERS));
    }

    pub(super) fn channel_count(&self) -> usize {
        self.channels.borrow().len()
    }

    /// An end for an operation, if there is one: a clone, or the only one there is.
    pub(super) fn hold(&self, arm: Arm, selects: bool) -> Option<Held> {
        let mut channels = self.channels.borrow_mut();
        match arm {
            Arm::Send(channel) => {
                let sender = &mut channels[channel].sender;
                let other = sender.as_ref()?.another();
                let held = if selects { other } else { other.or_else(|| sender.take()) };
                held.map(|sender| Held::Send(channel, sender))
            }
            Arm::Receive(channel) => {
                let receiver = &mut channels[channel].receiver;
                let held = receiver.as_ref()?.another().or_else(|| receiver.take());
                held.map(|receiver| Held::Receive(channel, receiver))
            }
            Arm::Listen(broadcast, place) => {
                let listener = self.broadcasts.borrow_mut()[broadcast].hold(place)?;
                Some(Held::Listen(broadcast, place, listener))
            }
        }
    }

    /// The only receiver comes back; a clone is dropped.
    pub(super) fn put_back(&self, channel: usize, receiver: Option<Receiver>) {
        if let Some(receiver @ Receiver::Once(_)) = receiver {
            self.channels.borrow_mut()[channel].receiver = Some(receiver);
        }
    }

    pub(super) fn drop_sender(&self, channel: usize) {
        let sender = self.channels.borrow_mut()[channel].sender.take();
        drop(sender);
    }

    pub(super) fn drop_receiver(&self, channel: usize) {
        let receiver = self.channels.borrow_mut()[channel].receiver.take();
        drop(receiver);
    }

    /// Whether anybody can still send.
    pub(super) fn has_sender(&self, channel: usize) -> bool {
        self.channels.borrow()[channel].sender.is_some() || self.workers(Arm::Send(channel)) > 0
    }

    /// Whether anybody can still receive.
    pub(super) fn has_receiver(&self, channel: usize) -> bool {
        self.channels.borrow()[channel].receiver.is_some() || self.workers(Arm::Receive(channel)) > 0
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    pub(super) fn sent(&self, channel: usize, number: usize, sent: Result<(), Unsent>) {
        self.ledger.over(number, if sent.is_ok() { Over::Sent } else { Over::Refused });
        let capacity = self.channels.borrow()[channel].capacity;
        match &sent {
            Ok(()) => {}
            Err(Unsent::Full(letter)) => {
                assert_eq!(letter.number, number);
                assert!(self.ledger.alive(channel) > capacity, "there is room: {self:?}");
            }
            Err(Unsent::Late(letter)) => assert_eq!(letter.number, number),
            Err(Unsent::Gone(letter)) => {
                assert_eq!(letter.number, number);
                assert!(!self.has_receiver(channel), "there is a receiver: {self:?}");
            }
        }
    }

    pub(super) fn received(&self, channel: usize, received: Result<Letter, Unreceived>) {
        match received {
            Ok(letter) => self.in_order(channel, &letter),
            Err(Unreceived::Empty) => assert!(self.is_empty(channel), "there is a message: {self:?}"),
            Err(Unreceived::Gone) => {
                assert!(!self.has_sender(channel), "there is a sender: {self:?}");
                assert_eq!(self.ledger.alive(channel), 0, "there is a message: {self:?}");
            }
            Err(Unreceived::Late) => {}
        }
    }

    /// Whether "empty" is true. Room that is kept for a select, which was chosen and has not come, keeps out for so long who
    /// waits in a `send`: its message is not in the channel yet.
    fn is_empty(&self, channel: usize) -> bool {
        let waits_for_select = self.channels.borrow()[channel].select_sends.get();
        let there = if waits_for_select { self.ledger.inside(channel) } else { self.ledger.alive(channel) };
        there == 0
    }

    fn in_order(&self, channel: usize, letter: &Letter) {
        let fate = self.ledger.receive(letter, channel);
        let channels = self.channels.borrow();
        let Channel { latest, select_sends, .. } = &channels[channel];
        assert!(fate.over.is_none_or(|(over, _)| latest.get() < over), "overtaken by one that was sent after it");
        assert!(select_sends.get() || latest.get() < fate.began, "overtaken by one that waited less");
        latest.set(latest.get().max(fate.began));
    }

    /// A select without patience has done nothing: none of its arms could go on.
    pub(super) fn nothing_done(&self, me: usize) {
        let parties = self.parties.borrow();
        for arm in parties[me].work.iter().flat_map(|work| &work.arms) {
            match *arm {
                Arm::Send(channel) => {
                    let capacity = self.channels.borrow()[channel].capacity;
                    assert!(self.ledger.alive(channel) >= capacity, "there is room: {self:?}");
                    assert!(self.has_receiver(channel), "an error could be had: {self:?}");
                }
                Arm::Receive(channel) => {
                    assert!(self.is_empty(channel), "there is a message: {self:?}");
                    assert!(self.has_sender(channel), "an error could be had: {self:?}");
                }
                Arm::Listen(broadcast, place) => {
                    let concerned = self.broadcasts.borrow()[broadcast].concerns(place);
                    assert!(!concerned, "there is something to hear: {self:?}");
                }
            }
        }
    }

    // ---- broadcasts ------------------------------------------------------------------------------------------------

    pub(super) fn announce(&self, broadcast: usize) {
        self.broadcasts.borrow_mut()[broadcast].send(&self.ledger);
    }

    pub(super) fn subscribe(&self, broadcast: usize, place: usize) {
        self.broadcasts.borrow_mut()[broadcast].subscribe(place);
    }

    pub(super) fn unsubscribe(&self, broadcast: usize, place: usize) {
        self.broadcasts.borrow_mut()[broadcast].unsubscribe(place);
    }

    pub(super) fn stop_listening(&self, broadcast: usize, place: usize, listener: Listener<Letter>) {
        self.broadcasts.borrow_mut()[broadcast].put_back(place, listener);
    }

    pub(super) fn heard(&self, broadcast: usize, place: usize, heard: Heard, late: bool) {
        self.broadcasts.borrow_mut()[broadcast].heard(place, &heard, late);
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parties = self.parties.borrow();
        let work: Vec<_> = parties.iter().filter_map(|party| party.work.as_ref()).collect();
        f.debug_struct("World").field("work", &work).field("ledger", &self.ledger).finish_non_exhaustive()
    }
}
