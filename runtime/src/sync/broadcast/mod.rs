//! Channels whose messages go to every receiver, in the shape of `tokio::sync::broadcast`, blocking.
//!
//! A receiver sees each message sent since it subscribed. The channel keeps the last few; a receiver that is slower than
//! that is told how many it missed, and goes on with the oldest that is left. So sending never waits.
//!
//! Owns the handles and the waits; `ring` owns the messages. Lines of waiting receivers and selects are `channel`'s.
//!
//! # Examples
//!
//! ```
//! use dormouse_runtime::sync::broadcast;
//! use dormouse_runtime::{run, thread};
//!
//! run(|| {
//!     let (sender, receiver) = broadcast::channel(16);
//!     let other = sender.subscribe();
//!     let listeners = [receiver, other].map(|receiver| thread::spawn(move || receiver.recv()));
//!     assert_eq!(sender.send("news"), Ok(2));
//!     for listener in listeners {
//!         assert_eq!(listener.join().unwrap(), Ok("news"));
//!     }
//! });
//! ```

mod arm;
mod error;
mod ring;

pub use arm::BroadcastArm;
pub use error::{RecvError, RecvTimeoutError, TryRecvError};
pub use std::sync::mpsc::SendError;

use super::channel::{Number, Standing};
use crate::budget;
use crate::cancel::Point;
use crate::lock::Lock;
use crate::os_thread::Parked;
use crate::waiter::Wait;
use ring::{Found, Ring};
use std::cell::Cell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Makes a channel that keeps the last `capacity` messages, and its first receiver.
///
/// For its ends to be [`Send`], `T` is to be [`Sync`] too, which other channels do not ask: all receivers share a message,
/// and each clones it on its own thread.
///
/// # Panics
///
/// If `capacity` is 0.
#[must_use]
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a broadcast keeps at least one message");
    let ring = Arc::new(Lock::new(Ring::new(capacity)));
    (Sender { ring: Arc::clone(&ring) }, Receiver { ring, next: Cell::new(0) })
}

/// An end to send with. Clones send into the same channel, which is closed once the last one is dropped.
pub struct Sender<T> {
    /// One count of the ring's senders.
    ring: Arc<Lock<Ring<T>>>,
}

/// An end to receive with. To have another, see [`Sender::subscribe`] and [`Receiver::resubscribe`].
pub struct Receiver<T> {
    /// One count of the ring's receivers.
    ring: Arc<Lock<Ring<T>>>,
    /// The number of the message that it sees next. Not shared by threads: a message is seen once.
    next: Cell<u64>,
}

// A message is in the ring or it is not: no unwind leaves anything half done.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Sender<T> {
    /// Sends `value` to all receivers there are, and gives their number.
    ///
    /// # Errors
    ///
    /// If there are none; `value` is in the error. There may be some again later.
    ///
    /// # Blocking
    ///
    /// Never waits or yields, and is no cancellation point.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let message = Arc::new(value);
        let mut ring = self.ring.lock();
        let receivers = ring.receivers;
        if receivers == 0 {
            drop(ring);
            return Err(SendError(Arc::into_inner(message).expect("nobody has seen it")));
        }
        let (oldest, waiting) = ring.push(message);
        drop(ring);
        drop(oldest);
        self.wake(waiting);
        Ok(receivers)
    }

    /// Wakes as many receivers.
    fn wake(&self, waiting: usize) {
        for _ in 0..waiting {
            let next = self.ring.lock().next_waiter();
            let Some(waiter) = next else {
                return;
            };
            waiter.wake();
        }
    }

    /// One more receiver, which sees what is sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        subscribe(&self.ring)
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.ring.lock().receivers
    }

    /// How many messages are kept because some receiver has not seen them.
    pub fn len(&self) -> usize {
        self.ring.lock().len()
    }

    /// Whether all receivers have seen everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `other` belongs to the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.ring, &other.ring)
    }
}

