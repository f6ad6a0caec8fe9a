//! How the table is walked: each row in a process of its own, each errno once and for as long as it lasts.
//!
//! A scenario makes what it needs and hands the one operation that is to fail to [`Strike::on`], which knows what is to be
//! seen of it. What a scenario leaves behind, after all of its row, is compared with what was there before.

use crate::seam::{Armed, Reach};
use crate::support;
use dormouse::Builder;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// What the caller sees of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An error with this errno, each time; and once it is over, no more.
    Told,
    /// If it lasts, an error of the same kind, which may say more; what happens once may be done in another way.
    Lasting,
    /// Nothing: the call is repeated, as often as it is interrupted.
    Retried,
    /// Nothing, if it happens once: the call is repeated when there is an event.
    Waited,
    /// As `Waited`; while it lasts the operation waits, without a spin, and its timeout ends it with this kind.
    WaitedOut(ErrorKind),
    /// Nothing, however long it lasts: there is another way, or nothing depends on it.
    Nothing,
    /// The process is aborted, with this on standard error: it cannot happen but by a misuse of the descriptors or the memory of
    /// the runtime, and to go on would be to hang or to spin.
    Aborts(&'static str),
    /// As `Aborts`, with a panic.
    Panics(&'static str),
}

impl Seen {
    /// What is said by a process that ends of it.
    fn last_words(self) -> Option<&'static str> {
        match self {
            Seen::Aborts(text) | Seen::Panics(text) => Some(text),
            _ => None,
        }
    }
}

/// What an operation runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// A coroutine on the one worker of a runtime.
    Coroutine,
    /// A plain thread.
    Thread,
    /// Each of both.
    Both,
}

/// One call, in one scenario.
pub(crate) struct Row {
    /// The call, as the seam has it.
    pub(crate) call: &'static str,
    /// What the man pages say that it may say.
    pub(crate) errnos: &'static [i32],
    /// What is seen of those that are not named below.
    pub(crate) seen: Seen,
    /// What is seen of others.
    pub(crate) but: &'static [(&'static [i32], Seen)],
    /// What it runs as.
    pub(crate) runs_as: As,
    /// Which threads are struck.
    pub(crate) reach: Reach,
    /// Only the first call fails.
    pub(crate) is_attempt: bool,
    /// What a process does once: each errno has a process of its own.
    pub(crate) is_first: bool,
    /// Makes what is needed, and strikes.
    pub(crate) scenario: fn(&Strike) -> io::Result<()>,
}

impl Row {
    /// A row of a call whose failures are told, but for an interruption, from a coroutine and from a plain thread.
    pub(crate) const fn new(
        call: &'static str,
        errnos: &'static [i32],
        scenario: fn(&Strike) -> io::Result<()>,
    ) -> Row {
        Row {
            call,
            errnos,
            seen: Seen::Told,
            but: &[],
            runs_as: As::Both,
            reach: Reach::Here,
            is_attempt: false,
            is_first: false,
            scenario,
        }
    }

    pub(crate) const fn seen(self, seen: Seen) -> Row {
        Row { seen, ..self }
    }

    pub(crate) const fn but(self, but: &'static [(&'static [i32], Seen)]) -> Row {
        Row { but, ..self }
    }

    pub(crate) const fn only(self, runs_as: As) -> Row {
        Row { runs_as, ..self }
    }

    pub(crate) const fn everywhere(self) -> Row {
        Row { reach: Reach::Everywhere, ..self }
    }

    pub(crate) const fn attempt(self) -> Row {
        Row { is_attempt: true, ..self }
    }

    pub(crate) const fn first(self) -> Row {
        Row { is_first: true, ..self }
    }

    /// What is seen of this errno.
    pub(crate) fn seen_of(&self, errno: i32) -> Seen {
        let named = self.but.iter().find(|(errnos, _)| errnos.contains(&errno)).map(|(_, seen)| *seen);
        named.unwrap_or(if errno == libc::EINTR { Seen::Retried } else { self.seen })
    }

    /// At how many of its places the call is made to fail. What is repeated after an event succeeds by then: only the first
    /// attempt can say that it is too early.
    fn places_of(&self, errno: i32) -> u64 {
        let is_attempt = matches!(self.seen_of(errno), Seen::Waited | Seen::WaitedOut(_));
        if is_attempt || self.is_attempt { 1 } else { MOST_CALLS }
    }

    /// Whether it takes a process of its own to see this errno.
    fn is_apart(&self, errno: i32) -> bool {
        self.is_first || self.seen_of(errno).last_words().is_some()
    }

    fn kinds(&self) -> &'static [As] {
        match self.runs_as {
            As::Coroutine => &[As::Coroutine],
            As::Thread => &[As::Thread],
            As::Both => &[As::Coroutine, As::Thread],
        }
    }
}

