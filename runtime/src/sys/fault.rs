//! SIGSEGV, SIGBUS and SIGABRT: a handler for the process, an alternate stack for each worker.
//!
//! Owns the signal actions and the alternate stacks. Does not know what a coroutine is: it asks a function given at
//! installation whether the faulting address is a stack overflow, and hands every other fault to whatever handler
//! was there before. Of an abort it tells another function, and whatever handler was there before.
//!
//! Invariant 1: everything reached from the handler is async-signal-safe: no allocation, no lock, no unwinding.
//! Invariant 2: the previous actions are written once, before our handler is installed.
//! Invariant 3: an alternate stack is unmapped only after the thread has stopped using it.

use super::cvt;
use std::io;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// Bytes of a worker's alternate stack.
const ALTERNATE_STACK: usize = 64 * 1024;

/// A handler as SA_SIGINFO asks for it.
type InfoHandler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Says whether a fault at this address is a coroutine's overflow, having reported it if so.
pub(crate) type Explain = fn(address: usize) -> bool;

/// Is told that the thread has called abort(3).
pub(crate) type Mourn = fn();

/// What was there before, and whom to ask.
struct Installed {
    /// The previous action of SIGSEGV.
    segv: libc::sigaction,
    /// The previous action of SIGBUS.
    bus: libc::sigaction,
    /// The previous action of SIGABRT.
    abort: libc::sigaction,
    /// Decides whether a fault is ours.
    explain: Explain,
    /// Is told of an abort.
    mourn: Mourn,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Installs the handlers, once for the process; later calls change nothing.
pub(crate) fn install(explain: Explain, mourn: Mourn) {
    let mut first = false;
    INSTALLED.get_or_init(|| {
        first = true;
        let [segv, bus, abort] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT].map(action_of);
        Installed { segv, bus, abort, explain, mourn }
    });
    if first {
        set_handler(libc::SIGSEGV, on_fault);
        set_handler(libc::SIGBUS, on_fault);
        set_handler(libc::SIGABRT, on_abort);
    }
}

fn action_of(signal: libc::c_int) -> libc::sigaction {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: null for the new action only reads the present one into `action`.
    unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: a zeroed sigaction is a valid one (SIG_DFL, no flags), whether or not the call wrote it.
    unsafe { action.assume_init() }
}

fn set_handler(signal: libc::c_int, handler: InfoHandler) {
    // SAFETY: a zeroed sigaction is a valid one.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `action` is complete, its handler has the three-argument form that SA_SIGINFO asks for.
    unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // Invariant 2: set before this handler was.
    let Some(installed) = INSTALLED.get() else {
        return;
    };
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let code = unsafe { (*info).si_code };
    // SAFETY: as above; for a fault signal the address field is the one in use.
    let address = unsafe { (*info).si_addr() } as usize;
    if code > 0 && (installed.explain)(address) {
        // SAFETY: async-signal-safe, does not return.
        unsafe { libc::abort() };
    }
    let previous = if signal == libc::SIGBUS { &installed.bus } else { &installed.segv };
    chain(previous, signal, info, context);
}

/// What comes after is the end of the process, unless a handler that was there before takes another way out.
extern "C" fn on_abort(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // Invariant 2: set before this handler was.
    let Some(installed) = INSTALLED.get() else {
        return;
    };
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let code = unsafe { (*info).si_code };
    // By the thread itself or another one of the process, and not by kill(2).
    if code == libc::SI_TKILL {
        (installed.mourn)();
    }
    chain(&installed.abort, signal, info, context);
}

/// Does what would have happened without us.
fn chain(previous: &libc::sigaction, signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // Returning to the faulting instruction with the old action in place lets the kernel act on it.
            // SAFETY: `previous` came from sigaction itself.
            unsafe { libc::sigaction(signal, previous, std::ptr::null_mut()) };
            // SAFETY: the siginfo is valid, as in `on_fault`.
            if unsafe { (*info).si_code } <= 0 {
                // Sent by kill(2), so no instruction will fault again: send it on.
                // SAFETY: async-signal-safe.
                unsafe { libc::raise(signal) };
            }
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: an action with SA_SIGINFO holds a handler of this type.
            let handler: InfoHandler = unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: an action without SA_SIGINFO holds a handler of this type.
            let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}

/// Writes to standard error from a signal handler; what cannot be written is dropped.
pub(crate) fn report(bytes: &[u8]) {
    // SAFETY: write(2) is async-signal-safe and reads exactly these bytes.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
}

/// Ends the process, since what has failed with this errno fails only when somebody closes our descriptors or unmaps our memory:
/// whoever went on would wait for ever, or spin. Async-signal-safe.
#[cold]
pub(crate) fn misused(what: &str, errno: libc::c_int) -> ! {
    let digits = [100, 10, 1].map(|place| b'0' + (errno / place % 10) as u8);
    for piece in [&b"\ndormouse: "[..], what.as_bytes(), b" fails only when misused, aborting: errno ", &digits, b"\n"]
    {
        report(piece);
    }
    // SAFETY: async-signal-safe, does not return.
    unsafe { libc::abort() }
}

/// This thread's alternate signal stack; what was there before is put back when dropped.
#[derive(Debug)]
pub(crate) struct AlternateStack {
    /// The lowest address of our mapping.
    base: *mut libc::c_void,
    /// What the thread had before.
    previous: libc::stack_t,
}

impl AlternateStack {
    /// Maps one and switches the calling thread to it; fails with ENOMEM.
    pub(crate) fn install() -> io::Result<AlternateStack> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping, at no fixed place.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), ALTERNATE_STACK, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let ours = libc::stack_t { ss_sp: base, ss_flags: 0, ss_size: ALTERNATE_STACK };
        let mut previous = MaybeUninit::<libc::stack_t>::zeroed();
        // SAFETY: `ours` describes the mapping above, which lives as long as the value returned.
        let installed = cvt(unsafe { libc::sigaltstack(&raw const ours, previous.as_mut_ptr()) });
        if let Err(error) = installed {
            // SAFETY: the mapping is ours and nobody uses it.
            unsafe { libc::munmap(base, ALTERNATE_STACK) };
            return Err(error);
        }
        // SAFETY: the call succeeded, so it was written.
        let previous = unsafe { previous.assume_init() };
        Ok(AlternateStack { base, previous })
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: `previous` came from sigaltstack itself.
        unsafe { libc::sigaltstack(&raw const self.previous, std::ptr::null_mut()) };
        // SAFETY: invariant 3; the line above took the thread off it, and the mapping is ours.
        unsafe { libc::munmap(self.base, ALTERNATE_STACK) };
    }
}
