//! One watched figure: smoothed, and whether it is too high.
//!
//! Owns the arithmetic. Pure: the figure and the time are arguments. Must never know what the figure counts.
//!
//! The figure is smoothed by an exponential average over time, not over samples, since samples come with the connections: after a
//! pause as long as the smoothing time, what was before counts for a third. Overload begins when the smoothed figure passes the
//! limit, and ends when it is below three quarters of it, so that a figure close to the limit does not flicker.
//!
//! Two rules look at the figure itself, since an average comes late. Below three quarters of the limit nobody is turned away:
//! there is room, and a server that is idle because its average is not would waste it. And above twice the limit everybody is: a
//! burst within a moment, which no average has seen yet, is bounded.

/// The share of the limit below which there is room.
const LOW: f32 = 0.75;

/// How many times the limit is too much even for a moment.
const BURST: f32 = 2.0;

/// Microseconds by which threads may disagree on the time.
const DISAGREEMENT: u32 = 1 << 20;

/// When a figure is too high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rule {
    /// The highest that is not.
    limit: f32,
    /// Microseconds over which it is smoothed; zero for not at all.
    smoothing: f32,
}

impl Rule {
    /// As far as 24 bits can tell.
    pub(super) fn new(limit: f64, smoothing_micros: f64) -> Rule {
        Rule { limit: limit as f32, smoothing: smoothing_micros as f32 }
    }

    /// The level after another sample, at `now` in microseconds, modulo 2^32.
    pub(super) fn after(&self, before: Level, sample: f64, now: u32) -> Level {
        let elapsed = now.wrapping_sub(before.at);
        let (elapsed, at) = if elapsed > u32::MAX - DISAGREEMENT { (0, before.at) } else { (elapsed, now) };
        let weight = match self.smoothing {
            0.0 => 1.0,
            smoothing => 1.0 - (-(elapsed as f32) / smoothing).exp(),
        };
        let value = before.value + weight * (sample as f32 - before.value);
        let is_over = value > if before.is_over { self.low() } else { self.limit };
        Level { value, at, is_over }
    }

    /// Whether one more is too many.
    pub(super) fn refuses(&self, level: Level, sample: f64) -> bool {
        let sample = sample as f32;
        level.is_over && sample > self.low() || sample > self.limit * BURST
    }

    fn low(&self) -> f32 {
        self.limit * LOW
    }
}

/// How high a figure is. One word:
///
/// ```text
///   63         62            32 31          0
///   is_over    value, as f32    microseconds
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Level {
    /// Smoothed; not negative, so that its sign is free.
    value: f32,
    /// When the last sample was taken, in microseconds, modulo 2^32.
    at: u32,
    /// Whether it is too high.
    is_over: bool,
}

