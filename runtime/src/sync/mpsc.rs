//! Channels with many senders and one receiver, word for word as `std::sync::mpsc`.
//!
//! Owns the std-shaped names; the engine is `channel`. The error types are std's own.
//!
//! # Examples
//!
//! ```
//! use dormouse_runtime::sync::mpsc::channel;
//! use dormouse_runtime::{run, thread};
//!
//! run(|| {
//!     let (sender, receiver) = channel();
//!     for n in 0..10 {
//!         let sender = sender.clone();
//!         thread::spawn(move || sender.send(n).unwrap());
//!     }
//!     drop(sender);
//!     assert_eq!(receiver.iter().sum::<u32>(), 45);
//! });
//! ```

use super::mpmc;
use super::select::{Receive, RecvArm, SendArm, Transmit};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::RefUnwindSafe;
use std::time::{Duration, Instant};

pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

/// Makes a channel without limit: sending never waits.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = dormouse_runtime::sync::mpsc::channel();
/// sender.send("hello").unwrap();
/// assert_eq!(receiver.recv(), Ok("hello"));
/// ```
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (inner, receiver) = mpmc::channel();
    (Sender { inner }, Receiver::new(receiver))
}

/// Makes a channel that holds up to `bound` messages: sending to a full one waits.
///
/// With a `bound` of 0 it holds none: a send waits until it meets the receiver.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::mpsc::sync_channel;
/// use dormouse_runtime::{run, thread};
///
/// run(|| {
///     let (sender, receiver) = sync_channel(0);
///     thread::spawn(move || sender.send(53).unwrap());
///     assert_eq!(receiver.recv(), Ok(53));
/// });
/// ```
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let (inner, receiver) = mpmc::sync_channel(bound);
    (SyncSender { inner }, Receiver::new(receiver))
}

/// The sending end of [`channel`]; clones send into the same channel.
///
/// Shared by threads if its messages may be sent to them:
///
/// ```
/// fn shared<T: Sync>() {}
/// shared::<dormouse_runtime::sync::mpsc::Sender<std::cell::Cell<u8>>>();
/// ```
pub struct Sender<T> {
    /// The same, of a channel that may have many receivers.
    inner: mpmc::Sender<T>,
}

/// The sending end of [`sync_channel`]; clones send into the same channel.
pub struct SyncSender<T> {
    /// As in [`Sender`].
    inner: mpmc::Sender<T>,
}

/// The receiving end of a channel, of which there is one.
///
/// One thread at a time receives:
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<dormouse_runtime::sync::mpsc::Receiver<u8>>();
/// ```
pub struct Receiver<T> {
    /// The same, of a channel that may have many.
    inner: mpmc::Receiver<T>,
    /// It may change threads, and not be shared by them.
    unshared: PhantomData<Cell<()>>,
}

impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Sender<T> {
    /// Sends `t`.
    ///
    /// `Ok` does not mean that it will be received: the receiver may be dropped before.
    ///
    /// # Errors
    ///
    /// If the receiver is gone; `t` is in the error.
    ///
    /// # Blocking
    ///
    /// Never waits or yields, and is no cancellation point.
    #[inline(always)]
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.inner.send(t)
    }

    /// Whether the receiver is gone.
    pub fn is_disconnected(&self) -> bool {
        self.inner.is_disconnected()
    }
}

impl<T> SyncSender<T> {
    /// Sends `t`, waiting for room, or for the receiver if there is no capacity.
    ///
    /// # Errors
    ///
    /// If the receiver is gone, or goes while this waits; `t` is in the error.
    ///
    /// # Blocking
    ///
    /// While the channel is full, parks the coroutine or blocks the plain thread. A cancellation point then, and where it
    /// yields after many sends that did not wait; a message that was not sent is dropped with the unwinding coroutine.
    ///
    /// # Panics
    ///
    /// Where it has to wait inside `no_park`.
    #[inline(always)]
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.inner.send(t)
    }

    /// Sends `t` if that needs no waiting.
    ///
    /// # Errors
    ///
    /// `Full` if the channel is full, or has no capacity and the receiver does not wait; `Disconnected` if the receiver is
    /// gone. `t` is in the error.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::mpsc::{TrySendError, sync_channel};
    ///
    /// let (sender, _receiver) = sync_channel(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// ```
    pub fn try_send(&self, t: T) -> Result<(), TrySendError<T>> {
        self.inner.try_send(t)
    }

    /// Whether the receiver is gone.
    pub fn is_disconnected(&self) -> bool {
        self.inner.is_disconnected()
    }
}

impl<T> Receiver<T> {
    fn new(inner: mpmc::Receiver<T>) -> Receiver<T> {
        Receiver { inner, unshared: PhantomData }
    }

    /// Receives a message if there is one. Without capacity that is one whose sender waits in a `send`: a
    /// [`select!`](crate::sync::select!) that waits has none yet, since it makes its message once it is chosen, and meets
    /// only a receiver that waits too.
    ///
    /// # Errors
    ///
    /// `Empty` if there is none, `Disconnected` if there will be none any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::mpsc::{TryRecvError, channel};
    ///
    /// let (sender, receiver) = channel::<u8>();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.inner.try_recv()
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
        self.inner.recv()
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
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::mpsc::{RecvTimeoutError, channel};
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = channel::<u8>();
    /// assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.inner.recv_timeout(timeout)
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
        self.inner.recv_deadline(deadline)
    }

    /// The messages to come, until all senders are gone; waits for each as [`recv`](Receiver::recv) does.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { rx: self }
    }

    /// The messages that are there; never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = dormouse_runtime::sync::mpsc::channel();
    /// (0..3).for_each(|n| sender.send(n).unwrap());
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { rx: self }
    }

    /// Whether all senders are gone. There may still be messages.
    pub fn is_disconnected(&self) -> bool {
        self.inner.is_disconnected()
    }
}

/// What both senders are in the same way.
macro_rules! sender {
    ($name:ident) => {
        impl<T> Clone for $name<T> {
            fn clone(&self) -> $name<T> {
                $name { inner: self.inner.clone() }
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl<T> Transmit for $name<T> {
            type Message = T;

            fn sending(&self) -> SendArm<'_, T> {
                self.inner.sending()
            }
        }
    };
}

sender!(Sender);
sender!(SyncSender);

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<T> Receive for Receiver<T> {
    type Output = Result<T, RecvError>;
    type Arm<'a>
        = RecvArm<'a, T>
    where
        T: 'a;

    fn receiving(&self) -> RecvArm<'_, T> {
        self.inner.receiving()
    }
}

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
