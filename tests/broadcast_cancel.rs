//! Receivers of a broadcast that are cancelled, time out or go while messages come: each of the others sees every message, in
//! order, and nobody hangs.

mod support;

use dormouse::sync::broadcast::{self, RecvError, RecvTimeoutError};
use dormouse::{Builder, spawn, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::{Random, bounded, is_cancelled, run};

#[test]
fn a_receiver_that_is_cancelled_while_it_waits_leaves_no_trace() {
    bounded(10, || {
        run(|| {
            let (sender, receiver) = broadcast::channel(4);
            let message = Arc::new(());
            let other = receiver.resubscribe();
            let cancelled = spawn(move || other.recv());
            let waits = spawn(move || receiver.recv());
            thread::yield_now();
            cancelled.cancel();
            assert!(is_cancelled(&cancelled.join()));
            assert_eq!(sender.receiver_count(), 1);
            assert_eq!(sender.send(Arc::clone(&message)).unwrap(), 1);
            assert!(waits.join().unwrap().is_ok());
            assert_eq!(Arc::strong_count(&message), 1);
        });
    });
}

/// It was woken for a message, and a cancel came before its turn: the message is there for its next receive.
#[test]
fn a_cancel_after_the_message_loses_nothing() {
    bounded(10, || {
        run(|| {
            let (sender, receiver) = broadcast::channel(4);
            let waits = spawn(move || {
                let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| receiver.recv()));
                caught.unwrap_or_else(|_| receiver.try_recv().map_err(|_| RecvError::Closed))
            });
            thread::yield_now();
            sender.send(7).unwrap();
            waits.cancel();
            assert_eq!(waits.join().unwrap(), Ok(7));
        });
    });
}

#[test]
fn a_select_that_is_cancelled_takes_no_message() {
    bounded(10, || {
        run(|| {
            let (sender, receiver) = broadcast::channel(4);
            let (_never, idle) = dormouse::sync::mpmc::channel::<u8>();
            let other = receiver.resubscribe();
            let selects = spawn(move || {
                dormouse::sync::select! {
                    recv(other) -> message => message.unwrap(),
                    recv(idle) -> _message => unreachable!(),
                }
            });
            thread::yield_now();
            selects.cancel();
            assert!(is_cancelled(&selects.join()));
            sender.send(1).unwrap();
            assert_eq!(receiver.recv(), Ok(1));
            assert!(sender.is_empty());
        });
    });
}

/// Of each receiver: whatever it sees comes in order, and what it did not see it was told to have missed.
fn listens(receiver: &broadcast::Receiver<u64>, patience: Option<Duration>) -> Result<u64, u64> {
    let (mut expected, mut missed) = (None, 0);
    loop {
        let received = match patience {
            Some(patience) => receiver.recv_timeout(patience),
            None => receiver.recv().map_err(|error| match error {
                RecvError::Lagged(missed) => RecvTimeoutError::Lagged(missed),
                RecvError::Closed => RecvTimeoutError::Closed,
            }),
        };
        match received {
            Ok(message) => {
                assert!(expected.is_none_or(|expected| expected == message), "{message}, not {expected:?}");
                expected = Some(message + 1);
            }
            Err(RecvTimeoutError::Lagged(count)) => {
                missed += count;
                expected = expected.map(|expected| expected + count);
            }
            Err(RecvTimeoutError::Timeout) => return Err(missed),
            Err(RecvTimeoutError::Closed) => return Ok(expected.unwrap_or_default()),
        }
    }
}

#[test]
fn in_the_midst_of_many_that_are_cancelled_or_late_each_sees_all() {
    const MESSAGES: u64 = 2000;
    static FINISHED: AtomicUsize = AtomicUsize::new(0);
    bounded(60, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let (sender, receiver) = broadcast::channel(64);
                let faithful: Vec<_> = (0..4)
                    .map(|_| {
                        let receiver = receiver.resubscribe();
                        spawn(move || listens(&receiver, None))
                    })
                    .collect();
                let own = receiver.resubscribe();
                let plain = std::thread::spawn(move || listens(&own, None));
                let mut random = Random(11);
                let mut fickle = Vec::new();
                for n in 0..MESSAGES {
                    sender.send(n).unwrap();
                    let receiver = receiver.resubscribe();
                    match random.below(4) {
                        0 => fickle.push(spawn(move || {
                            let _ = listens(&receiver, Some(Duration::from_micros(50)));
                            FINISHED.fetch_add(1, SeqCst);
                        })),
                        1 if !fickle.is_empty() => {
                            let victim: usize = random.below(fickle.len() as u64) as usize;
                            fickle[victim].cancel();
                        }
                        2 => thread::yield_now(),
                        _ => {}
                    }
                }
                drop((sender, receiver));
                for listener in faithful {
                    assert_eq!(listener.join().unwrap(), Ok(MESSAGES));
                }
                assert_eq!(plain.join().unwrap(), Ok(MESSAGES));
                let cancelled = fickle.into_iter().map(thread::JoinHandle::join).filter(is_cancelled).count();
                assert!(cancelled > 0 && FINISHED.load(SeqCst) > 0, "{cancelled} were cancelled");
            })
            .unwrap();
    });
}
