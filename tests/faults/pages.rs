//! What the man pages of each call document: section ERRORS of man-pages 6, and, for sockets, of ip(7), tcp(7) and unix(7).
//!
//! EWOULDBLOCK is EAGAIN on Linux. Left out is what belongs to another operation of the same call (of fcntl(2) that of
//! locks, of futex(2) that of priorities), and EBADF of close(2), on which std itself aborts.

use libc::*;

pub(crate) const ACCEPT: &[i32] = &[
    EAGAIN,
    EBADF,
    ECONNABORTED,
    EFAULT,
    EINTR,
    EINVAL,
    EMFILE,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    ENOTSOCK,
    EOPNOTSUPP,
    EPERM,
    EPROTO,
    ENETDOWN,
    ENOPROTOOPT,
    EHOSTDOWN,
    ENONET,
    EHOSTUNREACH,
    ENETUNREACH,
    ENOSR,
    ESOCKTNOSUPPORT,
    EPROTONOSUPPORT,
    ETIMEDOUT,
];
pub(crate) const BIND: &[i32] = &[
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EBADF,
    EFAULT,
    EINVAL,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOTDIR,
    ENOTSOCK,
    EROFS,
];
pub(crate) const CLOCK_NANOSLEEP: &[i32] = &[EFAULT, EINTR, EINVAL, ENOTSUP];
pub(crate) const CLOSE: &[i32] = &[EINTR, EIO, ENOSPC, EDQUOT];
/// But EAGAIN, which a connect that has begun does not say.
pub(crate) const CONNECT: &[i32] = &[
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EALREADY,
    EBADF,
    ECONNREFUSED,
    EFAULT,
    EINPROGRESS,
    EINTR,
    EISCONN,
    ENETUNREACH,
    ENOTSOCK,
    EPERM,
    EPROTOTYPE,
    ETIMEDOUT,
    EHOSTUNREACH,
    ENOBUFS,
];
pub(crate) const EPOLL_CREATE: &[i32] = &[EINVAL, EMFILE, ENFILE, ENOMEM];
pub(crate) const EPOLL_CTL: &[i32] = &[EBADF, EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, ENOSPC, EPERM];
pub(crate) const EPOLL_WAIT: &[i32] = &[EBADF, EFAULT, EINTR, EINVAL];
pub(crate) const EPOLL_PWAIT2: &[i32] = &[EBADF, EFAULT, EINTR, EINVAL, ENOSYS, EPERM];
pub(crate) const EVENTFD: &[i32] = &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM];
pub(crate) const EVENTFD_READ: &[i32] = &[EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EIO, EISDIR];
/// But EAGAIN, which says that the counter is full, and it is never near that.
pub(crate) const EVENTFD_WRITE: &[i32] =
    &[EBADF, EDESTADDRREQ, EDQUOT, EFAULT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, EPERM, EPIPE];
pub(crate) const FCNTL_DUPFD: &[i32] = &[EBADF, EINVAL, EMFILE];
pub(crate) const FCNTL_GETFL: &[i32] = &[EBADF, EINVAL];
pub(crate) const FSTAT: &[i32] = &[EBADF, EFAULT, ENOMEM, EOVERFLOW];
pub(crate) const FSTATFS: &[i32] = &[EBADF, EFAULT, EINTR, EIO, ENOMEM, ENOSYS, EOVERFLOW];
pub(crate) const FTRUNCATE: &[i32] = &[EACCES, EBADF, EFBIG, EINTR, EINVAL, EIO, EISDIR, EPERM, EROFS, ETXTBSY];
pub(crate) const FSYNC: &[i32] = &[EBADF, EINTR, EINVAL, EIO, ENOSPC, EROFS, EDQUOT];
pub(crate) const WAIT_OF_FUTEX: &[i32] = &[EACCES, EAGAIN, EFAULT, EINTR, EINVAL, ENOSYS, ETIMEDOUT];
pub(crate) const WAKE_OF_FUTEX: &[i32] = &[EACCES, EFAULT, EINVAL, ENOSYS];
pub(crate) const GETPEERNAME: &[i32] = &[EBADF, EFAULT, EINVAL, ENOBUFS, ENOTCONN, ENOTSOCK];
pub(crate) const GETSOCKNAME: &[i32] = &[EBADF, EFAULT, EINVAL, ENOBUFS, ENOTSOCK];
pub(crate) const GETSOCKOPT: &[i32] = &[EBADF, EFAULT, EINVAL, ENOPROTOOPT, ENOTSOCK];
pub(crate) const IOCTL: &[i32] = &[EBADF, EFAULT, EINVAL, ENOTTY];
pub(crate) const LISTEN: &[i32] = &[EADDRINUSE, EBADF, ENOTSOCK, EOPNOTSUPP];
pub(crate) const MADVISE: &[i32] = &[EACCES, EAGAIN, EBADF, EBUSY, EFAULT, EHWPOISON, EINVAL, EIO, ENOMEM, EPERM];
pub(crate) const MEMBARRIER: &[i32] = &[EINVAL, ENOSYS, EPERM];
pub(crate) const MINCORE: &[i32] = &[EAGAIN, EFAULT, EINVAL, ENOMEM];
pub(crate) const MMAP: &[i32] =
    &[EACCES, EAGAIN, EBADF, EEXIST, EINVAL, ENFILE, ENODEV, ENOMEM, EOVERFLOW, EPERM, ETXTBSY];
