//! The monotonic clock, as nanoseconds since an epoch of the caller's own.
//!
//! Owns the conversion between `Instant` and the `u64` nanoseconds that the timer wheel counts in, and the sleep of a plain
//! thread. Reading costs about 22 ns (vDSO), so nobody reads it once per resume.
//!
//! Invariant 1: a conversion never makes a deadline earlier than the instant it came from.

use super::epoll::timespec;
use std::time::{Duration, Instant};

/// Where a worker's nanoseconds start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The instant that counts as zero.
    epoch: Instant,
}

impl Clock {
    /// Starts counting now.
    pub(crate) fn start() -> Clock {
        Clock { epoch: Instant::now() }
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now(&self) -> u64 {
        self.nanos(Instant::now())
    }

    /// `at` in nanoseconds since the epoch; 0 if before it, `u64::MAX` (never) if 584 years past it.
    pub(crate) fn nanos(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The instant `after` from now; `None`, meaning never, if the clock cannot hold it.
pub(crate) fn deadline(after: Duration) -> Option<Instant> {
    Instant::now().checked_add(after)
}

/// Blocks the thread until `deadline`. clock_nanosleep(2).
///
/// To a point in time, since a relative sleep that begins anew after each signal comes to no end when signals come thick and
/// fast: what is left of it is not less by then.
pub(crate) fn sleep_until(deadline: Instant) {
    let until = timespec(monotonic_from(deadline));
    // SAFETY: reads one timespec; the time left is not asked for.
    let sleep = || unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const until, std::ptr::null_mut())
    };
    let mut slept = libc::EINTR;
    while slept == libc::EINTR {
        slept = sleep();
    }
    assert_eq!(slept, 0, "clock_nanosleep fails only when misused");
}

/// `at` on the kernel's monotonic clock, which is the one of `Instant`. Invariant 1: that clock is read last.
fn monotonic_from(at: Instant) -> Duration {
    let left = at.saturating_duration_since(Instant::now());
    let mut now = timespec(Duration::ZERO);
    // SAFETY: writes one timespec. This clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32).saturating_add(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_keep_every_nanosecond() {
        let clock = Clock::start();
        let at = clock.epoch + Duration::new(3, 7);
        assert_eq!(clock.nanos(at), 3_000_000_007);
    }

    #[test]
    fn before_the_epoch_is_zero_and_overflow_is_never() {
        let clock = Clock::start();
        assert!(clock.epoch.checked_sub(Duration::from_secs(1)).is_none_or(|at| clock.nanos(at) == 0));
        assert_eq!(deadline(Duration::MAX), None);
    }
}
