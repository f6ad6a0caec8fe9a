//! What `UdpSocket` does without waiting is what std's does: errors, options, conversions, how it prints.
mod net_support;
mod udp_support;

use dormouse::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use net_support::*;
use std::net::UdpSocket as StdSocket;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;
use udp_support::*;

/// A socket of ours and one of std's, alike.
fn both() -> (UdpSocket, StdSocket) {
    (bound().0, StdSocket::bind("127.0.0.1:0").unwrap())
}

#[test]
fn the_traits_are_those_of_std() {
    fn check<T>()
    where
        T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + std::fmt::Debug,
        T: AsFd + AsRawFd + IntoRawFd + FromRawFd + From<OwnedFd> + Into<OwnedFd>,
    {
    }
    check::<UdpSocket>();
    check::<StdSocket>();
}

#[test]
fn it_prints_as_that_of_std() {
    let (socket, _) = bound();
    let ours = format!("{socket:?} {socket:#?}");
    let std = StdSocket::from(socket);
    assert_eq!(ours, format!("{std:?} {std:#?}"));
}

#[test]
fn errors_are_those_of_std() {
    in_three_settings(|setting| {
        setting
            .server(|| {
                let (ours, std) = both();
                let none: &[SocketAddr] = &[];
                same_error(UdpSocket::bind(none), StdSocket::bind(none));
                same_error(ours.connect(none), std.connect(none));
                same_error(ours.send_to(b"x", none), std.send_to(b"x", none));
                same_error(ours.send_to(b"x", "no port"), std.send_to(b"x", "no port"));
                same_error(ours.send(b"x"), std.send(b"x"));
                same_error(ours.peer_addr(), std.peer_addr());
                let long = vec![0; 65_508];
                same_error(ours.send_to(&long, nowhere()), std.send_to(&long, nowhere()));
                same_error(ours.send_to(b"x", "[::1]:9"), std.send_to(b"x", "[::1]:9"));
                same_error(ours.connect("[::1]:9"), std.connect("[::1]:9"));
                same_error(ours.send_to(b"x", "127.0.0.1:0"), std.send_to(b"x", "127.0.0.1:0"));
                same_error(ours.send_to(b"x", "127.255.255.255:9"), std.send_to(b"x", "127.255.255.255:9"));
                let taken = std.local_addr().unwrap();
                same_error(UdpSocket::bind(taken), StdSocket::bind(taken));
                same_error(UdpSocket::bind("192.0.2.77:0"), StdSocket::bind("192.0.2.77:0"));
            })
            .join();
    });
}

#[test]
fn errors_of_options_are_those_of_std() {
    let (ours, std) = both();
    let zero = Some(Duration::ZERO);
    same_error(ours.set_read_timeout(zero), std.set_read_timeout(zero));
    same_error(ours.set_write_timeout(zero), std.set_write_timeout(zero));
    same_error(ours.set_ttl(0), std.set_ttl(0));
    same_error(ours.set_multicast_ttl_v4(256), std.set_multicast_ttl_v4(256));
    same_error(ours.multicast_loop_v6(), std.multicast_loop_v6());
    let (group, any) = (Ipv4Addr::new(224, 0, 0, 200), Ipv4Addr::UNSPECIFIED);
    same_error(ours.join_multicast_v4(&any, &any), std.join_multicast_v4(&any, &any));
    same_error(ours.leave_multicast_v4(&group, &any), std.leave_multicast_v4(&group, &any));
    let (group, any) = (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x200), Ipv6Addr::UNSPECIFIED);
    same_error(ours.join_multicast_v6(&any, 0), std.join_multicast_v6(&any, 0));
    same_error(ours.leave_multicast_v6(&group, 0), std.leave_multicast_v6(&group, 0));
}

