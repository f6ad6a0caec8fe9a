//! What does a mutex cost, alone, among the coroutines of one worker, and between two workers?
//!
//! *Uncontended*: an iteration is a lock and an unlock by one party; the peers are std's and parking_lot's.
//!
//! *One worker*: eight coroutines lock by turns, and each yields with the guard in its hand, so that all others come to wait; an
//! iteration is one turn of one of them. The peer is tokio's mutex among eight tasks of its current-thread runtime.
//!
//! *Two workers*: two parties that cannot run on one thread lock, add and unlock as fast as they can, with nothing in between;
//! an iteration is one addition. The peers are two OS threads with each of the mutexes, and two coroutines of may.
//!
//! Excluded: the start of the runtime and of the parties, up to where all have met.

use criterion::{BenchmarkGroup, Criterion, SamplingMode, measurement::WallTime};
use dormouse::{sync, thread};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// As `dormouse::run`, on one worker: what is measured here is one worker's.
fn on_one_worker<T>(f: impl FnOnce() -> T) -> T {
    dormouse::Builder::new().workers(1).run(f).unwrap()
}

/// Those who share a worker.
const CROWD: u64 = 8;

/// Coroutines spawned at once to find one on another worker: more than a worker keeps to itself while another is idle.
const VOLUNTEERS: usize = 64;

/// Makes this many turns, and says how long they took.
type Runner = fn(turns: u64) -> Duration;

fn main() {
    may::config().set_workers(2);
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .without_plots()
        .configure_from_args();
    uncontended(&mut criterion.benchmark_group("mutex, uncontended"));
    let one_worker: [(&str, Runner); 2] = [("dormouse", crowd), ("tokio, current_thread", tokio_crowd)];
    measure(&mut criterion.benchmark_group("mutex, 8 parties on one worker"), &one_worker);
    let two: [(&str, Runner); 6] = [
        ("dormouse, two workers", two_workers),
        ("dormouse, two threads", |turns| two_threads(turns, sync::Mutex::new(0), |mutex| *mutex.lock().unwrap() += 1)),
        ("std, two threads", |turns| two_threads(turns, std::sync::Mutex::new(0), |mutex| *mutex.lock().unwrap() += 1)),
        ("parking_lot, two threads", |turns| {
            two_threads(turns, parking_lot::Mutex::new(0), |mutex| *mutex.lock() += 1)
        }),
        ("tokio, two workers", two_tokio_workers),
        ("may, two workers", two_may_workers),
    ];
    measure(&mut criterion.benchmark_group("mutex, between two"), &two);
    criterion.final_summary();
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, runners: &[(&str, Runner)]) {
    group.sampling_mode(SamplingMode::Flat);
    for (name, run) in runners {
        group.bench_function(*name, |bencher| bencher.iter_custom(run));
    }
}

fn uncontended(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (ours, std, parking_lot) = (sync::Mutex::new(0), std::sync::Mutex::new(0), parking_lot::Mutex::new(0));
    group.bench_function("dormouse", |bencher| bencher.iter(|| *black_box(&ours).lock().unwrap() += 1));
    group.bench_function("std", |bencher| bencher.iter(|| *black_box(&std).lock().unwrap() += 1));
    group.bench_function("parking_lot", |bencher| bencher.iter(|| *black_box(&parking_lot).lock() += 1));
    let in_coroutine = |turns| {
        on_one_worker(|| {
            let (mutex, start) = (sync::Mutex::new(0), Instant::now());
            (0..turns).for_each(|_| *black_box(&mutex).lock().unwrap() += 1);
            start.elapsed()
        })
    };
    group.bench_function("dormouse, in a coroutine", |bencher| bencher.iter_custom(in_coroutine));
    let (ours, std) = (sync::RwLock::new(0), std::sync::RwLock::new(0));
    group.bench_function("dormouse, read", |bencher| bencher.iter(|| *black_box(&ours).read().unwrap()));
    group.bench_function("std, read", |bencher| bencher.iter(|| *black_box(&std).read().unwrap()));
}

