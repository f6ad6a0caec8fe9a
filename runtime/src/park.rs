//! The only suspension point: a coroutine parks here until its event, its deadline or its cancellation.
//!
//! Owns the decision whether a park may throw. Below this file nothing blocks; above it nothing knows epoll or stacks.
//!
//! Invariant 1: every suspension of a coroutine passes `checked`, which refuses inside `no_park` and throws if a
//! cancellation is due; but a scope's join, which has passed it when the scope began and must not be left by an unwind.

use crate::cancel::{self, Point};
use crate::coroutine::CAN_UNWIND;
use crate::current;
use crate::fork;
use crate::os_thread::Parked;
use crate::readiness::Interest;
use crate::remote::SourceId;
use crate::slot::{Awaited, Outcome, Shield};
use crate::worker::{Unwinding, Worker};
use std::io;
use std::time::Instant;

/// Calls `f` with this thread's worker, for a caller that knows it runs in a coroutine.
#[inline(always)]
fn in_coroutine<R>(f: impl FnOnce(&Worker) -> R) -> R {
    current::with_coroutine(|worker| f(worker.expect("only a coroutine parks on its worker")))
}

/// Calls `f`, inside which a cancel strikes nowhere, as in an unwind: for the Drop of what no frame of the user's holds.
/// Must not unwind.
pub(crate) fn shielded<R>(f: impl FnOnce() -> R) -> R {
    let before = set_shielded(true);
    let result = f();
    set_shielded(before);
    result
}

fn set_shielded(shielded: bool) -> bool {
    current::with_coroutine(|worker| {
        worker.is_some_and(|worker| worker.with_running(|slot| std::mem::replace(&mut slot.life.shielded, shielded)))
    })
}

/// Invariant 1; answers whether a cancel may end the park, and whether the coroutine is unwinding.
#[inline(always)]
fn checked(worker: &Worker, point: Point) -> (Shield, Unwinding) {
    let (forbidden, cancelled, shielded) =
        worker.with_running(|slot| (slot.life.no_park > 0, slot.life.cancelled, slot.life.shielded));
    if forbidden {
        refuse(worker);
    }
    let unwinding = worker.unwinding();
    let shield = shield(shielded || point == Point::Shielded, unwinding);
    if cancelled && shield == Shield::Open {
        throw_after_others(worker);
    }
    (shield, unwinding)
}

#[inline(always)]
fn shield(shielded: bool, unwinding: Unwinding) -> Shield {
    match unwinding {
        _ if shielded => Shield::Closed,
        Unwinding::Yes => Shield::Closed,
        Unwinding::Perhaps => Shield::Unsure,
        Unwinding::No => Shield::Open,
    }
}

#[cold]
fn refuse(worker: &Worker) -> ! {
    if worker.is_orphan() {
        panic!("{}", fork::DEAD);
    }
    panic!("parked inside no_park");
}

/// Others first: code that catches the unwind and parks again, for ever, must not keep the worker to itself.
#[cold]
fn throw_after_others(worker: &Worker) -> ! {
    worker.yield_now(Unwinding::No);
    cancel::throw()
}

/// For a wait that has effects before its park: panics inside `no_park` and throws a cancel that is due, as the park would.
pub(crate) fn check(point: Point) {
    in_coroutine(|worker| {
        checked(worker, point);
    });
}

/// Whether the running coroutine is not inside `no_park`.
pub(crate) fn is_allowed(worker: &Worker) -> bool {
    worker.with_running(|slot| slot.life.no_park == 0)
}

/// Whether the caller may wait at all: a plain thread, or a coroutine that is not inside `no_park`.
pub(crate) fn may_wait() -> bool {
    current::with_coroutine(|worker| worker.is_none_or(is_allowed))
}

/// Whether a Drop in the calling coroutine may wait for something: not inside `no_park`, and not in an unwind, which is
/// to be over soon.
pub(crate) fn may_wait_in_drop() -> bool {
    in_coroutine(|worker| is_allowed(worker) && worker.unwinding() != Unwinding::Yes)
}

#[inline(always)]
fn unless_cancelled(outcome: Outcome) -> Parked {
    match outcome {
        Outcome::Woken => Parked::Woken,
        Outcome::TimedOut => Parked::TimedOut,
        Outcome::Cancelled => cancel::throw(),
    }
}

