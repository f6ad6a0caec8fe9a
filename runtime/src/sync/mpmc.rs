//! Channels with any number of senders and receivers, as in std's (unstable) `std::sync::mpmc`.
//!
//! Each message goes to one receiver. For a message that goes to all of them see [`broadcast`](crate::sync::broadcast).
//!
//! Owns the std-shaped names; the engine is `channel`.
//!
//! # Examples
//!
//! ```
//! use dormouse_runtime::sync::mpmc::channel;
//! use dormouse_runtime::{run, thread};
//!
//! run(|| {
//!     let (sender, jobs) = channel();
//!     let workers: Vec<_> = (0..4).map(|_| {
//!         let jobs = jobs.clone();
//!         thread::spawn(move || jobs.iter().sum::<u32>())
//!     }).collect();
//!     (1..=100).for_each(|job| sender.send(job).unwrap());
//!     drop(sender);
//!     assert_eq!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u32>(), 5050);
//! });
//! ```

use super::channel::{self, Figures, Inlet, Outlet, UNBOUNDED, Unsent};
use super::select::{Receive, RecvArm, SendArm, Transmit};
use std::time::{Duration, Instant};
use std::{error, fmt};

pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

/// Makes a channel without limit: sending never waits.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = dormouse_runtime::sync::mpmc::channel();
/// sender.send(7).unwrap();
/// assert_eq!(receiver.clone().recv(), Ok(7));
/// ```
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    sync_channel(UNBOUNDED)
}

/// Makes a channel that holds up to `cap` messages: sending to a full one waits.
///
/// With a `cap` of 0 it holds none: a send waits until it meets a receiver.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::mpmc::{TrySendError, sync_channel};
///
/// let (sender, receiver) = sync_channel(1);
/// sender.send(1).unwrap();
/// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
#[must_use]
pub fn sync_channel<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    let (inlet, outlet) = channel::channel(cap);
    (Sender { inlet }, Receiver { outlet })
}

/// An end to send with. Clones send into the same channel.
///
/// The channel is closed once the last one is dropped: receivers get what was sent, and then an error.
pub struct Sender<T> {
    /// One count of the channel.
    inlet: Inlet<T>,
}

/// An end to receive with. Clones receive from the same channel, each message once.
///
/// Once the last one is dropped, what was not received is dropped, and sending fails.
pub struct Receiver<T> {
    /// One count of the channel.
    outlet: Outlet<T>,
}

impl<T> Sender<T> {
    /// Sends `msg` if that needs no waiting.
    ///
    /// # Errors
    ///
    /// `Full` if the channel is full, or has no capacity and no receiver waits; `Disconnected` if all receivers are gone.
    /// `msg` is in the error.
    pub fn try_send(&self, msg: T) -> Result<(), TrySendError<T>> {
        self.inlet.try_send(msg)
    }

    /// Sends `msg`, waiting for room.
    ///
    /// # Errors
    ///
    /// If all receivers are gone; `msg` is in the error.
    ///
    /// # Blocking
    ///
    /// While the channel is full, parks the coroutine or blocks the plain thread. A cancellation point then, and where it
    /// yields after many sends that did not wait; a message that was not sent is dropped with the unwinding coroutine.
    /// Never waits, yields or throws where there is no limit.
    ///
    /// # Panics
    ///
    /// Where it has to wait inside `no_park`.
    #[inline(always)]
    pub fn send(&self, msg: T) -> Result<(), SendError<T>> {
        let sent = if self.inlet.is_unbounded() {
            self.inlet.send_unbounded(msg)
        } else {
            self.inlet.send(msg, None).map_err(|(Unsent::Timeout(msg) | Unsent::Disconnected(msg))| msg)
        };
        sent.map_err(SendError)
    }

    /// As [`send`](Sender::send), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout` after that, never earlier; `Disconnected` if all receivers are gone. `msg` is in the error.
    ///
    /// # Blocking
    ///
    /// As [`send`](Sender::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::mpmc::{SendTimeoutError, sync_channel};
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = sync_channel(0);
    /// assert_eq!(sender.send_timeout(1, Duration::from_millis(1)), Err(SendTimeoutError::Timeout(1)));
    /// ```
    pub fn send_timeout(&self, msg: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(msg, Instant::now().checked_add(timeout))
    }

    /// As [`send_timeout`](Sender::send_timeout), until an instant.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Sender::send_timeout).
    ///
    /// # Blocking
    ///
    /// As [`send`](Sender::send).
    pub fn send_deadline(&self, msg: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_until(msg, Some(deadline))
    }