fn crowd(turns: u64) -> Duration {
    let run = || {
        let mutex = Arc::new(sync::Mutex::new(0u64));
        let start = Instant::now();
        let handles: Vec<_> = (0..CROWD)
            .map(|_| {
                let mutex = Arc::clone(&mutex);
                thread::spawn(move || {
                    for _ in 0..turns.div_ceil(CROWD) {
                        let mut count = mutex.lock().unwrap();
                        thread::yield_now();
                        *count += 1;
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        start.elapsed()
    };
    dormouse::Builder::new().workers(1).run(run).unwrap()
}

fn tokio_crowd(turns: u64) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mutex = Arc::new(tokio::sync::Mutex::new(0u64));
        let start = Instant::now();
        let handles: Vec<_> = (0..CROWD)
            .map(|_| {
                let mutex = Arc::clone(&mutex);
                tokio::spawn(async move {
                    for _ in 0..turns.div_ceil(CROWD) {
                        let mut count = mutex.lock().await;
                        tokio::task::yield_now().await;
                        *count += 1;
                    }
                })
            })
            .collect();
        for handle in handles {
            handle.await.unwrap();
        }
        start.elapsed()
    })
}

/// Two that meet by spinning, so that neither sleeps when the time begins.
#[derive(Default)]
struct Start(AtomicUsize);

impl Start {
    fn meet(&self) -> Instant {
        self.0.fetch_add(1, Ordering::AcqRel);
        while self.0.load(Ordering::Acquire) < 2 {
            std::hint::spin_loop();
        }
        Instant::now()
    }
}

fn two_workers(turns: u64) -> Duration {
    let run = move || {
        let home = std::thread::current().id();
        let shared = Arc::new((sync::Mutex::new(0u64), Start::default(), AtomicUsize::new(0)));
        let add = move |shared: &(sync::Mutex<u64>, Start, AtomicUsize)| {
            let start = shared.1.meet();
            (0..turns / 2 + 1).for_each(|_| *shared.0.lock().unwrap() += 1);
            start
        };
        while shared.2.load(Ordering::Acquire) == 0 {
            for _ in 0..VOLUNTEERS {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let elsewhere = std::thread::current().id() != home;
                    let first = || shared.2.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok();
                    if elsewhere && first() {
                        add(&shared);
                        shared.2.store(2, Ordering::Release);
                    }
                });
            }
            thread::sleep(Duration::from_millis(1));
        }
        let start = add(&shared);
        while shared.2.load(Ordering::Acquire) != 2 {
            std::hint::spin_loop();
        }
        start.elapsed()
    };
    dormouse::Builder::new().workers(2).run(run).unwrap()
}

fn two_threads<M: Send + Sync + 'static>(turns: u64, mutex: M, add: fn(&M)) -> Duration {
    let shared = Arc::new((mutex, Start::default()));
    let other = Arc::clone(&shared);
    let run = move |shared: &(M, Start)| {
        let start = shared.1.meet();
        (0..turns / 2 + 1).for_each(|_| add(&shared.0));
        start
    };
    let thread = std::thread::spawn(move || run(&other));
    let start = run(&shared);
    thread.join().unwrap();
    start.elapsed()
}

fn two_tokio_workers(turns: u64) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let shared = Arc::new((tokio::sync::Mutex::new(0u64), Barrier::new(2)));
    let tasks = [(); 2].map(|()| {
        let shared = Arc::clone(&shared);
        // A barrier that blocks both workers puts one task on each.
        runtime.spawn(async move {
            shared.1.wait();
            let start = Instant::now();
            for _ in 0..turns / 2 + 1 {
                *shared.0.lock().await += 1;
            }
            start
        })
    });
    runtime.block_on(async {
        let mut first = None;
        for task in tasks {
            let start = task.await.unwrap();
            first = first.min(Some(start)).or(Some(start));
        }
        first.expect("two tasks").elapsed()
    })
}

fn two_may_workers(turns: u64) -> Duration {
    let mutex = Arc::new(may::sync::Mutex::new(0u64));
    let start = Instant::now();
    let handles = [(); 2].map(|()| {
        let mutex = Arc::clone(&mutex);
        let add = move || (0..turns / 2 + 1).for_each(|_| *mutex.lock().unwrap() += 1);
        // SAFETY: the closure touches no thread-local and little stack.
        unsafe { may::coroutine::spawn(add) }
    });
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    start.elapsed()
}
