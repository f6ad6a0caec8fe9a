//! The seam below the `sys` rooms: the calls of libc that they make, each made to fail on demand.
//!
//! `sys` reaches the kernel by symbols of libc only, and a symbol that a program defines itself takes the place of libc's,
//! for all of its crates. This test program defines them, so what fails here is the very code that ships: none of it is
//! compiled in another way. What socket2 and std call for the runtime (`accept4`, `pthread_create`, `open64`) fails as well;
//! what libc calls within itself does not.
//!
//! Invariant 1: nothing here allocates or locks in the place of a call: `futex_wait` is one.
//! Invariant 2: an armed fault is never given back, since some thread may be about to look at it.

#![allow(dead_code, reason = "each test program uses its own part")]

use libc::{c_char, c_int, c_long, c_uint, c_ulong, c_void, mode_t, off_t, size_t, socklen_t, ssize_t};
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering::SeqCst};

/// What is to fail, and how.
#[derive(Debug)]
struct Fault {
    /// The call, as [`CALLS`] has it.
    call: &'static str,
    /// What it says.
    errno: c_int,
    /// How many calls succeed before.
    skip: AtomicU64,
    /// How many fail yet.
    left: AtomicU64,
    /// How many have failed.
    struck: AtomicU64,
    /// On all threads, and not only on the one that armed it.
    everywhere: bool,
}

/// The fault of the moment.
static ARMED: AtomicPtr<Fault> = AtomicPtr::new(null_mut());

thread_local! {
    /// Whether this thread is the one that armed it. Needs neither memory nor a destructor.
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// How far CLOCK_REALTIME is put forward, in seconds.
pub(crate) static WALL_STEP: AtomicI64 = AtomicI64::new(0);

/// How far CLOCK_MONOTONIC is put forward, in nanoseconds.
pub(crate) static MONOTONIC_STEP: AtomicI64 = AtomicI64::new(0);

/// Which threads a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The one that armed it: a plain thread, or a coroutine's worker.
    Here,
    /// All.
    Everywhere,
}

/// While this lives, a call fails.
#[derive(Debug)]
pub(crate) struct Armed(&'static Fault);

impl Armed {
    /// Has `call` fail with `errno` `times` times, after `skip` calls that succeed.
    pub(crate) fn new(call: &str, errno: c_int, skip: u64, times: u64, reach: Reach) -> Armed {
        let call =
            CALLS.iter().find(|known| **known == call).unwrap_or_else(|| panic!("{call} is no call of the seam"));
        let (skip, left, everywhere) = (skip.into(), times.into(), reach == Reach::Everywhere);
        let fault = Box::leak(Box::new(Fault { call, errno, skip, left, struck: 0.into(), everywhere }));
        HERE.set(true);
        assert!(ARMED.swap(fault, SeqCst).is_null(), "one fault at a time");
        Armed(fault)
    }

    /// How many calls have failed.
    pub(crate) fn struck(&self) -> u64 {
        self.0.struck.load(SeqCst)
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        ARMED.store(null_mut(), SeqCst);
        HERE.set(false);
    }
}

/// Takes one from a count that is not zero.
fn take(count: &AtomicU64) -> bool {
    count.fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1)).is_ok()
}

/// What is done only where another call is missing, and that call: then it is.
const SECOND_WAYS: &[(&str, &str)] = &[("madvise(DONTNEED)", "process_madvise")];

/// Whether this call is to fail, and with what.
fn strike(call: &str) -> Option<c_int> {
    // SAFETY: null, or never given back (invariant 2).
    let fault = unsafe { ARMED.load(SeqCst).as_ref() }?;
    if SECOND_WAYS.contains(&(fault.call, call)) {
        return Some(libc::ENOSYS);
    }
    let is_meant = fault.call == call && (fault.everywhere || HERE.try_with(Cell::get).unwrap_or(false));
    if !is_meant || take(&fault.skip) || !take(&fault.left) {
        return None;
    }
    fault.struck.fetch_add(1, SeqCst);
    Some(fault.errno)
}

