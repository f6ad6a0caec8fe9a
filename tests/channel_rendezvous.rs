//! Without capacity, a send returns only when its message was received, or a waiting receiver has been chosen for it.

mod net_support;

use dormouse::sync::mpsc::{TryRecvError, TrySendError, sync_channel};
use dormouse::sync::select;
use net_support::{in_three_settings, ms, run_with, settle, wait_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

#[test]
fn a_send_waits_for_its_receiver() {
    in_three_settings(|setting| {
        let (sender, receiver) = sync_channel(0);
        let sent = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&sent);
        let sends = setting.client(move || {
            for n in 0..50 {
                sender.send(n).unwrap();
                counts.fetch_add(1, SeqCst);
            }
        });
        for n in 0..50 {
            assert!(sent.load(SeqCst) <= n, "sent before it was received");
            assert_eq!(receiver.recv(), Ok(n));
        }
        sends.join();
    });
}

#[test]
fn an_attempt_to_send_needs_a_receiver_that_waits() {
    in_three_settings(|setting| {
        let (sender, receiver) = sync_channel(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        let waits = setting.server(move || (receiver.recv(), receiver.try_recv()));
        wait_until(|| sender.try_send(2).is_ok());
        assert_eq!(waits.join(), (Ok(2), Err(TryRecvError::Empty)));
    });
}

#[test]
fn an_attempt_to_receive_needs_a_sender_that_waits() {
    in_three_settings(|setting| {
        let (sender, receiver) = sync_channel(0);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        let sends = setting.client(move || sender.send(7));
        let mut got = None;
        wait_until(|| {
            got = receiver.try_recv().ok();
            got.is_some()
        });
        assert_eq!((got, sends.join()), (Some(7), Ok(())));
    });
}

#[test]
fn senders_are_served_in_order() {
    run_with(1, || {
        let (sender, receiver) = sync_channel(0);
        let senders: Vec<_> = (0..5)
            .map(|n| {
                let sender = sender.clone();
                let sends = dormouse::spawn(move || sender.send(n).unwrap());
                settle();
                sends
            })
            .collect();
        assert_eq!([0; 5].map(|_| receiver.recv().unwrap()), [0, 1, 2, 3, 4]);
        senders.into_iter().for_each(|sends| sends.join().unwrap());
    });
}

#[test]
fn selects_meet_each_other() {
    in_three_settings(|setting| {
        let ((send_a, recv_a), (send_b, recv_b)) = (sync_channel(0), sync_channel(0));
        let sends = setting.client(move || {
            let mut sent = [0; 2];
            for n in 0..300 {
                select! {
                    send(send_a, n) -> done => { done.unwrap(); sent[0] += 1 }
                    send(send_b, n) -> done => { done.unwrap(); sent[1] += 1 }
                }
            }
            sent
        });
        let mut received = [0; 2];
        for n in 0..300 {
            select! {
                recv(recv_b) -> got => { assert_eq!(got, Ok(n)); received[1] += 1 }
                recv(recv_a) -> got => { assert_eq!(got, Ok(n)); received[0] += 1 }
            }
        }
        assert_eq!(sends.join(), received);
    });
}

#[test]
fn a_select_does_not_meet_itself() {
    in_three_settings(|setting| {
        let (sender, receiver) = sync_channel(0);
        let nobody = select! {
            send(sender, 1) -> _ => false,
            recv(receiver) -> _ => false,
            default(ms(5)) => true,
        };
        assert!(nobody);
        let other = sender.clone();
        let met = Arc::new(AtomicBool::new(false));
        let sees = Arc::clone(&met);
        let sends = setting.client(move || {
            other.send(2).unwrap();
            sees.store(true, SeqCst);
        });
        select! {
            send(sender, 1) -> _ => unreachable!("nobody else receives"),
            recv(receiver) -> got => assert_eq!(got, Ok(2)),
        }
        sends.join();
        assert!(met.load(SeqCst));
    });
}
