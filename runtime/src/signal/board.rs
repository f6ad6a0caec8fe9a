//! The board on which the signal handler leaves what came, for whoever listens.
//!
//! Owns the posts, one for each listener: which signals it wants, which have come, and the eventfd that it waits for. Does not
//! know how it waits.
//!
//! A handler may run at any time, on any thread, also while a listener comes or goes. So a post, once made, is there for ever,
//! and its eventfd is never closed: the next listener takes over both. A handler that is late then wakes, at worst, somebody who
//! looks and finds nothing.
//!
//! Invariant 1: posts are only ever added to the list, at its head; what is read of one by a handler is atomic.
//! Invariant 2: a signal is marked before the eventfd is written to, and the eventfd is read before the last look at the marks.
//! So whoever waits after that look is woken by what was not marked yet.
//! Invariant 3: who takes one of several marks writes to the eventfd again: others may wait for the rest.
//! Invariant 4: a child of fork(2) shares its parent's eventfds, so it has a board of its own.

#![allow(unsafe_code)]

use super::arrivals::{Arrivals, Set};
use crate::fork::PerProcess;
use crate::sys::eventfd::EventFd;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// This process's (invariant 4).
static BOARD: PerProcess<Board> = PerProcess::new();

/// All posts.
struct Board {
    /// The one added last.
    head: AtomicPtr<Post>,
}

/// One listener's place.
#[derive(Debug)]
pub(super) struct Post {
    /// Whether a listener has it.
    taken: AtomicBool,
    /// What it wants, and what has come of it.
    arrivals: Arrivals,
    /// Readable, at the latest, once something has come.
    eventfd: EventFd,
    /// The one added before, or null.
    next: *const Post,
}

// SAFETY: `next` is as constant as what it points to is lasting (invariant 1).
unsafe impl Sync for Post {}
// SAFETY: as above.
unsafe impl Send for Post {}

/// The handler's part: marks the signal for all who want it. Async-signal-safe.
pub(super) fn deliver(signal: i32) {
    let Some(board) = BOARD.present() else {
        return;
    };
    for post in board.posts() {
        if post.arrivals.mark(signal) {
            post.eventfd.notify();
        }
    }
}

impl Board {
    fn posts(&self) -> impl Iterator<Item = &'static Post> {
        // ORDERING: Acquire; pairs with the Release exchange in `add`.
        let head: *const Post = self.head.load(Ordering::Acquire);
        // SAFETY: null, or there for ever (invariant 1).
        std::iter::successors(unsafe { head.as_ref() }, |post| unsafe { post.next.as_ref() })
    }

    fn add(&self, mut post: Box<Post>) -> &'static Post {
        // ORDERING: Relaxed; the exchange below decides.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            post.next = head;
            let added = Box::into_raw(post);
            // ORDERING: Release; pairs with the Acquire load in `posts`. Relaxed on failure; the pointer is only kept.
            match self.head.compare_exchange(head, added, Ordering::Release, Ordering::Relaxed) {
                // SAFETY: it was a box's, and nobody gives it back from now on.
                Ok(_) => return unsafe { &*added },
                Err(other) => head = other,
            }
            // SAFETY: not published; made by `into_raw` above.
            post = unsafe { Box::from_raw(added) };
        }
    }
}

impl Post {
    /// A place for a listener, who has it until `leave`. Fails with EMFILE, ENFILE or ENOMEM.
    pub(super) fn take(wanted: Set) -> io::Result<&'static Post> {
        let board = BOARD.get(|| Board { head: AtomicPtr::new(std::ptr::null_mut()) });
        let post = match board.posts().find(|post| post.try_take()) {
            Some(free) => free,
            None => board.add(Box::new(Post {
                taken: AtomicBool::new(true),
                arrivals: Arrivals::new(),
                eventfd: EventFd::new()?,
                next: std::ptr::null(),
            })),
        };
        post.arrivals.begin(wanted);
        Ok(post)
    }

    fn try_take(&self) -> bool {
        // ORDERING: Acquire; pairs with the Release store in `leave`.
        self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The listener's last call: it has deregistered the eventfd.
    pub(super) fn leave(&self) {
        self.arrivals.begin(Set::NONE);
        self.eventfd.drain();
        // ORDERING: Release; pairs with the Acquire exchange in `try_take`.
        self.taken.store(false, Ordering::Release);
    }

    /// What its listener listens for.
    pub(super) fn wanted(&self) -> impl Iterator<Item = i32> {
        self.arrivals.wanted()
    }

    /// A signal that has come, each once. If there is none, the eventfd is readable as soon as there is.
    pub(super) fn next_arrival(&self) -> Option<i32> {
        let (signal, rest) = self.arrivals.take().or_else(|| {
            self.eventfd.drain();
            self.arrivals.take()
        })?;
        if !rest.is_empty() {
            self.eventfd.notify();
        }
        Some(signal)
    }

    /// What to wait for.
    pub(super) fn eventfd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use crate::sys::poll;
    use std::os::fd::AsRawFd;

    /// A signal that libc leaves alone, and nobody here raises.
    const SIGNAL: i32 = 50;

    fn is_readable(post: &Post) -> bool {
        poll::is_readable(post.eventfd().as_raw_fd())
    }

    #[test]
    fn every_listener_is_told_once() {
        let wanted: Set = [SIGNAL, SIGNAL + 1].into_iter().collect();
        let (both, one) = (Post::take(wanted).unwrap(), Post::take([SIGNAL].into_iter().collect()).unwrap());
        for _ in 0..3 {
            deliver(SIGNAL);
        }
        deliver(SIGNAL + 1);
        assert_eq!((both.next_arrival(), one.next_arrival()), (Some(SIGNAL), Some(SIGNAL)));
        assert!(is_readable(both), "there is another");
        assert_eq!((both.next_arrival(), one.next_arrival()), (Some(SIGNAL + 1), None));
        assert_eq!((both.next_arrival(), is_readable(both)), (None, false));
        both.leave();
        one.leave();
        deliver(SIGNAL);
        let again = Post::take(wanted).unwrap();
        assert_eq!((again.next_arrival(), is_readable(again)), (None, false), "it came before");
        again.leave();
    }

    #[test]
    fn who_finds_several_leaves_the_rest_to_others() {
        let post = Post::take([SIGNAL + 2, SIGNAL + 3].into_iter().collect()).unwrap();
        deliver(SIGNAL + 2);
        deliver(SIGNAL + 3);
        post.eventfd.drain();
        assert_eq!(post.next_arrival(), Some(SIGNAL + 2));
        assert!(is_readable(post), "somebody else may sleep");
        post.leave();
    }
}
