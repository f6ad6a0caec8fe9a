//! fork(2): how a process knows what it inherited and cannot use.
//!
//! A child has its parent's memory and descriptors, and of its threads only the one that forked. Of a runtime that leaves
//! nothing that runs: coroutines whose workers are gone, locks that may be held for ever, and epoll instances and eventfds that
//! are still its parent's, which feels whatever is done to them. So a child lets all of that be. It is told of its birth by
//! a handler of pthread_atfork(3), which costs nobody anything before; this room owns that, and what each process makes
//! anew. Does not know what a runtime is.
//!
//! | in a child, what is inherited | |
//! |---|---|
//! | the coroutine that forked, and so its worker | runs on until it would park, spawn or wake another, which panics (`worker/orphan.rs`) |
//! | workers, coroutines | never sent anything; a wake is refused with a panic (`current.rs`) |
//! | other runtimes, by a handle | a spawn is refused, the end left to the parent, whoever forked (`runtime.rs`, `handle.rs`) |
//! | a socket's registrations | forgotten without a word to epoll (`wait.rs`), and superseded by others (`source.rs`) |
//! | the registry of workers, the lot of locks, pools of threads | left alone; the child has its own |
//! | listeners for signals | answer an error (`signal.rs`) |
//!
//! Invariant 1: the handlers are async-signal-safe: they store to atomics and cells, and call nothing that allocates or locks.
//! Invariant 2: a child made in another way (clone(2), `_Fork`) does not know that it is one. It may do nothing but exec or
//! exit. One of vfork(2) or posix_spawn(3) shares its parent's memory, and must not be told.

#![allow(unsafe_code)]

use crate::sys;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// What a use of the parent's runtime panics with.
pub(crate) const DEAD: &str =
    "the runtime stayed with the parent process: in a child of fork(2) it is dead, and its coroutines with it";

/// How many forks lie between this process and the first that counted.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Whether this process has forked, or is about to.
static FORKED: AtomicBool = AtomicBool::new(false);

/// What a child calls, once the handlers are installed.
static INSTALLED: OnceLock<fn()> = OnceLock::new();

/// Installs the handlers, once for the process; later calls change nothing. `in_child` is called first thing in each child.
/// Fails with ENOMEM.
pub(crate) fn install(in_child: fn()) -> io::Result<()> {
    if INSTALLED.get().is_none() {
        // Two that come at once both install it: to be told twice is as good as once. One that fails may try again.
        sys::fork::on_fork(before, after)?;
        let _ = INSTALLED.set(in_child);
    }
    Ok(())
}

extern "C" fn before() {
    // ORDERING: Relaxed; what is closed at the same time on another thread may miss it, and then is not told of at all.
    FORKED.store(true, Ordering::Relaxed);
}

extern "C" fn after() {
    // ORDERING: Relaxed; a child has one thread.
    FORKS.fetch_add(1, Ordering::Relaxed);
    if let Some(in_child) = INSTALLED.get() {
        in_child();
    }
}

/// Tells the processes of a line of descent apart.
#[inline]
pub(crate) fn count() -> u32 {
    // ORDERING: Relaxed; it changes while a process has one thread only.
    FORKS.load(Ordering::Relaxed)
}

/// Whether another process may hold this one's descriptors by a fork.
pub(crate) fn has_forked() -> bool {
    // ORDERING: Relaxed; see `before`.
    FORKED.load(Ordering::Relaxed)
}

/// A value of which each process makes its own. What it inherits it leaves alone, perhaps locked.
///
/// Invariant: the pointer is null or came from a box, which is never given back.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    /// The value, and whose.
    owned: AtomicPtr<Owned<T>>,
}

/// A value and the process that made it, by [`count`].
#[derive(Debug)]
struct Owned<T> {
    /// Whose.
    process: u32,
    /// The value.
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess { owned: AtomicPtr::new(std::ptr::null_mut()) }
    }

    fn owned(&self) -> (*mut Owned<T>, Option<&Owned<T>>) {
        // ORDERING: Acquire; pairs with the Release exchange in `get`.
        let pointer = self.owned.load(Ordering::Acquire);
        // SAFETY: the invariant.
        (pointer, unsafe { pointer.as_ref() })
    }

    /// This process's, made if there is none. Of two that are made at once, one is dropped.
    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> &T {
        let process = count();
        match self.owned() {
            (_, Some(owned)) if owned.process == process => &owned.value,
            (before, _) => self.make(before, Owned { process, value: make() }),
        }
    }

    #[cold]
    fn make(&self, before: *mut Owned<T>, made: Owned<T>) -> &T {
        let made = Box::into_raw(Box::new(made));
        // ORDERING: Release publishes what was made to the Acquire loads; Acquire on failure for what another made.
        match self.owned.compare_exchange(before, made, Ordering::Release, Ordering::Acquire) {
            // SAFETY: the invariant; it was made just now.
            Ok(_) => &unsafe { &*made }.value,
            Err(other) => {
                // SAFETY: made above, and not published.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: the invariant; what is there was made by another thread of this process, as the value before was not.
                &unsafe { &*other }.value
            }
        }
    }

    /// This process's, if it was made. Async-signal-safe.
    pub(crate) fn present(&self) -> Option<&T> {
        self.owned().1.filter(|owned| owned.process == count()).map(|owned| &owned.value)
    }

    /// Whether there is one, but another process's.
    pub(crate) fn is_inherited(&self) -> bool {
        self.owned().1.is_some_and(|owned| owned.process != count())
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_process_share_one_value() {
        static SHARED: PerProcess<u64> = PerProcess::new();
        let start = std::sync::Barrier::new(4);
        let made = |own: u64| {
            start.wait();
            std::ptr::from_ref(SHARED.get(|| own)).addr()
        };
        let all: Vec<_> = std::thread::scope(|s| {
            let threads: Vec<_> = (0..4).map(|own| s.spawn(move || made(own))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|address| *address == all[0]));
        assert!(!SHARED.is_inherited());
    }
}
