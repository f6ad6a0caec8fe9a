//! Who gets in: what a listener does with new connections while the server has as much to do as it can.
//!
//! Owns what a user sets and sees. `level.rs` has the arithmetic, `figures.rs` where the figures come from, `gate.rs` what one
//! listener does. Must never know how a connection is accepted.
//!
//! The papers: Provos and Lever, *Scalable Network I/O in Linux* (USENIX 2000), and Provos, Lever and Tweedie, *Analyzing the
//! Overload Behavior of a Simple Web Server* (2000): a server that takes what it cannot serve in time spends its time on those who
//! have given up; one that watches a smoothed count of the clients it has ready, and turns new ones away while that is high, serves
//! as many as ever.
//!
//! Invariant 1: settings do not change once there is a gate: a change makes another admission.

mod figures;
mod gate;
mod level;

pub(crate) use gate::Gate;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dormouse_runtime::Handle;

use figures::Figures;

/// How long figures are smoothed, unless the user says otherwise.
const SMOOTHING: Duration = Duration::from_millis(10);

/// What happens to a connection that comes at a bad time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnOverload {
    /// It is accepted and reset at once: the peer is told, by `ECONNRESET`, and may try another server. (On a Unix socket it is
    /// closed.) Costs the server about as much as any accept: 13 us, nearly all of them the kernel's. A non-blocking accept answers `WouldBlock` once it has refused 64, though
    /// there may be more.
    #[default]
    Refuse,
    /// It is left in the backlog until there is room. The peer waits, and does not know; what it has sent meanwhile waits with it.
    /// Only while the backlog is full the kernel ignores others, as under `Drop`. For bursts: in an overload that lasts everybody waits
    /// for as long as the whole backlog takes, and a server whose clients do not wait that long works for those who have gone. Let the
    /// backlog be no longer than what the server can serve while they wait.
    Delay,
    /// It is left to the kernel, whose backlog is cut to one connection until there is room: what comes is ignored, at no cost to the
    /// server. A peer's kernel tries again after a second, then two, then four; on a Unix socket the peer waits. What was in the
    /// backlog stays there, as under `Delay`. The first such SYN may have the kernel log a "possible SYN flooding".
    Drop,
}

/// What the user has set.
#[derive(Clone, Debug)]
struct Settings {
    /// Connections of one listener.
    connections: Option<usize>,
    /// Coroutines that could run.
    ready: Option<usize>,
    /// Coroutines that have not ended.
    live: Option<usize>,
    /// Bytes.
    resident: Option<u64>,
    /// From ready to running.
    queue_delay: Option<Duration>,
    /// Of what changes from moment to moment.
    smoothing: Duration,
    /// What happens past a limit.
    on_overload: OnOverload,
    /// Whose figures these are; `None` for the runtime of whoever accepts.
    runtime: Option<Handle>,
}

/// Lets a listener's connections in only while the server can serve them, so that those in service keep their latency.
///
/// Given to one or more listeners, it looks at the runtime at each connection that comes. Past any of its limits the listeners
/// [refuse, delay or drop](OnOverload) what is new; below, they are as without it. What is connected already is left alone. Without
/// any limit everybody is let in.
///
/// Which limit? [`max_queue_delay`](Admission::max_queue_delay) says what users feel, in units that need no knowledge of the server;
/// [`max_ready`](Admission::max_ready) reacts a little faster. Both are *smoothed*: a moment does not count unless it is above twice
/// the limit. Overload ends when the smoothed figure, or the figure of the moment, is at three quarters of the limit.
/// [`max_live`](Admission::max_live), [`max_resident`](Admission::max_resident) and
/// [`max_connections`](Admission::max_connections) protect against running out of something, and hold as they are.
///
/// A clone is the same admission. A setting makes one of its own, which starts without a past.
///
/// # Examples
///
/// ```no_run
/// use dormouse_net::{Admission, OnOverload, TcpListener};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let admission = Admission::new()
///     .max_queue_delay(Duration::from_millis(5))
///     .max_connections(50_000)
///     .on_overload(OnOverload::Refuse);
/// let listener = TcpListener::bind("0.0.0.0:80")?.with_admission(&admission);
/// for stream in listener.incoming() {
///     # let serve = |_| ();
///     let stream = stream?;
///     dormouse_runtime::spawn(move || serve(stream));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Admission {
    /// Shared with its clones and gates.
    shared: Arc<Shared>,
}

/// What all handles of one admission share.
struct Shared {
    /// Invariant 1.
    settings: Settings,
    /// What is watched.
    figures: Figures,
    /// What its listeners did.
    counts: Counts,
}

/// What the listeners of an admission did. Words on their own.
#[derive(Default)]
struct Counts {
    /// Connections let in.
    admitted: AtomicU64,
    /// Connections reset.
    refused: AtomicU64,
    /// Accepts that left a connection where it was.
    held: AtomicU64,
}

/// What the listeners of an [`Admission`] have done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionMetrics {
    /// Connections let in.
    pub admitted: u64,
    /// Connections accepted and reset, under [`OnOverload::Refuse`].
    pub refused: u64,
    /// How often a call of accept found a connection and left it where it was, under the others.
    pub held: u64,
}