/// How long a failure lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    /// Nothing fails: to see that the scenario is one, and to have made what is made once.
    Never,
    /// One call fails, after so many that do not.
    Once(u64),
    /// As many as there are, or, of those that are repeated at once, a great many.
    On,
}

/// How long is waited for what does not come.
pub(crate) const IN_VAIN: Duration = Duration::from_millis(60);

/// How many are a great many.
const MANY: u64 = 50;

/// How often a call may fail in one operation and not be a spin: the pauses of 50 ms that it takes to wait are few.
const NO_SPIN: u64 = 120;

/// The most calls of one kind that a scenario makes.
const MOST_CALLS: u64 = 40;

/// A failure to come.
pub(crate) struct Strike {
    row: &'static Row,
    errno: i32,
    lasts: Lasts,
    /// Whether it came.
    struck: std::cell::Cell<bool>,
}

impl Strike {
    fn new(row: &'static Row, errno: i32, lasts: Lasts) -> Strike {
        Strike { row, errno, lasts, struck: false.into() }
    }

    fn seen(&self) -> Seen {
        self.row.seen_of(self.errno)
    }

    /// How long an operation may wait: short where it waits in vain, else so long that a busy machine comes in time.
    pub(crate) fn patience(&self) -> Duration {
        let is_in_vain = self.lasts == Lasts::On && matches!(self.seen(), Seen::WaitedOut(_));
        if is_in_vain { IN_VAIN } else { Duration::from_secs(15) }
    }

    /// Calls `f` while the call fails.
    fn armed<T>(&self, times: u64, f: impl FnOnce() -> T) -> T {
        let skip = if let Lasts::Once(skip) = self.lasts { skip } else { 0 };
        let armed = Armed::new(self.row.call, self.errno, skip, times, self.row.reach);
        let value = f();
        let struck = armed.struck();
        drop(armed);
        self.struck.set(struck > 0);
        let most = if self.seen() == Seen::Retried { times } else { NO_SPIN };
        assert!(struck <= most, "{}: a spin: {struck} calls failed", self.shown());
        value
    }

    fn shown(&self) -> String {
        format!("{} with {:?} ({:?})", self.row.call, io::Error::from_raw_os_error(self.errno), self.lasts)
    }

    /// Does what is to fail, and asserts what is seen of it. It is done up to four times, of which one succeeds, or three.
    #[track_caller]
    pub(crate) fn on(&self, mut operation: impl FnMut() -> io::Result<()>) {
        match (self.lasts, self.seen()) {
            (Lasts::Never, _) => self.succeeds(operation()),
            (_, Seen::Aborts(_) | Seen::Panics(_)) => _ = self.armed(u64::MAX, operation),
            (Lasts::Once(_), seen @ (Seen::Told | Seen::Lasting)) => {
                let answer = self.armed(1, &mut operation);
                if !self.struck.get() {
                    return self.succeeds(answer);
                }
                if seen == Seen::Told || answer.is_err() {
                    self.fails(answer);
                }
                self.succeeds(operation());
            }
            (Lasts::Once(_), _) => self.succeeds(self.armed(1, operation)),
            (Lasts::On, Seen::Told | Seen::Lasting) => {
                (0..3).for_each(|_| self.fails(self.armed(u64::MAX, &mut operation)));
                self.succeeds(operation());
            }
            (Lasts::On, Seen::Retried) => self.succeeds(self.armed(MANY, operation)),
            (Lasts::On, Seen::Nothing) => self.succeeds(self.armed(u64::MAX, operation)),
            (Lasts::On, Seen::Waited) => {}
            (Lasts::On, Seen::WaitedOut(kind)) => {
                // It is not tried again: the event has come of which the kernel, made to lie, says that it has not.
                let answer = self.armed(u64::MAX, operation);
                assert_eq!(answer.unwrap_err().kind(), kind, "{}", self.shown());
            }
        }
    }

    #[track_caller]
    fn succeeds(&self, answer: io::Result<()>) {
        answer.unwrap_or_else(|error| panic!("{}: it failed: {error:?}", self.shown()));
    }

    #[track_caller]
    fn fails(&self, answer: io::Result<()>) {
        let error = answer.expect_err(&format!("{}: nobody was told", self.shown()));
        let kind = io::Error::from_raw_os_error(self.errno).kind();
        match self.seen() {
            Seen::Lasting => assert_eq!(error.kind(), kind, "{}: {error:?}", self.shown()),
            _ => assert_eq!(error.raw_os_error(), Some(self.errno), "{}: {error:?}", self.shown()),
        }
    }

    /// Runs the scenario, bounded in time.
    fn run(&'static self, runs_as: As) {
        let scenario = move || (self.row.scenario)(self);
        let done = support::bounded(20, move || match runs_as {
            As::Coroutine => Builder::new().workers(1).run(scenario).unwrap(),
            _ => scenario(),
        });
        done.unwrap_or_else(|error| panic!("{}: the scenario failed: {error:?}", self.shown()));
    }
}

