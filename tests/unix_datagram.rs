//! Unix datagrams: boundaries, truncation, empty ones, peers that change or go away.
mod net_support;

use dormouse::os::linux::net::UnixSocketExt;
use dormouse::os::unix::net::{SocketAddr, UnixDatagram};
use dormouse::{spawn, thread};
use net_support::*;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::unix::net as std_net;
use std::sync::Arc;

/// A socket with a name of the kernel's choice.
fn bound() -> (UnixDatagram, SocketAddr) {
    let datagram = UnixDatagram::bind("").unwrap();
    let addr = datagram.local_addr().unwrap();
    (datagram, addr)
}

#[test]
fn echoes_keep_their_boundaries() {
    in_three_settings(|on| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = UnixDatagram::bind(&path).unwrap();
        let server = on.server(move || {
            let mut buf = vec![0; 100_000];
            loop {
                let (n, from) = server.recv_from(&mut buf).unwrap();
                if n == 0 {
                    return;
                }
                server.send_to_addr(&buf[..n], &from).unwrap();
            }
        });
        let clients: Vec<_> = (0..10)
            .map(|seed| {
                let (path, own) = (path.clone(), directory.join(&format!("client{seed}")));
                on.client(move || {
                    let client = UnixDatagram::bind(own).unwrap();
                    client.connect(path).unwrap();
                    let mut random = Random(seed + 1);
                    for round in 0..30 {
                        let sent = pattern_bytes(seed ^ round << 32, 0, 1 + random.below(60_000) as usize);
                        assert_eq!(client.send(&sent).unwrap(), sent.len());
                        let mut back = vec![0; sent.len() + 1];
                        assert_eq!(client.recv(&mut back).unwrap(), sent.len());
                        assert_eq!(&back[..sent.len()], sent);
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(Started::join);
        on.client(move || UnixDatagram::unbound().unwrap().send_to(&[], path).unwrap()).join();
        server.join();
    });
}

#[test]
fn what_does_not_fit_is_cut_off() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let receiver = on.server(move || {
            let mut buf = [0; 4];
            assert_eq!(ours.peek(&mut buf[..2]).unwrap(), 2);
            assert_eq!(ours.peek_from(&mut buf[..3]).unwrap().0, 3);
            assert_eq!(ours.recv(&mut buf).unwrap(), 4);
            assert_eq!(&buf, b"abcd");
            assert_eq!(ours.recv_from(&mut buf).unwrap().0, 4);
            assert_eq!(&buf, b"1234");
            // With no room at all there is still a datagram to wait for and to take.
            assert_eq!(ours.recv(&mut []).unwrap(), 0);
            assert_eq!(ours.recv(&mut buf).unwrap(), 3);
            assert_eq!(&buf[..3], b"end");
        });
        on.client(move || {
            for text in ["abcdefgh", "123456", "gone", "end"] {
                assert_eq!(theirs.send(text.as_bytes()).unwrap(), text.len());
            }
        })
        .join();
        receiver.join();
    });
}

#[test]
fn empty_datagrams_are_datagrams_as_in_std() {
    in_three_settings(|on| {
        let (ours, addr) = bound();
        let sender = on.client(move || {
            let ours = UnixDatagram::unbound().unwrap();
            ours.connect_addr(&addr).unwrap();
            let std = std_net::UnixDatagram::unbound().unwrap();
            std.connect_addr(&addr).unwrap();
            assert_eq!((ours.send(&[]).unwrap(), std.send(&[]).unwrap()), (0, 0));
            assert_eq!((ours.send_to_addr(&[], &addr).unwrap(), std.send_to_addr(&[], &addr).unwrap()), (0, 0));
            ours.send(b"x").unwrap();
        });
        let receiver = on.server(move || {
            let mut buf = [0; 4];
            (0..5).map(|_| ours.recv(&mut buf).unwrap()).collect::<Vec<_>>()
        });
        sender.join();
        assert_eq!(receiver.join(), [0, 0, 0, 0, 1]);
    });
}

#[test]
fn too_large_a_datagram_fails_as_in_std() {
    in_three_settings(|on| {
        let (ours, addr) = bound();
        on.server(move || {
            let huge = vec![0; 16 << 20];
            let (sender, std) = (UnixDatagram::unbound().unwrap(), std_net::UnixDatagram::unbound().unwrap());
            same_error(sender.send_to_addr(&huge, &addr), std.send_to_addr(&huge, &addr));
            sender.connect_addr(&addr).unwrap();
            std.connect_addr(&addr).unwrap();
            same_error(sender.send(&huge), std.send(&huge));
            drop(ours);
        })
        .join();
    });
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    in_three_settings(|on| {
        let ((ours, addr), (peer, peer_addr), (stranger, _)) = (bound(), bound(), bound());
        ours.connect_addr(&peer_addr).unwrap();
        assert_eq!(ours.peer_addr().unwrap().as_pathname(), None);
        on.client(move || {
            let error = stranger.send_to_addr(b"no", &addr).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            peer.send_to_addr(b"yes", &addr).unwrap();
        })
        .join();
        let mut buf = [0; 8];
        assert_eq!(on.server(move || ours.recv(&mut buf).unwrap()).join(), 3);
    });
}

/// Who waits for a full peer goes on once the socket has another one.
#[test]
fn a_new_peer_frees_who_waits_for_the_old() {
    in_three_settings(|on| {
        let ((_full, full_addr), (empty, empty_addr)) = (bound(), bound());
        let sender = Arc::new(UnixDatagram::unbound().unwrap());
        sender.connect_addr(&full_addr).unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send(b"full").is_ok() {}
        sender.set_nonblocking(false).unwrap();
        let (waiting, begun) = (Arc::clone(&sender), Channel::new());
        let tell = Arc::clone(&begun);
        let waiting = on.server(move || {
            tell.send(());
            waiting.send(b"elsewhere").unwrap()
        });
        begun.recv();
        on.client(move || sender.connect_addr(&empty_addr).unwrap()).join();
        assert_eq!(waiting.join(), 9);
        assert_eq!(empty.recv(&mut [0; 16]).unwrap(), 9);
    });
}

#[test]
fn a_full_peer_that_goes_away_refuses_who_waits() {
    in_three_settings(|on| {
        let (receiver, addr) = bound();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect_addr(&addr).unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send(b"full").is_ok() {}
        sender.set_nonblocking(false).unwrap();
        let begun = Channel::new();
        let (first, second) = (Arc::clone(&begun), Arc::clone(&begun));
        let connected = on.server(move || {
            first.send(());
            sender.send(b"x").unwrap_err().kind()
        });
        let unconnected = on.client(move || {
            second.send(());
            UnixDatagram::unbound().unwrap().send_to_addr(b"x", &addr).unwrap_err().kind()
        });
        (0..2).for_each(|_| begun.recv());
        on.client(move || drop(receiver)).join();
        assert_eq!(connected.join(), ErrorKind::ConnectionRefused);
        assert_eq!(unconnected.join(), ErrorKind::ConnectionRefused);
    });
}

/// A peer that closes ends nothing for the receiver, in std as here, and refuses what is sent.
#[test]
fn a_peer_that_closes_is_noticed_by_senders_only() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let (std, other) = std_net::UnixDatagram::pair().unwrap();
        ours.send(b"never read").unwrap();
        std.send(b"never read").unwrap();
        on.client(move || drop((theirs, other))).join();
        on.server(move || {
            ours.set_read_timeout(Some(ms(5))).unwrap();
            std.set_read_timeout(Some(ms(5))).unwrap();
            same_error(ours.recv(&mut [0; 4]), std.recv(&mut [0; 4]));
            same_error(ours.send(b"x"), std.send(b"x"));
            same_error(ours.send(b"x"), std.send(b"x"));
        })
        .join();
    });
}

