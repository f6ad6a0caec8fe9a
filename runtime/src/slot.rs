//! A coroutine's state, and what a worker keeps of a started coroutine.
//!
//! Owns the only copy of a started coroutine's state. Only the owner worker touches it; other threads send a message.
//! Does not know how a coroutine is resumed, nor what it waits for.
//!
//! # The state table
//!
//! *Unstarted*: a record in a spawn queue, without slot or stack. *Ready*: in the ready queue, with the outcome of the
//! park it comes back from. *Running*: on the worker's thread. *Parked*: suspended until an event. *Done*: the slot
//! is free. *Unwinding* is no state but a property of running, ready or parked code: a panic or a cancellation is on
//! its way through the stack, as `std::thread::panicking()` says of whoever runs (`worker/suspension.rs`). A park is *shielded*
//! when it may not be cancelled (a lock, a scope's join, `shield`, a Drop, anything while unwinding), and *unsure* while
//! `Watch::Count` says that nobody can tell who unwinds; once one can, it is as any park.
//!
//! |                   | wake, unpark             | timeout           | cancel, shutdown                        |
//! |-------------------|--------------------------|-------------------|-----------------------------------------|
//! | unstarted         | unpark: token kept       | cannot be         | starts, only to drop its closure        |
//! | ready             | unpark: token kept; wake: noted if of the present wait, else stale | cannot be (disarmed) | noted; thrown at the next cancellation point |
//! | running           | as ready                 | cannot be (disarmed) | as ready                             |
//! | parked            | ready(Woken) if it is the awaited one, else as ready | ready(TimedOut) | ready(Cancelled) |
//! | parked, within a timeout whose limit comes before the park's own deadline | as parked | noted; ready(Cancelled) | as parked |
//! | parked, shielded  | as parked                | ready(TimedOut)   | noted                                   |
//! | parked, unsure    | as parked                | its own: ready(TimedOut); that of a timeout around it: once it is sure | noted; ready(Cancelled) once it is sure |
//! | unwinding         | as its state             | as its state      | noted; nothing is thrown into an unwind |
//! | done              | ignored: another generation | cannot be      | ignored                                 |
//!
//! Who wins a race: the first event that finds the coroutine parked. It takes it out of whatever queue and timer it is
//! in, in the same step, so every later event finds it ready and is only noted. Events of other threads are ordered by
//! the inbox: they happen when the owner reads them.
//!
//! A cancel is level-triggered: once noted it stays, and each cancellation point throws again. So is the end of a timeout,
//! for as long as its frame lasts (`terms.rs`, `cancel/frame.rs`). A park has one timer, for whichever comes first.

mod terms;

pub(crate) use terms::Terms;

use crate::coroutine::{Coroutine, Suspender};
use crate::mail::Ticket;
use crate::readiness::{Interest, Link};
use crate::remote::{Leftover, RecordRef};
use crate::stack::Extent;
use crate::timer::TimerKey;
use std::cell::Cell;

/// Where a started coroutine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In the ready queue; the outcome is what its park will answer.
    Ready(Outcome),
    /// On the thread.
    Running,
    /// Suspended until an event.
    Parked {
        /// Which event.
        on: Awaited,
        /// Whether a cancel may end it.
        shield: Shield,
    },
}

/// Whether a cancel may end a park.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shield {
    /// It may.
    Open,
    /// Not now: perhaps the coroutine is being unwound, and throwing into an unwind aborts the process. The worker opens
    /// the park as soon as it is certain that nobody is.
    Unsure,
    /// It may not.
    Closed,
}

/// What a parked coroutine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The user's park token.
    Token,
    /// The end of the internal wait that the slot's ticket names.
    Wait,
    /// As `Wait`, for the end of another coroutine, which its worker may never get to.
    End,
    /// A source's readiness.
    Source(Interest),
    /// Nothing but the deadline.
    Deadline,
}

/// How a park ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What it waited for happened.
    Woken,
    /// The deadline passed first.
    TimedOut,
    /// A cancel, or a timeout around it, came first.
    Cancelled,
}

/// What happens to a coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The user unparked it.
    Unpark,
    /// Somebody ended the internal wait of this ticket.
    Wake(Ticket),
    /// Its source is ready and it is first in the queue.
    SourceReady,
    /// Its deadline passed.
    Timeout,
    /// It is to unwind.
    Cancel,
}

