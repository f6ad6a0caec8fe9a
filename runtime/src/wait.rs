//! Waiting for a descriptor to become ready.
//!
//! Owns [`Source`], one socket object's side of its registrations, and [`Turn`], the duty to pass readiness on. Knows
//! "an fd can become ready", never what a socket is; the retry loop is the caller's.

use crate::current;
use crate::park::{self, Parked};
use crate::remote::{Message, SourceId};
use crate::source::{Kind, LazyRegistrations};
use crate::sys::poll;
use crate::worker::Worker;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Instant;

pub use crate::readiness::Interest;

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
/// let mut source = Source::stream();
/// std::io::Write::write_all(&mut &theirs, b"hello")?;
/// assert_eq!(read(&ours, &source, &mut [0; 16])?, 5);
/// source.deregister(ours.as_fd(), false);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Source {
    /// The registrations, once there are any.
    registrations: LazyRegistrations,
    /// How it is watched.
    kind: Kind,
}

impl Source {
    /// For a descriptor that data moves through: both directions, edge-triggered, registered once per worker.
    pub const fn stream() -> Source {
        Source { registrations: LazyRegistrations::new(), kind: Kind::Stream }
    }

    /// For a listening descriptor: watched exactly while somebody waits, one waiter woken for each event.
    pub const fn acceptor() -> Source {
        Source { registrations: LazyRegistrations::new(), kind: Kind::Acceptor }
    }

    /// Whether an attempt is worthwhile: `false` if one is known to answer EWOULDBLOCK, because the last one on this
    /// worker took all there was and nothing happened since. Always `true` on a plain thread.
    #[inline]
    pub fn maybe_ready(&self, interest: Interest) -> bool {
        let Some(registrations) = self.registrations.get() else {
            return true;
        };
        current::with_coroutine(|worker| {
            let home = worker.and_then(|worker| Some((worker, registrations.index_at_home(&worker.remote)?)));
            home.is_none_or(|(worker, index)| worker.with_poller(|poller| poller.is_ready(index, interest)))
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
                && let Some(index) = registrations.index_at_home(&worker.remote)
            {
                worker.with_poller(|poller| poller.drained(index, interest));
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
            None => wait_on_thread(fd, interest, deadline),
        })?;
        // Where the wait failed or threw, the old turn is passed on by its Drop; here the new one takes its place.
        vain.into_iter().for_each(Turn::forget);
        Ok(turn)
    }

    fn park(
        &self,
        worker: &Worker,
        fd: BorrowedFd<'_>,
        interest: Interest,
        deadline: Option<Instant>,
        had_turn: bool,
    ) -> io::Result<Turn<'_>> {
        let id = self.register(worker, fd)?;
        match park::park_on_source(worker, id, interest, had_turn, deadline)? {
            Parked::Woken => Ok(Turn::at(id, interest)),
            Parked::TimedOut => Err(timed_out()),
        }
    }

    fn register(&self, worker: &Worker, fd: BorrowedFd<'_>) -> io::Result<SourceId> {
        let home = self.registrations.get().and_then(|own| own.index_at_home(&worker.remote));
        worker.with_poller(|poller| match home {
            Some(index) => Ok(poller.id_at(index)),
            None => poller.register(&self.registrations, self.kind, fd),
        })
    }

    /// Ends all registrations. To be called before the descriptor is closed or leaves the object it belongs to.
    ///
    /// `sole` says that the open description is provably this descriptor's alone (never lent, cloned, sent or inherited),
    /// so that closing it is enough for epoll.
    pub fn deregister(&mut self, fd: BorrowedFd<'_>, sole: bool) {
        let Some(registrations) = self.registrations.take() else {
            return;
        };
        let list = std::mem::take(&mut *registrations.lock());
        for registration in list.iter() {
            if !sole {
                registration.worker.epoll.delete(fd.as_raw_fd());
            }
            current::with_worker(|worker| match worker {
                Some(worker) if worker.remote.id == registration.worker.id => {
                    worker.with_poller(|poller| poller.closed(registration.id));
                }
                _ => registration.worker.send(Message::SourceClosed(registration.id)),
            });
        }
    }
}

fn wait_on_thread<'a>(fd: BorrowedFd<'_>, interest: Interest, deadline: Option<Instant>) -> io::Result<Turn<'a>> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    if left.is_some_and(|left| left.is_zero()) {
        return Err(timed_out());
    }
    let events = match interest {
        Interest::Read => poll::READ,
        Interest::Write => poll::WRITE,
    };
    poll::wait(fd, events, left)?;
    Ok(Turn::of_thread())
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
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
