//! Datagrams there and back: whole, in order, cut off where the buffer ends, empty ones too.
mod net_support;
mod udp_support;

use dormouse::net::{SocketAddr, UdpSocket};
use net_support::*;
use udp_support::*;

const CLIENTS: usize = 3;
const ROUNDS: usize = 60;

/// Sends back what comes, so many times.
fn echo(socket: &UdpSocket, times: usize) {
    let mut buf = [0; 2000];
    for _ in 0..times {
        let (n, source) = socket.recv_from(&mut buf).unwrap();
        assert_eq!(socket.send_to(&buf[..n], source).unwrap(), n);
    }
}

fn echoes_at(ip: &'static str, setting: Setting) {
    let Ok(server) = UdpSocket::bind((ip, 0)) else {
        return eprintln!("skipped: no address {ip} here");
    };
    let addr = server.local_addr().unwrap();
    let server = setting.server(move || echo(&server, CLIENTS * ROUNDS));
    let client = |seed: usize| {
        move || {
            let socket = UdpSocket::bind((ip, 0)).unwrap();
            let mut buf = [0; 2000];
            for round in 0..ROUNDS {
                let message = pattern_bytes(seed as u64, round, round * 30);
                assert_eq!(socket.send_to(&message, addr).unwrap(), message.len());
                assert_eq!(socket.recv_from(&mut buf).unwrap(), (message.len(), addr));
                check_pattern(seed as u64, round, &buf[..message.len()]);
            }
        }
    };
    let clients: Vec<_> = (0..CLIENTS).map(|seed| setting.client(client(seed))).collect();
    clients.into_iter().for_each(|client| client.join());
    server.join();
}

#[test]
fn unconnected_sockets_echo() {
    in_three_settings(|setting| echoes_at("127.0.0.1", setting));
}

#[test]
fn sockets_of_ipv6_echo() {
    in_three_settings(|setting| echoes_at("::1", setting));
}

#[test]
fn connected_sockets_echo_and_hear_nobody_else() {
    in_three_settings(|setting| {
        let (server, client) = connected();
        let (stranger, _) = bound();
        let at_server = server.local_addr().unwrap();
        assert_eq!(client.peer_addr().unwrap(), at_server);
        let server = setting.server(move || {
            let mut buf = [0; 100];
            for _ in 0..ROUNDS {
                let n = server.recv(&mut buf).unwrap();
                assert_eq!(server.send(&buf[..n]).unwrap(), n);
            }
        });
        let client = setting.client(move || {
            for round in 0..ROUNDS as u8 {
                stranger.send_to(b"from a stranger", at_server).unwrap();
                assert_eq!(client.send(&[round; 7]).unwrap(), 7);
                let mut buf = [0; 100];
                assert_eq!(client.recv(&mut buf).unwrap(), 7);
                assert_eq!(buf[..7], [round; 7]);
            }
        });
        client.join();
        server.join();
    });
}

#[test]
fn a_connected_socket_may_send_elsewhere() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let (other, at_other) = bound();
        let at_ours = ours.local_addr().unwrap();
        let other = setting.server(move || other.recv_from(&mut [0; 9]).unwrap());
        setting.client(move || ours.send_to(b"elsewhere", at_other).unwrap()).join();
        assert_eq!(other.join(), (9, at_ours));
        peer.set_nonblocking(true).unwrap();
        would_block(peer.recv(&mut [0; 9]));
    });
}

#[test]
fn what_does_not_fit_is_cut_off_and_the_next_one_is_whole() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let receiver = setting.server(move || {
            let (mut buf, from) = ([0; 4], ours.peer_addr().unwrap());
            assert_eq!(ours.recv(&mut buf).unwrap(), 4);
            assert_eq!(&buf, b"abcd");
            assert_eq!(ours.peek_from(&mut buf[..1]).unwrap(), (1, from));
            assert_eq!(ours.recv_from(&mut buf).unwrap(), (4, from));
            assert_eq!(&buf, b"ijkl");
            assert_eq!(ours.recv(&mut []).unwrap(), 0);
            assert_eq!(ours.recv(&mut buf).unwrap(), 3);
            assert_eq!(&buf[..3], b"end");
        });
        for message in ["abcdefgh", "ijklmnop", "not looked at", "end"] {
            peer.send(message.as_bytes()).unwrap();
        }
        receiver.join();
    });
}

#[test]
fn an_empty_datagram_is_one_and_does_not_hide_the_next() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let receiver = setting.server(move || {
            let (mut buf, from) = ([0; 10], ours.peer_addr().unwrap());
            for round in 0..20 {
                assert_eq!(ours.peek(&mut buf).unwrap(), 0);
                assert_eq!(ours.recv(&mut buf).unwrap(), 0);
                assert_eq!(ours.recv_from(&mut buf).unwrap(), (0, from));
                assert_eq!(ours.recv_from(&mut buf).unwrap(), (2, from), "{round}");
            }
        });
        for _ in 0..20 {
            assert_eq!(peer.send(b"").unwrap(), 0);
            assert_eq!(peer.send_to(b"", peer.peer_addr().unwrap()).unwrap(), 0);
            assert_eq!(peer.send(b"xy").unwrap(), 2);
        }
        receiver.join();
    });
}

