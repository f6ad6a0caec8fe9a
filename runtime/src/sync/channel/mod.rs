//! The engine below every channel: a queue, a line of waiting receivers, a line of waiting senders, one private lock.
//!
//! | room | owns |
//! |---|---|
//! | `choice` | the word by which a select is chosen once |
//! | `line` | who waits, in which order |
//! | `state` | who gets what: pure, under the lock |
//! | `stash` | messages set aside for receivers, so that they do not meet the senders at the lock |
//! | `exchange` | the lock, and the waits of `send` and `recv` |
//! | `arm`, `arms` | waiting for the first of several, and what that means at a channel |
//! | `ends` | the handles, counted |
//!
//! # Why no message is lost
//!
//! A message is always in one of three hands: its sender's, the queue's, its receiver's. It is never in a wait.
//!
//! * **Receivers are told to come, and take for themselves.** Who puts a message into the queue takes the first receiver out
//!   of the line and wakes it; the receiver then takes what is in the queue, under the lock. So a receiver that is
//!   cancelled or times out at that moment has nothing that could be lost with it: it wakes the next in line instead,
//!   and if there is none the message waits in the queue, in its order. The rejected design hands the message to the
//!   receiver: that needs a place for it on the heap, and a way back into the queue, past the messages behind it. The
//!   price is that a receiver that did not wait may be faster; the one that was woken then takes its old place, first in line.
//! * **Senders leave their message in the line**, and whoever makes room moves it on: a sender that waits is woken once,
//!   when its message is in the queue, and nobody overtakes it. Cancelled or late, it takes the message back,
//!   unless that has been sent.
//! * **Selects bring nothing.** One that would send is told to come when there is room, takes hold of the room, and only then
//!   makes the message, so that the message of an arm that was not chosen was never moved.
//!
//! # Rendezvous
//!
//! Without capacity there is never room: a message enters the queue only for a receiver that stands in line at that moment,
//! or leaves the line of senders into the hands of a receiver. So `send` returns once a receiver has the message or
//! has been chosen for it and told so. If that receiver is cancelled before it comes, or times out while a select makes the
//! message, the message is the next receiver's.
//!
//! # Where a wait may throw
//!
//! `send` and `recv`, in all forms that may wait, are cancellation points while they wait, and where they yield after many
//! operations that did not have to wait. A receive that is thrown out of has received nothing. Inside an unwind they wait shielded, like
//! locks and joins and unlike sockets: the other end is in this process, where shutdown ends it.

mod arm;
mod arms;
mod choice;
mod ends;
mod exchange;
mod line;
mod stash;
mod state;

pub(in crate::sync) use arm::{Arm, Enrolled, Patience, select};
pub(in crate::sync) use arms::{Receiving, Room, Sending};
pub(in crate::sync) use choice::Seat;
pub(in crate::sync) use ends::{Figures, Inlet, Outlet, UNBOUNDED, channel};
pub(in crate::sync) use exchange::Unsent;
pub(in crate::sync) use line::{Line, Number, Standing};

#[cfg(all(test, dormouse_loom))]
mod models;
