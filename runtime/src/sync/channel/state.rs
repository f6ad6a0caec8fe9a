//! What a channel is, under its lock: messages, those who wait for one, and those who wait to be rid of one.
//!
//! Owns every rule about who gets what. Never blocks, wakes or drops a message: it gives out whom to wake, and the caller
//! does that once the lock is free.
//!
//! Invariant 1: while a receiver stands in the line, there are no more messages in the queue than receivers that have been
//! chosen and have not come yet. Whoever puts a message into the queue chooses a receiver for it; one that was chosen and
//! leaves without a message chooses another in its stead.
//! Invariant 2: while a sender stands in the line, there is no more room in the queue than senders (those of selects) that
//! have been chosen and have not come yet. Whoever makes room chooses a sender for it, and takes its message at once
//! if it brought one; a select that was chosen and leaves the room unused chooses another in its stead.
//! Invariant 3: without capacity, a receiver and a sender stand in the lines at the same time only if one of them has been
//! chosen, or belongs to a select that is over, or both belong to one.
//! Invariant 4: once the receivers are gone the queue is empty for ever.

use super::choice::Seat;
use super::line::{Line, Number, Standing};
use crate::waiter::Waiter;
use std::collections::VecDeque;
use std::sync::mpsc::{TryRecvError, TrySendError};

/// For how many messages an empty queue keeps memory, and as much again for what is set aside: a burst does not own it for ever.
const KEPT: usize = 1024;

/// Fewer messages are not set aside. In models one is not too few.
const FEW: usize = if cfg!(dormouse_loom) { 1 } else { 4 };

/// Of a long queue, so many at a time.
const SOME: usize = 256;

/// Whom to wake, once the lock is free.
#[derive(Debug, Default)]
#[must_use]
pub(in crate::sync) struct Wakes([Option<Waiter>; 2]);

impl Wakes {
    /// `false` if one of them will never come; the channel's `wake` then sees to the others.
    #[inline]
    #[must_use]
    pub(super) fn wake(self) -> bool {
        let [one, other] = self.0;
        one.is_none_or(Waiter::wake_chosen) & other.is_none_or(Waiter::wake_chosen)
    }
}

impl From<Option<Waiter>> for Wakes {
    fn from(one: Option<Waiter>) -> Wakes {
        Wakes([one, None])
    }
}

/// The two ends of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync) enum End {
    Sender,
    Receiver,
}

/// See the heading.
pub(super) struct State<T> {
    /// Messages sent and not received.
    queue: VecDeque<T>,
    /// Of the messages that were set aside (`stash.rs`) no more than so many are left; the queue's are behind them.
    set_aside: usize,
    /// So many receives to come before messages are set aside again: as many as were put before others to take them back.
    rest: usize,
    /// How many messages the queue may hold, those set aside included.
    capacity: usize,
    /// Messages that selects are about to send.
    reserved: usize,
    /// Those who wait for a message.
    receivers: Line<()>,
    /// Those who wait for room: a `send` brought its message, a select did not.
    senders: Line<Option<T>>,
    /// How many handles to send with there are.
    sender_count: usize,
    /// How many handles to receive with there are.
    receiver_count: usize,
}

impl<T> State<T> {
    pub(super) fn new(capacity: usize) -> State<T> {
        State {
            queue: VecDeque::new(),
            set_aside: 0,
            rest: 0,
            capacity,
            reserved: 0,
            receivers: Line::new(),
            senders: Line::new(),
            sender_count: 1,
            receiver_count: 1,
        }
    }

    // ---- messages --------------------------------------------------------------------------------------------------

