//! The ends of channels whose messages go to one receiver each, of every kind behind one face.

use super::ledger::Letter;
use super::party::Patience;
use crate::sync::mpsc::{self, RecvTimeoutError, TryRecvError, TrySendError};
use crate::sync::select::{Receive, RecvArm, SendArm, Transmit};
use crate::sync::{mpmc, oneshot};
use std::rc::Rc;

/// Why nothing was sent. The message came back.
#[derive(Debug)]
pub(super) enum Unsent {
    Full(Letter),
    Late(Letter),
    Gone(Letter),
}

/// Why nothing was received.
#[derive(Debug)]
pub(super) enum Unreceived {
    Empty,
    Late,
    Gone,
}

/// An end to send with.
pub(super) enum Sender {
    Unbounded(mpsc::Sender<Letter>),
    Bounded(mpsc::SyncSender<Letter>),
    Many(mpmc::Sender<Letter>),
    Once(oneshot::Sender<Letter>),
}

/// An end to receive with.
pub(super) enum Receiver {
    /// Shared, since it cannot be cloned; those who share it are on one thread.
    One(Rc<mpsc::Receiver<Letter>>),
    Many(mpmc::Receiver<Letter>),
    Once(oneshot::Receiver<Letter>),
}

/// A channel of the kind that a byte says, and its capacity.
pub(super) fn open(kind: u8) -> (Sender, Receiver, usize) {
    let bound = [0, 1, 1, 2][usize::from(kind >> 3) % 4];
    match kind % 8 {
        0 => {
            let (sender, receiver) = mpsc::channel();
            (Sender::Unbounded(sender), Receiver::One(Rc::new(receiver)), usize::MAX)
        }
        1..=3 => {
            let (sender, receiver) = mpsc::sync_channel(bound);
            (Sender::Bounded(sender), Receiver::One(Rc::new(receiver)), bound)
        }
        4..=6 => {
            let (sender, receiver) = mpmc::sync_channel(bound);
            (Sender::Many(sender), Receiver::Many(receiver), bound)
        }
        _ => {
            let (sender, receiver) = oneshot::channel();
            (Sender::Once(sender), Receiver::Once(receiver), 1)
        }
    }
}

impl Sender {
    /// One more, if there can be.
    pub(super) fn another(&self) -> Option<Sender> {
        match self {
            Sender::Unbounded(sender) => Some(Sender::Unbounded(sender.clone())),
            Sender::Bounded(sender) => Some(Sender::Bounded(sender.clone())),
            Sender::Many(sender) => Some(Sender::Many(sender.clone())),
            Sender::Once(_) => None,
        }
    }

    pub(super) fn send(self, letter: Letter, patience: Patience) -> Result<(), Unsent> {
        let tried = |error| match error {
            TrySendError::Full(letter) => Unsent::Full(letter),
            TrySendError::Disconnected(letter) => Unsent::Gone(letter),
        };
        let gone = |error: mpsc::SendError<Letter>| Unsent::Gone(error.0);
        match (self, patience) {
            (Sender::Unbounded(sender), _) => sender.send(letter).map_err(gone),
            (Sender::Bounded(sender), Patience::None) => sender.try_send(letter).map_err(tried),
            (Sender::Bounded(sender), _) => sender.send(letter).map_err(gone),
            (Sender::Many(sender), Patience::None) => sender.try_send(letter).map_err(tried),
            (Sender::Many(sender), Patience::Endless) => sender.send(letter).map_err(gone),
            (Sender::Many(sender), Patience::For(time)) => {
                sender.send_timeout(letter, time).map_err(|error| match error {
                    mpmc::SendTimeoutError::Timeout(letter) => Unsent::Late(letter),
                    mpmc::SendTimeoutError::Disconnected(letter) => Unsent::Gone(letter),
                })
            }
            (Sender::Once(sender), _) => sender.send(letter).map_err(gone),
        }
    }