/// The part of a slot that the state table is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// Where it stands.
    pub(crate) state: State,
    /// Whether the user's park token is there.
    pub(crate) token: bool,
    /// The present or last internal wait.
    pub(crate) ticket: Ticket,
    /// Whether that wait was ended before its park: then there is none.
    pub(crate) woken: bool,
    /// How often we threw into it without anybody having let go of the payload yet.
    pub(crate) thrown: u8,
    /// On what terms it parks.
    pub(crate) terms: Terms,
}

impl Life {
    pub(crate) fn new() -> Life {
        Life {
            state: State::Running,
            token: false,
            ticket: Ticket::default(),
            woken: false,
            thrown: 0,
            terms: Terms::default(),
        }
    }

    /// Begins an internal wait; earlier tickets are stale from now on.
    pub(crate) fn begin_wait(&mut self, ticket: Ticket) {
        self.ticket = ticket;
        self.woken = false;
    }

    /// Whether its present or last internal wait was ended, and it may not have looked yet what for.
    pub(crate) fn is_called(&self) -> bool {
        self.woken && !matches!(self.state, State::Parked { .. })
    }

    /// The state table. `true` if the event made a parked coroutine ready.
    #[inline(always)]
    pub(crate) fn deliver(&mut self, event: Event) -> bool {
        let outcome = match self.state {
            State::Parked { on, shield } => self.ends(on, shield, event),
            State::Ready(_) | State::Running => None,
        };
        match event {
            Event::Unpark => self.token = true,
            Event::Cancel => self.terms.note_cancel(),
            Event::Wake(ticket) => self.woken |= ticket == self.ticket,
            Event::Timeout if self.terms.strikes_by_timer() => self.terms.note_expiry(),
            Event::SourceReady | Event::Timeout => {}
        }
        if let Some(outcome) = outcome {
            self.state = State::Ready(outcome);
        }
        outcome.is_some()
    }

    /// Whether it is parked, and unsure.
    pub(crate) fn is_unsure(&self) -> bool {
        matches!(self.state, State::Parked { shield: Shield::Unsure, .. })
    }

    /// Opens an unsure park; `true` if what was noted before thereby made it ready.
    pub(crate) fn make_sure(&mut self) -> bool {
        let State::Parked { on, shield: Shield::Unsure } = self.state else {
            return false;
        };
        let due = self.terms.is_due();
        self.state = if due { State::Ready(Outcome::Cancelled) } else { State::Parked { on, shield: Shield::Open } };
        due
    }

    /// The outcome with which `event` ends a park on `on`, if it does.
    #[inline(always)]
    fn ends(&self, on: Awaited, shield: Shield, event: Event) -> Option<Outcome> {
        match event {
            Event::Unpark => (on == Awaited::Token).then_some(Outcome::Woken),
            Event::Wake(ticket) => {
                (matches!(on, Awaited::Wait | Awaited::End) && ticket == self.ticket).then_some(Outcome::Woken)
            }
            Event::SourceReady => matches!(on, Awaited::Source(_)).then_some(Outcome::Woken),
            Event::Timeout if !self.terms.strikes_by_timer() => Some(Outcome::TimedOut),
            Event::Timeout => Some(Outcome::Cancelled),
            Event::Cancel => (shield == Shield::Open && !self.terms.shields()).then_some(Outcome::Cancelled),
        }
    }
}

/// One started coroutine.
pub(crate) struct Slot {
    /// What runs. While it does, only the loop that resumed it touches this field.
    pub(crate) coroutine: Coroutine<Leftover>,
    /// Where its stack is.
    pub(crate) stack: Extent,
    /// Its identity and its body. While the coroutine returns, its count may be somebody else's already: see [`Leftover`].
    pub(crate) record: RecordRef,
    /// The way back to the worker.
    pub(crate) suspender: Cell<Suspender>,
    /// The low 32 bits of the stack pointer where it suspended last; those of the stack's limit if nothing may be trimmed.
    pub(crate) stack_mark: u32,
    /// See the state table.
    pub(crate) life: Life,
    /// Its place among the waiters of `source`.
    pub(crate) link: Link,
    /// Index of the source it is parked on.
    pub(crate) source: u32,
    /// Its deadline in the timer wheel.
    pub(crate) timer: Option<TimerKey>,
}

