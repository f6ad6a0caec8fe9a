//! What one client is to be sent: a queue between those who have something to say and the client's writer.
//!
//! Knows no sockets.
//!
//! 1. It takes a frame of any length while less than its limit of bytes waits: what it holds is bounded by that and a frame.
//! 2. Who can wait does (`push`), and is thereby as slow as the client. Who tells many (`offer`) does not: then the client
//!    misses that, and all that follows until it has taken what is here; then it is told how much it missed. So one slow
//!    client slows down nobody else, and gets whole stretches of a talk, not single words.
//! 3. Behind the end nothing is accepted. What was accepted before is sent, unless the client does not take it.
//! 4. Nothing is thrown into a wait here, which would poison the lock: a pusher is inside `cancel::as_errors`, and what
//!    strikes is an answer; the writer is inside `cancel::shield`.

use std::collections::VecDeque;
use std::time::Duration;

use dormouse::cancel;
use dormouse::sync::{Condvar, Mutex};
use tungstenite::Bytes;

use super::frames;

/// Only a wait with a limit answers that something struck. The client's own limit is the writer's.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// There is something to be sent, or the end.
    to_send: Condvar,
    /// There is room, or the end.
    room: Condvar,
    /// Of bytes: invariant 1.
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    /// What all of them cost, in bytes.
    bytes: usize,
    /// How many frames were left out behind them.
    missed: u64,
    /// Whether a ping is to be sent, before all else.
    pings: bool,
    is_ended: bool,
}

/// What a frame takes while it waits: an empty one is two bytes, but also a place in the queue, and a block of the heap.
fn cost(frame: &Bytes) -> usize {
    frame.len() + 64
}

/// The frame was not accepted: the outbox is at its end, or its pusher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended;

impl Outbox {
    pub(crate) fn new(limit: usize) -> Outbox {
        Outbox { state: Mutex::default(), to_send: Condvar::new(), room: Condvar::new(), limit }
    }

    /// Waits for room.
    pub(crate) fn push(&self, frame: Bytes) -> Result<(), Ended> {
        let mut state = self.state.lock().unwrap();
        while !state.is_ended && !state.has_room(self.limit) {
            let (locked, waited) = self.room.wait_timeout(state, LONG).unwrap();
            state = locked;
            if waited.timed_out() && cancel::is_cancelled() {
                return Err(Ended);
            }
        }
        if state.is_ended {
            return Err(Ended);
        }
        state.add(frame);
        self.to_send.notify_one();
        Ok(())
    }

    /// Leaves the frame out if there is no room, and gives whether that was so.
    pub(crate) fn offer(&self, frame: &Bytes) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.is_ended {
            return false;
        }
        if state.missed > 0 || !state.has_room(self.limit) {
            state.missed += 1;
            return true;
        }
        state.add(frame.clone());
        self.to_send.notify_one();
        false
    }

    /// Has the client asked whether it is there.
    pub(crate) fn ping(&self) {
        self.state.lock().unwrap().pings = true;
        self.to_send.notify_one();
    }

    /// Nothing comes behind this frame. The first end is the end.
    pub(crate) fn end(&self, last: Option<Bytes>) {
        let mut state = self.state.lock().unwrap();
        if !state.is_ended {
            state.is_ended = true;
            last.into_iter().for_each(|last| state.add(last));
            self.notify_all();
        }
    }

    /// The client does not take anything any more: what is here is left out.
    pub(crate) fn give_up(&self) {
        *self.state.lock().unwrap() = State { is_ended: true, ..State::default() };
        self.notify_all();
    }

    fn notify_all(&self) {
        self.to_send.notify_all();
        self.room.notify_all();
    }

    /// Waits for what is to be sent next; `None` behind the end.
    pub(crate) fn wait_next(&self) -> Option<Bytes> {
        let state = self.state.lock().unwrap();
        let mut state = self.to_send.wait_while(state, |state| !state.is_ended && !state.has_next()).unwrap();
        self.next(&mut state)
    }

    /// As `wait_next`, but `None` also if there is nothing at the moment.
    pub(crate) fn try_next(&self) -> Option<Bytes> {
        self.next(&mut self.state.lock().unwrap())
    }

    fn next(&self, state: &mut State) -> Option<Bytes> {
        if std::mem::take(&mut state.pings) {
            return Some(frames::ping());
        }
        let Some(frame) = state.frames.pop_front() else {
            // Invariant 2: all of it is taken.
            let missed = std::mem::take(&mut state.missed);
            return (missed > 0).then(|| frames::missed(missed));
        };
        state.bytes -= cost(&frame);
        self.room.notify_one();
        Some(frame)
    }
}

impl State {
    fn has_room(&self, limit: usize) -> bool {
        self.bytes < limit
    }

    fn add(&mut self, frame: Bytes) {
        self.bytes += cost(&frame);
        self.frames.push_back(frame);
    }

    fn has_next(&self) -> bool {
        self.pings || self.missed > 0 || !self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_frames_fill_it_and_give_their_room_back() {
        let (outbox, empty) = (Outbox::new(64 * 1024), frames::binary(Bytes::new()));
        for _ in 0..3 {
            let accepted = (0..10_000).take_while(|_| !outbox.offer(&empty)).count();
            assert!((900..=1024).contains(&accepted), "{accepted} frames in 64 KiB");
            // The frames, and the word that one was missed.
            assert_eq!(std::iter::from_fn(|| outbox.try_next()).count(), accepted + 1);
        }
    }
}
