//! `--pairs`: two servers in turns, coroutine and epoll or, with `--scale`, many workers and one, and the ratios within
//! each pair, which what else the machine does at the time changes far less than the figures themselves.

use crate::client::Client;
use crate::failure::Failure;
use crate::limits::Allowance;
use crate::measure::{Harness, Phase, Subject};
use crate::options::{Model, Options};
use crate::procfs::Memory;
use crate::report::Measured;

/// One of the two servers.
struct Side {
    label: String,
    model: Model,
    workers: usize,
}

/// What a pair says: the first server's figure divided by the second's.
struct Ratio {
    cpu: f64,
    p99: f64,
}

/// A server with all its connections open.
struct Open {
    subject: Subject,
    client: Client,
    idle: Memory,
}

/// Runs the pairs, prints their ratios, and returns the row of each model with the median CPU per request of its phases.
pub(crate) fn run(pairs: usize, harness: &Harness, allowance: Allowance) -> Result<Vec<Measured>, Failure> {
    let options = &harness.options;
    let sides = sides(options);
    let both = 2 * options.conns <= allowance.connections;
    println!("{}", introduction(pairs, &sides, options, both, allowance));
    let mut kept = if both { Some(open_both(&sides, harness)?) } else { None };
    let (mut ratios, mut rows) = (Vec::new(), [Vec::new(), Vec::new()]);
    for pair in 0..pairs {
        let mut phases = [None, None];
        // Who comes first alternates, so that neither always has the warmer or the cooler core.
        for turn in 0..sides.len() {
            let side = (pair + turn) % sides.len();
            let (phase, row) = match &mut kept {
                Some(open) => open[side].phase(harness)?,
                None => Open::new(&sides[side], harness)?.phase(harness)?,
            };
            phases[side] = Some(phase);
            rows[side].push(row);
        }
        if let [Some(first), Some(second)] = phases {
            ratios.push(Ratio::of(pair, &first, &second));
        }
    }
    summary("CPU per request", ratios.iter().map(|ratio| ratio.cpu).collect());
    summary("p99", ratios.iter().map(|ratio| ratio.p99).collect());
    println!();
    Ok(rows.into_iter().filter_map(median_row).collect())
}

/// What is compared. Both run on the same cores.
fn sides(options: &Options) -> [Side; 2] {
    let side = |label: &str, model, workers| Side { label: label.into(), model, workers };
    let workers = options.workers;
    if options.scale {
        return [
            side(&format!("{workers} workers"), Model::Coroutine, workers),
            side("one worker", Model::Coroutine, 1),
        ];
    }
    [Model::Coroutine, Model::Epoll].map(|model| side(model.name(), model, workers))
}

impl Open {
    fn new(side: &Side, harness: &Harness) -> Result<Self, Failure> {
        let options = Options { workers: side.workers, ..harness.options.clone() };
        let mut subject = Subject::start_as(side.label.clone(), side.model, &options, &harness.server_cores)?;
        let client = subject.connect(&harness.options)?;
        let idle = subject.memory()?;
        Ok(Self { subject, client, idle })
    }

    fn phase(&mut self, harness: &Harness) -> Result<(Phase, Measured), Failure> {
        let phase = self.subject.load(&mut self.client, &harness.options)?;
        let row = self.subject.row(harness, &self.idle, &phase);
        Ok((phase, row))
    }
}

impl Ratio {
    /// Computes and prints the ratio of a pair.
    fn of(pair: usize, first: &Phase, second: &Phase) -> Self {
        let cpu = [first, second].map(Phase::cpu_per_request);
        let p99 = [first, second].map(|phase| phase.latency(0.99));
        let ratio = Self { cpu: cpu[0] / cpu[1], p99: p99[0] / p99[1] };
        println!(
            "pair {:>2}: CPU {:>6.0} / {:>6.0} ns per request = {:.3}, p99 {:>8.1} / {:>8.1} us = {:.3}",
            pair + 1,
            cpu[0],
            cpu[1],
            ratio.cpu,
            p99[0],
            p99[1],
            ratio.p99
        );
        ratio
    }
}

fn open_both([first, second]: &[Side; 2], harness: &Harness) -> Result<[Open; 2], Failure> {
    Ok([Open::new(first, harness)?, Open::new(second, harness)?])
}

fn introduction(
    pairs: usize,
    [first, second]: &[Side; 2],
    options: &Options,
    both: bool,
    allowance: Allowance,
) -> String {
    let (conns, active, size) = (options.conns, options.active(), options.size);
    let how = if both {
        "both servers stay connected".to_owned()
    } else {
        let most = allowance.connections / 2;
        format!("a fresh server and fresh connections each time; up to --conns {most} both could stay connected")
    };
    format!(
        "{pairs} pairs {} / {}, {conns} connections, {active} active, {size} bytes, workers: {} ({how})",
        first.label, second.label, options.workers
    )
}

fn summary(what: &str, mut ratios: Vec<f64>) {
    ratios.sort_by(f64::total_cmp);
    if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
        println!("{what}: median ratio {:.3}, from {least:.3} to {most:.3}", median(&ratios));
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// The whole row of the phase with the median CPU per request: its figures belong together.
fn median_row(mut rows: Vec<Measured>) -> Option<Measured> {
    rows.sort_by(|one, other| f64::total_cmp(&cpu(one), &cpu(other)));
    let middle = rows.len() / 2;
    rows.into_iter().nth(middle)
}

fn cpu(measured: &Measured) -> f64 {
    measured.row.cpu_ns_per_req.unwrap_or(f64::NAN)
}