impl Slot {
    /// One that is about to run for the first time.
    pub(crate) fn new(record: RecordRef, stack: Extent, coroutine: Coroutine<Leftover>) -> Slot {
        Slot {
            coroutine,
            stack,
            record,
            suspender: Cell::new(Suspender::NONE),
            stack_mark: 0,
            life: Life::new(),
            link: Link::NONE,
            source: u32::MAX,
            timer: None,
        }
    }
}

impl Slot {
    /// Notes the stack pointer on the way to suspending. Safe code may have switched to a stack of its own in between
    /// (`corosensei::on_stack`, `stacker`): then nothing is known of this one, and it must not be trimmed.
    #[inline]
    pub(crate) fn mark_stack(&mut self, pointer: usize) {
        let known = self.stack.covers(pointer);
        self.stack_mark = if known { pointer } else { self.stack.limit() } as u32;
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_connection_pays_88_bytes() {
        assert_eq!(size_of::<Slot>(), 88);
    }
    use Event::{Cancel, SourceReady, Timeout, Unpark, Wake};
    use Outcome::{Cancelled, TimedOut, Woken};

    const NOW: Ticket = Ticket(5);
    const OLD: Ticket = Ticket(4);

    fn parked(on: Awaited, shield: Shield) -> Life {
        Life { state: State::Parked { on, shield }, ticket: NOW, ..Life::new() }
    }

    fn after(mut life: Life, event: Event) -> Life {
        let before = life.state;
        let woke = life.deliver(event);
        assert_eq!(woke, life.state != before, "{before:?} {event:?}");
        life
    }

    #[test]
    fn each_park_ends_by_its_own_event_only() {
        let source = Awaited::Source(Interest::Read);
        let ends = [
            (Awaited::Token, Unpark, true),
            (Awaited::Token, Wake(NOW), false),
            (Awaited::Token, SourceReady, false),
            (Awaited::Wait, Unpark, false),
            (Awaited::Wait, Wake(NOW), true),
            (Awaited::Wait, Wake(OLD), false),
            (Awaited::Wait, SourceReady, false),
            (Awaited::End, Unpark, false),
            (Awaited::End, Wake(NOW), true),
            (Awaited::End, Wake(OLD), false),
            (source, Unpark, false),
            (source, Wake(NOW), false),
            (source, SourceReady, true),
            (Awaited::Deadline, Unpark, false),
            (Awaited::Deadline, Wake(NOW), false),
            (Awaited::Deadline, SourceReady, false),
        ];
        for (on, event, woken) in ends {
            for shield in [Shield::Open, Shield::Unsure, Shield::Closed] {
                let state = after(parked(on, shield), event).state;
                let expected = if woken { State::Ready(Woken) } else { State::Parked { on, shield } };
                assert_eq!(state, expected, "{on:?} {event:?}");
            }
        }
    }

    #[test]
    fn every_park_ends_at_its_deadline_and_unless_shielded_by_a_cancel() {
        for on in [Awaited::Token, Awaited::Wait, Awaited::End, Awaited::Source(Interest::Write), Awaited::Deadline] {
            for shield in [Shield::Open, Shield::Unsure, Shield::Closed] {
                assert_eq!(after(parked(on, shield), Timeout).state, State::Ready(TimedOut));
                let cancelled = after(parked(on, shield), Cancel);
                let expected =
                    if shield == Shield::Open { State::Ready(Cancelled) } else { State::Parked { on, shield } };
                assert_eq!(cancelled.state, expected);
                assert!(cancelled.terms.is_cancelled(), "noted either way");
            }
        }
    }

    #[test]
    fn the_first_event_wins_and_later_ones_are_noted() {
        for first in [Unpark, Timeout, Cancel] {
            for second in [Unpark, Wake(NOW), SourceReady, Timeout, Cancel] {
                let won = after(parked(Awaited::Token, Shield::Open), first);
                let then = after(won, second);
                assert_eq!(then.state, won.state, "{first:?} then {second:?}");
                assert_eq!(then.token, first == Unpark || second == Unpark);
                assert_eq!(then.terms.is_cancelled(), first == Cancel || second == Cancel);
            }
        }
    }

    #[test]
    fn a_cancel_of_an_unsure_park_strikes_once_it_is_sure() {
        let mut unsure = after(parked(Awaited::Token, Shield::Unsure), Cancel);
        assert!(unsure.is_unsure() && unsure.make_sure());
        assert_eq!(unsure.state, State::Ready(Cancelled));
        assert!(!unsure.make_sure());
        let mut closed = after(parked(Awaited::Token, Shield::Closed), Cancel);
        assert!(!closed.is_unsure() && !closed.make_sure());
        let mut quiet = parked(Awaited::Token, Shield::Unsure);
        assert!(!quiet.make_sure());
        assert_eq!(after(quiet, Cancel).state, State::Ready(Cancelled));
    }

    #[test]
    fn a_timeout_around_it_strikes_by_the_timer_of_the_park() {
        let mut life = parked(Awaited::Deadline, Shield::Open);
        life.terms = Terms::default().inside_timeout();
        life.terms.set_timer_strikes(true);
        let after = after(life, Timeout);
        assert_eq!((after.state, after.terms.is_expired()), (State::Ready(Cancelled), true));
    }

    #[test]
    fn inside_a_shield_a_cancel_is_noted_and_a_timeout_strikes() {
        let mut life = parked(Awaited::Token, Shield::Open);
        life.terms = Terms::default().inside_shield().inside_timeout();
        life.terms.set_timer_strikes(true);
        let noted = after(life, Cancel);
        assert_eq!(noted.state, life.state);
        assert_eq!(after(noted, Timeout).state, State::Ready(Cancelled));
    }

    #[test]
    fn running_and_ready_only_take_note() {
        for state in [State::Running, State::Ready(Woken), State::Ready(TimedOut)] {
            for event in [Unpark, Wake(NOW), SourceReady, Timeout, Cancel] {
                let life = after(Life { state, ..Life::new() }, event);
                assert_eq!(life.state, state);
                assert_eq!((life.token, life.terms.is_cancelled()), (event == Unpark, event == Cancel));
            }
        }
    }
}

/// The race that decides most: an unpark from another thread against the deadline. Whatever the order, the token is neither
/// lost nor taken twice.
#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use crate::inbox::{Inbox, Pushed};
    use crate::mail::Mail;
    use loom::sync::{Arc, Notify};

