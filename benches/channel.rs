//! What does a message through a channel cost: there and back, and one way in a stream?
//!
//! *Ping-pong*: two parties with two channels; an iteration sends a message there and waits for one back. *Stream*: one
//! party sends, the other receives; an iteration is one message. With room for 128 messages, without limit, and with no room
//! (rendezvous); both parties on one worker, on two, and the peers: tokio on its current-thread runtime and on two workers,
//! may with one worker, crossbeam-channel and std on two threads.
//!
//! Excluded: the start of the runtime, the spawns, and the first hundred messages. Two workers, or two threads, need two
//! idle cores.

#[path = "channel/peers.rs"]
mod peers;

use criterion::{BenchmarkGroup, Criterion, SamplingMode, measurement::WallTime};
use dormouse::sync::mpsc::{Receiver, channel, sync_channel};
use std::time::{Duration, Instant};

/// Messages before time counts.
const WARM_UP: u64 = 100;

/// Room in a bounded channel.
const ROOM: usize = 128;

/// Coroutines spawned at once by [`elsewhere`]: more than a worker keeps to itself while another is idle.
const VOLUNTEERS: usize = 64;

/// Passes so many messages, and says how long that took.
type Runner = fn(messages: u64) -> Duration;

fn main() {
    may::config().set_workers(1);
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    let mut pings = criterion.benchmark_group("channel ping-pong");
    run(
        &mut pings,
        &[
            ("dormouse mpsc, same worker", |n| on_one(|| ping_pong(n, Some(1), same_worker))),
            ("dormouse mpsc unbounded, same worker", |n| on_one(|| ping_pong(n, None, same_worker))),
            ("dormouse mpsc rendezvous, same worker", |n| on_one(|| ping_pong(n, Some(0), same_worker))),
            ("tokio mpsc, current_thread", |n| peers::tokio_ping_pong(n, peers::one_tokio_worker())),
            ("may mpsc, 1 worker", peers::may_ping_pong),
            ("dormouse mpsc, two workers", |n| on_two(|| ping_pong(n, Some(1), elsewhere))),
            ("tokio mpsc, two workers", |n| peers::tokio_ping_pong(n, peers::two_tokio_workers())),
            ("crossbeam-channel, two threads", peers::crossbeam_ping_pong),
            ("std mpsc, two threads", peers::std_ping_pong),
        ],
    );
    pings.finish();
    let mut streams = criterion.benchmark_group("channel stream");
    run(
        &mut streams,
        &[
            ("dormouse mpsc(128), same worker", |n| on_one(|| stream(n, ROOM, same_worker))),
            ("dormouse mpsc unbounded, same worker", |n| on_one(|| unbounded_stream(n))),
            ("dormouse mpsc rendezvous, same worker", |n| on_one(|| stream(n, 0, same_worker))),
            ("tokio mpsc(128), current_thread", |n| peers::tokio_stream(n, peers::one_tokio_worker())),
            ("may mpsc, 1 worker", peers::may_stream),
            ("dormouse mpsc(128), two workers", |n| on_two(|| stream(n, ROOM, elsewhere))),
            ("tokio mpsc(128), two workers", |n| peers::tokio_stream(n, peers::two_tokio_workers())),
            ("crossbeam-channel(128), two threads", peers::crossbeam_stream),
            ("std mpsc(128), two threads", peers::std_stream),
        ],
    );
    streams.finish();
    criterion.final_summary();
}

fn run(group: &mut BenchmarkGroup<'_, WallTime>, runners: &[(&str, Runner)]) {
    group.sampling_mode(SamplingMode::Flat);
    for (name, run) in runners {
        group.bench_function(*name, |bencher| bencher.iter_custom(run));
    }
}

/// Calls `pass` that many times after the warm-up, and says how long it took. From one place, so that it is compiled into the
/// loop, as it would be in a program, and as those of the peers are.
#[inline(always)]
fn timed(messages: u64, mut pass: impl FnMut()) -> Duration {
    let mut begin = Instant::now();
    for n in 0..WARM_UP + messages {
        if n == WARM_UP {
            begin = Instant::now();
        }
        pass();
    }
    begin.elapsed()
}

fn on_one<R>(f: impl FnOnce() -> R) -> R {
    dormouse::Builder::new().workers(1).run(f).unwrap()
}

fn on_two<R>(f: impl FnOnce() -> R) -> R {
    dormouse::Builder::new().workers(2).run(f).unwrap()
}

/// Starts the other party.
type Start = fn(Box<dyn FnOnce() + Send>);

fn same_worker(other: Box<dyn FnOnce() + Send>) {
    dormouse::spawn(other);
}

/// Starts it on another worker; a coroutine never leaves the one where it began.
fn elsewhere(other: Box<dyn FnOnce() + Send>) {
    use std::sync::{Arc, Mutex};
    let home = std::thread::current().id();
    let other = Arc::new(Mutex::new(Some(other)));
    while other.lock().unwrap().is_some() {
        for _ in 0..VOLUNTEERS {
            let other = Arc::clone(&other);
            dormouse::spawn(move || {
                let away = std::thread::current().id() != home;
                let taken = if away { other.lock().unwrap().take() } else { None };
                taken.into_iter().for_each(|run| run());
            });
        }
        dormouse::thread::park_timeout(Duration::from_millis(1));
    }
}

/// A sender of any kind, and its receiver.
fn pair(room: Option<usize>) -> (Box<dyn Fn(u64) -> bool + Send>, Receiver<u64>) {
    match room {
        None => {
            let (sender, receiver) = channel();
            (Box::new(move |message| sender.send(message).is_ok()), receiver)
        }
        Some(room) => {
            let (sender, receiver) = sync_channel(room);
            (Box::new(move |message| sender.send(message).is_ok()), receiver)
        }
    }
}

fn ping_pong(messages: u64, room: Option<usize>, start: Start) -> Duration {
    let ((ping, pinged), (pong, ponged)) = (pair(room), pair(room));
    start(Box::new(move || {
        for message in pinged {
            pong(message);
        }
    }));
    timed(messages, || {
        ping(1);
        ponged.recv().unwrap();
    })
}

fn stream(messages: u64, room: usize, start: Start) -> Duration {
    let (sender, receiver) = sync_channel(room);
    start(Box::new(move || while sender.send(1_u64).is_ok() {}));
    timed(messages, || {
        receiver.recv().unwrap();
    })
}

/// Without limit a sender that never waits would fill the memory: it sends in portions of the room of the others.
fn unbounded_stream(messages: u64) -> Duration {
    let (sender, receiver) = channel();
    let (ask, asked) = channel();
    dormouse::spawn(move || {
        for () in asked {
            (0..ROOM).for_each(|n| sender.send(n).unwrap());
        }
    });
    let mut left = 0;
    timed(messages, || {
        if left == 0 {
            ask.send(()).unwrap();
            left = ROOM;
        }
        left -= 1;
        receiver.recv().unwrap();
    })
}
