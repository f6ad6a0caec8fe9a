//! What does a deadline cost among 1,000,000 others, and how late is a real sleep?
//!
//! * `insert+cancel`: a timeout that does not strike, on the wheel and on a `BTreeMap`, with 1,000,000 others outstanding
//!   over ten seconds. Cancelled at once, or after 1,000 others were inserted.
//! * `expiry`: 1,000,000 deadlines spread over ten simulated seconds come due, seen by a worker that sleeps until the next
//!   one, or by one that looks every millisecond. The figure is for one of them.
//! * `timeout`: a call inside a timeout that does not strike, around nothing and around an answer of another coroutine, and
//!   that answer without one; beside tokio's.
//! * `lateness`: sleeps of 50 us to 2 ms by a runtime that does nothing else; no sleep may be early. Not a criterion
//!   timing: printed as lines, beside tokio and beside `std::thread::sleep`, whose lateness is the kernel's own (a timer
//!   slack of 50 us, see prctl(2)).
//!
//! Excluded: filling the wheel and the map, which happens in random order, as timeouts come.

#[path = "timer/timeout.rs"]
mod timeout;

use criterion::{Criterion, SamplingMode};
use dormouse_runtime::internals::{TimerKey, Wheel};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// As `dormouse::run`, on one worker: what is measured here is one worker's.
fn on_one_worker<T>(f: impl FnOnce() -> T) -> T {
    dormouse::Builder::new().workers(1).run(f).unwrap()
}

/// Simulated nanoseconds over which deadlines are spread.
const SPAN: u64 = 10_000_000_000;

/// Simulated nanoseconds between two looks.
const TICK: u64 = 1_000_000;

/// Timers between an insertion and its cancellation.
const LAG: usize = 1_000;

/// The sleeps measured, in microseconds.
const SLEEPS: [u64; 6] = [50, 100, 200, 500, 1_000, 2_000];

/// Lets these deadlines expire, and says how long it took.
type Runner = fn(deadlines: &[u64]) -> Duration;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    let count = if is_test() { 10_000 } else { 1_000_000 };
    insert_cancel(&mut criterion, count);
    expiry(&mut criterion, count);
    timeout::run(&mut criterion);
    criterion.final_summary();
    if is_wanted("lateness") {
        lateness(if is_test() { 10 } else { 400 });
    }
}

/// Whether each bench is only to be run once, as criterion decides it.
fn is_test() -> bool {
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    given("--test") || !given("--bench")
}

/// Whether the command line asks for this name or for none, and not for a list.
fn is_wanted(name: &str) -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut filters = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    let filtered = filters.peek().is_some() && !filters.any(|filter| name.contains(filter.as_str()));
    !filtered && !arguments.iter().any(|argument| argument == "--list")
}

/// Random deadlines: a xorshift generator, the same ones for every peer.
struct Deadlines(u64);

impl Deadlines {
    fn new() -> Deadlines {
        Deadlines(0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(SPAN)) >> 64) as u64
    }
}

/// What the wheel and its peer can do.
trait Timers: Sized {
    /// Names a timer.
    type Key;

    /// Timers with these deadlines, the index of each being its owner.
    fn filled(deadlines: &[u64]) -> Self;

    fn insert(&mut self, deadline: u64, owner: u32) -> Self::Key;

    fn cancel(&mut self, key: Self::Key);

    fn pop_expired(&mut self, now: u64) -> Option<u32>;

    fn next_deadline(&mut self) -> Option<u64>;
}

impl Timers for Wheel {
    type Key = TimerKey;

    fn filled(deadlines: &[u64]) -> Wheel {
        let mut wheel = Wheel::new(0);
        for (owner, deadline) in deadlines.iter().enumerate() {
            wheel.insert(*deadline, owner as u32);
        }
        wheel
    }

    fn insert(&mut self, deadline: u64, owner: u32) -> TimerKey {
        Wheel::insert(self, deadline, owner)
    }

    fn cancel(&mut self, key: TimerKey) {
        Wheel::cancel(self, key);
    }

