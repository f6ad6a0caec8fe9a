//! What is thrown: whose unwind it is, and why.
//!
//! Owns the payload, and the count of those thrown into a coroutine that nobody has let go of yet.

use crate::current;
use std::any::Any;
use std::time::Instant;

/// What unwinds a coroutine that was cancelled, and what its `join` then answers as the error. What unwinds to a
/// [`timeout`](crate::time::timeout) that is over is one of these, too. Cannot be made outside.
///
/// Code that catches unwinds to keep a panic from spreading lets these pass, by [`resume_unwind`](std::panic::resume_unwind):
/// swallowed, the next cancellation point throws another.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{Cancelled, run, thread};
///
/// let handle = run(|| thread::spawn(thread::park));
/// assert!(handle.join().unwrap_err().is::<Cancelled>());
/// ```
#[derive(Debug)]
pub struct Cancelled {
    /// The coroutine, or plain thread, that unwinds by it; 0 if none does.
    unwinds: u64,
    /// When a timeout was found to be over, if that is the reason.
    expired: Option<Instant>,
}

impl Cancelled {
    /// Whether it is on its way to a [`timeout`](crate::time::timeout), and not the end of the coroutine.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::{Cancelled, run, thread, time};
    /// use std::panic::{catch_unwind, resume_unwind};
    /// use std::time::Duration;
    ///
    /// let late = run(|| {
    ///     time::timeout(Duration::from_millis(1), || {
    ///         let payload = catch_unwind(thread::park).unwrap_err();
    ///         assert!(payload.downcast_ref::<Cancelled>().unwrap().is_timeout());
    ///         resume_unwind(payload);
    ///     })
    /// });
    /// assert!(late.is_err());
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.expired.is_some()
    }
}

/// Whoever caught the unwind and lets go of this has swallowed it: the next cancellation point throws again.
impl Drop for Cancelled {
    fn drop(&mut self) {
        current::with_coroutine(|worker| {
            if let Some(worker) = worker {
                worker.with_running(|slot| {
                    let own = slot.record.id == self.unwinds;
                    slot.life.thrown = slot.life.thrown.saturating_sub(u8::from(own));
                });
            }
        });
    }
}

impl std::fmt::Display for Cancelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_timeout() { "a timeout was over" } else { "the coroutine was cancelled" })
    }
}

impl std::error::Error for Cancelled {}

/// What `join` gives for a coroutine that never ran, or never will again.
pub(crate) fn payload() -> Box<dyn Any + Send> {
    Box::new(Cancelled { unwinds: 0, expired: None })
}

/// What would be thrown into the caller, for one that takes it as an error.
pub(crate) fn value() -> Cancelled {
    Cancelled { unwinds: 0, expired: due_by_time().unwrap_or(true).then(Instant::now) }
}

/// Whether it is by time that something strikes the calling coroutine, if one calls. Nobody cancels a plain thread.
fn due_by_time() -> Option<bool> {
    current::with_coroutine(|worker| {
        let terms = worker?.with_running(|slot| slot.life.terms);
        Some(terms.is_expired() && !terms.owes_cancel())
    })
}

/// Who runs: a coroutine or a plain thread.
fn own_id() -> u64 {
    let coroutine = current::with_coroutine(|worker| Some(worker?.with_running(|slot| slot.record.id)));
    coroutine.unwrap_or_else(|| current::os_thread().id)
}

/// `payload` as what was thrown into the caller, if it was.
fn own(payload: &(dyn Any + Send)) -> Option<&Cancelled> {
    payload.downcast_ref::<Cancelled>().filter(|cancelled| cancelled.unwinds == own_id())
}

/// Whether `payload` is what was thrown into the calling coroutine or thread.
pub(crate) fn is_own(payload: &(dyn Any + Send)) -> bool {
    own(payload).is_some()
}

/// Whether `payload` was thrown into the caller since a timeout was over, when one until `limit` was as well.
pub(crate) fn ends(payload: &(dyn Any + Send), limit: Instant) -> bool {
    own(payload).and_then(|cancelled| cancelled.expired).is_some_and(|when| limit <= when)
}

/// Unwinds the caller. No panic hook runs: nothing went wrong.
#[cold]
pub(crate) fn throw() -> ! {
    let expired = due_by_time().unwrap_or(true).then(Instant::now);
    let thrown = Cancelled { unwinds: own_id(), expired };
    current::with_coroutine(|worker| {
        if let Some(worker) = worker {
            worker.with_running(|slot| slot.life.thrown = slot.life.thrown.saturating_add(1));
        }
    });
    std::panic::resume_unwind(Box::new(thrown))
}
