//! Where the watched figures come from, and whether one of them is too high.
//!
//! Owns a level for each limit that is set. What nobody limits is not asked for. Must never know a listener.
//!
//! Invariant 1: every figure is sampled at every look, whatever the others say, so that each average sees all there is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dormouse_runtime::{Handle, pressure, queue_delay};

use super::Settings;
use super::level::{Level, Rule};
use crate::sys::memory;

/// Microseconds between two questions for resident memory, at least.
const MEMORY_EVERY: u32 = 10_000;

/// All that are watched.
pub(super) struct Figures {
    /// What microseconds are counted from.
    epoch: Instant,
    /// Coroutines that could run.
    ready: Option<Gauge>,
    /// Coroutines that have not ended.
    live: Option<Gauge>,
    /// KiB.
    resident: Option<Gauge>,
    /// What was said of resident memory last.
    resident_last: LastAnswer,
    /// Microseconds.
    queue_delay: Option<Gauge>,
}

impl Figures {
    pub(super) fn new(settings: &Settings) -> Figures {
        let smoothed = settings.smoothing;
        Figures {
            epoch: Instant::now(),
            ready: settings.ready.map(|limit| Gauge::new(limit as f64, smoothed)),
            live: settings.live.map(|limit| Gauge::new(limit as f64, Duration::ZERO)),
            resident: settings.resident.map(|bytes| Gauge::new(bytes as f64 / 1024.0, Duration::ZERO)),
            resident_last: LastAnswer::default(),
            queue_delay: settings.queue_delay.map(|limit| Gauge::new(micros(limit), smoothed)),
        }
    }

    /// Looks at all of them (invariant 1), of this runtime or of the caller's.
    pub(super) fn are_too_high(&self, runtime: Option<&Handle>) -> bool {
        let now = self.epoch.elapsed().as_micros() as u32;
        let mut refuses = false;
        if self.ready.is_some() || self.live.is_some() {
            let pressure = runtime.map_or_else(pressure, Handle::pressure);
            refuses |= refuses_at(&self.ready, pressure.runnable as f64, now);
            refuses |= refuses_at(&self.live, pressure.live as f64, now);
        }
        if self.queue_delay.is_some() {
            let delay = runtime.map_or_else(queue_delay, Handle::queue_delay);
            refuses |= refuses_at(&self.queue_delay, micros(delay), now);
        }
        if self.resident.is_some() {
            refuses |= refuses_at(&self.resident, self.resident_last.kibibytes(now), now);
        }
        refuses
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn refuses_at(gauge: &Option<Gauge>, sample: f64, now: u32) -> bool {
    gauge.as_ref().is_some_and(|gauge| gauge.refuses(sample, now))
}

/// One figure with its limit.
struct Gauge {
    /// When it is too high.
    rule: Rule,
    /// A [`Level`].
    level: AtomicU64,
}

impl Gauge {
    fn new(limit: f64, smoothing: Duration) -> Gauge {
        Gauge { rule: Rule::new(limit, micros(smoothing)), level: AtomicU64::new(Level::default().to_bits()) }
    }

    fn refuses(&self, sample: f64, now: u32) -> bool {
        let after = |bits| self.rule.after(Level::from_bits(bits), sample, now);
        // ORDERING: Relaxed; one word that publishes nothing but itself. Its partner is itself, on other threads.
        let before = self.level.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| Some(after(bits).to_bits()));
        self.rule.refuses(before.map_or_else(Level::from_bits, after), sample)
    }
}

/// What the kernel said of resident memory, and when. One word: microseconds, modulo 2^32, above KiB.
#[derive(Default)]
struct LastAnswer(AtomicU64);

impl LastAnswer {
    /// Asks again if that is long ago. Without a descriptor left to ask with, the last answer stands.
    fn kibibytes(&self, now: u32) -> f64 {
        // ORDERING: Relaxed; pairs with the store below.
        let last = self.0.load(Ordering::Relaxed);
        if last != 0 && now.wrapping_sub((last >> 32) as u32) < MEMORY_EVERY {
            return f64::from(last as u32);
        }
        let Ok(bytes) = memory::resident_bytes() else {
            return f64::from(last as u32);
        };
        let kibibytes = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        // ORDERING: Relaxed; a word on its own. Of two that ask at the same time either may be the last.
        self.0.store(u64::from(now) << 32 | u64::from(kibibytes), Ordering::Relaxed);
        f64::from(kibibytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests of this process may give back much in between, but not each time.
    #[test]
    fn memory_is_asked_for_now_and_then() {
        let is_seen = || {
            let last = LastAnswer::default();
            let first = last.kibibytes(5);
            let more = std::hint::black_box(vec![1u8; 64 << 20]);
            assert_eq!(last.kibibytes(5 + MEMORY_EVERY - 1), first);
            let then = last.kibibytes(5 + MEMORY_EVERY);
            drop(more);
            then > first + 48.0 * 1024.0
        };
        assert!((0..20).any(|_| is_seen()));
    }

    #[test]
    fn a_gauge_remembers_from_sample_to_sample() {
        let gauge = Gauge::new(10.0, Duration::from_micros(100));
        assert!(!gauge.refuses(15.0, 1));
        assert!(gauge.refuses(15.0, 1000));
        assert!(gauge.refuses(8.0, 1001));
        assert!(!gauge.refuses(7.0, 1002), "there is room");
        assert!(gauge.refuses(8.0, 1003), "on average it is too high still");
        assert!(!gauge.refuses(5.0, 2000) && !gauge.refuses(10.0, 2001));
    }
}
