//! One listener's door: its own limit of connections, and what it does with those that come at a bad time.
//!
//! Owns the permits of a listener, and says when its backlog is to be cut. `acceptor` asks; how to accept it knows itself.
//!
//! Invariant 1: a permit is held by a connection, or by whoever is about to accept one that waits: never across a wait for one to
//! come, so that acceptors who wait take nothing from those who have work.
//! Invariant 2: a call has the backlog cut only while it is held: not any more when it waits for a connection to come, nor after.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dormouse_runtime::sync::{AcquireTimeoutError, Semaphore};
use dormouse_runtime::wait;

use super::{Admission, OnOverload, count};
use crate::permit::Permit;
use crate::socket::Socket;
use crate::sys::option;

/// The shortest pause before another look at the figures, which no event tells of. A look takes about a microsecond.
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// The part of the time it was held so far that a pause takes: for so long a server may have nothing to do while clients wait.
const PART: u32 = 8;

/// How long who waits for a permit does so without a look at the listener, whose end gives no permit.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

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
}

impl Gate {
    /// For this listening socket.
    pub(crate) fn new(admission: &Admission, socket: &Socket) -> Gate {
        let connections = admission.shared.settings.connections;
        let permits = connections.map(|limit| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))));
        let gate = Gate { admission: admission.clone(), permits };
        if gate.cuts() {
            socket.backlog().learn(socket.fd());
        }
        gate
    }

    /// Whether those who come at a bad time are accepted all the same, and refused.
    pub(crate) fn refuses(&self) -> bool {
        self.what() == OnOverload::Refuse
    }

    /// Whether the backlog is cut while somebody is held.
    fn cuts(&self) -> bool {
        self.what() == OnOverload::Drop
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
            Some(permits) => Permit::try_take(permits).map(Some).ok_or(Held::Full),
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
    pub(crate) fn begin<'a>(&'a self, socket: &'a Socket) -> Hold<'a> {
        Hold { gate: self, socket, held: None }
    }
}

/// One call of accept, for as long as it waits for room.
pub(crate) struct Hold<'a> {
    /// Whose.
    gate: &'a Gate,
    /// The listening socket.
    socket: &'a Socket,
    /// The pauses so far; `None` while it is not held.
    held: Option<Duration>,
}

impl Hold<'_> {
    /// Waits until there may be room: for a permit, which it gives, or a while; but never for long, since the listener may end.
    /// Fails with `TimedOut` past the deadline.
    #[cold]
    pub(crate) fn wait(&mut self, why: Held, deadline: Option<Instant>) -> io::Result<Option<Permit>> {
        let first = self.held.is_none();
        let pause = next_pause(self.held.unwrap_or_default());
        self.held = Some(self.held.unwrap_or_default().saturating_add(pause));
        if first {
            self.begin()?;
        }
        match (why, &self.gate.permits) {
            (Held::Full, Some(permits)) => wait_for_permit(permits, deadline),
            _ => wait::pause(pause, deadline).map(|()| None),
        }
    }

    fn begin(&self) -> io::Result<()> {
        count(&self.gate.admission.shared.counts.held);
        match self.gate.cuts() {
            true => self.socket.backlog().hold(self.socket.fd()),
            false => Ok(()),
        }
    }

    /// It is not held any more (invariant 2), but may be again.
    pub(crate) fn end(&mut self) {
        if self.held.take().is_some() && self.gate.cuts() {
            self.socket.backlog().release(self.socket.fd());
        }
    }
}

/// After so much time of pauses.
fn next_pause(held: Duration) -> Duration {
    (held / PART).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

/// Parks until there is a permit, or it is time for a look at the listener. A coroutine that unwinds does not wait for a peer's end:
/// the pause of no time says so, and that the deadline has passed.
fn wait_for_permit(permits: &Arc<Semaphore>, deadline: Option<Instant>) -> io::Result<Option<Permit>> {
    wait::pause(Duration::ZERO, deadline)?;
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    match Permit::take_timeout(permits, left.map_or(LONGEST_WAIT, |left| left.min(LONGEST_WAIT))) {
        Ok(permit) => Ok(Some(permit)),
        Err(AcquireTimeoutError::Timeout) => Ok(None),
        Err(closed) => Err(io::Error::other(closed)),
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_time_that_it_is_held() {
        let micros = [0, 800, 1600, 80_000, 128_000, 10_000_000].map(Duration::from_micros);
        assert_eq!(micros.map(|held| next_pause(held).as_micros()), [100, 100, 200, 10_000, 16_000, 16_000]);
        // Few looks, however long it takes.
        let mut held = Duration::ZERO;
        let looks = (0..).take_while(|_| {
            held += next_pause(held);
            held < Duration::from_secs(1)
        });
        assert!((80..120).contains(&looks.count()));
    }
}