#[test]
fn options_reach_the_socket() {
    let (ours, _) = bound();
    let std = StdSocket::from(ours.try_clone().unwrap());
    for on in [true, false] {
        ours.set_broadcast(on).unwrap();
        ours.set_multicast_loop_v4(on).unwrap();
        let theirs = (std.broadcast().unwrap(), std.multicast_loop_v4().unwrap());
        assert_eq!(theirs, (on, on));
        assert_eq!((ours.broadcast().unwrap(), ours.multicast_loop_v4().unwrap()), theirs);
    }
    for hops in [1, 77, 255] {
        ours.set_ttl(hops).unwrap();
        ours.set_multicast_ttl_v4(256 - hops).unwrap();
        let theirs = (std.ttl().unwrap(), std.multicast_ttl_v4().unwrap());
        assert_eq!(theirs, (hops, 256 - hops));
        assert_eq!((ours.ttl().unwrap(), ours.multicast_ttl_v4().unwrap()), theirs);
    }
    assert!(ours.take_error().unwrap().is_none());
    let Ok(ours) = UdpSocket::bind("[::1]:0") else {
        return eprintln!("skipped: no IPv6 here");
    };
    for on in [false, true] {
        ours.set_multicast_loop_v6(on).unwrap();
        assert_eq!(ours.multicast_loop_v6().unwrap(), on);
        let std = StdSocket::from(ours.try_clone().unwrap());
        assert_eq!(std.multicast_loop_v6().unwrap(), on);
    }
}

#[test]
fn timeouts_read_back_as_those_of_std() {
    let (ours, std) = both();
    for timeout in [Some(Duration::from_millis(1500)), Some(Duration::from_nanos(1)), Some(Duration::MAX), None] {
        ours.set_read_timeout(timeout).unwrap();
        std.set_read_timeout(timeout).unwrap();
        assert_eq!(ours.read_timeout().unwrap(), std.read_timeout().unwrap());
        ours.set_write_timeout(timeout).unwrap();
        std.set_write_timeout(timeout).unwrap();
        assert_eq!(ours.write_timeout().unwrap(), std.write_timeout().unwrap());
    }
}

#[test]
fn bind_and_connect_try_each_address_and_a_send_takes_the_first() {
    in_three_settings(|setting| {
        setting
            .server(|| {
                let ((taken, at_taken), (receiver, at_receiver)) = (bound(), bound());
                let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
                let ours = UdpSocket::bind(&[at_taken, free][..]).unwrap();
                assert_ne!(ours.local_addr().unwrap(), at_taken);
                let other_family: SocketAddr = "[::1]:9".parse().unwrap();
                assert!(ours.send_to(b"x", &[other_family, at_receiver][..]).is_err());
                ours.send_to(b"first", &[at_receiver, at_taken][..]).unwrap();
                assert_eq!(receiver.recv(&mut [0; 9]).unwrap(), 5);
                ours.connect(&[other_family, at_receiver, at_taken][..]).unwrap();
                assert_eq!(ours.peer_addr().unwrap(), at_receiver);
                ours.send(b"again").unwrap();
                assert_eq!(receiver.recv(&mut [0; 9]).unwrap(), 5);
                taken.set_nonblocking(true).unwrap();
                would_block(taken.recv(&mut [0; 9]));
            })
            .join();
    });
}

#[test]
fn descriptors_go_out_and_come_back() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let receiver = setting.server(move || {
            let mut ours = ours;
            for _ in 0..5 {
                assert_eq!(ours.recv(&mut [0; 9]).unwrap(), 4);
                let fd = ours.into_raw_fd();
                // SAFETY: the descriptor has just been given out.
                ours = unsafe { UdpSocket::from_raw_fd(fd) };
                assert_eq!(ours.recv(&mut [0; 9]).unwrap(), 4);
                ours = UdpSocket::from(OwnedFd::from(ours));
                assert_eq!(ours.recv(&mut [0; 9]).unwrap(), 4);
                ours = UdpSocket::from(StdSocket::from(ours));
                ours.send(b"next").unwrap();
            }
        });
        for _ in 0..5 {
            for _ in 0..3 {
                peer.send(b"ping").unwrap();
            }
            peer.recv(&mut [0; 9]).unwrap();
        }
        receiver.join();
    });
}

/// A stranger in the clothes of a UDP socket: its addresses are none of the internet.
#[test]
fn addresses_of_another_family_are_errors_as_in_std() {
    let (ours, theirs) = narrow_pair();
    let (std, std_peer) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let std = StdSocket::from(OwnedFd::from(std));
    same_error(ours.local_addr(), std.local_addr());
    same_error(ours.peer_addr(), std.peer_addr());
    theirs.send(b"hello").unwrap();
    std_peer.send(b"hello").unwrap();
    let error = ours.recv_from(&mut [0; 9]).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (std::io::ErrorKind::InvalidInput, "invalid argument".to_owned()));
    let fd = std.as_fd().as_raw_fd();
    assert_eq!(format!("{std:?}"), format!("UdpSocket {{ fd: {fd} }}"));
}
