//! Waiting for a descriptor to become ready.
//!
//! Owns [`Source`], one socket object's side of its registrations, [`Turn`], the duty to pass readiness on, and
//! [`pause`], the wait for what no event tells of. Knows "an fd can become ready", never what a socket is; the retry
//! loop is the caller's.

use crate::cancel::{self, Point};
use crate::current;
use crate::fork;
use crate::once_arc::OnceArc;
use crate::os_thread::Parked;
use crate::park;
use crate::remote::{Message, Remote, SourceId};
use crate::source::{Kind, Registration, Registrations};
use crate::sys::poll::{self, Shown};
use crate::worker::Worker;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

pub use crate::readiness::Interest;

/// How long a plain thread pauses between attempts where poll(2) shows an error that no attempt clears.
const TROUBLE_PAUSE: Duration = Duration::from_millis(1);

/// One socket object's registrations with the pollers of the workers that wait for it. Allocates at the first park.
///
/// # Examples
///
/// Reading a pipe-like descriptor in the blocking style:
///
/// ```
/// use dormouse_runtime::wait::{Interest, Source};
/// use std::io::{ErrorKind, Read, Result};
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
///
/// fn read(mut socket: &UnixStream, source: &Source, buffer: &mut [u8]) -> Result<usize> {
///     let mut turn = None;
///     loop {
///         match socket.read(buffer) {
///             Err(error) if error.kind() == ErrorKind::WouldBlock => {}
///             answer => return answer,
///         }
///         turn = Some(source.wait(socket.as_fd(), Interest::Read, None, turn)?);
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let (ours, theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// let mut source = Source::new();
/// std::io::Write::write_all(&mut &theirs, b"hello")?;
/// assert_eq!(read(&ours, &source, &mut [0; 16])?, 5);
/// source.deregister(ours.as_fd(), false);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Source {
    /// The registrations, once there are any.
    registrations: OnceArc<Registrations>,
}

impl Source {
    /// For a descriptor nobody has waited for yet. One that data moves through is registered once per worker, edge-triggered,
    /// and watched for writing from the first wait to write on; for a listening one see [`Interest::Accept`].
    pub const fn new() -> Source {
        Source { registrations: OnceArc::new() }
    }

    /// Whether an attempt is worthwhile: `false` if one is known to answer EWOULDBLOCK, because the last one on this
    /// worker took all there was and nothing happened since. Always `true` on a plain thread.
    #[inline]
    pub fn maybe_ready(&self, interest: Interest) -> bool {
        let Some(registrations) = self.registrations.get() else {
            return true;
        };
        current::with_coroutine(|worker| {
            let home = worker.and_then(|worker| Some((worker, registrations.at_home(&worker.remote)?)));
            home.is_none_or(|(worker, id)| worker.with_poller(|poller| poller.is_ready(id, interest)))
        })
    }

    /// Says that the last attempt, on this worker, took less than it asked for, so that the next would find nothing.
    ///
    /// Right only where a short count proves that: reading or writing a TCP stream, not under MSG_PEEK. Ignored if an
    /// event since the last EWOULDBLOCK said that there is more than data (RDHUP, HUP, ERR, PRI).
    #[inline]
    pub fn drained(&self, interest: Interest) {
        let Some(registrations) = self.registrations.get() else {
            return;
        };
        current::with_coroutine(|worker| {
            if let Some(worker) = worker
                && let Some(id) = registrations.at_home(&worker.remote)
            {
                worker.with_poller(|poller| poller.drained(id, interest));
            }
        });
    }

