//! `select!` and `Select`: one arm is done, fairly, whatever the mix.

mod net_support;

use dormouse::sync::select::Select;
use dormouse::sync::{broadcast, mpmc, mpsc, oneshot, select};
use net_support::{SLACK, in_three_settings, ms, wait_until};
use std::time::Instant;

#[test]
fn the_arm_that_can_go_on_is_done() {
    in_three_settings(|setting| {
        let (_quiet, never) = mpsc::channel::<u8>();
        let (sender, receiver) = mpmc::channel();
        let sends = setting.client(move || sender.send("now").unwrap());
        let got = select! {
            recv(never) -> message => panic!("{message:?}"),
            recv(receiver) -> message => message.unwrap(),
        };
        assert_eq!(got, "now");
        sends.join();
    });
}

#[test]
fn all_kinds_of_channels_mix() {
    in_three_settings(|setting| {
        let (once, first) = oneshot::channel();
        let (all, second) = broadcast::channel(4);
        let (many, third) = mpmc::sync_channel(0);
        let (full, drained) = mpsc::sync_channel(1);
        full.send(0).unwrap();
        let plays = setting.client(move || {
            once.send(1).unwrap();
            all.send(2).unwrap();
            many.send(3).unwrap();
            assert_eq!(drained.recv(), Ok(0));
            assert_eq!(drained.recv(), Ok(4));
        });
        let mut done = [false; 4];
        while done.contains(&false) {
            select! {
                recv(first) -> got => if let Ok(got) = got { assert_eq!(got, 1); done[0] = true },
                recv(second) -> got => if let Ok(got) = got { assert_eq!(got, 2); done[1] = true },
                recv(third) -> got => if let Ok(got) = got { assert_eq!(got, 3); done[2] = true },
                send(full, 4) -> sent => if sent.is_ok() { done[3] = true },
            }
        }
        plays.join();
    });
}

#[test]
fn closed_arms_go_on_at_once() {
    in_three_settings(|setting| {
        let (sender, closed) = mpsc::channel::<u8>();
        let (_open, quiet) = mpsc::channel::<u8>();
        let (full, receiver) = mpsc::sync_channel(0);
        let drops = setting.client(move || drop(sender));
        let error = select! {
            recv(closed) -> message => message.is_err(),
            recv(quiet) -> _ => false,
            send(full, 1) -> _ => false,
        };
        assert!(error);
        drops.join();
        let drops = setting.client(move || drop(receiver));
        let error = select! {
            recv(quiet) -> _ => false,
            send(full, 1) -> sent => sent == Err(mpsc::SendError(1)),
        };
        assert!(error);
        drops.join();
    });
}

#[test]
fn default_does_not_wait_and_times_are_never_early() {
    in_three_settings(|_| {
        let (_sender, receiver) = mpsc::channel::<u8>();
        let (full, _receiver) = mpsc::sync_channel::<u8>(0);
        assert!(select! { recv(receiver) -> _ => false, send(full, 1) -> _ => false, default => true });
        for wait in [0, 1, 20] {
            let start = Instant::now();
            select! {
                default(ms(wait)) => {}
                recv(receiver) -> _ => unreachable!(),
                send(full, 1) -> _ => unreachable!(),
            }
            assert!(start.elapsed() >= ms(wait) && start.elapsed() < ms(wait) + SLACK);
            let deadline = Instant::now() + ms(wait);
            select! { recv(receiver) -> _ => unreachable!(), deadline(deadline) => assert!(Instant::now() >= deadline) }
        }
        let start = Instant::now();
        select! { default(ms(3)) => assert!(start.elapsed() >= ms(3)) }
    });
}

#[test]
fn what_an_arm_would_have_sent_is_still_there() {
    in_three_settings(|_| {
        let (full, _receiver) = mpsc::sync_channel::<String>(0);
        let (sender, receiver) = mpsc::channel();
        sender.send(1).unwrap();
        let message = String::from("kept");
        let kept = select! {
            send(full, message) -> _ => unreachable!(),
            recv(receiver) -> _ => message,
        };
        assert_eq!(kept, "kept");
    });
}

