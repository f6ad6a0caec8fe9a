//! What do two workers give, and what does it cost to reach the other one?
//!
//! * *fan-out*: 4,000 coroutines that compute for about 50 us each, spawned by one; one worker against two. The goal
//!   is a ratio of 1.85.
//! * *skynet*: each of a tree spawns ten down to 1,000,000 leaves, and joins them; two workers each. may maps a stack
//!   for each when it is spawned, and reaches `vm.max_map_count`, so it takes part with 10,000 leaves only. rayon's
//!   jobs cannot block, it is there for scale.
//! * *remote unpark*: from the call until the other party runs, which parked on another worker 200 us before; its
//!   worker sleeps by then. tokio's task is notified by a plain thread, since a worker would run it itself.
//! * *spawn from a plain thread*: one spawn and its join, of 1,000 together, on two idle workers.
//!
//! The runners of a question take turns, so that all see the same machine; the figures are the median and the best of
//! the rounds, and the ratio of the first runner's median to this one's. Excluded: the start of the runtimes and a
//! first round of each. It takes two idle cores, and says little on fewer.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Coroutines of the fan-out.
const FAN: usize = 4_000;

/// Leaves of the large tree.
const MILLION: u64 = 1_000_000;

/// Leaves of the small one.
const FEW: u64 = 10_000;

/// Spawned together by a plain thread.
const MANY: u32 = 1_000;

/// Unparks of which the median is taken.
const UNPARKS: usize = 300;

/// One measurement.
type Runner = fn() -> Duration;