    /// Whether a message need not wait, nor be for a receiver at once.
    #[inline(always)]
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() + self.set_aside + self.reserved < self.capacity
    }

    #[inline(always)]
    fn is_rendezvous(&self) -> bool {
        self.capacity == 0
    }

    /// Sends, where there is room and somebody to receive (invariant 1).
    #[inline(always)]
    pub(super) fn push(&mut self, message: T) -> Option<Waiter> {
        self.queue.push_back(message);
        self.choose_receiver()
    }

    #[inline(always)]
    fn choose_receiver(&mut self) -> Option<Waiter> {
        self.receivers.claim(None, |()| true).map(|(waiter, ())| waiter)
    }

    /// Sends without waiting.
    #[inline]
    pub(super) fn put(&mut self, message: T) -> Result<Option<Waiter>, TrySendError<T>> {
        if self.receiver_count == 0 {
            return Err(TrySendError::Disconnected(message));
        }
        if self.has_room() {
            return Ok(self.push(message));
        }
        if self.is_rendezvous()
            && let Some(waiter) = self.choose_receiver()
        {
            self.queue.push_back(message);
            return Ok(Some(waiter));
        }
        Err(TrySendError::Full(message))
    }

    /// Receives without waiting.
    #[inline]
    pub(super) fn take(&mut self) -> Result<(T, Wakes), TryRecvError> {
        if let Some(message) = self.queue.pop_front() {
            return Ok((message, self.admit()));
        }
        self.take_cold()
    }

    /// The first message, without making use of its room.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.queue.pop_front()
    }

    /// Whether somebody waits for the room that a message has left: then [`admit`](State::admit) is due.
    #[inline(always)]
    pub(super) fn is_awaited(&self) -> bool {
        !self.senders.is_empty()
    }

    /// Whether there is certainly nothing to be taken from an empty queue and nothing to tidy up.
    #[inline(always)]
    pub(super) fn is_plainly_empty(&self) -> bool {
        let is_tidy = size_of::<T>() == 0 || self.queue.capacity() <= KEPT;
        is_tidy && self.sender_count > 0 && !self.is_rendezvous()
    }

    fn take_cold(&mut self) -> Result<(T, Wakes), TryRecvError> {
        if self.queue.capacity() > KEPT && size_of::<T>() > 0 {
            self.queue.shrink_to(KEPT);
        }
        if self.is_rendezvous()
            && let Some((waiter, Some(message))) = self.senders.claim(None, Option::is_some)
        {
            return Ok((message, Some(waiter).into()));
        }
        Err(if self.sender_count == 0 { TryRecvError::Disconnected } else { TryRecvError::Empty })
    }

    /// Invariant 2: there may be room for one more.
    #[inline]
    pub(super) fn admit(&mut self) -> Wakes {
        if self.senders.is_empty() || !self.has_room() { Wakes::default() } else { self.admit_cold() }
    }

    #[cold]
    fn admit_cold(&mut self) -> Wakes {
        match self.senders.claim(None, |_| true) {
            None => Wakes::default(),
            Some((sender, None)) => Some(sender).into(),
            Some((sender, Some(message))) => Wakes([Some(sender), self.push(message)]),
        }
    }

    // ---- messages set aside ----------------------------------------------------------------------------------------

    /// No more than so many are left of those set aside.
    #[inline(always)]
    pub(super) fn set_aside_are(&mut self, count: usize) {
        self.set_aside = count;
    }

    /// Whether any were set aside and not taken back.
    #[inline(always)]
    pub(super) fn has_set_aside(&self) -> bool {
        self.set_aside > 0
    }

    /// At a receive: whether setting messages aside may save the next ones something, and nobody waits for the room that they leave.
    #[inline(always)]
    pub(super) fn is_worth_setting_aside(&mut self) -> bool {
        let rests = self.rest > 0;
        self.rest -= usize::from(rests);
        !rests && self.queue.len() >= FEW && self.senders.is_empty() && !self.is_rendezvous()
    }

    /// Moves the oldest messages to where they are set aside. All, if the memory for them is not more than an empty queue keeps.
    pub(super) fn set_aside(&mut self, place: &mut VecDeque<T>) {
        if self.queue.capacity() <= KEPT {
            std::mem::swap(&mut self.queue, place);
        } else {
            place.extend(self.queue.drain(..SOME.min(self.queue.len())));
        }
    }

    /// Takes them back, by moving the fewer. It moves none a second time that was not received in between, and sent: those of the
    /// queue came since messages were set aside, and for the others there is a rest.
    pub(super) fn take_back(&mut self, place: &mut VecDeque<T>) {
        if place.len() < self.queue.len() {
            self.rest = place.len();
            return place.drain(..).rev().for_each(|message| self.queue.push_front(message));
        }
        place.append(&mut self.queue);
        std::mem::swap(&mut self.queue, place);
        if place.capacity() > KEPT && size_of::<T>() > 0 {
            *place = VecDeque::new();
        }
    }

    // ---- waiting ---------------------------------------------------------------------------------------------------

    /// A receiver that found nothing takes its place. A select that wants to send to a rendezvous is chosen to come and meet it.
    #[inline(always)]
    pub(super) fn await_message(&mut self, had: Option<Number>, standing: Standing) -> (Number, Option<Waiter>) {
        let met = if self.is_rendezvous() && !self.senders.is_empty() {
            self.senders.claim(standing.seat.as_ref(), |_| true)
        } else {
            None
        };
        (self.receivers.join(had, standing, ()), met.map(|(waiter, _)| waiter))
    }

    /// A sender that found no room takes its place.
    pub(super) fn await_room(&mut self, had: Option<Number>, standing: Standing, message: Option<T>) -> Number {
        self.senders.join(had, standing, message)
    }

    /// A receiver waits no more, and will look for a message.
    #[inline(always)]
    pub(super) fn leave_receivers(&mut self, number: Number) {
        self.receivers.leave(number);
    }

    /// A receiver waits no more, and will not look for a message (invariant 1).
    pub(super) fn give_up_receiving(&mut self, number: Number) -> Option<Waiter> {
        let chosen = self.receivers.leave(number).is_none();
        if chosen { self.pass_on_message() } else { None }
    }

    /// A sender waits no more; gives back what it brought, or `None` if that was sent (or the select chosen).
    pub(super) fn leave_senders(&mut self, number: Number) -> Option<Option<T>> {
        self.senders.leave(number)
    }

    /// One that was chosen to receive did not (invariant 1).
    pub(super) fn pass_on_message(&mut self) -> Option<Waiter> {
        if self.queue.is_empty() { None } else { self.choose_receiver() }
    }

    /// One that was chosen to send did not (invariants 2 and 3).
    pub(super) fn pass_on_room(&mut self) -> Wakes {
        if !self.is_rendezvous() {
            return self.admit();
        }
        let awaited = self.receivers.has_free(None, |()| true);
        let next = if awaited { self.senders.claim(None, Option::is_none) } else { None };
        next.map(|(waiter, _)| waiter).into()
    }

    // ---- selects ---------------------------------------------------------------------------------------------------

    /// Whether an arm that receives need not wait.
    pub(super) fn can_take(&self, seat: &Seat) -> bool {
        let offered = || self.is_rendezvous() && self.senders.has_free(Some(seat), Option::is_some);
        !self.queue.is_empty() || self.sender_count == 0 || offered()
    }

    /// Whether an arm that sends need not wait.
    pub(super) fn can_put(&self, seat: &Seat) -> bool {
        let awaited = || self.is_rendezvous() && self.receivers.has_free(Some(seat), |()| true);
        self.receiver_count == 0 || self.has_room() || awaited()
    }

    /// Promises room to a message that is yet to be made. The waiter is of the receiver that it is for, if there is no other room.
    pub(super) fn reserve(&mut self) -> Result<Option<Waiter>, TrySendError<()>> {
        if self.receiver_count == 0 {
            return Err(TrySendError::Disconnected(()));
        }
        let receiver = if self.is_rendezvous() { self.choose_receiver() } else { None };
        if receiver.is_none() && !self.has_room() {
            return Err(TrySendError::Full(()));
        }
        self.reserved += 1;
        Ok(receiver)
    }

    /// Sends what room was promised to. A receiver is chosen, though [`reserve`](State::reserve) may have chosen one: that
    /// one may have given up since then, with no message to pass on (invariant 1). The one too many waits on in its place.
    pub(super) fn fulfil(&mut self, message: T) -> Result<Option<Waiter>, T> {
        self.reserved -= 1;
        if self.receiver_count == 0 { Err(message) } else { Ok(self.push(message)) }
    }

    /// There will be no message.
    pub(super) fn release(&mut self) -> Wakes {
        self.reserved -= 1;
        self.admit()
    }

    // ---- ends ------------------------------------------------------------------------------------------------------

    fn count(&mut self, end: End) -> &mut usize {
        match end {
            End::Sender => &mut self.sender_count,
            End::Receiver => &mut self.receiver_count,
        }
    }

    /// One more handle.
    pub(super) fn attach(&mut self, end: End) {
        *self.count(end) += 1;
    }

    /// One handle less; `true` if it was the last. Then all that wait at the other end are to be roused.
    pub(super) fn detach(&mut self, end: End) -> bool {
        let count = self.count(end);
        *count -= 1;
        *count == 0
    }

    /// Whether the handles of the end are gone.
    #[inline(always)]
    pub(super) fn is_gone(&self, end: End) -> bool {
        match end {
            End::Sender => self.sender_count == 0,
            End::Receiver => self.receiver_count == 0,
        }
    }

    /// All messages, of which none will be received.
    pub(super) fn discard(&mut self) -> VecDeque<T> {
        std::mem::take(&mut self.queue)
    }

    /// Whom to wake next of those who wait at this end, each once, beginning with `from`.
    pub(super) fn rouse(&mut self, end: End, from: Number) -> Option<(Number, Waiter)> {
        match end {
            End::Sender => self.senders.rouse(from, self.senders.end()),
            End::Receiver => self.receivers.rouse(from, self.receivers.end()),
        }
    }

    // ---- figures ---------------------------------------------------------------------------------------------------

    /// Messages in the queue and, which are so many, set aside; none in a rendezvous, where what was handed over counts as received.
    pub(super) fn len(&self, set_aside: usize) -> usize {
        if self.is_rendezvous() { 0 } else { self.queue.len() + set_aside }
    }

    /// Whether a message would have to wait.
    pub(super) fn is_full(&self) -> bool {
        !self.has_room()
    }

    /// `None` if there is no limit.
    pub(super) fn capacity(&self) -> Option<usize> {
        (self.capacity != usize::MAX).then_some(self.capacity)
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod model_tests;
