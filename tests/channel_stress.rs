//! Crowds at one channel, on several workers and on plain threads: nothing is lost, nothing comes twice, nobody hangs.

mod net_support;

use dormouse::sync::mpsc::{RecvTimeoutError, TrySendError};
use dormouse::sync::{Arc, mpmc, mpsc};
use net_support::{Random, SLACK, in_three_settings, ms};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

#[test]
fn many_producers_and_consumers() {
    in_three_settings(|setting| {
        for bound in [None, Some(0), Some(1), Some(64)] {
            let (sender, receiver) = bound.map_or_else(mpmc::channel, mpmc::sync_channel);
            const EACH: u64 = 400;
            let consumers: Vec<_> = (0..4)
                .map(|n| {
                    let receiver = receiver.clone();
                    setting.nth(n, move || receiver.iter().fold((0, 0), |(count, sum), n| (count + 1, sum + n)))
                })
                .collect();
            let producers: Vec<_> = (0..4)
                .map(|n| {
                    let sender = sender.clone();
                    setting.nth(n + 1, move || (1..=EACH).for_each(|n| sender.send(n).unwrap()))
                })
                .collect();
            drop((sender, receiver));
            producers.into_iter().for_each(|producer| producer.join());
            let all = consumers.into_iter().map(|consumer| consumer.join());
            let (count, sum) = all.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
            assert_eq!((count, sum), (4 * EACH, 2 * EACH * (EACH + 1)));
        }
    });
}

#[test]
fn each_producer_is_heard_in_its_order() {
    in_three_settings(|setting| {
        let (sender, receiver) = mpsc::sync_channel(3);
        let producers: Vec<_> = (0..6)
            .map(|who| {
                let sender = sender.clone();
                setting.nth(who, move || (0..300).for_each(|n| sender.send((who, n)).unwrap()))
            })
            .collect();
        drop(sender);
        let mut next = [0; 6];
        for (who, n) in receiver {
            assert_eq!(n, next[who]);
            next[who] += 1;
        }
        assert_eq!(next, [300; 6]);
        producers.into_iter().for_each(|producer| producer.join());
    });
}

/// A channel that one worker has had to itself costs it no atomics; then others come, in the middle of its use.
#[test]
fn others_come_to_a_channel_of_one_worker() {
    in_three_settings(|setting| {
        for round in 0..20 {
            let (sender, receiver) = mpmc::sync_channel(16);
            const OWN: u64 = 300;
            const EACH: u64 = 200;
            let (own, mate) = (sender.clone(), receiver.clone());
            let owner = setting.nth(0, move || {
                let pass = |n: u64| {
                    own.send(n).unwrap();
                    mate.try_recv().map_or(0, |n| n)
                };
                (0..OWN).map(pass).sum::<u64>()
            });
            let others: Vec<_> = (0..2)
                .map(|n| {
                    let (sender, receiver) = (sender.clone(), receiver.clone());
                    setting.nth(n + round % 2 + 1, move || {
                        (0..EACH).map(|n| sender.send(n).map_or(0, |()| receiver.try_recv().unwrap_or(0))).sum::<u64>()
                    })
                })
                .collect();
            drop(sender);
            let taken = others.into_iter().map(|other| other.join()).sum::<u64>() + owner.join();
            let rest = receiver.iter().sum::<u64>();
            assert_eq!(taken + rest, OWN * (OWN - 1) / 2 + EACH * (EACH - 1));
        }
    });
}

