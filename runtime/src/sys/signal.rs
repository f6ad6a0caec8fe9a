//! sigaction(2) for the signals that a program waits for: one handler, installed once per signal, and the numbers.
//!
//! Owns the signal actions, but those of faults (`fault.rs`). Does not know who waits: it calls a function given at installation,
//! and then whatever handler was there before.
//!
//! Invariant 1: everything reached from the handler is async-signal-safe: no allocation, no lock, no unwinding. It leaves errno as
//! it was, and so does a handler before ours find it.
//! Invariant 2: one handler runs on a thread at a time. The alternate stack that std gives each thread has 8 KiB, and one frame of
//! the kernel's takes 3 of them.
//! Invariant 3: a handler that was there before ours (`chain.rs`) may leave by longjmp(3), as it might before: nothing is to be undone in the
//! frames that it leaves out, nor waited for.

mod chain;

use super::cvt;
use chain::{call_previous, is_same, remember};
use std::io;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

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

fn is_ours(action: &libc::sigaction) -> bool {
    let handler: InfoHandler = on_signal;
    action.sa_sigaction == handler as usize
}

extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: always there, of this thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let kept = unsafe { *errno };
    if let Some(deliver) = DELIVER.get() {
        deliver(signal);
    }
    call_previous(errno, signal, |action| {
        // Invariant 3: it may not come back.
        // SAFETY: as above.
        unsafe { *errno = kept };
        call(action, signal, info, context);
    });
    // SAFETY: as above.
    unsafe { *errno = kept };
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
