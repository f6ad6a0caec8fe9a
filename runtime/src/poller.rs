//! epoll, the eventfd and the trim alarm of one worker: interest goes in, (source, readiness) comes out.
//!
//! Owns which sources this worker watches. Knows sources by index and waiters by slot index, nothing of coroutines.
//!
//! Invariant 1: an event is taken only if its generation is that of the source at its index; what is in flight for a
//! source that is gone is ignored, even if the descriptor or the index is in use again.
//! Invariant 2: a registration is removed from epoll only under the lock of its list and while the list names us,
//! since then the socket object still holds the descriptor open.
//! Invariant 3: an acceptor is registered exactly while somebody here waits for it. EXCLUSIVE wakes one worker for a
//! connection; one that nobody here would take would strand. Whoever leaves passes on what is there.
//! Invariant 4: a stream is registered at its first wait and stays so, for writing from the first wait to write on: a datagram or
//! Unix socket has an edge for all that its peer takes, which is nothing to who only reads.

use crate::once_arc::OnceArc;
use crate::prefetch::prefetch;
use crate::readiness::{Interest, Links, Readiness};
use crate::remote::{Message, NOTIFY_TOKEN, Remote, SourceId};
use crate::source::{Kind, Registration, Registrations};
use crate::sys::epoll::{self, Epoll, Event, NO_EVENT};
use crate::sys::poll;
use crate::sys::timerfd::TimerFd;
use slab::Slab;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// Events taken from the kernel at once.
const BATCH: usize = 256;

/// The token of the trim alarm.
const ALARM_TOKEN: u64 = u64::MAX - 2;

/// One source as this worker watches it.
#[derive(Debug)]
struct Watched {
    /// What is known, and who waits.
    readiness: Readiness,
    /// The socket object's list of registrations.
    shared: Arc<Registrations>,
    /// Its name, which tells it from earlier ones at the same index.
    id: SourceId,
    /// The descriptor; open while the list names us (invariant 2).
    fd: RawFd,
    /// Stream or acceptor.
    kind: Kind,
    /// What it is registered for now (invariants 3 and 4); 0 if it is not.
    events: u32,
}

impl Watched {
    /// Registers for `events`, or for more than before.
    #[cold]
    fn arm(&mut self, epoll: &Epoll, events: u32) -> io::Result<()> {
        let token = u64::from(self.id.to_bits());
        match self.events {
            0 => epoll.add(self.fd, events, token)?,
            _ => epoll.modify(self.fd, events, token)?,
        }
        self.events = events;
        Ok(())
    }
}

/// What whoever waits with this interest needs the source to be registered for.
fn events_for(interest: Interest) -> u32 {
    match interest {
        Interest::Read => epoll::IN | epoll::RDHUP | epoll::PRI | epoll::ET,
        Interest::Write => epoll::IN | epoll::OUT | epoll::RDHUP | epoll::PRI | epoll::ET,
        Interest::Accept => epoll::IN | epoll::EXCLUSIVE,
    }
}

/// What ended a look at the poller, beside the sources.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looked {
    /// The alarm went off.
    pub(crate) alarm: bool,
}

/// One worker's poller.
#[derive(Debug)]
pub(crate) struct Poller {
    /// This worker's public half, which holds the epoll instance.
    remote: Arc<Remote>,
    /// The sources watched.
    sources: Slab<Watched>,
    /// The generation of the next source.
    next_generation: u32,
    /// Where the kernel writes events.
    events: Box<[Event]>,
    /// Changes with each look that found several: which of them comes first.
    looks: u32,
    /// Goes off when parked stacks are to be trimmed.
    alarm: TimerFd,
}

impl Poller {
    pub(crate) fn new(remote: Arc<Remote>) -> io::Result<Poller> {
        let alarm = TimerFd::new()?;
        remote.epoll.add(alarm.raw(), epoll::IN | epoll::ET, ALARM_TOKEN)?;
        Ok(Poller {
            remote,
            sources: Slab::new(),
            next_generation: 0,
            events: vec![NO_EVENT; BATCH].into_boxed_slice(),
            looks: 0,
            alarm,
        })
    }

