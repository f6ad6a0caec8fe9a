//! What does a connection cost? Measures dormouse's one coroutine per client beside one thread per client and beside a
//! hand-written epoll loop, with one load generator for all.
//!
//! `cargo run --release --example c10k` runs everything; `-- --help` lists the options.
//!
//! `options` says what; `limits` whether it can be; `measure` runs it: a `child` runs a `server`, `client` loads it over
//! `connection`s, `procfs` looks at it, `report` prints it. `pairs` is the same in turns.

mod calibrate;
mod child;
mod client;
mod connection;
mod failure;
mod limits;
mod measure;
mod options;
mod pairs;
mod poller;
mod process;
mod procfs;
mod report;
mod server;
mod thread_limits;

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::failure::Failure;
use crate::limits::Allowance;
use crate::measure::{Harness, Subject};
use crate::options::{Model, Options};
use crate::report::Measured;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.serve {
        Some(model) => server::serve(model, &options),
        None => run(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("c10k: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(options: Options) -> Result<(), Failure> {
    if options.pairs.is_none() && options.connect.is_none() && options.models().next().is_none() {
        return Err(Failure::other("`--model none` measures nothing without --connect".into()));
    }
    let allowance = limits::check(&options)?;
    bound_the_run(&options);
    let harness = prepare(options, allowance)?;
    let rows = match harness.options.pairs {
        Some(pairs) => pairs::run(pairs, &harness, allowance)?,
        None => measure_all(&harness)?,
    };
    io::stdout().write_all(report::table(&rows).as_bytes())?;
    match &harness.options.json {
        Some(file) => report::write_json(file, &rows),
        None => Ok(()),
    }
}

/// Puts the client on one core and the servers on others, where there are two, and weighs the client's end.
fn prepare(options: Options, allowance: Allowance) -> Result<Harness, Failure> {
    let mut cores = process::allowed_cores()?;
    let mut server_cores = cores.clone();
    if let (Some(client), true) = (cores.pop(), server_cores.len() > 1) {
        server_cores.truncate(options.workers.min(cores.len()));
        process::pin(&[client])?;
        println!("servers on core {server_cores:?}, client on core {client}");
    } else {
        println!("only one core: servers and client share it");
    }
    let ends = if options.uses_sockets() { allowance.connections } else { 0 };
    let kernel_bytes_per_end = calibrate::kernel_bytes_per_end(ends)?;
    Ok(Harness { options, server_cores, kernel_bytes_per_end })
}

fn measure_all(harness: &Harness) -> Result<Vec<Measured>, Failure> {
    let options = &harness.options;
    let mut rows = Vec::new();
    for model in options.models() {
        rows.push(match model {
            Model::Parked => measure::measure_parked(harness)?,
            _ => measure::measure(Subject::start(model, harness)?, harness)?,
        });
    }
    if let (Some(address), Some(pid)) = (options.connect, options.pid) {
        let cores = procfs::cores(pid)?;
        println!(
            "{} (process {pid}) may run on core {cores}: `taskset` it to {:?}",
            options.label, harness.server_cores
        );
        rows.push(measure::measure(Subject::attach(&options.label, address, pid)?, harness)?);
    }
    Ok(rows)
}

/// Ends the process, and with it its children, should anything take far longer than it ever does.
fn bound_the_run(options: &Options) {
    let phases = options.pairs.map_or(options.model.len() + 1, |pairs| 2 * pairs) as u32;
    let each = Duration::from_secs(60 + options.conns as u64 / 500) + options.secs;
    let bound = each * phases;
    thread::spawn(move || {
        thread::sleep(bound);
        eprintln!("c10k: gives up after {bound:?}");
        std::process::exit(1);
    });
}
