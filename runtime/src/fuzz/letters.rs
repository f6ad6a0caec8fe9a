//! The inbox and the mail words: what posters and the owner do, one at a time, in any order that threads could do it in.
//!
//! Whoever is told to push may do so much later: that is a debt, paid by a step of its own. Loom explores what happens inside
//! the operations; here their order is.
//!
//! What must hold: whoever posts is told to push exactly if the word has a home and nobody owes or has pushed for it; the owner is
//! told to be interrupted exactly once a sleep; and once all debts are paid and all is read, each letter has arrived.

use super::STEPS;
use super::input::Input;
use crate::inbox::{Inbox, Pushed};
use crate::mail::{Letters, Mail};

/// Coroutines at one time.
const COROUTINES: usize = 6;

/// Whether the owner sleeps, as `Inbox` draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleep {
    Awake,
    Asleep,
    Notified,
}

/// One coroutine's word, and what the model knows of it.
struct Word {
    /// What is tested.
    mail: Mail,
    /// Whether posters know where to push.
    homed: bool,
    /// Whether it has started; until then its letters stay.
    started: bool,
    /// Letters posted and not delivered.
    posted: Letters,
    /// Whether `QUEUED` is set.
    queued: bool,
    /// Posts whose push is still owed.
    debts: u32,
}

impl Word {
    fn new(settled: bool) -> Word {
        let mail = Mail::new();
        if settled {
            mail.settle();
        }
        Word { mail, homed: settled, started: false, posted: Letters::default(), queued: false, debts: 0 }
    }

    fn post(&mut self, cancel: bool) {
        let push = if cancel { self.mail.post_cancel() } else { self.mail.post_unpark() };
        assert_eq!(push, self.homed && !self.queued, "one push for what is posted until it is read");
        self.queued = true;
        self.debts += u32::from(push);
        if cancel {
            self.posted.cancel = true;
        } else {
            self.posted.unpark = true;
        }
    }

    /// The owner reads the word, at the start or because the inbox brought it.
    fn read(&mut self) {
        let letters = if self.started { self.mail.take() } else { self.mail.start() };
        (self.homed, self.started) = (true, true);
        assert_eq!(letters, std::mem::take(&mut self.posted), "exactly what was posted");
        self.queued = false;
    }
}

/// The owner's inbox and its coroutines, beside what they should hold.
struct World {
    /// What is tested.
    inbox: Inbox<(usize, u64)>,
    /// Every coroutine's word.
    words: Vec<Word>,
    /// What is in the inbox: whose record, and the number of the push.
    pushed: Vec<(usize, u64)>,
    /// The number of the next push.
    next: u64,
    /// Whether the owner sleeps.
    sleep: Sleep,
    /// Whether something waits elsewhere (what was injected).
    elsewhere: bool,
    /// Whether the owner has ended.
    closed: bool,
}

pub(super) fn run(mut input: Input<'_>) {
    let mut world = World::new(&mut input);
    for _ in 0..STEPS {
        let Some(kind) = input.next() else { break };
        world.step(kind, &mut input);
    }
    world.finish();
}

impl World {
    fn new(input: &mut Input<'_>) -> World {
        let words = (0..COROUTINES).map(|_| Word::new(input.flag())).collect();
        World {
            inbox: Inbox::new(),
            words,
            pushed: Vec::new(),
            next: 0,
            sleep: Sleep::Awake,
            elsewhere: false,
            closed: false,
        }
    }

    fn step(&mut self, kind: u8, input: &mut Input<'_>) {
        let at = input.below(COROUTINES);
        match kind % 16 {
            0..=3 => self.words[at].post(kind & 1 == 0),
            4..=6 => self.pay(at),
            7 => self.inject(),
            8 | 9 => self.prepare_sleep(),
            10 | 11 => self.take(),
            12 => self.awake(),
            13 => self.start(at),
            14 => self.replace(at, input.flag()),
            _ if input.byte() == 0xFF => self.close(),
            _ => {}
        }
        assert!(self.closed || self.inbox.is_pending() != self.pushed.is_empty());
        assert_eq!(self.inbox.is_closed(), self.closed);
    }

    /// Whoever makes something pending: whether it must interrupt the owner, once in a sleep.
    fn interrupts(&mut self) -> bool {
        let first = self.sleep == Sleep::Asleep;
        if first {
            self.sleep = Sleep::Notified;
        }
        first
    }

    fn pay(&mut self, at: usize) {
        if self.words[at].debts == 0 {
            return;
        }
        self.words[at].debts -= 1;
        let message = (at, self.next);
        self.next += 1;
        let expected = if self.closed {
            Pushed::Refused
        } else if self.interrupts() {
            Pushed::Unheard
        } else {
            Pushed::Heard
        };
        assert_eq!(self.inbox.push(message), expected);
        if !self.closed {
            self.pushed.push(message);
        }
    }

    fn inject(&mut self) {
        self.elsewhere = true;
        let expected = self.interrupts();
        assert_eq!(self.inbox.announce(), expected);
    }

    /// The owner never sleeps on what it could read.
    fn prepare_sleep(&mut self) {
        if self.sleep != Sleep::Awake || self.closed {
            return;
        }
        let elsewhere = self.elsewhere;
        let sleeps = self.inbox.prepare_sleep(|| elsewhere);
        assert_eq!(sleeps, self.pushed.is_empty() && !elsewhere);
        if sleeps {
            self.sleep = Sleep::Asleep;
        }
    }

    fn awake(&mut self) {
        self.inbox.awake();
        self.sleep = Sleep::Awake;
    }

    /// One turn of the owner: it is up, and reads all there is.
    fn take(&mut self) {
        if self.closed {
            return;
        }
        self.awake();
        self.elsewhere = false;
        let mut messages = Vec::new();
        self.inbox.take(&mut messages);
        assert_eq!(messages, std::mem::take(&mut self.pushed), "in the order in which they were pushed");
        self.read(&messages);
    }

    /// Mail of one that has not started is left where it is: it finds it when it starts.
    fn read(&mut self, messages: &[(usize, u64)]) {
        for (at, _) in messages {
            let word = &mut self.words[*at];
            if word.started {
                word.read();
            }
        }
    }

    fn start(&mut self, at: usize) {
        if !self.words[at].started {
            self.words[at].read();
        }
    }

    /// A coroutine of whom nobody speaks any more gives way to another.
    fn replace(&mut self, at: usize, settled: bool) {
        let spoken_of = self.words[at].debts > 0 || self.pushed.iter().any(|(other, _)| *other == at);
        if self.words[at].started && !spoken_of {
            self.words[at] = Word::new(settled);
        }
    }

    fn close(&mut self) {
        if self.closed {
            return;
        }
        let rest = self.inbox.close();
        assert_eq!(rest, std::mem::take(&mut self.pushed), "what is there is given, and what comes is refused");
        self.read(&rest);
        self.closed = true;
    }

    /// All debts are paid and all is read: then every letter has arrived, unless it came after the end.
    fn finish(mut self) {
        (0..COROUTINES).for_each(|at| self.start(at));
        for at in 0..COROUTINES {
            while self.words[at].debts > 0 {
                self.pay(at);
            }
        }
        self.take();
        for word in self.words {
            let arrived = word.posted == Letters::default();
            assert!(arrived || self.closed, "a letter was lost: {:?}", word.posted);
        }
    }
}
