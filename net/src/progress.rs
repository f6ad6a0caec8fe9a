//! How slow a peer may be: at least so many bytes in so much time spent waiting for it.
//!
//! Owns the arithmetic and the words that the handles of one stream share. Pure: how long a wait took is an argument. Must never
//! know a socket.
//!
//! Only time that a call of ours waits counts. A peer that sends while nobody reads, or reads while nobody writes, is not slow; a
//! deadline of the wall clock would blame it for our own work.
//!
//! Invariant 1: a [`Progress`] is one word, so that two coroutines that wait at the same time lose nothing of each other's.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dormouse_runtime::wait::Interest;

/// How long a window is unless the user says otherwise.
const WINDOW: Duration = Duration::from_secs(10);

/// The slowest that a peer may be: so many bytes for each window of time that is spent waiting for it.
///
/// Whatever the peer moves counts, also in one go: each time the number of bytes is reached a new window begins, and nothing is
/// saved up for later. Time in which nobody waits for the peer does not count.
///
/// # Examples
///
/// ```
/// use dormouse_net::MinRate;
/// use std::time::Duration;
///
/// let rate = MinRate::bytes_per_second(500).over(Duration::from_secs(4));
/// assert_eq!((rate.bytes(), rate.window()), (2000, Duration::from_secs(4)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MinRate {
    /// As the user gave it.
    bytes_per_second: u32,
    /// Not zero, and below 72 minutes.
    window: Duration,
}

impl MinRate {
    /// So many bytes a second, over windows of ten seconds. A rate of zero asks for one byte a window.
    #[must_use]
    pub const fn bytes_per_second(bytes: u32) -> MinRate {
        MinRate { bytes_per_second: bytes, window: WINDOW }
    }

    /// The same rate, over windows of this length: a peer may be silent for so long, and if it is, owes all the bytes of a window
    /// at its end. Rounded up to a microsecond; longer ones than 71 minutes are cut to that.
    ///
    /// # Panics
    ///
    /// Panics if it is zero.
    #[must_use]
    pub fn over(self, window: Duration) -> MinRate {
        assert!(!window.is_zero(), "a window of no time");
        MinRate { window, ..self }
    }

    /// How many bytes each window asks for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = u128::from(self.bytes_per_second) * self.window().as_micros() / 1_000_000;
        (bytes as u64).clamp(1, u64::from(u32::MAX))
    }

    /// How long a window is.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_micros(u64::from(micros(self.window.saturating_add(Duration::from_nanos(999)))))
    }
}

impl fmt::Debug for MinRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in {:?}", self.bytes(), self.window())
    }
}

/// Whole microseconds, as many as fit.
fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// What one window asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Demand {
    /// Not zero.
    bytes: u32,
    /// Microseconds, not zero.
    window: u32,
}

impl Demand {
    fn of(rate: MinRate) -> Demand {
        Demand { bytes: rate.bytes() as u32, window: micros(rate.window()) }
    }

    fn to_bits(demand: Option<Demand>) -> u64 {
        demand.map_or(0, |demand| u64::from(demand.bytes) << 32 | u64::from(demand.window))
    }

    fn from_bits(bits: u64) -> Option<Demand> {
        (bits != 0).then_some(Demand { bytes: (bits >> 32) as u32, window: bits as u32 })
    }
}

/// How far a window has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// Bytes moved in it, fewer than it asks for.
    moved: u32,
    /// Microseconds waited in it.
    waited: u32,
}

impl Progress {
    fn to_bits(self) -> u64 {
        u64::from(self.moved) << 32 | u64::from(self.waited)
    }

    fn from_bits(bits: u64) -> Progress {
        Progress { moved: (bits >> 32) as u32, waited: bits as u32 }
    }

    /// So many bytes more: what is asked for begins a new window.
    fn moved(self, bytes: usize, demand: Demand) -> Progress {
        let moved = self.moved.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if moved >= demand.bytes { Progress::default() } else { Progress { moved, ..self } }
    }

    /// So much more time.
    fn waited(self, micros: u32) -> Progress {
        Progress { waited: self.waited.saturating_add(micros), ..self }
    }

    /// How much longer the window is.
    fn left(self, demand: Demand) -> Duration {
        Duration::from_micros(u64::from(demand.window.saturating_sub(self.waited)))
    }
}

/// One direction of a stream. Its words publish nothing but themselves.
#[derive(Debug, Default)]
struct Direction {
    /// [`Demand`]; zero for none.
    demand: AtomicU64,
    /// [`Progress`].
    progress: AtomicU64,
}

impl Direction {
    fn set(&self, rate: Option<MinRate>) {
        // ORDERING: Relaxed; a value on its own, read in `demand`.
        self.demand.store(Demand::to_bits(rate.map(Demand::of)), Ordering::Relaxed);
        // ORDERING: Relaxed; a window begins. Who waits already may yet add to it.
        self.progress.store(0, Ordering::Relaxed);
    }