/// How a call answers that it failed.
trait Failed {
    fn failed() -> Self;
}

macro_rules! fails_with_minus_one {
    ($($kind:ty)*) => { $(impl Failed for $kind {
        fn failed() -> $kind {
            -1
        }
    })* };
}

fails_with_minus_one! { c_int c_long ssize_t }

impl Failed for *mut c_void {
    fn failed() -> *mut c_void {
        libc::MAP_FAILED
    }
}

/// Sets errno, and gives what stands for a failure.
fn fail<T: Failed>(errno: c_int) -> T {
    // SAFETY: always there, of this thread.
    unsafe { *libc::__errno_location() = errno };
    T::failed()
}

/// libc's own function of this name, which ends in a nul byte, kept in `place`.
fn next(name: &'static str, place: &AtomicPtr<c_void>) -> *mut c_void {
    let known = place.load(SeqCst);
    if !known.is_null() {
        return known;
    }
    // SAFETY: the name ends in a nul byte.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast()) };
    if found.is_null() {
        // SAFETY: as the name says.
        unsafe { libc::abort() };
    }
    place.store(found, SeqCst);
    found
}

/// The function of libc's that this one stands for.
macro_rules! real {
    ($name:literal as $kind:ty) => {{
        static PLACE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
        // SAFETY: a function of this name in libc has this type.
        unsafe { std::mem::transmute::<*mut c_void, $kind>(next(concat!($name, "\0"), &PLACE)) }
    }};
}

/// Calls that are told apart by their name alone.
macro_rules! plain {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        /// The names of those that are told apart by it alone.
        const PLAIN: &[&str] = &[$(stringify!($name)),*];
        $(
            // SAFETY: the signature is libc's, and the call is passed on or refused.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $kind),*) -> $answer {
                if let Some(errno) = strike(stringify!($name)) {
                    return fail(errno);
                }
                let real = {
                    static PLACE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
                    // SAFETY: a function of this name in libc has this type.
                    unsafe {
                        std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($kind),*) -> $answer>(next(concat!(stringify!($name), "\0"), &PLACE))
                    }
                };
                // SAFETY: the caller's arguments.
                unsafe { real($($argument),*) }
            }
        )*
    };
}

