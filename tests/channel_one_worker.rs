//! Between coroutines of one worker a channel never enters the kernel, and an unlimited sender does not wait for anybody.

mod support;

use dormouse::sync::mpsc::{channel, sync_channel};
use dormouse::sync::select;
use dormouse::{spawn, thread};
use support::{bounded, run, thread_number, wake_ups};

const TRIPS: u64 = 20_000;

/// The worker's thread would sleep at every futex or poll that waits.
#[test]
fn ping_pong_never_sleeps() {
    bounded(20, || {
        run(|| {
            for bound in [0, 1, 8] {
                let ((ping, pinged), (pong, ponged)) = (sync_channel(bound), sync_channel(bound));
                let (_quiet, never) = channel::<u8>();
                let returns = spawn(move || pinged.iter().all(|trip: u64| pong.send(trip).is_ok()));
                let before = wake_ups(thread_number());
                for trip in 0..TRIPS {
                    ping.send(trip).unwrap();
                    let got = match trip % 2 {
                        0 => ponged.recv(),
                        _ => select! { recv(never) -> _ => unreachable!(), recv(ponged) -> got => got },
                    };
                    assert_eq!(got, Ok(trip));
                }
                let slept = wake_ups(thread_number()) - before;
                drop(ping);
                assert!(returns.join().unwrap());
                assert!(slept < TRIPS / 100, "slept {slept} times in {TRIPS} round trips");
            }
        });
    });
}

#[test]
fn a_sender_without_limit_does_not_yield() {
    bounded(10, || {
        run(|| {
            let (sender, receiver) = channel();
            let counts = spawn(move || {
                let first = receiver.recv().unwrap();
                (first, receiver.try_iter().count())
            });
            thread::yield_now();
            (0..1000).for_each(|n| sender.send(n).unwrap());
            assert_eq!(counts.join().unwrap(), (0, 999));
        });
    });
}

/// Both sides always have something to do; a third coroutine gets its turns all the same.
#[test]
fn busy_channels_let_others_run() {
    bounded(10, || {
        run(|| {
            let (sender, receiver) = channel();
            (0..10_000).for_each(|n| sender.send(n).unwrap());
            let turns = spawn(|| {
                (0..50).for_each(|_| thread::yield_now());
            });
            let mut received = 0;
            while !turns.is_finished() {
                receiver.recv().unwrap();
                received += 1;
                assert!(received < 10_000, "the other coroutine got no turn");
            }
        });
    });
}
