//! A UDP socket that was shut down for reading, by way of its fd: as with std, a receive ends with nothing instead of
//! waiting for ever, and what came before comes first.
mod net_support;
mod udp_support;

use dormouse::net::{Datagram, DatagramMut, UdpSocket};
use net_support::*;
use socket2::SockRef;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::Arc;
use udp_support::*;

/// Linux says ENOTCONN of a socket without a peer, and shuts it down all the same.
fn shut(socket: &UdpSocket) {
    let _ = SockRef::from(socket).shutdown(Shutdown::Read);
}

fn receives_nothing(socket: &UdpSocket) {
    assert_eq!(socket.recv(&mut [0; 4]).unwrap(), 0);
    assert_eq!(socket.peek(&mut [0; 4]).unwrap(), 0);
    assert_eq!(socket.recv_many(&mut [DatagramMut::new(&mut [0; 4])]).unwrap(), 0);
    // There is no address to give.
    assert_eq!(socket.recv_from(&mut [0; 4]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(socket.peek_from(&mut [0; 4]).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_receive_ends_with_nothing() {
    in_three_settings(|setting| {
        let (ours, at_ours) = bound();
        bound().0.send_many(&[Datagram::to(b"abc", at_ours)]).unwrap();
        shut(&ours);
        setting
            .server(move || {
                assert_eq!(ours.recv(&mut [0; 4]).unwrap(), 3, "what came before");
                receives_nothing(&ours);
                receives_nothing(&ours.try_clone().unwrap());
                ours.set_nonblocking(true).unwrap();
                would_block(ours.recv(&mut [0; 4]));
            })
            .join();
    });
}

#[test]
fn who_waits_is_woken() {
    in_three_settings(|setting| {
        let (ours, _peer) = connected();
        let ours = Arc::new(ours);
        let begun = Channel::new();
        let waiting: Vec<_> = (0..4)
            .map(|n| {
                let (tell, ours) = (Arc::clone(&begun), Arc::clone(&ours));
                setting.nth(n, move || {
                    tell.send(());
                    ours.recv(&mut [0; 4]).unwrap()
                })
            })
            .collect();
        (0..4).for_each(|_| begun.recv());
        settle();
        let shuts = Arc::clone(&ours);
        setting.client(move || shut(&shuts)).join();
        waiting.into_iter().for_each(|one| assert_eq!(one.join(), 0));
        setting.server(move || receives_nothing(&ours)).join();
    });
}
