//! The tables, and whether they say what the documentation does.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use crate::options::{Kind, Options, Policy};
use crate::overload::{Loaded, Round};
use crate::slow::{self, Measured, Place, Series};

pub(crate) fn overload(rounds: &[Round], options: &Options) -> String {
    let capacity = spread(rounds.iter().map(|round| round.capacity), 0);
    let mut text =
        format!("medians of {} rounds, with their quartiles; capacity: {capacity} answers/s\n", rounds.len());
    text += "server      load  answered, % of capacity   p50, ms              p99, ms         p99, of unloaded  \
             refused/s  gave up/s    busy  disturbed\n";
    let mut line = |name: &str, load: f64, of: &dyn Fn(&Round) -> Option<&Loaded>| {
        let all: Vec<_> = rounds.iter().filter_map(|round| of(round).map(|loaded| (round, loaded))).collect();
        if !all.is_empty() {
            text += &loaded_line(name, load, &all);
        }
    };
    line("everybody", options.unloaded, &|round| Some(&round.unloaded));
    line("everybody", options.overload, &|round| round.collapse.as_ref());
    for (index, policy) in options.policies.iter().enumerate() {
        line(policy.name(), options.overload, &|round| round.admitting.get(index).map(|(_, loaded)| loaded));
    }
    text
}

/// What one server did under one load, in all rounds.
fn loaded_line(name: &str, load: f64, all: &[(&Round, &Loaded)]) -> String {
    let spread = |figure: &dyn Fn(&Round, &Loaded) -> f64, places| {
        spread(all.iter().map(|(round, loaded)| figure(round, loaded)), places)
    };
    let median = |figure: &dyn Fn(&Loaded) -> f64| median(all.iter().map(|(_, loaded)| figure(loaded)));
    let per_second = |loaded: &Loaded, count: u64| count as f64 / loaded.outcome.measured.as_secs_f64();
    format!(
        "{name:<10} {load:>4.1}x  {:>23}   {:>7.2} {:>20} {:>24}  {:>9.0}  {:>9.0}  {:>5.1}%  {:>8.1}%\n",
        spread(&share, 1),
        median(&|loaded| millis(loaded.outcome.latency(0.5))),
        spread(&|_, loaded| millis(loaded.outcome.latency(0.99)), 1),
        spread(&tail, 2),
        median(&|loaded| per_second(loaded, loaded.outcome.refused)),
        median(&|loaded| per_second(loaded, loaded.outcome.gave_up)),
        median(&|loaded| 100.0 * loaded.busy),
        median(&|loaded| 100.0 * loaded.disturbed),
    )
}

/// Percent of the capacity.
fn share(round: &Round, loaded: &Loaded) -> f64 {
    100.0 * loaded.outcome.goodput() / round.capacity
}

/// Times the unloaded p99.
fn tail(round: &Round, loaded: &Loaded) -> f64 {
    millis(loaded.outcome.latency(0.99)) / millis(round.unloaded.outcome.latency(0.99))
}

/// Looser than what is documented, for machines that do something else meanwhile: a server that collapses answers nobody, or
/// everybody when they have nearly lost their patience.
pub(crate) fn check_overload(rounds: &[Round]) -> io::Result<()> {
    let without = median(rounds.iter().filter_map(|round| round.collapse.as_ref().map(|loaded| share(round, loaded))));
    let of_refusing = |figure: fn(&Round, &Loaded) -> f64| {
        let all =
            rounds.iter().flat_map(|round| round.admitting.iter().map(move |(policy, loaded)| (round, policy, loaded)));
        median(all.filter(|(_, policy, _)| **policy == Policy::Refuse).map(|(round, _, loaded)| figure(round, loaded)))
    };
    let (with, tail) = (of_refusing(share), of_refusing(tail));
    if with >= 70.0 && without <= 50.0 && tail <= 10.0 {
        return Ok(());
    }
    let what = format!("{with:.0} % of capacity with admission, {without:.0} % without; p99 {tail:.1} times as long");
    Err(io::Error::other(what))
}

/// A quantile of one measurement in microseconds.
type Time = fn(&Measured, f64) -> f64;

const TIMES: [(&str, Time); 2] = [("wire", on_the_wire), ("seen", as_seen)];

