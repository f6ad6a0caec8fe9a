//! Work that takes so much processor time, whatever else runs: counted in rounds, not by the clock.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Works for so many rounds.
pub(crate) fn work(rounds: u64) {
    let mut state = black_box(0x9E37_79B9_7F4A_7C15u64);
    for _ in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

/// How many rounds take that long on this core: the most of some trials, since others may use it, too.
pub(crate) fn rounds_in(time: Duration) -> u64 {
    const TRIAL: u64 = 1_000_000;
    let trials = (0..20).map(|_| {
        let start = Instant::now();
        work(TRIAL);
        start.elapsed()
    });
    let fastest = trials.min().unwrap_or_default().max(Duration::from_nanos(1));
    (TRIAL as f64 * time.as_secs_f64() / fastest.as_secs_f64()) as u64
}
