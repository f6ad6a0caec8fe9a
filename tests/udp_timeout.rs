//! Timeouts of UDP: never early, one deadline a call, several at once, shared by clones and by std.
mod net_support;
mod udp_support;

use dormouse::net::{DatagramMut, UdpSocket};
use net_support::*;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use udp_support::*;

/// Every way to receive runs out of `timeout`.
fn receives_expire(socket: &UdpSocket, timeout: Duration) {
    expires(timeout, || socket.recv_from(&mut [0; 4]));
    expires(timeout, || socket.peek_from(&mut [0; 4]));
    expires(timeout, || socket.recv(&mut [0; 4]));
    expires(timeout, || socket.peek(&mut [0; 4]));
    expires(timeout, || socket.recv_many(&mut [DatagramMut::new(&mut [0; 4])]));
}

#[test]
fn receives_expire_and_go_on_working() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let receiver = setting.server(move || {
            for timeout in [Duration::from_nanos(1), Duration::from_micros(300), ms(3), ms(40)] {
                ours.set_read_timeout(Some(timeout)).unwrap();
                receives_expire(&ours, timeout);
                ours.set_read_timeout(None).unwrap();
                ours.send(b"go on").unwrap();
                assert_eq!(ours.recv(&mut [0; 4]).unwrap(), 3);
            }
        });
        for _ in 0..4 {
            peer.recv(&mut [0; 8]).unwrap();
            peer.send(b"yes").unwrap();
        }
        receiver.join();
    });
}

#[test]
fn several_expire_at_once_on_one_socket() {
    in_three_settings(|setting| {
        let socket = Arc::new(bound().0);
        socket.set_read_timeout(Some(ms(50))).unwrap();
        let waiters: Vec<_> = (0..8)
            .map(|n| {
                let socket = Arc::clone(&socket);
                setting.nth(n, move || expires(ms(50), || socket.recv_from(&mut [0; 4])))
            })
            .collect();
        waiters.into_iter().for_each(|waiter| waiter.join());
    });
}

#[test]
fn a_timeout_holds_for_clones_made_before_and_after() {
    in_three_settings(|setting| {
        let (socket, _) = bound();
        let early = socket.try_clone().unwrap();
        socket.set_read_timeout(Some(ms(30))).unwrap();
        let late = early.try_clone().unwrap();
        let early = setting.server(move || expires(ms(30), || early.recv(&mut [0; 4])));
        let late = setting.client(move || expires(ms(30), || late.peek_from(&mut [0; 4])));
        expires(ms(30), || socket.recv_from(&mut [0; 4]));
        early.join();
        late.join();
    });
}

#[test]
fn a_timeout_holds_in_the_type_of_std_and_back() {
    in_three_settings(|setting| {
        let waiter = setting.server(|| {
            let (ours, _) = bound();
            ours.set_read_timeout(Some(ms(40))).unwrap();
            let std = std::net::UdpSocket::from(ours);
            // The kernel counts clock ticks, of which the first may be nearly over.
            expires(ms(30), || std.recv_from(&mut [0; 4]));
            std.set_read_timeout(Some(ms(20))).unwrap();
            let ours = UdpSocket::from(std);
            expires(ms(20), || ours.recv_from(&mut [0; 4]));
            socket2::SockRef::from(&ours.as_fd()).set_read_timeout(Some(ms(60))).unwrap();
            expires(ms(60), || ours.recv_from(&mut [0; 4]));
        });
        waiter.join();
    });
}

/// Each datagram that another receiver takes may wake the waiter in vain; its deadline stays where it was.
#[test]
fn wake_ups_in_vain_do_not_move_the_deadline() {
    in_three_settings(|setting| {
        let (socket, addr) = bound();
        let thief = socket.try_clone().unwrap();
        socket.set_read_timeout(Some(ms(120))).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let waiter_is_done = Arc::clone(&done);
        let waiter = setting.server(move || {
            let (start, mut taken) = (Instant::now(), 0);
            while start.elapsed() < ms(300) {
                let before = Instant::now();
                match socket.recv(&mut [0; 4]) {
                    Ok(_) => taken += 1,
                    Err(_) => assert!((ms(120)..ms(120) + SLACK).contains(&before.elapsed())),
                }
            }
            waiter_is_done.store(true, Ordering::Release);
            taken
        });
        let thief = setting.client(move || {
            let (sender, _) = bound();
            let (mut sent, mut taken) = (0, 0);
            while !done.load(Ordering::Acquire) {
                sender.send_to(b"loot", addr).unwrap();
                sent += 1;
                taken += usize::from(thief.recv(&mut [0; 4]).is_ok());
            }
            (sent, taken)
        });
        let taken_by_waiter: usize = waiter.join();
        let (sent, taken) = thief.join();
        assert_eq!(sent, taken + taken_by_waiter, "each datagram went to one of them");
    });
}
