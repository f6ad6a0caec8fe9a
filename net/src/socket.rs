//! The owned fd of a socket, and THE retry loop of the project: try, on EWOULDBLOCK wait, retry.
//!
//! Owns the fd, its registration and its part in the description. Must never know an address family, a protocol, or how
//! waiting works; what an attempt does comes in as a closure.
//!
//! Invariants:
//! 1. The kernel is tried before anything waits, unless the source knows that a try is in vain and the user did not ask
//!    for non-blocking calls: then the wait comes first.
//! 2. A `Turn` is kept until after the attempt that follows it, so that readiness this attempt leaves is passed on.
//! 3. The source is deregistered before the fd is closed or leaves the object.
//! 4. The deadline belongs to the call: it is set once, when the call first has to wait.
//! 5. Never-lent sockets ask the kernel for neither mode nor timeouts; lent ones ask at each wait.
//! 6. What no event tells of is tried again after pauses, in the same loop and under the same deadline.
//! 7. Sockets that were neither lent nor given a linger time do not ask the kernel at the end whether they linger.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use dormouse_runtime::budget;
use dormouse_runtime::wait::{self, Interest, Source};

use crate::closing;
use crate::description::{self, Description, Kind};
use crate::permit::Permit;
use crate::sys::once_arc::{Left, OnceArc};
use crate::sys::{connection, errno, mode, option};

/// The pause after the first attempt whose success no event will tell of; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// One socket object: an fd, its registration, and its part in what clones share.
pub(crate) struct Socket {
    /// The fd; `None` only at the end, in `into_fd` and drop.
    fd: Option<OwnedFd>,
    /// Who decides the mode.
    kind: Kind,
    /// The registration with the workers' pollers.
    source: Source,
    /// Mode and timeouts, made when first needed.
    description: OnceArc<Description>,
}

impl Socket {
    /// A socket that data moves through, known to nobody else.
    pub(crate) fn data(fd: OwnedFd) -> Socket {
        Socket::new(fd, Kind::Data)
    }

    /// As [`data`](Socket::data), of a connection that its listener counts until the last handle of ours is gone.
    pub(crate) fn admitted(fd: OwnedFd, permit: Option<Permit>) -> Socket {
        let mut socket = Socket::data(fd);
        if let Some(permit) = permit {
            socket.description = OnceArc::made(Description::with_permit(permit));
        }
        socket
    }

    /// A listening socket that is O_NONBLOCK by our doing, known to nobody else.
    pub(crate) fn acceptor(fd: OwnedFd) -> Socket {
        Socket::new(fd, Kind::Acceptor)
    }

    /// A data socket from outside: others may know its description.
    pub(crate) fn foreign_data(fd: OwnedFd) -> Socket {
        let socket = Socket::data(fd);
        socket.description.get_or_make().set_lent();
        socket
    }

    /// A listening socket from outside, in whichever mode its user left it.
    pub(crate) fn foreign_acceptor(fd: OwnedFd) -> Socket {
        let socket = Socket::acceptor(fd);
        let description = socket.description.get_or_make();
        // An fd that cannot be asked answers its error at the first accept.
        description.set_nonblocking(mode::is_nonblocking(socket.fd()).unwrap_or(false));
        description.set_foreign();
        socket
    }

    fn new(fd: OwnedFd, kind: Kind) -> Socket {
        Socket { fd: Some(fd), kind, source: Source::new(), description: OnceArc::new() }
    }