    /// Sets the alarm, once, `after` from now.
    pub(crate) fn set_alarm(&self, after: Duration) -> io::Result<()> {
        self.alarm.set(after)
    }

    /// Whether anything but messages could come out of a look.
    pub(crate) fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Waits at most `timeout`, latches what happened, and gives `woken` each slot whose turn it is.
    pub(crate) fn look<L: Links>(
        &mut self,
        timeout: Option<Duration>,
        links: &std::cell::RefCell<L>,
        mut woken: impl FnMut(&mut L, u32),
    ) -> io::Result<Looked> {
        let mut events = std::mem::take(&mut self.events);
        let found = self.remote.epoll.wait(&mut events, timeout).map(<[Event]>::len);
        let mut looked = Looked::default();
        let mut links = links.borrow_mut();
        let count = *found.as_ref().unwrap_or(&0);
        let (before, first) = events[..count].split_at(self.first_of(count));
        for event in first.iter().chain(before) {
            let (token, bits) = (event.u64, event.events);
            match token {
                NOTIFY_TOKEN => {}
                ALARM_TOKEN => looked.alarm = true,
                token => self.latch(token, bits, &mut *links, &mut woken),
            }
        }
        self.events = events;
        found.map(|_| looked)
    }

    /// Which of so many events comes first: each time another one. Where several sources are one socket, its clones, the
    /// kernel tells of them always in the same order, and who is woken first finds what there is.
    fn first_of(&mut self, count: usize) -> usize {
        if count < 2 {
            return 0;
        }
        // Fibonacci hashing of the looks: any run of them begins about equally often with each.
        self.looks = self.looks.wrapping_add(0x9E37_79B9);
        ((u64::from(self.looks) * count as u64) >> 32) as usize
    }

    pub(crate) fn latch<L: Links>(
        &mut self,
        token: u64,
        bits: u32,
        links: &mut L,
        woken: &mut impl FnMut(&mut L, u32),
    ) {
        let Some(watched) = self.watched(SourceId::from_bits(token as u32)) else {
            return;
        };
        watched.readiness.latch(bits);
        if watched.kind == Kind::Acceptor && watched.readiness.is_unwatched() {
            // Whoever had the turn did something else first; level-triggered, it would be reported for ever.
            let index = watched.id.index();
            return self.disarm_if_unwatched(index);
        }
        for interest in [Interest::Read, Interest::Write] {
            if let Some(slot) = watched.readiness.next(links, interest) {
                woken(links, slot);
            }
        }
    }

    fn watched(&mut self, id: SourceId) -> Option<&mut Watched> {
        let watched = self.sources.get_mut(id.index())?;
        (watched.id == id).then_some(watched)
    }

    /// The registration of a socket object here, made if it is the first, and the home from now on. Fails with ENOSPC,
    /// ENOMEM or EPERM.
    pub(crate) fn register(
        &mut self,
        shared: &OnceArc<Registrations>,
        kind: Kind,
        fd: BorrowedFd<'_>,
    ) -> io::Result<SourceId> {
        let shared = Registrations::of(shared);
        let mut list = shared.lock();
        let id = match list.find(self.remote.id) {
            Some(id) => id,
            None => self.insert(kind, fd, &shared)?,
        };
        let left = list.settle(Registration { worker: self.remote.id, id });
        drop(list);
        if let Some(old) = left.filter(|_| kind == Kind::Stream) {
            send(old, Message::SourceMoved(old.id));
        }
        Ok(id)
    }