/// A channel that has no room, with both its ends.
fn full_of(message: u8) -> (mpsc::SyncSender<u8>, mpsc::Receiver<u8>) {
    let (sender, receiver) = mpsc::sync_channel(1);
    sender.send(message).unwrap();
    (sender, receiver)
}

#[test]
fn a_sender_may_be_a_temporary() {
    let (sender, receiver) = mpsc::sync_channel(2);
    let senders = [sender];
    select! { send(senders[0].clone(), 1) -> sent => sent.unwrap() }
    let sent = select! {
        send(full_of(0).0, 3) -> _ => None,
        send(senders[0].clone(), 2) -> sent => sent.ok(),
    };
    assert!(sent.is_some());
    drop(senders);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
}

fn unmakable() -> u8 {
    panic!("no message")
}

#[test]
fn a_message_whose_making_panics_leaves_its_room_to_others() {
    in_three_settings(|setting| {
        for bound in [0, 1] {
            let (sender, receiver) = mpsc::sync_channel(bound);
            let other = sender.clone();
            let receives = setting.server(move || (receiver.recv(), receiver));
            let panics = setting.client(move || {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    select! { send(sender, unmakable()) -> _ => {} }
                }));
                assert!(result.is_err());
            });
            panics.join();
            other.send(5).unwrap();
            assert_eq!(receives.join().0, Ok(5));
        }
    });
}

#[test]
fn it_is_fair() {
    in_three_settings(|_| {
        let channels = [0; 4].map(|_| mpsc::channel());
        let [(one, a), (two, b), (three, c), (four, d)] = &channels;
        let mut counts = [0_u32; 5];
        let (room, _filled) = mpsc::channel();
        for _ in 0..5000 {
            // Every arm can go on each time.
            for sender in [one, two, three, four] {
                sender.send(()).unwrap();
            }
            select! {
                recv(a) -> _ => counts[0] += 1,
                recv(b) -> _ => counts[1] += 1,
                recv(c) -> _ => counts[2] += 1,
                send(room, ()) -> _ => counts[3] += 1,
                recv(d) -> _ => counts[4] += 1,
            }
        }
        assert!(counts.iter().all(|count| (900..=1100).contains(count)), "{counts:?}");
    });
}

