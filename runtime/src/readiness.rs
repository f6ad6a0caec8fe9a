//! One source's latched readiness and its two queues of waiters. Pure: no system call, no scheduler.
//!
//! Owns which directions are known to be ready, and who waits for them, as slot indexes linked through
//! [`Links`]. Does not know what a slot is, nor what a source is.
//!
//! Readiness is latched whether or not somebody waits: an event that comes before the wait is not lost. EAGAIN
//! clears it ([`Readiness::clear`]), any new event restores it. A short read may clear it too, but only if no event
//! since the last clear said that more than data is there: data and FIN can arrive as one edge, and an urgent mark
//! shortens a read with more behind it.
//!
//! Invariant 1: a slot is in at most one queue, and only while it is parked on this source.
//! Invariant 2: a direction with waiters whose readiness is latched has handed a turn to somebody, who passes it on.
//! Invariant 3: waiters of one direction are woken in the order they came.

use crate::sys::epoll;

/// No slot.
pub(crate) const NOBODY: u32 = u32::MAX;

/// What a coroutine wants to do with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Read or receive.
    Read,
    /// Write, send, or finish connecting.
    Write,
    /// Accept from a listening descriptor. It is watched exactly while somebody waits, and an event wakes one waiter; a
    /// descriptor whose first wait was of this kind knows no other.
    Accept,
}

/// A slot's place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Who came before.
    previous: u32,
    /// Who came after.
    next: u32,
}

impl Link {
    pub(crate) const NONE: Link = Link { previous: NOBODY, next: NOBODY };
}

/// Where the links are kept: the slot table, or a model's.
pub(crate) trait Links {
    fn link(&mut self, slot: u32) -> &mut Link;
}

/// First come, first served.
#[derive(Debug)]
struct Queue {
    /// Who waits longest.
    head: u32,
    /// Who came last.
    tail: u32,
}

impl Queue {
    const EMPTY: Queue = Queue { head: NOBODY, tail: NOBODY };

    fn is_empty(&self) -> bool {
        self.head == NOBODY
    }

    fn push(&mut self, links: &mut impl Links, slot: u32) {
        *links.link(slot) = Link { previous: self.tail, next: NOBODY };
        match self.tail {
            NOBODY => self.head = slot,
            tail => links.link(tail).next = slot,
        }
        self.tail = slot;
    }

    fn push_front(&mut self, links: &mut impl Links, slot: u32) {
        *links.link(slot) = Link { previous: NOBODY, next: self.head };
        match self.head {
            NOBODY => self.tail = slot,
            head => links.link(head).previous = slot,
        }
        self.head = slot;
    }

    fn unlink(&mut self, links: &mut impl Links, slot: u32) {
        let Link { previous, next } = std::mem::replace(links.link(slot), Link::NONE);
        match previous {
            NOBODY => self.head = next,
            previous => links.link(previous).next = next,
        }
        match next {
            NOBODY => self.tail = previous,
            next => links.link(next).previous = previous,
        }
    }

    fn pop(&mut self, links: &mut impl Links) -> Option<u32> {
        let slot = self.head;
        (slot != NOBODY).then(|| {
            self.unlink(links, slot);
            slot
        })
    }
}

/// Readable (or acceptable).
const READ_READY: u8 = 1;
/// Writable.
const WRITE_READY: u8 = 1 << 1;
/// An event on the reading side said more than "data": then a short read proves nothing.
const READ_SPECIAL: u8 = 1 << 2;
/// The same for writing.
const WRITE_SPECIAL: u8 = 1 << 3;

/// What one worker knows of one source.
#[derive(Debug)]
pub(crate) struct Readiness {
    /// Who waits to read or accept.
    readers: Queue,
    /// Who waits to write.
    writers: Queue,
    /// The bits above.
    bits: u8,
}

impl Readiness {
    /// Nothing is known yet, so an attempt is worthwhile.
    pub(crate) fn new() -> Readiness {
        Readiness { readers: Queue::EMPTY, writers: Queue::EMPTY, bits: READ_READY | WRITE_READY }
    }

    fn queue(&mut self, interest: Interest) -> &mut Queue {
        match interest {
            Interest::Read | Interest::Accept => &mut self.readers,
            Interest::Write => &mut self.writers,
        }
    }

    /// Whether an attempt is worthwhile.
    #[inline]
    pub(crate) fn is_ready(&self, interest: Interest) -> bool {
        self.bits & ready_bit(interest) != 0
    }

    /// An attempt answered EAGAIN: only a new event makes another worthwhile.
    pub(crate) fn clear(&mut self, interest: Interest) {
        self.bits &= !(ready_bit(interest) | special_bit(interest));
    }

    /// An attempt took less than it asked for: as [`Readiness::clear`], unless an event said more than "data".
    #[inline]
    pub(crate) fn drained(&mut self, interest: Interest) {
        if self.bits & special_bit(interest) == 0 {
            self.bits &= !ready_bit(interest);
        }
    }