    struct Worker {
        mail: Mail,
        inbox: Inbox<()>,
        eventfd: Notify,
    }

    impl Worker {
        fn unpark(&self) {
            if self.mail.post_unpark() && self.inbox.push(()) == Pushed::Unheard {
                self.eventfd.notify();
            }
        }

        /// As the loop does: what the inbox brought is delivered.
        fn read_inbox(&self, life: &mut Life) {
            let mut messages = Vec::new();
            self.inbox.take(&mut messages);
            if messages.pop().is_some() && self.mail.take().unpark {
                life.deliver(Event::Unpark);
            }
        }
    }

    #[test]
    fn an_unpark_against_a_timeout_is_not_lost() {
        loom::model(|| {
            let worker = Arc::new(Worker { mail: Mail::new(), inbox: Inbox::new(), eventfd: Notify::new() });
            worker.mail.start();
            let other = Arc::clone(&worker);
            let unparker = loom::thread::spawn(move || other.unpark());
            let mut life = Life { state: State::Parked { on: Awaited::Token, shield: Shield::Open }, ..Life::new() };
            worker.read_inbox(&mut life);
            life.deliver(Event::Timeout);
            let timed_out = life.state == State::Ready(Outcome::TimedOut);
            // `park_timeout` takes the token that is there; the next park takes the one that comes.
            let mut taken = u32::from(std::mem::take(&mut life.token));
            assert!(timed_out || taken == 1);
            while taken == 0 {
                if worker.inbox.prepare_sleep(|| false) {
                    worker.eventfd.wait();
                    worker.inbox.awake();
                }
                worker.read_inbox(&mut life);
                taken += u32::from(std::mem::take(&mut life.token));
            }
            unparker.join().unwrap();
            worker.read_inbox(&mut life);
            assert!(!life.token, "one unpark is one token");
        });
    }
}
