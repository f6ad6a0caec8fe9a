//! The one room with `thread_local!`: which worker runs on this thread, and the thread itself as a waiting party.
//!
//! Owns the pointer, and says whether a coroutine runs. Every access to it goes through an out-of-line function, so that no
//! thread-local address is ever kept across a suspension by the compiler.
//!
//! Invariant 1: the pointer is set for the time of a worker's loop, during which the worker does not move or end.

#![allow(unsafe_code)]

use crate::fork;
use crate::lock::{Biased, BiasedGuard, STRANGER};
use crate::os_thread::{OsThread, ThreadTerms};
use crate::remote::{self, Block, Message, RecordRef, Remote, WorkerId};
use crate::worker::Worker;
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    static WORKER: Cell<*const Worker> = const { Cell::new(std::ptr::null()) };
}

thread_local! {
    static SERVES: Cell<bool> = const { Cell::new(false) };
}

thread_local! {
    static LOSES: Cell<bool> = const { Cell::new(false) };
}

thread_local! {
    static THREAD_TERMS: Cell<ThreadTerms> = const { Cell::new(ThreadTerms::PLAIN) };
}

// The threads of a model are one OS thread to std.
#[cfg(dormouse_loom)]
use loom::thread_local as own_of_each_thread;
#[cfg(not(dormouse_loom))]
use std::thread_local as own_of_each_thread;

own_of_each_thread! {
    static OS_THREAD: Arc<OsThread> = Arc::new(OsThread::new());
}

thread_local! {
    /// In the place of `OS_THREAD`, once that is gone. Needs no destructor, so this one stays.
    static LATE_OS_THREAD: Cell<Option<&'static Arc<OsThread>>> = const { Cell::new(None) };
}

#[inline(never)]
fn pointer() -> *const Worker {
    WORKER.get()
}

/// Calls `f` with the worker of this thread, if this code runs in one of its coroutines. Inlined, since `f` may suspend: see
/// `Suspender::suspend`.
#[inline(always)]
pub(crate) fn with_coroutine<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: null, or valid by invariant 1: we are inside the worker's loop, in a coroutine or beneath it.
    let worker = unsafe { pointer().as_ref() };
    f(worker.filter(|worker| worker.is_running()))
}

/// What is done with the worker of the coroutine that does it, and must be inlined all the way: a closure cannot say so, and
/// one that is called in several places is not.
pub(crate) trait Inlined {
    /// What it gives.
    type Output;

    /// Does it; `#[inline(always)]`.
    fn on(self, worker: Option<&Worker>) -> Self::Output;
}

/// As [`with_coroutine`].
#[inline(always)]
pub(crate) fn in_coroutine<A: Inlined>(action: A) -> A::Output {
    // SAFETY: as above.
    let worker = unsafe { pointer().as_ref() };
    action.on(worker.filter(|worker| worker.is_running()))
}

/// Calls `f` with the worker of this thread, if this thread is one.
#[inline(always)]
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: as above.
    f(unsafe { pointer().as_ref() })
}

/// Publishes the figures of the worker that the caller runs on, if it is a coroutine.
pub(crate) fn publish_figures() {
    with_coroutine(|worker| {
        if let Some(worker) = worker.filter(|worker| !worker.is_orphan()) {
            worker.publish_figures(1);
        }
    });
}

/// Takes a lock that may be biased, on the thread of `worker`, or of none.
#[inline(always)]
pub(crate) fn lock_on<'a, T>(worker: Option<&Worker>, lock: &'a Biased<T>) -> BiasedGuard<'a, T> {
    let home = worker.map_or(STRANGER, |worker| worker.remote.id.number());
    // SAFETY: a worker is known to nobody but its own thread, and its number is never given again.
    unsafe { lock.lock(home) }
}

/// Names `worker` as this thread's for as long as the value lives.
#[derive(Debug)]
pub(crate) struct Entered(());

/// Begins a worker's loop on this thread; `None` if one runs already.
pub(crate) fn enter(worker: &Worker) -> Option<Entered> {
    if !pointer().is_null() {
        return None;
    }
    WORKER.set(worker);
    Some(Entered(()))
}

impl Drop for Entered {
    fn drop(&mut self) {
        WORKER.set(std::ptr::null());
    }
}