/// What a blocking call of the kernel's gives then, and a non-blocking one does not.
#[test]
fn shutting_down_ends_receiving_as_in_std() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let ours = Arc::new(ours);
        let begun = Channel::new();
        let receivers: Vec<_> = (0..4)
            .map(|index| {
                let tell = Arc::clone(&begun);
                let receiver = if index < 2 { Arc::clone(&ours) } else { Arc::new(ours.try_clone().unwrap()) };
                on.nth(index, move || {
                    tell.send(());
                    receiver.recv(&mut [0; 4]).unwrap()
                })
            })
            .collect();
        (0..4).for_each(|_| begun.recv());
        let shut = Arc::clone(&ours);
        on.client(move || shut.shutdown(Shutdown::Read).unwrap()).join();
        receivers.into_iter().for_each(|receiver| assert_eq!(receiver.join(), 0));
        on.server(move || {
            let (n, from) = ours.recv_from(&mut [0; 4]).unwrap();
            assert!(n == 0 && from.is_unnamed());
            assert_eq!(ours.peek(&mut [0; 4]).unwrap(), 0);
            let (std, _other) = std_net::UnixDatagram::pair().unwrap();
            std.shutdown(Shutdown::Read).unwrap();
            assert_eq!(std.recv(&mut [0; 4]).unwrap(), 0);
            std.set_nonblocking(true).unwrap();
            ours.set_nonblocking(true).unwrap();
            same_error(ours.recv(&mut [0; 4]), std.recv(&mut [0; 4]));
            drop(theirs);
        })
        .join();
    });
}

