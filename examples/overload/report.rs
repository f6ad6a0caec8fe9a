//! The tables, and whether they say what the documentation does.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::options::Kind;
use crate::overload::Row;
use crate::slow::Pair;

pub(crate) fn overload(rows: &[Row], capacity: f64) -> String {
    let mut text = String::from(
        "server       load  offered/s  answers/s  of capacity   refused/s  gave up/s      p50 ms      p99 ms      max ms  disturbed\n",
    );
    for Row { kind, load, outcome, disturbed } in rows {
        let per_second = |count: u64| count as f64 / outcome.measured.as_secs_f64();
        let (came, goodput) = (per_second(outcome.came), outcome.goodput());
        let (refused, gave_up) = (per_second(outcome.refused), per_second(outcome.gave_up));
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|quantile| millis(outcome.latency(quantile)));
        let share = 100.0 * goodput / capacity;
        let name = kind.name();
        let _ = writeln!(
            text,
            "{name:<10} {load:>5.1}x {came:>10.0} {goodput:>10.0} {share:>11.1}% {refused:>11.0} {gave_up:>10.0} {p50:>11.2} {p99:>11.2} {max:>11.2} {:>9.1}%",
            100.0 * disturbed,
        );
    }
    if let (Some(calm), Some(with), Some(without)) = (rows.first(), rows.last(), rows.get(rows.len() - 2)) {
        let (calm, p99) = (millis(calm.outcome.latency(0.99)), millis(with.outcome.latency(0.99)));
        let _ = writeln!(
            text,
            "with admission: {:.1}% of capacity, p99 {:.2} times the unloaded one; without: {:.1}% of capacity",
            100.0 * with.outcome.goodput() / capacity,
            p99 / calm,
            100.0 * without.outcome.goodput() / capacity,
        );
    }
    text
}

/// Looser than what is documented, for machines that do something else meanwhile.
pub(crate) fn check_overload(rows: &[Row], capacity: f64) -> io::Result<()> {
    let of = |kind| rows.iter().rfind(|row| row.kind == kind).map_or(0.0, |row| row.outcome.goodput());
    let (with, without) = (of(Kind::Admission), of(Kind::Everybody));
    if with < 0.7 * capacity || without > 0.5 * capacity {
        let what = format!("{with:.0} answers/s with admission and {without:.0} without, of {capacity:.0}");
        return Err(io::Error::other(what));
    }
    Ok(())
}

pub(crate) fn slow(server: &str, pairs: &[Pair]) -> String {
    let mut text = format!("{server}; microseconds, alone and among slow clients:\n");
    text += "  pair        p50                  p90                  p99         p90 ratio  p99 ratio   cut off\n";
    for (n, pair) in pairs.iter().enumerate() {
        row(&mut text, &(n + 1).to_string(), &pair.alone, &pair.among_slow, pair.cut_off);
    }
    if let Some((alone, among_slow)) = together(pairs) {
        row(&mut text, "all", &alone, &among_slow, pairs.iter().map(|pair| pair.cut_off).sum());
    }
    text
}

fn row(text: &mut String, name: &str, alone: &Histogram<u64>, among_slow: &Histogram<u64>, cut_off: usize) {
    let at = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    let both = |quantile| (at(alone, quantile), at(among_slow, quantile));
    let _ = write!(text, "  {name:<4}");
    for (alone, among_slow) in [0.5, 0.9, 0.99].map(both) {
        let _ = write!(text, " {alone:>9.1} {among_slow:>9.1} ");
    }
    let [p90, p99] = [0.9, 0.99].map(|quantile| at(among_slow, quantile) / at(alone, quantile));
    let _ = writeln!(text, " {p90:>9.2} {p99:>10.2} {cut_off:>9}");
}

/// All pairs as one.
fn together(pairs: &[Pair]) -> Option<(Histogram<u64>, Histogram<u64>)> {
    let (mut alone, mut among_slow) = pairs.first().map(|pair| (pair.alone.clone(), pair.among_slow.clone()))?;
    for pair in &pairs[1..] {
        alone.add(&pair.alone).ok()?;
        among_slow.add(&pair.among_slow).ok()?;
    }
    Some((alone, among_slow))
}

/// As `check_overload`.
pub(crate) fn check_slow(patient: &[Pair], impatient: &[Pair]) -> io::Result<()> {
    let is_cut = |pair: &Pair| pair.cut_off > 0;
    if patient.iter().any(is_cut) || !impatient.iter().all(is_cut) {
        return Err(io::Error::other("slow clients are cut off by the one who waits, or not by the other"));
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
