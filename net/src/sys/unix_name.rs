//! Names of Unix sockets: between std's [`SocketAddr`] and the kernel's `sockaddr_un`. See unix(7).
//!
//! A name is unnamed (no bytes), abstract (a NUL byte, then any bytes) or a path. The kernel ends a path with a NUL, which
//! it counts; a path that fills all 108 bytes has its NUL beyond the end, so that such a name is longer than its struct.

use std::ffi::OsStr;
use std::io;
use std::mem::{self, offset_of};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;

/// Where the bytes of a name start.
const START: usize = offset_of!(libc::sockaddr_un, sun_path);

/// The most bytes of a name.
const MOST: usize = size_of::<libc::sockaddr_un>() - START;

/// A name as system calls take and give it.
pub(crate) struct Name {
    /// The struct, with zeros behind the name.
    storage: libc::sockaddr_un,
    /// How much of it counts; more than there is for a path of 108 bytes that came from the kernel.
    length: libc::socklen_t,
}

impl Name {
    /// Room for a name that the kernel writes.
    pub(crate) fn room() -> Name {
        // SAFETY: `sockaddr_un` is integers, for which zero is a value.
        let storage = unsafe { mem::zeroed() };
        Name { storage, length: size_of::<libc::sockaddr_un>() as _ }
    }

    /// The name that `addr` stands for. A path of 108 bytes, which std too can only have got from the kernel, is given
    /// without the NUL that the kernel would not take.
    pub(crate) fn of(addr: &SocketAddr) -> Name {
        let mut name = Name::room();
        name.storage.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let length = match (addr.as_pathname(), addr.as_abstract_name()) {
            (Some(path), _) => {
                let path = path.as_os_str().as_bytes();
                name.put(0, path);
                (path.len() + 1).min(MOST)
            }
            (None, Some(bytes)) => {
                name.put(1, bytes);
                1 + bytes.len()
            }
            (None, None) => 0,
        };
        name.length = (START + length) as _;
        name
    }

    fn put(&mut self, start: usize, bytes: &[u8]) {
        let place = self.storage.sun_path[start..].iter_mut();
        place.zip(bytes).for_each(|(place, byte)| *place = *byte as libc::c_char);
    }

    /// For a call that reads the name.
    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    /// Bytes that count.
    pub(crate) fn length(&self) -> libc::socklen_t {
        self.length
    }

    /// For a call that writes the name: where, and where its length goes, which until then is that of the room.
    pub(crate) fn for_writing(&mut self) -> (*mut libc::sockaddr, *mut libc::socklen_t) {
        ((&raw mut self.storage).cast(), &raw mut self.length)
    }

    /// For a call that gives the length in another place, as recvmsg(2) does.
    pub(crate) fn set_length(&mut self, length: libc::socklen_t) {
        self.length = length;
    }

    /// What std would make of the name; the kernel has written it. Another family is an error with std's kind and
    /// message.
    pub(crate) fn to_std(&self) -> io::Result<SocketAddr> {
        // A datagram from an unnamed socket comes with no address at all.
        if self.length != 0 && self.storage.sun_family != libc::AF_UNIX as libc::sa_family_t {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "file descriptor did not correspond to a Unix socket",
            ));
        }
        let path = self.storage.sun_path.map(|byte| byte as u8);
        let length = (self.length as usize).saturating_sub(START);
        match path.get(..length) {
            None => path_that_fills(&path),
            Some([]) => SocketAddr::from_pathname(""),
            Some([0, name @ ..]) => SocketAddr::from_abstract_name(name),
            Some([path @ .., _]) => SocketAddr::from_pathname(OsStr::from_bytes(path)),
        }
    }
}