#[inline(always)]
fn park(worker: &Worker, on: Awaited, deadline: Option<Instant>, point: Point) -> Parked {
    let (shield, unwinding) = checked(worker, point);
    let deadline = deadline.map(|at| worker.clock.nanos(at));
    unless_cancelled(worker.park(on, deadline, shield, unwinding))
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
pub(crate) fn park_joining() {
    in_coroutine(|worker| park_for(worker, Awaited::End, None, Point::Cancellable));
}

#[inline(always)]
fn park_for(worker: &Worker, on: Awaited, deadline: Option<Instant>, point: Point) -> Parked {
    if worker.with_running(|slot| slot.life.woken) {
        return Parked::Woken;
    }
    park(worker, on, deadline, point)
}

/// As [`park_waiting`], but a cancel is answered with `true` where that throws.
pub(crate) fn park_waiting_or_cancelled() -> bool {
    in_coroutine(|worker| {
        if worker.with_running(|slot| slot.life.woken) {
            return false;
        }
        let (cancelled, shielded) = worker.with_running(|slot| (slot.life.cancelled, slot.life.shielded));
        let unwinding = worker.unwinding();
        let shield = shield(shielded, unwinding);
        cancelled && shield == Shield::Open || worker.park(Awaited::Wait, None, shield, unwinding) == Outcome::Cancelled
    })
}

/// Throws into the calling coroutine, unless it is unwinding, if it was cancelled or if its runtime is ending: then it is about
/// to be.
pub(crate) fn throw_if_cancelled() {
    in_coroutine(|worker| {
        let (cancelled, shielded) = worker.with_running(|slot| (slot.life.cancelled, slot.life.shielded));
        let due = (cancelled || CAN_UNWIND && worker.fleet.is_stopping()) && !shielded;
        if due && worker.unwinding() == Unwinding::No {
            cancel::throw();
        }
    });
}

/// Takes the user's token, parking until it is there or the deadline passed.
#[inline]
pub(crate) fn park_token(worker: &Worker, deadline: Option<Instant>) {
    if worker.with_running(|slot| slot.life.token) {
        checked(worker, Point::Cancellable);
    } else {
        park(worker, Awaited::Token, deadline, Point::Cancellable);
    }
    worker.with_running(|slot| slot.life.token = false);
}

/// Parks until the deadline.
pub(crate) fn park_until(worker: &Worker, deadline: Option<Instant>) {
    park(worker, Awaited::Deadline, deadline, Point::Cancellable);
}

/// Lets others run. A cancellation point.
#[inline(always)]
pub(crate) fn yield_now(worker: &Worker) {
    let (_, unwinding) = checked(worker, Point::Cancellable);
    worker.yield_now(unwinding);
    if worker.with_running(|slot| slot.life.cancelled && !slot.life.shielded) {
        throw_if_possible(worker);
    }
}

#[cold]
fn throw_if_possible(worker: &Worker) {
    if worker.unwinding() == Unwinding::No {
        cancel::throw();
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
    let (shield, unwinding) = checked_for_peer(worker)?;
    let deadline = deadline.map(|at| worker.clock.nanos(at));
    let outcome = worker.park_on_source(id, interest, front, deadline, shield, unwinding)?;
    Ok(unless_cancelled(outcome))
}

/// Parks until `until`, for what no event tells of; fails while the coroutine unwinds, as [`park_on_source`] does.
pub(crate) fn park_for_peer(worker: &Worker, until: Option<Instant>) -> io::Result<()> {
    let (shield, unwinding) = checked_for_peer(worker)?;
    let deadline = until.map(|at| worker.clock.nanos(at));
    unless_cancelled(worker.park(Awaited::Deadline, deadline, shield, unwinding));
    Ok(())
}

/// [`checked`], for a wait that only a peer can end.
#[inline(always)]
fn checked_for_peer(worker: &Worker) -> io::Result<(Shield, Unwinding)> {
    match checked(worker, Point::Cancellable) {
        (Shield::Closed, _) => Err(io::Error::other("the coroutine is unwinding: it does not wait for a peer")),
        open => Ok(open),
    }
}
