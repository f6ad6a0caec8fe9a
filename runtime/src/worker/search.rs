//! Where what a worker spawns goes when there are others, and how a worker with nothing to run takes from them or
//! sleeps.
//!
//! Applies `placement` and the protocol of `idle` to the queues of the fleet.
//!
//! Invariant 1: only a searcher steals, and nobody is one while a coroutine runs.
//! Invariant 2: who lies down has seen, after the fence, that there is nothing to take, or that somebody searches, or
//! keeps an eye on what is not to be taken yet: it sleeps no longer than its patience. Who stops to, tells somebody
//! else. So what waits beside a sleeper is started by its owner soon, or taken.
//! Invariant 3: a sleeper sets itself an alarm only while something waits at another worker. For a lone record it rings soon; each
//! time after that later, up to its patience, until something is taken: beside an owner that is always quick, it is rare. So
//! where nobody has anything to start, nobody wakes, and who sleeps until an alarm is called by pushes as any sleeper.

use super::Worker;
use crate::linger;
use crate::placement::Share;
use crate::remote::RecordRef;
use std::cell::Cell;
use std::io;
use std::time::Duration;

/// Nanoseconds that the owner of a lone record has to start it, before the eyes of a searcher: more than a spawn and
/// the way to its join take, less than a sleep and a wake.
const GLANCE: u64 = 5_000;

/// Nanoseconds after which a worker that has not come to the end of its spawn queue is in a long run, and helped even
/// by one that becomes the heavier for it. Longer than the kernel mostly lets a thread wait for a processor.
const PATIENCE: u64 = 10_000_000;

/// Nanoseconds after which a sleeper looks again at a lone record: the last of a few, whose owner may have begun to compute. So long a
/// sleep is worth its wake, and the kernel makes it up to twice as long.
const FIRST_LOOK: u64 = 40_000;

/// Hints to the processor between two rounds of a search.
const PAUSE: u32 = 16;

/// What one worker remembers of the others' work.
#[derive(Debug)]
pub(super) struct Search {
    /// Which of the fleet this worker is.
    own: usize,
    /// Spawns placed; they compare with others in turn.
    turn: Cell<u32>,
    /// What it keeps an eye on.
    watch: Cell<Option<Watch>>,
    /// Nanoseconds from when it sees a lone record to its next look at it.
    look_after: Cell<u64>,
}

impl Search {
    pub(super) fn new(own: usize) -> Search {
        Search { own, turn: Cell::new(0), watch: Cell::new(None), look_after: Cell::new(FIRST_LOOK) }
    }

    /// It looks at what it watches, for which the time had come; the next time comes later (invariant 3).
    fn looks_again(&self) {
        self.watch.set(self.watch.get().map(|watch| Watch { look: u64::MAX, ..watch }));
        self.look_after.set((2 * self.look_after.get()).min(PATIENCE));
    }

    /// It has taken something.
    fn took(&self) {
        self.look_after.set(FIRST_LOOK);
    }
}

/// A worker whose owner has work waiting and may be about to start it.
#[derive(Clone, Copy, Debug)]
struct Watch {
    /// Which of the fleet.
    victim: usize,
    /// How often it had come to the end of its spawn queue.
    clearings: u32,
    /// When patience ends.
    until: u64,
    /// When to look at a lone record before that; [`u64::MAX`] if there is none.
    look: u64,
    /// Whether somebody else was told, since this worker has found something to do.
    told: bool,
}

impl Watch {
    fn new(victim: usize, clearings: u32, until: u64) -> Watch {
        Watch { victim, clearings, until, look: u64::MAX, told: false }
    }

    /// Whether it is this worker, and it has not started all there was since.
    fn is_on(&self, victim: usize, clearings: u32) -> bool {
        self.victim == victim && self.clearings == clearings
    }
}

impl Worker {
    /// Queues a new coroutine here or, if others have less to do, there.
    pub(super) fn spawn_shared(&self, record: RecordRef) {
        let turn = self.search.turn.get();
        self.search.turn.set(turn.wrapping_add(1));
        match self.fleet.place(turn, self.search.own, self.load()) {
            None => {
                self.spawns.push(record);
                self.fleet.call();
            }
            Some(other) => {
                self.remote.counters.placements.add(1);
                self.fleet.give(other, record);
            }
        }
    }

