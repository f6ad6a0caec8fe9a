//! Random calls on the state, against what must hold whatever was called: the order of messages, and that nobody is
//! forgotten in a line.

use super::*;
use crate::waiter::Wait;
use proptest::prelude::*;

/// What one party does.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Sends, or else does not wait.
    Put,
    /// Sends, or waits for room with its message.
    Offer,
    /// Receives, or else does not wait.
    Take,
    /// A receiver sets messages aside.
    SetAside,
    /// Receives what was set aside.
    TakeAside,
    /// Receives, or waits.
    Wait,
    /// One that waits for a message comes to look for it, and if there is none waits on in its old place.
    Come(usize),
    /// One that waits for a message goes.
    GiveUp(usize),
    /// One that waits for room goes, with its message unless that was sent.
    Withdraw(usize),
}

/// Acts of a run. Fewer under Miri, which is a thousand times slower.
const ACTS: usize = if cfg!(miri) { 40 } else { 200 };

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => Just(Act::Put),
        3 => Just(Act::Offer),
        2 => Just(Act::Take),
        2 => Just(Act::SetAside),
        3 => Just(Act::TakeAside),
        4 => Just(Act::Wait),
        3 => any::<usize>().prop_map(Act::Come),
        1 => any::<usize>().prop_map(Act::GiveUp),
        1 => any::<usize>().prop_map(Act::Withdraw),
    ];
    prop::collection::vec(act, 1..ACTS)
}

struct World {
    state: State<u32>,
    /// Messages set aside.
    aside: VecDeque<u32>,
    /// The number of the next message.
    next: u32,
    /// Messages in the channel, in the order in which they are to come out.
    inside: VecDeque<u32>,
    /// Receivers that wait, or were chosen and have not come.
    receivers: Vec<Number>,
    /// Senders that wait, or whose message was taken and that have not noticed.
    senders: Vec<Number>,
}

fn standing() -> Standing {
    Standing { waiter: Wait::begin().waiter(), seat: None }
}

impl World {
    fn new(capacity: usize) -> World {
        let state = State::new(capacity);
        World {
            state,
            aside: VecDeque::new(),
            next: 0,
            inside: VecDeque::new(),
            receivers: Vec::new(),
            senders: Vec::new(),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Put | Act::Offer => self.look_for_room(),
            Act::TakeAside => {}
            _ => self.take_back(),
        }
        let pick = |index: usize, all: &mut Vec<Number>| (!all.is_empty()).then(|| all.swap_remove(index % all.len()));
        match act {
            Act::Put => drop(self.put(false)),
            Act::Offer => drop(self.put(true)),
            Act::Take => drop(self.take()),
            Act::SetAside if self.state.is_worth_setting_aside() => {
                self.state.set_aside(&mut self.aside);
                self.state.set_aside_are(self.aside.len());
            }
            Act::SetAside => {}
            Act::TakeAside => {
                if let Some(message) = self.aside.pop_front() {
                    assert_eq!(self.inside.pop_front(), Some(message));
                }
            }
            Act::Wait => self.take_or_wait(None),
            Act::Come(index) => {
                if let Some(number) = pick(index, &mut self.receivers) {
                    self.state.leave_receivers(number);
                    self.take_or_wait(Some(number));
                }
            }
            Act::GiveUp(index) => {
                if let Some(number) = pick(index, &mut self.receivers) {
                    drop(self.state.give_up_receiving(number));
                }
            }
            Act::Withdraw(index) => {
                if let Some(number) = pick(index, &mut self.senders)
                    && let Some(Some(message)) = self.state.leave_senders(number)
                {
                    self.inside.retain(|inside| *inside != message);
                }
            }
        }
    }

    /// As whoever takes the channel's lock does.
    fn take_back(&mut self) {
        self.state.take_back(&mut self.aside);
        self.state.set_aside_are(0);
    }

    /// As whoever takes it to send does.
    fn look_for_room(&mut self) {
        if self.state.has_set_aside() && !self.state.has_room() {
            self.state.set_aside_are(self.aside.len());
            if !self.state.has_room() {
                self.take_back();
            }
        }
    }

    fn put(&mut self, wait: bool) -> Option<Waiter> {
        let message = self.next;
        self.next += 1;
        match self.state.put(message) {
            Ok(waiter) => {
                self.inside.push_back(message);
                waiter
            }
            Err(TrySendError::Full(message)) if wait => {
                self.senders.push(self.state.await_room(None, standing(), Some(message)));
                self.inside.push_back(message);
                None
            }
            Err(error) => {
                assert_eq!(error, TrySendError::Full(message));
                None
            }
        }
    }

    /// Whether there was a message; it was the oldest.
    fn take(&mut self) -> bool {
        match self.state.take() {
            Ok((message, _)) => {
                assert_eq!(self.inside.pop_front(), Some(message));
                true
            }
            Err(error) => {
                assert_eq!(error, TryRecvError::Empty);
                assert!(self.inside.is_empty(), "there was a message");
                false
            }
        }
    }

    fn take_or_wait(&mut self, had: Option<Number>) {
        if !self.take() {
            self.receivers.push(self.state.await_message(had, standing()).0);
        }
    }

    /// The invariants of the state.
    fn check(&self) {
        let (waiting, queued) = (self.state.receivers.len(), self.state.queue.len() + self.aside.len());
        let chosen = self.receivers.len() - waiting;
        assert!(waiting == 0 || queued <= chosen, "invariant 1: {queued} messages, {chosen} chosen, {waiting} wait");
        assert!(self.state.senders.is_empty() || !self.state.has_room(), "invariant 2");
        assert!(!self.state.is_rendezvous() || waiting == 0 || self.state.senders.is_empty(), "invariant 3");
        assert!(self.state.is_rendezvous() || queued <= self.state.capacity);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_come_out_in_order_and_nobody_is_forgotten(capacity in 0usize..9, acts in acts()) {
        let mut world = World::new(capacity);
        for act in acts {
            world.act(act);
            world.check();
        }
        world.take_back();
        while world.take() {}
        prop_assert_eq!(world.state.queue.len(), 0);
    }
}
