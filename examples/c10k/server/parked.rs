//! No sockets: coroutines that are all parked at once, measured by their own process, then all unparked and joined.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dormouse::thread::{self, JoinHandle};
use serde::{Deserialize, Serialize};

use crate::measure::SETTLE;
use crate::options::Options;
use crate::procfs::{self, Memory};

/// What the process says of itself on standard output, as one line of JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) before: Memory,
    pub(crate) parked: Memory,
    /// From the first spawn until the last coroutine was parked.
    pub(crate) start: Duration,
    /// From the first unpark until the last join.
    pub(crate) join: Duration,
}

pub(crate) fn serve(options: &Options) -> io::Result<()> {
    let count = options.conns;
    let report =
        dormouse::Builder::new().workers(options.workers).stack_size(options.stack).run(|| park_all(count))??;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", serde_json::to_string(&report)?)?;
    stdout.flush()
}

fn park_all(count: usize) -> io::Result<Report> {
    let arrived = Arc::new(AtomicUsize::new(0));
    let mut handles = Vec::with_capacity(count);
    let before = procfs::memory(std::process::id())?;
    let start = Instant::now();
    for _ in 0..count {
        let arrived = Arc::clone(&arrived);
        handles.push(thread::spawn(move || park_once(&arrived)));
    }
    // ORDERING: relaxed; the count is all that is communicated. Partner: `park_once`.
    while arrived.load(Ordering::Relaxed) < count {
        thread::yield_now();
    }
    let start = start.elapsed();
    thread::sleep(SETTLE);
    let parked = procfs::memory(std::process::id())?;
    let join = join_all(handles)?;
    Ok(Report { before, parked, start, join })
}

fn park_once(arrived: &AtomicUsize) {
    // ORDERING: relaxed; the count is all that is communicated. Partner: the loop in `park_all`.
    arrived.fetch_add(1, Ordering::Relaxed);
    thread::park();
}

fn join_all(handles: Vec<JoinHandle<()>>) -> io::Result<Duration> {
    let start = Instant::now();
    for handle in &handles {
        handle.thread().unpark();
    }
    for handle in handles {
        handle.join().map_err(|_| io::Error::other("a parked coroutine panicked"))?;
    }
    Ok(start.elapsed())
}
