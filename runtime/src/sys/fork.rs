//! pthread_atfork(3): being told of fork(2).
//!
//! A child that is made by clone(2), vfork(2), posix_spawn(3) or `_Fork` is not told of.

use std::io;

/// Has `before` called in this process before each fork, and `in_child` in the child after it, both on the thread that
/// forks. What they do must be async-signal-safe. Fails with ENOMEM. There is no way back.
pub(crate) fn on_fork(before: extern "C" fn(), in_child: extern "C" fn()) -> io::Result<()> {
    let (before, in_child): (unsafe extern "C" fn(), unsafe extern "C" fn()) = (before, in_child);
    // SAFETY: the functions are always there, and may be called at any time.
    match unsafe { libc::pthread_atfork(Some(before), None, Some(in_child)) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Forks; whether `f` came to its end in the child, within some seconds. It may not allocate, nor panic.
#[cfg(all(test, not(dormouse_loom)))]
pub(crate) fn in_child(f: impl FnOnce()) -> bool {
    // SAFETY: the child does what `f` does and ends.
    let child = unsafe { libc::fork() };
    assert_ne!(child, -1);
    if child == 0 {
        // SAFETY: takes an integer; the signal it sends kills.
        unsafe { libc::alarm(10) };
        f();
        // SAFETY: ends the child, and runs nothing of its parent's.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: writes the status; the child is ours.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}
