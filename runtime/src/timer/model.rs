//! The wheel beside a naive model: an ordered map of (deadline, insertion number).
//!
//! Owns the steps and the comparison after each. Where steps come from it does not know: `model_tests` draws them, `fuzz`
//! reads them from bytes.

use std::collections::BTreeMap;

use super::{BUCKETS_PER_LEVEL, Entry, SEARCH_LIMIT, TimerKey, Wheel};

/// One thing a worker does to its wheel.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Insert a burst of timers whose deadlines are `now + delay`, each `spacing` after the one before.
    Insert { delay: u64, spacing: u64, count: u32 },
    /// Insert a timer that was due this long ago.
    InsertLate(u64),
    /// Cancel the live timer at this position in order of deadline, modulo their number.
    Cancel(usize),
    /// Cancel this many of the earliest timers, as a round-robin load on idle timeouts does.
    CancelEarliest(usize),
    /// Let this much time pass.
    Advance(u64),
    /// Let time pass until `next_deadline`, as a sleeping worker does.
    Sleep,
    /// Pop at most this many timers.
    Pop(usize),
    /// Pop until nothing is due.
    Drain,
    /// Ask for the next deadline.
    Ask,
}

/// A live timer of the model.
struct Timer {
    /// Its key in the wheel.
    key: TimerKey,
    /// Whether it was due when inserted, hence without an order.
    late: bool,
}

/// Both sides of the comparison.
pub(crate) struct Pair {
    /// What is tested.
    wheel: Wheel,
    /// What it should hold; the second part of the key is the owner.
    model: BTreeMap<(u64, u32), Timer>,
    /// The present.
    now: u64,
    /// The next owner, which is also the number of insertions.
    next_owner: u32,
}

impl Pair {
    /// An empty pair.
    pub(crate) fn new(now: u64) -> Pair {
        Pair { wheel: Wheel::new(now), model: BTreeMap::new(), now, next_owner: 0 }
    }

    /// Does one step on both sides and compares.
    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Insert { delay, spacing, count } => {
                for i in 0..u64::from(count) {
                    self.insert(self.now.saturating_add(delay).saturating_add(i.saturating_mul(spacing)));
                }
            }
            Step::InsertLate(ago) => self.insert(self.now.saturating_sub(ago)),
            Step::Cancel(position) => self.cancel(position % self.model.len().max(1)),
            Step::CancelEarliest(count) => (0..count).for_each(|_| self.cancel(0)),
            Step::Advance(delay) => self.now = self.now.saturating_add(delay),
            Step::Sleep => self.sleep(),
            Step::Pop(count) => {
                for _ in 0..count {
                    self.pop();
                }
            }
            Step::Drain => while self.pop() {},
            Step::Ask => {
                self.ask();
            }
        }
        assert_eq!(self.wheel.len(), self.model.len());
        self.check_invariants();
    }

    /// The wheel's invariants 1, 3, 4 and 5, from the side of the model.
    fn check_invariants(&self) {
        let wheel = &self.wheel;
        let mut least = vec![(0, u64::MAX); wheel.buckets.len()];
        for (&(deadline, owner), timer) in &self.model {
            let node = wheel.key_nodes[timer.key.index()];
            let place = wheel.place_of(deadline);
            let entry = Entry { deadline, owner, key: timer.key.index() as u32 };
            assert_eq!(wheel.bags.entry(node.position), entry);
            assert_eq!(usize::from(node.place), place);
            least[place] = (least[place].0 + 1, least[place].1.min(deadline));
        }
        for (place, (bucket, (len, least))) in wheel.buckets.iter().zip(least).enumerate() {
            let (level, digit) = (place / BUCKETS_PER_LEVEL, place % BUCKETS_PER_LEVEL);
            assert_eq!(bucket.bag.len(), len);
            assert_eq!(wheel.occupied[level] >> digit & 1 == 1, len > 0);
            assert_eq!(wheel.levels >> level & 1 == 1, wheel.occupied[level] > 0);
            assert!(len == 0 || bucket.least == least || bucket.least < least && !bucket.exact);
        }
    }

    fn insert(&mut self, deadline: u64) {
        let owner = self.next_owner;
        self.next_owner += 1;
        let timer = Timer { key: self.wheel.insert(deadline, owner), late: deadline <= self.now };
        self.model.insert((deadline, owner), timer);
    }

    fn cancel(&mut self, position: usize) {
        if let Some((&id, timer)) = self.model.iter().nth(position) {
            self.wheel.cancel(timer.key);
            self.model.remove(&id);
        }
    }

    /// Pops once; false if nothing was due. Never early, never forgetting, and in order but for late inserts.
    fn pop(&mut self) -> bool {
        let due = || self.model.iter().take_while(|((deadline, _), _)| *deadline <= self.now);
        let Some(owner) = self.wheel.pop_expired(self.now) else {
            assert_eq!(due().next().map(|(id, _)| id), None, "a due timer was not popped");
            return false;
        };
        let id = *due().find(|((_, other), _)| *other == owner).expect("the popped timer is due").0;
        if !self.model[&id].late {
            let first = due().find(|(_, timer)| !timer.late).map(|(id, _)| id.0);
            assert_eq!(first, Some(id.0), "popped out of order");
        }
        self.model.remove(&id);
        true
    }

    /// Asks for the next deadline: exact if few timers are live, never late.
    fn ask(&mut self) -> Option<u64> {
        let answer = self.wheel.next_deadline();
        let truth = self.model.keys().next().map(|id| id.0);
        if self.model.len() <= SEARCH_LIMIT as usize {
            assert_eq!(answer, truth);
        }
        assert_eq!(answer.is_some(), truth.is_some());
        assert!(answer <= truth, "{answer:?} is later than {truth:?}");
        answer
    }

    /// Sleeps as a worker does: at most one look is early, then the answer is exact.
    fn sleep(&mut self) {
        while self.pop() {}
        let Some(deadline) = self.ask() else { return };
        assert!(deadline > self.now, "a wake-up in the past would spin");
        self.now = deadline;
        if !self.pop() {
            let truth = self.model.keys().next().map(|id| id.0);
            assert_eq!(self.wheel.next_deadline(), truth, "a second early look");
        }
    }

    /// How many timers are live.
    pub(crate) fn len(&self) -> usize {
        self.model.len()
    }

    /// The end of time: everything is due, and comes out.
    pub(crate) fn finish(mut self) {
        self.now = u64::MAX;
        self.step(Step::Drain);
        assert!(self.wheel.is_empty());
    }
}
