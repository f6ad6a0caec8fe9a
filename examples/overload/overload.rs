//! The first question: three times the load that the server can serve, with and without admission.
//!
//! Measured in rounds, since the machine changes from second to second: each finds out anew what the server can do and how long it takes
//! without load, and what counts is the median of what the rounds say of themselves. The collapse of a server without admission is
//! looked at in the first round only.

use std::io;
use std::time::{Duration, Instant};

use crate::Cores;
use crate::child::Child;
use crate::clients::{self, Outcome};
use crate::options::{Kind, Options, Policy};
use crate::process;
use crate::report;
use crate::work;

/// Clients at a time that find out what the server can do.
const FINDERS: usize = 4;

/// What a server did under one load.
pub(crate) struct Loaded {
    pub(crate) outcome: Outcome,
    /// The share of the time in which the server ran.
    pub(crate) busy: f64,
    /// The share of the time in which others had the server's core.
    pub(crate) disturbed: f64,
}

/// One round.
pub(crate) struct Round {
    /// Answers a second of a server that lets everybody in, to a few clients one after the other.
    pub(crate) capacity: f64,
    /// The same server with little to do.
    pub(crate) unloaded: Loaded,
    /// The same server under overload; in the first round only.
    pub(crate) collapse: Option<Loaded>,
    /// Under overload, by what is done with those who are not let in.
    pub(crate) admitting: Vec<(Policy, Loaded)>,
}

pub(crate) fn measure(options: &Options, cores: &Cores) -> io::Result<()> {
    let work_rounds = work_rounds(options, cores)?;
    println!(
        "a request takes {} us of processor time in {} pieces; overload is {} times what {FINDERS} clients one after the other get",
        options.work, options.pieces, options.overload
    );
    let rounds = (0..options.rounds).map(|number| round(number, work_rounds, options, cores));
    let rounds = rounds.collect::<io::Result<Vec<_>>>()?;
    print!("{}", report::overload(&rounds, options));
    match options.check {
        true => report::check_overload(&rounds),
        false => Ok(()),
    }
}

/// The work of a request, weighed on the server's core.
fn work_rounds(options: &Options, cores: &Cores) -> io::Result<u64> {
    process::pin(&cores.server)?;
    let rounds = work::rounds_in(Duration::from_micros(options.work));
    process::pin(&cores.client)?;
    Ok(rounds)
}

fn round(number: u32, work_rounds: u64, options: &Options, cores: &Cores) -> io::Result<Round> {
    // Each begins anew, and none runs beside the next: under overload much is left to do in the end.
    let start = |kind, policy| Child::start(kind, work_rounds, &Options { policy, ..options.clone() }, cores);
    let everybody = || start(Kind::Everybody, options.policy);
    let capacity = clients::closed_loop(everybody()?.address, FINDERS, options.secs)?.goodput();
    let (calm, storm) = (options.unloaded * capacity, options.overload * capacity);
    let unloaded = load_with(&everybody()?, calm, options)?;
    let collapse = (number == 0).then(|| load_with(&everybody()?, storm, options)).transpose()?;
    let admitting = options.policies.iter().map(|policy| {
        let server = start(Kind::Admission, *policy)?;
        Ok((*policy, load_with(&server, storm, options)?))
    });
    Ok(Round { capacity, unloaded, collapse, admitting: admitting.collect::<io::Result<_>>()? })
}

/// The warm-up is long enough for a queue to be longer than anybody's patience.
fn load_with(server: &Child, rate: f64, options: &Options) -> io::Result<Loaded> {
    let patience = Duration::from_millis(options.patience);
    let (start, ran, waited) = (Instant::now(), server.ran()?, server.waited()?);
    let outcome = clients::open_loop(server.address, rate, 3 * patience, options.secs, patience)?;
    let share = |time: Duration| time.as_secs_f64() / start.elapsed().as_secs_f64();
    Ok(Loaded { outcome, busy: share(server.ran()? - ran), disturbed: share(server.waited()? - waited) })
}