/// What a scenario may not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    descriptors: usize,
    threads: usize,
    mappings: usize,
}

/// What the allocator may map besides, for threads that are new to it.
const MAPPINGS: usize = 24;

impl Level {
    fn now() -> Level {
        let (descriptors, threads) = (support::descriptors(), support::threads());
        Level { descriptors, threads, mappings: support::mappings() }
    }

    /// Whether nothing is left over. Threads that were joined may be listed for a moment still, and those of the pool stay for ten
    /// seconds after their last call, the descriptors of whose caller they may hold for a moment. So may one when the level was
    /// taken: what leaks, leaks more than once.
    #[track_caller]
    fn is_kept(&self, row: &Row) {
        support::eventually(40, &format!("{}: no more threads and descriptors than before", row.call), || {
            let now = Level::now();
            now.threads <= self.threads && now.descriptors <= self.descriptors
        });
        let now = Level::now();
        assert!(now.mappings <= self.mappings + MAPPINGS, "{}: mappings stay: {self:?}, {now:?}", row.call);
    }
}

fn strike(row: &'static Row, errno: i32, lasts: Lasts, runs_as: As) -> bool {
    let strike = Box::leak(Box::new(Strike::new(row, errno, lasts)));
    strike.run(runs_as);
    strike.struck.get()
}

// SAFETY: used by one thread at a time: that of the scenario, and then whoever has joined it.
unsafe impl Sync for Strike {}

/// Each errno of the row as each kind.
fn all(row: &Row) -> impl Iterator<Item = (As, i32)> {
    row.kinds().iter().flat_map(|kind| row.errnos.iter().map(move |errno| (*kind, *errno)))
}

/// Each errno of the row, one call after the other, and for as long as it lasts.
fn walk_row(row: &'static Row) {
    // Twice, so that what is kept for the next is there.
    (0..2).flat_map(|_| row.kinds()).for_each(|kind| _ = strike(row, 0, Lasts::Never, *kind));
    let (level, start, cpu) = (Level::now(), Instant::now(), cpu_time());
    for (kind, errno) in all(row).filter(|(_, errno)| !row.is_apart(*errno)) {
        let places = (0..row.places_of(errno)).take_while(|skip| strike(row, errno, Lasts::Once(*skip), kind)).count();
        assert!((1..MOST_CALLS as usize).contains(&places), "{}: fails at {places} places", row.call);
        if row.seen_of(errno) != Seen::Waited {
            assert!(strike(row, errno, Lasts::On, kind), "{}: it was not even called", row.call);
        }
    }
    level.is_kept(row);
    let (took, used) = (start.elapsed(), cpu_time() - cpu);
    eprintln!("{}: {} errnos in {took:?}, {used:?} of processor time", row.call, row.errnos.len());
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut now) }, 0);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Has one errno strike in a process where nothing was done before.
fn strike_apart(row: &'static Row, which: usize, lasts: Lasts) {
    let (kind, errno) = all(row).nth(which).unwrap();
    let struck = strike(row, errno, lasts, kind);
    assert!(struck || lasts == Lasts::On && row.seen_of(errno) == Seen::Waited, "{}: it was not even called", row.call);
}

/// The rows of the test `test`, which calls this and nothing else: each in a process of its own, and in one of their own
/// those errnos that end it, or can be seen only once.
#[track_caller]
pub(crate) fn walk(test: &str, rows: &'static [Row]) {
    if let Some(part) = support::part(test) {
        let numbers: Vec<usize> = part.split(' ').map(|number| number.parse().unwrap()).collect();
        match numbers[..] {
            [row] => walk_row(&rows[row]),
            [row, which, 0] => strike_apart(&rows[row], which, Lasts::On),
            [row, which, _] => strike_apart(&rows[row], which, Lasts::Once(0)),
            _ => unreachable!("{part}"),
        }
        support::end_child();
    }
    let mut findings = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if !row.is_first {
            let ended = support::child_part(test, &number.to_string(), 120);
            findings.extend((!ended.is_done()).then(|| format!("{} ended with {ended:?}", row.call)));
        }
        for (which, (_, errno)) in all(row).enumerate().filter(|(_, (_, errno))| row.is_apart(*errno)) {
            for lasts in 0..2 {
                let ended = support::child_part(test, &format!("{number} {which} {lasts}"), 30);
                let shown = || format!("{} with errno {errno} ended with {ended:?}", row.call);
                findings.extend((!is_as_seen(&ended, row.seen_of(errno))).then(shown));
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n\n"));
}

/// Whether a process ended, and said, what it should.
fn is_as_seen(ended: &support::Ended, seen: Seen) -> bool {
    let said = seen.last_words().is_none_or(|text| ended.stderr.contains(text));
    match seen {
        Seen::Aborts(_) => ended.signal() == Some(libc::SIGABRT) && said,
        Seen::Panics(_) => ended.status.code() == Some(101) && said,
        _ => ended.is_done(),
    }
}
