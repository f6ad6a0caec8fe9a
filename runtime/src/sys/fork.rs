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
