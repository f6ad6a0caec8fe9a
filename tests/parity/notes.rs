//! Where ours differs from std's in more than its path, in words for a reader: the notes of `docs/parity.md`.

/// What is stable in std, and cannot be had outside.
pub(crate) const IMPOSSIBLE: &[&str] = &["std::fs::File: impl IsTerminal for File"];

/// The path of an item below `std`, and what differs.
pub(crate) const NOTES: &[(&str, &str)] = &[
    (
        "net::ToSocketAddrs",
        "a trait of ours, since std's would block the worker for a lookup; a type that implements std's needs this one too",
    ),
    ("net::TcpListener::bind", "a queue of 4096 connections, std's has 128"),
    ("net::TcpListener::accept", "out of descriptors or memory it fails after a pause of 5 to 100 ms"),
    ("net::TcpListener::AsFd for TcpListener", "shows an fd that is O_NONBLOCK, whatever the mode of the listener is"),
    ("net::TcpStream::set_linger", "the close that lingers blocks neither coroutine nor worker"),
    ("os::unix::net::UnixListener::accept", "out of descriptors or memory it fails after a pause of 5 to 100 ms"),
    ("os::unix::net::UnixListener::AsFd for UnixListener", "as for `TcpListener`"),
    ("os::unix::net::UnixDatagram::send", "what is no socket answers ENOTSOCK; std's writes to it"),
    (
        "fs::File",
        "in a coroutine one call moves 256 KiB at most; `Read` and the like cannot be implemented for `Arc<File>`",
    ),
    ("fs::File::IsTerminal for File", "sealed in std; there is a method of that name"),
    ("fs::File::lock", "in a coroutine it is tried again after pauses of up to 50 ms"),
    ("fs::File::lock_shared", "in a coroutine it is tried again after pauses of up to 50 ms"),
    ("process::ChildStdin::AsFd for ChildStdin", "shows an fd that is O_NONBLOCK; given away, it is not"),
    ("process::ChildStdout::AsFd for ChildStdout", "as for `ChildStdin`"),
    ("process::ChildStderr::AsFd for ChildStderr", "as for `ChildStdin`"),
    ("process::Command::spawn", "in a coroutine the parent, for PR_SET_PDEATHSIG, is a thread of the pool"),
    ("os::unix::net::SocketAncillary", "closes received descriptors that nobody took; std's leaks them"),
    ("thread::panicking", "of the coroutine, not of the thread that it shares"),
    ("thread::Builder::stack_size", "of a coroutine's stack, which does not grow: rounded up to a size class"),
    ("thread::LocalKey", "of each coroutine its own, and of each plain thread; declared by `dormouse::thread_local!`"),
    ("sync::MutexGuard", "may be held while its coroutine waits: the worker runs others"),
];

/// What is stable in std and not here, and why.
pub(crate) const WITHOUT: &[(&str, &str)] = &[(
    "thread::JoinHandle::JoinHandleExt for JoinHandle<T>",
    "a coroutine is no thread of the kernel's: it has no `pthread_t`",
)];
