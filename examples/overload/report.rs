//! The tables, and whether they say what the documentation does.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use crate::options::Kind;
use crate::overload::Row;
use crate::slow::{Measured, Place, Series};

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

/// A quantile of one measurement in microseconds.
type Time = fn(&Measured, f64) -> f64;

const TIMES: [(&str, Time); 2] = [("wire", on_the_wire), ("seen", as_seen)];

fn on_the_wire(measured: &Measured, quantile: f64) -> f64 {
    measured.latencies.wire.value_at_quantile(quantile) as f64 / 1e3
}

fn as_seen(measured: &Measured, quantile: f64) -> f64 {
    measured.latencies.seen.value_at_quantile(quantile) as f64 / 1e3
}

pub(crate) fn slow(all: &[Series]) -> String {
    let mut text = String::from("microseconds, medians of the rounds, alone, beside and among slow clients; ratios, with their quartiles:\n");
    text += "server     time  quantile    alone   beside    among   beside/alone         among/beside\n";
    for Series { kind, rounds } in all {
        for (name, time) in TIMES {
            for quantile in [0.5, 0.9, 0.99, 0.999] {
                let of = |place: Place| median(rounds.iter().map(|round| time(&round[place as usize], quantile)));
                let ratio = |above: Place, below: Place| {
                    spread(rounds.iter().map(|round| {
                        time(&round[above as usize], quantile) / time(&round[below as usize], quantile)
                    }))
                };
                let [alone, beside, among] = [Place::Alone, Place::Beside, Place::Among].map(of);
                let _ = writeln!(
                    text,
                    "{:<10} {name}  p{:<7} {alone:>8.1} {beside:>8.1} {among:>8.1}   {}   {}",
                    kind.name(),
                    100.0 * quantile,
                    ratio(Place::Beside, Place::Alone),
                    ratio(Place::Among, Place::Beside),
                );
            }
        }
        let share = |share: fn(&Measured) -> f64| {
            let of = |place: Place| 100.0 * median(rounds.iter().map(|round| share(&round[place as usize])));
            [Place::Alone, Place::Beside, Place::Among].map(of)
        };
        let [alone, beside, among] = share(|measured| measured.busy);
        let _ = writeln!(text, "{:<10} busy  {:<8} {alone:>7.1}% {beside:>7.1}% {among:>7.1}%", kind.name(), "");
        let [alone, beside, among] = share(|measured| measured.disturbed);
        let _ = writeln!(text, "{:<10} disturbed  {:<3} {alone:>7.1}% {beside:>7.1}% {among:>7.1}%", kind.name(), "");
    }
    text
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// Median and quartiles.
fn spread(values: impl Iterator<Item = f64>) -> String {
    let values = sorted(values);
    let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
    format!("{:.2} ({:.2} to {:.2})", median(values.iter().copied()), at(1), at(3))
}

/// As `check_overload`.
pub(crate) fn check_slow(all: &[Series]) -> io::Result<()> {
    for Series { kind, rounds } in all {
        let cut_off = rounds.iter().filter(|round| round[Place::Among as usize].cut_off > 0).count();
        let expected = if *kind == Kind::Impatient { rounds.len() } else { 0 };
        if cut_off != expected {
            let what = format!("{}: slow clients cut off in {cut_off} rounds, not {expected}", kind.name());
            return Err(io::Error::other(what));
        }
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
