//! What every behaviour test shares: a bound on its time, a child process to fail in, and readers of /proc.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::panic::resume_unwind;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Names the test whose body a child process is to run.
const CHILD: &str = "DORMOUSE_TEST_CHILD";

/// The exit status of a child that came to the end of its body: one that ran no test at all ends with 0.
const DONE: i32 = 86;

/// Calls `f` on a thread of its own and panics if that takes longer than `seconds`: a hang fails with a message.
#[track_caller]
pub(crate) fn bounded<T: Send + 'static>(seconds: u64, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, end) = channel();
    let body = thread::Builder::new().stack_size(16 << 20).spawn(move || {
        let value = f();
        let _ = done.send(());
        value
    });
    let body = body.unwrap();
    match end.recv_timeout(Duration::from_secs(seconds)) {
        Err(RecvTimeoutError::Timeout) => panic!("hung: not done within {seconds} s"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => body.join().unwrap_or_else(|panic| resume_unwind(panic)),
    }
}

/// As `dormouse::run`, on one worker: for what is told by the order in which coroutines run.
#[track_caller]
pub(crate) fn run<T>(f: impl FnOnce() -> T) -> T {
    dormouse::Builder::new().workers(1).run(f).expect("the runtime cannot start")
}

/// How a child process ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Its standard error.
    pub(crate) stderr: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Ended {
    /// The signal that killed it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Whether it came to the end of its body.
    pub(crate) fn is_done(&self) -> bool {
        self.status.code() == Some(DONE)
    }

    /// Panics with its standard error unless it came to the end of its body.
    #[track_caller]
    pub(crate) fn succeeded(&self) {
        assert!(self.is_done(), "the child ended with {}:\n{}", self.status, self.stderr);
    }

    /// Panics unless standard error holds each of `pieces`.
    #[track_caller]
    pub(crate) fn said(&self, pieces: &[&str]) {
        for piece in pieces {
            assert!(self.stderr.contains(piece), "{piece:?} is not in the child's standard error:\n{}", self.stderr);
        }
    }
}

/// Runs `body` in a fresh process, which re-executes this test binary for the test `test` alone, and tells how it ended;
/// kills it and panics if that takes longer than `seconds`.
///
/// `test` is the name of the calling test: it calls this first, and in the child this does not return.
#[track_caller]
pub(crate) fn child(test: &str, seconds: u64, body: fn()) -> Ended {
    if part(test).is_some() {
        body();
        end_child();
    }
    child_part(test, "", seconds)
}

/// In a child process made for this test: which part of it is meant.
pub(crate) fn part(test: &str) -> Option<String> {
    let name = std::env::var(CHILD).ok()?;
    name.split_once(' ').filter(|(meant, _)| *meant == test).map(|(_, part)| part.to_owned())
}

/// Ends a child that came to the end of its body.
pub(crate) fn end_child() -> ! {
    std::process::exit(DONE);
}

/// As [`child`], for one part of a test that asks [`part`] first, and then ends.
#[track_caller]
pub(crate) fn child_part(test: &str, part: &str, seconds: u64) -> Ended {
    let start = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{test} {part}"))
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        let _ = pipe.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(seconds) {
            let _ = child.kill();
            let _ = child.wait();
            panic!("hung: the child was not done within {seconds} s; it said:\n{}", reader.join().unwrap());
        }
        thread::sleep(Duration::from_millis(2));
    };
    Ended { status, stderr: reader.join().unwrap(), took: start.elapsed() }
}

/// Polls until `condition` holds; panics, naming `what`, if it does not within `seconds`. For what has no event to wait
/// for (another thread's state, the kernel's figures). Suspends a coroutine, blocks a plain thread.
#[track_caller]
pub(crate) fn eventually(seconds: u64, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(seconds), "did not happen within {seconds} s: {what}");
        dormouse::thread::sleep(Duration::from_micros(500));
    }
}

/// Waits until this process has `count` threads. One that has been joined may be listed for a moment still: the kernel tells the
/// joiner before it takes the thread off the list.
#[track_caller]
pub(crate) fn threads_become(count: usize) {
    eventually(5, &format!("this process has {count} threads"), || threads() == count);
}

/// Threads of this process.
pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Open descriptors of this process, the one that reads them included.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Memory mappings of this process.
pub(crate) fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

/// A field of a status file of /proc, as a number.
#[track_caller]
pub(crate) fn status_field(path: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_else(|| panic!("no {field} in {path}"));
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Resident KiB of this process.
pub(crate) fn resident_kib() -> u64 {
    status_field("/proc/self/status", "VmRSS")
}

/// The kernel's number of the calling OS thread.
pub(crate) fn thread_number() -> i32 {
    // SAFETY: takes no argument and cannot fail.
    unsafe { libc::gettid() }
}

/// How often an OS thread of this process went to sleep so far.
pub(crate) fn wake_ups(thread: i32) -> u64 {
    status_field(&format!("/proc/self/task/{thread}/status"), "voluntary_ctxt_switches")
}

/// Nanoseconds that an OS thread of this process has run.
pub(crate) fn cpu_nanos(thread: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// Sets the soft limit of `resource` for this process.
pub(crate) fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one rlimit.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut old) }, 0);
    let new = libc::rlimit { rlim_cur: value.min(old.rlim_max), rlim_max: old.rlim_max };
    // SAFETY: reads one rlimit.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const new) }, 0);
}

/// Uses at least `bytes` of stack, and not much more, writing to every page.
pub(crate) fn use_stack(bytes: usize) {
    fn down(from: usize, bytes: usize) {
        let place = std::hint::black_box([1u8; 256]);
        if from - (&raw const place as usize) < bytes {
            down(from, bytes);
        }
        std::hint::black_box(&place);
    }
    let top = 0u8;
    down(&raw const top as usize, bytes);
}

/// Small random numbers that repeat from run to run.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Whether a join's error is a cancellation.
pub(crate) fn is_cancelled<T>(joined: &std::thread::Result<T>) -> bool {
    joined.as_ref().is_err_and(|payload| payload.is::<dormouse::Cancelled>())
}

/// The text of a panic.
pub(crate) fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).into())).unwrap_or_else(|| "no text".into())
}

/// Calls a closure when dropped.
#[derive(Debug)]
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
