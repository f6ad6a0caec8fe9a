//! The only suspension point: a coroutine parks here until its event, its deadline or its cancellation.
//!
//! Owns the decision whether a park may throw. Below this file nothing blocks; above it nothing knows epoll or stacks.
//!
//! Invariant 1: every suspension of a coroutine passes `checked`, which refuses inside `no_park` and throws if a
//! cancellation is due; but a scope's join, which has passed it when the scope began and must not be left by an unwind.
//! Invariant 2: the limit of a timeout is looked at when the coroutine parks, and is then a second deadline of that park.
//! Whoever parks on plain terms looks at no limit at all.

mod thread;

pub(crate) use thread::{block_for_token, block_until, on_thread, yield_thread};

use crate::cancel::{self, Point};
use crate::current;
use crate::fork;
use crate::os_thread::Parked;
use crate::readiness::Interest;
use crate::remote::SourceId;
use crate::slot::{Awaited, Outcome, Shield, Terms};
use crate::worker::{NEVER, Worker};
use std::io;
use std::time::Instant;

/// Calls `f` with this thread's worker, for a caller that knows it runs in a coroutine.
#[inline(always)]
fn in_coroutine<R>(f: impl FnOnce(&Worker) -> R) -> R {
    current::with_coroutine(|worker| f(worker.expect("only a coroutine parks on its worker")))
}

/// Calls `f`, inside which nothing strikes, as in an unwind: for the Drop of what no frame of the user's holds.
pub(crate) fn shielded<R>(f: impl FnOnce() -> R) -> R {
    let _closed = cancel::Frame::closed();
    f()
}

/// A park that is about to be.
#[derive(Clone, Copy)]
struct Leave {
    /// Whether a cancel may end it.
    shield: Shield,
    /// Whether std says that the coroutine is unwinding.
    unwinding: bool,
    /// When a timeout around it is over, if that may end it.
    limit: u64,
}

/// Something strikes where errors are asked for.
struct Struck;

/// Invariant 1.
#[inline(always)]
fn checked(worker: &Worker, point: Point) -> Result<Leave, Struck> {
    let terms = worker.with_running(|slot| slot.life.terms);
    let unwinding = std::thread::panicking();
    if terms.is_plain() && !unwinding {
        let shield = if point == Point::Shielded { Shield::Closed } else { Shield::Open };
        return Ok(Leave { shield, unwinding, limit: NEVER });
    }
    checked_cold(worker, terms, point, unwinding)
}

#[cold]
fn checked_cold(worker: &Worker, terms: Terms, point: Point, unwinding: bool) -> Result<Leave, Struck> {
    if terms.forbids_parks() {
        refuse(worker);
    }
    let errors = terms.asks_for_errors();
    let leave = leave(worker, terms, point == Point::Shielded || errors && !point.has_answer(), unwinding);
    if leave.shield != Shield::Open || !terms.is_due() {
        return Ok(leave);
    }
    // Others first: code that catches the unwind and parks again, for ever, must not keep the worker to itself.
    worker.yield_now(false);
    if errors || point == Point::Answered { Err(Struck) } else { cancel::throw() }
}

/// On these terms; for one that is `closed`, nothing ends it but its event and its deadline.
fn leave(worker: &Worker, terms: Terms, closed: bool, unwinding: bool) -> Leave {
    let shield = shield(worker, closed || terms.is_closed(), unwinding);
    worker.with_running(|slot| slot.life.terms.set_timer_strikes(false));
    // One that is unsure gets its limit when it is sure.
    let limit = if shield != Shield::Open || terms.is_expired() { NEVER } else { worker.limit() };
    Leave { shield, unwinding, limit }
}

impl Leave {
    /// When the park ends at the latest, if it is to end at `deadline`.
    #[inline(always)]
    fn bounded(self, worker: &Worker, deadline: Option<Instant>) -> Option<u64> {
        let deadline = deadline.map(|at| worker.clock.nanos(at));
        if self.limit == NEVER { deadline } else { Some(self.bounded_cold(worker, deadline)) }
    }

