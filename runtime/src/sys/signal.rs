//! sigaction(2) for the signals that a program waits for: one handler, installed once per signal, and the numbers.
//!
//! Owns the signal actions, but those of faults (`fault.rs`). Does not know who waits: it calls a function given at installation,
//! and then whatever handler was there before.
//!
//! Invariant 1: everything reached from the handler is async-signal-safe: no allocation, no lock, no unwinding. It leaves errno as
//! it was.
//! Invariant 2: one handler runs on a thread at a time. The alternate stack that std gives each thread has 8 KiB, and one frame of
//! the kernel's takes 3 of them.
//! Invariant 3: an action in `PREVIOUS` is never ours, and none is ever given back.
//! Invariant 4: a chain has an end. A handler that took the place of ours may call ours as the one before it; when ours is put
//! back over that one, the two call each other. So ours knows by `ACTIVE` how far the chain has come on this thread, and
//! each time it is entered within one signal it calls the one before.

use super::cvt;
use std::io;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The largest number of a signal.
pub(crate) const LAST: i32 = 64;

/// What faults raise.
const FAULTS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// A handler as SA_SIGINFO asks for it.
type InfoHandler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Is told of each signal, by number. Async-signal-safe.
pub(crate) type Deliver = fn(i32);

/// Who is told.
static DELIVER: OnceLock<Deliver> = OnceLock::new();

/// A handler that ours took the place of.
struct Link {
    /// It (invariant 3).
    action: libc::sigaction,
    /// The one whose place ours had taken before; null if there was none.
    before: *const Link,
}

/// The handlers that each signal had before ours, the last one first; null if there was nobody to call.
static PREVIOUS: [AtomicPtr<Link>; LAST as usize + 1] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; LAST as usize + 1];

/// A thread inside of our handler (invariant 4).
struct Active {
    /// Which, by the address of its errno; null if nobody is here.
    thread: AtomicPtr<libc::c_int>,
    /// What it calls now, or null.
    link: AtomicPtr<Link>,
}

/// So many threads at a time may be in our handler; any more do not call those before.
const MOST_ACTIVE: usize = 256;

/// See [`Active`].
static ACTIVE: [Active; MOST_ACTIVE] =
    [const { Active { thread: AtomicPtr::new(std::ptr::null_mut()), link: AtomicPtr::new(std::ptr::null_mut()) } };
        MOST_ACTIVE];

/// Numbers of signals, for the current machine. signal(7).
pub(crate) mod numbers {
    /// The terminal hung up, or its process died.
    pub const SIGHUP: i32 = libc::SIGHUP;
    /// Interrupt from the keyboard: Ctrl-C.
    pub const SIGINT: i32 = libc::SIGINT;
    /// Quit from the keyboard: Ctrl-\.
    pub const SIGQUIT: i32 = libc::SIGQUIT;
    /// For the user to define.
    pub const SIGUSR1: i32 = libc::SIGUSR1;
    /// For the user to define.
    pub const SIGUSR2: i32 = libc::SIGUSR2;
    /// A write to a pipe or socket that nobody reads. Rust programs ignore it from the start.
    pub const SIGPIPE: i32 = libc::SIGPIPE;
    /// A timer of alarm(2) went off.
    pub const SIGALRM: i32 = libc::SIGALRM;
    /// A polite request to end.
    pub const SIGTERM: i32 = libc::SIGTERM;
    /// A child ended, stopped or went on.
    pub const SIGCHLD: i32 = libc::SIGCHLD;
    /// Go on, after a stop.
    pub const SIGCONT: i32 = libc::SIGCONT;
    /// Stop from the keyboard: Ctrl-Z.
    pub const SIGTSTP: i32 = libc::SIGTSTP;
    /// The terminal changed its size.
    pub const SIGWINCH: i32 = libc::SIGWINCH;
    /// A descriptor is ready, where fcntl(2) asked for it.
    pub const SIGIO: i32 = libc::SIGIO;
}

/// Whether a program may wait for this signal: those that faults raise would be raised again for ever, and two cannot be
/// handled at all.
pub(crate) fn may_be_handled(signal: i32) -> bool {
    let unstoppable = [libc::SIGKILL, libc::SIGSTOP].contains(&signal);
    (1..=LAST).contains(&signal) && !unstoppable && !FAULTS.contains(&signal)
}

/// Has `deliver` told of each `signal` from now on. A handler that has taken the place of ours since an earlier call loses it again,
/// and is called by ours; so is the default, or to be ignored, which then is nobody to call. Fails with EINVAL for those that
/// libc keeps for itself.
pub(crate) fn handle(signal: i32, deliver: Deliver) -> io::Result<()> {
    DELIVER.get_or_init(|| deliver);
    let before = replace(signal, None)?;
    if is_ours(&before) {
        return Ok(());
    }
    remember(signal, before);
    let replaced = replace(signal, Some(ours_over(signal, &before)))?;
    if !is_ours(&replaced) && !is_same(&replaced, &before) {
        // Somebody else was just as busy.
        remember(signal, replaced);
    }
    Ok(())
}