    fn insert(&mut self, kind: Kind, fd: BorrowedFd<'_>, shared: &Arc<Registrations>) -> io::Result<SourceId> {
        let entry = self.sources.vacant_entry();
        if entry.key() > SourceId::LAST_INDEX {
            return Err(io::Error::other("a worker watches four million sources at the most"));
        }
        let id = SourceId::new(entry.key(), self.next_generation);
        self.next_generation = (self.next_generation + 1) % SourceId::GENERATIONS;
        entry.insert(Watched {
            readiness: Readiness::new(),
            shared: Arc::clone(shared),
            id,
            fd: fd.as_raw_fd(),
            kind,
            events: 0,
        });
        Ok(id)
    }

    /// Has the cache fetch what a coroutine touches first that is woken by the source at `index`.
    #[inline]
    pub(crate) fn prefetch(&self, index: u32) {
        if let Some(watched) = self.sources.get(index as usize) {
            prefetch(Arc::as_ptr(&watched.shared).addr(), size_of::<Registrations>());
        }
    }

    /// Whether an attempt is worthwhile.
    #[inline]
    pub(crate) fn is_ready(&self, id: SourceId, interest: Interest) -> bool {
        let watched = &self.sources[id.index()];
        watched.kind == Kind::Acceptor || watched.readiness.is_ready(interest)
    }

    /// The last attempt took less than it asked for. Where epoll does not watch for more, nothing would restore the latch.
    #[inline]
    pub(crate) fn drained(&mut self, id: SourceId, interest: Interest) {
        let watched = &mut self.sources[id.index()];
        if watched.events & events_for(interest) == events_for(interest) {
            watched.readiness.drained(interest);
        }
    }

