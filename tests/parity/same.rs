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

/// Compiles only if the type is one. Its items are compared besides, for what its Linux trait adds.
#[test]
fn unix_addresses_are_the_type_of_std() {
    let same: fn(std::os::unix::net::SocketAddr) -> _ = |same| same;
    let _: fn(_) -> dormouse::os::unix::net::SocketAddr = same;
}