    #[cold]
    fn bounded_cold(self, worker: &Worker, deadline: Option<u64>) -> u64 {
        // Where both come at once, the deadline is the inner one.
        let strikes = deadline.is_none_or(|deadline| self.limit < deadline);
        worker.with_running(|slot| slot.life.terms.set_timer_strikes(strikes));
        deadline.map_or(self.limit, |deadline| deadline.min(self.limit))
    }
}

#[inline(always)]
fn shield(worker: &Worker, closed: bool, unwinding: bool) -> Shield {
    match (closed, unwinding) {
        (true, _) => Shield::Closed,
        (false, true) => shield_unwinding(worker),
        (false, false) => Shield::Open,
    }
}

#[cold]
fn shield_unwinding(worker: &Worker) -> Shield {
    if worker.is_certain() { Shield::Closed } else { Shield::Unsure }
}

#[cold]
fn refuse(worker: &Worker) -> ! {
    if worker.is_orphan() {
        panic!("{}", fork::DEAD);
    }
    panic!("parked inside no_park");
}

/// For a wait that has effects before its park: panics inside `no_park` and throws what is due, as the park would; fails where
/// errors are asked for.
pub(crate) fn check(point: Point) -> io::Result<()> {
    in_coroutine(|worker| checked(worker, point).map(drop).map_err(|Struck| cancel::error()))
}

/// Whether the running coroutine is not inside `no_park`.
pub(crate) fn is_allowed(worker: &Worker) -> bool {
    worker.with_running(|slot| !slot.life.terms.forbids_parks())
}

/// Whether the caller may wait at all: a plain thread, or a coroutine that is not inside `no_park`.
pub(crate) fn may_wait() -> bool {
    current::with_coroutine(|worker| worker.is_none_or(is_allowed))
}

/// Whether the caller unwinds, for one of whose OS thread std says so: as far as can be known.
#[cold]
pub(crate) fn unwinds() -> bool {
    current::with_coroutine(|worker| worker.is_none_or(Worker::probably_unwinds))
}

/// Whether a Drop in the calling coroutine may wait for something: not inside `no_park`, and not in an unwind, which is
/// to be over soon.
pub(crate) fn may_wait_in_drop() -> bool {
    in_coroutine(|worker| is_allowed(worker) && !(std::thread::panicking() && worker.is_certain()))
}

/// What the park answers; throws, if that is what ended it.
#[inline(always)]
fn answer(worker: &Worker, outcome: Outcome, point: Point) -> Parked {
    match outcome {
        Outcome::Woken => Parked::Woken,
        Outcome::TimedOut => Parked::TimedOut,
        Outcome::Cancelled if point == Point::Answered => Parked::Cancelled,
        Outcome::Cancelled => struck(worker),
    }
}

#[cold]
fn struck(worker: &Worker) -> Parked {
    let errors = worker.with_running(|slot| slot.life.terms.asks_for_errors());
    if errors { Parked::Cancelled } else { cancel::throw() }
}

#[inline(always)]
fn park(worker: &Worker, on: Awaited, deadline: Option<Instant>, point: Point) -> Parked {
    let Ok(leave) = checked(worker, point) else {
        return Parked::Cancelled;
    };
    let deadline = leave.bounded(worker, deadline);
    answer(worker, worker.park(on, deadline, leave.shield, leave.unwinding), point)
}

/// Parks for the internal wait begun last. See `waiter.rs`.
#[inline(always)]
pub(crate) fn park_waiting(deadline: Option<Instant>, point: Point) -> Parked {
    in_coroutine(|worker| park_waiting_on(worker, deadline, point))
}

/// As [`park_waiting`], of the coroutine that runs on this worker.
#[inline(always)]
pub(crate) fn park_waiting_on(worker: &Worker, deadline: Option<Instant>, point: Point) -> Parked {
    park_for(worker, Awaited::Wait, deadline, point)
}

/// As [`park_waiting`] for the end of a coroutine; may return because a worker was given up, whichever.
#[inline(always)]
pub(crate) fn park_joining() -> Parked {
    in_coroutine(|worker| park_for(worker, Awaited::End, None, Point::Fallible))
}