/// Calls `lose`, which drops closures of a runtime that has come to its end. On a plain thread that is still a part of that
/// runtime to what their destructors ask for: [`is_losing`].
pub(crate) fn losing(lose: impl FnOnce()) {
    if !pointer().is_null() {
        // A coroutine may park in there, and its thread run others meanwhile; where it asks, it has a runtime.
        return lose();
    }
    let _losing = Losing(LOSES.replace(true));
    lose();
}

/// Whether this plain thread drops what a runtime has lost.
#[inline(never)]
pub(crate) fn is_losing() -> bool {
    LOSES.get()
}

/// Puts back what was said before.
struct Losing(bool);

impl Drop for Losing {
    fn drop(&mut self) {
        LOSES.set(self.0);
    }
}

/// The question of the fault handler: reports an overflow of the running coroutine's stack, and only that.
pub(crate) fn explain_fault(address: usize) -> bool {
    // SAFETY: this thread's own worker, in its signal handler, which aborts if the answer is yes.
    with_worker(|worker| worker.is_some_and(|worker| unsafe { worker.explain_fault(address) }))
}

/// What the handler of an abort calls: reports the running coroutine, if an unwind of its thread led there.
pub(crate) fn explain_abort() {
    if std::thread::panicking() {
        // SAFETY: this thread's own worker, in its signal handler.
        with_worker(|worker| worker.into_iter().for_each(|worker| unsafe { worker.explain_abort() }));
    }
}

/// Sends a record to its home, for whoever its mail word told to push.
pub(crate) fn push_mail(record: &RecordRef) {
    let Some(home) = record.home() else {
        return;
    };
    let _ = send(home, Message::Mail(record.clone()));
}

/// Sends a message to a worker of this name; `false` if there is none any more, or if it is one that a process inherited.
/// Those of one runtime find each other without a lock.
///
/// # Panics
///
/// Panics if a coroutine of a parent process was to be woken; but not in an unwind, which that would end.
pub(crate) fn send(home: WorkerId, message: Message) -> bool {
    if home.is_inherited() {
        refuse(&message);
        return false;
    }
    with_worker(|worker| match worker.and_then(|worker| worker.fleet.find(home)) {
        Some(peer) => peer.send(message),
        None => Remote::find(home).is_some_and(|stranger| stranger.send(message)),
    })
}

#[cold]
fn refuse(message: &Message) {
    let concerns_coroutine = matches!(message, Message::Mail(_) | Message::Wake(..));
    assert!(!concerns_coroutine || std::thread::panicking(), "{}", fork::DEAD);
}

/// What a child of fork(2) does first. Async-signal-safe.
pub(crate) fn forked() {
    remote::disown();
    with_worker(|worker| {
        if let Some(worker) = worker {
            worker.forked();
        }
    });
}

/// Gives the memory of a record to this thread's worker; frees it if there is none.
#[inline]
pub(crate) fn keep_block(block: Block) {
    with_worker(|worker| {
        if let Some(worker) = worker {
            worker.blocks.borrow_mut().keep(block);
        }
    });
}

/// A fresh identity, from those this thread's worker has in reserve.
#[inline]
pub(crate) fn fresh_id() -> u64 {
    with_worker(|worker| worker.map_or_else(remote::fresh_id, Worker::fresh_id))
}

/// Says that this OS thread makes calls of others, and nothing else, from now on.
pub(crate) fn serve() {
    SERVES.set(true);
}

/// Whether this OS thread does.
pub(crate) fn serves() -> bool {
    SERVES.get()
}

/// On what terms this plain thread blocks.
#[inline(never)]
pub(crate) fn thread_terms() -> ThreadTerms {
    THREAD_TERMS.get()
}

/// Changes the terms on which this plain thread blocks.
#[inline(never)]
pub(crate) fn set_thread_terms(terms: ThreadTerms) {
    THREAD_TERMS.set(terms);
}

/// This OS thread as a waiting party.
pub(crate) fn os_thread() -> Arc<OsThread> {
    OS_THREAD.try_with(Arc::clone).unwrap_or_else(|_| late_os_thread())
}

/// After its thread-locals are gone: one for all that destructors of others do yet, since a token and who takes it must be the
/// same party's. Made by a thread only if it comes to that, and kept for good: nobody tells which destructor is the last.
#[cold]
fn late_os_thread() -> Arc<OsThread> {
    let late = LATE_OS_THREAD.get().unwrap_or_else(|| Box::leak(Box::new(Arc::new(OsThread::new()))));
    LATE_OS_THREAD.set(Some(late));
    Arc::clone(late)
}
