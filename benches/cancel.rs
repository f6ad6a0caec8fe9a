//! What does it cost to end parked coroutines by cancelling them, and does each cost the same however many there are?
//!
//! So many coroutines are parked on one worker; then all are cancelled, one by one, and joined. An iteration is one of them: its
//! unwind and its end included. Beside it the same number ended by what they wait for, an unpark, which is a normal
//! exit; and tokio's current-thread runtime with as many tasks, aborted or notified.
//!
//! Excluded: the start of the runtime, the spawns and the parks.

use criterion::{BenchmarkGroup, Criterion, SamplingMode, measurement::WallTime};
use dormouse::{Builder, Cancelled, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many are parked at a time.
const COUNTS: [u64; 3] = [1_000, 10_000, 100_000];

/// Ends this many, so many rounds, and says how long that took.
type Runner = fn(rounds: u64, count: u64) -> Duration;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    for count in COUNTS {
        let mut group = criterion.benchmark_group(format!("end of {count} parked"));
        group.sampling_mode(SamplingMode::Flat);
        one_count(&mut group, count);
        group.finish();
    }
    criterion.final_summary();
}

fn one_count(group: &mut BenchmarkGroup<'_, WallTime>, count: u64) {
    let runners: [(&str, Runner); 4] = [
        ("dormouse, cancelled", |rounds, count| dormouse(rounds, count, true)),
        ("dormouse, unparked", |rounds, count| dormouse(rounds, count, false)),
        ("tokio, aborted", |rounds, count| tokio(rounds, count, true)),
        ("tokio, notified", |rounds, count| tokio(rounds, count, false)),
    ];
    for (name, run) in runners {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iters| {
                let rounds = iters.div_ceil(count);
                run(rounds, count).mul_f64(iters as f64 / (rounds * count) as f64)
            });
        });
    }
}

fn dormouse(rounds: u64, count: u64, cancels: bool) -> Duration {
    let round = || {
        let started = Arc::new(AtomicU64::new(0));
        let park = |started: &Arc<AtomicU64>| {
            let started = Arc::clone(started);
            thread::spawn(move || {
                started.fetch_add(1, Relaxed);
                thread::park();
            })
        };
        let parked: Vec<_> = (0..count).map(|_| park(&started)).collect();
        while started.load(Relaxed) < count {
            thread::yield_now();
        }
        let begin = Instant::now();
        for one in &parked {
            if cancels { one.cancel() } else { one.thread().unpark() }
        }
        let cancelled = parked.into_iter().filter_map(|one| one.join().err()).filter(|ended| ended.is::<Cancelled>());
        assert_eq!(cancelled.count() as u64, if cancels { count } else { 0 });
        begin.elapsed()
    };
    Builder::new().workers(1).run(|| (0..rounds).map(|_| round()).sum()).unwrap()
}

fn tokio(rounds: u64, count: u64, aborts: bool) -> Duration {
    let round = async || {
        let shared = Arc::new((Notify::new(), AtomicU64::new(0)));
        let park = |shared: &Arc<(Notify, AtomicU64)>| {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                shared.1.fetch_add(1, Relaxed);
                shared.0.notified().await;
            })
        };
        let parked: Vec<_> = (0..count).map(|_| park(&shared)).collect();
        while shared.1.load(Relaxed) < count {
            tokio::task::yield_now().await;
        }
        let begin = Instant::now();
        if aborts {
            parked.iter().for_each(tokio::task::JoinHandle::abort);
        } else {
            shared.0.notify_waiters();
        }
        let mut aborted = 0;
        for one in parked {
            aborted += u64::from(one.await.is_err_and(|error| error.is_cancelled()));
        }
        assert_eq!(aborted, if aborts { count } else { 0 });
        begin.elapsed()
    };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let mut all = Duration::ZERO;
        for _ in 0..rounds {
            all += round().await;
        }
        all
    })
}