pub(crate) const MPROTECT: &[i32] = &[EACCES, EINVAL, ENOMEM];
pub(crate) const MUNMAP: &[i32] = &[EINVAL, ENOMEM];
pub(crate) const OPEN: &[i32] = &[
    EACCES,
    EAGAIN,
    EBADF,
    EBUSY,
    EDQUOT,
    EEXIST,
    EFAULT,
    EFBIG,
    EINTR,
    EINVAL,
    EISDIR,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENFILE,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    ENXIO,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    EROFS,
    ETXTBSY,
];
pub(crate) const PIDFD_OPEN: &[i32] = &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ESRCH, ENOSYS, EPERM];
pub(crate) const PIPE: &[i32] = &[EFAULT, EINVAL, EMFILE, ENFILE, ENOPKG];
pub(crate) const POLL: &[i32] = &[EFAULT, EINTR, EINVAL, ENOMEM];
pub(crate) const PREAD: &[i32] = &[EBADF, EFAULT, EINTR, EINVAL, EIO, EISDIR, ENXIO, EOVERFLOW, ESPIPE];
pub(crate) const PREADV2: &[i32] =
    &[EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EIO, EISDIR, EOPNOTSUPP, ENOSYS, ESPIPE, EPERM];
pub(crate) const PROCESS_MADVISE: &[i32] = &[EBADF, EFAULT, EINVAL, ENOMEM, EPERM, ESRCH, ENOSYS];
pub(crate) const PTHREAD_ATFORK: &[i32] = &[ENOMEM];
pub(crate) const PTHREAD_CREATE: &[i32] = &[EAGAIN, EINVAL, EPERM];
pub(crate) const READ: &[i32] = &[EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EIO, EISDIR];
pub(crate) const RECV: &[i32] = &[
    EAGAIN,
    EBADF,
    ECONNREFUSED,
    EFAULT,
    EINTR,
    EINVAL,
    ENOMEM,
    ENOTCONN,
    ENOTSOCK,
    ECONNRESET,
    ETIMEDOUT,
    EHOSTUNREACH,
];
pub(crate) const SCHED_SETAFFINITY: &[i32] = &[EFAULT, EINVAL, EPERM, ESRCH];
pub(crate) const SEND: &[i32] = &[
    EACCES,
    EAGAIN,
    EALREADY,
    EBADF,
    ECONNRESET,
    EDESTADDRREQ,
    EFAULT,
    EINTR,
    EINVAL,
    EISCONN,
    EMSGSIZE,
    ENOBUFS,
    ENOMEM,
    ENOTCONN,
    ENOTSOCK,
    EOPNOTSUPP,
    EPIPE,
    EPERM,
    EHOSTUNREACH,
    ETOOMANYREFS,
    ESRCH,
];
/// With what send(2) says of the other end.
pub(crate) const SENDFILE: &[i32] =
    &[EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EIO, ENOMEM, ENOSYS, EOVERFLOW, EPERM, ESPIPE, ECONNRESET, EPIPE];
pub(crate) const SETSOCKOPT: &[i32] = &[EBADF, EFAULT, EINVAL, ENOPROTOOPT, ENOTSOCK, EDOM, EPERM, ENOBUFS];
pub(crate) const SHUTDOWN: &[i32] = &[EBADF, EINVAL, ENOTCONN, ENOTSOCK];
pub(crate) const SIGACTION: &[i32] = &[EFAULT, EINVAL];
pub(crate) const SIGALTSTACK: &[i32] = &[EFAULT, EINVAL, ENOMEM, EPERM];
pub(crate) const SOCKET: &[i32] = &[EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT];
pub(crate) const SOCKETPAIR: &[i32] = &[EAFNOSUPPORT, EFAULT, EMFILE, ENFILE, EOPNOTSUPP, EPROTONOSUPPORT];
/// With what recv(2) and send(2) say of the other end.
pub(crate) const SPLICE: &[i32] = &[EBADF, EINTR, EINVAL, ENOMEM, ESPIPE, ECONNRESET];
pub(crate) const TIMERFD_CREATE: &[i32] = &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, EPERM];
pub(crate) const TIMERFD_SETTIME: &[i32] = &[EBADF, ECANCELED, EFAULT, EINVAL];
pub(crate) const WRITE: &[i32] =
    &[EAGAIN, EBADF, EDESTADDRREQ, EDQUOT, EFAULT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, EPERM, EPIPE];
