//! From what names a peer to the addresses that are tried in turn.
//!
//! Owns which names need a lookup at all, and that a lookup never blocks a worker: what is numeric or malformed is
//! answered at once, and a host name by std, hence getaddrinfo(3), on a thread of the blocking pool. Must never know what
//! the addresses are for.

use std::io;
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::{iter, option, slice, vec};

use dormouse_runtime::blocking;

/// What can be turned into one or more [`SocketAddr`]s, like [`std::net::ToSocketAddrs`], for the same types.
///
/// The trait is dormouse's own because std's blocks the calling thread while a host name is looked up, which here is a
/// worker with all its coroutines; and a function that takes std's trait cannot tell which values would: `String` and
/// `SocketAddr` look the same to it. A type of your own that implements std's trait needs an implementation of this one.
///
/// A string that is no numeric address is looked up by std itself, hence by getaddrinfo(3) with all that is configured
/// there, in the same order and with the same errors.
///
/// # Blocking
///
/// Only host names: the lookup parks the coroutine, and is a cancellation point; a plain thread it blocks. Up to 512
/// lookups are under way at a time, further ones wait for their turn. A lookup whose coroutine was cancelled goes on
/// without it.
///
/// # Examples
///
/// ```
/// use dormouse_net::ToSocketAddrs;
///
/// # fn main() -> std::io::Result<()> {
/// let local = dormouse_runtime::run(|| "localhost:7000".to_socket_addrs())?;
/// assert!(local.into_iter().all(|addr| addr.ip().is_loopback() && addr.port() == 7000));
/// # Ok(())
/// # }
/// ```
pub trait ToSocketAddrs {
    /// The addresses.
    type Iter: Iterator<Item = SocketAddr>;

    /// Gives the addresses, in the order in which they are to be tried; there may be none.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a string without a valid port; whatever getaddrinfo(3) reports;
    /// EAGAIN or ENOMEM if a lookup needs a thread and none can be started.
    ///
    /// # Blocking
    ///
    /// For host names only; see the trait.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;
}

impl ToSocketAddrs for SocketAddr {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(Some(*self).into_iter())
    }
}

impl ToSocketAddrs for SocketAddrV4 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::V4(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for SocketAddrV6 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::V6(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (IpAddr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (&str, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)].into_iter()),
            Err(_) => look_up((host.to_owned(), port)),
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (self.0.as_str(), self.1).to_socket_addrs()
    }
}

/// `host:port`, where a numeric IPv6 host stands in brackets.
impl ToSocketAddrs for str {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        match self.parse() {
            Ok(addr) => Ok(vec![addr].into_iter()),
            Err(_) if names_a_host(self) => look_up(self.to_owned()),
            // An error, which std finds without a lookup.
            Err(_) => net::ToSocketAddrs::to_socket_addrs(self),
        }
    }
}

impl ToSocketAddrs for String {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        self.as_str().to_socket_addrs()
    }
}

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = iter::Cloned<slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;

    fn to_socket_addrs(&self) -> io::Result<T::Iter> {
        (**self).to_socket_addrs()
    }
}

/// Looks up `host`, which is whatever [`ToSocketAddrs`] is implemented for: a name goes with a port.
///
/// # Errors
///
/// Those of [`ToSocketAddrs::to_socket_addrs`].
///
/// # Blocking
///
/// Parks the coroutine, a cancellation point, or blocks the plain thread, if there is a host name to look up.
///
/// # Examples
///
/// ```
/// use dormouse_net::{SocketAddr, lookup_host};
///
/// # fn main() -> std::io::Result<()> {
/// let addrs: Vec<SocketAddr> = dormouse_runtime::run(|| lookup_host(("localhost", 80)))?.collect();
/// assert!(!addrs.is_empty());
/// # Ok(())
/// # }
/// ```
pub fn lookup_host<A: ToSocketAddrs>(host: A) -> io::Result<A::Iter> {
    host.to_socket_addrs()
}

/// Whether std would ask getaddrinfo(3) about what is no numeric address: only if there is a port.
fn names_a_host(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// Has std ask getaddrinfo(3), on a thread where that may block.
fn look_up<A>(name: A) -> io::Result<vec::IntoIter<SocketAddr>>
where
    A: net::ToSocketAddrs<Iter = vec::IntoIter<SocketAddr>> + Send + 'static,
{
    blocking::run(move || name.to_socket_addrs())?
}

/// Tries each address that `names` stands for, in order: the first success, else the last error, as std does.
pub(crate) fn first_success<T>(
    names: impl ToSocketAddrs,
    mut attempt: impl FnMut(&SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for addr in names.to_socket_addrs()? {
        match attempt(&addr) {
            Ok(value) => return Ok(value),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_addresses))
}

fn no_addresses() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_the_first_success_and_reports_the_last_error() {
        let addrs: Vec<SocketAddr> = (1..=3).map(|n| ([127, 0, 0, n], 9).into()).collect();
        let mut tried = 0;
        let second = first_success(&addrs[..], |addr| {
            tried += 1;
            if *addr == addrs[1] { Ok(tried) } else { Err(io::Error::other("no")) }
        });
        assert_eq!(second.unwrap(), 2);
        let error = first_success(&addrs[..], |addr| Err::<(), _>(io::Error::other(addr.to_string())));
        assert_eq!(error.unwrap_err().to_string(), "127.0.0.3:9");
        let empty: &[SocketAddr] = &[];
        let error = first_success(empty, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "could not resolve to any addresses");
    }

    /// What is answered without the pool is what std answers without getaddrinfo(3).
    #[test]
    fn only_a_host_and_a_port_are_looked_up() {
        for text in
            ["", "localhost", "127.0.0.1", "localhost:", "localhost:http", "localhost:65536", "[::1]", "[::1]:x"]
        {
            assert!(!names_a_host(text), "{text}");
            let (ours, theirs) = (text.to_socket_addrs().unwrap_err(), net::ToSocketAddrs::to_socket_addrs(text));
            let theirs = theirs.unwrap_err();
            assert_eq!((ours.kind(), ours.to_string()), (theirs.kind(), theirs.to_string()), "{text}");
        }
        assert!(names_a_host("localhost:80") && names_a_host(":80") && names_a_host("::1:80"));
    }
}
