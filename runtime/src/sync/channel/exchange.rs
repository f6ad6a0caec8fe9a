//! One channel: its state, its lock, and the waits of those who send and receive.
//!
//! Owns when a lock is taken and that nothing is woken or dropped under it. The rules are in `state`.
//!
//! Invariant 1: whoever stands in a line by its own wait leaves it before the wait's function is left, by whatever way.

use super::line::{Line, Number, Standing};
use super::state::{End, State, Wakes};
use crate::budget;
use crate::cancel::Point;
use crate::lock::{Guard, Lock};
use crate::os_thread::Parked;
use crate::waiter::Wait;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, TrySendError};
use std::time::Instant;

/// Why a message was not sent; it comes back.
#[derive(Debug)]
pub(in crate::sync) enum Unsent<T> {
    /// The deadline passed.
    Timeout(T),
    /// Nobody will ever receive it.
    Disconnected(T),
}

/// See the heading.
pub(super) struct Exchange<T> {
    /// Everything, under the one lock.
    state: Lock<State<T>>,
    /// Whether sending never waits.
    pub(super) is_unbounded: bool,
}

impl<T> Exchange<T> {
    /// With one handle at each end.
    pub(super) fn new(capacity: usize) -> Exchange<T> {
        Exchange { state: Lock::new(State::new(capacity)), is_unbounded: capacity == usize::MAX }
    }

    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, State<T>> {
        self.state.lock()
    }

    // ---- without waiting -------------------------------------------------------------------------------------------

    #[inline]
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let chosen = self.lock().put(message)?;
        if let Some(receiver) = chosen {
            receiver.wake();
        }
        Ok(())
    }

    #[inline]
    pub(super) fn try_receive(&self) -> Result<T, TryRecvError> {
        let taken = self.lock().take();
        let (message, wakes) = taken?;
        wakes.wake();
        Ok(message)
    }

    // ---- sending ---------------------------------------------------------------------------------------------------

    #[inline]
    pub(super) fn send(&self, message: T, deadline: Option<Instant>) -> Result<(), Unsent<T>> {
        let mut state = self.lock();
        match state.put(message) {
            Err(TrySendError::Full(message)) => self.send_cold(state, message, deadline),
            ended => {
                drop(state);
                sent(ended)
            }
        }
    }

    /// Waits for room, from the moment when there was none.
    #[cold]
    fn send_cold<'a>(
        &'a self,
        mut state: Guard<'a, State<T>>,
        mut message: T,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent<T>> {
        let mut had = None;
        loop {
            let wait = Wait::begin();
            let number = state.await_room(had, Standing { waiter: wait.waiter(), seat: None }, Some(message));
            drop(state);
            let place = Offer { core: self, number };
            let parked = wait.park(deadline, Point::Cancellable);
            std::mem::forget(place);
            state = self.lock();
            let Some(Some(back)) = state.leave_senders(number) else {
                return Ok(());
            };
            match state.put(back) {
                Err(TrySendError::Full(back)) if parked == Parked::Woken => message = back,
                ended => {
                    drop(state);
                    return sent(ended);
                }
            }
            had = Some(number);
        }
    }

    // ---- receiving -------------------------------------------------------------------------------------------------

    #[inline]
    pub(super) fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        budget::spend();
        let mut state = self.lock();
        match state.take() {
            Err(TryRecvError::Empty) => self.receive_cold(state, deadline),
            ended => {
                drop(state);
                received(ended)
            }
        }
    }

    /// Waits for a message, from the moment when there was none.
    fn receive_cold<'a>(
        &'a self,
        mut state: Guard<'a, State<T>>,
        deadline: Option<Instant>,
    ) -> Result<T, RecvTimeoutError> {
        let mut had = None;
        loop {
            let wait = Wait::begin();
            let (number, met) = state.await_message(had, Standing { waiter: wait.waiter(), seat: None });
            drop(state);
            Wakes::from(met).wake();
            let place = Ear { core: self, number };
            let parked = wait.park(deadline, Point::Cancellable);
            std::mem::forget(place);
            state = self.lock();
            state.leave_receivers(number);
            match state.take() {
                Err(TryRecvError::Empty) if parked == Parked::Woken => had = Some(number),
                ended => {
                    drop(state);
                    return received(ended);
                }
            }
        }
    }

    // ---- ends ------------------------------------------------------------------------------------------------------

    pub(super) fn attach(&self, end: End) {
        self.lock().attach(end);
    }

    /// Gives up a handle. After the last one everybody at the other end is woken, and what nobody will receive is dropped.
    pub(super) fn detach(&self, end: End) {
        let last = self.lock().detach(end);
        if last {
            self.disconnect(end);
        }
    }

    #[cold]
    fn disconnect(&self, end: End) {
        let others = match end {
            End::Sender => End::Receiver,
            End::Receiver => End::Sender,
        };
        let mut next = Line::<()>::FIRST;
        loop {
            // The lock is free again before the wake.
            let roused = self.lock().rouse(others, next);
            let Some((number, waiter)) = roused else {
                break;
            };
            waiter.wake();
            next = number;
        }
        if end == End::Receiver {
            let unread = self.lock().discard();
            drop(unread);
        }
    }
}

#[inline]
fn sent<T>(ended: Result<Option<crate::waiter::Waiter>, TrySendError<T>>) -> Result<(), Unsent<T>> {
    match ended {
        Ok(chosen) => {
            Wakes::from(chosen).wake();
            Ok(())
        }
        Err(TrySendError::Full(message)) => Err(Unsent::Timeout(message)),
        Err(TrySendError::Disconnected(message)) => Err(Unsent::Disconnected(message)),
    }
}

#[inline]
fn received<T>(ended: Result<(T, Wakes), TryRecvError>) -> Result<T, RecvTimeoutError> {
    match ended {
        Ok((message, wakes)) => {
            wakes.wake();
            Ok(message)
        }
        Err(TryRecvError::Empty) => Err(RecvTimeoutError::Timeout),
        Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
    }
}

/// The place of a sender whose wait was thrown out of (invariant 1). The message goes with it, unless it was sent.
struct Offer<'a, T> {
    core: &'a Exchange<T>,
    number: Number,
}

impl<T> Drop for Offer<'_, T> {
    fn drop(&mut self) {
        // Dropped once the lock is free.
        let back = self.core.lock().leave_senders(self.number);
        drop(back);
    }
}

/// The place of a receiver whose wait was thrown out of (invariant 1). A message that it was chosen for is still in the queue,
/// for the next.
struct Ear<'a, T> {
    core: &'a Exchange<T>,
    number: Number,
}

impl<T> Drop for Ear<'_, T> {
    fn drop(&mut self) {
        let next = self.core.lock().give_up_receiving(self.number);
        Wakes::from(next).wake();
    }
}
