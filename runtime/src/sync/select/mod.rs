//! Waiting for the first of several channels: [`select!`](crate::sync::select!), and [`Select`] for a number of arms that
//! is known only at run time.
//!
//! Owns the public face; the engine is `channel`'s `arm`. A select spawns nothing, and one that waits allocates one word
//! that its places in the channels' lines share.
//!
//! What a select promises:
//!
//! 1. Exactly one arm is done. The message of a send that was not done was never made, and no message was received by a
//!    receive that was not done.
//! 2. It is fair: of several arms that can go on, each is as likely to be done as any other.
//! 3. A closed channel can go on: its receive gives an error at once, and so does its send.

mod arms;
mod builder;
mod macros;

pub use arms::{Receive, Transmit};
pub use builder::Select;
#[doc(inline)]
pub use macros::select;

pub(in crate::sync) use arms::{AnyArm, Attempt};
pub(crate) use arms::{RecvArm, SendArm};

/// What the macro expands to.
#[doc(hidden)]
pub mod expansion {
    pub use super::arms::{AnyArm, Attempt, Outcome, RecvArm, SendArm, select, select_now, select_until};
    pub use std::time::Instant;
}
