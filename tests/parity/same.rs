//! The types that are std's own: what holds for one holds for the other, all methods and implementations included.

/// Compiles only if the types are one.
#[test]
fn addresses_are_the_types_of_std() {
    let _: fn(std::net::IpAddr) -> dormouse::net::IpAddr = |same| same;
    let _: fn(std::net::Ipv4Addr) -> dormouse::net::Ipv4Addr = |same| same;
    let _: fn(std::net::Ipv6Addr) -> dormouse::net::Ipv6Addr = |same| same;
    let _: fn(std::net::SocketAddr) -> dormouse::net::SocketAddr = |same| same;
    let _: fn(std::net::SocketAddrV4) -> dormouse::net::SocketAddrV4 = |same| same;
    let _: fn(std::net::SocketAddrV6) -> dormouse::net::SocketAddrV6 = |same| same;
    let _: fn(std::net::AddrParseError) -> dormouse::net::AddrParseError = |same| same;
    let _: fn(std::net::Shutdown) -> dormouse::net::Shutdown = |same| same;
}

/// Compiles only if the types are one.
#[test]
fn what_is_known_of_files_and_children_is_of_std() {
    let _: fn(std::fs::FileTimes) -> dormouse::fs::FileTimes = |same| same;
    let _: fn(std::fs::FileType) -> dormouse::fs::FileType = |same| same;
    let _: fn(std::fs::Metadata) -> dormouse::fs::Metadata = |same| same;
    let _: fn(std::fs::Permissions) -> dormouse::fs::Permissions = |same| same;
    let _: fn(std::fs::TryLockError) -> dormouse::fs::TryLockError = |same| same;
    let _: fn(std::process::CommandArgs) -> dormouse::process::CommandArgs = |same| same;
    let _: fn(std::process::CommandEnvs) -> dormouse::process::CommandEnvs = |same| same;
    let _: fn(std::process::ExitCode) -> dormouse::process::ExitCode = |same| same;
    let _: fn(std::process::ExitStatus) -> dormouse::process::ExitStatus = |same| same;
    let _: fn(std::process::Output) -> dormouse::process::Output = |same| same;
    let _: fn(std::process::Stdio) -> dormouse::process::Stdio = |same| same;
}

/// Compiles only if the trait is one.
#[test]
fn what_main_may_return_is_of_std() {
    struct Own;
    impl dormouse::process::Termination for Own {
        fn report(self) -> std::process::ExitCode {
            std::process::ExitCode::SUCCESS
        }
    }
    assert_eq!(std::process::Termination::report(Own), std::process::ExitCode::SUCCESS);
}

/// Compiles only if the type is one. Its items are compared besides, for what its Linux trait adds.
#[test]
fn unix_addresses_are_the_type_of_std() {
    let same: fn(std::os::unix::net::SocketAddr) -> _ = |same| same;
    let _: fn(_) -> dormouse::os::unix::net::SocketAddr = same;
}

/// Compiles only if both are one function.
fn same<F>(_: F, _: F) {}

#[test]
fn results_and_errors_are_the_types_of_std() {
    let _: fn(std::thread::Result<u8>) -> dormouse::thread::Result<u8> = |same| same;
    let _: fn(std::sync::LockResult<u8>) -> dormouse::sync::LockResult<u8> = |same| same;
    let _: fn(std::sync::TryLockResult<u8>) -> dormouse::sync::TryLockResult<u8> = |same| same;
    let _: fn(std::sync::PoisonError<u8>) -> dormouse::sync::PoisonError<u8> = |same| same;
    let _: fn(std::sync::TryLockError<u8>) -> dormouse::sync::TryLockError<u8> = |same| same;
    let _: fn(std::sync::mpsc::RecvError) -> dormouse::sync::mpsc::RecvError = |same| same;
    let _: fn(std::sync::mpsc::SendError<u8>) -> dormouse::sync::mpsc::SendError<u8> = |same| same;
    let _: fn(std::sync::mpsc::RecvTimeoutError) -> dormouse::sync::mpsc::RecvTimeoutError = |same| same;
    let _: fn(std::sync::mpsc::TryRecvError) -> dormouse::sync::mpsc::TryRecvError = |same| same;
    let _: fn(std::sync::mpsc::TrySendError<u8>) -> dormouse::sync::mpsc::TrySendError<u8> = |same| same;
    same(std::thread::available_parallelism, dormouse::thread::available_parallelism);
}

#[test]
fn what_counts_references_is_the_type_of_std() {
    let _: fn(std::sync::Arc<u8>) -> dormouse::sync::Arc<u8> = |same| same;
    let _: fn(std::sync::Weak<u8>) -> dormouse::sync::Weak<u8> = |same| same;
}

#[test]
#[allow(deprecated)]
fn atomics_are_the_types_of_std() {
    let _: fn(std::sync::atomic::AtomicBool) -> dormouse::sync::atomic::AtomicBool = |same| same;
    let _: fn(std::sync::atomic::AtomicI8) -> dormouse::sync::atomic::AtomicI8 = |same| same;
    let _: fn(std::sync::atomic::AtomicI16) -> dormouse::sync::atomic::AtomicI16 = |same| same;
    let _: fn(std::sync::atomic::AtomicI32) -> dormouse::sync::atomic::AtomicI32 = |same| same;
    let _: fn(std::sync::atomic::AtomicI64) -> dormouse::sync::atomic::AtomicI64 = |same| same;
    let _: fn(std::sync::atomic::AtomicIsize) -> dormouse::sync::atomic::AtomicIsize = |same| same;
    let _: fn(std::sync::atomic::AtomicU8) -> dormouse::sync::atomic::AtomicU8 = |same| same;
    let _: fn(std::sync::atomic::AtomicU16) -> dormouse::sync::atomic::AtomicU16 = |same| same;
    let _: fn(std::sync::atomic::AtomicU32) -> dormouse::sync::atomic::AtomicU32 = |same| same;
    let _: fn(std::sync::atomic::AtomicU64) -> dormouse::sync::atomic::AtomicU64 = |same| same;
    let _: fn(std::sync::atomic::AtomicUsize) -> dormouse::sync::atomic::AtomicUsize = |same| same;
    let _: fn(std::sync::atomic::Ordering) -> dormouse::sync::atomic::Ordering = |same| same;
    let _: fn(std::sync::atomic::AtomicPtr<u8>) -> dormouse::sync::atomic::AtomicPtr<u8> = |same| same;
    same(std::sync::atomic::fence, dormouse::sync::atomic::fence);
    same(std::sync::atomic::compiler_fence, dormouse::sync::atomic::compiler_fence);
    same(std::sync::atomic::spin_loop_hint, dormouse::sync::atomic::spin_loop_hint);
    same(std::sync::atomic::ATOMIC_BOOL_INIT, dormouse::sync::atomic::ATOMIC_BOOL_INIT);
    same(std::sync::atomic::ATOMIC_ISIZE_INIT, dormouse::sync::atomic::ATOMIC_ISIZE_INIT);
    same(std::sync::atomic::ATOMIC_USIZE_INIT, dormouse::sync::atomic::ATOMIC_USIZE_INIT);
}