/// Gives the action of a signal, and puts `action` in its place if there is one.
fn replace(signal: i32, action: Option<libc::sigaction>) -> io::Result<libc::sigaction> {
    let new = action.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the new action is null or complete; the old one is written into memory of its size.
    cvt(unsafe { libc::sigaction(signal, new, before.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it was written.
    Ok(unsafe { before.assume_init() })
}

/// System calls go on after it where they can, and it does not run on a coroutine's stack where there is another.
fn ours() -> libc::sigaction {
    // SAFETY: a zeroed sigaction is a valid one.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let handler: InfoHandler = on_signal;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // Invariant 2. A fault must be told of, even here.
    // SAFETY: the mask lives for the call.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    for fault in FAULTS {
        // SAFETY: as above.
        unsafe { libc::sigdelset(&raw mut action.sa_mask, fault) };
    }
    action
}

/// Ours, in the place of `before`. Children that leave nothing to be waited for go on to do so: who said that by ignoring SIGCHLD, or
/// by SA_NOCLDWAIT, waits for none.
fn ours_over(signal: i32, before: &libc::sigaction) -> libc::sigaction {
    let mut action = ours();
    let leaves_nothing = before.sa_sigaction == libc::SIG_IGN || before.sa_flags & libc::SA_NOCLDWAIT != 0;
    if signal == libc::SIGCHLD && leaves_nothing {
        action.sa_flags |= libc::SA_NOCLDWAIT;
    }
    action
}

fn is_same(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    one.sa_sigaction == other.sa_sigaction
}

fn is_ours(action: &libc::sigaction) -> bool {
    let handler: InfoHandler = on_signal;
    action.sa_sigaction == handler as usize
}

/// Puts a handler before the others of its signal, unless it is the last one that was there: who takes our place again and again
/// is not to take memory each time.
fn remember(signal: i32, action: libc::sigaction) {
    if matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        return;
    }
    let head = &PREVIOUS[signal as usize];
    let mut link = Box::new(Link { action, before: std::ptr::null() });
    // ORDERING: Acquire; pairs with the Release exchange below, for the link that is looked at.
    let mut before = head.load(Ordering::Acquire);
    loop {
        // SAFETY: null, or never given back (invariant 3).
        if unsafe { before.as_ref() }.is_some_and(|before| is_same(&before.action, &action)) {
            return;
        }
        link.before = before;
        let added = Box::into_raw(link);
        // ORDERING: Release; pairs with the Acquire loads here and in `on_signal`.
        match head.compare_exchange(before, added, Ordering::Release, Ordering::Acquire) {
            Ok(_) => return,
            Err(now) => before = now,
        }
        // SAFETY: not published; made by `into_raw` above.
        link = unsafe { Box::from_raw(added) };
    }
}

extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: always there, of this thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let kept = unsafe { *errno };
    if let Some(deliver) = DELIVER.get() {
        deliver(signal);
    }
    call_previous(errno, signal, |action| call(action, signal, info, context));
    // SAFETY: as above.
    unsafe { *errno = kept };
}

/// Gives `call` the handler before ours or, within such a call on this thread, the one before that (invariant 4).
fn call_previous(thread: *mut libc::c_int, signal: i32, call: impl FnOnce(&libc::sigaction)) {
    // ORDERING: Relaxed; the thread looks for what it wrote itself.
    if let Some(active) = ACTIVE.iter().find(|active| active.thread.load(Ordering::Relaxed) == thread) {
        // ORDERING: Relaxed; written by this thread alone while the place is its.
        let outer = active.link.load(Ordering::Relaxed);
        // SAFETY: null, or never given back (invariant 3).
        let inner = unsafe { outer.as_ref() }.map_or(std::ptr::null(), |outer| outer.before);
        return call_link(active, inner.cast_mut(), call);
    }
    // ORDERING: Acquire; pairs with the Release exchange in `remember`.
    let first = PREVIOUS[signal as usize].load(Ordering::Acquire);
    let free = |active: &&Active| {
        let nobody = std::ptr::null_mut();
        // ORDERING: Relaxed; says whose the place is, and publishes nothing.
        active.thread.compare_exchange(nobody, thread, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    };
    if first.is_null() {
        return;
    }
    if let Some(active) = ACTIVE.iter().find(free) {
        call_link(active, first, call);
        // ORDERING: Relaxed; as above.
        active.thread.store(std::ptr::null_mut(), Ordering::Relaxed);
    }
}

fn call_link(active: &Active, link: *mut Link, call: impl FnOnce(&libc::sigaction)) {
    // ORDERING: Relaxed; as in `call_previous`.
    let outer = active.link.swap(link, Ordering::Relaxed);
    // SAFETY: null, or never given back (invariant 3).
    if let Some(link) = unsafe { link.as_ref() } {
        call(&link.action);
    }
    // ORDERING: Relaxed; as above.
    active.link.store(outer, Ordering::Relaxed);
}

/// Calls a handler.
fn call(action: &libc::sigaction, signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: an action with SA_SIGINFO holds a handler of this type.
        let handler: InfoHandler = unsafe { std::mem::transmute(action.sa_sigaction) };
        handler(signal, info, context);
    } else {
        // SAFETY: an action without SA_SIGINFO, that is neither SIG_DFL nor SIG_IGN, holds a handler of this type.
        let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(action.sa_sigaction) };
        handler(signal);
    }
}
