//! Fleets in miniature: workers that spawn, start, steal and end in any order, placed by the policy.

use super::*;
use proptest::prelude::*;

/// Small random numbers that repeat.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[derive(Clone, Debug, Default)]
struct Worker {
    live: u32,
    waiting: u32,
}

impl Worker {
    fn load(&self) -> u32 {
        self.live + self.waiting
    }
}

#[derive(Debug)]
struct Fleet {
    workers: Vec<Worker>,
    turn: u32,
    random: Random,
}

impl Fleet {
    fn new(workers: usize, seed: u64) -> Fleet {
        Fleet { workers: vec![Worker::default(); workers], turn: 0, random: Random(seed | 1) }
    }

    fn lighter(&self, (first, second): (usize, usize)) -> usize {
        if self.workers[second].load() < self.workers[first].load() { second } else { first }
    }

    /// A coroutine of worker `own` spawns one, or a thread that is no worker.
    fn spawn(&mut self, own: Option<usize>) {
        self.turn += 1;
        let other = self.lighter(sample(self.turn, self.workers.len(), own));
        let home = own.filter(|own| stays(self.workers[*own].load(), self.workers[other].load()));
        self.workers[home.unwrap_or(other)].waiting += 1;
    }

    fn start(&mut self, worker: usize, most: u32) {
        let worker = &mut self.workers[worker];
        let started = worker.waiting.min(most);
        worker.waiting -= started;
        worker.live += started;
    }

    /// If it has nothing to start, takes what it may from whoever it meets first.
    fn steal(&mut self, thief: usize, stuck: bool) {
        if self.workers[thief].waiting > 0 {
            return;
        }
        let first = self.random.below(self.workers.len());
        for victim in (0..self.workers.len()).map(|n| (first + n) % self.workers.len()) {
            let (theirs, own) = (self.workers[victim].clone(), self.workers[thief].load());
            if let Share::Now(count) = share(theirs.waiting, theirs.load(), own, stuck) {
                assert!(count > 0 && count <= theirs.waiting.div_ceil(2), "about half");
                self.workers[victim].waiting -= count;
                self.workers[thief].waiting += count;
                return;
            }
        }
    }

    /// One of the workers that do not spawn now does something, or nothing.
    fn others_go_on(&mut self, spawner: usize) {
        let worker = self.random.below(self.workers.len());
        match self.random.below(4) {
            0 if worker != spawner => self.start(worker, 3),
            1 if worker != spawner => self.start(worker, u32::MAX),
            2 if worker != spawner => self.steal(worker, false),
            _ => {}
        }
    }

    fn start_all(&mut self) {
        (0..self.workers.len()).for_each(|worker| self.start(worker, u32::MAX));
    }

    #[track_caller]
    fn assert_even(&self) {
        let loads: Vec<_> = self.workers.iter().map(Worker::load).collect();
        let even = loads.iter().sum::<u32>() as f64 / loads.len() as f64;
        let worst = loads.iter().map(|load| (f64::from(*load) - even).abs() / even).fold(0.0, f64::max);
        assert!(worst <= 0.1, "{loads:?} are {worst:.3} from even");
    }
}

