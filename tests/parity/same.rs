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
