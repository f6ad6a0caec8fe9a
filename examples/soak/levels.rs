//! What the process and its runtime hold once nothing is left to do.

use crate::procfs;
use dormouse::metrics::Metrics;
use dormouse::{metrics, thread};
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

/// How long nothing may happen for it to be rest.
const STILL: Duration = Duration::from_millis(400);

/// How often that is tried: the threads of the pool are idle for ten seconds before they end.
const TRIES: u32 = 100;

/// What there is, and how much more of it than at the start is no leak.
#[derive(Debug)]
struct Level {
    name: &'static str,
    value: u64,
    slack: u64,
}

/// All of it at one moment.
#[derive(Debug)]
pub(crate) struct Levels(Vec<Level>);

impl Levels {
    /// Waits until only the caller is left, and measures.
    ///
    /// # Errors
    ///
    /// If somebody still runs, or waits for a timer or anything else, after a long time.
    pub(crate) fn at_rest() -> Result<Levels, String> {
        if !(0..TRIES).any(|_| is_at_rest()) {
            return Err(format!("not at rest after {:?}: {:?}", TRIES * STILL, metrics()));
        }
        Levels::measure(&metrics()).map_err(|error| format!("/proc: {error}"))
    }

    fn measure(metrics: &Metrics) -> io::Result<Levels> {
        let memory = procfs::memory(std::process::id())?;
        let level = |name, value, slack| Level { name, value, slack };
        Ok(Levels(vec![
            level("descriptors", std::fs::read_dir("/proc/self/fd")?.count() as u64, 0),
            level("threads", memory.threads, 0),
            level("of the pool", metrics.blocking.threads as u64, 0),
            level("coroutines", metrics.total.live as u64, 0),
            level("stacks, KiB", metrics.total.stack_bytes_mapped as u64 / 1024, STACK_SLACK),
            level("mappings", memory.mappings, MAPPING_SLACK),
            level("private, KiB", memory.user as u64 / 1024, MEMORY_SLACK),
        ]))
    }

    /// A table of both.
    pub(crate) fn beside(&self, start: &Levels) -> String {
        let mut table = format!("{:<12} {:>10} {:>10}\n", "levels", "start", "end");
        for (end, start) in self.0.iter().zip(&start.0) {
            writeln!(table, "{:<12} {:>10} {:>10}", end.name, start.value, end.value).expect("memory can be had");
        }
        table
    }

    /// What is higher than at the start.
    pub(crate) fn above(&self, start: &Levels) -> Vec<String> {
        let pairs = self.0.iter().zip(&start.0);
        let leaks = pairs.filter(|(end, start)| end.value > start.value + end.slack);
        leaks.map(|(end, start)| format!("{} {} -> {}", end.name, start.value, end.value)).collect()
    }
}

/// KiB: each of two workers keeps up to 256 stacks of 64 KiB for the next coroutines; how many it has depends on the last.
const STACK_SLACK: u64 = 2 * 256 * 64;

/// Of the slabs of these stacks, and of the allocator, which maps and unmaps as it sees fit.
const MAPPING_SLACK: u64 = 32;

/// KiB: the allocator's fragments, and the figures of this program.
const MEMORY_SLACK: u64 = 4096;

/// Whether the caller is the only one left: no coroutine, no thread of the pool, and no timer that wakes a worker.
fn is_at_rest() -> bool {
    let before = metrics();
    thread::sleep(STILL);
    let after = metrics();
    // One expiry is the caller's own.
    let expiries = after.total.timer_expiries - before.total.timer_expiries;
    let alone = after.total.live == 1 && after.total.unstarted == 0 && after.total.parked == 0;
    alone && expiries == 1 && after.blocking.threads == 0
}
