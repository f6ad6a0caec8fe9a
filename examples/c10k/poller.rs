//! A thin epoll: the one under the load generator and under the `epoll` server, so that both ends pay the same.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

pub(crate) const READABLE: u32 = libc::EPOLLIN as u32;
pub(crate) const WRITABLE: u32 = libc::EPOLLOUT as u32;
/// The peer has shut down its sending half: asked for.
pub(crate) const PEER_CLOSED: u32 = libc::EPOLLRDHUP as u32;
pub(crate) const EDGE: u32 = libc::EPOLLET as u32;
/// Any sign that the end of the stream may follow what is readable: reported.
pub(crate) const ENDING: u32 = PEER_CLOSED | (libc::EPOLLHUP | libc::EPOLLERR) as u32;

const BATCH: usize = 1024;

/// An epoll object and room for the events of one wait.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes a flag, touches no memory of ours.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        check(fd)?;
        // SAFETY: the kernel has just created `fd` and nobody else knows of it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; BATCH];
        Ok(Self { epoll, events })
    }

    /// Reports `interest` in `source` as `token` from now on, until its description is closed.
    pub(crate) fn add(&self, source: &impl AsRawFd, interest: u32, token: usize) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, source, interest, token)
    }

    /// Changes the interest; what is ready at this moment is reported anew, edge-triggered or not.
    pub(crate) fn modify(&self, source: &impl AsRawFd, interest: u32, token: usize) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, source, interest, token)
    }

    /// Waits for events and returns their number, zero when `timeout` has passed.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let timeout = timeout.map_or(-1, |timeout| timeout.as_millis() as libc::c_int);
        let (events, length) = (self.events.as_mut_ptr(), self.events.len() as libc::c_int);
        // SAFETY: `events` points to `length` writable events, which outlive the call.
        let ready = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events, length, timeout) };
        match check(ready) {
            Ok(()) => Ok(ready as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Token and readiness of an event of the last wait.
    pub(crate) fn event(&self, index: usize) -> (usize, u32) {
        let event = self.events[index];
        (event.u64 as usize, event.events)
    }

    fn control(&self, operation: i32, source: &impl AsRawFd, interest: u32, token: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest, u64: token as u64 };
        // SAFETY: `event` is a valid event, only read, and outlives the call.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, source.as_raw_fd(), &mut event) })
    }
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
