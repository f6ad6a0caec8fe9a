//! From what names a peer to the addresses that are tried in turn.
//!
//! Numeric addresses never block. A host name is looked up by std's [`ToSocketAddrs`], which blocks the calling thread.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

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
}