#[inline(always)]
fn park_for(worker: &Worker, on: Awaited, deadline: Option<Instant>, point: Point) -> Parked {
    if worker.with_running(|slot| slot.life.woken) {
        return Parked::Woken;
    }
    park(worker, on, deadline, point)
}

/// As [`park_waiting`], but what throws there is answered with `true`.
pub(crate) fn park_waiting_or_cancelled() -> bool {
    in_coroutine(|worker| {
        if worker.with_running(|slot| slot.life.woken) {
            return false;
        }
        let terms = worker.with_running(|slot| slot.life.terms);
        let leave = leave(worker, terms, false, std::thread::panicking());
        terms.is_due() && leave.shield == Shield::Open || {
            let limit = leave.bounded(worker, None);
            worker.park(Awaited::Wait, limit, leave.shield, leave.unwinding) == Outcome::Cancelled
        }
    })
}

/// Takes the user's token, parking until it is there or the deadline passed.
#[inline]
pub(crate) fn park_token(worker: &Worker, deadline: Option<Instant>) {
    let has_token = || worker.with_running(|slot| slot.life.token);
    let parked = if has_token() {
        checked(worker, Point::Fallible).map_or(Parked::Cancelled, |_| Parked::Woken)
    } else {
        park(worker, Awaited::Token, deadline, Point::Fallible)
    };
    if parked != Parked::Cancelled {
        worker.with_running(|slot| slot.life.token = false);
    }
}

/// Parks until the deadline.
pub(crate) fn park_until(worker: &Worker, deadline: Option<Instant>) {
    park(worker, Awaited::Deadline, deadline, Point::Fallible);
}

/// Lets others run. A cancellation point.
#[inline(always)]
pub(crate) fn yield_now(worker: &Worker) {
    let Ok(leave) = checked(worker, Point::Cancellable) else {
        return;
    };
    worker.yield_now(leave.unwinding);
    if !worker.with_running(|slot| slot.life.terms.is_plain()) {
        // Where nothing waits, no timer tells that a timeout is over.
        cancel::check_on(worker);
    }
}

/// The yield of a coroutine whose I/O never has to wait; none inside `no_park`, since nobody asked for it.
#[cold]
pub(crate) fn yield_for_fairness(worker: &Worker) {
    if is_allowed(worker) {
        yield_now(worker);
    }
}

/// Parks for a source's readiness; `front` if the coroutine had the turn and found nothing.
///
/// Fails while the coroutine unwinds: waiting for a peer there could take for ever, and throwing would abort.
#[inline(always)]
pub(crate) fn park_on_source(
    worker: &Worker,
    id: SourceId,
    interest: Interest,
    front: bool,
    deadline: Option<Instant>,
) -> io::Result<Parked> {
    let leave = checked_for_peer(worker)?;
    let deadline = leave.bounded(worker, deadline);
    let outcome = worker.park_on_source(id, interest, front, deadline, leave.shield, leave.unwinding)?;
    Ok(answer(worker, outcome, Point::Fallible))
}

/// Parks until `until`, for what no event tells of; fails while the coroutine unwinds, as [`park_on_source`] does.
pub(crate) fn park_for_peer(worker: &Worker, until: Option<Instant>) -> io::Result<Parked> {
    let leave = checked_for_peer(worker)?;
    let deadline = leave.bounded(worker, until);
    let outcome = worker.park(Awaited::Deadline, deadline, leave.shield, leave.unwinding);
    Ok(answer(worker, outcome, Point::Fallible))
}

/// [`checked`], for a wait that only a peer can end.
#[inline(always)]
fn checked_for_peer(worker: &Worker) -> io::Result<Leave> {
    match checked(worker, Point::Fallible) {
        Ok(Leave { shield: Shield::Closed, .. }) => Err(unwinding()),
        Ok(open) => Ok(open),
        Err(Struck) => Err(cancel::error()),
    }
}

#[cold]
fn unwinding() -> io::Error {
    io::Error::other("the coroutine is unwinding: it does not wait for a peer")
}