    /// Waits until an attempt is worthwhile. Call it only after one answered EWOULDBLOCK, or after
    /// [`maybe_ready`](Source::maybe_ready) said `false`.
    ///
    /// It may return for no reason: try again. The [`Turn`] is to be kept until after the next attempt; if that finds
    /// nothing, it goes back in as `vain`, which keeps the waiter's place in the queue.
    ///
    /// # Errors
    ///
    /// `TimedOut` once `deadline` has passed, for no other reason; ENOSPC (`fs.epoll.max_user_watches`), ENOMEM or EPERM
    /// (not a pollable descriptor) from epoll_ctl(2); `Other` in a coroutine that unwinds, which does not wait for a peer.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine; a cancellation point. Blocks a plain thread, in poll(2).
    ///
    /// # Panics
    ///
    /// Panics inside `no_park`.
    #[inline]
    pub fn wait<'a>(
        &'a self,
        fd: BorrowedFd<'_>,
        interest: Interest,
        deadline: Option<Instant>,
        vain: Option<Turn<'a>>,
    ) -> io::Result<Turn<'a>> {
        let had_turn = vain.as_ref().is_some_and(|turn| turn.at.is_some());
        let turn = current::with_coroutine(|worker| match worker {
            Some(worker) => self.park(worker, fd, interest, deadline, had_turn),
            None => wait_on_thread(fd, interest, deadline, vain.is_some()),
        })?;
        // Where the wait failed or threw, the old turn is passed on by its Drop; here the new one takes its place.
        vain.into_iter().for_each(Turn::forget);
        Ok(turn)
    }

    #[inline(always)]
    fn park(
        &self,
        worker: &Worker,
        fd: BorrowedFd<'_>,
        interest: Interest,
        deadline: Option<Instant>,
        had_turn: bool,
    ) -> io::Result<Turn<'_>> {
        let id = self.register(worker, fd, interest)?;
        match park::park_on_source(worker, id, interest, had_turn, deadline)? {
            Parked::Woken => Ok(Turn::at(id, interest)),
            Parked::TimedOut => Err(timed_out()),
            Parked::Cancelled => Err(cancel::error()),
        }
    }

    fn register(&self, worker: &Worker, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<SourceId> {
        let kind = match interest {
            Interest::Read | Interest::Write => Kind::Stream,
            Interest::Accept => Kind::Acceptor,
        };
        match self.registrations.get().and_then(|own| own.at_home(&worker.remote)) {
            Some(id) => Ok(id),
            None => worker.with_poller(|poller| poller.register(&self.registrations, kind, fd)),
        }
    }

    /// Ends all registrations. To be called before the descriptor is closed or leaves the object it belongs to.
    ///
    /// `sole` says that the open description is provably this descriptor's alone (never lent, cloned or sent), so that closing it
    /// is enough for epoll. That a child of fork(2) may have it is known here.
    pub fn deregister(&mut self, fd: BorrowedFd<'_>, sole: bool) {
        let Some(registrations) = self.registrations.take() else {
            return;
        };
        // A child of a fork may have the description, too.
        let lives_on = !sole || fork::has_forked();
        end_all(&registrations, lives_on.then_some(fd));
    }
}

/// Ends what registrations there are; epoll is told about `fd` if it is given. Those inherited from a parent process are left
/// to it: what is done to its epoll instances is done to its own registrations, and the lock may be held for ever.
fn end_all(registrations: &Registrations, fd: Option<BorrowedFd<'_>>) {
    if registrations.are_inherited() {
        return;
    }
    let all = registrations.lock().clear();
    for registration in all {
        current::with_worker(|worker| end(worker, registration, fd));
    }
}

/// A source that was not deregistered is forgotten by the workers. Its descriptor may be anything by now, so epoll is left
/// alone: if the description lives on, its events are ignored.
impl Drop for Source {
    fn drop(&mut self) {
        if let Some(registrations) = self.registrations.take() {
            end_all(&registrations, None);
        }
    }
}

/// Ends one registration: here at once, elsewhere by a message. Epoll is told about `fd` if it is given.
fn end(here: Option<&Worker>, registration: Registration, fd: Option<BorrowedFd<'_>>) {
    let here = here.filter(|worker| worker.remote.id == registration.worker);
    let elsewhere = if here.is_none() { Remote::find(registration.worker) } else { None };
    let Some(remote) = here.map(|worker| &worker.remote).or(elsewhere.as_ref()) else {
        return;
    };
    if let Some(fd) = fd {
        let _ = remote.epoll.delete(fd.as_raw_fd());
    }
    match here {
        Some(worker) => worker.with_poller(|poller| poller.closed(registration.id)),
        None => {
            let _ = remote.send(Message::SourceClosed(registration.id));
        }
    }
}

impl Default for Source {
    fn default() -> Source {
        Source::new()
    }
}

fn wait_on_thread<'a>(
    fd: BorrowedFd<'_>,
    interest: Interest,
    deadline: Option<Instant>,
    in_vain: bool,
) -> io::Result<Turn<'a>> {
    let leave = park::on_thread(deadline, Point::Fallible);
    let left = leave.until.map(|until| until.saturating_duration_since(Instant::now()));
    if left.is_some_and(|left| left.is_zero()) {
        return Err(expired(leave.expired()));
    }
    let events = match interest {
        Interest::Read | Interest::Accept => poll::READ,
        Interest::Write => poll::WRITE,
    };
    let shown = poll::wait(fd, events, left)?;
    if shown == Shown::Trouble && in_vain {
        // The last attempt did not clear it, and poll(2) will go on to show it.
        std::thread::sleep(left.map_or(TROUBLE_PAUSE, |left| left.min(TROUBLE_PAUSE)));
    }
    Ok(Turn::of_thread())
}

/// Waits for `length`, but not past `deadline`, before another attempt at something that no event tells of.
///
/// # Errors
///
/// `TimedOut` if `deadline` has passed already, so that an attempt is made at the deadline itself; `Other` in a
/// coroutine that unwinds, which does not wait for a peer.
///
/// # Blocking
///
/// Parks the coroutine; a cancellation point. Blocks a plain thread.
///
/// # Panics
///
/// Panics inside `no_park`.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::wait;
/// use std::io::ErrorKind;
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let deadline = start + Duration::from_millis(2);
/// wait::pause(Duration::from_secs(60), Some(deadline)).unwrap();
/// assert!(Instant::now() >= deadline);
/// let error = wait::pause(Duration::from_secs(60), Some(deadline)).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
/// ```
pub fn pause(length: Duration, deadline: Option<Instant>) -> io::Result<()> {
    let now = Instant::now();
    let until = now.checked_add(length).into_iter().chain(deadline).min();
    let parked = current::with_coroutine(|worker| match worker {
        Some(worker) => park::park_for_peer(worker, until),
        None => Ok(pause_thread(length, until)),
    })?;
    // Only now: a deadline that has passed makes the park short, and no less of a park.
    let passed = deadline.is_some_and(|deadline| deadline <= now);
    if passed || parked == Parked::Cancelled { Err(expired(parked)) } else { Ok(()) }
}

