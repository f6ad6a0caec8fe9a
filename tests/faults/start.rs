//! The start of a runtime: one that lacks something says what, and leaves neither a thread nor a descriptor behind.

use crate::pages::*;
use crate::walk::As::Thread;
use crate::walk::Seen::{Lasting, Nothing};
use crate::walk::{Row, Strike};
use dormouse::{Builder, spawn};
use libc::*;
use std::io;

/// A runtime of two workers that runs a coroutine.
fn starts_two(strike: &Strike) -> io::Result<()> {
    strike.on(|| Builder::new().workers(2).run(|| spawn(|| ()).join().unwrap()));
    Ok(())
}

/// A runtime of one worker, on this thread: what std does in threads of its own does not fail.
fn starts_one(strike: &Strike) -> io::Result<()> {
    strike.on(|| Builder::new().workers(1).run(|| ()));
    Ok(())
}

fn starts_pinned(strike: &Strike) -> io::Result<()> {
    strike.on(|| Builder::new().workers(2).affinity(true).run(|| ()));
    Ok(())
}

fn starts_with_guards_by_mprotect(strike: &Strike) -> io::Result<()> {
    strike.on(|| Builder::new().workers(1).guard_by_mprotect(true).run(|| ()));
    Ok(())
}

pub(crate) const ROWS: &[Row] = &[
    Row::new("epoll_create1", EPOLL_CREATE, starts_two).only(Thread).everywhere(),
    Row::new("timerfd_create", TIMERFD_CREATE, starts_two).only(Thread).everywhere(),
    Row::new("eventfd", EVENTFD, starts_two).only(Thread).everywhere(),
    Row::new("epoll_ctl(ADD)", EPOLL_CTL, starts_two).only(Thread).everywhere(),
    Row::new("pthread_create", PTHREAD_CREATE, starts_two).only(Thread),
    Row::new("sigaltstack", SIGALTSTACK, starts_one).only(Thread).but(&[]).seen(Lasting),
    // A slab for fewer stacks is tried next.
    Row::new("mmap", MMAP, starts_one).only(Thread).seen(Lasting),
    Row::new("mprotect", MPROTECT, starts_with_guards_by_mprotect).only(Thread).seen(Lasting),
    Row::new("madvise(GUARD_INSTALL)", MADVISE, starts_one).only(Thread).seen(Nothing),
    Row::new("madvise(NOHUGEPAGE)", MADVISE, starts_one).only(Thread).seen(Nothing),
    // Address space is lost, and nothing else.
    Row::new("munmap", MUNMAP, starts_one).only(Thread).seen(Nothing),
    // EINVAL says that there are more processors than there was room for, which is tried with more.
    Row::new("sched_getaffinity", SCHED_SETAFFINITY, starts_pinned).only(Thread).but(&[(&[EINVAL], Lasting)]),
    Row::new("sched_setaffinity", SCHED_SETAFFINITY, starts_pinned).only(Thread).everywhere().seen(Lasting),
    // Once for the process.
    Row::new("membarrier", MEMBARRIER, starts_two).only(Thread).seen(Nothing).first(),
    Row::new("pthread_atfork", PTHREAD_ATFORK, starts_two).only(Thread).first(),
    Row::new("sigaction", SIGACTION, starts_two).only(Thread).seen(Nothing).first(),
];