impl Default for Admission {
    fn default() -> Admission {
        Admission::new()
    }
}

impl Admission {
    /// Without limits: everybody is let in.
    #[must_use]
    pub fn new() -> Admission {
        Admission::of(Settings {
            connections: None,
            ready: None,
            live: None,
            resident: None,
            queue_delay: None,
            smoothing: SMOOTHING,
            on_overload: OnOverload::default(),
            runtime: None,
        })
    }

    fn of(settings: Settings) -> Admission {
        let figures = Figures::new(&settings);
        Admission { shared: Arc::new(Shared { settings, figures, counts: Counts::default() }) }
    }

    fn with(&self, change: impl FnOnce(&mut Settings)) -> Admission {
        let mut settings = self.shared.settings.clone();
        change(&mut settings);
        Admission::of(settings)
    }

    /// Limits how many connections each listener has let in at a time. One counts until the last handle of ours to it is gone,
    /// dropped or turned into something else: a stream that becomes a raw descriptor or one of std does not count any more.
    /// Listeners that are clones of each other count together. Zero lets nobody in.
    #[must_use]
    pub fn max_connections(self, connections: usize) -> Admission {
        self.with(|settings| settings.connections = Some(connections))
    }

    /// Limits how many coroutines could run, but wait for a worker, those that wait for their start included: the ready clients of
    /// the papers. Smoothed.
    #[must_use]
    pub fn max_ready(self, coroutines: usize) -> Admission {
        self.with(|settings| settings.ready = Some(coroutines))
    }

    /// Limits how many coroutines there are, whatever they do.
    #[must_use]
    pub fn max_live(self, coroutines: usize) -> Admission {
        self.with(|settings| settings.live = Some(coroutines))
    }

    /// Limits how many bytes of memory the process has resident. The kernel is asked at most every ten milliseconds, and may itself be
    /// behind by some pages of each thread.
    #[must_use]
    pub fn max_resident(self, bytes: usize) -> Admission {
        self.with(|settings| settings.resident = Some(bytes as u64))
    }

    /// Limits how long a coroutine that could run waits for a worker. Smoothed. See [`queue_delay`](dormouse_runtime::queue_delay)
    /// for what is measured, and what it costs.
    #[must_use]
    pub fn max_queue_delay(self, delay: Duration) -> Admission {
        self.with(|settings| settings.queue_delay = Some(delay))
    }

    /// Over how long a time the smoothed figures are averaged: ten milliseconds unless set. What is shorter than this is a burst, and
    /// let in up to twice the limit; so it should not be longer than the latency that a burst may cost. Zero for not at all.
    #[must_use]
    pub fn smoothing(self, time: Duration) -> Admission {
        self.with(|settings| settings.smoothing = time)
    }

    /// What happens past a limit: [`OnOverload::Refuse`] unless set.
    #[must_use]
    pub fn on_overload(self, what: OnOverload) -> Admission {
        self.with(|settings| settings.on_overload = what)
    }

    /// Watches this runtime, and not the one of whoever accepts: for plain threads that accept, and give what they accept to a
    /// runtime other than the default one.
    #[must_use]
    pub fn watch(self, runtime: &Handle) -> Admission {
        self.with(|settings| settings.runtime = Some(runtime.clone()))
    }

    /// Whether a connection that came now would be one too many, as far as the runtime is concerned; the connections of a listener are
    /// not looked at. A look like that of a listener: for a server that turns requests away, too, on connections that are long in.
    ///
    /// # Blocking
    ///
    /// Never parks.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::Admission;
    ///
    /// let admission = Admission::new().max_live(0);
    /// dormouse_runtime::run(|| assert!(admission.is_overloaded()));
    /// assert!(!Admission::new().is_overloaded());
    /// ```
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        self.shared.figures.are_too_high(self.shared.settings.runtime.as_ref())
    }

    /// What its listeners have done so far.
    #[must_use]
    pub fn metrics(&self) -> AdmissionMetrics {
        // ORDERING: Relaxed, here and in `count`; figures that publish nothing but themselves.
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.shared.counts;
        AdmissionMetrics { admitted: read(&counts.admitted), refused: read(&counts.refused), held: read(&counts.held) }
    }
}

fn count(figure: &AtomicU64) {
    // ORDERING: Relaxed; pairs with the load in `metrics`.
    figure.fetch_add(1, Ordering::Relaxed);
}

/// The limits that are set, and what was done.
impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.shared.settings;
        let mut output = f.debug_struct("Admission");
        let limits =
            [("max_connections", settings.connections), ("max_ready", settings.ready), ("max_live", settings.live)];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                output.field(name, &limit);
            }
        }
        if let Some(bytes) = &settings.resident {
            output.field("max_resident", bytes);
        }
        if let Some(delay) = &settings.queue_delay {
            output.field("max_queue_delay", delay);
        }
        output.field("on_overload", &settings.on_overload).field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}
