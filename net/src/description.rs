//! What all socket objects of one open description must agree on: the user's mode, the timeouts, whether closing it may
//! block, and whether anyone else can reach it. Clones share it, as clones share the description itself.
//!
//! A socket that was never cloned, lent, given a timeout or switched has none of this allocated: it blocks without
//! limit and only its object knows the fd.
//!
//! Each field is a value on its own: no decision rests on two of them agreeing, and whoever must see a change is told
//! of it by whatever made one call happen before the other. So every access is Relaxed, and ORDERING comments are left
//! out below.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dormouse_runtime::wait::Interest;

use crate::backlog::Backlog;
use crate::permit::Permit;
use crate::progress::{MinRate, Patience};
use crate::switch::Switch;
use crate::sys::once_arc::OnceArc;
use crate::sys::{errno, option};

/// Who decides the O_NONBLOCK flag of the description.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Data moves with MSG_DONTWAIT; the flag is the user's.
    Data,
    /// accept(2) knows no such flag, so the description is kept O_NONBLOCK; the user's wish is in [`Description`].
    Acceptor,
}

/// How a socket behaves when a call would block, and who may change that.
///
/// Every field but the permit, which nobody changes, is a word on its own and publishes nothing, so all orderings are Relaxed. A thread that sets one and then
/// hands the socket over orders the two by the handing over.
#[derive(Default)]
pub(crate) struct Description {
    /// Longest wait of a read, in nanoseconds; 0 for no limit.
    read_timeout: AtomicU64,
    /// Longest wait of a write, in nanoseconds; 0 for no limit.
    write_timeout: AtomicU64,
    /// Whether the user asked for non-blocking mode. Says nothing of the kernel's flag on a listener, which is ours.
    nonblocking: AtomicBool,
    /// The fd has been shown to others, who may have duplicated it, changed its mode or attached what they like.
    lent: AtomicBool,
    /// A listener came from outside: its O_NONBLOCK flag is a stranger's doing, unless `owes_mode` says otherwise.
    foreign: AtomicBool,
    /// Strangers have a listener O_NONBLOCK by our doing, and get it back in the user's mode from the last of us. Not
    /// those who only borrowed an fd: it was never in that mode, and they may have put their own wish in place of ours.
    owes_mode: AtomicBool,
    /// There is or was a second fd of ours for the description.
    cloned: AtomicBool,
    /// Somebody of ours has shut it down, or is about to.
    shut: AtomicBool,
    /// How slow the peer may be, made when first needed.
    peer: OnceArc<Patience>,
    /// How many may wait at a listener, made when first needed.
    backlog: OnceArc<Backlog>,
    /// The connection's share of its listener's limit, which goes back with the last handle of ours.
    #[expect(dead_code, reason = "kept for its drop")]
    permit: Option<Permit>,
    /// SO_LINGER was once set above zero. It stays, since two clones may set the option at the same time, in an order that
    /// only the kernel knows: it is asked at the close.
    may_linger: AtomicBool,
    /// The kernel's flag, where attempts need it set; only of data sockets.
    switch: Switch,
}