/// By a stranger too, and what was sent before comes first.
#[test]
fn what_came_before_the_shutdown_is_received() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.send(b"abc").unwrap();
        socket2::SockRef::from(&ours).shutdown(Shutdown::Both).unwrap();
        on.server(move || {
            assert_eq!(ours.recv(&mut [0; 4]).unwrap(), 3);
            assert_eq!(ours.recv(&mut [0; 4]).unwrap(), 0);
            assert_eq!(ours.recv(&mut [0; 4]).unwrap(), 0);
            assert_eq!(theirs.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        })
        .join();
    });
}

#[test]
fn many_receivers_share_one_socket_and_each_datagram_comes_once() {
    const COUNT: usize = 2000;
    in_three_settings(|on| {
        let (ours, addr) = bound();
        let ours = Arc::new(ours);
        let got = Channel::new();
        let receivers: Vec<_> = (0..12)
            .map(|index| {
                let (got, clone) = (Arc::clone(&got), index % 3 == 0);
                let ours = if clone { Arc::new(ours.try_clone().unwrap()) } else { Arc::clone(&ours) };
                on.nth(index, move || {
                    let mut buf = [0; 4];
                    while ours.recv(&mut buf).unwrap() == 4 {
                        got.send(u32::from_ne_bytes(buf));
                    }
                })
            })
            .collect();
        let sender = on.client(move || {
            let sender = UnixDatagram::unbound().unwrap();
            sender.connect_addr(&addr).unwrap();
            (0..COUNT as u32).for_each(|number| assert_eq!(sender.send(&number.to_ne_bytes()).unwrap(), 4));
            (0..12).for_each(|_| assert_eq!(sender.send(b"!").unwrap(), 1));
        });
        let mut numbers: Vec<_> = (0..COUNT).map(|_| got.recv()).collect();
        sender.join();
        receivers.into_iter().for_each(Started::join);
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..COUNT as u32));
    });
}

#[test]
fn closing_a_clone_leaves_who_waits_on_another() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let clone = ours.try_clone().unwrap();
        let begun = Channel::new();
        let tell = Arc::clone(&begun);
        let receiver = on.server(move || {
            tell.send(());
            ours.recv(&mut [0; 4]).unwrap()
        });
        begun.recv();
        if on.is_all_coroutines() {
            settle();
        }
        on.client(move || drop(clone)).join();
        on.client(move || theirs.send(b"abc").unwrap()).join();
        assert_eq!(receiver.join(), 3);
    });
}

#[test]
fn options_and_errors_pass_through() {
    in_three_settings(|on| {
        on.server(|| {
            let (ours, theirs) = UnixDatagram::pair().unwrap();
            assert!(!ours.passcred().unwrap());
            ours.set_passcred(true).unwrap();
            assert!(ours.passcred().unwrap() && !theirs.passcred().unwrap());
            ours.set_passcred(false).unwrap();
            assert!(!ours.passcred().unwrap());
            match ours.set_mark(7) {
                Ok(()) => assert_eq!(socket2::SockRef::from(&ours).mark().unwrap(), 7),
                Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
            }
            assert!(ours.take_error().unwrap().is_none());
            theirs.shutdown(Shutdown::Read).unwrap();
            assert_eq!(ours.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            ours.shutdown(Shutdown::Write).unwrap();
            assert_eq!(ours.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        })
        .join();
    });
}

#[test]
fn a_coroutine_that_is_cancelled_takes_no_datagram_with_it() {
    run_with(1, || {
        for yields in [0, 1, 2, 3, 64, 65, 66] {
            let (ours, theirs) = UnixDatagram::pair().unwrap();
            let ours = Arc::new(ours);
            let receiver = Arc::clone(&ours);
            let receiver = spawn(move || receiver.recv(&mut [0; 4]).unwrap());
            settle();
            theirs.send(b"abc").unwrap();
            (0..yields).for_each(|_| thread::yield_now());
            receiver.cancel();
            match receiver.join() {
                Ok(n) => assert_eq!(n, 3),
                Err(_) => assert_eq!(ours.recv(&mut [0; 4]).unwrap(), 3),
            }
            ours.set_nonblocking(true).unwrap();
            assert_eq!(ours.recv(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    });
}
