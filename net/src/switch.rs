//! The O_NONBLOCK flag of a description that data moves through, where the kernel needs it: sendfile(2) and splice(2) know no
//! MSG_DONTWAIT, and SPLICE_F_NONBLOCK is about the pipe.
//!
//! The flag is the user's, and strangers who share the description see it. So it is set only as long as nobody but us can
//! know the description: from the first such attempt until the description is lent or given away, whereupon it goes back
//! to what the user asked for. All calls of ours carry MSG_DONTWAIT and do not care. Once it is lent, the flag is left
//! alone for good, and bytes go by way of a buffer; it says what strangers want, but only once it is back. The rejected way, to set it for each attempt and clear it after, costs
//! two more system calls, and a stranger's blocking read would fail now and then.
//!
//! Invariant 1: the flag changes only by who is alone at the passage; an attempt that needs it is inside. So whoever lends a
//! description waits for the attempts under way, none of which waits for a peer: each moves 1 MiB at the most. One that
//! sends a file may wait for the disk, where a page is missing that was not asked for before; then so does who lends, and who
//! asks for the mode meanwhile.
//! Invariant 2: while `on` is `true`, the description is O_NONBLOCK. It is read inside the passage only, and written alone.
//!
//! A child of fork(2) has the descriptions of its parent. If it lends one, the flag is cleared for both, and an attempt of
//! the parent's that is made just then, or later, may block its worker: let the child exec or close, as it should anyway.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use dormouse_runtime::passage::Passage;

use crate::sys::mode;

/// Whether we have set the flag. See the heading.
#[derive(Default)]
pub(crate) struct Switch {
    /// Who reads or changes it now.
    passage: Passage,
    /// Invariant 2.
    on: AtomicBool,
}

impl Switch {
    /// Makes an attempt with the flag set; `None`, and no attempt, if `is_ours` says that the description is not ours alone.
    pub(crate) fn attempt<T>(
        &self,
        fd: BorrowedFd<'_>,
        is_ours: impl Fn() -> bool,
        attempt: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        loop {
            let inside = self.passage.enter();
            // Inside, so that whoever lends it now finds the flag set, or has set it back before.
            if !is_ours() {
                return Ok(None);
            }
            if self.is_on() {
                return attempt(fd).map(Some);
            }
            drop(inside);
            let _alone = self.passage.enter_alone();
            if is_ours() {
                mode::set_nonblocking(fd, true)?;
                self.set_on(true);
            }
        }
    }

    /// Gives the description the mode that its user asked for, because others are about to know it.
    pub(crate) fn give_back(&self, fd: BorrowedFd<'_>, nonblocking: impl Fn() -> bool) {
        let inside = self.passage.enter();
        if !self.is_on() {
            return;
        }
        drop(inside);
        let _alone = self.passage.enter_alone();
        if self.is_on() {
            self.set_on(false);
            // Fails only for what is no file, which took it before.
            let _ = mode::set_nonblocking(fd, nonblocking());
        }
    }

    /// Sets the user's mode, by `remember`, and in the kernel unless it is switched: then it is set as it is given back.
    pub(crate) fn set_mode(&self, fd: BorrowedFd<'_>, nonblocking: bool, remember: impl FnOnce()) -> io::Result<()> {
        let _alone = self.passage.enter_alone();
        if !self.is_on() {
            mode::set_nonblocking(fd, nonblocking)?;
        }
        remember();
        Ok(())
    }

    /// The user's mode of a description that others may know, or are about to: the kernel's flag, but as long as that is ours
    /// what is remembered.
    pub(crate) fn mode(&self, fd: BorrowedFd<'_>, remembered: impl FnOnce() -> bool) -> io::Result<bool> {
        let _inside = self.passage.enter();
        if self.is_on() { Ok(remembered()) } else { mode::is_nonblocking(fd) }
    }

    fn is_on(&self) -> bool {
        // ORDERING: Relaxed; the passage orders this after the store of whoever was alone before.
        self.on.load(Ordering::Relaxed)
    }

    fn set_on(&self, on: bool) {
        // ORDERING: Relaxed; the passage orders this before the loads of those who come after.
        self.on.store(on, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::os::fd::AsFd;

    #[test]
    fn the_flag_is_on_from_the_first_attempt_until_the_description_is_lent() {
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let (fd, switch, ours) = (socket.as_fd(), Switch::default(), Cell::new(true));
        let is_on = || mode::is_nonblocking(fd).unwrap();
        let attempt = || switch.attempt(fd, || ours.get(), |_| Ok(is_on())).unwrap();
        assert!(!is_on());
        assert_eq!(attempt(), Some(true));
        assert!(is_on());
        ours.set(false);
        switch.give_back(fd, || false);
        assert!(!is_on());
        assert_eq!(attempt(), None);
        assert!(!is_on());
    }

    #[test]
    fn the_users_wish_waits_until_it_is_given_back() {
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let (fd, switch, wish) = (socket.as_fd(), Switch::default(), Cell::new(false));
        let is_on = || mode::is_nonblocking(fd).unwrap();
        let set = |mode| switch.set_mode(fd, mode, || wish.set(mode)).unwrap();
        set(true);
        assert!(is_on());
        switch.attempt(fd, || true, |_| Ok(())).unwrap();
        set(false);
        assert!(is_on(), "an attempt may be under way");
        set(true);
        switch.give_back(fd, || wish.get());
        assert!(is_on());
        set(false);
        assert!(!is_on());
    }
}
