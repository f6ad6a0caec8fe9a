//! The second question: do clients that send a byte a second slow the others down?
//!
//! A round measures three times, in an order that turns from round to round, since the machine changes from second to second:
//! *alone*; *beside* the slow clients, whose bytes go to a process that never reads them: the load generator has the same work as
//! among them, and the server none; and *among* them. What among differs from beside is what the server does about slow clients. The
//! floor, a hand-written epoll loop, shows how much of that any server would do.
//!
//! All slow connections stand from the beginning, for the kernel is busy for a while with thousands that come or go. So there are two
//! processes of the server: one has never seen a slow client, and the other has them all.

use std::io;
use std::thread;
use std::time::Duration;

use crate::Cores;
use crate::child::Child;
use crate::normal::{Latencies, Normals};
use crate::options::{Kind, Options};
use crate::process;
use crate::report;
use crate::slow_ones::SlowOnes;

/// Before each measurement.
const WARM_UP: Duration = Duration::from_millis(300);

/// Once all are connected, and once they have sent: until the server has done what it does a second after, like the trim of stacks.
const SETTLING: Duration = Duration::from_millis(1300);

/// Descriptors that are no connections, at most.
const OTHERS: usize = 50;

/// Where the bytes of the slow clients go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere; there are none.
    Alone,
    /// To a sink.
    Beside,
    /// To the server that is measured.
    Among,
}

/// One measurement.
pub(crate) struct Measured {
    pub(crate) latencies: Latencies,
    /// The share of its core that the server used.
    pub(crate) busy: f64,
    /// The share of the time in which others had the server's core.
    pub(crate) disturbed: f64,
    /// How many of the slow ones the server has cut off.
    pub(crate) cut_off: usize,
}

/// What one server did in one round: alone, beside, among.
pub(crate) type Round = [Measured; 3];

/// The two processes of a server, a sink, and the slow ones connected to them.
struct Stand {
    clean: Child,
    crowded: Child,
    /// Only kept alive.
    _sink: Child,
    /// The slow ones of the sink; a little fewer where there are no descriptors for all.
    beside: SlowOnes,
    /// The slow ones of the server.
    slow: SlowOnes,
}

/// All rounds of one server.
pub(crate) struct Series {
    pub(crate) kind: Kind,
    pub(crate) rounds: Vec<Round>,
}

pub(crate) fn measure(count: usize, options: &Options, cores: &Cores) -> io::Result<()> {
    println!(
        "{} normal clients, {} requests/s in all; {count} slow clients, a byte a second each",
        options.normal, options.rate
    );
    let all = options.servers.iter().map(|kind| series(*kind, count, options, cores));
    let all = all.collect::<io::Result<Vec<_>>>()?;
    print!("{}", report::slow(&all));
    match options.check {
        true => report::check_slow(&all),
        false => Ok(()),
    }
}

fn series(kind: Kind, count: usize, options: &Options, cores: &Cores) -> io::Result<Series> {
    let mut stand = Stand::new(kind, count, options, cores)?;
    thread::sleep(SETTLING);
    let rounds = (0..options.rounds).map(|number| stand.round(number, options)).collect::<io::Result<_>>()?;
    Ok(Series { kind, rounds })
}

impl Stand {
    fn new(kind: Kind, count: usize, options: &Options, cores: &Cores) -> io::Result<Self> {
        let start = |kind| Child::start(kind, 0, options, cores);
        let (clean, crowded, sink) = (start(kind)?, start(kind)?, start(Kind::Sink)?);
        let room = process::raise_descriptor_limit()? as usize;
        let room = room.saturating_sub(count + options.normal + OTHERS);
        Ok(Self {
            beside: SlowOnes::connect(sink.address, count.min(room).max(1), count)?,
            slow: SlowOnes::connect(crowded.address, count, count)?,
            clean,
            crowded,
            _sink: sink,
        })
    }

    fn round(&mut self, number: u32, options: &Options) -> io::Result<Round> {
        let mut order = [Place::Alone, Place::Beside, Place::Among];
        order.rotate_left(number as usize % 3);
        let mut all = Vec::new();
        for place in order {
            all.push((place, self.once(place, options)?));
        }
        all.sort_by_key(|(place, _)| *place as usize);
        let all: Vec<_> = all.into_iter().map(|(_, measured)| measured).collect();
        all.try_into().map_err(|_| io::Error::other("three measurements make a round"))
    }

    fn once(&mut self, place: Place, options: &Options) -> io::Result<Measured> {
        let mut nobody = SlowOnes::default();
        let (server, slow) = match place {
            Place::Alone => (&self.clean, &mut nobody),
            Place::Beside => (&self.clean, &mut self.beside),
            Place::Among => (&self.crowded, &mut self.slow),
        };
        slow.renew()?;
        // New ones each time: who is impatient cuts off those who pause between two measurements.
        let mut normals = Normals::connect(server.address, options.normal)?;
        let (ran, waited) = (server.ran()?, server.waited()?);
        let latencies = normals.play(slow, options.rate, WARM_UP, options.secs)?;
        let share = |time: Duration| time.as_secs_f64() / (WARM_UP + options.secs).as_secs_f64();
        let (busy, disturbed) = (share(server.ran()? - ran), share(server.waited()? - waited));
        if place == Place::Among {
            thread::sleep(SETTLING);
        }
        Ok(Measured { latencies, busy, disturbed, cut_off: slow.cut_off() })
    }
}