/// The address of a path of 108 bytes.
///
/// std holds such an address when it got it from the kernel, but offers no way to make one, and it receives no datagram
/// without the risk of blocking. So the address of the first 107 bytes is made, and the last byte and the length are
/// added in place. That happens only if the address shows itself to be a `sockaddr_un` and a `socklen_t` and nothing
/// else; otherwise the peer counts as unnamed, which is the truth but not the whole.
fn path_that_fills(path: &[u8; MOST]) -> io::Result<SocketAddr> {
    let mut addr = SocketAddr::from_pathname(OsStr::from_bytes(&path[..MOST - 1]))?;
    let Some(length_at) = place_of_length(&addr) else {
        return SocketAddr::from_pathname("");
    };
    let last_at = place_of_path(&addr) + MOST - 1;
    let start = (&raw mut addr).cast::<u8>();
    // SAFETY: `place_of_length` found that the `sockaddr_un` lies inside `addr`, so its last byte does.
    unsafe { start.add(last_at).write(path[MOST - 1]) };
    // SAFETY: the place is inside `addr`, is that of a `socklen_t`, and aligned as one.
    unsafe { start.add(length_at).cast::<libc::socklen_t>().write((START + MOST + 1) as _) };
    Ok(addr)
}

/// How far inside the address of a path the path is, as its own method shows.
fn place_of_path(addr: &SocketAddr) -> usize {
    let path = addr.as_pathname().map_or(std::ptr::null(), |path| path.as_os_str().as_bytes().as_ptr());
    path.addr().wrapping_sub((&raw const *addr).addr())
}

/// How far inside `addr`, the address of a path of 107 bytes, its length is; `None` if it is not where it must be in a
/// struct of nothing but a `sockaddr_un` and a `socklen_t`.
fn place_of_length(addr: &SocketAddr) -> Option<usize> {
    #[repr(C)]
    struct LengthFirst(libc::socklen_t, libc::sockaddr_un);
    #[repr(C)]
    struct LengthLast(libc::sockaddr_un, libc::socklen_t);
    let same_size = size_of::<SocketAddr>() == size_of::<LengthFirst>();
    let same_align = align_of::<SocketAddr>() == align_of::<LengthFirst>();
    let at = match place_of_path(addr).checked_sub(START)? {
        at if at == offset_of!(LengthFirst, 1) => offset_of!(LengthFirst, 0),
        at if at == offset_of!(LengthLast, 0) => offset_of!(LengthLast, 1),
        _ => return None,
    };
    if !(same_size && same_align) {
        return None;
    }
    // SAFETY: inside `addr` and aligned, by the sizes above. Beside the `sockaddr_un` there is room for nothing but one
    // aligned word, so that is what the length is in, and it is initialised.
    let found = unsafe { (&raw const *addr).cast::<u8>().add(at).cast::<libc::socklen_t>().read() };
    (found as usize == START + MOST).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// As it comes back from the kernel.
    fn round_trip(addr: &SocketAddr) -> SocketAddr {
        Name::of(addr).to_std().unwrap()
    }

    #[test]
    fn every_name_survives_the_way_through_the_kernels_form() {
        for length in [1, 2, 50, 106, 107] {
            let path = "p".repeat(length);
            let addr = SocketAddr::from_pathname(&path).unwrap();
            assert_eq!(round_trip(&addr).as_pathname(), Some(Path::new(&path)));
            let name: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let addr = SocketAddr::from_abstract_name(&name).unwrap();
            assert_eq!(round_trip(&addr).as_abstract_name(), Some(&name[..]));
        }
        assert!(round_trip(&SocketAddr::from_pathname("").unwrap()).is_unnamed());
        assert_eq!(round_trip(&SocketAddr::from_abstract_name("").unwrap()).as_abstract_name(), Some(&[][..]));
    }

    #[test]
    fn no_address_at_all_is_unnamed_and_another_family_an_error() {
        let mut name = Name::room();
        name.set_length(0);
        assert!(name.to_std().unwrap().is_unnamed());
        name.storage.sun_family = libc::AF_INET as _;
        name.set_length(16);
        let error = name.to_std().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "file descriptor did not correspond to a Unix socket");
    }

    #[test]
    fn a_path_that_fills_the_struct_is_whole() {
        let bytes: Vec<u8> = (0..MOST).map(|n| b'a' + (n % 26) as u8).collect();
        let mut name = Name::room();
        name.storage.sun_family = libc::AF_UNIX as _;
        name.put(0, &bytes);
        name.set_length((START + MOST + 1) as _);
        let addr = name.to_std().unwrap();
        assert_eq!(addr.as_pathname().unwrap().as_os_str().as_bytes(), bytes);
        let again = Name::of(&addr.clone());
        assert_eq!(again.length() as usize, START + MOST);
        assert_eq!(again.storage.sun_path.map(|byte| byte as u8)[..], bytes[..]);
    }
}
