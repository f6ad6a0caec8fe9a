//! A select whose arms are known at run time only.

use super::arms::{AnyArm, Attempt, Receive, SendArm, Transmit};
use crate::sync::channel::{self, Arm, Enrolled, Patience, Seat};
use crate::waiter::Waiter;
use std::fmt;
use std::sync::mpsc::SendError;
use std::time::{Duration, Instant};

/// A select of any number of arms. What is done with the outcome of an arm, a closure says; only one of them is called.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::mpsc::channel;
/// use dormouse_runtime::sync::select::Select;
///
/// let channels: Vec<_> = (0..10).map(|_| channel::<u32>()).collect();
/// channels[7].0.send(42).unwrap();
///
/// let mut select = Select::new();
/// for (index, (_, receiver)) in channels.iter().enumerate() {
///     select.recv(receiver, move |message| (index, message));
/// }
/// assert_eq!(select.wait(), (7, Ok(42)));
/// ```
pub struct Select<'a, R> {
    /// The arms, in the order in which they came.
    arms: Vec<Box<dyn Ending<R> + 'a>>,
}

impl<'a, R> Select<'a, R> {
    /// A select without arms.
    pub fn new() -> Select<'a, R> {
        Select { arms: Vec::new() }
    }

    /// Adds an arm that receives from `channel`; `then` gets what came of it.
    pub fn recv<C: Receive>(&mut self, channel: &'a C, then: impl FnOnce(C::Output) -> R + 'a) -> &mut Self {
        self.add(channel.receiving(), then)
    }

    /// Adds an arm that sends to `channel` what `message` gives, which is called only when there is room; `then` gets what
    /// came of it. In a channel without capacity the receiver has been chosen by then and waits until `message` returns:
    /// that should be quick, and must not wait for the receiver.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::mpsc::sync_channel;
    /// use dormouse_runtime::sync::select::Select;
    ///
    /// let (full, _first) = sync_channel(1);
    /// full.send(0).unwrap();
    /// let (free, second) = sync_channel(1);
    ///
    /// let mut select = Select::new();
    /// select.send(&full, || 1, |sent| ("full", sent)).send(&free, || 2, |sent| ("free", sent));
    /// assert_eq!(select.wait(), ("free", Ok(())));
    /// assert_eq!(second.recv(), Ok(2));
    /// ```
    pub fn send<C: Transmit>(
        &mut self,
        channel: &'a C,
        message: impl FnOnce() -> C::Message + 'a,
        then: impl FnOnce(Result<(), SendError<C::Message>>) -> R + 'a,
    ) -> &mut Self {
        let arm: SendArm<'a, C::Message> = channel.sending();
        self.add(arm, move |permit| then(permit.send(message())))
    }

    fn add<A: Attempt + 'a>(&mut self, arm: A, then: impl FnOnce(A::Output) -> R + 'a) -> &mut Self {
        self.arms.push(Box::new(With { arm, then }));
        self
    }

    /// Waits until one arm is done, and gives what its closure gives. Without arms, for ever.
    ///
    /// # Blocking
    ///
    /// If no arm can go on, parks the coroutine or blocks the plain thread. A cancellation point then, and nothing is lost by
    /// it: no arm is done.
    ///
    /// # Panics
    ///
    /// Panics where the closures do, and where it has to wait inside `no_park`.
    pub fn wait(self) -> R {
        self.run(Patience::Endless).expect("an endless wait ends by an arm")
    }

    /// Does an arm that can go on at once; `None` if there is none. Never waits.
    pub fn try_wait(self) -> Option<R> {
        self.run(Patience::None)
    }

    /// As [`wait`](Select::wait), but `None` after `timeout`, never earlier.
    ///
    /// # Blocking
    ///
    /// As [`wait`](Select::wait).
    pub fn wait_timeout(self, timeout: Duration) -> Option<R> {
        self.run(Instant::now().checked_add(timeout).map_or(Patience::Endless, Patience::Until))
    }

    /// As [`wait_timeout`](Select::wait_timeout), until an instant.
    ///
    /// # Blocking
    ///
    /// As [`wait`](Select::wait).
    pub fn wait_deadline(self, deadline: Instant) -> Option<R> {
        self.run(Patience::Until(deadline))
    }

    fn run(mut self, patience: Patience) -> Option<R> {
        if !channel::select(&mut self.arms, patience) {
            return None;
        }
        self.arms.into_iter().find_map(Ending::end)
    }
}

impl<R> Default for Select<'_, R> {
    fn default() -> Self {
        Select::new()
    }
}

impl<R> fmt::Debug for Select<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("arms", &self.arms.len()).finish()
    }
}

/// An arm that knows what is to be done with its outcome.
trait Ending<R>: Arm {
    /// Does that, if the arm was done.
    fn end(self: Box<Self>) -> Option<R>;
}

/// See [`Ending`].
struct With<A, F> {
    /// The arm.
    arm: A,
    /// What is to be done.
    then: F,
}

impl<A: Attempt, F> With<A, F> {
    fn arm(&mut self) -> AnyArm<'_> {
        self.arm.erase()
    }
}

impl<A: Attempt, F> Arm for With<A, F> {
    fn attempt(&mut self) -> bool {
        self.arm().attempt()
    }

    fn enroll(&mut self, waiter: Waiter, seat: Seat) -> Enrolled {
        self.arm().enroll(waiter, seat)
    }

    fn withdraw(&mut self) {
        self.arm().withdraw();
    }

    fn pass_on(&mut self) {
        self.arm().pass_on();
    }
}

impl<A: Attempt, F: FnOnce(A::Output) -> R, R> Ending<R> for With<A, F> {
    fn end(mut self: Box<Self>) -> Option<R> {
        let output = self.arm.finish()?;
        Some((self.then)(output))
    }
}
