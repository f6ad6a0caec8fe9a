//! What an errno means to the rooms above, which never name one.

use std::io;

/// The error of a call that would block, and of a `read` or `write` whose timeout passed, as std reports both.
pub(crate) fn would_block() -> io::Error {
    io::Error::from_raw_os_error(libc::EAGAIN)
}

/// Whether `connect` has begun and goes on in the background; an interrupted one does too, see connect(2).
pub(crate) fn is_connecting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EALREADY | libc::EINTR))
}

/// Whether `connect` says that there is a connection already.
pub(crate) fn is_connected(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EISCONN)
}

/// Whether the process or the system has run out of descriptors or memory: the next attempt would say the same.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Whether there was no descriptor, or no thread, for having something done elsewhere.
pub(crate) fn is_want(error: &io::Error) -> bool {
    is_exhaustion(error) || error.raw_os_error() == Some(libc::EAGAIN)
}

/// The error of an accept from a socket that was shut down.
pub(crate) fn no_listener() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

/// Whether the kernel will not have this way of moving bytes for this file or socket, though another may do: no such call,
/// not for this kind of file, not this far into it.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    let refusals = [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::EPERM, libc::EOVERFLOW];
    error.raw_os_error().is_some_and(|errno| refusals.contains(&errno))
}

/// An error that [`is_refusal`] knows; also that of an offset that no file has.
pub(crate) fn refusal() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}
