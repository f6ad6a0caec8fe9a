//! Coroutines that keep their worker from the poller: who is told of, to whom, and how often.
//!
//! The logger of this process keeps its lines under a lock of ours, so that it parks. What blocks here blocks by std's sleep,
//! which is what a long run looks like to a worker: no yield. It is not waited for by anybody.

mod support;

use dormouse::metrics::WorkerMetrics;
use dormouse::sync::Mutex;
use dormouse::{Builder, metrics, spawn, thread};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use support::{OnDrop, bounded, eventually};

/// Milliseconds from which on a run is long here: what else runs on the machine keeps a worker from running, too.
const LIMIT: u64 = 100;

/// Milliseconds of a long run.
const LONG: u64 = 150;

/// What was said through `log` by this process.
struct Logger(Mutex<Vec<String>>);

static LOGGER: LazyLock<Logger> = LazyLock::new(|| Logger(Mutex::new(Vec::new())));

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "dormouse"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            assert_eq!(record.level(), log::Level::Warn);
            let line = record.args().to_string();
            assert!(!line.contains("panics the logger"));
            self.0.lock().unwrap_or_else(|poison| poison.into_inner()).push(line);
        }
    }

    fn flush(&self) {}
}

fn listen() {
    static LISTENS: std::sync::Once = std::sync::Once::new();
    LISTENS.call_once(|| {
        log::set_logger(&*LOGGER).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
}

/// The lines that name this.
fn said(of: &str) -> Vec<String> {
    let lines = LOGGER.0.lock().unwrap_or_else(|poison| poison.into_inner());
    lines.iter().filter(|line| line.contains(of)).cloned().collect()
}

/// The first line that names this, which comes soon.
fn soon_said(of: &str) -> String {
    eventually(5, "it is reported", || !said(of).is_empty());
    said(of).remove(0)
}

/// Keeps the worker.
fn block(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.into())
}

fn total() -> WorkerMetrics {
    metrics().total
}

/// Runs `f` on one worker, which reports.
fn reporting<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    listen();
    bounded(20, || Builder::new().workers(1).long_run(Some(Duration::from_millis(LIMIT))).run(f).unwrap())
}

#[test]
fn the_culprit_is_named_with_its_place_and_its_time() {
    reporting(|| {
        let (line, culprit) = (line!(), named("alone").spawn(|| block(LONG)).unwrap());
        culprit.join().unwrap();
        let said = soon_said("'alone'");
        let start = format!("coroutine 'alone', spawned at tests/long_runs.rs:{line}:");
        assert!(said.starts_with(&start) && said.contains("kept its worker from the poller for"), "{said}");
        let figures = total();
        assert_eq!(figures.long_runs, 1);
        assert!(figures.longest_run >= Duration::from_millis(LONG), "{figures:?}");
    });
}

/// What comes first after a sleep is timed from the wake-up on, and the sleep itself is nobody's run.
#[test]
fn the_first_to_run_after_a_sleep_is_timed_and_the_sleep_is_not() {
    reporting(|| {
        let sleeper = named("just woken").spawn(|| {
            thread::sleep(Duration::from_millis(300));
            block(LONG);
        });
        thread::sleep(Duration::from_millis(200));
        assert_eq!(total().long_runs, 0);
        sleeper.unwrap().join().unwrap();
        let said = soon_said("'just woken'");
        assert!(said.starts_with("coroutine 'just woken'"), "{said}");
        assert_eq!(total().long_runs, 1);
    });
}

/// As above, where no timer ends the sleep, so that nothing else reads the clock before the coroutine runs.
#[test]
fn a_sleep_that_a_message_ends_is_nobodys_run() {
    reporting(|| {
        let own = thread::current();
        let outside = std::thread::spawn(move || {
            block(3 * LIMIT);
            own.unpark();
        });
        thread::park();
        outside.join().unwrap();
        spawn(|| ()).join().unwrap();
        assert_eq!(total().long_runs, 0);
    });
}

/// Calls `once` with names until it says what is to be shown: what else runs on the machine may keep it from coming about.
fn until_shown(name: &str, once: impl Fn(String) -> bool + Copy + Send + 'static) {
    let shown = (0..20).any(|n| {
        let name = format!("{name} {n}");
        reporting(move || once(name))
    });
    assert!(shown, "{name}");
}

