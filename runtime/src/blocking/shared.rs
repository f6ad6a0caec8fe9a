//! The pools of the process.
//!
//! Owns which pool a call is for, and to which process the pools belong. Does not know what a call is.
//!
//! A child of fork(2) inherits the pools without their threads, and perhaps locked. It lets them be, with what is in their
//! queues, and makes others: the calls that wait belong to its parent.
//!
//! Invariant 1: each process uses only the pools that have its number.

use super::pool::{Depth, Pool};
use crate::current;
use crate::sync::Semaphore;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::thread::Builder;
use std::time::Duration;

/// The most threads of a pool that is made from now on.
static LIMIT: AtomicUsize = AtomicUsize::new(512);

/// The most calls in the queue that nobody need wait for.
const UNATTENDED: usize = 1024;

/// How long a thread is idle before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// For calls whose result is waited for.
pub(super) fn for_results() -> &'static Pool {
    &Shared::of_this_process().results
}

/// For calls that a Drop makes.
pub(super) fn for_drops() -> &'static Pool {
    &Shared::of_this_process().drops
}

/// How busy both are, taken together.
pub(super) fn depth() -> Depth {
    let shared = Shared::of_this_process();
    shared.results.depth() + shared.drops.depth()
}

/// Permits to leave a call in the queue for results without waiting for it.
pub(super) fn unattended() -> &'static Semaphore {
    &Shared::of_this_process().unattended
}

/// Sets the most threads of each pool of this process, and of those of its children to come.
pub(super) fn set_limit(limit: usize) {
    // ORDERING: Relaxed; a child of fork(2) reads what this thread's memory holds, in `Shared::new`.
    LIMIT.store(limit, Ordering::Relaxed);
    for_results().set_limit(limit);
    for_drops().set_limit(limit);
}

/// The pools of one process.
struct Shared {
    /// Whose they are (invariant 1).
    process: u32,
    /// For calls whose result is waited for.
    results: Pool,
    /// For calls that a Drop makes.
    drops: Pool,
    /// One for each call that may be in the queue unattended.
    unattended: Semaphore,
    /// Those of the next process in the line of descent, in that process's memory.
    child: OnceLock<Box<Shared>>,
}

impl Shared {
    fn new() -> Shared {
        // ORDERING: Relaxed; pairs with `set_limit` on the same thread, or with none.
        let limit = LIMIT.load(Ordering::Relaxed);
        let pool = || Pool::new(limit, IDLE, start_thread);
        let unattended = Semaphore::new(UNATTENDED);
        Shared { process: std::process::id(), results: pool(), drops: pool(), unattended, child: OnceLock::new() }
    }

    fn of_this_process() -> &'static Shared {
        static FIRST: LazyLock<Shared> = LazyLock::new(Shared::new);
        let (mut shared, process) = (&*FIRST, std::process::id());
        while shared.process != process {
            shared = shared.child.get_or_init(|| Box::new(Shared::new()));
        }
        shared
    }
}

/// A worker that is pinned to a core does not pass that on: the threads are everybody's, and stay.
fn start_thread(pool: &'static Pool) -> io::Result<()> {
    let unpinned = current::with_worker(|worker| worker.and_then(|worker| worker.unpinned.clone()));
    let serve = move || {
        if let Some(cpus) = unpinned {
            // Fails if the thread may run on none of these any more. It keeps the core, then.
            let _ = cpus.apply();
        }
        current::serve();
        pool.serve();
    };
    Builder::new().name("dormouse-blocking".into()).spawn(serve).map(drop)
}