plain! {
    fn accept4(fd: c_int, name: *mut libc::sockaddr, length: *mut socklen_t, flags: c_int) -> c_int;
    fn bind(fd: c_int, name: *const libc::sockaddr, length: socklen_t) -> c_int;
    fn connect(fd: c_int, name: *const libc::sockaddr, length: socklen_t) -> c_int;
    fn epoll_create1(flags: c_int) -> c_int;
    fn epoll_wait(fd: c_int, events: *mut libc::epoll_event, most: c_int, millis: c_int) -> c_int;
    fn eventfd(count: c_uint, flags: c_int) -> c_int;
    fn fstat64(fd: c_int, status: *mut libc::stat64) -> c_int;
    fn fstatfs(fd: c_int, status: *mut libc::statfs) -> c_int;
    fn fsync(fd: c_int) -> c_int;
    fn ftruncate64(fd: c_int, length: off_t) -> c_int;
    fn getpeername(fd: c_int, name: *mut libc::sockaddr, length: *mut socklen_t) -> c_int;
    fn getsockname(fd: c_int, name: *mut libc::sockaddr, length: *mut socklen_t) -> c_int;
    fn getsockopt(fd: c_int, level: c_int, option: c_int, value: *mut c_void, length: *mut socklen_t) -> c_int;
    fn listen(fd: c_int, backlog: c_int) -> c_int;
    fn mincore(start: *mut c_void, length: size_t, pages: *mut u8) -> c_int;
    fn mmap(start: *mut c_void, length: size_t, protection: c_int, flags: c_int, fd: c_int, at: off_t) -> *mut c_void;
    fn mprotect(start: *mut c_void, length: size_t, protection: c_int) -> c_int;
    fn munmap(start: *mut c_void, length: size_t) -> c_int;
    fn pipe2(ends: *mut c_int, flags: c_int) -> c_int;
    fn poll(entries: *mut libc::pollfd, count: libc::nfds_t, millis: c_int) -> c_int;
    fn ppoll(
        entries: *mut libc::pollfd, count: libc::nfds_t, timeout: *const libc::timespec, mask: *const libc::sigset_t
    ) -> c_int;
    fn pread64(fd: c_int, buffer: *mut c_void, length: size_t, at: off_t) -> ssize_t;
    fn preadv2(fd: c_int, buffers: *const libc::iovec, count: c_int, at: off_t, flags: c_int) -> ssize_t;
    fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t;
    fn readv(fd: c_int, buffers: *const libc::iovec, count: c_int) -> ssize_t;
    fn recv(fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t;
    fn recvfrom(
        fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int, from: *mut libc::sockaddr, room: *mut socklen_t
    ) -> ssize_t;
    fn recvmmsg(
        fd: c_int, headers: *mut libc::mmsghdr, count: c_uint, flags: c_int, timeout: *mut libc::timespec
    ) -> c_int;
    fn recvmsg(fd: c_int, header: *mut libc::msghdr, flags: c_int) -> ssize_t;
    fn sched_getaffinity(pid: c_int, length: size_t, set: *mut c_void) -> c_int;
    fn sched_setaffinity(pid: c_int, length: size_t, set: *const c_void) -> c_int;
    fn send(fd: c_int, buffer: *const c_void, length: size_t, flags: c_int) -> ssize_t;
    fn sendfile64(to: c_int, from: c_int, at: *mut off_t, length: size_t) -> ssize_t;
    fn sendmmsg(fd: c_int, headers: *mut libc::mmsghdr, count: c_uint, flags: c_int) -> c_int;
    fn sendmsg(fd: c_int, header: *const libc::msghdr, flags: c_int) -> ssize_t;
    fn sendto(
        fd: c_int, buffer: *const c_void, length: size_t, flags: c_int, to: *const libc::sockaddr, size: socklen_t
    ) -> ssize_t;
    fn setsockopt(fd: c_int, level: c_int, option: c_int, value: *const c_void, length: socklen_t) -> c_int;
    fn shutdown(fd: c_int, how: c_int) -> c_int;
    fn sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
    fn sigaltstack(new: *const libc::stack_t, old: *mut libc::stack_t) -> c_int;
    fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn socketpair(family: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int;
    fn splice(
        from: c_int, at: *mut off_t, to: c_int, place: *mut off_t, length: size_t, flags: c_uint
    ) -> ssize_t;
    fn timerfd_create(clock: c_int, flags: c_int) -> c_int;
    fn timerfd_settime(fd: c_int, flags: c_int, new: *const libc::itimerspec, old: *mut libc::itimerspec) -> c_int;
    fn writev(fd: c_int, buffers: *const libc::iovec, count: c_int) -> ssize_t;
}

/// Those that are told apart by an argument, too, or fail in a way of their own.
const APART: &[&str] = &[
    "clock_nanosleep",
    "close",
    "epoll_ctl(ADD)",
    "epoll_ctl(MOD)",
    "epoll_ctl(DEL)",
    "epoll_pwait2",
    "fcntl(DUPFD)",
    "fcntl(GETFL)",
    "futex(WAIT)",
    "futex(WAKE)",
    "ioctl(FIONBIO)",
    "madvise(DONTNEED)",
    "madvise(GUARD_INSTALL)",
    "madvise(NOHUGEPAGE)",
    "membarrier",
    "open",
    "open64",
    "pidfd_open",
    "process_madvise",
    "pthread_atfork",
    "pthread_create",
    "write",
];

/// Every call that can be made to fail.
pub(crate) const CALLS: [&str; PLAIN.len() + APART.len()] = {
    let mut all = [""; PLAIN.len() + APART.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < PLAIN.len() { PLAIN[at] } else { APART[at - PLAIN.len()] };
        at += 1;
    }
    all
};

/// For what is of no interest here.
const OTHER: &str = "another call";

// SAFETY: as for the plain ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut libc::epoll_event) -> c_int {
    let call = match operation {
        libc::EPOLL_CTL_ADD => "epoll_ctl(ADD)",
        libc::EPOLL_CTL_MOD => "epoll_ctl(MOD)",
        _ => "epoll_ctl(DEL)",
    };
    let errno = strike(call);
    // These say that there is no registration to end, so then there is none.
    let is_gone = operation == libc::EPOLL_CTL_DEL && matches!(errno, Some(libc::ENOENT | libc::EBADF | libc::EPERM));
    if let Some(errno) = errno.filter(|_| !is_gone) {
        return fail(errno);
    }
    let real = real!("epoll_ctl" as unsafe extern "C" fn(c_int, c_int, c_int, *mut libc::epoll_event) -> c_int);
    // SAFETY: the caller's arguments.
    let done = unsafe { real(epoll, operation, fd, event) };
    errno.map_or(done, fail)
}

// SAFETY: as for the plain ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn madvise(start: *mut c_void, length: size_t, advice: c_int) -> c_int {
    let call = match advice {
        libc::MADV_DONTNEED => "madvise(DONTNEED)",
        libc::MADV_NOHUGEPAGE => "madvise(NOHUGEPAGE)",
        102 => "madvise(GUARD_INSTALL)",
        _ => OTHER,
    };
    if let Some(errno) = strike(call) {
        return fail(errno);
    }
    let real = real!("madvise" as unsafe extern "C" fn(*mut c_void, size_t, c_int) -> c_int);
    // SAFETY: the caller's arguments.
    unsafe { real(start, length, advice) }
}

