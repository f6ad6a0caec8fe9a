//! Names of Unix sockets: every kind of them, and errors and addresses as std's.
mod net_support;

use dormouse::os::linux::net::SocketAddrExt;
use dormouse::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use net_support::*;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net as std_net;
use std::path::{Path, PathBuf};

/// A path of exactly `length` bytes in `directory`.
fn path_of(directory: &Directory, length: usize) -> PathBuf {
    let start = directory.path().as_os_str().len() + 1;
    directory.join(&"n".repeat(length - start))
}

/// A datagram socket whose path fills all 108 bytes, which std cannot bind.
fn bind_108(path: &Path) -> OwnedFd {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::DGRAM, None).unwrap();
    // SAFETY: integers, for which zero is a value.
    let mut addr: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    addr.sun_family = libc::AF_UNIX as _;
    let bytes = path.as_os_str().as_bytes();
    assert_eq!(bytes.len(), addr.sun_path.len());
    addr.sun_path.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte as _);
    // SAFETY: the address lives through the call and has that length.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const addr).cast(), size_of_val(&addr) as _) };
    assert_eq!(bound, 0, "{}", io::Error::last_os_error());
    socket.into()
}

#[test]
fn bad_paths_fail_as_in_std() {
    bounded(|| {
        let directory = Directory::new();
        let (long, longer) = (path_of(&directory, 108), path_of(&directory, 109));
        let file = directory.join("file");
        std::fs::write(&file, "no socket").unwrap();
        let taken = directory.join("taken");
        let _taken = std_net::UnixDatagram::bind(&taken).unwrap();
        let absent = directory.join("absent");
        let nul = Path::new("a\0b");
        for path in [&*long, &*longer, nul, Path::new("\0"), &*file, Path::new("/no/such/directory/x"), &*taken] {
            same_error(UnixListener::bind(path), std_net::UnixListener::bind(path));
            same_error(UnixDatagram::bind(path), std_net::UnixDatagram::bind(path));
        }
        for path in [&*long, &*longer, nul, Path::new(""), &*file, &*absent, &*taken, Path::new("/no/such/d/x")] {
            same_error(UnixStream::connect(path), std_net::UnixStream::connect(path));
        }
        let (ours, std) = (UnixDatagram::unbound().unwrap(), std_net::UnixDatagram::unbound().unwrap());
        for path in [&*long, &*longer, nul, Path::new(""), &*file, &*absent] {
            same_error(ours.connect(path), std.connect(path));
            same_error(ours.send_to(b"x", path), std.send_to(b"x", path));
        }
        same_error(ours.send(b"x"), std.send(b"x"));
        same_error(ours.peer_addr(), std.peer_addr());
        let unnamed = SocketAddr::from_pathname("").unwrap();
        same_error(UnixStream::connect_addr(&unnamed), std_net::UnixStream::connect_addr(&unnamed));
        same_error(ours.connect_addr(&unnamed), std.connect_addr(&unnamed));
        same_error(ours.send_to_addr(b"x", &unnamed), std.send_to_addr(b"x", &unnamed));
    });
}

#[test]
fn a_path_of_107_bytes_is_the_longest() {
    in_three_settings(|on| {
        let directory = Directory::new();
        let path = path_of(&directory, 107);
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
        let there = path.clone();
        let client = on.client(move || UnixStream::connect(there).unwrap());
        let (server, peer) = on.server(move || listener.accept().unwrap()).join();
        let client = client.join();
        assert!(peer.is_unnamed() && server.peer_addr().unwrap().is_unnamed());
        assert!(client.local_addr().unwrap().is_unnamed());
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert_eq!(server.local_addr().unwrap().as_pathname(), Some(&*path));
    });
}

/// The path fills the kernel's struct; std shows it whole, and so do we, wherever it comes from.
#[test]
fn a_path_of_108_bytes_is_shown_whole() {
    in_three_settings(|on| {
        let directory = Directory::new();
        let path = path_of(&directory, 108);
        let sender = UnixDatagram::from(bind_108(&path));
        let shown = sender.local_addr().unwrap();
        let std: std_net::UnixDatagram = sender.into();
        let by_std = std.local_addr().unwrap();
        assert_eq!((shown.as_pathname(), by_std.as_pathname()), (Some(&*path), Some(&*path)));
        assert_eq!(format!("{shown:?}"), format!("{by_std:?}"));
        let sender = UnixDatagram::from(std);

        let own = directory.join("own");
        let receiver = UnixDatagram::bind(&own).unwrap();
        let sent = on.client(move || {
            sender.send_to(b"hello", own).unwrap();
            sender
        });
        let from = on.server(move || {
            let mut buf = [0; 9];
            let peeked = receiver.peek_from(&mut buf).unwrap();
            let (n, from) = receiver.recv_from(&mut buf).unwrap();
            assert_eq!((n, &buf[..5], peeked.0), (5, &b"hello"[..], 5));
            assert_eq!(peeked.1.as_pathname(), from.as_pathname());
            // Unlike std, which gives the kernel one byte more than it takes (EINVAL), an answer arrives.
            receiver.send_to_addr(b"answer", &from).unwrap();
            from
        });
        let (from, sender) = (from.join(), sent.join());
        assert_eq!(from.as_pathname(), Some(&*path));
        assert_eq!(format!("{from:?}"), format!("{by_std:?}"));
        assert_eq!(format!("{:?}", from.clone()), format!("{by_std:?}"));
        let mut buf = [0; 9];
        assert_eq!(sender.recv(&mut buf).unwrap(), 6);
    });
}

