//! What does it cost to spawn a coroutine and to join it, one at a time, and 1,000 spawned before the first is joined?
//!
//! The closure does nothing. The figure is for one spawn and its join, made from inside a coroutine (a task, a thread). The
//! peers are tokio's current-thread runtime and may with one worker; an OS thread is there for scale.
//!
//! Excluded: the start of the runtime and a first round, which fills what the runtime keeps for later (stacks, tables).

use criterion::{Criterion, SamplingMode};
use std::time::{Duration, Instant};

/// How many are spawned before the first is joined, in the second question.
const MANY: u64 = 1_000;

/// Makes this many spawns and joins, so many at a time, and says how long it took.
type Runner = fn(rounds: u64, together: u64) -> Duration;

fn main() {
    may::config().set_workers(1);
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .without_plots()
        .configure_from_args();
    one_question(&mut criterion, "spawn+join one at a time", 1);
    one_question(&mut criterion, "spawn+join of 1,000 together", MANY);
    criterion.final_summary();
}

fn one_question(criterion: &mut Criterion, name: &str, together: u64) {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    let runners: [(&str, Runner); 4] =
        [("dormouse", dormouse), ("tokio", tokio), ("may", may), ("std thread", threads)];
    for (name, run) in runners {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iters| {
                let rounds = iters.div_ceil(together);
                run(rounds, together).mul_f64(iters as f64 / (rounds * together) as f64)
            });
        });
    }
}

/// Times all calls of `round` but the first.
fn time(rounds: u64, mut round: impl FnMut()) -> Duration {
    round();
    let begin = Instant::now();
    (0..rounds).for_each(|_| round());
    begin.elapsed()
}

fn dormouse(rounds: u64, together: u64) -> Duration {
    let mut handles = Vec::with_capacity(together as usize);
    let round = || {
        handles.extend((0..together).map(|_| dormouse::spawn(|| ())));
        handles.drain(..).for_each(|handle| handle.join().unwrap());
    };
    dormouse::Builder::new().workers(1).run(|| time(rounds, round)).unwrap()
}

fn tokio(rounds: u64, together: u64) -> Duration {
    let mut handles = Vec::with_capacity(together as usize);
    let mut round = async || {
        handles.extend((0..together).map(|_| tokio::spawn(async {})));
        for handle in handles.drain(..) {
            handle.await.unwrap();
        }
    };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        round().await;
        let begin = Instant::now();
        for _ in 0..rounds {
            round().await;
        }
        begin.elapsed()
    })
}

fn may(rounds: u64, together: u64) -> Duration {
    let main = move || {
        let mut handles = Vec::with_capacity(together as usize);
        time(rounds, || {
            // SAFETY: the closure is empty: no thread-local, no stack to speak of.
            handles.extend((0..together).map(|_| unsafe { may::coroutine::spawn(|| ()) }));
            handles.drain(..).for_each(|handle| handle.join().unwrap());
        })
    };
    // SAFETY: `main` touches no thread-local and little stack.
    unsafe { may::coroutine::spawn(main) }.join().unwrap()
}

fn threads(rounds: u64, together: u64) -> Duration {
    let mut handles = Vec::with_capacity(together as usize);
    time(rounds, || {
        handles.extend((0..together).map(|_| std::thread::spawn(|| ())));
        handles.drain(..).for_each(|handle| handle.join().unwrap());
    })
}
