//! epoll(7): one instance, its registrations, its wait with a deadline in nanoseconds.
//!
//! Owns the epoll descriptor and the event bits. Knows no coroutine and no source: a registration carries a `u64`
//! token and an event gives it back.
//!
//! Where `epoll_pwait2` is missing (Linux before 5.11, or a filter that refuses it) a timerfd in the same set keeps
//! the nanoseconds; the rejected way, rounding up to `epoll_wait`'s milliseconds, would make every short sleep late.

use super::cvt;
use super::timerfd::TimerFd;
use crate::atomic::{AtomicBool, Ordering};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Readable.
pub(crate) const IN: u32 = libc::EPOLLIN as u32;
/// Writable.
pub(crate) const OUT: u32 = libc::EPOLLOUT as u32;
/// Urgent data.
pub(crate) const PRI: u32 = libc::EPOLLPRI as u32;
/// The peer has shut down writing.
pub(crate) const RDHUP: u32 = libc::EPOLLRDHUP as u32;
/// Both directions are shut down.
pub(crate) const HUP: u32 = libc::EPOLLHUP as u32;
/// An error is pending.
pub(crate) const ERR: u32 = libc::EPOLLERR as u32;
/// Edge-triggered.
pub(crate) const ET: u32 = libc::EPOLLET as u32;
/// Of several epoll instances watching one source, wake one.
pub(crate) const EXCLUSIVE: u32 = libc::EPOLLEXCLUSIVE as u32;

/// The token of the timerfd that stands in for `epoll_pwait2`.
const TIMER_TOKEN: u64 = u64::MAX - 1;

/// One event as the kernel writes it.
pub(crate) type Event = libc::epoll_event;

/// An event buffer entry before the kernel has written it.
pub(crate) const NO_EVENT: Event = Event { events: 0, u64: 0 };

/// One epoll instance.
#[derive(Debug)]
pub(crate) struct Epoll {
    /// The epoll descriptor.
    fd: OwnedFd,
    /// Registered at the start, armed only where `epoll_pwait2` is missing.
    timer: TimerFd,
    /// Whether `epoll_pwait2` was found missing.
    without_pwait2: AtomicBool,
}

impl Epoll {
    /// Opens an instance; fails with EMFILE, ENFILE or ENOMEM.
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: no pointer is passed.
        let fd = cvt(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let timer = TimerFd::new()?;
        let epoll = Epoll { fd, timer, without_pwait2: AtomicBool::new(false) };
        epoll.add(epoll.timer.raw(), IN | ET, TIMER_TOKEN)?;
        Ok(epoll)
    }

    /// Registers `fd`; fails with EEXIST, ENOMEM, ENOSPC (`fs.epoll.max_user_watches`) or EPERM (not pollable).
    pub(crate) fn add(&self, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        let mut event = Event { events, u64: token };
        // SAFETY: `event` outlives the call, which only reads it.
        cvt(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
        Ok(())
    }

    /// Changes what a registered `fd` is watched for; what is ready then is reported, as after an edge.
    pub(crate) fn modify(&self, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        let mut event = Event { events, u64: token };
        // SAFETY: `event` outlives the call, which only reads it.
        cvt(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_MOD, fd, &raw mut event) })?;
        Ok(())
    }

    /// Ends the registration of `fd`, which the caller knows to be open still. Whether there is none now: one that is not
    /// registered is no failure, and Linux knows of no other.
    pub(crate) fn delete(&self, fd: RawFd) -> bool {
        let mut unused = NO_EVENT;
        // SAFETY: the event is ignored for DEL; a pointer is passed for kernels before 2.6.9.
        let deleted = cvt(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, &raw mut unused) });
        // The last two: somebody has closed it, and perhaps put what epoll does not know in its place.
        let is_gone = |error: io::Error| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EBADF | libc::EPERM));
        deleted.map_or_else(is_gone, |_| true)
    }

    /// Waits for events, at most `timeout` (for ever if `None`); a signal ends the wait with no event.
    pub(crate) fn wait<'a>(&self, buffer: &'a mut [Event], timeout: Option<Duration>) -> io::Result<&'a [Event]> {
        let found = match timeout {
            None => self.wait_millis(buffer, -1),
            Some(Duration::ZERO) => self.wait_millis(buffer, 0),
            Some(timeout) => self.wait_nanos(buffer, timeout),
        };
        match found {
            Ok(count) => Ok(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(&[]),
            Err(error) => Err(error),
        }
    }

    fn wait_millis(&self, buffer: &mut [Event], millis: i32) -> io::Result<usize> {
        let capacity = buffer.len() as i32;
        // SAFETY: the kernel writes at most `capacity` events into the buffer.
        let found = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), buffer.as_mut_ptr(), capacity, millis) };
        cvt(found).map(|count| count as usize)
    }

    fn wait_nanos(&self, buffer: &mut [Event], timeout: Duration) -> io::Result<usize> {
        // ORDERING: Relaxed; a hint about the kernel that publishes nothing, same word below.
        if !self.without_pwait2.load(Ordering::Relaxed) {
            match self.pwait2(buffer, timeout) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    // ORDERING: Relaxed; see the load above.
                    self.without_pwait2.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        self.wait_by_timer(buffer, timeout)
    }

    fn pwait2(&self, buffer: &mut [Event], timeout: Duration) -> io::Result<usize> {
        let spec = timespec(timeout);
        let capacity = buffer.len() as i32;
        let no_mask: *const libc::sigset_t = std::ptr::null();
        // SAFETY: the kernel writes at most `capacity` events, reads one timespec, and takes a null signal mask.
        let found = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                buffer.as_mut_ptr(),
                capacity,
                &raw const spec,
                no_mask,
                size_of::<libc::sigset_t>(),
            )
        };
        cvt(found as i32).map(|count| count as usize)
    }

    /// The timer's own event counts as an event with a token nobody owns; it only ends the wait.
    fn wait_by_timer(&self, buffer: &mut [Event], timeout: Duration) -> io::Result<usize> {
        self.timer.set(timeout)?;
        let found = self.wait_millis(buffer, -1);
        self.timer.set(Duration::ZERO)?;
        found
    }
}

/// `duration` for the kernel; what does not fit in its seconds is for ever.
pub(crate) fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(duration.subsec_nanos() as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn wait_is_never_early(epoll: &Epoll) {
        for micros in [1, 80, 300, 2_500] {
            let timeout = Duration::from_micros(micros);
            let start = Instant::now();
            while start.elapsed() < timeout {
                let left = timeout.saturating_sub(start.elapsed());
                epoll.wait(&mut [NO_EVENT; 4], Some(left)).unwrap();
            }
            assert!(start.elapsed() < timeout + Duration::from_secs(5));
        }
    }

    #[test]
    fn short_waits_end_with_and_without_pwait2() {
        let epoll = Epoll::new().unwrap();
        wait_is_never_early(&epoll);
        epoll.without_pwait2.store(true, Ordering::Relaxed);
        wait_is_never_early(&epoll);
    }

    #[test]
    fn a_stale_timer_does_not_end_a_later_wait() {
        let epoll = Epoll::new().unwrap();
        epoll.without_pwait2.store(true, Ordering::Relaxed);
        epoll.wait(&mut [NO_EVENT; 4], Some(Duration::from_micros(50))).unwrap();
        let mut buffer = [NO_EVENT; 4];
        let left_over = epoll.wait(&mut buffer, Some(Duration::ZERO)).unwrap();
        assert!(left_over.is_empty());
    }

    #[test]
    fn registering_a_plain_file_is_an_error() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let error = Epoll::new().unwrap().add(file.as_raw_fd(), IN, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