#[test]
fn a_dynamic_select_knows_its_arms_at_run_time() {
    in_three_settings(|setting| {
        let channels: Vec<_> = (0..20).map(|_| mpmc::sync_channel::<usize>(0)).collect();
        let receivers: Vec<_> = channels.iter().map(|channel| channel.1.clone()).collect();
        let serves = setting.server(move || {
            let mut counts = vec![0; receivers.len()];
            for _ in 0..receivers.len() * 5 {
                let mut select = Select::new();
                for (index, receiver) in receivers.iter().enumerate() {
                    select.recv(receiver, move |got| (index, got));
                }
                let (index, got) = select.wait();
                assert_eq!(got, Ok(index));
                counts[index] += 1;
            }
            counts
        });
        let senders: Vec<_> = (0..20)
            .map(|index| {
                let sender = channels[index].0.clone();
                setting.nth(index, move || (0..5).for_each(|_| sender.send(index).unwrap()))
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join());
        assert_eq!(serves.join(), vec![5; 20]);
    });
}

#[test]
fn a_dynamic_select_may_not_wait_or_not_long() {
    in_three_settings(|_| {
        let (_sender, receiver) = mpsc::channel::<u8>();
        let select = || {
            let mut select = Select::new();
            select.recv(&receiver, |_| ());
            select
        };
        assert_eq!(select().try_wait(), None);
        let start = Instant::now();
        assert_eq!(select().wait_timeout(ms(5)), None);
        assert!(start.elapsed() >= ms(5));
        assert_eq!(select().wait_deadline(start), None);
        assert_eq!(format!("{:?}", select()), "Select { arms: 1 }");
    });
}

#[test]
fn bodies_return_break_and_continue() {
    fn first(receiver: &mpsc::Receiver<u8>) -> Result<u8, mpsc::RecvError> {
        loop {
            select! {
                recv(receiver) -> message => match message? {
                    0 => continue,
                    1 => break,
                    other => return Ok(other),
                },
            }
        }
        Ok(100)
    }
    let (sender, receiver) = mpsc::channel();
    [0, 7, 0, 1].into_iter().for_each(|n| sender.send(n).unwrap());
    drop(sender);
    assert_eq!([first(&receiver), first(&receiver), first(&receiver)], [Ok(7), Ok(100), Err(mpsc::RecvError)]);
}

#[test]
fn many_selects_share_channels_and_lose_nothing() {
    in_three_settings(|setting| {
        let ((send_a, recv_a), (send_b, recv_b)) = (mpmc::sync_channel(0), mpmc::sync_channel(2));
        let total = 400;
        let receivers: Vec<_> = (0..4)
            .map(|n| {
                let (a, b) = (recv_a.clone(), recv_b.clone());
                setting.nth(n, move || {
                    let (mut sum, mut open) = (0, [true; 2]);
                    while open[0] || open[1] {
                        let (got, from) = match open {
                            [true, true] => select! { recv(a) -> got => (got, 0), recv(b) -> got => (got, 1) },
                            [true, false] => (a.recv(), 0),
                            _ => (b.recv(), 1),
                        };
                        match got {
                            Ok(n) => sum += n,
                            Err(_) => open[from] = false,
                        }
                    }
                    sum
                })
            })
            .collect();
        drop((recv_a, recv_b));
        let senders: Vec<_> = (0..4)
            .map(|n| {
                let (a, b) = (send_a.clone(), send_b.clone());
                setting.nth(n + 1, move || {
                    for n in 1..=total {
                        select! { send(a, n) -> sent => sent.unwrap(), send(b, n) -> sent => sent.unwrap() }
                    }
                })
            })
            .collect();
        drop((send_a, send_b));
        senders.into_iter().for_each(|sender| sender.join());
        let sum: u64 = receivers.into_iter().map(|receiver| receiver.join()).sum();
        assert_eq!(sum, 4 * total * (total + 1) / 2);
    });
}

#[test]
fn broadcast_reaches_everybody_who_waits() {
    in_three_settings(|setting| {
        let (sender, receiver) = broadcast::channel(8);
        let listeners: Vec<_> = (0..4)
            .map(|n| {
                let receiver = receiver.resubscribe();
                setting.nth(n, move || (0..20).map(|_| receiver.recv().unwrap()).collect::<Vec<u32>>())
            })
            .collect();
        drop(receiver);
        for n in 0..20 {
            // Nobody may lag.
            wait_until(|| sender.len() < 8);
            sender.send(n).unwrap();
        }
        for listener in listeners {
            assert_eq!(listener.join(), (0..20).collect::<Vec<_>>());
        }
        wait_until(|| sender.send(0).is_err());
    });
}

#[test]
fn a_slow_receiver_of_a_broadcast_is_told_what_it_missed() {
    in_three_settings(|setting| {
        let (sender, receiver) = broadcast::channel(2);
        let late = sender.subscribe();
        (0..5).for_each(|n| assert_eq!(sender.send(n), Ok(2)));
        let listens = setting.server(move || [receiver.recv(), receiver.recv(), receiver.recv(), receiver.recv()]);
        drop(sender);
        let end = [Err(broadcast::RecvError::Lagged(3)), Ok(3), Ok(4), Err(broadcast::RecvError::Closed)];
        assert_eq!(listens.join(), end);
        assert_eq!(late.len(), 5);
        assert_eq!(late.try_recv(), Err(broadcast::TryRecvError::Lagged(3)));
        let start = Instant::now();
        assert_eq!([late.recv(), late.recv()], [Ok(3), Ok(4)]);
        assert_eq!(late.recv_deadline(start), Err(broadcast::RecvTimeoutError::Closed));
    });
}