    /// The fd for our own calls, which leave the description as it is.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        borrow(&self.fd)
    }

    /// The fd for strangers, who may do with it what they like.
    pub(crate) fn lend(&self) -> BorrowedFd<'_> {
        self.description.get_or_make().set_lent();
        self.give_mode_back();
        self.fd()
    }

    /// Strangers are about to know the description: those of data sockets get it in the user's mode.
    fn give_mode_back(&self) {
        if let Some(description) = self.description.get() {
            description.switch().give_back(self.fd(), || description.nonblocking());
        }
    }

    /// One attempt of a call that knows no MSG_DONTWAIT, made with the description O_NONBLOCK. `None`, and no attempt, if
    /// strangers may know the description, whose mode is theirs, too.
    pub(crate) fn attempt_switched<T>(
        &self,
        attempt: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let description = self.description.get_or_make();
        description.switch().attempt(self.fd(), || !description.lent(), attempt)
    }

    /// Whether strangers may know the description.
    pub(crate) fn is_lent(&self) -> bool {
        self.description.get().is_some_and(Description::lent)
    }

    /// A second fd for the same description.
    pub(crate) fn try_clone(&self) -> io::Result<Socket> {
        let mut clone = Socket::new(self.fd().try_clone_to_owned()?, self.kind);
        clone.description = self.description.share();
        clone.description.get_or_make().set_cloned();
        Ok(clone)
    }

    /// Gives the fd away, in the mode its user asked for.
    pub(crate) fn into_fd(mut self) -> OwnedFd {
        if self.kind == Kind::Acceptor || self.description.get().is_some() {
            // For the clones that stay with us.
            self.description.get_or_make().set_given_away();
            self.give_mode_back();
        }
        self.source.deregister(borrow(&self.fd), false);
        drop(self.leave_description());
        self.fd.take().expect("a socket in use has its fd")
    }

    /// Leaves what clones share, which goes to the last of them; the fd is open still.
    fn leave_description(&mut self) -> Left<Description> {
        let left = self.description.leave();
        if self.kind == Kind::Acceptor {
            closing::restore_mode(borrow(&self.fd), &left);
        }
        left
    }

    /// Runs `attempt` until it answers something other than EWOULDBLOCK, as long as the user's mode and timeout allow.
    ///
    /// The budget of the coroutine is charged first, not after a success: a cancellation that comes with the yield then
    /// cannot lose what the attempt took, and a loop around non-blocking calls yields too.
    pub(crate) fn retry<T>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        budget::spend();
        if self.source.maybe_ready(interest) || self.must_try() {
            match uninterrupted(|| attempt(self.fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                answer => return answer,
            }
        }
        let deadline = self.patience(interest)?;
        match self.peer() {
            None => self.retry_until(interest, deadline, errno::would_block, attempt),
            Some(peer) => self.retry_while_moving(peer, interest, deadline, attempt),
        }
    }

    /// As [`retry`](Socket::retry), for an attempt that answers EWOULDBLOCK even where a blocking call would not wait,
    /// because the socket was shut down for reading: then the answer is that of `over`.
    pub(crate) fn retry_unless_shut<T>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
        over: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        self.retry(interest, |fd| self.attempt_unless_shut(fd, interest, &mut attempt, &over))
    }

    fn attempt_unless_shut<T>(
        &self,
        fd: BorrowedFd<'_>,
        interest: Interest,
        attempt: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
        over: &impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        match attempt(fd) {
            // Once more, for what came before the end.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.is_over(interest)? => match attempt(fd) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => over(),
                answer => answer,
            },
            answer => answer,
        }
    }

    /// As [`retry`](Socket::retry), for an attempt that answers EWOULDBLOCK also where there is something that it cannot take:
    /// the answer then is that of `look`, which finds it.
    pub(crate) fn retry_if_vain<T>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
        look: impl Fn(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.retry(interest, |fd| match attempt(fd) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => look(fd),
            answer => answer,
        })
    }

    /// As [`retry`](Socket::retry), for a transfer of no bytes by TCP: Linux has it wait all the same, but answers 0 when the
    /// time is over.
    #[cold]
    pub(crate) fn retry_empty(
        &self,
        interest: Interest,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match self.retry(interest, attempt) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.patience(interest).is_ok() => Ok(0),
            answer => answer,
        }
    }

    /// As [`retry`](Socket::retry), for a write of no bytes to a stream, which needs no room: it is tried even if the
    /// source knows that there is none.
    #[cold]
    pub(crate) fn retry_without_room<T>(
        &self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        budget::spend();
        match uninterrupted(|| attempt(self.fd())) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.retry(Interest::Write, attempt),
            answer => answer,
        }
    }

    /// Whether the socket was shut down for reading, and its user did not ask for non-blocking calls.
    fn is_over(&self, interest: Interest) -> io::Result<bool> {
        let maybe = self.description.get().is_some_and(Description::maybe_shut);
        Ok(maybe && connection::is_shut_for_reading(self.fd())? && self.patience(interest).is_ok())
    }

    /// Shuts down one or both directions.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // Before the kernel wakes anyone.
        self.description.get_or_make().set_shut();
        connection::shutdown(self.fd(), how)
    }

    /// As [`retry`](Socket::retry), for an attempt whose success no event tells of: between attempts it pauses.
    pub(crate) fn retry_after_pauses<T>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        budget::spend();
        match uninterrupted(|| attempt(self.fd())) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            answer => return answer,
        }
        let deadline = self.patience(interest)?;
        let mut length = FIRST_PAUSE;
        let pause = || {
            wait::pause(length, deadline)?;
            length = (2 * length).min(LONGEST_PAUSE);
            Ok(())
        };
        self.alternate(pause, errno::would_block, attempt)
    }

    /// Waits for readiness and runs `attempt` by turns, after an attempt that answered EWOULDBLOCK. Past `deadline` the
    /// error is `expired`.
    pub(crate) fn retry_until<T>(
        &self,
        interest: Interest,
        deadline: Option<Instant>,
        expired: fn() -> io::Error,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut turn = None;
        let wait = || {
            turn = Some(self.source.wait(self.fd(), interest, deadline, turn.take())?);
            Ok(())
        };
        self.alternate(wait, expired, attempt)
    }

    /// The loop itself: waits and runs `attempt` by turns. When `wait` answers `TimedOut`, the error is `expired`.
    #[inline(always)]
    fn alternate<T>(
        &self,
        mut wait: impl FnMut() -> io::Result<()>,
        expired: impl Fn() -> io::Error,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match wait() {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(expired()),
                waited => waited?,
            }
            match uninterrupted(|| attempt(self.fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                answer => return answer,
            }
        }
    }

    /// Whether the user may have asked for non-blocking calls, which must look at the socket itself: what the source
    /// knows is renewed by parking, and they never park. So must calls that find an end, since no event comes after it.
    fn must_try(&self) -> bool {
        self.description.get().is_some_and(|d| d.nonblocking() || d.maybe_shut())
    }

    /// How long a call that would block may wait: an error when the user asked for non-blocking calls.
    fn patience(&self, interest: Interest) -> io::Result<Option<Instant>> {
        match self.description.get() {
            Some(description) => description.patience(self.fd(), self.kind, interest),
            None => Ok(None),
        }
    }

    /// Says that an attempt moved `moved` of the `asked` bytes. Only for where a short count means that there was no
    /// more, or no more room: on TCP, not under MSG_PEEK. Not on a Unix socket, where passed descriptors end a read with
    /// more behind it. A lent socket may have had something attached that ends a
    /// transfer early (kernel TLS), or not be TCP at all, so there it means nothing.
    pub(crate) fn note_short(&self, interest: Interest, moved: usize, asked: usize) {
        if 0 < moved && moved < asked && !self.is_lent() {
            self.source.drained(interest);
        }
    }

    /// The timeout as the kernel has it, rounded up to its clock ticks.
    pub(crate) fn timeout(&self, interest: Interest) -> io::Result<Option<Duration>> {
        description::kernel_timeout(self.fd(), interest)
    }

    /// Sets the timeout for our own waits and, for whoever gets the description later, in the kernel.
    pub(crate) fn set_timeout(&self, interest: Interest, timeout: Option<Duration>) -> io::Result<()> {
        description::set_kernel_timeout(self.fd(), interest, timeout)?;
        self.remember_timeout(interest, timeout);
        Ok(())
    }

    fn remember_timeout(&self, interest: Interest, timeout: Option<Duration>) {
        if timeout.is_some() || self.description.get().is_some() {
            self.description.get_or_make().set_timeout(interest, timeout);
        }
    }

    /// Takes over the timeouts that the kernel copied from a listening socket; only a stranger can have set them there.
    pub(crate) fn adopt_timeouts(&self) -> io::Result<()> {
        for interest in [Interest::Read, Interest::Write] {
            self.remember_timeout(interest, self.timeout(interest)?);
        }
        Ok(())
    }

    /// Sets SO_LINGER, and remembers if the close may block from now on.
    pub(crate) fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        if linger.is_some_and(|time| !time.is_zero()) {
            self.description.get_or_make().set_may_linger();
        }
        option::set_linger(self.fd(), linger)
    }

    /// Whether closing the description may block, as far as is known without asking the kernel.
    pub(crate) fn may_linger(&self) -> bool {
        self.description.get().is_some_and(|description| description.lent() || description.may_linger())
    }

    /// Takes over the linger time that the kernel copied from a listening socket. That need not be the present one: the
    /// connection has it from the time when the peer made it.
    pub(crate) fn adopt_linger(&self) {
        if closing::lingers(self.fd()) {
            self.description.get_or_make().set_may_linger();
        }
    }

    /// Sets the user's mode for this socket and its clones.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        if self.kind == Kind::Acceptor {
            self.keep_nonblocking()?;
        }
        if !nonblocking && self.description.get().is_none() {
            // As it is already.
            return Ok(());
        }
        let description = self.description.get_or_make();
        let remember = || description.set_nonblocking(nonblocking);
        match self.kind {
            Kind::Data => description.switch().set_mode(self.fd(), nonblocking, remember)?,
            Kind::Acceptor => remember(),
        }
        if description.lent() {
            // The wish is for strangers, too.
            description.set_owes_mode();
        }
        Ok(())
    }

    /// Whether the user asked this listener for non-blocking calls.
    pub(crate) fn is_nonblocking_acceptor(&self) -> bool {
        self.description.get().is_some_and(Description::nonblocking)
    }

    /// Makes the description of a listener O_NONBLOCK again if a stranger may have changed that.
    pub(crate) fn keep_nonblocking(&self) -> io::Result<()> {
        let lent = self.description.get().filter(|description| description.lent());
        if let Some(description) = lent
            && !mode::is_nonblocking(self.fd())?
        {
            description.set_owes_mode();
            mode::set_nonblocking(self.fd(), true)?;
        }
        Ok(())
    }
}

/// Repeats a call that a signal interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// The fd, while the rest of its socket is being changed.
fn borrow(fd: &Option<OwnedFd>) -> BorrowedFd<'_> {
    fd.as_ref().expect("a socket in use has its fd").as_fd()
}

/// Closes the socket; one that lingers is closed by the blocking pool, for which a coroutine waits where it may.
impl Drop for Socket {
    fn drop(&mut self) {
        if self.fd.is_none() {
            return;
        }
        let shared = self.description.get().is_some_and(Description::shared);
        // A listener has sent nothing that it could wait for.
        let lingers = self.kind == Kind::Data && self.may_linger() && closing::lingers(self.fd());
        // Children of `std::process::Command` are no owners: the fd is close-on-exec. Those of fork(2) the source knows of. A
        // description that lingers is open, and known to epoll, for a while yet.
        self.source.deregister(borrow(&self.fd), !shared && !lingers);
        let left = self.leave_description();
        match self.fd.take() {
            Some(fd) if lingers => closing::finish(fd),
            fd => drop(fd),
        }
        // Only now is there room for another connection.
        drop(left);
    }
}

mod held;
mod moving;
mod sending;
#[cfg(test)]
mod tests;
