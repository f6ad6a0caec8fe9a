//! A channel in a select: one that would send to it, one that would receive from it.
//!
//! Owns what an arm does at its channel. Which arm is tried when, and that only one is chosen, is `arm`'s.

use super::arm::{Arm, Enrolled};
use super::choice::Seat;
use super::exchange::Exchange;
use super::line::{Number, Standing};
use crate::waiter::Waiter;
use std::sync::mpsc::{RecvError, SendError, TryRecvError, TrySendError};

/// Receives, if it is chosen.
pub(in crate::sync) struct Receiving<'a, T> {
    /// The channel.
    core: &'a Exchange<T>,
    /// Its place in the line, from its first wait on: one that was chosen and came too late waits on where it stood.
    number: Option<Number>,
    /// What it received.
    received: Option<Result<T, RecvError>>,
}

impl<'a, T> Receiving<'a, T> {
    pub(super) fn new(core: &'a Exchange<T>) -> Receiving<'a, T> {
        Receiving { core, number: None, received: None }
    }

    pub(in crate::sync) fn finish(&mut self) -> Option<Result<T, RecvError>> {
        self.received.take()
    }
}

impl<T> Arm for Receiving<'_, T> {
    fn attempt(&mut self) -> bool {
        self.received = match self.core.try_receive() {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        };
        self.received.is_some()
    }

    fn enroll(&mut self, waiter: Waiter, seat: Seat) -> Enrolled {
        let mut state = self.core.lock();
        if state.can_take(&seat) {
            return Enrolled::Ready;
        }
        let (number, met) = state.await_message(self.number, Standing { waiter, seat: Some(seat) });
        drop(state);
        self.number = Some(number);
        self.core.wake(met);
        Enrolled::Waits
    }

    fn withdraw(&mut self) {
        if let Some(number) = self.number {
            self.core.lock_as_it_is().leave_receivers(number);
        }
    }

    fn pass_on(&mut self) {
        let next = self.core.lock().pass_on_message();
        self.core.wake(next);
    }
}

/// Sends, if it is chosen; the message is made after that.
pub(in crate::sync) struct Sending<'a, T> {
    /// The channel.
    core: &'a Exchange<T>,
    /// Its place in the line, from its first wait on: one that was chosen and came too late waits on where it stood.
    number: Option<Number>,
    /// The right to send.
    room: Option<Room<'a, T>>,
}

impl<'a, T> Sending<'a, T> {
    pub(super) fn new(core: &'a Exchange<T>) -> Sending<'a, T> {
        Sending { core, number: None, room: None }
    }

    pub(in crate::sync) fn finish(&mut self) -> Option<Room<'a, T>> {
        self.room.take()
    }
}

impl<T> Arm for Sending<'_, T> {
    fn attempt(&mut self) -> bool {
        let reserved = self.core.lock_to_send().reserve();
        self.room = match reserved {
            Ok(receiver) => Some(Room { core: Some(self.core), receiver }),
            Err(TrySendError::Disconnected(())) => Some(Room { core: None, receiver: None }),
            Err(TrySendError::Full(())) => None,
        };
        self.room.is_some()
    }

    fn enroll(&mut self, waiter: Waiter, seat: Seat) -> Enrolled {
        let mut state = self.core.lock_to_send();
        if state.can_put(&seat) {
            return Enrolled::Ready;
        }
        self.number = Some(state.await_room(self.number, Standing { waiter, seat: Some(seat) }, None));
        Enrolled::Waits
    }

    fn withdraw(&mut self) {
        if let Some(number) = self.number {
            let none = self.core.lock_as_it_is().leave_senders(number);
            debug_assert!(none.flatten().is_none(), "a select brings no message");
        }
    }

    fn pass_on(&mut self) {
        let next = self.core.lock_as_it_is().pass_on_room();
        self.core.wake(next);
    }
}

/// Room for one message, which is given back if there will be none.
pub(in crate::sync) struct Room<'a, T> {
    /// Where; `None` if nobody will receive it.
    core: Option<&'a Exchange<T>>,
    /// The receiver that was chosen for it, to be woken in any case.
    receiver: Option<Waiter>,
}

impl<T> Room<'_, T> {
    pub(in crate::sync) fn send(mut self, message: T) -> Result<(), SendError<T>> {
        let Some(core) = self.core.take() else {
            return Err(SendError(message));
        };
        let sent = core.lock_as_it_is().fulfil(message);
        core.wake(self.receiver.take());
        let other = sent.map_err(SendError)?;
        core.wake(other);
        Ok(())
    }
}

impl<T> Drop for Room<'_, T> {
    fn drop(&mut self) {
        if let Some(core) = self.core {
            let next = core.lock_as_it_is().release();
            core.wake(next);
            core.wake(self.receiver.take());
        }
    }
}