    /// An attempt answered EAGAIN: clears the latch and queues the slot, which then parks. `front` if it had the turn.
    pub(crate) fn enqueue(
        &mut self,
        links: &mut impl Links,
        id: SourceId,
        interest: Interest,
        slot: u32,
        front: bool,
    ) -> io::Result<()> {
        let watched = &mut self.sources[id.index()];
        if (watched.kind == Kind::Acceptor) != (interest == Interest::Accept) {
            let message = "a descriptor is waited for either to accept, or to read and write";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let wanted = watched.events | events_for(interest);
        if watched.events != wanted {
            watched.arm(&self.remote.epoll, wanted)?;
        }
        watched.readiness.clear(interest);
        watched.readiness.enqueue(links, interest, slot, front);
        Ok(())
    }

    /// Takes out a slot that timed out or was cancelled.
    pub(crate) fn dequeue(&mut self, links: &mut impl Links, index: u32, interest: Interest, slot: u32) {
        let index = index as usize;
        let watched = &mut self.sources[index];
        watched.readiness.dequeue(links, interest, slot);
        let id = watched.id;
        self.left(id);
    }

    /// The end of a turn: the slot that is next, if there still is something for it.
    #[inline]
    pub(crate) fn pass_on(&mut self, links: &mut impl Links, id: SourceId, interest: Interest) -> Option<u32> {
        let watched = self.watched(id)?;
        match watched.kind {
            Kind::Stream => watched.readiness.next(links, interest).or_else(|| {
                self.left(id);
                None
            }),
            Kind::Acceptor => {
                self.left(id);
                None
            }
        }
    }

    /// A waiter left: an acceptor nobody waits for is disarmed, a stream used elsewhere and not waited for is dropped.
    fn left(&mut self, id: SourceId) {
        match self.sources[id.index()].kind {
            Kind::Acceptor => self.disarm_if_unwatched(id.index()),
            Kind::Stream => self.moved(id),
        }
    }

    /// Invariant 3. A level-triggered acceptor with waiters left needs nothing: epoll reports it again.
    fn disarm_if_unwatched(&mut self, index: usize) {
        let watched = &mut self.sources[index];
        if watched.kind == Kind::Stream || watched.events == 0 || !watched.readiness.is_unwatched() {
            return;
        }
        let list = watched.shared.lock();
        let is_listed = list.find(self.remote.id).is_some();
        if is_listed && !self.remote.epoll.delete(watched.fd) {
            // Its next event comes here again.
            return;
        }
        watched.events = 0;
        if !is_listed {
            return;
        }
        let others: Vec<_> = list.iter().filter(|other| other.worker != self.remote.id).collect();
        let left_over = !others.is_empty() && poll::is_readable(watched.fd);
        drop(list);
        for other in others.into_iter().filter(|_| left_over) {
            send(other, Message::PassTurn(other.id, Interest::Accept));
        }
    }

    /// Another worker left something for us: the slot to wake.
    pub(crate) fn take_turn(&mut self, links: &mut impl Links, id: SourceId, interest: Interest) -> Option<u32> {
        let watched = self.watched(id)?;
        watched.readiness.latch(epoll::IN);
        watched.readiness.next(links, interest)
    }

    /// The use of a stream moved to another worker: stops watching it, unless somebody waits here.
    pub(crate) fn moved(&mut self, id: SourceId) {
        let remote = &self.remote;
        let Some(watched) = self.sources.get(id.index()).filter(|watched| watched.id == id) else {
            return;
        };
        if !watched.readiness.is_unwatched() || watched.shared.at_home(remote).is_some() {
            return;
        }
        let mut list = watched.shared.lock();
        if list.find(remote.id) != Some(id) {
            return;
        }
        let _ = remote.epoll.delete(watched.fd);
        list.remove(remote.id);
        drop(list);
        self.sources.remove(id.index());
    }

    /// The socket object is gone and epoll no longer knows it: frees its place.
    pub(crate) fn closed(&mut self, id: SourceId) {
        if self.watched(id).is_some() {
            let watched = self.sources.remove(id.index());
            debug_assert!(watched.readiness.is_unwatched(), "closed by `&mut`, so nobody waits");
        }
    }
}

/// Tells another worker about its registration; one that nothing refers to any more has forgotten it.
fn send(to: Registration, message: Message) {
    if let Some(worker) = Remote::find(to.worker) {
        let _ = worker.send(message);
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use crate::readiness::Link;
    use std::cell::RefCell;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    /// Registers one end of a fresh pair, which is kept open, and lets `slot` wait for it.
    fn watch(poller: &mut Poller, links: &mut Vec<Link>, slot: u32) -> (SourceId, UnixStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let shared = OnceArc::new();
        let id = poller.register(&shared, Kind::Stream, ours.as_fd()).unwrap();
        poller.enqueue(links, id, Interest::Read, slot, false).unwrap();
        (id, ours, theirs)
    }

    #[test]
    fn clones_of_a_socket_are_woken_first_by_turns() {
        let mut poller = Poller::new(Remote::open().unwrap()).unwrap();
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let clones = [0, 1, 2].map(|_| ours.try_clone().unwrap());
        let (mut links, shared) = (vec![Link::NONE; 3], [0, 1, 2].map(|_| OnceArc::new()));
        let mut firsts = [0; 3];
        for _ in 0..300 {
            for (slot, (clone, shared)) in (0..).zip(clones.iter().zip(&shared)) {
                let id = poller.register(shared, Kind::Stream, clone.as_fd()).unwrap();
                poller.enqueue(&mut links, id, Interest::Read, slot, false).unwrap();
            }
            theirs.send(b"x").unwrap();
            let cell = RefCell::new(links);
            let woken = looked(&mut poller, &cell);
            links = cell.into_inner();
            assert_eq!(woken.len(), 3);
            firsts[woken[0] as usize] += 1;
            ours.recv(&mut [0]).unwrap();
        }
        assert!(firsts.iter().all(|times| (90..=110).contains(times)), "{firsts:?}");
    }

    #[test]
    fn an_event_in_flight_for_a_source_that_is_gone_wakes_nobody() {
        let mut poller = Poller::new(Remote::open().unwrap()).unwrap();
        let mut links = vec![Link::NONE; 4];
        let (gone, _ours, _theirs) = watch(&mut poller, &mut links, 0);
        poller.dequeue(&mut links, gone.index() as u32, Interest::Read, 0);
        poller.closed(gone);
        let (present, _ours, _theirs) = watch(&mut poller, &mut links, 1);
        assert_eq!(present.index(), gone.index(), "the place is used again");
        let mut woken = Vec::new();
        poller.latch(u64::from(gone.to_bits()), epoll::IN, &mut links, &mut |_: &mut Vec<Link>, slot| woken.push(slot));
        assert!(woken.is_empty());
        poller.latch(u64::from(present.to_bits()), epoll::IN, &mut links, &mut |_: &mut Vec<Link>, slot| {
            woken.push(slot)
        });
        assert_eq!(woken, [1]);
    }

    /// Looks once; gives whom that woke.
    fn looked(poller: &mut Poller, links: &RefCell<Vec<Link>>) -> Vec<u32> {
        let mut woken = Vec::new();
        poller.look(Some(Duration::ZERO), links, |_, slot| woken.push(slot)).unwrap();
        woken
    }

    #[test]
    fn who_only_reads_is_not_told_of_room_to_write_and_who_writes_is() {
        let mut poller = Poller::new(Remote::open().unwrap()).unwrap();
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut links = vec![Link::NONE; 4];
        let shared = OnceArc::new();
        let id = poller.register(&shared, Kind::Stream, ours.as_fd()).unwrap();
        poller.enqueue(&mut links, id, Interest::Read, 0, false).unwrap();
        ours.send(b"x").unwrap();
        theirs.recv(&mut [0]).unwrap();
        let mut events = [NO_EVENT; 4];
        assert!(poller.remote.epoll.wait(&mut events, Some(Duration::ZERO)).unwrap().is_empty());

        while ours.send(b"x").is_ok() {}
        poller.enqueue(&mut links, id, Interest::Write, 1, false).unwrap();
        let links = RefCell::new(links);
        assert!(looked(&mut poller, &links).is_empty(), "still full");
        while theirs.set_nonblocking(true).and_then(|()| theirs.recv(&mut [0])).is_ok() {}
        assert_eq!(looked(&mut poller, &links), [1]);
        theirs.send(b"x").unwrap();
        assert_eq!(looked(&mut poller, &links), [0]);
    }

    #[test]
    fn a_short_transfer_counts_only_where_it_is_watched_for_more() {
        let mut poller = Poller::new(Remote::open().unwrap()).unwrap();
        let mut links = vec![Link::NONE; 4];
        let (id, _ours, _theirs) = watch(&mut poller, &mut links, 0);
        poller.drained(id, Interest::Write);
        assert!(poller.is_ready(id, Interest::Write), "nobody has waited to write");

        // EPERM stands in for ENOSPC.
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let id = poller.register(&OnceArc::new(), Kind::Stream, file.as_fd()).unwrap();
        poller.enqueue(&mut links, id, Interest::Read, 0, false).unwrap_err();
        poller.drained(id, Interest::Read);
        assert!(poller.is_ready(id, Interest::Read), "epoll does not know it");
    }

    #[test]
    fn a_descriptor_is_either_accepted_from_or_read() {
        let mut poller = Poller::new(Remote::open().unwrap()).unwrap();
        let mut links = vec![Link::NONE; 4];
        let (id, _ours, _theirs) = watch(&mut poller, &mut links, 0);
        let error = poller.enqueue(&mut links, id, Interest::Accept, 1, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn data_wakes_who_waits_for_it_and_once() {
        let mut poller = Poller::new(Remote::open().unwrap()).unwrap();
        let mut links = vec![Link::NONE; 4];
        let (_id, _ours, mut theirs) = watch(&mut poller, &mut links, 2);
        std::io::Write::write_all(&mut theirs, b"x").unwrap();
        let (links, woken) = (RefCell::new(links), RefCell::new(Vec::new()));
        for _ in 0..2 {
            poller.look(Some(Duration::ZERO), &links, |_, slot| woken.borrow_mut().push(slot)).unwrap();
        }
        assert_eq!(*woken.borrow(), [2]);
    }
}
