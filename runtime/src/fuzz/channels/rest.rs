//! What must hold once nobody can go on, and at the end.
//!
//! At rest no operation is half done: each message is in a channel, or with somebody who waits in a `send`.

use super::party::Patience;
use super::world::{Arm, World};

impl World {
    /// Nobody is ready. Whoever waits, waits for what is not there.
    pub(super) fn check_rest(&self) {
        (0..self.channel_count()).for_each(|channel| self.check_channel(channel));
        let broadcasts = self.broadcasts.borrow();
        broadcasts.iter().for_each(|broadcast| broadcast.check(&self.ledger));
        for party in self.parties.borrow().iter() {
            for arm in party.work.iter().flat_map(|work| &work.arms) {
                if let Arm::Listen(broadcast, place) = arm {
                    assert!(!broadcasts[*broadcast].concerns(*place), "it waits for what is there: {self:?}");
                }
            }
        }
    }

    /// Those who wait at a channel: how many in a `send`, and who else.
    fn check_channel(&self, channel: usize) {
        let (bringing, senders, receivers) = self.waiting(channel);
        let alive = self.ledger.alive(channel);
        let (capacity, len) = {
            let channel = &self.channels.borrow()[channel];
            (channel.capacity, channel.sender.as_ref().and_then(|sender| sender.len()))
        };
        let inside = alive.checked_sub(bringing).expect("whoever waits in a send has a message");
        if capacity > 0 {
            assert!(inside <= capacity, "{inside} of {capacity}");
            assert!(len.is_none_or(|len| len == inside), "{len:?} are said to be in it, {inside} are: {self:?}");
        }
        if self.has_receiver(channel) {
            assert_eq!(self.ledger.lost(channel), None, "a message was lost: {self:?}");
        } else {
            assert_eq!(alive, 0, "nobody will receive it: {self:?}");
        }
        if !receivers.is_empty() {
            assert!(alive == 0 && self.has_sender(channel), "a receiver waits for what is there: {self:?}");
        }
        if !senders.is_empty() {
            assert!(inside >= capacity && self.has_receiver(channel), "a sender waits for nothing: {self:?}");
            let meets = |sender| capacity == 0 && receivers.iter().any(|receiver| *receiver != sender);
            assert!(!senders.iter().any(|sender| meets(*sender)), "they do not meet: {self:?}");
        }
    }

    /// How many wait in a `send`; who waits to send, by that or by a select; who to receive.
    fn waiting(&self, channel: usize) -> (usize, Vec<usize>, Vec<usize>) {
        let (mut bringing, mut senders, mut receivers) = (0, Vec::new(), Vec::new());
        for (party, work) in self.parties.borrow().iter().enumerate() {
            let Some(work) = &work.work else { continue };
            if work.arms.contains(&Arm::Send(channel)) {
                senders.push(party);
                bringing += usize::from(!work.selects);
            }
            if work.arms.contains(&Arm::Receive(channel)) {
                receivers.push(party);
            }
        }
        (bringing, senders, receivers)
    }

    /// Receives what is left, where somebody can.
    pub(super) fn drain(&self) {
        for channel in 0..self.channel_count() {
            let mut receiver = self.channels.borrow_mut()[channel].receiver.take();
            while let Some(end) = receiver.take() {
                let (received, left) = end.receive(Patience::None);
                receiver = if received.is_ok() { left } else { None };
                self.received(channel, received);
            }
            assert_eq!(self.ledger.alive(channel), 0, "{self:?}");
        }
    }

    /// Drops everything; nothing is left.
    pub(super) fn end(&self) {
        let (channels, broadcasts) = (self.channels.take(), self.broadcasts.take());
        drop((channels, broadcasts));
        assert_eq!(self.ledger.kept(), 0, "a message was never dropped: {self:?}");
    }
}
