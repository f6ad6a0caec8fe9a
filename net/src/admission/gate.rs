//! One listener's door: its own limit of connections, and what it does with those that come at a bad time.
//!
//! Owns the permits of a listener and the length of its backlog. `acceptor` asks; how to accept it knows itself.
//!
//! Invariant 1: a permit is held by a connection, or by whoever is about to accept one that waits: never across a wait for one to
//! come, so that acceptors who wait take nothing from those who have work.
//! Invariant 2: a backlog is cut only while somebody is held, and as long as before when the last of them leaves.
//! Invariant 3: `cut` says how the backlog is to be. Whoever has changed it or the backlog looks at it again afterwards, so that the last
//! listen(2) is the one that it asks for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dormouse_runtime::sync::{OwnedSemaphorePermit, Semaphore};
use dormouse_runtime::wait;

use super::{Admission, OnOverload, count};
use crate::sys::{connection, option};

/// The first pause before another look at the figures, which no event tells of; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// One connection's share of its listener's limit.
pub(crate) type Permit = OwnedSemaphorePermit;

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// The listener has as many as it may.
    Full,
    /// The server has more to do than it should.
    Overloaded,
}

/// See the heading. Clones of a listener share it.
pub(crate) struct Gate {
    /// Who decides.
    admission: Admission,
    /// What is left of the listener's limit, if it has one.
    permits: Option<Arc<Semaphore>>,
    /// How many may wait to be accepted.
    backlog: i32,
    /// Whether the backlog is cut (invariant 3).
    cut: AtomicBool,
}

impl Gate {
    /// For this listening socket.
    pub(crate) fn new(admission: &Admission, fd: BorrowedFd<'_>) -> Gate {
        let connections = admission.shared.settings.connections;
        let permits = connections.map(|limit| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))));
        let backlog = connection::backlog_limit(fd);
        Gate { admission: admission.clone(), permits, backlog, cut: AtomicBool::new(false) }
    }

    /// Whether those who come at a bad time are accepted all the same, and refused.
    pub(crate) fn refuses(&self) -> bool {
        self.what() == OnOverload::Refuse
    }

    fn what(&self) -> OnOverload {
        self.admission.shared.settings.on_overload
    }

    /// May one in? With `permit`, if it was waited for.
    pub(crate) fn ask(&self, permit: Option<Permit>) -> Result<Option<Permit>, Held> {
        if self.admission.is_overloaded() {
            return Err(Held::Overloaded);
        }
        match &self.permits {
            None => Ok(None),
            Some(_) if permit.is_some() => Ok(permit),
            Some(permits) => Arc::clone(permits).try_acquire_owned().map(Some).map_err(|_| Held::Full),
        }
    }

    /// One was let in.
    pub(crate) fn count_admitted(&self) {
        count(&self.admission.shared.counts.admitted);
    }

    /// Resets a connection. What is no TCP is closed.
    #[cold]
    pub(crate) fn refuse(&self, fd: OwnedFd) {
        count(&self.admission.shared.counts.refused);
        // Fails only for what has no such option; a close that lingers waits, and this one does not.
        let _ = option::set_linger(fd.as_fd(), Some(Duration::ZERO));
        drop(fd);
    }

    /// A call of accept that leaves connections where they are.
    pub(crate) fn begin<'a>(&'a self, fd: BorrowedFd<'a>) -> Hold<'a> {
        Hold { gate: self, fd, pause: None }
    }

    /// Invariant 3.
    fn set_cut(&self, cut: bool, fd: BorrowedFd<'_>) -> io::Result<()> {
        // ORDERING: SeqCst, here and below: of two who change it at the same time the later sees what the earlier did. The partners
        // are these operations on other threads.
        if self.cut.swap(cut, Ordering::SeqCst) == cut {
            return Ok(());
        }
        loop {
            // ORDERING: SeqCst; see above.
            let wanted = self.cut.load(Ordering::SeqCst);
            connection::listen(fd, if wanted { 0 } else { self.backlog })?;
            // ORDERING: SeqCst; see above.
            if self.cut.load(Ordering::SeqCst) == wanted {
                return Ok(());
            }
        }
    }
}

/// One call of accept, for as long as it waits for room.
pub(crate) struct Hold<'a> {
    /// Whose.
    gate: &'a Gate,
    /// The listening socket.
    fd: BorrowedFd<'a>,
    /// The last pause; `None` until the first.
    pause: Option<Duration>,
}

impl Hold<'_> {
    /// Waits until there may be room: for a permit, which it gives, or a while. Fails with `TimedOut` past the deadline.
    #[cold]
    pub(crate) fn wait(&mut self, why: Held, deadline: Option<Instant>) -> io::Result<Option<Permit>> {
        if self.pause.is_none() {
            count(&self.gate.admission.shared.counts.held);
        }
        if self.gate.what() == OnOverload::Drop {
            self.gate.set_cut(true, self.fd)?;
        }
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (2 * pause).min(LONGEST_PAUSE));
        self.pause = Some(pause);
        match (why, &self.gate.permits) {
            (Held::Full, Some(permits)) => wait_for_permit(permits, deadline),
            _ => wait::pause(pause, deadline).map(|()| None),
        }
    }
}

/// Parks until there is a permit. A coroutine that unwinds does not wait for a peer's end: the pause of no time says so.
fn wait_for_permit(permits: &Arc<Semaphore>, deadline: Option<Instant>) -> io::Result<Option<Permit>> {
    wait::pause(Duration::ZERO, deadline)?;
    let Some(deadline) = deadline else {
        return Arc::clone(permits).acquire_owned().map(Some).map_err(io::Error::other);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    // This one goes back: the next attempt tries for one of its own.
    permits.acquire_timeout(left).map(|_| None).map_err(|_| io::ErrorKind::TimedOut.into())
}

/// Invariant 2: who is still held cuts it again.
impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if self.pause.is_some() && self.gate.what() == OnOverload::Drop {
            // A socket that cannot listen any more needs no backlog.
            let _ = self.gate.set_cut(false, self.fd);
        }
    }
}
