//! Channels whose messages go to all, beside a list of all messages and one position in it for each listener.

use super::ledger::{Ledger, Letter, Over};
use super::party::Patience;
use crate::sync::broadcast::{self, Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError};
use std::sync::Arc;

/// What a listener was told.
#[derive(Debug)]
pub(super) enum Heard {
    Letter(Letter),
    Lagged(u64),
    Closed,
    Nothing,
}

/// A channel, and the list.
pub(super) struct Broadcast {
    /// The only sender, until it is dropped.
    sender: Option<Sender<Letter>>,
    /// How many messages it keeps for those who are slow.
    capacity: usize,
    /// Its name in the ledger.
    name: usize,
    /// All messages that were sent.
    list: Vec<usize>,
    /// Places for listeners.
    listeners: Vec<Listener>,
}

/// A place for a listener.
#[derive(Default)]
struct Listener {
    /// The listener, unless somebody uses it.
    receiver: Option<Receiver<Letter>>,
    /// What it hears next; `None` if there is none.
    next: Option<usize>,
}

/// Listens as long as patience lasts.
pub(super) fn listen(receiver: &Receiver<Letter>, patience: Patience) -> Heard {
    let told = match patience {
        Patience::None => receiver.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Lagged(missed) => RecvTimeoutError::Lagged(missed),
            TryRecvError::Closed => RecvTimeoutError::Closed,
        }),
        Patience::For(time) => receiver.recv_timeout(time),
        Patience::Endless => receiver.recv().map_err(RecvTimeoutError::from_endless),
    };
    match told {
        Ok(letter) => Heard::Letter(letter),
        Err(RecvTimeoutError::Lagged(missed)) => Heard::Lagged(missed),
        Err(RecvTimeoutError::Closed) => Heard::Closed,
        Err(RecvTimeoutError::Timeout) => Heard::Nothing,
    }
}

/// An endless wait knows no timeout.
trait FromEndless {
    fn from_endless(error: RecvError) -> Self;
}

impl FromEndless for RecvTimeoutError {
    fn from_endless(error: RecvError) -> RecvTimeoutError {
        match error {
            RecvError::Lagged(missed) => RecvTimeoutError::Lagged(missed),
            RecvError::Closed => RecvTimeoutError::Closed,
        }
    }
}

impl From<Result<Letter, RecvError>> for Heard {
    fn from(told: Result<Letter, RecvError>) -> Heard {
        match told {
            Ok(letter) => Heard::Letter(letter),
            Err(RecvError::Lagged(missed)) => Heard::Lagged(missed),
            Err(RecvError::Closed) => Heard::Closed,
        }
    }
}

impl Broadcast {
    pub(super) fn new(name: usize, capacity: usize, listeners: usize) -> Broadcast {
        let (sender, receiver) = broadcast::channel(capacity);
        let mut listeners: Vec<_> = (0..listeners).map(|_| Listener::default()).collect();
        listeners[0] = Listener { receiver: Some(receiver), next: Some(0) };
        Broadcast { sender: Some(sender), capacity, name, list: Vec::new(), listeners }
    }

    /// The oldest message that is kept for those who are slow.
    fn oldest(&self) -> usize {
        self.list.len().saturating_sub(self.capacity)
    }

    pub(super) fn send(&mut self, ledger: &Arc<Ledger>) {
        let Some(sender) = &self.sender else { return };
        let letter = ledger.make(self.name);
        let (number, count) = (letter.number, self.listeners.iter().filter(|one| one.next.is_some()).count());
        let sent = sender.send(letter);
        ledger.over(number, if sent.is_ok() { Over::Sent } else { Over::Refused });
        match sent {
            Ok(receivers) => {
                assert!(receivers == count && count > 0, "{receivers} of {count}");
                self.list.push(number);
            }
            Err(error) => assert_eq!((error.0.number, count), (number, 0)),
        }
    }

    pub(super) fn subscribe(&mut self, place: usize) {
        let end = self.list.len();
        let listener = &mut self.listeners[place];
        if let (Some(sender), None) = (&self.sender, listener.next) {
            *listener = Listener { receiver: Some(sender.subscribe()), next: Some(end) };
        }
    }

    /// Drops a listener that nobody uses; the last place stands for the sender.
    pub(super) fn unsubscribe(&mut self, place: usize) {
        if place + 1 == self.listeners.len() {
            self.sender = None;
        } else if self.listeners[place].receiver.take().is_some() {
            self.listeners[place].next = None;
        }
    }

    /// Gives a listener out of hand.
    pub(super) fn hold(&mut self, place: usize) -> Option<Receiver<Letter>> {
        self.listeners[place].receiver.take()
    }

    pub(super) fn put_back(&mut self, place: usize, receiver: Receiver<Letter>) {
        self.listeners[place].receiver = Some(receiver);
    }

    /// One that was held and did not come back was dropped.
    pub(super) fn forget_unless_back(&mut self, place: usize) {
        if self.listeners[place].receiver.is_none() {
            self.listeners[place].next = None;
        }
    }

    /// What a listener was told is what the list says.
    pub(super) fn heard(&mut self, place: usize, heard: &Heard, late: bool) {
        let (oldest, end) = (self.oldest(), self.list.len());
        let next = self.listeners[place].next.as_mut().expect("somebody holds it");
        match heard {
            Heard::Lagged(missed) => {
                assert_eq!(*next + *missed as usize, oldest, "all that it missed, and no more");
                assert!(*missed > 0);
                *next = oldest;
            }
            Heard::Letter(letter) => {
                assert!(oldest <= *next && *next < end);
                assert_eq!(letter.number, self.list[*next], "in order, each once");
                *next += 1;
            }
            Heard::Closed => assert!(self.sender.is_none() && *next == end, "there is more to come"),
            Heard::Nothing => assert!(late || self.sender.is_some() && *next == end, "there is something"),
        }
    }

    /// Whether one that waits should not.
    pub(super) fn concerns(&self, place: usize) -> bool {
        self.sender.is_none() || self.listeners[place].next != Some(self.list.len())
    }

    /// Messages are kept exactly for those who are to hear them.
    pub(super) fn check(&self, ledger: &Ledger) {
        let (oldest, slowest) = (self.oldest(), self.listeners.iter().filter_map(|one| one.next).min());
        for (at, number) in self.list.iter().enumerate() {
            let awaited = at >= oldest && slowest.is_some_and(|next| next <= at);
            assert_eq!(ledger.fate(*number).copies, u32::from(awaited), "message {at} of {}", self.list.len());
        }
    }
}