/// Its name, how often it is asked, and who answers.
type Question = (&'static str, usize, &'static [(&'static str, Runner)]);

fn main() {
    // Cargo passes `--bench`; a name chooses one question.
    let chosen = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    may::config().set_workers(2).set_pool_capacity(2_000).set_stack_size(0x1000);
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().expect("two threads");
    let questions: [Question; 5] = [
        ("fan-out", 15, &[("1 worker", || fan_out(1)), ("2 workers", || fan_out(2)), ("rayon", fan_out_rayon)]),
        (
            "skynet of 1,000,000",
            7,
            &[("dormouse", skynet::<MILLION>), ("tokio", skynet_tokio::<MILLION>), ("rayon", skynet_rayon::<MILLION>)],
        ),
        (
            "skynet of 10,000",
            31,
            &[
                ("dormouse", skynet::<FEW>),
                ("tokio", skynet_tokio::<FEW>),
                ("may", skynet_may),
                ("rayon", skynet_rayon::<FEW>),
            ],
        ),
        ("remote unpark", 9, &[("dormouse", unpark), ("std thread", unpark_threads), ("tokio Notify", unpark_tokio)]),
        (
            "spawn from a plain thread",
            15,
            &[("dormouse", spawn_outside), ("tokio", spawn_outside_tokio), ("std thread", spawn_threads)],
        ),
    ];
    for (name, rounds, runners) in questions {
        if chosen.as_ref().is_none_or(|chosen| name.contains(chosen.as_str())) {
            ask(name, rounds, runners);
        }
    }
}

fn ask(name: &str, rounds: usize, runners: &[(&str, Runner)]) {
    for (_, run) in runners {
        black_box(run());
    }
    let mut times = vec![Vec::new(); runners.len()];
    for _ in 0..rounds {
        runners.iter().zip(&mut times).for_each(|((_, run), times)| times.push(run()));
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let median = |times: &[Duration]| times[times.len() / 2];
    let first = median(&times[0]);
    println!("{name}:");
    for ((runner, _), times) in runners.iter().zip(&times) {
        let (middle, best) = (median(times), times[0]);
        let ratio = first.as_secs_f64() / middle.as_secs_f64();
        println!("  {runner:<20} median {middle:>10.2?}   best {best:>10.2?}   {ratio:>5.2}");
    }
}

/// About 50 us.
fn compute() -> u64 {
    (0..50_000u64).fold(1, |x, n| black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n)))
}

fn time(f: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    f();
    begin.elapsed()
}

fn fan_out(workers: usize) -> Duration {
    let fan = || {
        let handles: Vec<_> = (0..FAN).map(|_| dormouse::spawn(compute)).collect();
        for handle in handles {
            black_box(handle.join().unwrap());
        }
    };
    dormouse::Builder::new().workers(workers).run(|| time(fan)).unwrap()
}

fn fan_out_rayon() -> Duration {
    time(|| {
        rayon::scope(|scope| {
            for _ in 0..FAN {
                scope.spawn(|_| {
                    black_box(compute());
                });
            }
        });
    })
}

/// What the leaves add up to.
const fn sum(leaves: u64) -> u64 {
    leaves * (leaves - 1) / 2
}

fn parts(size: u64) -> impl Iterator<Item = u64> {
    (0..10).map(move |nth| nth * (size / 10))
}

fn skynet<const LEAVES: u64>() -> Duration {
    fn node(first: u64, size: u64) -> u64 {
        if size == 1 {
            return first;
        }
        let spawn = |part| dormouse::spawn(move || node(first + part, size / 10));
        let children: Vec<_> = parts(size).map(spawn).collect();
        children.into_iter().map(|child| child.join().unwrap()).sum()
    }
    let run = || time(|| assert_eq!(node(0, LEAVES), sum(LEAVES)));
    dormouse::Builder::new().workers(2).run(|| dormouse::spawn(run).join().unwrap()).unwrap()
}

fn two_tokio_workers() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

fn skynet_tokio<const LEAVES: u64>() -> Duration {
    fn node(first: u64, size: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move {
            if size == 1 {
                return first;
            }
            let spawn = |part| tokio::spawn(node(first + part, size / 10));
            let children: Vec<_> = parts(size).map(spawn).collect();
            let mut sum = 0;
            for child in children {
                sum += child.await.unwrap();
            }
            sum
        })
    }
    let run = async {
        let begin = Instant::now();
        assert_eq!(node(0, LEAVES).await, sum(LEAVES));
        begin.elapsed()
    };
    two_tokio_workers().block_on(async { tokio::spawn(run).await.unwrap() })
}

fn skynet_may() -> Duration {
    fn node(first: u64, size: u64) -> u64 {
        if size == 1 {
            return first;
        }
        // SAFETY: the closure touches no thread-local and little stack.
        let spawn = |part| unsafe { may::coroutine::spawn(move || node(first + part, size / 10)) };
        let children: Vec<_> = parts(size).map(spawn).collect();
        children.into_iter().map(|child| child.join().unwrap()).sum()
    }
    // SAFETY: as above.
    unsafe { may::coroutine::spawn(|| time(|| assert_eq!(node(0, FEW), sum(FEW)))) }.join().unwrap()
}

fn skynet_rayon<const LEAVES: u64>() -> Duration {
    use rayon::prelude::*;
    fn node(first: u64, size: u64) -> u64 {
        if size == 1 {
            return first;
        }
        (0..10u32)
            .into_par_iter()
            .with_max_len(1)
            .map(|nth| node(first + u64::from(nth) * (size / 10), size / 10))
            .sum()
    }
    time(|| assert_eq!(node(0, LEAVES), sum(LEAVES)))
}

/// When the waiting party was woken, and what it waits for.
struct Bell {
    /// To measure from.
    origin: Instant,
    /// Nanoseconds after it, of each time.
    woken: std::sync::mpsc::Sender<u64>,
    /// Set by who rings.
    rung: AtomicBool,
}

impl Bell {
    /// The waiting party.
    fn wait(&self, park: fn()) {
        for _ in 0..UNPARKS {
            while !self.rung.swap(false, Ordering::Acquire) {
                park();
            }
            let _ = self.woken.send(self.origin.elapsed().as_nanos() as u64);
        }
    }
}

/// Rings until all was heard; the median of how long that took.
fn ring(bell: &Bell, heard: &std::sync::mpsc::Receiver<u64>, unpark: impl Fn()) -> Duration {
    let mut latencies: Vec<_> = (0..UNPARKS)
        .map(|_| {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_micros(200) {
                std::hint::spin_loop();
            }
            let rung_at = bell.origin.elapsed().as_nanos() as u64;
            bell.rung.store(true, Ordering::Release);
            unpark();
            // It comes from another thread, and this one has nothing else to do.
            let woken_at = heard.recv().expect("it counts as well");
            woken_at.saturating_sub(rung_at)
        })
        .collect();
    latencies.sort_unstable();
    Duration::from_nanos(latencies[UNPARKS / 2])
}

fn bell() -> (Arc<Bell>, std::sync::mpsc::Receiver<u64>) {
    let (woken, heard) = std::sync::mpsc::channel();
    (Arc::new(Bell { origin: Instant::now(), woken, rung: AtomicBool::new(false) }), heard)
}

fn unpark() -> Duration {
    use dormouse::thread;
    let run = || {
        let ((bell, heard), own) = (bell(), std::thread::current().id());
        let (found, waiter) = std::sync::mpsc::channel();
        let theirs = Arc::clone(&bell);
        let candidate = move || {
            assert_ne!(std::thread::current().id(), own);
            found.send(thread::current()).unwrap();
            theirs.wait(thread::park);
        };
        thread::spawn(candidate);
        // This blocks the worker, so that the other one takes it.
        let waiter = waiter.recv().unwrap();
        ring(&bell, &heard, || waiter.unpark())
    };
    dormouse::Builder::new().workers(2).run(run).unwrap()
}

fn unpark_threads() -> Duration {
    let (bell, heard) = bell();
    let theirs = Arc::clone(&bell);
    let waiter = std::thread::spawn(move || theirs.wait(std::thread::park));
    let took = ring(&bell, &heard, || waiter.thread().unpark());
    waiter.join().unwrap();
    took
}

fn unpark_tokio() -> Duration {
    let ((bell, heard), runtime) = (bell(), two_tokio_workers());
    let (theirs, notify) = (Arc::clone(&bell), Arc::new(tokio::sync::Notify::new()));
    let notified = Arc::clone(&notify);
    runtime.spawn(async move {
        for _ in 0..UNPARKS {
            notified.notified().await;
            let _ = theirs.woken.send(theirs.origin.elapsed().as_nanos() as u64);
        }
    });
    ring(&bell, &heard, || notify.notify_one())
}

fn spawn_outside() -> Duration {
    // Outside of `run` this is the default runtime, with a worker for each core.
    let spawned = || (0..MANY).map(|_| dormouse::spawn(|| ())).collect::<Vec<_>>();
    time(|| spawned().into_iter().for_each(|handle| handle.join().unwrap())) / MANY
}

fn spawn_outside_tokio() -> Duration {
    let runtime = two_tokio_workers();
    let all = async |handles: Vec<tokio::task::JoinHandle<()>>| {
        for handle in handles {
            handle.await.unwrap();
        }
    };
    time(|| runtime.block_on(all((0..MANY).map(|_| runtime.spawn(async {})).collect()))) / MANY
}

fn spawn_threads() -> Duration {
    let spawned = || (0..MANY).map(|_| std::thread::spawn(|| ())).collect::<Vec<_>>();
    time(|| spawned().into_iter().for_each(|handle| handle.join().unwrap())) / MANY
}