    fn pop_expired(&mut self, now: u64) -> Option<u32> {
        Wheel::pop_expired(self, now)
    }

    fn next_deadline(&mut self) -> Option<u64> {
        Wheel::next_deadline(self)
    }
}

impl Timers for BTreeMap<(u64, u32), ()> {
    type Key = (u64, u32);

    fn filled(deadlines: &[u64]) -> Self {
        let mut map = BTreeMap::new();
        for (owner, deadline) in deadlines.iter().enumerate() {
            map.insert((*deadline, owner as u32), ());
        }
        map
    }

    fn insert(&mut self, deadline: u64, owner: u32) -> (u64, u32) {
        BTreeMap::insert(self, (deadline, owner), ());
        (deadline, owner)
    }

    fn cancel(&mut self, key: (u64, u32)) {
        self.remove(&key);
    }

    fn pop_expired(&mut self, now: u64) -> Option<u32> {
        let first = self.first_entry()?;
        let (deadline, owner) = *first.key();
        (deadline <= now).then(|| first.remove()).map(|()| owner)
    }

    fn next_deadline(&mut self) -> Option<u64> {
        self.first_key_value().map(|((deadline, _), ())| *deadline)
    }
}

fn random_deadlines(count: usize) -> Vec<u64> {
    let mut deadlines = Deadlines::new();
    (0..count).map(|_| deadlines.next()).collect()
}

fn insert_cancel(criterion: &mut Criterion, count: usize) {
    let others = random_deadlines(count);
    let mut group = criterion.benchmark_group("insert+cancel");
    let mut wheel = Wheel::filled(&others);
    group.bench_function("wheel, at once", |bencher| {
        let mut deadlines = Deadlines::new();
        bencher.iter(|| at_once(&mut wheel, deadlines.next()));
    });
    group.bench_function("wheel, 1,000 later", |bencher| {
        let (mut deadlines, mut pending) = (Deadlines::new(), VecDeque::new());
        bencher.iter(|| later(&mut wheel, deadlines.next(), &mut pending));
        pending.into_iter().for_each(|key| Timers::cancel(&mut wheel, key));
    });
    let mut map = BTreeMap::filled(&others);
    group.bench_function("BTreeMap, at once", |bencher| {
        let mut deadlines = Deadlines::new();
        bencher.iter(|| at_once(&mut map, deadlines.next()));
    });
    group.bench_function("BTreeMap, 1,000 later", |bencher| {
        let (mut deadlines, mut pending) = (Deadlines::new(), VecDeque::new());
        bencher.iter(|| later(&mut map, deadlines.next(), &mut pending));
        pending.into_iter().for_each(|key| Timers::cancel(&mut map, key));
    });
}

fn at_once<T: Timers>(timers: &mut T, deadline: u64) {
    let key = timers.insert(deadline, u32::MAX);
    timers.cancel(black_box(key));
}

fn later<T: Timers>(timers: &mut T, deadline: u64, pending: &mut VecDeque<T::Key>) {
    pending.push_back(timers.insert(deadline, u32::MAX));
    if pending.len() > LAG {
        timers.cancel(pending.pop_front().expect("not empty"));
    }
}

fn expiry(criterion: &mut Criterion, count: usize) {
    let deadlines = random_deadlines(count);
    check_never_early::<Wheel>(&deadlines);
    let mut group = criterion.benchmark_group("expiry");
    group.sampling_mode(SamplingMode::Flat);
    let runners: [(&str, Runner); 4] = [
        ("wheel, each at its instant", |deadlines| time_expiry(Wheel::filled(deadlines), next_instant)),
        ("wheel, every millisecond", |deadlines| time_expiry(Wheel::filled(deadlines), next_tick)),
        ("BTreeMap, each at its instant", |deadlines| time_expiry(BTreeMap::filled(deadlines), next_instant)),
        ("BTreeMap, every millisecond", |deadlines| time_expiry(BTreeMap::filled(deadlines), next_tick)),
    ];
    for (name, run) in runners {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iters| {
                let rounds = iters.div_ceil(count as u64);
                let took: Duration = (0..rounds).map(|_| run(&deadlines)).sum();
                took.mul_f64(iters as f64 / (rounds * count as u64) as f64)
            });
        });
    }
}

