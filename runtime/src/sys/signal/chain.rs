//! The handlers that each signal had before ours, and how far the call of them has come.
//!
//! Owns their lists and, for each thread that is inside of one, a place that says which. Does not know what a signal means to us, nor how
//! an action is installed.
//!
//! Invariant 1: `call_previous` and what it calls is async-signal-safe, but for `remember`.
//! Invariant 2: an action in a list is never ours, and none is ever given back.
//! Invariant 3: a chain has an end. A handler that took the place of ours may call ours as the one before it; when ours is put
//! back over that one, the two call each other. So each time ours is entered within one signal it calls the one before the
//! last that it called.
//! Invariant 4: a place is of one thread and one signal, and nobody else writes to it meanwhile. Where a handler has left by longjmp(3),
//! it stays behind. Whoever is entered within a call lies below that on its stack; an entry that does not finds a place
//! that was left behind, and begins anew. On an alternate stack, which std's threads and workers have, a signal begins at the
//! top: a place is taken for what it is, unless a handler of others, which has taken the place of ours since, calls ours from
//! below. On a thread that has no such stack it must not be deeper than it was.
//! Invariant 5: a place changes hands by an exchange of its owner's number, and only a free one, one whose owner has ended, and one that was
//! inherited from a parent process with its thread; or that of its owner, who enters anew. Before the number of the new owner stands
//! there, so does the rest: with SA_NODEFER, a handler of others in the place of ours may be entered again at any instruction.

use crate::sys::errno;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// A handler that ours took the place of.
struct Link {
    /// It (invariant 2).
    action: libc::sigaction,
    /// The one whose place ours had taken before; null if there was none.
    before: *const Link,
}

/// The last one of each signal first; null if there was nobody to call.
static PREVIOUS: [AtomicPtr<Link>; super::LAST as usize + 1] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; super::LAST as usize + 1];

/// A thread inside of a handler of the list (invariant 4).
struct Active {
    /// Whose, by its number: [`NOBODY`], or [`TAKEN`] by one who does not stand there yet.
    owner: AtomicI32,
    /// The same by the address of its errno, which a child of fork(2) inherits; null if nobody is here.
    thread: AtomicPtr<libc::c_int>,
    /// What it handles.
    signal: AtomicI32,
    /// On which stack, by [`alternate_stack`].
    stack: AtomicUsize,
    /// Where on that.
    frame: AtomicUsize,
    /// What it calls now, or null.
    link: AtomicPtr<Link>,
}

impl Active {
    const fn new() -> Active {
        Active {
            owner: AtomicI32::new(NOBODY),
            thread: AtomicPtr::new(std::ptr::null_mut()),
            signal: AtomicI32::new(0),
            stack: AtomicUsize::new(0),
            frame: AtomicUsize::new(0),
            link: AtomicPtr::new(std::ptr::null_mut()),
        }
    }
}

/// Number of no thread.
const NOBODY: i32 = 0;

/// Another one.
const TAKEN: i32 = -1;

/// So many threads at a time may be inside of them; any more do not call those before.
const MOST_ACTIVE: usize = 256;

/// See [`Active`].
static ACTIVE: [Active; MOST_ACTIVE] = [const { Active::new() }; MOST_ACTIVE];

/// Puts a handler before the others of its signal, unless it is the last one that was there: who takes our place again and again
/// is not to take memory each time.
pub(super) fn remember(signal: i32, action: libc::sigaction) {
    if matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        return;
    }
    let head = &PREVIOUS[signal as usize];
    let mut link = Box::new(Link { action, before: std::ptr::null() });
    // ORDERING: Acquire; pairs with the Release exchange below, for the link that is looked at.
    let mut before = head.load(Ordering::Acquire);
    loop {
        // SAFETY: null, or never given back (invariant 2).
        if unsafe { before.as_ref() }.is_some_and(|before| is_same(&before.action, &action)) {
            return;
        }
        link.before = before;
        let added = Box::into_raw(link);
        // ORDERING: Release; pairs with the Acquire loads here and in `call_previous`.
        match head.compare_exchange(before, added, Ordering::Release, Ordering::Acquire) {
            Ok(_) => return,
            Err(now) => before = now,
        }
        // SAFETY: not published; made by `into_raw` above.
        link = unsafe { Box::from_raw(added) };
    }
}

pub(super) fn is_same(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    one.sa_sigaction == other.sa_sigaction
}

/// Gives `call` the handler before ours or, within such a call on this thread, the one before that (invariant 3). `thread` is the
/// address of its errno.
#[inline(never)]
pub(super) fn call_previous(thread: *mut libc::c_int, signal: i32, call: impl FnOnce(&libc::sigaction)) {
    // ORDERING: Acquire; pairs with the Release exchange in `remember`.
    let first = PREVIOUS[signal as usize].load(Ordering::Acquire);
    // As most programs have it: the kernel is asked for nothing then.
    if first.is_null() {
        return;
    }
    let marker = 0u8;
    let (stack, frame) = (alternate_stack(), (&raw const marker).addr());
    let own = find(thread, signal);
    if let Some(active) = own.filter(|active| is_within(active, stack, frame)) {
        // ORDERING: Relaxed; written by this thread alone while the place is its (invariant 4).
        let outer = active.link.load(Ordering::Relaxed);
        // SAFETY: null, or never given back (invariant 2).
        let inner = unsafe { outer.as_ref() }.map_or(std::ptr::null(), |outer| outer.before);
        call_link(active, inner.cast_mut(), call);
        // ORDERING: Relaxed; as above.
        return active.link.store(outer, Ordering::Relaxed);
    }
    if let Some(active) = take_place(own) {
        occupy(active, &Entry { thread, signal, stack, frame, first });
        call_link(active, first, call);
        leave(active);
    }
}