/// A share of the time of one measurement.
type Share = fn(&Measured) -> f64;

const SHARES: [(&str, Share); 2] = [("busy", |measured| measured.busy), ("disturbed", |measured| measured.disturbed)];

const BESIDE_TO_ALONE: (Place, Place) = (Place::Beside, Place::Alone);
const AMONG_TO_BESIDE: (Place, Place) = (Place::Among, Place::Beside);
const AMONG_TO_ALONE: (Place, Place) = (Place::Among, Place::Alone);

fn on_the_wire(measured: &Measured, quantile: f64) -> f64 {
    measured.latencies.wire.value_at_quantile(quantile) as f64 / 1e3
}

fn as_seen(measured: &Measured, quantile: f64) -> f64 {
    measured.latencies.seen.value_at_quantile(quantile) as f64 / 1e3
}

pub(crate) fn slow(all: &[Series]) -> String {
    let mut text = String::from(
        "microseconds, medians of the rounds, alone, beside and among slow clients; ratios, with their quartiles:\n\
         server     time  quantile    alone   beside    among   beside/alone         among/beside         among/alone\n",
    );
    for Series { kind, rounds } in all {
        let name = kind.name();
        for (what, time) in TIMES {
            for quantile in [0.5, 0.9, 0.99, 0.999] {
                let [alone, beside, among] = medians(rounds, |measured| time(measured, quantile));
                let [first, second, third] = [BESIDE_TO_ALONE, AMONG_TO_BESIDE, AMONG_TO_ALONE]
                    .map(|places| spread(ratios(rounds, places, |measured| time(measured, quantile)), 2));
                let percent = 100.0 * quantile;
                let _ = writeln!(
                    text,
                    "{name:<10} {what}  p{percent:<7} {alone:>8.1} {beside:>8.1} {among:>8.1}   {first:<20} {second:<20} {third}"
                );
            }
        }
        for (what, share) in SHARES {
            let [alone, beside, among] = medians(rounds, |measured| 100.0 * share(measured));
            let _ = writeln!(text, "{name:<10} {what:<14} {alone:>7.1}% {beside:>7.1}% {among:>7.1}%");
        }
    }
    text
}

/// By [`Place`].
fn medians(rounds: &[slow::Round], figure: impl Fn(&Measured) -> f64) -> [f64; 3] {
    [Place::Alone, Place::Beside, Place::Among]
        .map(|place| median(rounds.iter().map(|round| figure(&round[place as usize]))))
}

/// Of each round, the figure in the first of these places to that in the second.
fn ratios(
    rounds: &[slow::Round],
    (above, below): (Place, Place),
    figure: impl Fn(&Measured) -> f64,
) -> impl Iterator<Item = f64> {
    rounds.iter().map(move |round| figure(&round[above as usize]) / figure(&round[below as usize]))
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Not a number, if there are none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    if values.is_empty() {
        return f64::NAN;
    }
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// Median and quartiles.
fn spread(values: impl Iterator<Item = f64>, places: usize) -> String {
    let values = sorted(values);
    let last = values.len().saturating_sub(1);
    let (low, high) = (values[last / 4], values[(3 * last).div_ceil(4)]);
    format!("{:.places$} ({low:.places$} to {high:.places$})", median(values.iter().copied()))
}

/// Of the median only: the p99 of a second is the machine's as much as the server's, and needs many rounds.
pub(crate) fn check_slow(all: &[Series]) -> io::Result<()> {
    for Series { kind, rounds } in all {
        let cut_off = rounds.iter().filter(|round| round[Place::Among as usize].cut_off > 0).count();
        let expected = if *kind == Kind::Impatient { rounds.len() } else { 0 };
        if cut_off != expected {
            let what = format!("{}: slow clients cut off in {cut_off} rounds, not {expected}", kind.name());
            return Err(io::Error::other(what));
        }
        let moved = median(ratios(rounds, AMONG_TO_BESIDE, |measured| on_the_wire(measured, 0.5)));
        if moved > 2.0 {
            let what = format!("{}: the median is {moved:.1} times as long among slow clients", kind.name());
            return Err(io::Error::other(what));
        }
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
