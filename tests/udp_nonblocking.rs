//! `set_nonblocking(true)` on UDP: calls answer WouldBlock instead of waiting, for clones and std too; and the flag of
//! the description is the user's alone.
mod net_support;
mod udp_support;

use dormouse::net::{Datagram, DatagramMut, UdpSocket};
use dormouse::thread::no_park;
use net_support::*;
use std::net::UdpSocket as StdSocket;
use std::os::fd::AsFd;
use udp_support::*;

/// Every way to receive answers at once. In a coroutine none of them may park, which inside `no_park` would be a panic.
#[track_caller]
fn nothing_there(socket: &UdpSocket) {
    would_block(socket.recv_from(&mut [0; 4]));
    would_block(socket.peek_from(&mut [0; 4]));
    would_block(socket.recv(&mut [0; 4]));
    would_block(socket.peek(&mut [0; 4]));
    would_block(socket.recv_many(&mut [DatagramMut::new(&mut [0; 4])]));
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    socket2::SockRef::from(&fd).nonblocking().unwrap()
}

/// Tries until a datagram that is under way has come.
fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut buf = [0; 100];
    loop {
        match socket.recv(&mut buf) {
            Ok(n) => return buf[..n].to_vec(),
            error => would_block(error),
        }
    }
}

#[test]
fn calls_answer_at_once() {
    in_three_settings(|setting| {
        let (ours, peer) = with_std_peer();
        let side = setting.server(move || {
            ours.set_nonblocking(true).unwrap();
            let body = || {
                for round in 0..10u8 {
                    nothing_there(&ours);
                    peer.send(&[round; 3]).unwrap();
                    assert_eq!(received(&ours), [round; 3]);
                }
                assert_eq!(ours.send(b"out").unwrap(), 3);
                assert_eq!(peer.recv(&mut [0; 4]).unwrap(), 3);
            };
            match setting.server {
                Kind::Coroutine => no_park(body),
                Kind::Thread => body(),
            }
        });
        side.join();
    });
}

/// The source of a socket that parked before knows that it is empty; a non-blocking call must look all the same.
#[test]
fn a_registered_socket_is_looked_at_each_time() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let side = setting.server(move || {
            assert_eq!(ours.recv(&mut [0; 4]).unwrap(), 4);
            ours.set_nonblocking(true).unwrap();
            for _ in 0..3 {
                nothing_there(&ours);
                ours.send(b"next").unwrap();
                assert_eq!(received(&ours), b"here");
            }
            ours.set_nonblocking(false).unwrap();
            ours.send(b"next").unwrap();
            assert_eq!(ours.recv(&mut [0; 4]).unwrap(), 4);
        });
        peer.send(b"wake").unwrap();
        for _ in 0..4 {
            peer.recv(&mut [0; 4]).unwrap();
            peer.send(b"here").unwrap();
        }
        side.join();
    });
}

#[test]
fn clones_share_the_mode() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let early = ours.try_clone().unwrap();
        ours.set_nonblocking(true).unwrap();
        let late = early.try_clone().unwrap();
        let side = setting.server(move || {
            [&ours, &early, &late].into_iter().for_each(nothing_there);
            late.set_nonblocking(false).unwrap();
            ours.send(b"back").unwrap();
            assert_eq!(early.recv(&mut [0; 4]).unwrap(), 4);
        });
        peer.recv(&mut [0; 4]).unwrap();
        peer.send(b"late").unwrap();
        side.join();
    });
}

#[test]
fn the_mode_goes_through_conversions_both_ways() {
    in_three_settings(|setting| {
        let side = setting.server(|| {
            let (ours, _) = bound();
            let clone = ours.try_clone().unwrap();
            ours.set_nonblocking(true).unwrap();
            let std = StdSocket::from(ours);
            would_block(std.recv_from(&mut [0; 4]));
            nothing_there(&clone);
            let ours = UdpSocket::from(std);
            nothing_there(&ours);
            let std = StdSocket::from(ours);
            std.set_nonblocking(false).unwrap();
            std.set_read_timeout(Some(ms(20))).unwrap();
            let ours = UdpSocket::from(std);
            expires(ms(20), || ours.recv(&mut [0; 4]));
            expires(ms(20), || clone.recv(&mut [0; 4]));
        });
        side.join();
    });
}

#[test]
fn a_borrower_of_the_descriptor_may_change_the_mode() {
    in_three_settings(|setting| {
        let side = setting.server(|| {
            let (ours, _) = bound();
            let clone = ours.try_clone().unwrap();
            socket2::SockRef::from(&ours.as_fd()).set_nonblocking(true).unwrap();
            nothing_there(&ours);
            nothing_there(&clone);
            socket2::SockRef::from(&ours.as_fd()).set_nonblocking(false).unwrap();
            ours.set_read_timeout(Some(ms(20))).unwrap();
            expires(ms(20), || clone.recv(&mut [0; 4]));
        });
        side.join();
    });
}

/// Waiting, sending and receiving never touch O_NONBLOCK, which others who share the description would see.
#[test]
fn the_flag_is_left_alone() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let view = StdSocket::from(ours.try_clone().unwrap());
        let side = setting.server(move || {
            for _ in 0..20 {
                assert_eq!(ours.recv(&mut [0; 4]).unwrap(), 4);
                ours.send_many(&[Datagram::new(b"many"); 2]).unwrap();
            }
            ours.set_read_timeout(Some(ms(10))).unwrap();
            expires(ms(10), || ours.recv(&mut [0; 4]));
        });
        for _ in 0..20 {
            for _ in 0..20 {
                assert!(!is_nonblocking(&view), "while the other side waits");
                dormouse::thread::yield_now();
            }
            peer.send(b"here").unwrap();
            assert_eq!(peer.recv(&mut [0; 4]).unwrap(), 4);
            assert_eq!(peer.recv(&mut [0; 4]).unwrap(), 4);
            assert!(!is_nonblocking(&view));
        }
        side.join();
        assert!(!is_nonblocking(&view));
    });
}
