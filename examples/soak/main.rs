//! Does anything leak? Churns connections, coroutines, timers, cancels, panics, calls that block, channels and locks at random,
//! in one runtime of two workers for as long as it is told, and then asks whether all is as it was at the start.
//!
//! `cargo run --release --example soak -- --secs 600 --seed 7`; a seed repeats what is begun, not how it interleaves.
//!
//! `churn` begins and ends tasks, `tasks` and `connections` are what they do, `levels` measures. A warm-up of the same kind
//! comes before the start's level is taken: caches and pools fill up once.

mod churn;
mod connections;
mod levels;
#[path = "../c10k/procfs.rs"]
#[allow(dead_code, reason = "another example's, of which a part is used")]
mod procfs;
mod tasks;

use churn::Churn;
use clap::Parser;
use dormouse::metrics::WorkerMetrics;
use levels::Levels;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

#[derive(Parser)]
#[command(name = "soak", version)]
struct Options {
    /// Seconds of churning, after the warm-up
    #[arg(long, value_name = "N", default_value_t = 60)]
    secs: u64,

    /// What the random numbers begin with; by default, the time
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    /// Tasks at one time
    #[arg(long, value_name = "N", default_value_t = 200)]
    tasks: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match dormouse::Builder::new().workers(2).run(|| soak(&options)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => failed(&*error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("soak: {error}");
    ExitCode::FAILURE
}

/// What the workers counted meanwhile.
fn counted(before: &WorkerMetrics, after: &WorkerMetrics) -> String {
    let figures = [
        ("coroutines", before.spawns, after.spawns),
        ("stolen", before.steals, after.steals),
        ("placed", before.placements, after.placements),
        ("resumes", before.resumes, after.resumes),
        ("local wakes", before.local_wakes, after.local_wakes),
        ("remote wakes", before.remote_wakes, after.remote_wakes),
        ("io wakes", before.io_wakes, after.io_wakes),
        ("expiries", before.timer_expiries, after.timer_expiries),
    ];
    let rows = figures.iter().map(|(name, before, after)| format!("{name:<12} {:>10}\n", after - before));
    rows.collect()
}

fn soak(options: &Options) -> Result<(), Box<dyn Error>> {
    let time = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64);
    let seed = options.seed.unwrap_or_else(time);
    println!("soak: --secs {} --seed {seed} --tasks {}", options.secs, options.tasks);
    // What a task is for is told by its payload, not by the hook.
    std::panic::set_hook(Box::new(|panic| eprintln!("soak: {panic}")));

    let warm_up = Duration::from_secs((options.secs / 4).clamp(3, 30));
    Churn::begin(seed, options.tasks)?.run_for(warm_up)?;
    let start = Levels::at_rest()?;
    let before = dormouse::metrics().total;
    let tally = Churn::begin(seed.wrapping_add(1), options.tasks)?.run_for(Duration::from_secs(options.secs))?;
    let after = dormouse::metrics().total;
    let end = Levels::at_rest()?;

    println!("\n{tally}\n{}", counted(&before, &after));
    println!("{}", end.beside(&start));
    match end.above(&start) {
        leaks if leaks.is_empty() => Ok(()),
        leaks => Err(format!("not back at the start's level: {}", leaks.join(", ")).into()),
    }
}