impl Description {
    pub(crate) fn timeout(&self, interest: Interest) -> Option<Duration> {
        // ORDERING: Relaxed; see `Description`.
        match self.timeout_field(interest).load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// A timeout of more than 584 years becomes one of 584 years.
    pub(crate) fn set_timeout(&self, interest: Interest, timeout: Option<Duration>) {
        let nanos = timeout.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        // ORDERING: Relaxed; see `Description`.
        self.timeout_field(interest).store(nanos, Ordering::Relaxed);
    }

    fn timeout_field(&self, interest: Interest) -> &AtomicU64 {
        match interest {
            Interest::Read | Interest::Accept => &self.read_timeout,
            Interest::Write => &self.write_timeout,
        }
    }

    pub(crate) fn nonblocking(&self) -> bool {
        // ORDERING: Relaxed; see `Description`.
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        // ORDERING: Relaxed; see `Description`.
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    pub(crate) fn switch(&self) -> &Switch {
        &self.switch
    }

    pub(crate) fn lent(&self) -> bool {
        // ORDERING: Relaxed; see `Description`.
        self.lent.load(Ordering::Relaxed)
    }

    pub(crate) fn set_lent(&self) {
        // ORDERING: Relaxed; see `Description`.
        self.lent.store(true, Ordering::Relaxed);
    }

    /// The description came from outside.
    pub(crate) fn set_foreign(&self) {
        // ORDERING: Relaxed; see `Description`.
        self.foreign.store(true, Ordering::Relaxed);
        self.set_lent();
    }

    /// An fd of ours is about to become a stranger's.
    pub(crate) fn set_given_away(&self) {
        // ORDERING: Relaxed; see `Description`.
        if !self.foreign.load(Ordering::Relaxed) {
            self.set_owes_mode();
        }
        self.set_lent();
    }

    pub(crate) fn owes_mode(&self) -> bool {
        // ORDERING: Relaxed; see `Description`. Whoever is the last to leave comes after the stores of those before.
        self.owes_mode.load(Ordering::Relaxed)
    }

    pub(crate) fn set_owes_mode(&self) {
        // ORDERING: Relaxed; see `Description`.
        self.owes_mode.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_cloned(&self) {
        // ORDERING: Relaxed; see `Description`.
        self.cloned.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_shut(&self) {
        // ORDERING: Relaxed; see `Description`.
        self.shut.store(true, Ordering::Relaxed);
    }

    /// Whether it may have been shut down, by us or by a stranger: then only the kernel knows.
    pub(crate) fn maybe_shut(&self) -> bool {
        // ORDERING: Relaxed; see `Description`. Whoever is woken by the shutdown comes after the store before it.
        self.shut.load(Ordering::Relaxed) || self.lent()
    }

    pub(crate) fn may_linger(&self) -> bool {
        // ORDERING: Relaxed; see `Description`.
        self.may_linger.load(Ordering::Relaxed)
    }

    pub(crate) fn set_may_linger(&self) {
        // ORDERING: Relaxed; see `Description`.
        self.may_linger.store(true, Ordering::Relaxed);
    }

    /// Of a connection that its listener has counted.
    pub(crate) fn with_permit(permit: Permit) -> Description {
        Description { permit: Some(permit), ..Description::default() }
    }

    /// How many may wait at the listener.
    pub(crate) fn backlog(&self) -> &Backlog {
        self.backlog.get_or_make()
    }

    /// How slow the peer may be, and is; `None` if it was never limited.
    pub(crate) fn peer(&self) -> Option<&Patience> {
        self.peer.get()
    }

    pub(crate) fn set_min_rate(&self, interest: Interest, rate: Option<MinRate>) {
        if rate.is_some() || self.peer.get().is_some() {
            self.peer.get_or_make().set(interest, rate);
        }
    }

    /// How long a call that would block may wait: an error when the user asked for non-blocking calls. Asks the kernel
    /// if strangers may have changed it; but they cannot ask a listener for non-blocking calls, whose flag is ours.
    pub(crate) fn patience(&self, fd: BorrowedFd<'_>, kind: Kind, interest: Interest) -> io::Result<Option<Instant>> {
        let (nonblocking, timeout) = match (self.lent(), kind) {
            (false, _) => (self.nonblocking(), self.timeout(interest)),
            (true, Kind::Acceptor) => (self.nonblocking(), kernel_timeout(fd, interest)?),
            (true, Kind::Data) => (self.switch.mode(fd, || self.nonblocking())?, kernel_timeout(fd, interest)?),
        };
        match nonblocking {
            true => Err(errno::would_block()),
            false => Ok(timeout.and_then(deadline_after)),
        }
    }

    /// Whether there may be another fd for the description, ours or a stranger's.
    pub(crate) fn shared(&self) -> bool {
        // ORDERING: Relaxed; see `Description`.
        self.lent() || self.cloned.load(Ordering::Relaxed)
    }
}

/// The timeout as the kernel has it, rounded up to its clock ticks.
pub(crate) fn kernel_timeout(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Option<Duration>> {
    match interest {
        Interest::Read | Interest::Accept => option::read_timeout(fd),
        Interest::Write => option::write_timeout(fd),
    }
}

/// Sets the timeout in the kernel, for whoever gets the description later; zero is an error, as in std.
pub(crate) fn set_kernel_timeout(fd: BorrowedFd<'_>, interest: Interest, timeout: Option<Duration>) -> io::Result<()> {
    if timeout == Some(Duration::ZERO) {
        return Err(zero_timeout());
    }
    match interest {
        Interest::Read | Interest::Accept => option::set_read_timeout(fd, timeout),
        Interest::Write => option::set_write_timeout(fd, timeout),
    }
}

/// The error for a timeout of zero, with std's kind and message.
pub(crate) fn zero_timeout() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout")
}

/// The moment `timeout` from now; `None` when that is further off than the clock can say.
pub(crate) fn deadline_after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_the_two_directions_are_apart_and_saturate() {
        let description = Description::default();
        assert_eq!(description.timeout(Interest::Read), None);
        description.set_timeout(Interest::Read, Some(Duration::from_nanos(1)));
        description.set_timeout(Interest::Write, Some(Duration::MAX));
        assert_eq!(description.timeout(Interest::Read), Some(Duration::from_nanos(1)));
        assert_eq!(description.timeout(Interest::Write), Some(Duration::from_nanos(u64::MAX)));
        description.set_timeout(Interest::Read, None);
        assert_eq!(description.timeout(Interest::Read), None);
    }
}
