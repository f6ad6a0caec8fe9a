//! Channels for one message, as std's (unstable) `std::sync::oneshot`.
//!
//! Owns the names; the engine is `channel`, with room for one.
//!
//! # Examples
//!
//! ```
//! use dormouse_runtime::sync::oneshot;
//! use dormouse_runtime::{run, thread};
//!
//! run(|| {
//!     let (sender, receiver) = oneshot::channel();
//!     thread::spawn(move || sender.send(6 * 7).unwrap());
//!     assert_eq!(receiver.recv(), Ok(42));
//! });
//! ```

#![allow(unsafe_code)]

use super::mpmc;
use super::select::{Receive, RecvArm};
use std::sync::mpsc::{RecvError, SendError};
use std::time::{Duration, Instant};
use std::{error, fmt};

/// Makes a channel for one message.
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (inner, receiver) = mpmc::sync_channel(1);
    (Sender { inner }, Receiver { inner: receiver })
}

/// The end to send with, which sending uses up. If it is dropped instead, the receiver gets an error.
pub struct Sender<T> {
    /// Of a channel that holds one message.
    inner: mpmc::Sender<T>,
}

// SAFETY: a shared reference to it gives access to nothing: sending takes it by value, and Debug reads no field.
unsafe impl<T> Sync for Sender<T> {}

/// The end to receive with, which receiving uses up.
pub struct Receiver<T> {
    /// Of a channel that holds one message.
    inner: mpmc::Receiver<T>,
}

// SAFETY: a shared reference to it gives access to nothing, unless `T` is `Send`: receiving takes it by value, Debug reads no
// field, and a select, which does receive through it, asks for `T: Send`; then it is as shareable as what it is made of.
unsafe impl<T> Sync for Receiver<T> {}

impl<T> Sender<T> {
    /// Sends `t`.
    ///
    /// # Errors
    ///
    /// If the receiver is gone; `t` is in the error.
    ///
    /// # Blocking
    ///
    /// Never waits or yields, and is no cancellation point.
    pub fn send(self, t: T) -> Result<(), SendError<T>> {
        self.inner.try_send(t).map_err(|error| match error {
            mpmc::TrySendError::Full(t) | mpmc::TrySendError::Disconnected(t) => SendError(t),
        })
    }
}

impl<T> Receiver<T> {
    /// Receives the message, waiting for it.
    ///
    /// # Errors
    ///
    /// If the sender was dropped without sending.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine or blocks the plain thread. A cancellation point while it waits.
    ///
    /// # Panics
    ///
    /// Where it has to wait inside `no_park`.
    pub fn recv(self) -> Result<T, RecvError> {
        self.inner.recv()
    }

    /// Receives the message if it is there.
    ///
    /// # Errors
    ///
    /// `Empty` with the receiver, to try again; `Disconnected` if the sender was dropped without sending.
    pub fn try_recv(self) -> Result<T, TryRecvError<T>> {
        self.inner.try_recv().map_err(|error| match error {
            mpmc::TryRecvError::Empty => TryRecvError::Empty(self),
            mpmc::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// As [`recv`](Receiver::recv), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout` after that, never earlier, with the receiver; `Disconnected` if the sender was dropped without sending.
    ///
    /// # Blocking
    ///
    /// As [`recv`](Receiver::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::oneshot::{self, RecvTimeoutError};
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = oneshot::channel();
    /// let Err(RecvTimeoutError::Timeout(receiver)) = receiver.recv_timeout(Duration::from_millis(1)) else {
    ///     panic!("nothing was sent");
    /// };
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    pub fn recv_timeout(self, timeout: Duration) -> Result<T, RecvTimeoutError<T>> {
        let received = self.inner.recv_timeout(timeout);
        self.or_late(received)
    }

    /// As [`recv_timeout`](Receiver::recv_timeout), until an instant.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Receiver::recv_timeout).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Receiver::recv).
    pub fn recv_deadline(self, deadline: Instant) -> Result<T, RecvTimeoutError<T>> {
        let received = self.inner.recv_deadline(deadline);
        self.or_late(received)
    }

    fn or_late(self, received: Result<T, mpmc::RecvTimeoutError>) -> Result<T, RecvTimeoutError<T>> {
        received.map_err(|error| match error {
            mpmc::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout(self),
            mpmc::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }
}

/// In a select; an arm that received has used the receiver up, and from then on it gives an error at once.
impl<T: Send> Receive for Receiver<T> {
    type Output = Result<T, RecvError>;
    type Arm<'a>
        = RecvArm<'a, T>
    where
        T: 'a;

    fn receiving(&self) -> RecvArm<'_, T> {
        self.inner.receiving()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// Why [`Receiver::try_recv`] gave nothing.
pub enum TryRecvError<T> {
    /// Nothing was sent yet; here is the receiver.
    Empty(Receiver<T>),
    /// Nothing will be sent.
    Disconnected,
}

/// Why [`Receiver::recv_timeout`] and [`Receiver::recv_deadline`] gave nothing.
pub enum RecvTimeoutError<T> {
    /// Nothing was sent in time; here is the receiver.
    Timeout(Receiver<T>),
    /// Nothing will be sent.
    Disconnected,
}

impl<T> fmt::Debug for TryRecvError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryRecvError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for TryRecvError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty(_) => "receiving on an empty oneshot channel".fmt(f),
            TryRecvError::Disconnected => "receiving on a closed oneshot channel".fmt(f),
        }
    }
}

impl<T> error::Error for TryRecvError<T> {}

impl<T> From<RecvError> for TryRecvError<T> {
    fn from(_: RecvError) -> TryRecvError<T> {
        TryRecvError::Disconnected
    }
}

impl<T> fmt::Debug for RecvTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecvTimeoutError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for RecvTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvTimeoutError::Timeout(_) => "timed out waiting on oneshot channel".fmt(f),
            RecvTimeoutError::Disconnected => "receiving on a closed oneshot channel".fmt(f),
        }
    }
}

impl<T> error::Error for RecvTimeoutError<T> {}

impl<T> From<RecvError> for RecvTimeoutError<T> {
    fn from(_: RecvError) -> RecvTimeoutError<T> {
        RecvTimeoutError::Disconnected
    }
}
