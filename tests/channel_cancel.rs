//! A cancellation while a coroutine waits in a send, a receive or a select loses no message and no wake; inside an
//! unwind channels wait.

mod net_support;

use dormouse::sync::mpsc::{self, channel, sync_channel};
use dormouse::sync::{Arc, mpmc, select};
use dormouse::thread::{self, JoinHandle, no_park};
use dormouse::{Cancelled, cancel, spawn, time};
use net_support::{Random, run_with, settle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Counts how many of it were dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[track_caller]
fn is_cut_short<T: std::fmt::Debug>(handle: JoinHandle<T>) {
    handle.cancel();
    assert!(handle.join().unwrap_err().is::<Cancelled>());
}

#[test]
fn waits_are_cancellation_points() {
    run_with(1, || {
        let (sender, receiver) = sync_channel(0);
        let sends = spawn(move || sender.send(1));
        settle();
        is_cut_short(sends);
        assert!(receiver.recv().is_err(), "the message went with its sender");

        let (_sender, receiver) = channel::<u8>();
        let receives = spawn(move || receiver.recv());
        settle();
        is_cut_short(receives);

        let (_sender, receiver) = channel::<u8>();
        let (full, _receiver) = sync_channel(0);
        let selects = spawn(move || select! { recv(receiver) -> _ => {}, send(full, 1) -> _ => {} });
        settle();
        is_cut_short(selects);
    });
}

/// On one worker the order is certain: the message is sent to a receiver that is then cancelled before it comes.
#[test]
fn a_message_for_one_that_is_cancelled_is_for_the_next() {
    run_with(1, || {
        for selects in [false, true] {
            let (sender, receiver) = mpmc::channel();
            let wait = |receiver: mpmc::Receiver<u32>| {
                let (_quiet, never) = channel::<u8>();
                let waits = spawn(move || match selects {
                    false => receiver.recv(),
                    true => select! { recv(receiver) -> got => got, recv(never) -> _ => unreachable!() },
                });
                settle();
                (waits, _quiet)
            };
            let (first, _a) = wait(receiver.clone());
            let (second, _b) = wait(receiver.clone());
            first.cancel();
            sender.send(1).unwrap();
            assert!(first.join().unwrap_err().is::<Cancelled>());
            assert_eq!(second.join().unwrap(), Ok(1));
            let (third, _c) = wait(receiver.clone());
            third.cancel();
            sender.send(2).unwrap();
            sender.send(3).unwrap();
            assert!(third.join().unwrap_err().is::<Cancelled>());
            assert_eq!([receiver.recv(), receiver.recv()], [Ok(2), Ok(3)], "in their order");
        }
    });
}

#[test]
fn room_for_one_that_is_cancelled_is_for_the_next() {
    run_with(1, || {
        let (sender, receiver) = sync_channel(1);
        sender.send(0).unwrap();
        let wait = |n: u32| {
            let (sender, (_quiet, never)) = (sender.clone(), channel::<u8>());
            let waits = spawn(move || select! { send(sender, n) -> sent => sent, recv(never) -> _ => unreachable!() });
            settle();
            (waits, _quiet)
        };
        let (first, _a) = wait(1);
        let (second, _b) = wait(2);
        first.cancel();
        assert_eq!(receiver.recv(), Ok(0));
        assert!(first.join().unwrap_err().is::<Cancelled>());
        assert_eq!(receiver.recv(), Ok(2));
        second.join().unwrap().unwrap();
    });
}

/// Receivers, some in selects, are cancelled at random; what they did not receive the others do.
#[test]
fn cancelled_receivers_lose_nothing() {
    for bound in [0, 1, 16] {
        run_with(2, move || {
            let (sender, receiver) = mpmc::sync_channel(bound);
            let (_quiet, never) = mpmc::channel::<u8>();
            let (sum, count) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
            let receive = |selects: bool| {
                let (receiver, never, sum, count) = (receiver.clone(), never.clone(), sum.clone(), count.clone());
                spawn(move || {
                    loop {
                        let got = match selects {
                            false => receiver.recv(),
                            true => select! { recv(receiver) -> got => got, recv(never) -> _ => unreachable!() },
                        };
                        let Ok(got) = got else { return };
                        sum.fetch_add(got, SeqCst);
                        count.fetch_add(1, SeqCst);
                    }
                })
            };
            const TOTAL: u64 = 3000;
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    let sender = sender.clone();
                    spawn(move || (1..=TOTAL).for_each(|n| sender.send(n).unwrap()))
                })
                .collect();
            let (mut random, mut receivers) = (Random(7), Vec::new());
            while !senders.iter().all(|sender| sender.is_finished()) {
                receivers.push(receive(random.below(2) == 0));
                if receivers.len() > 4 {
                    let index = random.below(receivers.len() as u64) as usize;
                    cancel_quietly(receivers.swap_remove(index));
                }
                thread::yield_now();
            }
            let mut rest = 0;
            receivers.into_iter().for_each(cancel_quietly);
            while let Ok(message) = receiver.try_recv() {
                rest += message;
            }
            drop(senders);
            assert_eq!(sum.load(SeqCst) + rest, TOTAL * (TOTAL + 1), "{} received", count.load(SeqCst));
        });
    }
}

fn cancel_quietly(handle: JoinHandle<()>) {
    handle.cancel();
    if let Err(error) = handle.join() {
        assert!(error.is::<Cancelled>());
    }
}