// SAFETY: as for the plain ones. An argument that the caller did not pass is read as whatever is there, and passed on.
#[unsafe(no_mangle)]
unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    if let Some(errno) = strike(if request == libc::FIONBIO { "ioctl(FIONBIO)" } else { OTHER }) {
        return fail(errno);
    }
    let real = real!("ioctl" as unsafe extern "C" fn(c_int, c_ulong, ...) -> c_int);
    // SAFETY: the caller's arguments.
    unsafe { real(fd, request, argument) }
}

// SAFETY: as for `ioctl`.
#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    let call = match command {
        libc::F_GETFL => "fcntl(GETFL)",
        libc::F_DUPFD_CLOEXEC => "fcntl(DUPFD)",
        _ => OTHER,
    };
    if let Some(errno) = strike(call) {
        return fail(errno);
    }
    let real = real!("fcntl" as unsafe extern "C" fn(c_int, c_int, ...) -> c_int);
    // SAFETY: the caller's arguments.
    unsafe { real(fd, command, argument) }
}

// SAFETY: as for `ioctl`.
#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    if let Some(errno) = strike("open") {
        return fail(errno);
    }
    let real = real!("open" as unsafe extern "C" fn(*const c_char, c_int, ...) -> c_int);
    // SAFETY: the caller's arguments.
    unsafe { real(path, flags, mode) }
}

// SAFETY: as for `ioctl`.
#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    if let Some(errno) = strike("open64") {
        return fail(errno);
    }
    let real = real!("open64" as unsafe extern "C" fn(*const c_char, c_int, ...) -> c_int);
    // SAFETY: the caller's arguments.
    unsafe { real(path, flags, mode) }
}

/// What is said on standard error is always said.
// SAFETY: as for the plain ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    if let Some(errno) = strike(if fd == libc::STDERR_FILENO { OTHER } else { "write" }) {
        return fail(errno);
    }
    let real = real!("write" as unsafe extern "C" fn(c_int, *const c_void, size_t) -> ssize_t);
    // SAFETY: the caller's arguments.
    unsafe { real(fd, buffer, length) }
}