fn fleets() -> impl Strategy<Value = Fleet> {
    (prop_oneof![Just(2), Just(4), Just(7)], any::<u64>()).prop_map(|(workers, seed)| Fleet::new(workers, seed))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// One coroutine accepts 10,000 and lets others on its worker run, after as many as it may, while idle workers
    /// steal.
    #[test]
    fn a_burst_from_one_worker_ends_even(mut fleet in fleets(), run in 1..64u32) {
        for accepted in 0..10_000 {
            fleet.spawn(Some(0));
            fleet.others_go_on(0);
            if accepted % run == 0 {
                fleet.start(0, 64);
            }
        }
        fleet.start_all();
        fleet.assert_even();
    }

    /// They connect one at a time: each parks before the next comes, started by its worker or by whoever was quicker.
    #[test]
    fn those_that_come_slowly_end_even(mut fleet in fleets()) {
        for _ in 0..10_000 {
            fleet.spawn(Some(0));
            let thief = fleet.random.below(fleet.workers.len());
            fleet.steal(thief, false);
            fleet.start_all();
        }
        fleet.assert_even();
    }

    /// Connections end while others come.
    #[test]
    fn those_that_end_leave_it_even(mut fleet in fleets(), run in 1..64u32) {
        for accepted in 0..20_000 {
            fleet.spawn(Some(0));
            fleet.others_go_on(0);
            if accepted % run == 0 {
                fleet.start(0, 64);
            }
            let ends = fleet.random.below(fleet.workers.len());
            if accepted > 10_000 && fleet.workers[ends].live > 0 {
                fleet.workers[ends].live -= 1;
            }
        }
        fleet.start_all();
        fleet.assert_even();
    }

    /// All of one worker end; those that come then make up for them, wherever they are accepted. With more workers it
    /// takes more of them, since each compares with two.
    #[test]
    fn what_one_worker_lost_it_gets_again(mut fleet in fleets(), emptied in 0..7usize, spawner in 0..7usize) {
        let (emptied, spawner) = (emptied % fleet.workers.len(), spawner % fleet.workers.len());
        fleet.workers.iter_mut().for_each(|worker| worker.live = 1_000);
        fleet.workers[emptied].live = 0;
        for _ in 0..6_000 {
            fleet.spawn(Some(spawner));
            fleet.others_go_on(spawner);
            fleet.start(spawner, 1);
        }
        fleet.start_all();
        fleet.assert_even();
    }

    /// Spawns of a thread that is no worker.
    #[test]
    fn a_plain_thread_spreads_its_spawns(mut fleet in fleets()) {
        for _ in 0..10_000 {
            fleet.spawn(None);
            let worker = fleet.random.below(fleet.workers.len());
            fleet.start(worker, 2);
            fleet.steal(worker, false);
        }
        fleet.start_all();
        fleet.assert_even();
    }

    /// What waits at a worker that does not get to it is all taken in the end, by idle workers of any load.
    #[test]
    fn nothing_stays_with_who_is_stuck(mut fleet in fleets(), waiting in 1..100u32, most in 1..10_000usize) {
        for worker in &mut fleet.workers {
            worker.live = fleet.random.below(most) as u32;
        }
        fleet.workers[0].waiting = waiting;
        for _ in 0..=waiting {
            let thief = 1 + fleet.random.below(fleet.workers.len() - 1);
            fleet.steal(thief, true);
            fleet.start(thief, u32::MAX);
        }
        prop_assert_eq!(fleet.workers[0].waiting, 0);
    }

    #[test]
    fn everyone_else_is_compared_in_turn(workers in 2..20usize, own in 0..20usize, first in any::<u32>()) {
        let own = Some(own % workers);
        for whose in [own, None] {
            let others = workers - usize::from(whose.is_some());
            let sampled: Vec<_> =
                (0..others as u32).map(|turn| sample(first % 1_000 + turn, workers, whose)).collect();
            let mut seen: Vec<_> = sampled.iter().map(|pair| pair.0).collect();
            seen.sort_unstable();
            let all: Vec<_> = (0..workers).filter(|worker| Some(*worker) != whose).collect();
            prop_assert_eq!(seen, all);
            prop_assert!(others == 1 || sampled.iter().all(|(one, other)| one != other));
        }
    }
}

#[test]
fn a_lone_one_is_left_to_its_owner_for_a_while() {
    assert_eq!(share(1, 2, 0, false), Share::Soon);
    assert_eq!(share(1, 2, 100, false), Share::Later);
    assert_eq!(share(1, 2, 100, true), Share::Now(1));
    assert_eq!(share(0, 2, 0, true), Share::Nothing);
}
