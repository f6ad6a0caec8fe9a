//! A bounded channel holds no more than its bound and no less, whoever is quicker, and wherever its two ends are.

mod support;

use dormouse::sync::mpsc::{TrySendError, sync_channel};
use dormouse::sync::{Arc, mpmc};
use dormouse::thread;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use support::bounded;

/// Two threads, so that nothing is left to one worker.
#[test]
fn what_is_received_makes_room_for_as_much() {
    bounded(30, || {
        let (sender, receiver) = sync_channel(8);
        let (receiver, refused) = std::thread::spawn(move || {
            (0..8).for_each(|n| sender.send(n).unwrap());
            let refused = sender.try_send(8);
            (receiver, (refused, sender))
        })
        .join()
        .unwrap();
        let (refused, sender) = refused;
        assert_eq!(refused, Err(TrySendError::Full(8)));
        for n in 0..100 {
            assert_eq!(receiver.recv(), Ok(n));
            sender.try_send(n + 8).unwrap();
            assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
        }
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), (100..108).collect::<Vec<_>>());
    });
}

#[test]
fn the_figures_count_what_one_receive_leaves() {
    bounded(30, || {
        let (sender, receiver) = mpmc::sync_channel(8);
        std::thread::spawn(move || {
            (0..8).for_each(|n| sender.send(n).unwrap());
            assert!(sender.is_full());
            assert_eq!(receiver.recv(), Ok(0));
            assert_eq!((sender.len(), receiver.len(), sender.is_full()), (7, 7, false));
            assert_eq!(receiver.iter().take(7).collect::<Vec<_>>(), (1..8).collect::<Vec<_>>());
            assert!(receiver.is_empty());
        })
        .join()
        .unwrap();
    });
}

/// A sender that waits comes in with the first message that is received, though its receiver then does something else.
#[test]
fn one_message_received_lets_one_sender_in() {
    bounded(30, || {
        let (sender, receiver) = sync_channel(16);
        (0..16).for_each(|n| sender.send(n).unwrap());
        for n in 16..100 {
            let other = sender.clone();
            let waits = std::thread::spawn(move || other.send(n).unwrap());
            assert_eq!(receiver.recv(), Ok(n - 16));
            // Nothing more is received until it has come in.
            waits.join().unwrap();
        }
    });
}

/// How many were sent and how many were, at most, received.
#[derive(Default)]
struct Counts {
    sent: AtomicUsize,
    received: AtomicUsize,
}

/// Starts `f` as a coroutine or as a thread; what is returned joins it.
fn start<T: Send + 'static>(coroutine: bool, f: impl FnOnce() -> T + Send + 'static) -> Box<dyn FnOnce() -> T> {
    if coroutine {
        let handle = thread::spawn(f);
        Box::new(move || handle.join().unwrap())
    } else {
        let handle = std::thread::spawn(f);
        Box::new(move || handle.join().unwrap())
    }
}

fn never_more_than_the_bound(coroutines: bool, [bound, senders, receivers]: [usize; 3]) {
    const EACH: usize = 3_000;
    let (sender, receiver) = mpmc::sync_channel(bound);
    let counts = Arc::new(Counts::default());
    let sending = (0..senders).map(|_| {
        let (sender, counts) = (sender.clone(), Arc::clone(&counts));
        start(coroutines, move || {
            for n in 0..EACH {
                sender.send(n).unwrap();
                let sent = counts.sent.fetch_add(1, SeqCst) + 1;
                let received = counts.received.load(SeqCst);
                assert!(sent <= received + bound, "{sent} sent, {received} received");
            }
        })
    });
    let sending: Vec<_> = sending.collect();
    let receiving = (0..receivers).map(|_| {
        let (receiver, counts) = (receiver.clone(), Arc::clone(&counts));
        start(coroutines, move || {
            let mut count = 0;
            loop {
                counts.received.fetch_add(1, SeqCst);
                match receiver.recv() {
                    Ok(_) => {
                        count += 1;
                        // Slower than the senders, so that the channel is full.
                        (0..200).for_each(|_| std::hint::spin_loop());
                    }
                    Err(_) => return count,
                }
            }
        })
    });
    let receiving: Vec<_> = receiving.collect();
    drop((sender, receiver));
    sending.into_iter().for_each(|join| join());
    let received: usize = receiving.into_iter().map(|join| join()).sum();
    assert_eq!(received, senders * EACH);
}

/// Bounds, senders and receivers.
const CASES: [[usize; 3]; 6] = [[1, 1, 1], [5, 1, 1], [128, 1, 1], [7, 3, 1], [7, 1, 3], [16, 4, 4]];

#[test]
fn never_more_than_the_bound_among_workers() {
    bounded(120, || {
        let all = || CASES.into_iter().for_each(|case| never_more_than_the_bound(true, case));
        dormouse::Builder::new().workers(2).run(all).unwrap();
    });
}

/// No two of them are of one worker, so that messages are set aside.
#[test]
fn never_more_than_the_bound_among_threads() {
    bounded(120, || CASES.into_iter().for_each(|case| never_more_than_the_bound(false, case)));
}