/// On Linux a close that fails has closed all the same.
// SAFETY: as for the plain ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    let errno = strike("close");
    let real = real!("close" as unsafe extern "C" fn(c_int) -> c_int);
    // SAFETY: the caller's argument.
    let closed = unsafe { real(fd) };
    errno.map_or(closed, fail)
}

// SAFETY: as for `ioctl`.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    let call = match (number, b as c_int & libc::FUTEX_CMD_MASK) {
        (libc::SYS_futex, libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET) => "futex(WAIT)",
        (libc::SYS_futex, libc::FUTEX_WAKE) => "futex(WAKE)",
        (libc::SYS_epoll_pwait2, _) => "epoll_pwait2",
        (libc::SYS_process_madvise, _) => "process_madvise",
        (libc::SYS_membarrier, _) => "membarrier",
        (libc::SYS_pidfd_open, _) => "pidfd_open",
        _ => OTHER,
    };
    if let Some(errno) = strike(call) {
        return fail(errno);
    }
    let real = real!("syscall" as unsafe extern "C" fn(c_long, ...) -> c_long);
    // SAFETY: the caller's arguments.
    unsafe { real(number, a, b, c, d, e, f) }
}

/// Answers with the errno itself.
// SAFETY: as for the plain ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    until: *const libc::timespec,
    left: *mut libc::timespec,
) -> c_int {
    type Real = unsafe extern "C" fn(libc::clockid_t, c_int, *const libc::timespec, *mut libc::timespec) -> c_int;
    let real = real!("clock_nanosleep" as Real);
    // SAFETY: the caller's arguments.
    strike("clock_nanosleep").unwrap_or_else(|| unsafe { real(clock, flags, until, left) })
}

type Started = extern "C" fn(*mut c_void) -> *mut c_void;

/// Answers with the errno itself.
// SAFETY: as for the plain ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Started,
    argument: *mut c_void,
) -> c_int {
    type Real = unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Started, *mut c_void) -> c_int;
    let real = real!("pthread_create" as Real);
    // SAFETY: the caller's arguments.
    strike("pthread_create").unwrap_or_else(|| unsafe { real(thread, attributes, start, argument) })
}

type Handler = Option<unsafe extern "C" fn()>;

unsafe extern "C" {
    /// What libc's pthread_atfork, which is linked into each program, calls.
    fn __register_atfork(before: Handler, in_parent: Handler, in_child: Handler, object: *mut c_void) -> c_int;
}

/// Answers with the errno itself.
// SAFETY: as for the plain ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_atfork(before: Handler, in_parent: Handler, in_child: Handler) -> c_int {
    // SAFETY: the caller's arguments; the program itself is never unloaded.
    strike("pthread_atfork").unwrap_or_else(|| unsafe { __register_atfork(before, in_parent, in_child, null_mut()) })
}

/// Tells of clocks that were stepped.
// SAFETY: as for the plain ones.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, now: *mut libc::timespec) -> c_int {
    let real = real!("clock_gettime" as unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int);
    // SAFETY: the caller's arguments.
    let answer = unsafe { real(clock, now) };
    let step = match clock {
        libc::CLOCK_REALTIME => WALL_STEP.load(SeqCst).saturating_mul(1_000_000_000),
        libc::CLOCK_MONOTONIC => MONOTONIC_STEP.load(SeqCst),
        _ => 0,
    };
    if answer == 0 && step != 0 {
        // SAFETY: the call succeeded, so the caller's pointer is good.
        let now = unsafe { &mut *now };
        let nanos = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec) + i128::from(step);
        now.tv_sec = nanos.div_euclid(1_000_000_000) as i64;
        now.tv_nsec = nanos.rem_euclid(1_000_000_000) as i64;
    }
    answer
}
