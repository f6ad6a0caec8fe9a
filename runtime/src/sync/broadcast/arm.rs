//! A receiver of a broadcast in a select.

use super::ring::Found;
use super::{Receiver, RecvError};
use crate::sync::channel::{Arm, Enrolled, Number, Seat, Standing};
use crate::sync::select::{AnyArm, Attempt, Receive};
use crate::waiter::Waiter;
use std::fmt;
use std::sync::Arc;

/// Receives, if it is chosen.
#[doc(hidden)]
pub struct BroadcastArm<'a, T>(Listening<'a, T>);

/// See [`BroadcastArm`].
struct Listening<'a, T> {
    /// Who.
    receiver: &'a Receiver<T>,
    /// Its place in the line, while it waits.
    number: Option<Number>,
    /// What it received. It is cloned when the select is over: that is user code, which may panic.
    received: Option<Result<Arc<T>, RecvError>>,
}

impl<T> Arm for Listening<'_, T> {
    fn attempt(&mut self) -> bool {
        self.received = match self.receiver.look() {
            Found::Message(message) => Some(Ok(message)),
            Found::Lagged(missed) => Some(Err(RecvError::Lagged(missed))),
            Found::Closed => Some(Err(RecvError::Closed)),
            Found::Empty => None,
        };
        self.received.is_some()
    }

    fn enroll(&mut self, waiter: Waiter, seat: Seat) -> Enrolled {
        let mut ring = self.receiver.ring.lock();
        if ring.can_take(self.receiver.next.get()) {
            return Enrolled::Ready;
        }
        self.number = Some(ring.wait(Standing { waiter, seat: Some(seat) }));
        Enrolled::Waits
    }

    fn withdraw(&mut self) {
        if let Some(number) = self.number.take() {
            self.receiver.ring.lock().leave(number);
        }
    }

    /// Everybody was woken: there is nothing to pass on.
    fn pass_on(&mut self) {}
}

impl<T: Clone> Attempt for BroadcastArm<'_, T> {
    type Output = Result<T, RecvError>;

    fn erase(&mut self) -> AnyArm<'_> {
        AnyArm::new(&mut self.0)
    }

    fn finish(&mut self) -> Option<Result<T, RecvError>> {
        self.0.received.take().map(|received| received.map(Arc::unwrap_or_clone))
    }
}

impl<T: Clone> Receive for Receiver<T> {
    type Output = Result<T, RecvError>;
    type Arm<'a>
        = BroadcastArm<'a, T>
    where
        T: 'a;

    fn receiving(&self) -> BroadcastArm<'_, T> {
        BroadcastArm(Listening { receiver: self, number: None, received: None })
    }
}

impl<T> fmt::Debug for BroadcastArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastArm").finish_non_exhaustive()
    }
}