/// Half way through, the receivers go: every message was received or came back or was dropped, once.
#[test]
fn receivers_that_go_in_mid_send() {
    struct Counted(Arc<AtomicU64>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    in_three_settings(|setting| {
        for bound in [0, 1, 8] {
            let (sender, receiver) = mpmc::sync_channel(bound);
            let dropped = Arc::new(AtomicU64::new(0));
            let producers: Vec<_> = (0..4)
                .map(|n| {
                    let (sender, dropped) = (sender.clone(), Arc::clone(&dropped));
                    setting.nth(n, move || {
                        let mut made = 0;
                        loop {
                            made += 1;
                            if sender.send(Counted(Arc::clone(&dropped))).is_err() {
                                return made;
                            }
                        }
                    })
                })
                .collect();
            let consumers: Vec<_> = (0..2)
                .map(|n| {
                    let receiver = receiver.clone();
                    setting.nth(n + 1, move || receiver.iter().take(100).count())
                })
                .collect();
            drop((sender, receiver));
            let consumed: usize = consumers.into_iter().map(|consumer| consumer.join()).sum();
            assert_eq!(consumed, 200);
            let made: u64 = producers.into_iter().map(|producer| producer.join()).sum();
            assert_eq!(dropped.load(SeqCst), made);
        }
    });
}

#[test]
fn crowds_that_wait_hear_of_the_end() {
    in_three_settings(|setting| {
        let (sender, receiver) = mpmc::sync_channel::<u8>(0);
        let waiting: Vec<_> = (0..20)
            .map(|n| {
                let receiver = receiver.clone();
                setting.nth(n, move || receiver.recv().is_err())
            })
            .collect();
        drop(sender);
        assert!(waiting.into_iter().all(|receiver| receiver.join()));

        let (sender, receiver) = mpmc::sync_channel::<u8>(0);
        let waiting: Vec<_> = (0..20)
            .map(|n| {
                let sender = sender.clone();
                setting.nth(n, move || sender.send(1).is_err())
            })
            .collect();
        drop(receiver);
        assert!(waiting.into_iter().all(|sender| sender.join()));
    });
}

/// Sends and receives with short timeouts, at random: each end knows what happened.
#[test]
fn timeouts_lose_nothing() {
    in_three_settings(|setting| {
        for bound in [0, 1] {
            let (sender, receiver) = mpmc::sync_channel(bound);
            let senders: Vec<_> = (0..3)
                .map(|who| {
                    let sender = sender.clone();
                    setting.nth(who, move || {
                        let (mut random, mut sent) = (Random(who as u64 + 1), 0);
                        for n in 1..=150 {
                            let timeout = std::time::Duration::from_micros(random.below(300));
                            if sender.send_timeout(n, timeout).is_ok() {
                                sent += n;
                            }
                        }
                        sent
                    })
                })
                .collect();
            let receivers: Vec<_> = (0..3)
                .map(|who| {
                    let receiver = receiver.clone();
                    setting.nth(who + 1, move || {
                        let (mut random, mut got) = (Random(who as u64 + 77), 0);
                        loop {
                            match receiver.recv_timeout(std::time::Duration::from_micros(random.below(300))) {
                                Ok(n) => got += n,
                                Err(RecvTimeoutError::Timeout) => {}
                                Err(RecvTimeoutError::Disconnected) => return got,
                            }
                        }
                    })
                })
                .collect();
            drop((sender, receiver));
            let sent: u64 = senders.into_iter().map(|sender| sender.join()).sum();
            let got: u64 = receivers.into_iter().map(|receiver| receiver.join()).sum();
            assert_eq!(got, sent);
        }
    });
}

#[test]
fn timeouts_are_never_early() {
    in_three_settings(|_| {
        let (sender, receiver) = mpmc::sync_channel::<u8>(0);
        for wait in [0, 1, 3, 20] {
            let start = Instant::now();
            assert_eq!(receiver.recv_timeout(ms(wait)), Err(RecvTimeoutError::Timeout));
            assert!(start.elapsed() >= ms(wait) && start.elapsed() < ms(wait) + SLACK);
            let start = Instant::now();
            let error = sender.send_timeout(1, ms(wait));
            assert_eq!(error, Err(mpmc::SendTimeoutError::Timeout(1)));
            assert!(start.elapsed() >= ms(wait) && start.elapsed() < ms(wait) + SLACK);
            let deadline = Instant::now() + ms(wait);
            assert_eq!(receiver.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
            assert!(Instant::now() >= deadline);
        }
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)), "nobody is left in line");
    });
}