/// A message whose send was cancelled is received or dropped, once.
#[test]
fn cancelled_senders_send_or_drop() {
    for bound in [0, 2] {
        run_with(2, move || {
            let (sender, receiver) = sync_channel(bound);
            let dropped = Arc::new(AtomicUsize::new(0));
            let receives = spawn(move || receiver.iter().count());
            let (mut random, mut made) = (Random(11), 0);
            for _ in 0..1500 {
                let (sender, message) = (sender.clone(), Counted(Arc::clone(&dropped)));
                made += 1;
                let selects = random.below(2) == 0;
                let sends = spawn(move || match selects {
                    false => drop(sender.send(message)),
                    true => select! { send(sender, message) -> sent => drop(sent) },
                });
                if random.below(2) == 0 {
                    thread::yield_now();
                }
                cancel_quietly(sends);
            }
            drop(sender);
            let received = receives.join().unwrap();
            assert!(received <= made);
            assert_eq!(dropped.load(SeqCst), made);
        });
    }
}

/// On one worker the order is certain: a send that is struck has its message taken before it comes to unwind.
#[test]
fn a_send_that_was_received_says_so_though_it_was_struck() {
    for bound in [0, 1] {
        run_with(1, move || {
            let full = || {
                let (sender, receiver) = sync_channel(bound);
                (0..bound).for_each(|n| sender.send(n).unwrap());
                (sender, receiver)
            };
            let all_of = |receiver: &mpsc::Receiver<usize>| receiver.try_iter().collect::<Vec<_>>();

            // Struck while it waits.
            let (sender, receiver) = full();
            let sends = spawn(move || sender.send(7));
            settle();
            sends.cancel();
            assert_eq!(all_of(&receiver).last(), Some(&7));
            assert_eq!(sends.join().unwrap(), Ok(()), "cancelled, bound {bound}");

            let (sender, receiver) = full();
            let sends = spawn(move || time::timeout(Duration::from_millis(2), || sender.send(7)));
            thread::yield_now();
            busy(Duration::from_millis(5));
            thread::yield_now();
            assert_eq!(all_of(&receiver).last(), Some(&7));
            assert_eq!(sends.join().unwrap(), Ok(Ok(())), "timed out, bound {bound}");

            // Before it does.
            let (sender, receiver) = full();
            let sends = spawn(move || {
                cancel::shield(|| {
                    while !cancel::is_cancelled() {
                        thread::yield_now();
                    }
                });
                sender.send(7)
            });
            sends.cancel();
            let mut got = Vec::new();
            for _ in 0..10 {
                thread::yield_now();
                got.extend(receiver.try_iter());
            }
            let sent = got.last() == Some(&7);
            assert_eq!(sends.join().is_ok(), sent, "cancelled before, bound {bound}");
        });
    }
}

/// As the above, where the receiver is another thread: each message is received if, and only if, its send says so.
#[test]
fn a_send_says_what_became_of_its_message_on_a_plain_thread() {
    for bound in [0, 1] {
        let (sender, receiver) = sync_channel(bound);
        let receives = std::thread::spawn(move || {
            let mut got = Vec::new();
            while let Ok(message) = receiver.recv() {
                got.push(message);
                busy(Duration::from_micros(50));
            }
            got
        });
        let said: Vec<u64> = (0..2000)
            .filter(|n| {
                let limit = Duration::from_micros(n % 100);
                matches!(time::timeout(limit, || sender.send(*n)), Ok(Ok(())))
            })
            .collect();
        drop(sender);
        let received = receives.join().unwrap();
        let unlike = received.iter().zip(&said).find(|(got, said)| got != said);
        assert_eq!((unlike, received.len()), (None, said.len()), "bound {bound}");
    }
}

fn busy(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {}
}

#[test]
fn a_drop_inside_an_unwind_may_wait_for_a_message() {
    struct Receives(mpmc::Receiver<u32>, mpmc::Sender<u32>);
    impl Drop for Receives {
        fn drop(&mut self) {
            let got = self.0.recv().unwrap();
            self.1.send(got + 1).unwrap();
        }
    }
    run_with(1, || {
        for panics in [false, true] {
            let ((question, asked), (answer, answered)) = (mpmc::channel(), mpmc::sync_channel(0));
            let unwinds = spawn(move || {
                let _receives = Receives(asked, answer);
                if panics {
                    std::panic::resume_unwind(Box::new("unwound"));
                }
                thread::park();
            });
            settle();
            unwinds.cancel();
            settle();
            assert!(!unwinds.is_finished());
            question.send(1).unwrap();
            assert_eq!(answered.recv(), Ok(2));
            assert_eq!(unwinds.join().unwrap_err().is::<Cancelled>(), !panics);
        }
    });
}

#[test]
fn nothing_waits_inside_no_park_and_nothing_is_left_behind() {
    run_with(1, || {
        let (sender, receiver) = sync_channel(0);
        let refused = |f: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(|| no_park(f))).is_err();
        assert!(refused(&mut || assert!(receiver.recv().is_ok())));
        assert!(refused(&mut || assert!(sender.send(1).is_ok())));
        assert!(refused(&mut || select! { recv(receiver) -> _ => {}, send(sender, 1) -> _ => {} }));
        assert_eq!(sender.try_send(2), Err(dormouse::sync::mpsc::TrySendError::Full(2)), "nobody stands in line");
        assert!(receiver.try_recv().is_err());
        let (sender, receiver) = channel();
        no_park(|| {
            sender.send(1).unwrap();
            assert_eq!(receiver.recv(), Ok(1));
        });
    });
}

#[test]
fn shutdown_ends_who_waits() {
    let ended = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&ended);
    run_with(2, move || {
        let (sender, receiver) = mpmc::channel::<u8>();
        for _ in 0..20 {
            let (sender, receiver, counted) = (sender.clone(), receiver.clone(), Counted(Arc::clone(&counts)));
            spawn(move || {
                let (_counted, _sender) = (counted, sender);
                let _ = receiver.recv();
            });
        }
        settle();
    });
    assert_eq!(ended.load(SeqCst), 20);
}