/// The instant a sleeper wakes at.
fn next_instant<T: Timers>(timers: &mut T, _: u64) -> Option<u64> {
    timers.next_deadline()
}

/// The instant somebody busy looks at.
fn next_tick<T: Timers>(_: &mut T, now: u64) -> Option<u64> {
    (now < SPAN).then_some(now + TICK)
}

/// Lets everything expire at the instants that `next` gives, and hands each owner and instant to `seen`.
fn expire_all<T: Timers>(timers: &mut T, next: fn(&mut T, u64) -> Option<u64>, mut seen: impl FnMut(u32, u64)) {
    let mut now = 0;
    while let Some(instant) = next(timers, now) {
        now = instant;
        while let Some(owner) = timers.pop_expired(now) {
            seen(owner, now);
        }
    }
}

fn time_expiry<T: Timers>(mut timers: T, next: fn(&mut T, u64) -> Option<u64>) -> Duration {
    let begin = Instant::now();
    expire_all(&mut timers, next, |owner, _| {
        black_box(owner);
    });
    begin.elapsed()
}

fn check_never_early<T: Timers>(deadlines: &[u64]) {
    for next in [next_instant, next_tick] {
        let mut expired = 0;
        expire_all(&mut T::filled(deadlines), next, |owner, now| {
            assert!(deadlines[owner as usize] <= now, "a timer was early");
            expired += 1;
        });
        assert_eq!(expired, deadlines.len());
    }
}

/// Prints how late sleeps are.
fn lateness(sleeps: u64) {
    println!("\nlateness of {sleeps} sleeps each, in us (p50 / p99 / max)");
    println!("{:>9} {:>24} {:>24} {:>24}", "sleep", "dormouse", "tokio", "std::thread");
    for micros in SLEEPS {
        let duration = Duration::from_micros(micros);
        let rows = [dormouse_sleeps, tokio_sleeps, thread_sleeps].map(|run| summary(&run(sleeps, duration)));
        println!("{:>9} {:>24} {:>24} {:>24}", format!("{micros} us"), rows[0], rows[1], rows[2]);
    }
}

fn summary(late: &Histogram<u64>) -> String {
    let micros = |nanos: u64| nanos as f64 / 1_000.0;
    let [p50, p99] = [0.5, 0.99].map(|quantile| micros(late.value_at_quantile(quantile)));
    format!("{p50:.0} / {p99:.0} / {:.0}", micros(late.max()))
}

/// Records how late a sleep is that began at `begin` and ends now.
fn record(late: &mut Histogram<u64>, begin: Instant, duration: Duration) {
    let slept = begin.elapsed();
    assert!(slept >= duration, "a sleep of {duration:?} took {slept:?}");
    late.record((slept - duration).as_nanos() as u64).expect("a histogram without bounds");
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits")
}

fn dormouse_sleeps(count: u64, duration: Duration) -> Histogram<u64> {
    on_one_worker(|| sleep_on_thread(count, duration, dormouse::thread::sleep))
}

fn thread_sleeps(count: u64, duration: Duration) -> Histogram<u64> {
    sleep_on_thread(count, duration, std::thread::sleep)
}

fn sleep_on_thread(count: u64, duration: Duration, sleep: fn(Duration)) -> Histogram<u64> {
    let mut late = histogram();
    for _ in 0..count {
        let begin = Instant::now();
        sleep(duration);
        record(&mut late, begin, duration);
    }
    late
}

fn tokio_sleeps(count: u64, duration: Duration) -> Histogram<u64> {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        let mut late = histogram();
        for _ in 0..count {
            let begin = Instant::now();
            tokio::time::sleep(duration).await;
            record(&mut late, begin, duration);
        }
        late
    })
}