impl Level {
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.is_over) << 63 | u64::from(self.value.to_bits()) << 32 | u64::from(self.at)
    }

    pub(super) fn from_bits(bits: u64) -> Level {
        let value = f32::from_bits((bits >> 32) as u32 & (u32::MAX >> 1));
        Level { value, at: bits as u32, is_over: bits >> 63 == 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A second in microseconds.
    const SECOND: u32 = 1_000_000;

    #[test]
    fn overload_begins_above_the_limit_and_ends_well_below_it() {
        let rule = Rule::new(100.0, 0.0);
        let level = |before, sample| rule.after(before, sample, 1);
        let calm = level(Level::default(), 100.0);
        assert!(!calm.is_over && !rule.refuses(calm, 100.0));
        let over = level(calm, 101.0);
        assert!(over.is_over && rule.refuses(over, 101.0));
        let still = level(over, 76.0);
        assert!(still.is_over && rule.refuses(still, 76.0));
        assert!(!level(still, 75.0).is_over);
    }

    #[test]
    fn after_the_smoothing_time_two_thirds_are_there() {
        let rule = Rule::new(100.0, f64::from(SECOND));
        let level = rule.after(Level { at: 5, ..Level::default() }, 90.0, 5 + SECOND);
        assert!((56.0..58.0).contains(&level.value), "{level:?}");
        assert!((89.9..=90.0).contains(&rule.after(level, 90.0, 5 + 9 * SECOND).value));
    }

    #[test]
    fn a_moment_is_smoothed_away_unless_it_is_twice_the_limit() {
        let rule = Rule::new(100.0, f64::from(SECOND));
        let level = rule.after(Level::default(), 199.0, 100);
        assert!(!level.is_over && !rule.refuses(level, 199.0));
        assert!(rule.refuses(level, 201.0));
    }

    #[test]
    fn there_is_room_although_the_average_is_high() {
        let rule = Rule::new(100.0, f64::from(SECOND));
        let high = rule.after(Level::default(), 1000.0, 9 * SECOND);
        let now = rule.after(high, 75.0, 9 * SECOND + 1);
        assert!(now.is_over && !rule.refuses(now, 75.0) && rule.refuses(now, 76.0));
    }

    #[test]
    fn a_thread_whose_clock_was_read_earlier_changes_no_time() {
        let rule = Rule::new(100.0, 1000.0);
        let level = rule.after(Level::default(), 50.0, SECOND);
        assert_eq!(rule.after(level, 80.0, SECOND - 10), level);
        // Long after, modulo 2^32, it is a later one.
        assert!(rule.after(level, 80.0, SECOND.wrapping_sub(2 * DISAGREEMENT)).value > 79.0);
    }

    proptest! {
        #[test]
        fn a_level_is_one_word(value in 0f32..1e30, at in any::<u32>(), is_over in any::<bool>()) {
            let level = Level { value, at, is_over };
            prop_assert_eq!(Level::from_bits(level.to_bits()), level);
        }

        /// Against the integral that the average is: of each sample, held since the one before, as much as time has left of it.
        #[test]
        fn it_is_the_exponential_average(
            samples in prop::collection::vec((0..1000u32, 0..3000u32), 1..100),
            smoothing in 1..2000u32,
            start in any::<u32>(),
        ) {
            let (rule, tau) = (Rule::new(1.0, f64::from(smoothing)), f64::from(smoothing));
            let mut level = Level { at: start, ..Level::default() };
            let (mut times, mut at) = (vec![0u64], 0u64);
            for (sample, gap) in &samples {
                at += u64::from(*gap);
                times.push(at);
                level = rule.after(level, f64::from(*sample), start.wrapping_add(at as u32));
            }
            let left = |since: u64| (-((at - since) as f64) / tau).exp();
            let parts = samples.iter().enumerate().map(|(n, (sample, _))| {
                f64::from(*sample) * (left(times[n + 1]) - left(times[n]))
            });
            let expected = parts.sum::<f64>();
            prop_assert!((f64::from(level.value) - expected).abs() <= 0.01 + expected * 1e-3, "{level:?} {expected}");
        }

        /// The average stays between the least and the most that was sampled, and so does the answer: below the low mark nobody is
        /// refused, and once all samples are above the limit for long, everybody is.
        #[test]
        fn what_is_refused_was_too_much(samples in prop::collection::vec((0..300u32, 1..5000u32), 1..100)) {
            let rule = Rule::new(100.0, 1000.0);
            let (mut level, mut at) = (Level::default(), 0u32);
            let most = samples.iter().map(|(sample, _)| *sample).max().unwrap();
            for (sample, gap) in samples {
                at += gap;
                let before = level;
                level = rule.after(level, f64::from(sample), at);
                prop_assert!(level.value <= most as f32 + 0.1);
                prop_assert!(!rule.refuses(level, f64::from(sample)) || sample > 75);
                prop_assert!(sample <= 200 || rule.refuses(level, f64::from(sample)));
                let began = level.is_over && !before.is_over;
                let ended = before.is_over && !level.is_over;
                prop_assert!(!began || level.value > 100.0);
                prop_assert!(!ended || level.value <= 75.0);
            }
            let late = rule.after(level, 101.0, at + 100_000);
            prop_assert!(late.is_over && rule.refuses(late, 101.0));
        }
    }
}