    /// Latches what an event says.
    pub(crate) fn latch(&mut self, events: u32) {
        if events & (epoll::IN | epoll::RDHUP | epoll::HUP | epoll::ERR | epoll::PRI) != 0 {
            self.bits |= READ_READY;
        }
        if events & (epoll::OUT | epoll::HUP | epoll::ERR) != 0 {
            self.bits |= WRITE_READY;
        }
        if events & (epoll::RDHUP | epoll::HUP | epoll::ERR | epoll::PRI) != 0 {
            self.bits |= READ_SPECIAL;
        }
        if events & (epoll::HUP | epoll::ERR) != 0 {
            self.bits |= WRITE_SPECIAL;
        }
    }

    /// Queues a parked slot: at the front if it had the turn and found nothing, else at the back.
    pub(crate) fn enqueue(&mut self, links: &mut impl Links, interest: Interest, slot: u32, front: bool) {
        let queue = self.queue(interest);
        if front {
            queue.push_front(links, slot);
        } else {
            queue.push(links, slot);
        }
    }

    /// Takes out a slot that timed out or was cancelled.
    pub(crate) fn dequeue(&mut self, links: &mut impl Links, interest: Interest, slot: u32) {
        self.queue(interest).unlink(links, slot);
    }

    /// Whose turn it is, if the direction is ready and somebody waits.
    #[inline]
    pub(crate) fn next(&mut self, links: &mut impl Links, interest: Interest) -> Option<u32> {
        if self.is_ready(interest) { self.queue(interest).pop(links) } else { None }
    }

    /// Whether nobody waits in either direction.
    pub(crate) fn is_unwatched(&self) -> bool {
        self.readers.is_empty() && self.writers.is_empty()
    }
}

fn ready_bit(interest: Interest) -> u8 {
    match interest {
        Interest::Read | Interest::Accept => READ_READY,
        Interest::Write => WRITE_READY,
    }
}

fn special_bit(interest: Interest) -> u8 {
    match interest {
        Interest::Read | Interest::Accept => READ_SPECIAL,
        Interest::Write => WRITE_SPECIAL,
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    impl Links for Vec<Link> {
        fn link(&mut self, slot: u32) -> &mut Link {
            &mut self[slot as usize]
        }
    }

    const READ: Interest = Interest::Read;

    #[test]
    fn an_event_before_the_wait_is_kept() {
        let mut readiness = Readiness::new();
        readiness.clear(READ);
        assert!(!readiness.is_ready(READ));
        readiness.latch(epoll::IN);
        assert!(readiness.is_ready(READ));
        assert!(readiness.is_ready(Interest::Write), "never tried");
    }

    #[test]
    fn a_short_read_clears_data_but_not_data_with_fin() {
        let mut readiness = Readiness::new();
        readiness.clear(READ);
        readiness.latch(epoll::IN);
        readiness.drained(READ);
        assert!(!readiness.is_ready(READ));
        for special in [epoll::RDHUP, epoll::HUP, epoll::ERR, epoll::PRI] {
            readiness.clear(READ);
            readiness.latch(epoll::IN | special);
            readiness.drained(READ);
            assert!(readiness.is_ready(READ));
            readiness.latch(epoll::IN);
            readiness.drained(READ);
            assert!(readiness.is_ready(READ), "only EAGAIN ends it");
        }
    }

    #[test]
    fn a_hang_up_readies_both_directions() {
        for events in [epoll::HUP, epoll::ERR] {
            let mut readiness = Readiness::new();
            readiness.clear(READ);
            readiness.clear(Interest::Write);
            readiness.latch(events);
            assert!(readiness.is_ready(READ) && readiness.is_ready(Interest::Write));
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Enqueue { slot: u32, front: bool },
        Dequeue { slot: u32 },
        Event,
        Eagain,
        Next,
    }

    /// Fewer under Miri, which is a thousand times slower.
    const STEPS: usize = if cfg!(miri) { 40 } else { 200 };

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..8u32, any::<bool>()).prop_map(|(slot, front)| Step::Enqueue { slot, front }),
            (0..8u32).prop_map(|slot| Step::Dequeue { slot }),
            Just(Step::Event),
            Just(Step::Eagain),
            Just(Step::Next),
        ];
        prop::collection::vec(step, 0..STEPS)
    }

    proptest! {
        #[test]
        fn the_queue_is_a_queue(steps in steps()) {
            let mut links = vec![Link::NONE; 8];
            let (mut readiness, mut model, mut ready) = (Readiness::new(), VecDeque::new(), true);
            for step in steps {
                match step {
                    Step::Enqueue { slot, front } if !model.contains(&slot) => {
                        readiness.enqueue(&mut links, READ, slot, front);
                        if front { model.push_front(slot) } else { model.push_back(slot) }
                    }
                    Step::Dequeue { slot } if model.contains(&slot) => {
                        readiness.dequeue(&mut links, READ, slot);
                        model.retain(|&other| other != slot);
                    }
                    Step::Event => { readiness.latch(epoll::IN); ready = true; }
                    Step::Eagain => { readiness.clear(READ); ready = false; }
                    Step::Next => {
                        let expected = if ready { model.pop_front() } else { None };
                        prop_assert_eq!(readiness.next(&mut links, READ), expected);
                    }
                    Step::Enqueue { .. } | Step::Dequeue { .. } => {}
                }
                prop_assert_eq!(readiness.is_unwatched(), model.is_empty());
                prop_assert_eq!(readiness.is_ready(READ), ready);
            }
        }
    }
}