#[test]
fn abstract_names_may_be_anything_but_too_long() {
    in_three_settings(|on| {
        let unique = format!("dormouse\0{}\0{on:?}", std::process::id());
        for tail in ["".to_owned(), "\0\0".into(), "x".repeat(107 - unique.len())] {
            let name = format!("{unique}{tail}");
            let addr = SocketAddr::from_abstract_name(&name).unwrap();
            let listener = UnixListener::bind_addr(&addr).unwrap();
            same_error(UnixListener::bind_addr(&addr), std_net::UnixListener::bind_addr(&addr));
            assert_eq!(listener.local_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
            let there = addr.clone();
            let client = on.client(move || UnixStream::connect_addr(&there).unwrap());
            let (_server, peer) = on.server(move || listener.accept().unwrap()).join();
            assert!(peer.is_unnamed());
            assert_eq!(client.join().peer_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
            same_error(UnixStream::connect_addr(&addr), std_net::UnixStream::connect_addr(&addr));
        }
    });
}

#[test]
fn datagrams_come_with_the_name_of_their_sender() {
    in_three_settings(|on| {
        let directory = Directory::new();
        let receiver = UnixDatagram::bind(directory.join("receiver")).unwrap();
        let path = directory.join("sender");
        let name = format!("dormouse-sender-{}-{on:?}", std::process::id());
        let senders = [
            UnixDatagram::bind(&path).unwrap(),
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
            UnixDatagram::unbound().unwrap(),
        ];
        let to = directory.join("receiver");
        let sent = on.client(move || {
            for (index, sender) in senders.iter().enumerate() {
                sender.send_to(&[index as u8], &to).unwrap();
            }
            senders
        });
        let received = on.server(move || {
            (0..3u8)
                .map(|index| {
                    let mut byte = [9];
                    let (n, from) = receiver.recv_from(&mut byte).unwrap();
                    assert_eq!((n, byte[0]), (1, index));
                    from
                })
                .collect::<Vec<_>>()
        });
        let from = received.join();
        sent.join();
        assert_eq!(from[0].as_pathname(), Some(&*path));
        assert_eq!(from[1].as_abstract_name(), Some(name.as_bytes()));
        assert!(from[2].is_unnamed());
    });
}

/// An unnamed address to bind to asks the kernel for an abstract name, in std as here.
#[test]
fn no_name_to_bind_to_becomes_one_of_the_kernels() {
    bounded(|| {
        let unnamed = SocketAddr::from_pathname("").unwrap();
        let names = [
            UnixListener::bind("").unwrap().local_addr().unwrap(),
            UnixListener::bind_addr(&unnamed).unwrap().local_addr().unwrap(),
            UnixDatagram::bind("").unwrap().local_addr().unwrap(),
            UnixDatagram::bind_addr(&unnamed).unwrap().local_addr().unwrap(),
            std_net::UnixListener::bind("").unwrap().local_addr().unwrap(),
        ];
        assert!(names.iter().all(|name| name.as_abstract_name().is_some_and(|name| name.len() == 5)), "{names:?}");
    });
}

#[test]
fn other_families_are_no_unix_sockets() {
    bounded(|| {
        let socket = || OwnedFd::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        same_error(UnixDatagram::from(socket()).local_addr(), std_net::UnixDatagram::from(socket()).local_addr());
        same_error(UnixStream::from(socket()).local_addr(), std_net::UnixStream::from(socket()).local_addr());
        let listener = || OwnedFd::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        same_error(UnixListener::from(listener()).local_addr(), std_net::UnixListener::from(listener()).local_addr());
        let not_even = || OwnedFd::from(std::fs::File::open("/proc/self/stat").unwrap());
        same_error(UnixStream::from(not_even()).local_addr(), std_net::UnixStream::from(not_even()).local_addr());
    });
}