/// The place that this thread has for this signal, be it one left behind.
fn find(thread: *mut libc::c_int, signal: i32) -> Option<&'static Active> {
    let own = own_number();
    ACTIVE.iter().find(|active| {
        // ORDERING: Acquire; pairs with the Release store in `occupy`: the rest is this owner's.
        let owner = active.owner.load(Ordering::Acquire);
        // ORDERING: Relaxed; ordered by the Acquire load of `owner` above.
        let is_own = active.thread.load(Ordering::Relaxed) == thread;
        // ORDERING: Relaxed; as above.
        let is_here = is_own && active.signal.load(Ordering::Relaxed) == signal;
        // Of another number: this process's parent, or one who has ended and had this errno.
        owner > NOBODY && is_here && (owner == own || exchange(active, owner, own))
    })
}

/// Whether an entry there is one within the call that this place is of (invariant 4).
fn is_within(active: &Active, stack: usize, frame: usize) -> bool {
    // ORDERING: Relaxed; written by this thread, in `occupy`.
    let is_there = active.stack.load(Ordering::Relaxed) == stack;
    // ORDERING: Relaxed; as above.
    is_there && frame < active.frame.load(Ordering::Relaxed)
}

/// A place for this thread: the one that it has left behind, a free one, or else one whose owner has ended.
fn take_place(own: Option<&'static Active>) -> Option<&'static Active> {
    // A signal that came since may have used it, and freed it for anybody.
    let left = own.filter(|active| exchange(active, own_number(), TAKEN));
    let free = || ACTIVE.iter().find(|active| exchange(active, NOBODY, TAKEN));
    left.or_else(free).or_else(|| ACTIVE.iter().find(|active| take_over(active)))
}

/// Who enters.
struct Entry {
    /// As [`Active::thread`].
    thread: *mut libc::c_int,
    /// As [`Active::signal`].
    signal: i32,
    /// As [`Active::stack`].
    stack: usize,
    /// As [`Active::frame`].
    frame: usize,
    /// The handler that is to be called.
    first: *mut Link,
}

/// Makes a place that was taken this thread's (invariant 5).
fn occupy(taken: &Active, entry: &Entry) {
    // ORDERING: Relaxed; published by the Release store of `owner` below.
    taken.thread.store(entry.thread, Ordering::Relaxed);
    // ORDERING: Relaxed; as above.
    taken.signal.store(entry.signal, Ordering::Relaxed);
    // ORDERING: Relaxed; as above.
    taken.stack.store(entry.stack, Ordering::Relaxed);
    // ORDERING: Relaxed; as above.
    taken.frame.store(entry.frame, Ordering::Relaxed);
    // ORDERING: Relaxed; as above.
    taken.link.store(entry.first, Ordering::Relaxed);
    // ORDERING: Release; pairs with the Acquire load in `find`.
    taken.owner.store(own_number(), Ordering::Release);
}

fn leave(active: &Active) {
    // ORDERING: Relaxed; ordered by the store below.
    active.thread.store(std::ptr::null_mut(), Ordering::Relaxed);
    // ORDERING: Release; pairs with the Acquire exchange of whoever takes it.
    active.owner.store(NOBODY, Ordering::Release);
}

fn exchange(active: &Active, from: i32, to: i32) -> bool {
    // ORDERING: Acquire; pairs with the Release stores in `leave` and `occupy`; a failure publishes nothing.
    active.owner.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
}

fn take_over(active: &Active) -> bool {
    // ORDERING: Relaxed; the exchange decides.
    let owner = active.owner.load(Ordering::Relaxed);
    owner > NOBODY && has_ended(owner) && exchange(active, owner, TAKEN)
}

fn own_number() -> i32 {
    // SAFETY: takes no pointer.
    unsafe { libc::gettid() }
}

fn has_ended(number: i32) -> bool {
    // SAFETY: takes no pointer; signal 0 is none.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), number, 0) };
    answer == -1 && errno() == libc::ESRCH
}

/// The alternate stack that this thread runs on, by its lowest address; 0 if it runs on another stack.
fn alternate_stack() -> usize {
    let mut stack = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: asks only; the answer is written into memory of its size. It cannot fail.
    unsafe { libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr()) };
    // SAFETY: it was written; zeroes are a valid one, too.
    let stack = unsafe { stack.assume_init() };
    if stack.ss_flags & libc::SS_ONSTACK != 0 { stack.ss_sp.addr() } else { 0 }
}

fn call_link(active: &Active, link: *mut Link, call: impl FnOnce(&libc::sigaction)) {
    // ORDERING: Relaxed; as in `call_previous`.
    active.link.store(link, Ordering::Relaxed);
    // SAFETY: null, or never given back (invariant 2).
    if let Some(link) = unsafe { link.as_ref() } {
        call(&link.action);
    }
}