    /// What lives or waits here.
    fn load(&self) -> u32 {
        (self.live() + self.spawns.shared_len(&self.remote.unstarted)) as u32
    }

    /// What lives or waits here and nobody else could start.
    fn live(&self) -> usize {
        self.slots.borrow().len() + self.spawns.local_len() + self.starved.borrow().len()
    }

    pub(super) fn publish_load(&self) {
        if self.fleet.workers.len() > 1 {
            let is_clear = self.spawns.shared_len(&self.remote.unstarted) == 0;
            self.remote.unstarted.publish(self.live() as u32, is_clear);
        }
    }

    /// Sleeps, unless others have work to take, which it then takes.
    pub(super) fn rest(&self) -> io::Result<()> {
        if self.fleet.workers.len() == 1 {
            return if self.remote.prepare_sleep(|| self.is_to_stop()) { self.sleep() } else { Ok(()) };
        }
        if self.linger.is_due() && self.lingers()? {
            return Ok(());
        }
        let mut was_relied_on = false;
        while self.rest_once()? {
            was_relied_on = self.search();
            self.fleet.idle.leave();
            if was_relied_on {
                break;
            }
            // In vain: it lies down again at once, and then sees what was pushed meanwhile.
        }
        if was_relied_on || self.stops_watching() || self.has_to_spare() {
            self.fleet.call_again(self.search.own, self.has_to_spare());
        }
        Ok(())
    }

    /// Whether it keeps an eye on something that it now may not look at for long, and has told nobody yet. It
    /// remembers since when: its next rest goes on from there.
    fn stops_watching(&self) -> bool {
        let watch = self.search.watch.get().filter(|watch| !watch.told);
        self.search.watch.set(watch.map(|watch| Watch { told: true, ..watch }).or(self.search.watch.get()));
        watch.is_some()
    }

    /// Lies down, and gets up for whatever reason; `true` if it is to search, and counted as a searcher.
    fn rest_once(&self) -> io::Result<bool> {
        let (idle, own) = (&self.fleet.idle, self.search.own);
        let mut spots = false;
        idle.lie_down(own);
        let sleeps = self.remote.prepare_sleep(|| {
            spots = self.spots_work();
            spots || idle.is_called(own) || self.is_to_stop()
        });
        let looked = match sleeps {
            true => self.nap(),
            // Those who wait for a source are not to wait for as long as there is something to steal.
            false if self.poller.borrow().has_sources() => self.poll(Some(Duration::ZERO)),
            false => Ok(()),
        };
        let searches = idle.get_up(own) || spots && idle.try_search();
        looked?;
        Ok(searches || self.is_roused() && idle.try_search())
    }

    fn sleep(&self) -> io::Result<()> {
        let slept = self.poll(self.sleep_limit());
        self.remote.awake();
        self.begin_window();
        slept
    }

    /// Sleeps, and remembers whether that was worth it.
    fn nap(&self) -> io::Result<()> {
        let begin = self.clock.now();
        let slept = self.sleep();
        self.linger.slept(self.long_runs.since().saturating_sub(begin), self.remote.has_messages());
        slept
    }

    /// Stays awake for a moment; whether there is something to run now. Nobody relies on this worker meanwhile: it does not
    /// search, and it is not asleep.
    fn lingers(&self) -> io::Result<bool> {
        let begin = self.clock.now();
        let deadline = self.timers.borrow_mut().next_deadline();
        let until = deadline.unwrap_or(u64::MAX).min(begin + linger::LIMIT);
        while !self.has_work() && !self.is_to_stop() && self.clock.now() < until && !self.others_have_work() {
            (0..PAUSE).for_each(|_| std::hint::spin_loop());
            if self.poller.borrow().has_sources() {
                self.poll(Some(Duration::ZERO))?;
            }
        }
        self.linger.lingered(self.remote.has_messages());
        self.begin_window();
        Ok(self.has_work())
    }

    fn others_have_work(&self) -> bool {
        self.others().any(|victim| !self.fleet.workers[victim].unstarted.is_empty())
    }

    /// The end has begun, and this worker has not heard of it.
    fn is_to_stop(&self) -> bool {
        self.fleet.is_stopping() && self.stop_at.get().is_none()
    }

