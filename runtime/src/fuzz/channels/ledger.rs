//! Where each message is. A message tells of its own end; of all else its users tell.
//!
//! Times are numbers of things that happened, not of a clock.

use crate::lock::Lock;
use std::sync::Arc;

/// A message.
#[derive(Debug)]
pub(super) struct Letter {
    /// Its name.
    pub(super) number: usize,
    /// Whom it tells of its end.
    ledger: Arc<Ledger>,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate {
    /// Where it was to be sent.
    channel: usize,
    /// When its send began.
    pub(super) began: u64,
    /// When its send was over, and how.
    pub(super) over: Option<(u64, Over)>,
    /// How often it was received.
    received: u32,
    /// How many there are of it: none once it was dropped, several of one that goes to all.
    pub(super) copies: u32,
}

/// How a send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Sent,
    /// The message came back.
    Refused,
    /// By a cancel: the message was sent or dropped.
    Cancelled,
}

/// All messages of a program.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The messages by their numbers, and the time.
    book: Lock<(Vec<Fate>, u64)>,
}

impl Ledger {
    pub(super) fn new() -> Arc<Ledger> {
        Arc::new(Ledger { book: Lock::new((Vec::new(), 0)) })
    }

    fn write<R>(&self, number: usize, f: impl FnOnce(&mut Fate, u64) -> R) -> R {
        let mut book = self.book.lock();
        let (fates, now) = &mut *book;
        *now += 1;
        f(&mut fates[number], *now)
    }

    /// A message, about to be sent.
    pub(super) fn make(self: &Arc<Ledger>, channel: usize) -> Letter {
        let mut book = self.book.lock();
        book.1 += 1;
        let (number, began) = (book.0.len(), book.1);
        book.0.push(Fate { channel, began, over: None, received: 0, copies: 1 });
        drop(book);
        Letter { number, ledger: Arc::clone(self) }
    }

    /// Its send is over; what is told first holds.
    pub(super) fn over(&self, number: usize, how: Over) {
        self.write(number, |fate, now| fate.over = fate.over.or(Some((now, how))));
    }

    /// Somebody received it from `channel`.
    pub(super) fn receive(&self, letter: &Letter, channel: usize) -> Fate {
        self.write(letter.number, |fate, _| {
            fate.received += 1;
            assert_eq!((fate.channel, fate.received), (channel, 1), "from where it was sent to, once");
            assert!(fate.over.is_none_or(|(_, how)| how != Over::Refused), "it came back");
            *fate
        })
    }

    pub(super) fn fate(&self, number: usize) -> Fate {
        self.book.lock().0[number]
    }

    /// Messages of a channel that are neither received nor dropped: in it, or with those who wait to send.
    pub(super) fn alive(&self, channel: usize) -> usize {
        let book = self.book.lock();
        book.0.iter().filter(|fate| fate.channel == channel && fate.copies > 0 && fate.received == 0).count()
    }

    /// As many of these whose send is over: they are in the channel for certain.
    pub(super) fn inside(&self, channel: usize) -> usize {
        let book = self.book.lock();
        let alive = book.0.iter().filter(|fate| fate.channel == channel && fate.copies > 0 && fate.received == 0);
        alive.filter(|fate| fate.over.is_some()).count()
    }

    /// A message of a channel that was sent, and dropped without being received.
    pub(super) fn lost(&self, channel: usize) -> Option<usize> {
        let book = self.book.lock();
        let sent = |fate: &Fate| fate.channel == channel && fate.over.is_some_and(|(_, how)| how == Over::Sent);
        book.0.iter().position(|fate| sent(fate) && fate.copies == 0 && fate.received == 0)
    }

    /// Messages that were never dropped.
    pub(super) fn kept(&self) -> usize {
        self.book.lock().0.iter().filter(|fate| fate.copies > 0).count()
    }
}

impl Clone for Letter {
    fn clone(&self) -> Letter {
        self.ledger.write(self.number, |fate, _| fate.copies += 1);
        Letter { number: self.number, ledger: Arc::clone(&self.ledger) }
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        let copies = self.ledger.write(self.number, |fate, _| {
            fate.copies = fate.copies.wrapping_sub(1);
            fate.copies
        });
        assert!(copies != u32::MAX, "dropped twice");
    }
}
