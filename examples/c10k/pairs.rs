//! `--pairs`: coroutine and epoll in turns, and the ratios within each pair, which what else the machine does at the time
//! changes far less than the figures themselves.

use crate::client::Client;
use crate::failure::Failure;
use crate::limits::Allowance;
use crate::measure::{Harness, Phase, Subject};
use crate::options::{Model, Options};
use crate::procfs::Memory;
use crate::report::Measured;

const MODELS: [Model; 2] = [Model::Coroutine, Model::Epoll];

/// What a pair says: the coroutine server's figure divided by the epoll server's.
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
    let both = 2 * options.conns <= allowance.connections;
    println!("{}", introduction(pairs, options, both, allowance));
    let mut kept = if both { Some(open_both(harness)?) } else { None };
    let (mut ratios, mut rows) = (Vec::new(), [Vec::new(), Vec::new()]);
    for pair in 0..pairs {
        let mut phases = [None, None];
        // Who comes first alternates, so that neither always has the warmer or the cooler core.
        for turn in 0..MODELS.len() {
            let side = (pair + turn) % MODELS.len();
            let (phase, row) = match &mut kept {
                Some(open) => open[side].phase(harness)?,
                None => Open::new(MODELS[side], harness)?.phase(harness)?,
            };
            phases[side] = Some(phase);
            rows[side].push(row);
        }
        if let [Some(coroutine), Some(epoll)] = phases {
            ratios.push(Ratio::of(pair, &coroutine, &epoll));
        }
    }
    summary("CPU per request", ratios.iter().map(|ratio| ratio.cpu).collect());
    summary("p99", ratios.iter().map(|ratio| ratio.p99).collect());
    println!();
    Ok(rows.into_iter().filter_map(median_row).collect())
}

impl Open {
    fn new(model: Model, harness: &Harness) -> Result<Self, Failure> {
        let mut subject = Subject::start(model, harness)?;
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
    fn of(pair: usize, coroutine: &Phase, epoll: &Phase) -> Self {
        let cpu = [coroutine, epoll].map(Phase::cpu_per_request);
        let p99 = [coroutine, epoll].map(|phase| phase.latency(0.99));
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

fn open_both(harness: &Harness) -> Result<[Open; 2], Failure> {
    let [first, second] = MODELS;
    Ok([Open::new(first, harness)?, Open::new(second, harness)?])
}

fn introduction(pairs: usize, options: &Options, both: bool, allowance: Allowance) -> String {
    let (conns, active, size) = (options.conns, options.active(), options.size);
    let how = if both {
        "both servers stay connected".to_owned()
    } else {
        let most = allowance.connections / 2;
        format!("a fresh server and fresh connections each time; up to --conns {most} both could stay connected")
    };
    format!(
        "{pairs} pairs coroutine / epoll, {conns} connections, {active} active, {size} bytes, workers: {} ({how})",
        options.workers
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
