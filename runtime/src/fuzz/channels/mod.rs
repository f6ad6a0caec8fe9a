//! Every kind of channel, used by coroutines in an order that bytes choose, with selects, timeouts, cancels and drops.
//!
//! All run on one worker, and the driver among them says who does what next and when others run: so at each moment it is known
//! which operations are over, and what each answers is checked against what a sequence of operations could answer.
//!
//! | room | owns |
//! |---|---|
//! | `ledger` | where each message is: made, sent, received, dropped |
//! | `ends` | the ends of the channels of one receiver a message, of whatever kind |
//! | `broadcast` | those whose messages go to all, beside a list |
//! | `world` | who holds and awaits what, and what each answer proves |
//! | `rest` | what must hold once nobody can go on |
//! | `party` | a coroutine that does what it is told |
//!
//! What must hold:
//!
//! 1. A message is received at most once; one whose `send` returned `Ok` is lost only with the last receiver; one that was
//!    refused comes back; the message of a cancelled send is received or dropped.
//! 2. A message whose send was over before that of another began is received before it; and where no select sends, messages
//!    are received in the order in which their sends began.
//! 3. "Empty", "full", "disconnected" are true at the moment they are said, and no timeout is early.
//! 4. Once all has come to rest, nobody waits for what another waits to give, or for what will never come.

mod broadcast;
mod ends;
mod ledger;
mod party;
mod rest;
mod world;

use super::STEPS;
use super::input::Input;
use crate::sync::LazyLock;
use crate::{Builder, Cancelled, Runtime, thread};
use party::{Order, Patience};
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use world::{Arm, World};

/// Coroutines at one time.
const PARTIES: usize = 6;
/// Channels of a program, at most; broadcasts besides.
const CHANNELS: usize = 6;
/// Broadcasts, and listeners of each.
const BROADCASTS: usize = 2;
const LISTENERS: usize = 4;

/// When a program counts as hung: others may keep the processor for a while.
const LIMIT: Duration = Duration::from_secs(100);

/// One runtime for all programs: to start one takes longer than most programs do.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new().workers(1).build().expect("a runtime can be had"));

pub(super) fn run(bytes: &[u8]) {
    let (bytes, (done, ended)) = (bytes.to_vec(), channel::<()>());
    let program = RUNTIME.spawn(move || {
        let _done = done;
        Driver::new(&mut Input::new(&bytes)).drive();
    });
    assert!(ended.recv_timeout(LIMIT) != Err(RecvTimeoutError::Timeout), "hung: not done within {LIMIT:?}");
    if let Err(fault) = program.join() {
        std::panic::resume_unwind(fault);
    }
}

/// The coroutine that says who does what.
struct Driver<'a, 'b> {
    /// What is to be done.
    input: &'a mut Input<'b>,
    /// What it is done to.
    world: Rc<World>,
}

impl<'a, 'b> Driver<'a, 'b> {
    fn new(input: &'a mut Input<'b>) -> Driver<'a, 'b> {
        let world = Rc::new(World::new(PARTIES));
        (0..1 + input.below(3)).for_each(|_| world.open(input.byte()));
        (0..BROADCASTS).for_each(|_| world.open_broadcast(1 + input.below(4)));
        Driver { input, world }
    }

    fn drive(&mut self) {
        for _ in 0..STEPS {
            let Some(kind) = self.input.next() else { break };
            self.step(kind);
        }
        self.finish();
    }

    fn step(&mut self, kind: u8) {
        match kind % 32 {
            0..=11 => self.order(1, false),
            12..=16 => {
                let arms = 1 + self.input.below(3);
                self.order(arms, true);
            }
            17..=20 => thread::yield_now(),
            21 | 22 => self.settle(),
            23 | 24 => self.cancel(),
            25 => self.drop_end(),
            26 => self.world.unpark(self.input.below(PARTIES)),
            27 => thread::sleep(Duration::from_micros(self.input.below(64) as u64)),
            28 if self.input.flag() && self.world.channel_count() < CHANNELS => self.world.open(self.input.byte()),
            29 => self.world.announce(self.input.below(BROADCASTS)),
            30 => self.world.subscribe(self.input.below(BROADCASTS), self.input.below(LISTENERS)),
            _ => self.world.unsubscribe(self.input.below(BROADCASTS), self.input.below(LISTENERS)),
        }
    }

    /// Gives work to somebody who has none.
    fn order(&mut self, count: usize, selects: bool) {
        let first = self.input.below(PARTIES);
        let arms = (0..count).map(|_| self.arm()).collect();
        let patience = match self.input.below(5) {
            0 => Patience::None,
            1 => Patience::For(Duration::from_micros(self.input.below(256) as u64)),
            _ => Patience::Endless,
        };
        let idle = (0..PARTIES).map(|offset| (first + offset) % PARTIES).find(|party| self.is_idle(*party));
        if let Some(party) = idle {
            self.world.give(party, Order { arms, selects, patience });
        }
    }

    fn arm(&mut self) -> Arm {
        let kind = self.input.below(9);
        match kind {
            0..=3 => Arm::Send(self.input.below(self.world.channel_count())),
            4..=7 => Arm::Receive(self.input.below(self.world.channel_count())),
            _ => Arm::Listen(self.input.below(BROADCASTS), self.input.below(LISTENERS)),
        }
    }

    /// Whether it can be told to do something; one that is gone is replaced.
    fn is_idle(&self, party: usize) -> bool {
        self.bury(party);
        if !self.world.exists(party) {
            let world = Rc::clone(&self.world);
            let handle = thread::spawn_local(move || party::live(&world, party));
            self.world.seat(party, handle);
        }
        self.world.is_idle(party)
    }

    /// Joins one that has ended: it was cancelled, or it has found a fault.
    fn bury(&self, party: usize) {
        let Some((handle, cancelled)) = self.world.remove_ended(party) else { return };
        let payload = handle.join().expect_err("it never returns");
        if !(cancelled && payload.is::<Cancelled>()) {
            std::panic::resume_unwind(payload);
        }
    }

    fn cancel(&mut self) {
        self.world.cancel(self.input.below(PARTIES));
    }

    /// No sender, or no receiver, is kept for later.
    fn drop_end(&mut self) {
        let channel = self.input.below(self.world.channel_count());
        if self.input.flag() {
            self.world.drop_sender(channel);
        } else {
            self.world.drop_receiver(channel);
        }
    }

    /// Lets everybody go on who can, and then looks who waits for what.
    fn settle(&self) {
        for _ in 0..10_000 {
            let figures = crate::metrics().total;
            if figures.ready + figures.unstarted == 0 {
                (0..PARTIES).for_each(|party| self.bury(party));
                return self.world.check_rest();
            }
            thread::yield_now();
        }
        panic!("somebody runs for ever: {:?}", self.world);
    }

    /// Everybody ends, and every message is found.
    fn finish(&mut self) {
        if self.input.flag() {
            (0..self.world.channel_count()).for_each(|channel| self.world.drop_sender(channel));
            self.settle();
        }
        (0..PARTIES).for_each(|party| self.world.cancel(party));
        self.settle();
        assert!((0..PARTIES).all(|party| !self.world.exists(party)), "a cancel ends every wait: {:?}", self.world);
        self.world.drain();
        self.world.end();
    }
}
