//! Arms as the macro and the builder hold them: typed until they wait, and typed again when one was chosen.
//!
//! Owns the bridge between public traits and the private engine. Nothing here waits by itself.

use crate::sync::channel::{self, Arm, Enrolled, Patience, Receiving, Room, Seat, Sending};
use crate::waiter::Waiter;
use std::fmt;
use std::sync::mpsc::{RecvError, SendError};
use std::time::Instant;

/// A channel end that a select can receive from: a receiver of any kind of channel of [`sync`](crate::sync).
///
/// Not to be implemented elsewhere: no other crate can make an arm.
pub trait Receive {
    /// What a receive gives: a `Result`, since the channel may be closed.
    type Output;

    /// The arm.
    #[doc(hidden)]
    type Arm<'a>: Attempt<Output = Self::Output>
    where
        Self: 'a;

    /// An arm that receives.
    #[doc(hidden)]
    fn receiving(&self) -> Self::Arm<'_>;
}

/// A channel end that a select can send to: a sender of any channel of [`sync`](crate::sync) that may be full.
///
/// Not to be implemented elsewhere: no other crate can make an arm.
pub trait Transmit {
    /// What is sent.
    type Message;

    /// An arm that sends.
    #[doc(hidden)]
    fn sending(&self) -> SendArm<'_, Self::Message>;
}

/// An arm whose outcome has a type.
#[doc(hidden)]
pub trait Attempt {
    /// What it gives if it is chosen.
    type Output;

    /// The arm without that type.
    fn erase(&mut self) -> AnyArm<'_>;

    /// What it gave, if it was done.
    fn finish(&mut self) -> Option<Self::Output>;
}

/// An arm of any type.
#[doc(hidden)]
pub struct AnyArm<'a>(&'a mut (dyn Arm + 'a));

impl<'a> AnyArm<'a> {
    pub(in crate::sync) fn new(arm: &'a mut (dyn Arm + 'a)) -> AnyArm<'a> {
        AnyArm(arm)
    }
}

impl Arm for AnyArm<'_> {
    fn attempt(&mut self) -> bool {
        self.0.attempt()
    }

    fn enroll(&mut self, waiter: Waiter, seat: Seat) -> Enrolled {
        self.0.enroll(waiter, seat)
    }

    fn withdraw(&mut self) {
        self.0.withdraw();
    }

    fn pass_on(&mut self) {
        self.0.pass_on();
    }
}

/// Receives from a channel.
#[doc(hidden)]
pub struct RecvArm<'a, T>(Receiving<'a, T>);

impl<'a, T> RecvArm<'a, T> {
    pub(in crate::sync) fn new(arm: Receiving<'a, T>) -> RecvArm<'a, T> {
        RecvArm(arm)
    }
}

impl<T> Attempt for RecvArm<'_, T> {
    type Output = Result<T, RecvError>;

    fn erase(&mut self) -> AnyArm<'_> {
        AnyArm(&mut self.0)
    }

    fn finish(&mut self) -> Option<Result<T, RecvError>> {
        self.0.finish()
    }
}

/// Sends to a channel.
#[doc(hidden)]
pub struct SendArm<'a, T>(Sending<'a, T>);

impl<'a, T> SendArm<'a, T> {
    pub(in crate::sync) fn new(arm: Sending<'a, T>) -> SendArm<'a, T> {
        SendArm(arm)
    }
}

impl<'a, T> Attempt for SendArm<'a, T> {
    type Output = Permit<'a, T>;

    fn erase(&mut self) -> AnyArm<'_> {
        AnyArm(&mut self.0)
    }

    fn finish(&mut self) -> Option<Permit<'a, T>> {
        self.0.finish().map(Permit)
    }
}

/// The right to send one message; dropped unused, it is another's.
#[doc(hidden)]
pub struct Permit<'a, T>(Room<'a, T>);

impl<T> Permit<'_, T> {
    pub fn send(self, message: T) -> Result<(), SendError<T>> {
        self.0.send(message)
    }
}

/// Which arm was done: this one, or one of those after it.
#[doc(hidden)]
#[derive(Debug)]
pub enum Outcome<A, B> {
    This(A),
    Next(B),
}

macro_rules! opaque {
    ($($name:ident),*) => {$(
        impl<T> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

opaque!(RecvArm, SendArm, Permit);

impl fmt::Debug for AnyArm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyArm").finish_non_exhaustive()
    }
}

/// Waits until one arm is done.
#[doc(hidden)]
pub fn select(arms: &mut [AnyArm<'_>]) {
    channel::select(arms, Patience::Endless);
}

/// As [`select`], but no longer than until `deadline`.
#[doc(hidden)]
pub fn select_until(arms: &mut [AnyArm<'_>], deadline: Option<Instant>) {
    channel::select(arms, deadline.map_or(Patience::Endless, Patience::Until));
}

/// As [`select`], without waiting.
#[doc(hidden)]
pub fn select_now(arms: &mut [AnyArm<'_>]) {
    channel::select(arms, Patience::None);
}
