//! What is on its way to a client that does not take it at once, or to whom others send: a queue with a limit, which a
//! coroutine of its own empties.
//!
//! 1. Once there is a queue, all that the client gets goes through it: what is said first comes first.
//! 2. Who waits for the client is the queue's coroutine only. Whoever puts something in never does.

use std::io::Write;
use std::time::{Duration, Instant};

use dormouse::net::TcpStream;
use dormouse::sync::{Mutex, MutexGuard, Notify};

/// How much may wait for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Beyond so many bytes it is disconnected; 0 is no limit.
    pub(crate) hard: usize,
    /// Beyond so many, if it stays beyond for so long.
    pub(crate) soft: usize,
    pub(crate) seconds: u64,
}

impl Limit {
    /// How long an answer may be that is made at once, behind `before` bytes of others.
    pub(crate) fn most(self, before: usize) -> usize {
        if self.hard == 0 { usize::MAX } else { self.hard.saturating_add(before) }
    }
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    /// Bytes that were taken out, and are not sent.
    sending: usize,
    /// Since when it is beyond the soft limit.
    beyond: Option<Instant>,
    /// Whether there is somebody who empties it.
    is_open: bool,
    /// Whether there will be no more.
    is_closed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// That there is something, or that there will be nothing any more.
    filled: Notify,
}

impl Outbox {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Invariant 1. Gives whether there was no queue before.
    pub(crate) fn open(&self) -> bool {
        !std::mem::replace(&mut self.queue().is_open, true)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.queue().is_open
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        let queue = self.queue();
        queue.bytes.len() + queue.sending
    }

    /// Puts bytes in. Gives whether the client is within its limit.
    pub(crate) fn put(&self, bytes: &[u8], limit: Limit) -> bool {
        let mut queue = self.queue();
        if queue.is_closed {
            return true;
        }
        queue.bytes.extend_from_slice(bytes);
        let is_within = queue.is_within(limit);
        drop(queue);
        self.filled.notify_one();
        is_within
    }

    /// Says that there will be no more.
    pub(crate) fn close(&self) {
        self.queue().is_closed = true;
        self.filled.notify_one();
    }

    /// Sends what is put in, until there will be no more, or the client has gone.
    pub(crate) fn empty(&self, mut stream: &TcpStream) {
        let mut taken = Vec::new();
        while self.take(&mut taken) {
            if stream.write_all(&taken).is_err() {
                self.queue().is_closed = true;
                return;
            }
        }
    }

    /// Waits for something, and takes all of it; `false` if there will be nothing.
    fn take(&self, taken: &mut Vec<u8>) -> bool {
        taken.clear();
        loop {
            let mut queue = self.queue();
            queue.sending = 0;
            if !queue.bytes.is_empty() {
                // The memory of one great message is not kept.
                taken.shrink_to(64 * 1024);
                std::mem::swap(taken, &mut queue.bytes);
                queue.sending = taken.len();
                return true;
            }
            if queue.is_closed {
                return false;
            }
            drop(queue);
            *taken = Vec::new();
            self.filled.wait();
        }
    }
}

impl Queue {
    fn is_within(&mut self, limit: Limit) -> bool {
        let waiting = self.bytes.len() + self.sending;
        if limit.hard > 0 && waiting > limit.hard {
            return false;
        }
        if limit.soft == 0 || waiting <= limit.soft {
            self.beyond = None;
            return true;
        }
        let since = *self.beyond.get_or_insert_with(Instant::now);
        since.elapsed() <= Duration::from_secs(limit.seconds)
    }
}
