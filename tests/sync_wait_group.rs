//! `sync::WaitGroup`: the wait ends when the last clone is dropped, however that comes about.

mod net_support;
mod support;

use dormouse::sync::{Arc, WaitGroup};
use dormouse::{Builder, spawn, thread};
use net_support::in_three_settings;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{Random, bounded, is_cancelled, run};

#[test]
fn a_group_of_one_does_not_wait() {
    bounded(10, || {
        let body = || {
            WaitGroup::new().wait();
            WaitGroup::default().wait_timeout(Duration::ZERO).unwrap();
            let group = WaitGroup::new();
            drop(group.clone());
            assert_eq!(format!("{group:?}"), "WaitGroup { members: 1 }");
            dormouse::no_park(|| group.wait());
        };
        body();
        run(body);
    });
}

#[test]
fn all_are_done_when_the_wait_ends() {
    in_three_settings(|setting| {
        for members in [1, 2, 30] {
            let (group, done) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
            let others: Vec<_> = (0..members)
                .map(|n| {
                    let (member, done) = (group.clone(), Arc::clone(&done));
                    setting.nth(n, move || {
                        thread::sleep(Duration::from_micros(100 * n as u64 % 700));
                        done.fetch_add(1, SeqCst);
                        drop(member);
                    })
                })
                .collect();
            group.wait();
            assert_eq!(done.load(SeqCst), members);
            others.into_iter().for_each(net_support::Started::join);
        }
    });
}

#[test]
fn a_member_that_unwinds_is_done() {
    bounded(10, || {
        run(|| {
            let group = WaitGroup::new();
            let (panics, cancelled, unstarted) = (group.clone(), group.clone(), group.clone());
            let panics = spawn(move || {
                let _member = panics;
                resume_unwind(Box::new(1));
            });
            let cancelled = spawn(move || {
                let _member = cancelled;
                thread::park();
            });
            thread::yield_now();
            cancelled.cancel();
            let unstarted = spawn(move || drop(unstarted));
            unstarted.cancel();
            group.wait();
            assert!(panics.join().is_err() && cancelled.join().is_err() && unstarted.join().is_err());
        });
    });
}

#[test]
fn a_timeout_gives_the_group_back() {
    bounded(10, || {
        let body = || {
            let (group, member) = (WaitGroup::new(), WaitGroup::new());
            drop(member);
            let member = group.clone();
            let start = Instant::now();
            let group = group.wait_timeout(Duration::from_millis(3)).unwrap_err();
            assert!(start.elapsed() >= Duration::from_millis(3));
            assert_eq!(format!("{member:?}"), "WaitGroup { members: 2 }");
            let other = group.clone();
            spawn(move || drop((member, other)));
            group.wait_timeout(Duration::from_secs(30)).unwrap();
        };
        body();
        run(body);
    });
}

#[test]
fn several_may_wait_each_for_the_others() {
    in_three_settings(|setting| {
        let group = WaitGroup::new();
        let waits: Vec<_> = (0..10)
            .map(|n| {
                let member = group.clone();
                setting.nth(n, move || member.wait())
            })
            .collect();
        thread::sleep(Duration::from_millis(1));
        assert!(waits.iter().all(|wait| !wait.is_finished()));
        drop(group);
        waits.into_iter().for_each(net_support::Started::join);
    });
}

#[test]
fn a_cancelled_wait_has_left_the_group() {
    bounded(60, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let mut random = Random(3);
                for _ in 0..300 {
                    let group = WaitGroup::new();
                    let (victim, member) = (group.clone(), group.clone());
                    let victim = spawn(move || victim.wait());
                    let member = spawn(move || {
                        thread::yield_now();
                        drop(member);
                    });
                    thread::sleep(Duration::from_micros(random.below(40)));
                    victim.cancel();
                    group.wait();
                    let joined = victim.join();
                    assert!(joined.is_ok() || is_cancelled(&joined));
                    member.join().unwrap();
                }
            })
            .unwrap();
    });
}
