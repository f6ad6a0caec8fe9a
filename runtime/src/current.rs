//! The one room with `thread_local!`: which worker runs on this thread, and the thread itself as a waiting party.
//!
//! Owns the pointer, and says whether a coroutine runs. Every access to it goes through an out-of-line function, so that no
//! thread-local address is ever kept across a suspension by the compiler.
//!
//! Invariant 1: the pointer is set for the time of a worker's loop, during which the worker does not move or end.

#![allow(unsafe_code)]

use crate::os_thread::OsThread;
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

// The threads of a model are one OS thread to std.
#[cfg(dormouse_loom)]
use loom::thread_local as own_of_each_thread;
#[cfg(not(dormouse_loom))]
use std::thread_local as own_of_each_thread;

own_of_each_thread! {
    static OS_THREAD: Arc<OsThread> = Arc::new(OsThread::new());
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

/// Calls `f` with the worker of this thread, if this thread is one.
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: as above.
    f(unsafe { pointer().as_ref() })
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

/// The question of the fault handler: reports an overflow of the running coroutine's stack, and only that.
pub(crate) fn explain_fault(address: usize) -> bool {
    // SAFETY: this thread's own worker, in its signal handler, which aborts if the answer is yes.
    with_worker(|worker| worker.is_some_and(|worker| unsafe { worker.explain_fault(address) }))
}

/// Sends a record to its home, for whoever its mail word told to push.
pub(crate) fn push_mail(record: &RecordRef) {
    let Some(home) = record.home() else {
        return;
    };
    send(home, Message::Mail(record.clone()));
}

/// Sends a message to a worker of this name, if there still is one. Those of one runtime find each other without a lock.
pub(crate) fn send(home: WorkerId, message: Message) {
    with_worker(|worker| match worker.and_then(|worker| worker.fleet.find(home)) {
        Some(peer) => peer.send(message),
        None => {
            if let Some(stranger) = Remote::find(home) {
                stranger.send(message);
            }
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

/// This OS thread as a waiting party. After its thread-locals are gone, a fresh one each time.
pub(crate) fn os_thread() -> Arc<OsThread> {
    OS_THREAD.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(OsThread::new()))
}