    fn send_until(&self, msg: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        self.inlet.send(msg, deadline).map_err(|unsent| match unsent {
            Unsent::Timeout(msg) => SendTimeoutError::Timeout(msg),
            Unsent::Disconnected(msg) => SendTimeoutError::Disconnected(msg),
        })
    }
}

impl<T> Receiver<T> {
    /// Receives a message if there is one. Without capacity that is one whose sender waits in a `send`: a
    /// [`select!`](crate::sync::select!) that waits has none yet, since it makes its message once it is chosen, and meets
    /// only a receiver that waits too.
    ///
    /// # Errors
    ///
    /// `Empty` if there is none, `Disconnected` if there will be none any more.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.outlet.try_receive()
    }

    /// Receives a message, waiting for one.
    ///
    /// # Errors
    ///
    /// If there is none and all senders are gone.
    ///
    /// # Blocking
    ///
    /// While the channel is empty, parks the coroutine or blocks the plain thread. A cancellation point then, and where it
    /// yields after many receives that did not wait; no message is lost by it.
    ///
    /// # Panics
    ///
    /// Where it has to wait inside `no_park`.
    #[inline(always)]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.outlet.receive(None).map_err(|_| RecvError)
    }

    /// As [`recv`](Receiver::recv), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout` after that, never earlier; `Disconnected` if there will be no message any more.
    ///
    /// # Blocking
    ///
    /// As [`recv`](Receiver::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.outlet.receive(Instant::now().checked_add(timeout))
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
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.outlet.receive(Some(deadline))
    }

    /// The messages to come, until all senders are gone; waits for each as [`recv`](Receiver::recv) does.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { rx: self }
    }

    /// The messages that are there; never waits.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { rx: self }
    }
}

impl<T> Transmit for Sender<T> {
    type Message = T;

    fn sending(&self) -> SendArm<'_, T> {
        SendArm::new(self.inlet.sending())
    }
}

impl<T> Receive for Receiver<T> {
    type Output = Result<T, RecvError>;
    type Arm<'a>
        = RecvArm<'a, T>
    where
        T: 'a;

    fn receiving(&self) -> RecvArm<'_, T> {
        RecvArm::new(self.outlet.receiving())
    }
}

/// What both ends tell about their channel.
macro_rules! figures {
    ($name:ident, $end:ident) => {
        impl<T> $name<T> {
            /// Whether there is no message in the channel. Always, if it has no capacity.
            pub fn is_empty(&self) -> bool {
                self.$end.len() == 0
            }

            /// Whether the channel holds as many messages as it can. Always, if it has no capacity.
            pub fn is_full(&self) -> bool {
                self.$end.is_full()
            }

            /// How many messages are in the channel.
            pub fn len(&self) -> usize {
                self.$end.len()
            }

            /// How many messages the channel can hold; `None` if there is no limit.
            pub fn capacity(&self) -> Option<usize> {
                self.$end.capacity()
            }

            /// Whether `other` belongs to the same channel.
            pub fn same_channel(&self, other: &$name<T>) -> bool {
                self.$end.is_same(&other.$end)
            }

            /// Whether the other end is gone altogether.
            pub fn is_disconnected(&self) -> bool {
                self.$end.is_disconnected()
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                $name { $end: self.$end.clone() }
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

figures!(Sender, inlet);
figures!(Receiver, outlet);

/// Iterates over the messages to come; made by [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: 'a> {
    /// From where.
    rx: &'a Receiver<T>,
}

/// Iterates over the messages that are there; made by [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T: 'a> {
    /// From where.
    rx: &'a Receiver<T>,
}

/// Iterates over the messages to come, and owns its receiver.
#[derive(Debug)]
pub struct IntoIter<T> {
    /// From where.
    rx: Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rx.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { rx: self }
    }
}

/// Why [`Sender::send_timeout`] did not send; the message comes back.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum SendTimeoutError<T> {
    /// There was no room, and no receiver came, in time.
    Timeout(T),
    /// All receivers are gone.
    Disconnected(T),
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        "SendTimeoutError(..)".fmt(f)
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendTimeoutError::Timeout(_) => "timed out waiting on send operation".fmt(f),
            SendTimeoutError::Disconnected(_) => "sending on a disconnected channel".fmt(f),
        }
    }
}

impl<T> error::Error for SendTimeoutError<T> {}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(error: SendError<T>) -> SendTimeoutError<T> {
        SendTimeoutError::Disconnected(error.0)
    }
}
