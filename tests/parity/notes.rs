//! Where ours differs from std's in more than its path, in words for a reader: the notes of `docs/parity.md`.

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