    /// How many messages are in the channel, where that can be asked.
    pub(super) fn len(&self) -> Option<usize> {
        if let Sender::Many(sender) = self { Some(sender.len()) } else { None }
    }
}

impl Receiver {
    /// One more, if there can be.
    pub(super) fn another(&self) -> Option<Receiver> {
        match self {
            Receiver::One(receiver) => Some(Receiver::One(Rc::clone(receiver))),
            Receiver::Many(receiver) => Some(Receiver::Many(receiver.clone())),
            Receiver::Once(_) => None,
        }
    }

    /// What was received; and the end, unless it is used up.
    pub(super) fn receive(self, patience: Patience) -> (Result<Letter, Unreceived>, Option<Receiver>) {
        match self {
            Receiver::One(receiver) => {
                let received = match patience {
                    Patience::None => receiver.try_recv().map_err(Unreceived::from),
                    Patience::For(time) => receiver.recv_timeout(time).map_err(Unreceived::from),
                    Patience::Endless => receiver.recv().map_err(|_| Unreceived::Gone),
                };
                (received, Some(Receiver::One(receiver)))
            }
            Receiver::Many(receiver) => {
                let received = match patience {
                    Patience::None => receiver.try_recv().map_err(Unreceived::from),
                    Patience::For(time) => receiver.recv_timeout(time).map_err(Unreceived::from),
                    Patience::Endless => receiver.recv().map_err(|_| Unreceived::Gone),
                };
                (received, Some(Receiver::Many(receiver)))
            }
            Receiver::Once(receiver) => receive_once(receiver, patience),
        }
    }
}

fn receive_once(
    receiver: oneshot::Receiver<Letter>,
    patience: Patience,
) -> (Result<Letter, Unreceived>, Option<Receiver>) {
    let (why, left) = match patience {
        Patience::None => match receiver.try_recv() {
            Ok(letter) => return (Ok(letter), None),
            Err(oneshot::TryRecvError::Empty(receiver)) => (Unreceived::Empty, Some(receiver)),
            Err(oneshot::TryRecvError::Disconnected) => (Unreceived::Gone, None),
        },
        Patience::For(time) => match receiver.recv_timeout(time) {
            Ok(letter) => return (Ok(letter), None),
            Err(oneshot::RecvTimeoutError::Timeout(receiver)) => (Unreceived::Late, Some(receiver)),
            Err(oneshot::RecvTimeoutError::Disconnected) => (Unreceived::Gone, None),
        },
        Patience::Endless => return (receiver.recv().map_err(|_| Unreceived::Gone), None),
    };
    (Err(why), left.map(Receiver::Once))
}

impl From<TryRecvError> for Unreceived {
    fn from(error: TryRecvError) -> Unreceived {
        match error {
            TryRecvError::Empty => Unreceived::Empty,
            TryRecvError::Disconnected => Unreceived::Gone,
        }
    }
}

impl From<RecvTimeoutError> for Unreceived {
    fn from(error: RecvTimeoutError) -> Unreceived {
        match error {
            RecvTimeoutError::Timeout => Unreceived::Late,
            RecvTimeoutError::Disconnected => Unreceived::Gone,
        }
    }
}

impl Transmit for Sender {
    type Message = Letter;

    fn sending(&self) -> SendArm<'_, Letter> {
        match self {
            Sender::Unbounded(sender) => sender.sending(),
            Sender::Bounded(sender) => sender.sending(),
            Sender::Many(sender) => sender.sending(),
            Sender::Once(_) => unreachable!("what never waits is in no select"),
        }
    }
}

impl Receive for Receiver {
    type Output = Result<Letter, mpsc::RecvError>;
    type Arm<'a> = RecvArm<'a, Letter>;

    fn receiving(&self) -> RecvArm<'_, Letter> {
        match self {
            Receiver::One(receiver) => receiver.receiving(),
            Receiver::Many(receiver) => receiver.receiving(),
            Receiver::Once(receiver) => receiver.receiving(),
        }
    }
}
