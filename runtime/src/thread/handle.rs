//! A reference to a coroutine or to a plain OS thread: its identity, its name, its park token.

#![allow(unsafe_code)]

use crate::coroutine::CAN_UNWIND;
use crate::current;
use crate::fork;
use crate::mail::Mail;
use crate::os_thread::OsThread;
use crate::remote::RecordRef;
use crate::slot::Event;
use std::num::NonZeroU64;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// What identifies a coroutine or a thread; never given twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadId(NonZeroU64);

impl ThreadId {
    fn new(id: u64) -> ThreadId {
        ThreadId(NonZeroU64::new(id).expect("identities start at 1"))
    }
}

/// Whom the handle names.
#[derive(Clone, Debug)]
enum Who {
    /// A coroutine.
    Coroutine(RecordRef),
    /// A plain thread.
    Os(Arc<OsThread>),
}

/// A handle to a coroutine, or to a plain OS thread that uses this library.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
///
/// run(|| {
///     let waiting = thread::spawn(thread::park);
///     waiting.thread().unpark();
///     waiting.join().unwrap();
/// });
/// ```
#[derive(Clone)]
pub struct Thread {
    /// Whom it names.
    who: Who,
}

impl Thread {
    pub(crate) fn of_coroutine(record: RecordRef) -> Thread {
        Thread { who: Who::Coroutine(record) }
    }

    /// The coroutine's record, if it is one.
    #[inline]
    pub(super) fn record(&self) -> Option<&RecordRef> {
        match &self.who {
            Who::Coroutine(record) => Some(record),
            Who::Os(_) => None,
        }
    }

    /// Moves the coroutine's record out, and only that: moving the whole handle waits for what was written of it last.
    ///
    /// # Safety
    ///
    /// The handle is neither used nor dropped after this.
    #[inline]
    pub(super) unsafe fn take_record(&mut self) -> Option<RecordRef> {
        // SAFETY: the caller's word.
        self.record().map(|record| unsafe { std::ptr::read(record) })
    }

    /// The caller's own.
    pub(crate) fn current() -> Thread {
        let record =
            current::with_coroutine(|worker| worker.map(|worker| worker.with_running(|slot| slot.record.clone())));
        Thread { who: record.map_or_else(|| Who::Os(current::os_thread()), Who::Coroutine) }
    }

    /// Makes the next (or present) [`park`](super::park) of this coroutine or thread return.
    ///
    /// There is one token: unparking twice before a park is as unparking once. What happened before `unpark` is seen after
    /// the `park` that takes the token. Has no effect on any other kind of wait, nor on one that has ended.
    ///
    /// # Blocking
    ///
    /// Never. May be called from any thread.
    pub fn unpark(&self) {
        match &self.who {
            Who::Os(thread) => thread.unpark(),
            Who::Coroutine(record) => unpark_coroutine(record),
        }
    }

    /// Asks the coroutine to end, as [`JoinHandle::cancel`](super::JoinHandle::cancel). Without effect on a plain thread, which
    /// nobody can ask, and on one that has ended.
    ///
    /// # Panics
    ///
    /// Panics in a program built with panic=abort, where nothing can unwind.
    ///
    /// # Blocking
    ///
    /// Never. May be called from any thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::{Cancelled, run, spawn, thread};
    ///
    /// run(|| {
    ///     let waiting = spawn(thread::park);
    ///     let thread = waiting.thread().clone();
    ///     spawn(move || thread.cancel());
    ///     assert!(waiting.join().unwrap_err().is::<Cancelled>());
    /// });
    /// ```
    pub fn cancel(&self) {
        refuse_abort();
        if let Who::Coroutine(record) = &self.who {
            cancel_coroutine(record);
        }
    }

    /// The identity.
    #[must_use]
    pub fn id(&self) -> ThreadId {
        match &self.who {
            Who::Os(thread) => ThreadId::new(thread.id),
            Who::Coroutine(record) => ThreadId::new(record.id),
        }
    }

    /// The name, if it was given one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.who {
            Who::Os(thread) => thread.name.as_deref(),
            Who::Coroutine(record) => record.name.as_deref().map(|name| &**name),
        }
    }
}

/// For what asks a coroutine to end.
pub(super) fn refuse_abort() {
    if !CAN_UNWIND {
        panic!("a coroutine cannot be cancelled in a program built with panic=abort");
    }
}

fn unpark_coroutine(record: &RecordRef) {
    current::with_worker(|worker| match worker {
        Some(worker) if record.started_on(worker.remote.id) => worker.deliver(record, Event::Unpark),
        _ => post(record, Mail::post_unpark),
    });
}

pub(super) fn cancel_coroutine(record: &RecordRef) {
    current::with_worker(|worker| match worker {
        Some(worker) if record.started_on(worker.remote.id) => worker.deliver(record, Event::Cancel),
        _ => post(record, Mail::post_cancel),
    });
}

/// Leaves a letter for a coroutine of another worker, or one that has not started. Panics if it is a parent process's, but
/// not in an unwind.
fn post(record: &RecordRef, letter: impl FnOnce(&Mail) -> bool) {
    if record.is_inherited() {
        assert!(std::thread::panicking(), "{}", fork::DEAD);
    } else if letter(record.mail()) {
        current::push_mail(record);
    }
}

/// As std's: whatever a panic leaves half done, a token and a name are whole.
impl UnwindSafe for Thread {}
impl RefUnwindSafe for Thread {}

impl std::fmt::Debug for Thread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Thread").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}
