//! A socket object of the readiness target, and what the model knows of it: flags and plain queues.

use crate::once_arc::OnceArc;
use crate::poller::Poller;
use crate::readiness::Interest;
use crate::remote::{Remote, SourceId};
use crate::source::{Kind, Registrations};
use crate::sys::epoll;
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

/// How many there are; the last is one to accept from.
pub(super) const OBJECTS: usize = 4;

/// The events of a mask.
pub(super) fn bits(mask: u8) -> u32 {
    let all = [epoll::IN, epoll::OUT, epoll::PRI, epoll::RDHUP, epoll::HUP, epoll::ERR];
    (0..).zip(all).filter(|(at, _)| mask >> at & 1 == 1).fold(0, |bits, (_, bit)| bits | bit)
}

/// One direction of a source.
#[derive(Default)]
struct Direction {
    /// Who waits, longest first.
    queue: VecDeque<u32>,
    /// Whether an attempt is worthwhile.
    ready: bool,
    /// Whether an event said more than "data" or "room".
    special: bool,
    /// Whether epoll watches for it.
    watched: bool,
}

impl Direction {
    fn new() -> Direction {
        Direction { ready: true, ..Direction::default() }
    }

    fn next(&mut self) -> Option<u32> {
        if self.ready { self.queue.pop_front() } else { None }
    }
}

/// See the heading.
pub(super) struct Object {
    /// Its name in the poller.
    pub(super) id: SourceId,
    /// Whether it is one to accept from.
    pub(super) accepts: bool,
    /// Its registration.
    shared: OnceArc<Registrations>,
    /// The descriptor that is watched.
    ours: UnixStream,
    /// Kept open, so that epoll has nothing to tell.
    _theirs: UnixStream,
    /// Reading, or accepting.
    read: Direction,
    /// Writing.
    write: Direction,
}

impl Object {
    pub(super) fn new(number: usize, poller: &mut Poller) -> Object {
        let (ours, theirs) = UnixStream::pair().expect("descriptors can be had");
        let (accepts, shared) = (number == OBJECTS - 1, OnceArc::new());
        let kind = if accepts { Kind::Acceptor } else { Kind::Stream };
        let id = poller.register(&shared, kind, ours.as_fd()).expect("few are watched");
        assert_eq!(poller.register(&shared, kind, ours.as_fd()).expect("it is"), id, "once");
        Object { id, accepts, shared, ours, _theirs: theirs, read: Direction::new(), write: Direction::new() }
    }

    pub(super) fn interest(&self, write: bool) -> Interest {
        match (self.accepts, write) {
            (true, _) => Interest::Accept,
            (false, true) => Interest::Write,
            (false, false) => Interest::Read,
        }
    }

    fn direction(&mut self, interest: Interest) -> &mut Direction {
        match interest {
            Interest::Read | Interest::Accept => &mut self.read,
            Interest::Write => &mut self.write,
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        !(self.read.queue.is_empty() && self.write.queue.is_empty())
    }

    pub(super) fn enqueue(&mut self, interest: Interest, slot: u32, front: bool) {
        // Whoever writes is told of what can be read, too.
        self.read.watched = true;
        let direction = self.direction(interest);
        (direction.watched, direction.ready, direction.special) = (true, false, false);
        if front { direction.queue.push_front(slot) } else { direction.queue.push_back(slot) }
    }

    pub(super) fn dequeue(&mut self, interest: Interest, slot: u32) {
        self.direction(interest).queue.retain(|other| *other != slot);
    }

    /// Latches an event; gives whom it wakes.
    pub(super) fn event(&mut self, mask: u8) -> Vec<u32> {
        let any = |at: &[u32]| at.iter().any(|at| mask >> at & 1 == 1);
        self.read.ready |= any(&[0, 2, 3, 4, 5]);
        self.write.ready |= any(&[1, 4, 5]);
        self.read.special |= any(&[2, 3, 4, 5]);
        self.write.special |= any(&[4, 5]);
        [self.read.next(), self.write.next()].into_iter().flatten().collect()
    }

    pub(super) fn next(&mut self, interest: Interest) -> Option<u32> {
        self.direction(interest).next()
    }

    /// Somebody left something to read.
    pub(super) fn turn(&mut self, interest: Interest) -> Option<u32> {
        self.read.ready = true;
        self.next(interest)
    }

    /// An attempt took less than it asked for: nothing is left, unless an event said more, or none would tell of more.
    pub(super) fn drained(&mut self, interest: Interest) {
        let direction = self.direction(interest);
        if direction.watched && !direction.special {
            direction.ready = false;
        }
    }

    pub(super) fn check(&self, poller: &Poller) {
        if self.accepts {
            assert!(poller.is_ready(self.id, Interest::Accept), "one to accept from is always tried");
        } else {
            assert_eq!(poller.is_ready(self.id, Interest::Read), self.read.ready);
            assert_eq!(poller.is_ready(self.id, Interest::Write), self.write.ready);
        }
    }

    /// As `wait::Source` ends its registrations; gives the name that is now nobody's.
    pub(super) fn close(&mut self, remote: &Remote, poller: &mut Poller) -> SourceId {
        let registrations = self.shared.take().expect("it is registered");
        let all = registrations.lock().clear();
        assert_eq!(all.iter().map(|one| (one.worker, one.id)).collect::<Vec<_>>(), [(remote.id, self.id)]);
        remote.epoll.delete(self.ours.as_raw_fd());
        poller.closed(self.id);
        self.id
    }
}
