//! `sync::Barrier`: all pass together, one of them leads, and a cancelled one has not arrived.

mod net_support;
mod support;

use dormouse::sync::{Arc, Barrier};
use dormouse::{no_park, spawn, thread};
use net_support::in_three_settings;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::{Random, bounded, is_cancelled, run};

/// One in a static: the constructor is const.
static PAIR: Barrier = Barrier::new(2);

#[test]
fn nobody_passes_before_all_have_arrived_and_one_leads() {
    in_three_settings(|setting| {
        const PARTIES: usize = 6;
        const ROUNDS: usize = 60;
        let shared = Arc::new((Barrier::new(PARTIES), AtomicUsize::new(0), AtomicUsize::new(0)));
        let parties: Vec<_> = (0..PARTIES)
            .map(|n| {
                let shared = Arc::clone(&shared);
                setting.nth(n, move || {
                    let (barrier, arrived, leaders) = &*shared;
                    for round in 1..=ROUNDS {
                        arrived.fetch_add(1, SeqCst);
                        leaders.fetch_add(usize::from(barrier.wait().is_leader()), SeqCst);
                        assert!(arrived.load(SeqCst) >= round * PARTIES);
                        leaders.fetch_add(usize::from(barrier.wait().is_leader()), SeqCst);
                        assert!(arrived.load(SeqCst) >= round * PARTIES);
                    }
                })
            })
            .collect();
        parties.into_iter().for_each(net_support::Started::join);
        assert_eq!((shared.1.load(SeqCst), shared.2.load(SeqCst)), (PARTIES * ROUNDS, 2 * ROUNDS));
    });
}

#[test]
fn of_none_and_of_one_nobody_waits() {
    for n in [0, 1] {
        let (ours, std) = (Barrier::new(n), std::sync::Barrier::new(n));
        for _ in 0..3 {
            assert_eq!(ours.wait().is_leader(), std.wait().is_leader());
        }
        assert_eq!(format!("{ours:?} {:?}", ours.wait()), format!("{std:?} {:?}", std.wait()));
    }
}

#[test]
fn a_coroutine_and_a_thread_meet() {
    bounded(20, || {
        let other = std::thread::spawn(|| (0..200).filter(|_| PAIR.wait().is_leader()).count());
        let own = run(|| (0..200).filter(|_| PAIR.wait().is_leader()).count());
        assert_eq!(own + other.join().unwrap(), 200);
    });
}

#[test]
fn one_that_is_cancelled_has_not_arrived() {
    bounded(20, || {
        run(|| {
            let barrier = Arc::new(Barrier::new(3));
            let wait = |barrier: &Arc<Barrier>| {
                let barrier = Arc::clone(barrier);
                spawn(move || barrier.wait().is_leader())
            };
            let (first, cancelled) = (wait(&barrier), wait(&barrier));
            thread::yield_now();
            cancelled.cancel();
            assert!(is_cancelled(&cancelled.join()));
            let second = wait(&barrier);
            (0..3).for_each(|_| thread::yield_now());
            assert!(!first.is_finished() && !second.is_finished());
            assert!(barrier.wait().is_leader());
            assert!(!first.join().unwrap() && !second.join().unwrap());
        });
    });
}

#[test]
fn one_that_is_refused_in_no_park_has_not_arrived() {
    bounded(20, || {
        run(|| {
            let barrier = Arc::new(Barrier::new(2));
            assert!(catch_unwind(AssertUnwindSafe(|| no_park(|| barrier.wait()))).is_err());
            let other = Arc::clone(&barrier);
            let other = spawn(move || other.wait().is_leader());
            thread::yield_now();
            assert!(!other.is_finished());
            assert!(no_park(|| barrier.wait().is_leader()), "the last one does not wait");
            assert!(!other.join().unwrap());
        });
    });
}

/// Parties that come, are cancelled and come again: each round completes with whole parties only.
#[test]
fn cancels_at_random_lose_no_round() {
    bounded(60, || {
        dormouse::Builder::new()
            .workers(2)
            .run(|| {
                let (barrier, mut random) = (Arc::new(Barrier::new(3)), Random(5));
                for _ in 0..200 {
                    let party = || {
                        let barrier = Arc::clone(&barrier);
                        spawn(move || _ = barrier.wait())
                    };
                    let victim = party();
                    thread::sleep(Duration::from_micros(random.below(40)));
                    let others = [party(), party()];
                    thread::sleep(Duration::from_micros(random.below(40)));
                    victim.cancel();
                    let spare = is_cancelled(&victim.join()).then(party);
                    others.into_iter().for_each(|other| other.join().unwrap());
                    // It was needed, unless the victim had arrived when its cancel struck.
                    spare.into_iter().for_each(|spare| {
                        spare.cancel();
                        let _ = spare.join();
                    });
                }
            })
            .unwrap();
    });
}