#[test]
fn peeking_waits_and_leaves_the_datagram() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let receiver = setting.server(move || {
            let (mut buf, from) = ([0; 10], ours.peer_addr().unwrap());
            for round in 0..20u8 {
                for _ in 0..3 {
                    assert_eq!(ours.peek(&mut buf).unwrap(), 5);
                    assert_eq!(ours.peek_from(&mut buf).unwrap(), (5, from));
                }
                assert_eq!(ours.recv(&mut buf).unwrap(), 5);
                assert_eq!(buf[..5], [round; 5]);
                ours.send(b"next").unwrap();
            }
        });
        for round in 0..20u8 {
            peer.send(&[round; 5]).unwrap();
            peer.recv(&mut [0; 4]).unwrap();
        }
        receiver.join();
    });
}

#[test]
fn several_wait_on_one_socket_and_its_clones() {
    in_three_settings(|setting| {
        let (socket, addr) = bound();
        let receivers: Vec<_> = (0..12)
            .map(|n| {
                let clone = socket.try_clone().unwrap();
                setting.nth(n, move || {
                    let mut buf = [0; 8];
                    let (length, source) = clone.recv_from(&mut buf).unwrap();
                    clone.send_to(b"got it", source).unwrap();
                    usize::from_le_bytes(buf) * length / 8
                })
            })
            .collect();
        let (sender, _) = bound();
        for n in 0..12usize {
            sender.send_to(&n.to_le_bytes(), addr).unwrap();
            sender.recv(&mut [0; 6]).unwrap();
        }
        let mut got: Vec<_> = receivers.into_iter().map(|receiver| receiver.join()).collect();
        got.sort_unstable();
        assert_eq!(got, (0..12).collect::<Vec<_>>());
    });
}

#[test]
fn the_largest_datagram_arrives_whole() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let receiver = setting.server(move || {
            let mut buf = vec![0; 70_000];
            let n = ours.recv(&mut buf).unwrap();
            check_pattern(7, 0, &buf[..n]);
            n
        });
        assert_eq!(peer.send(&pattern_bytes(7, 0, 65_507)).unwrap(), 65_507);
        assert_eq!(receiver.join(), 65_507);
    });
}

/// One coroutine receives while another sends, both through `&UdpSocket`.
#[test]
fn both_directions_at_once() {
    run_with(1, || {
        let (ours, peer) = connected();
        let (ours, peer) = (std::rc::Rc::new(ours), std::rc::Rc::new(peer));
        let mut tasks = Vec::new();
        for socket in [ours, peer] {
            let sender = std::rc::Rc::clone(&socket);
            tasks.push(dormouse::spawn_local(move || {
                for n in 0..500u32 {
                    sender.send(&n.to_le_bytes()).unwrap();
                    dormouse::thread::yield_now();
                }
            }));
            tasks.push(dormouse::spawn_local(move || {
                for n in 0..500u32 {
                    let mut buf = [0; 4];
                    socket.recv(&mut buf).unwrap();
                    assert_eq!(u32::from_le_bytes(buf), n);
                }
            }));
        }
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// A scope id that goes in comes out: of the own address, and of whoever sent.
#[test]
fn scope_ids_pass_through() {
    let Some(addr) = link_local() else {
        return eprintln!("skipped: no interface has a link-local address");
    };
    in_three_settings(move |setting| {
        let ours = UdpSocket::bind(addr).unwrap();
        let peer = UdpSocket::bind(addr).unwrap();
        let (at_ours, at_peer) = (ours.local_addr().unwrap(), peer.local_addr().unwrap());
        assert_eq!(scope_id(at_ours), scope_id(addr));
        let receiver = setting.server(move || {
            let (n, from) = ours.recv_from(&mut [0; 5]).unwrap();
            ours.connect(from).unwrap();
            assert_eq!(scope_id(ours.peer_addr().unwrap()), scope_id(from));
            (n, from)
        });
        // To an address of this host: it goes through the loopback interface, and no further.
        setting.client(move || peer.send_to(b"hello", at_ours).unwrap()).join();
        assert_eq!(receiver.join(), (5, at_peer));
    });
}

fn scope_id(addr: SocketAddr) -> u32 {
    match addr {
        SocketAddr::V6(addr) => addr.scope_id(),
        SocketAddr::V4(_) => panic!("{addr} has no scope"),
    }
}

/// An address of this host that needs a scope id, with port 0.
fn link_local() -> Option<SocketAddr> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    // Address, index of the interface, length of the prefix, scope.
    let fields = lines.find(|fields| fields[3] == "20")?;
    let ip = u128::from_str_radix(fields[0], 16).unwrap();
    let index = u32::from_str_radix(fields[1], 16).unwrap();
    Some(std::net::SocketAddrV6::new(ip.into(), 0, 0, index).into())
}