fn pause_thread(length: Duration, until: Option<Instant>) -> Parked {
    let leave = park::on_thread(until, Point::Fallible);
    std::thread::sleep(leave.until.map_or(length, |until| until.saturating_duration_since(Instant::now())));
    leave.expired()
}

/// Why a wait that ended so was in vain.
fn expired(parked: Parked) -> io::Error {
    if parked == Parked::Cancelled { cancel::error() } else { timed_out() }
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// Whether the caller may park: not inside `no_park`. Always `true` on a plain thread, which may block.
///
/// For a pause that is better left out than a panic.
pub fn may_park() -> bool {
    current::with_coroutine(|worker| worker.is_none_or(park::is_allowed))
}

/// The turn of one waiter at a source. Dropping it passes on what is left to the next one.
///
/// It stays where it was made:
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<dormouse_runtime::wait::Turn<'static>>();
/// ```
#[derive(Debug)]
#[must_use = "keep it until after the next attempt"]
pub struct Turn<'a> {
    /// Whose turn at what; `None` on a plain thread, or when it went back in vain.
    at: Option<(SourceId, Interest)>,
    /// The source is borrowed, and the turn belongs to one worker.
    source: PhantomData<(&'a Source, *mut ())>,
}

impl Turn<'_> {
    fn at(id: SourceId, interest: Interest) -> Self {
        Turn { at: Some((id, interest)), source: PhantomData }
    }

    fn of_thread() -> Self {
        Turn { at: None, source: PhantomData }
    }

    /// Ends the turn without passing it on.
    fn forget(mut self) {
        self.at = None;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some((id, interest)) = self.at {
            current::with_worker(|worker| {
                if let Some(worker) = worker {
                    worker.pass_on(id, interest);
                }
            });
        }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::os::fd::AsFd;

    /// As `crate::run`, on one worker.
    fn on_one_worker<T>(f: impl FnOnce() -> T) -> T {
        crate::Builder::new().workers(1).run(f).unwrap()
    }

    /// How often a plain thread tries in vain within 50 ms.
    fn vain_tries(fd: BorrowedFd<'_>) -> u32 {
        let (source, mut turn, mut tries) = (Source::new(), None, 0);
        let deadline = Some(Instant::now() + Duration::from_millis(50));
        loop {
            match source.wait(fd, Interest::Read, deadline, turn.take()) {
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                    return tries;
                }
                some => turn = some.ok(),
            }
            tries += 1;
        }
    }

    /// In a coroutine that unwinds, inside `no_park`, and in one that is cancelled: a deadline that has passed is looked at
    /// last.
    #[test]
    fn a_pause_past_its_deadline_is_still_a_park() {
        use crate::thread::{no_park, park, spawn_local, yield_now};
        struct Pauses(std::sync::mpsc::Sender<ErrorKind>);
        impl Drop for Pauses {
            fn drop(&mut self) {
                self.0.send(pause(Duration::ZERO, Some(Instant::now())).unwrap_err().kind()).unwrap();
            }
        }
        on_one_worker(|| {
            let passed = Some(Instant::now());
            assert_eq!(pause(Duration::ZERO, passed).unwrap_err().kind(), ErrorKind::TimedOut);
            std::panic::catch_unwind(|| no_park(|| pause(Duration::ZERO, passed))).unwrap_err();
            let (says, said) = std::sync::mpsc::channel();
            let unwinds = spawn_local(move || {
                let _pauses = Pauses(says);
                let _ = std::panic::catch_unwind(park);
                let _ = pause(Duration::ZERO, passed);
                unreachable!("a cancellation point");
            });
            yield_now();
            unwinds.cancel();
            assert!(unwinds.join().unwrap_err().is::<crate::Cancelled>());
            assert_eq!(said.try_recv(), Ok(ErrorKind::Other));
        });
        assert_eq!(pause(Duration::MAX, Some(Instant::now())).unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_thread_does_not_spin_on_urgent_data() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        poll::send_urgent(&theirs);
        assert!(vain_tries(ours.as_fd()) <= 2);
    }

    #[test]
    fn a_thread_does_not_spin_on_an_error_queue() {
        let ours = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        poll::queue_errors(&ours);
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        ours.send_to(b"x", nobody).unwrap();
        // The error itself, once.
        assert!(ours.recv(&mut [0]).is_err());
        assert!(vain_tries(ours.as_fd()) <= 55);
    }
}
