//! ICMP says that nobody is there: the next call on the connected socket reports it, once; nothing is lost, nothing spins.
mod net_support;
mod udp_support;

use dormouse::net::{Datagram, DatagramMut, UdpSocket};
use net_support::*;
use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::net::UdpSocket as StdSocket;
use std::os::fd::AsFd;
use udp_support::*;

/// A socket whose peer does not exist.
fn hopeless() -> UdpSocket {
    let (socket, _) = bound();
    socket.connect(nowhere()).unwrap();
    socket
}

#[track_caller]
fn refused<T: Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_receive_reports_it_and_the_next_one_waits() {
    in_three_settings(|setting| {
        let side = setting.server(|| {
            let socket = hopeless();
            for _ in 0..10 {
                socket.send(b"anybody?").unwrap();
                refused(socket.recv(&mut [0; 4]));
                socket.send(b"anybody?").unwrap();
                refused(socket.peek_from(&mut [0; 4]));
                socket.send(b"anybody?").unwrap();
                refused(socket.recv_many(&mut [DatagramMut::new(&mut [0; 4])]));
            }
            socket.set_read_timeout(Some(ms(10))).unwrap();
            expires(ms(10), || socket.recv(&mut [0; 4]));
        });
        side.join();
    });
}

/// The error comes while the receive is parked; then the socket is waited for again, at the cost of no processor time.
#[test]
fn it_wakes_who_waits_and_nobody_spins_afterwards() {
    in_three_settings(|setting| {
        let socket = hopeless();
        let clone = socket.try_clone().unwrap();
        let waiter = setting.server(move || {
            refused(socket.recv(&mut [0; 4]));
            socket.set_read_timeout(Some(ms(400))).unwrap();
            let before = processor_time();
            expires(ms(400), || socket.recv(&mut [0; 4]));
            processor_time() - before
        });
        clone.send(b"anybody?").unwrap();
        let used = waiter.join();
        assert!(used < ms(200), "{used:?} of processor time in a wait of 400 ms");
    });
}

#[test]
fn a_send_reports_it_as_in_std() {
    in_three_settings(|setting| {
        let side = setting.server(|| {
            let (ours, std) = (hopeless(), StdSocket::from(hopeless()));
            for _ in 0..10 {
                assert_eq!((ours.send(b"1").unwrap(), std.send(b"1").unwrap()), (1, 1));
                wait_until(|| has_error(&ours) && has_error(&std));
                same_error(ours.send(b"2"), std.send(b"2"));
            }
        });
        side.join();
    });
}

#[test]
fn take_error_takes_it() {
    in_three_settings(|setting| {
        let side = setting.server(|| {
            let socket = hopeless();
            socket.send(b"anybody?").unwrap();
            wait_until(|| has_error(&socket));
            assert_eq!(socket.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionRefused);
            assert!(socket.take_error().unwrap().is_none());
            socket.set_read_timeout(Some(ms(10))).unwrap();
            expires(ms(10), || socket.recv(&mut [0; 4]));
        });
        side.join();
    });
}

/// The datagrams that came before are there after the error.
#[test]
fn it_hides_no_datagram() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let side = setting.server(move || {
            let peer = peer;
            for message in [b"one", b"two"] {
                peer.send(message).unwrap();
            }
            drop(peer);
            ours.send(b"anybody?").unwrap();
            wait_until(|| has_error(&ours));
            let mut memory = [[0; 4]; 4];
            let mut datagrams: Vec<_> = memory.iter_mut().map(|buf| DatagramMut::new(buf)).collect();
            refused(ours.recv_many(&mut datagrams));
            assert_eq!(ours.recv_many(&mut datagrams).unwrap(), 2);
            assert_eq!((datagrams[0].payload(), datagrams[1].payload()), (&b"one"[..], &b"two"[..]));
        });
        side.join();
    });
}

/// A batch that hits the error is cut short, never longer than what went out.
#[test]
fn a_batch_goes_on_after_it() {
    in_three_settings(|setting| {
        let side = setting.server(|| {
            let socket = hopeless();
            socket.send(b"anybody?").unwrap();
            wait_until(|| has_error(&socket));
            let batch = [Datagram::new(b"anybody?"); 10];
            refused(socket.send_many(&batch));
            let mut rest = &batch[..];
            while !rest.is_empty() {
                match socket.send_many(rest) {
                    Ok(sent) => {
                        assert!((1..=rest.len()).contains(&sent));
                        rest = &rest[sent..];
                    }
                    error => refused(error),
                }
            }
            refused(socket.recv(&mut [0; 4]));
        });
        side.join();
    });
}

/// An unconnected socket hears nothing of it, as in std.
#[test]
fn an_unconnected_socket_goes_on_receiving() {
    in_three_settings(|setting| {
        let (ours, addr) = bound();
        let (peer, _) = bound();
        let side = setting.server(move || {
            ours.send_to(b"anybody?", nowhere()).unwrap();
            assert_eq!(ours.recv(&mut [0; 8]).unwrap(), 5);
        });
        peer.send_to(b"hello", addr).unwrap();
        side.join();
    });
}

/// Whether an error waits to be reported; looks without taking it.
fn has_error(socket: &impl AsFd) -> bool {
    use std::os::fd::AsRawFd;
    let mut entry = libc::pollfd { fd: socket.as_fd().as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one pollfd, of a descriptor that is borrowed for the call.
    assert_ne!(unsafe { libc::poll(&raw mut entry, 1, 0) }, -1);
    entry.revents & libc::POLLERR != 0
}
