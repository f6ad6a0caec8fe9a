//! What tests of sockets of any family share: the three settings in which each behaviour must hold, and directories for
//! socket files. The watchdog, the channel that parks and the readers of /proc come from `tcp_support`.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

#[path = "../tcp_support/mod.rs"]
mod tcp_support;

pub(crate) use tcp_support::{
    Channel, Kid, LIMIT, Random, Task, Worker, bounded, check_pattern, fds, gettid, is_kid, pattern_bytes,
    receive_pattern, resident, run, run_with, send_pattern, settle, switches_of, wait_blocked_in, wait_until, workers,
};

use dormouse::Builder;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How much later than its timeout a wait may end on a loaded machine.
pub(crate) const SLACK: Duration = Duration::from_millis(2000);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What code runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Coroutine,
    Thread,
}

/// What each side of a conversation runs as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) server: Kind,
    pub(crate) client: Kind,
}

/// Something that was started and can be joined, from a coroutine and from a plain thread alike.
pub(crate) struct Started<T> {
    /// What it gives, or its panic.
    result: Arc<Channel<std::thread::Result<T>>>,
}

impl Kind {
    /// Runs `f` as a coroutine of the present runtime or as a plain thread.
    pub(crate) fn spawn<T: Send + 'static>(self, f: impl FnOnce() -> T + Send + 'static) -> Started<T> {
        let result = Channel::new();
        let answer = Arc::clone(&result);
        let body = move || answer.send(catch_unwind(AssertUnwindSafe(f)));
        match self {
            Kind::Coroutine => drop(dormouse::spawn(body)),
            Kind::Thread => drop(std::thread::spawn(body)),
        }
        Started { result }
    }
}

impl Setting {
    pub(crate) fn server<T: Send + 'static>(self, f: impl FnOnce() -> T + Send + 'static) -> Started<T> {
        self.server.spawn(f)
    }

    pub(crate) fn client<T: Send + 'static>(self, f: impl FnOnce() -> T + Send + 'static) -> Started<T> {
        self.client.spawn(f)
    }

    /// Server and client by turns: for crowds of equals.
    pub(crate) fn nth<T: Send + 'static>(self, n: usize, f: impl FnOnce() -> T + Send + 'static) -> Started<T> {
        if n.is_multiple_of(2) { self.server(f) } else { self.client(f) }
    }

    /// Whether there are only coroutines.
    pub(crate) fn is_all_coroutines(self) -> bool {
        self.server == Kind::Coroutine && self.client == Kind::Coroutine
    }
}

impl<T> Started<T> {
    #[track_caller]
    pub(crate) fn join(self) -> T {
        self.result.recv().unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Whether there is a result to join for.
    pub(crate) fn is_finished(&self) -> bool {
        !self.result.is_empty()
    }
}

/// Runs `body` with all sides coroutines, with all sides plain threads, and mixed (each side once a coroutine while the
/// other is a thread). Each run is bounded in time. `body` itself is a coroutine on two workers, except among threads
/// only, where it is a thread too.
#[track_caller]
pub(crate) fn in_three_settings(body: impl Fn(Setting) + Send + Sync + 'static) {
    use Kind::{Coroutine, Thread};
    let body = Arc::new(body);
    for (server, client) in [(Coroutine, Coroutine), (Thread, Thread), (Coroutine, Thread), (Thread, Coroutine)] {
        let (setting, body) = (Setting { server, client }, Arc::clone(&body));
        bounded(move || {
            let run = move || body(setting);
            let result = catch_unwind(AssertUnwindSafe(|| match (server, client) {
                (Thread, Thread) => run(),
                _ => Builder::new().workers(2).run(run).unwrap(),
            }));
            result.unwrap_or_else(|panic| {
                eprintln!("fails with {setting:?}");
                resume_unwind(panic)
            });
        });
    }
}

/// Asserts that `call` fails as a timeout of std does on Linux, not before `timeout` and not much after.
#[track_caller]
pub(crate) fn expires<T: std::fmt::Debug>(timeout: Duration, call: impl FnOnce() -> io::Result<T>) {
    let start = Instant::now();
    let error = call().unwrap_err();
    let took = start.elapsed();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(took >= timeout, "early: {took:?} of {timeout:?}");
    assert!(took < timeout + SLACK, "late: {took:?} of {timeout:?}");
}

/// Asserts that two calls, ours and std's, fail alike.
#[track_caller]
pub(crate) fn same_error<T: std::fmt::Debug, U: std::fmt::Debug>(ours: io::Result<T>, std: io::Result<U>) {
    let (ours, std) = (ours.unwrap_err(), std.unwrap_err());
    assert_eq!((ours.kind(), ours.raw_os_error()), (std.kind(), std.raw_os_error()));
    assert_eq!(ours.to_string(), std.to_string());
}

/// A directory of the calling test's own, removed when dropped.
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(crate) fn new() -> Directory {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("dormouse-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Directory { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
