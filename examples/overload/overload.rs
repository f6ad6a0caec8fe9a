//! The first question: three times the load that the server can serve, with and without admission.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Cores;
use crate::child::Child;
use crate::clients::{self, Outcome};
use crate::options::{Kind, Options};
use crate::process;
use crate::report;
use crate::work;

/// Clients at a time that find out what the server can do.
const FINDERS: usize = 4;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    /// Times the capacity.
    pub(crate) load: f64,
    pub(crate) outcome: Outcome,
    /// The share of the time in which others had the server's core.
    pub(crate) disturbed: f64,
}

pub(crate) fn measure(options: &Options, cores: &Cores) -> io::Result<()> {
    let rounds = rounds(options, cores)?;
    let capacity = capacity(rounds, options, cores)?;
    println!(
        "a request takes {} us of processor time in {} pieces; {FINDERS} clients one after the other get {capacity:.0} answers/s",
        options.work, options.pieces
    );
    let loads = [
        (Kind::Everybody, options.unloaded),
        (Kind::Admission, options.unloaded),
        (Kind::Everybody, options.overload),
        (Kind::Admission, options.overload),
    ];
    let mut rows = Vec::new();
    for (kind, load) in loads {
        let server = Child::start(kind, rounds, options, cores)?;
        let start = Instant::now();
        let outcome = load_with(server.address, load * capacity, options)?;
        let disturbed = server.waited()?.as_secs_f64() / start.elapsed().as_secs_f64();
        rows.push(Row { kind, load, outcome, disturbed });
    }
    print!("{}", report::overload(&rows, capacity));
    match options.check {
        true => report::check_overload(&rows, capacity),
        false => Ok(()),
    }
}

/// The work of a request, weighed on the server's core.
fn rounds(options: &Options, cores: &Cores) -> io::Result<u64> {
    process::pin(&cores.server)?;
    let rounds = work::rounds_in(Duration::from_micros(options.work));
    process::pin(&cores.client)?;
    Ok(rounds)
}

fn capacity(rounds: u64, options: &Options, cores: &Cores) -> io::Result<f64> {
    let server = Child::start(Kind::Everybody, rounds, options, cores)?;
    Ok(clients::closed_loop(server.address, FINDERS, options.secs)?.goodput())
}

/// The warm-up is long enough for a queue to be longer than anybody's patience.
fn load_with(server: SocketAddr, rate: f64, options: &Options) -> io::Result<Outcome> {
    let patience = Duration::from_millis(options.patience);
    clients::open_loop(server, rate, 3 * patience, options.secs, patience)
}