fn subscribe<T>(ring: &Arc<Lock<Ring<T>>>) -> Receiver<T> {
    let mut locked = ring.lock();
    locked.receivers += 1;
    let next = Cell::new(locked.end());
    drop(locked);
    Receiver { ring: Arc::clone(ring), next }
}

impl<T: Clone> Receiver<T> {
    /// Receives the next message, waiting for it.
    ///
    /// # Errors
    ///
    /// `Lagged` if messages were missed, once, with their number; `Closed` if everything was seen and all senders are gone.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine or blocks the plain thread. A cancellation point then, and where it yields after many
    /// receives that did not wait; no message is lost by it.
    ///
    /// # Panics
    ///
    /// Panics where cloning a message does, and where it has to wait inside `no_park`.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.receive(None).map_err(|error| match error {
            RecvTimeoutError::Lagged(missed) => RecvError::Lagged(missed),
            RecvTimeoutError::Closed | RecvTimeoutError::Timeout => RecvError::Closed,
        })
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    ///
    /// `Empty` if there is none yet; else as [`recv`](Receiver::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::broadcast::{self, TryRecvError};
    ///
    /// let (sender, receiver) = broadcast::channel(2);
    /// (0..5).for_each(|n| drop(sender.send(n)));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(3)));
    /// assert_eq!(receiver.try_recv(), Ok(3));
    /// assert_eq!(receiver.try_recv(), Ok(4));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.look() {
            Found::Message(message) => Ok(Arc::unwrap_or_clone(message)),
            Found::Lagged(missed) => Err(TryRecvError::Lagged(missed)),
            Found::Empty => Err(TryRecvError::Empty),
            Found::Closed => Err(TryRecvError::Closed),
        }
    }

    /// As [`recv`](Receiver::recv), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// `Timeout` after that, never earlier; else as [`recv`](Receiver::recv).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Receiver::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.receive(Instant::now().checked_add(timeout))
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
        self.receive(Some(deadline))
    }

    fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        budget::spend();
        let mut expired = false;
        loop {
            match self.try_recv() {
                Err(TryRecvError::Empty) if !expired => expired = self.wait(deadline) != Parked::Woken,
                ended => return ended.map_err(RecvTimeoutError::from),
            }
        }
    }
}

impl<T> Receiver<T> {
    fn look(&self) -> Found<T> {
        let mut next = self.next.get();
        let found = self.ring.lock().take(&mut next);
        self.next.set(next);
        found
    }

    /// Waits until there may be something.
    fn wait(&self, deadline: Option<Instant>) -> Parked {
        let wait = Wait::begin();
        let mut ring = self.ring.lock();
        if ring.can_take(self.next.get()) {
            return Parked::Woken;
        }
        let number = ring.wait(Standing { waiter: wait.waiter(), seat: None });
        drop(ring);
        let _place = Place { ring: &self.ring, number };
        wait.park(deadline, Point::Fallible)
    }

    /// Another receiver of the channel, which sees what is sent from now on.
    #[must_use]
    pub fn resubscribe(&self) -> Receiver<T> {
        subscribe(&self.ring)
    }

    /// How many messages there are that this receiver has yet to see, those that it missed included.
    pub fn len(&self) -> usize {
        (self.ring.lock().end() - self.next.get()) as usize
    }

    /// Whether this receiver has seen everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `other` belongs to the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.ring, &other.ring)
    }
}

/// A place in the line, left whatever way the wait ends. All that wait are woken at once, so there is nothing to pass on.
struct Place<'a, T> {
    ring: &'a Lock<Ring<T>>,
    number: Number,
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        self.ring.lock().leave(self.number);
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.ring.lock().senders += 1;
        Sender { ring: Arc::clone(&self.ring) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut ring = self.ring.lock();
        ring.senders -= 1;
        let last = ring.senders == 0;
        drop(ring);
        if last {
            self.wake(usize::MAX);
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let unseen = self.ring.lock().forget(self.next.get());
        drop(unseen);
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

#[cfg(all(test, dormouse_loom))]
mod models;
