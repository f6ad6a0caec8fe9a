//! The second question: do clients that send a byte a second slow the others down?
//!
//! Measured in pairs, without and with them, on the same server and connections, since the machine changes from second to second.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Cores;
use crate::child::Child;
use crate::normal::Crowd;
use crate::options::{Kind, Options};
use crate::report;

/// Before each measurement.
const WARM_UP: Duration = Duration::from_millis(1500);

/// One pair, in nanoseconds.
pub(crate) struct Pair {
    pub(crate) alone: Histogram<u64>,
    pub(crate) among_slow: Histogram<u64>,
    /// How many of the slow ones the server has cut off.
    pub(crate) cut_off: usize,
}

pub(crate) fn measure(count: usize, options: &Options, cores: &Cores) -> io::Result<()> {
    println!(
        "{} normal clients, {} requests/s in all; {count} slow clients, a byte a second each",
        options.normal, options.rate
    );
    let patient = pairs(Kind::Patient, count, options, cores)?;
    print!("{}", report::slow("a server that waits", &patient));
    let impatient = pairs(Kind::Impatient, count, options, cores)?;
    print!("{}", report::slow("a server that demands 20 bytes a second, over 2 s", &impatient));
    match options.check {
        true => report::check_slow(&patient, &impatient),
        false => Ok(()),
    }
}

fn pairs(kind: Kind, count: usize, options: &Options, cores: &Cores) -> io::Result<Vec<Pair>> {
    let server = Child::start(kind, 0, options, cores)?;
    let mut crowd = Crowd::connect(server.address, options.normal)?;
    let mut pairs = Vec::new();
    for _ in 0..options.pairs {
        let alone = crowd.play(options.rate, WARM_UP, options.secs)?;
        crowd.add_slow(server.address, count)?;
        let among_slow = crowd.play(options.rate, WARM_UP, options.secs)?;
        pairs.push(Pair { alone, among_slow, cut_off: crowd.remove_slow() });
    }
    Ok(pairs)
}
