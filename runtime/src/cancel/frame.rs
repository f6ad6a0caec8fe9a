//! Timeouts and shields around the code that runs: what begins with a closure and ends with it.
//!
//! Owns on what terms the caller parks inside. Frames are nested as the calls are, so that each keeps, on the stack, what held
//! before it, and nothing of a frame is known to anybody else: the worker knows the earliest limit (`worker/limits.rs`), and
//! what is thrown says when it was found to be over. Each timeout that it passes then tells by its own limit whether it is
//! meant, and so the innermost of those that are over is the one it ends.
//!
//! Invariant 1: whoever begins a frame ends it, in the reverse order.

use crate::current;
use crate::os_thread::ThreadTerms;
use crate::slot::Terms;
use crate::worker::Worker;
use std::marker::PhantomData;
use std::time::Instant;

/// A frame that has begun. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Frame {
    /// What held before.
    before: Before,
    /// It stays with whoever began it.
    stays: PhantomData<*mut ()>,
}

/// What held before a frame.
#[derive(Clone, Copy, Debug)]
enum Before {
    /// For a coroutine: its terms, and its limit.
    Coroutine(Terms, u64),
    /// For a plain thread.
    Thread(ThreadTerms),
}

impl Frame {
    /// A timeout.
    #[inline]
    pub(crate) fn until(limit: Instant) -> Frame {
        let timed = |worker: &Worker, terms: Terms, before: u64| {
            worker.set_limit(before.min(worker.clock.nanos(limit)));
            terms.inside_timeout()
        };
        let earlier =
            |before: ThreadTerms| ThreadTerms { limit: before.limit.into_iter().chain([limit]).min(), ..before };
        Frame::begin(timed, earlier)
    }

    /// A shield.
    pub(crate) fn shielded() -> Frame {
        Frame::begin(|_, terms, _| terms.inside_shield(), |before| ThreadTerms { limit: None, ..before })
    }

    /// What would be thrown inside is an error.
    pub(crate) fn erring() -> Frame {
        Frame::begin(|_, terms, _| terms.inside_errors(), |before| ThreadTerms { errors: true, ..before })
    }

    /// Nothing strikes inside.
    #[inline]
    pub(crate) fn closed() -> Frame {
        let closed = |_: &Worker, terms: Terms, _| terms.inside_closed();
        Frame::begin(closed, |_| ThreadTerms::PLAIN)
    }

    /// What holds inside, by what held before.
    #[inline]
    fn begin(
        coroutine: impl FnOnce(&Worker, Terms, u64) -> Terms,
        thread: impl FnOnce(ThreadTerms) -> ThreadTerms,
    ) -> Frame {
        let before = current::with_coroutine(|worker| match worker {
            Some(worker) => {
                let (before, limit) = (worker.with_running(|slot| slot.life.terms), worker.limit());
                let inside = coroutine(worker, before, limit);
                worker.with_running(|slot| slot.life.terms = inside);
                Before::Coroutine(before, limit)
            }
            None => {
                let before = current::thread_terms();
                current::set_thread_terms(thread(before));
                Before::Thread(before)
            }
        });
        Frame { before, stays: PhantomData }
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        match self.before {
            Before::Coroutine(terms, limit) => current::with_coroutine(|worker| {
                if let Some(worker) = worker {
                    end(worker, terms, limit);
                }
            }),
            Before::Thread(terms) => current::set_thread_terms(terms),
        }
    }
}

/// Back to what held before. Of what is noted as over, some may be left, which is then noted still.
#[inline]
fn end(worker: &Worker, before: Terms, limit: u64) {
    let inside = worker.with_running(|slot| slot.life.terms);
    let expired = before.is_expired() || inside.is_expired() && before.is_timed() && limit <= worker.clock.now();
    worker.with_running(|slot| slot.life.terms = slot.life.terms.outside(before, expired));
    if before.is_timed() {
        worker.set_limit(limit);
    }
}