    /// When it looks again at what it keeps an eye on.
    pub(super) fn watch_until(&self) -> Option<u64> {
        self.search.watch.get().map(|watch| watch.until.min(watch.look))
    }

    /// Whether the time has come to look at what it keeps an eye on, and to do nothing else.
    fn is_roused(&self) -> bool {
        let is_due = !self.has_work() && self.watch_until().is_some_and(|until| self.clock.now() >= until);
        if is_due {
            self.search.looks_again();
        }
        is_due
    }

    /// Whether something is left that others may start while this worker runs what is first.
    fn has_to_spare(&self) -> bool {
        let first = usize::from(self.ready.is_empty() && !self.remote.has_messages());
        self.spawns.shared_len(&self.remote.unstarted) > first
    }

    /// The other workers, each time from another one on.
    fn others(&self) -> impl Iterator<Item = usize> {
        let (own, count) = (self.search.own, self.fleet.workers.len());
        let first = self.search.turn.get() as usize % (count - 1);
        (0..count - 1).map(move |n| (own + 1 + (first + n) % (count - 1)) % count)
    }

    fn clearings(&self, victim: usize) -> u32 {
        self.fleet.workers[victim].unstarted.clearings()
    }

    /// What may be taken of this worker's.
    fn share(&self, victim: usize, watch: Option<Watch>) -> Share {
        let is_over = |watch: Watch| watch.is_on(victim, self.clearings(victim)) && self.clock.now() >= watch.until;
        self.fleet.share(victim, self.load(), watch.is_some_and(is_over))
    }

    /// Whether there is something to take at once, and nobody who does; keeps an eye on what is to be taken later.
    fn spots_work(&self) -> bool {
        let before = self.search.watch.take();
        if self.fleet.is_stopping() {
            return false;
        }
        let mut spots = false;
        for victim in self.others() {
            match self.share(victim, before) {
                Share::Nothing => {}
                Share::Now(_) => spots = true,
                share => self.keep_watch(victim, before, share == Share::Soon),
            }
        }
        spots && !self.fleet.idle.is_searched()
    }

    /// Goes on with the watch that it kept `before`, if nothing has changed since.
    fn keep_watch(&self, victim: usize, before: Option<Watch>, is_lone: bool) {
        let (clearings, now) = (self.clearings(victim), self.clock.now());
        let kept = before.filter(|watch| watch.is_on(victim, clearings)).or(self.search.watch.get());
        let mut watch = kept.unwrap_or_else(|| Watch::new(victim, clearings, now + PATIENCE));
        if is_lone {
            watch.look = watch.look.min(now + self.search.look_after.get());
        }
        self.search.watch.set(Some(watch));
    }

    /// Takes from others what may be taken; whether there is something to run here now.
    fn search(&self) -> bool {
        self.search.turn.set(self.search.turn.get().wrapping_add(1));
        let mut glance = None;
        loop {
            if self.has_work() || self.fleet.is_stopping() {
                return true;
            }
            let Some(victim) = self.steal() else {
                return self.has_work();
            };
            let clearings = self.clearings(victim);
            let watch = *glance.get_or_insert_with(|| Watch::new(victim, clearings, self.clock.now() + GLANCE));
            if !watch.is_on(victim, clearings) {
                // Its owner is quick.
                return false;
            }
            if self.clock.now() >= watch.until {
                return self.take_from(victim, 1);
            }
            (0..PAUSE).for_each(|_| std::hint::spin_loop());
        }
    }

    /// Takes at most so many from this worker; whether it was any.
    fn take_from(&self, victim: usize, limit: u32) -> bool {
        let before = self.spawns.len();
        let any = self.spawns.steal(&self.fleet.workers[victim].unstarted, limit);
        self.remote.counters.steals.add((self.spawns.len() - before) as u64);
        if any {
            self.search.took();
        }
        any
    }

    /// One round; if it was in vain, a worker whose lone record is to be taken if it stays there.
    fn steal(&self) -> Option<usize> {
        let mut lone = None;
        for victim in self.others() {
            match self.share(victim, self.search.watch.get()) {
                Share::Now(limit) if self.take_from(victim, limit) => return None,
                Share::Soon => lone = lone.or(Some(victim)),
                _ => {}
            }
        }
        lone
    }
}
