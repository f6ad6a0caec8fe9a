//! `mpsc`, `mpmc` and `oneshot` do what std's do, between coroutines, between plain threads, and across.

mod net_support;

use dormouse::sync::mpsc::{self, RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use dormouse::sync::{mpmc, oneshot};
use net_support::{in_three_settings, ms};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Counts how many of it were dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn messages_come_in_order_and_then_the_end() {
    in_three_settings(|setting| {
        for bound in [None, Some(0), Some(1), Some(7)] {
            let (receiver, sender) = match bound {
                None => {
                    let (sender, receiver) = mpsc::channel();
                    (receiver, setting.client(move || (0..500).for_each(|n| sender.send(n).unwrap())))
                }
                Some(bound) => {
                    let (sender, receiver) = mpsc::sync_channel(bound);
                    (receiver, setting.client(move || (0..500).for_each(|n| sender.send(n).unwrap())))
                }
            };
            let received = setting.server(move || receiver.into_iter().collect::<Vec<_>>());
            assert_eq!(received.join(), (0..500).collect::<Vec<_>>());
            sender.join();
        }
    });
}

#[test]
fn a_receiver_that_waits_hears_of_the_last_sender() {
    in_three_settings(|setting| {
        let (sender, receiver) = mpsc::channel::<u8>();
        let other = sender.clone();
        let waits = setting.server(move || (receiver.recv(), receiver.recv_timeout(ms(0)), receiver.try_recv()));
        setting.client(move || drop(sender)).join();
        setting.client(move || drop(other)).join();
        assert_eq!(
            waits.join(),
            (Err(RecvError), Err(RecvTimeoutError::Disconnected), Err(TryRecvError::Disconnected))
        );
    });
}

#[test]
fn senders_that_wait_hear_of_the_last_receiver_and_have_their_messages_back() {
    in_three_settings(|setting| {
        for bound in [0, 1] {
            let (sender, receiver) = mpsc::sync_channel(bound);
            (0..bound).for_each(|n| sender.send(n).unwrap());
            let waiting: Vec<_> = (10..14)
                .map(|n| {
                    let sender = sender.clone();
                    setting.nth(n, move || sender.send(n))
                })
                .collect();
            setting.server(move || drop(receiver)).join();
            let errors: Vec<_> = waiting.into_iter().map(|sender| sender.join()).collect();
            assert_eq!(errors, [10, 11, 12, 13].map(|n| Err(SendError(n))));
            assert_eq!(sender.try_send(1), Err(TrySendError::Disconnected(1)));
        }
    });
}

#[test]
fn what_nobody_receives_is_dropped_once_with_the_receiver() {
    in_three_settings(|setting| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = mpsc::channel();
        for _ in 0..10 {
            sender.send(Counted(Arc::clone(&dropped))).unwrap();
        }
        drop(receiver.recv().unwrap());
        assert_eq!(dropped.load(SeqCst), 1);
        setting.server(move || drop(receiver)).join();
        assert_eq!(dropped.load(SeqCst), 10, "by whoever dropped the receiver");
        assert!(sender.send(Counted(Arc::clone(&dropped))).is_err());
        assert_eq!(dropped.load(SeqCst), 11);
    });
}

/// Dropping a message may use the very channel that it was in: no lock is held.
#[test]
fn a_message_may_use_its_channel_when_it_is_dropped() {
    struct Echo(Option<mpsc::Sender<Echo>>);
    impl Drop for Echo {
        fn drop(&mut self) {
            if let Some(sender) = self.0.take() {
                assert!(sender.send(Echo(None)).is_err());
            }
        }
    }
    in_three_settings(|setting| {
        let (sender, receiver) = mpsc::channel();
        sender.send(Echo(Some(sender.clone()))).unwrap();
        setting.server(move || drop(receiver)).join();
    });
}

#[test]
fn attempts_never_wait() {
    in_three_settings(|_| {
        let (sender, receiver) = mpsc::sync_channel(2);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!([sender.try_send(1), sender.try_send(2)], [Ok(()), Ok(())]);
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

#[test]
fn each_message_goes_to_one_of_many_receivers() {
    in_three_settings(|setting| {
        let (sender, receiver) = mpmc::sync_channel(3);
        let receivers: Vec<_> = (0..4)
            .map(|n| {
                let receiver = receiver.clone();
                setting.nth(n, move || receiver.iter().collect::<Vec<u32>>())
            })
            .collect();
        drop(receiver);
        setting.client(move || (0..1000).for_each(|n| sender.send(n).unwrap())).join();
        let mut all: Vec<u32> = receivers.into_iter().flat_map(|receiver| receiver.join()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn figures_are_those_of_std() {
    let (sender, receiver) = mpmc::sync_channel(2);
    assert!(sender.is_empty() && receiver.is_empty() && !sender.is_full());
    sender.send(1).unwrap();
    assert_eq!((sender.len(), receiver.len(), sender.capacity(), receiver.capacity()), (1, 1, Some(2), Some(2)));
    sender.send(2).unwrap();
    assert!(sender.is_full() && receiver.is_full());
    let (other, _receiver) = mpmc::channel();
    assert_eq!(other.capacity(), None);
    assert!(sender.same_channel(&sender.clone()) && !sender.same_channel(&other));
    assert!(receiver.same_channel(&receiver.clone()));
    let (zero, _receiver) = mpmc::sync_channel::<u8>(0);
    assert!(zero.is_empty() && zero.is_full());
    assert_eq!((zero.len(), zero.capacity()), (0, Some(0)));
    drop(receiver);
    assert!(sender.is_disconnected() && !other.is_disconnected());
    assert_eq!(sender.len(), 0);
    assert_eq!(format!("{sender:?} {:?}", mpsc::channel::<u8>()), "Sender { .. } (Sender { .. }, Receiver { .. })");
}

#[test]
fn a_oneshot_carries_one_message_or_the_end() {
    in_three_settings(|setting| {
        let (sender, receiver) = oneshot::channel();
        let waits = setting.server(move || receiver.recv());
        setting.client(move || sender.send(5)).join().unwrap();
        assert_eq!(waits.join(), Ok(5));

        let (sender, receiver) = oneshot::channel::<u8>();
        let waits = setting.server(move || receiver.recv());
        setting.client(move || drop(sender)).join();
        assert_eq!(waits.join(), Err(RecvError));

        let (sender, receiver) = oneshot::channel();
        let Err(oneshot::TryRecvError::Empty(receiver)) = receiver.try_recv() else { panic!("nothing was sent") };
        drop(receiver);
        assert_eq!(sender.send(1), Err(SendError(1)));
    });
}

#[test]
fn ends_are_as_shareable_as_those_of_std() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    fn unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    type Cell = std::cell::Cell<u8>;
    type Pointer = *const u8;
    send::<mpsc::Sender<Cell>>();
    send::<mpsc::SyncSender<Cell>>();
    send::<mpsc::Receiver<Cell>>();
    send::<mpmc::Receiver<Cell>>();
    sync::<mpsc::Sender<Cell>>();
    sync::<mpsc::SyncSender<Cell>>();
    sync::<mpmc::Receiver<Cell>>();
    sync::<oneshot::Sender<Pointer>>();
    sync::<oneshot::Receiver<Pointer>>();
    unwind_safe::<mpsc::Sender<Cell>>();
    unwind_safe::<mpsc::Receiver<&mut Cell>>();
    unwind_safe::<mpmc::Receiver<&mut Cell>>();
}