/// Short runs are not timed one by one: whoever is the first among them to take long has company in the report.
#[test]
fn a_long_run_among_short_ones_names_all_it_may_have_been() {
    until_shown("in a crowd", |name| {
        let stop = Arc::new(AtomicBool::new(false));
        let yielding = |until: Arc<AtomicBool>| {
            move || {
                while !until.load(SeqCst) {
                    thread::yield_now();
                }
            }
        };
        let others: Vec<_> = (0..100).map(|_| spawn(yielding(Arc::clone(&stop)))).collect();
        let culprit = named(&name).spawn(move || {
            (0..2000).for_each(|_| thread::yield_now());
            block(LONG);
            (0..2000).for_each(|_| thread::yield_now());
            stop.store(true, SeqCst);
        });
        culprit.unwrap().join().unwrap();
        others.into_iter().for_each(|other| other.join().unwrap());
        let said = soon_said(&name);
        assert!(said.contains("kept their worker") || said.starts_with("coroutine 'in a crowd"), "{said}");
        said.starts_with("one of ")
            && said.contains("or several together")
            && said.contains("times coroutine '<unnamed>', spawned at tests/long_runs.rs:")
    });
}

/// Whoever has ended when the clock is read is named all the same.
#[test]
fn a_culprit_that_has_ended_is_among_the_suspects() {
    until_shown("gone by then", |name| {
        for round in 0..200 {
            let short: Vec<_> = (0..40).map(|_| spawn(|| ())).collect();
            if round == 199 {
                named(&name).spawn(|| block(LONG)).unwrap().join().unwrap();
            }
            short.into_iter().for_each(|short| short.join().unwrap());
        }
        soon_said(&name).starts_with("one of ")
    });
}

#[test]
fn reports_are_limited_and_tell_how_many_were_not_made() {
    reporting(|| {
        let run_long = || named("again and again").spawn(|| block(LONG)).unwrap().join().unwrap();
        (0..3).for_each(|_| run_long());
        soon_said("'again and again'");
        assert_eq!(said("'again and again'").len(), 1);
        thread::sleep(Duration::from_millis(1100));
        run_long();
        eventually(5, "the second report", || said("'again and again'").len() == 2);
        let second = said("'again and again'").remove(1);
        assert!(second.ends_with("(2 long runs of this worker were not reported since the last)"), "{second}");
        assert_eq!(total().long_runs, 4);
    });
}

#[test]
fn the_limit_can_be_set_and_turned_off() {
    listen();
    bounded(20, || {
        let run_long = |limit: Option<Duration>, name: &'static str| {
            let figures = Builder::new().workers(1).long_run(limit).run(move || {
                named(name).spawn(|| block(LONG)).unwrap().join().unwrap();
                thread::sleep(Duration::from_millis(1));
                total()
            });
            figures.unwrap()
        };
        let short = run_long(Some(Duration::from_millis(LIMIT)), "over a small limit");
        let long = run_long(Some(Duration::from_secs(3600)), "under a large limit");
        let none = run_long(None, "without a limit");
        assert_eq!([short.long_runs, long.long_runs, none.long_runs], [1, 0, 0]);
        assert!(none.longest_run >= Duration::from_millis(LONG), "{none:?}");
        assert_eq!(said("'over a small limit'").len(), 1);
        assert!(said("under a large limit").is_empty() && said("without a limit").is_empty());
    });
}

/// A logger may park, since it is called in a coroutine: the worker goes on, and so does whoever holds the logger's lock.
#[test]
fn a_logger_that_waits_for_a_lock_keeps_nobody() {
    reporting(|| {
        let held = LOGGER.0.lock().unwrap_or_else(|poison| poison.into_inner());
        named("while the lock is held").spawn(|| block(LONG)).unwrap().join().unwrap();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(1));
            assert!(!held.iter().any(|line| line.contains("while the lock is held")));
        }
        drop(held);
        soon_said("'while the lock is held'");
    });
}

#[test]
fn a_logger_that_panics_harms_nobody() {
    reporting(|| {
        named("panics the logger").spawn(|| block(LONG)).unwrap().join().unwrap();
        thread::sleep(Duration::from_millis(5));
        assert_eq!(spawn(|| 5).join().unwrap(), 5);
        assert_eq!(total().live, 1, "the coroutine of the report has ended");
    });
}

#[test]
fn a_long_run_at_the_very_end_is_reported_too() {
    reporting(|| {
        let waits = named("in its last Drop").spawn(|| {
            let _on_drop = OnDrop(|| block(LONG));
            thread::park();
        });
        drop(waits);
        thread::sleep(Duration::from_millis(2));
    });
    assert_eq!(said("'in its last Drop'").len(), 1);
    // While resumes are short the clock is hardly read, and after the last of them nothing would come that reads it.
    reporting(|| {
        let waits = named("in a brisk one's Drop").spawn(|| {
            let _on_drop = OnDrop(|| block(LONG));
            thread::park();
        });
        drop(waits);
        (0..1000).for_each(|_| thread::yield_now());
    });
    assert_eq!(said("'in a brisk one's Drop'").len(), 1);
}
