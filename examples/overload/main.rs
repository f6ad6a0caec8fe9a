//! What does a server do with three times the load that it can serve? And with thousands of clients that send a byte a second?
//! Measures a server of dormouse with and without `net::Admission`, by clients that come when they come, whatever the server does.
//!
//! `cargo run --release --example overload` measures overload, with `-- --policies refuse,delay,drop` all that admission may do;
//! `-- --slow 10000` slow clients; `-- --help` lists the options.
//!
//! The server is a child process on a core of its own where there are two; the load comes from this one, on another. Every time is
//! counted from when the client was to come, not from when it did: a load generator that waits for the server before it sends the next
//! request leaves out the requests that would have waited longest. Among slow clients, where the load generator has more to do itself,
//! there is a second time, which leaves out what is its own (`normal`).

mod arrivals;
mod child;
mod clients;
mod floor;
mod normal;
mod options;
mod overload;
#[allow(dead_code)]
#[path = "../c10k/poller.rs"]
mod poller;
#[allow(dead_code)]
#[path = "../c10k/process.rs"]
mod process;
mod report;
mod server;
mod slow;
mod slow_ones;
mod stamp;
mod work;

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::options::Options;

/// Which cores the two processes have.
pub(crate) struct Cores {
    server: Vec<usize>,
    client: Vec<usize>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.serve {
        Some(kind) => server::serve(kind, &options),
        None => measure(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("overload: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> io::Result<()> {
    bound_the_run(options);
    process::raise_descriptor_limit()?;
    let cores = share_cores()?;
    process::pin(&cores.client)?;
    match options.slow {
        Some(count) => slow::measure(count, options, &cores),
        None => overload::measure(options, &cores),
    }
}

/// One core for the load, and another for the server, if there is one.
fn share_cores() -> io::Result<Cores> {
    let all = process::allowed_cores()?;
    let (Some(first), Some(last)) = (all.first().copied(), all.last().copied()) else {
        return Err(io::Error::other("no core to run on"));
    };
    match first == last {
        true => println!("only one core: server and load share it"),
        false => println!("server on core {first}, load on core {last}"),
    }
    Ok(Cores { server: vec![first], client: vec![last] })
}

/// Ends the process, and with it its child, should anything take far longer than it ever does.
fn bound_the_run(options: &Options) {
    let once = options.secs + 3 * Duration::from_millis(options.patience) + Duration::from_secs(5);
    let bound = Duration::from_secs(60) + 10 * options.rounds * once;
    thread::spawn(move || {
        thread::sleep(bound);
        eprintln!("overload: gives up after {bound:?}");
        std::process::exit(1);
    });
}