    fn demand(&self) -> Option<Demand> {
        // ORDERING: Relaxed; pairs with the store in `set`.
        Demand::from_bits(self.demand.load(Ordering::Relaxed))
    }

    fn change(&self, change: impl Fn(Progress) -> Progress) {
        let change = |bits| Some(change(Progress::from_bits(bits)).to_bits());
        // ORDERING: Relaxed; a value on its own, changed as a whole here and in `set`.
        let _ = self.progress.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }
}

/// How slow the peer of one stream may be in either direction, and how slow it is.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// What comes from it.
    reads: Direction,
    /// What goes to it.
    writes: Direction,
}

impl Patience {
    fn direction(&self, interest: Interest) -> &Direction {
        match interest {
            Interest::Read | Interest::Accept => &self.reads,
            Interest::Write => &self.writes,
        }
    }

    /// A window begins.
    pub(crate) fn set(&self, interest: Interest, rate: Option<MinRate>) {
        self.direction(interest).set(rate);
    }

    /// How much longer a call may wait; `None` where the peer may be as slow as it likes.
    pub(crate) fn left(&self, interest: Interest) -> Option<Duration> {
        let direction = self.direction(interest);
        // ORDERING: Relaxed; pairs with `change`.
        let progress = Progress::from_bits(direction.progress.load(Ordering::Relaxed));
        direction.demand().map(|demand| progress.left(demand))
    }

    /// A call has moved so many bytes.
    pub(crate) fn moved(&self, interest: Interest, bytes: usize) {
        let direction = self.direction(interest);
        if let Some(demand) = direction.demand() {
            direction.change(|progress| progress.moved(bytes, demand));
        }
    }

    /// A call has waited for so long.
    pub(crate) fn waited(&self, interest: Interest, time: Duration) {
        self.direction(interest).change(|progress| progress.waited(micros(time)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_have_at_least_a_byte_a_window_and_at_most_what_fits() {
        assert_eq!(MinRate::bytes_per_second(0).bytes(), 1);
        assert_eq!(MinRate::bytes_per_second(3).over(Duration::from_millis(100)).bytes(), 1);
        let longest = MinRate::bytes_per_second(u32::MAX).over(Duration::MAX);
        assert_eq!(longest.bytes(), u64::from(u32::MAX));
        assert_eq!(longest.window(), Duration::from_micros(u64::from(u32::MAX)));
        assert_eq!(MinRate::bytes_per_second(1).over(Duration::from_nanos(1)).window(), Duration::from_micros(1));
    }

    #[test]
    fn directions_are_apart_and_a_new_rate_begins_anew() {
        let (patience, rate) = (Patience::default(), MinRate::bytes_per_second(10).over(Duration::from_secs(1)));
        assert_eq!(patience.left(Interest::Read), None);
        patience.set(Interest::Read, Some(rate));
        patience.waited(Interest::Read, Duration::from_millis(400));
        patience.moved(Interest::Write, 100);
        assert_eq!(patience.left(Interest::Read), Some(Duration::from_millis(600)));
        assert_eq!(patience.left(Interest::Write), None);
        patience.set(Interest::Read, Some(rate));
        assert_eq!(patience.left(Interest::Read), Some(Duration::from_secs(1)));
    }

    proptest! {
        /// Against a list of what happened since the window began.
        #[test]
        fn it_is_what_happened_since_the_last_time_enough_was_moved(
            rate in 1..200u32,
            window in 1..5_000u32,
            events in prop::collection::vec((any::<bool>(), 0..400u32), 0..100),
        ) {
            let rate = MinRate::bytes_per_second(rate * 1000).over(Duration::from_micros(u64::from(window)));
            let patience = Patience::default();
            patience.set(Interest::Read, Some(rate));
            let mut since: Vec<(bool, u32)> = Vec::new();
            for (moves, amount) in events {
                match moves {
                    true => patience.moved(Interest::Read, amount as usize),
                    false => patience.waited(Interest::Read, Duration::from_micros(u64::from(amount))),
                }
                since.push((moves, amount));
                let sum = |kind| since.iter().filter(|(moves, _)| *moves == kind).map(|(_, n)| u64::from(*n)).sum::<u64>();
                if sum(true) >= rate.bytes() {
                    since.clear();
                }
                let sum = since.iter().filter(|(moves, _)| !moves).map(|(_, n)| u64::from(*n)).sum::<u64>();
                let left = u64::from(window).saturating_sub(sum);
                prop_assert_eq!(patience.left(Interest::Read), Some(Duration::from_micros(left)));
            }
        }
    }
}
