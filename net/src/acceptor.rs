//! A listening socket of any family: accepting, and what happens when descriptors or memory run out.
//!
//! Owns the listening socket, the count of failures in a row, and the gate that connections pass, if there is one. Must never know
//! an address family: the attempt to accept comes in as a closure.

use std::cell::Cell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dormouse_runtime::budget;
use dormouse_runtime::thread;
use dormouse_runtime::wait::{self, Interest};

use crate::admission::{Admission, Gate};
use crate::permit::Permit;
use crate::socket::Socket;
use crate::sys::connection::{self, Backlog};
use crate::sys::errno;

/// The pause before the first error for want of descriptors or memory is returned; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How many connections in a row are refused without a look at the time, and by a call that is not to wait.
const MOST_REFUSED: usize = 64;

/// A socket that connections come from.
pub(crate) struct Acceptor {
    /// The socket, which we keep O_NONBLOCK.
    socket: Socket,
    /// Accepts in a row that failed for want of descriptors or memory.
    exhausted: AtomicU32,
    /// Who lets connections in; clones share it.
    gate: Option<Arc<Gate>>,
}

impl Acceptor {
    /// Of a socket made by [`Socket::acceptor`] or [`Socket::foreign_acceptor`].
    pub(crate) fn new(socket: Socket) -> Acceptor {
        Acceptor { socket, exhausted: AtomicU32::new(0), gate: None }
    }

    /// The same, with a gate of its own.
    pub(crate) fn with_admission(self, admission: &Admission) -> Acceptor {
        let gate = Gate::new(admission, &self.socket);
        Acceptor { gate: Some(Arc::new(gate)), ..self }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Another handle to the same listening socket.
    pub(crate) fn try_clone(&self) -> io::Result<Acceptor> {
        let socket = self.socket.try_clone()?;
        Ok(Acceptor { gate: self.gate.clone(), ..Acceptor::new(socket) })
    }

    /// Waits for a connection; `attempt` is one accept(2), which gives the fd and the name of the peer.
    ///
    /// With no descriptor or memory left each call fails after a pause of 5 ms, doubling to 100 ms until an accept
    /// succeeds, so that a loop that ignores errors does not spin; without a pause in non-blocking mode, and inside
    /// `no_park`.
    pub(crate) fn accept<A>(
        &self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<(OwnedFd, A)>,
    ) -> io::Result<(Socket, A)> {
        let attempt = |fd: BorrowedFd<'_>| {
            self.socket.keep_nonblocking()?;
            attempt(fd)
        };
        let accepted = match &self.gate {
            None => self.accept_any(attempt).map(|(fd, peer)| (Socket::data(fd), peer)),
            Some(gate) if gate.refuses() => self.accept_or_refuse(gate, attempt),
            Some(gate) => self.accept_or_hold(gate, attempt),
        };
        match accepted {
            Ok((socket, peer)) => {
                self.recover();
                if self.socket.is_lent() {
                    socket.adopt_timeouts()?;
                }
                if self.socket.may_linger() {
                    socket.adopt_linger();
                }
                Ok((socket, peer))
            }
            Err(error) => {
                if errno::is_exhaustion(&error) && self.may_pause() {
                    self.back_off();
                }
                Err(error)
            }
        }
    }

    /// Whoever comes.
    fn accept_any<A>(
        &self,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<(OwnedFd, A)>,
    ) -> io::Result<(OwnedFd, A)> {
        self.socket.retry_unless_shut(Interest::Accept, attempt, no_listener)
    }

    /// The first who is let in; those before are refused. All of it is one call, with one deadline; a non-blocking one ends with
    /// EWOULDBLOCK, though there may be more, once it has refused [`MOST_REFUSED`].
    fn accept_or_refuse<A>(
        &self,
        gate: &Gate,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<(OwnedFd, A)>,
    ) -> io::Result<(Socket, A)> {
        let goes_on = Cell::new(false);
        let attempt = |fd: BorrowedFd<'_>| {
            for _ in 0..MOST_REFUSED {
                let (fd, peer) = attempt(fd)?;
                match gate.ask(None) {
                    Ok(permit) => return Ok(admitted(gate, fd, peer, permit)),
                    Err(_) => gate.refuse(fd),
                }
                budget::spend();
            }
            goes_on.set(true);
            Err(errno::would_block())
        };
        self.socket.retry_or_hold(attempt, |deadline| goes_on.take().then(|| in_time(deadline)), no_listener)
    }

    /// Whoever comes, once they are let in.
    fn accept_or_hold<A>(
        &self,
        gate: &Gate,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<(OwnedFd, A)>,
    ) -> io::Result<(Socket, A)> {
        let (why, permit) = (Cell::new(None), Cell::new(None));
        let attempt = |fd: BorrowedFd<'_>| match gate.ask(permit.take()) {
            Ok(permit) => attempt(fd).map(|(fd, peer)| admitted(gate, fd, peer, permit)),
            Err(held) => match connection::backlog(fd)? {
                Backlog::Empty => Err(errno::would_block()),
                Backlog::Waiting => {
                    why.set(Some(held));
                    Err(errno::would_block())
                }
                Backlog::Trouble => attempt(fd).map(|(fd, peer)| admitted(gate, fd, peer, None)),
            },
        };
        let mut hold = gate.begin(&self.socket);
        let wait = |deadline| {
            let Some(why) = why.take() else {
                hold.end();
                return None;
            };
            let waited = hold.wait(why, deadline);
            Some(waited.map(|waited| permit.set(waited)))
        };
        self.socket.retry_or_hold(attempt, wait, no_listener)
    }

    /// Forgets earlier failures.
    fn recover(&self) {
        // ORDERING: Relaxed, as in `back_off`.
        if self.exhausted.load(Ordering::Relaxed) != 0 {
            // ORDERING: Relaxed, as in `back_off`.
            self.exhausted.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the caller let accept wait.
    fn may_pause(&self) -> bool {
        !self.socket.is_nonblocking_acceptor() && wait::may_park()
    }

    /// Pauses, for longer each time.
    #[cold]
    fn back_off(&self) {
        // ORDERING: Relaxed: a count on its own, and one that is a little off lengthens or shortens a pause.
        let failures = self.exhausted.fetch_add(1, Ordering::Relaxed);
        thread::sleep(pause(failures));
    }
}

/// A connection that was let in.
fn admitted<A>(gate: &Gate, fd: OwnedFd, peer: A, permit: Option<Permit>) -> (Socket, A) {
    gate.count_admitted();
    (Socket::admitted(fd, permit), peer)
}

/// Fails with `TimedOut` past the deadline.
fn in_time(deadline: Option<Instant>) -> io::Result<()> {
    match deadline {
        Some(deadline) if deadline <= Instant::now() => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

/// A Unix listener that a stranger shut down answers EAGAIN, where a blocking accept(2) fails.
fn no_listener<T>() -> io::Result<T> {
    Err(errno::no_listener())
}

/// The pause after `failures` earlier ones.
fn pause(failures: u32) -> Duration {
    2u32.checked_pow(failures).map_or(LONGEST_PAUSE, |factor| FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_limit() {
        let millis: Vec<_> = [0, 1, 4, 5, 31, 32, u32::MAX].map(|n| pause(n).as_millis()).into();
        assert_eq!(millis, [5, 10, 80, 100, 100, 100, 100]);
    }
}
