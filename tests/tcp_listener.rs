//! Listeners in three settings: whom an accept yields, how binding fails, and what the mode, the options and the
//! shutdown of a listener do to who waits.
mod tcp_settings;

use dormouse::net::{TcpListener, TcpStream};
use socket2::SockRef;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tcp_settings::*;

/// Connects, and tells its own address and what the acceptor says.
fn knock(addr: SocketAddr) -> (SocketAddr, u8) {
    let mut stream = TcpStream::connect(addr).unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    (stream.local_addr().unwrap(), byte[0])
}

/// Accepts one, tells it `name`, and gives its address.
fn greet(listener: &TcpListener, name: u8) -> SocketAddr {
    let (mut stream, peer) = listener.accept().unwrap();
    assert_eq!(stream.peer_addr().unwrap(), peer);
    assert_eq!(stream.local_addr().unwrap(), listener.local_addr().unwrap());
    stream.write_all(&[name]).unwrap();
    peer
}

/// Acceptors by turns on the listener itself and on clones of it, all waiting.
fn acceptors(on: Setting, listener: &Arc<TcpListener>, count: u8) -> Vec<Waiting<SocketAddr>> {
    let acceptor = |name: u8| {
        let own = if name.is_multiple_of(3) { Arc::new(listener.try_clone().unwrap()) } else { Arc::clone(listener) };
        waiting(on.kind(name.into()), move || greet(&own, name))
    };
    (0..count).map(acceptor).collect()
}

#[test]
fn each_connection_reaches_exactly_one_of_many_acceptors() {
    const COUNT: u8 = 24;
    in_three_settings(|on| {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        for one_at_a_time in [COUNT, COUNT / 2, 0] {
            let acceptors = acceptors(on, &listener, COUNT);
            let mut answers: Vec<_> =
                (0..one_at_a_time).map(|n| on.nth(n.into(), move || knock(addr)).join()).collect();
            let burst: Vec<_> = (one_at_a_time..COUNT).map(|n| on.nth(n.into(), move || knock(addr))).collect();
            answers.extend(burst.into_iter().map(Started::join));
            // By name, each connection's address; then the same as its acceptor saw it.
            answers.sort_unstable_by_key(|&(_, name)| name);
            let accepted: Vec<_> = acceptors.into_iter().map(Waiting::join).zip(0..COUNT).collect();
            assert_eq!(answers, accepted);
        }
    });
}

#[test]
fn more_connections_than_acceptors_wait_their_turn() {
    const CLIENTS: usize = 60;
    in_three_settings(|on| {
        let (listener, addr) = listener();
        // All are connected before anybody accepts.
        let clients: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect(addr).unwrap()).collect();
        let listener = Arc::new(listener);
        let acceptor = |n: usize| {
            let listener = Arc::clone(&listener);
            on.nth(n, move || listener.incoming().take(CLIENTS / 4).map(|stream| stream.unwrap()).collect::<Vec<_>>())
        };
        let accepted: Vec<_> = (0..4).map(acceptor).collect::<Vec<_>>().into_iter().flat_map(Started::join).collect();
        let peers: BTreeSet<_> = accepted.iter().map(|stream| stream.peer_addr().unwrap()).collect();
        assert_eq!(peers, clients.iter().map(|client| client.local_addr().unwrap()).collect());
        // None is left over.
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn incoming_goes_on_and_on() {
    in_three_settings(|on| {
        let (listener, addr) = listener();
        let by_reference = listener.try_clone().unwrap();
        let server = waiting(on.server, move || {
            let mut lent = by_reference.incoming();
            for _ in 0..5 {
                lent.next().unwrap().unwrap().write_all(b"a").unwrap();
            }
            let mut owned = by_reference.into_incoming();
            for _ in 0..5 {
                owned.next().unwrap().unwrap().write_all(b"b").unwrap();
            }
        });
        let said = move |_| knock(addr).1;
        let said = on.client(move || (0..10).map(said).collect::<Vec<u8>>()).join();
        assert_eq!(said, b"aaaaabbbbb");
        server.join();
        drop(listener);
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

/// Gone before it was accepted: with a FIN it still has what it said, with a reset it is an error or was never there.
#[test]
fn a_connection_that_ended_before_it_was_accepted() {
    in_three_settings(|on| {
        let (listener, addr) = listener();
        let client = on.client(move || {
            let mut polite = TcpStream::connect(addr).unwrap();
            polite.write_all(b"said").unwrap();
            drop(polite);
            let rude = TcpStream::connect(addr).unwrap();
            rude.set_linger(Some(Duration::ZERO)).unwrap();
        });
        client.join();
        let server = on.server(move || {
            let mut said = String::new();
            listener.accept().unwrap().0.read_to_string(&mut said).unwrap();
            assert_eq!(said, "said");
            let error = listener.accept().unwrap().0.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            listener
        });
        let listener = server.join();
        let next = waiting(on.server, move || greet(&listener, 1));
        assert_eq!(on.client(move || knock(addr)).join(), (next.join(), 1));
    });
}

#[test]
fn closing_a_clone_leaves_who_waits_on_another() {
    in_three_settings(|on| {
        let (original, addr) = listener();
        let mut ours = original;
        for round in 0..4u8 {
            let clone = Arc::new(ours.try_clone().unwrap());
            // That one was waited on, too, on this side or the other.
            let own = waiting(on.kind(round.into()), move || {
                greet(&ours, round);
                ours
            });
            assert_eq!(on.client(move || knock(addr)).join().1, round);
            let original = own.join();
            let acceptors = [0, 1].map(|n: u8| {
                let clone = Arc::clone(&clone);
                waiting(on.kind(n.into()), move || greet(&clone, n))
            });
            on.nth(usize::from(round) + 1, move || drop(original)).join();
            assert!(acceptors.iter().all(|acceptor| !acceptor.is_over()));
            let names: BTreeSet<_> = (0..2).map(|_| on.client(move || knock(addr)).join().1).collect();
            assert_eq!(names, BTreeSet::from([0, 1]));
            let peers: BTreeSet<_> = acceptors.map(Waiting::join).into();
            assert_eq!(peers.len(), 2);
            ours = Arc::into_inner(clone).unwrap();
        }
        drop(ours);
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

/// shutdown(2) of a listener, through a borrowed descriptor, ends every accept, as in std: with EINVAL.
#[test]
fn shutting_a_listener_down_wakes_all_acceptors() {
    in_three_settings(|on| {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        let acceptor = |n: usize| {
            let own = if n.is_multiple_of(3) { Arc::new(listener.try_clone().unwrap()) } else { Arc::clone(&listener) };
            waiting(on.kind(n), move || own.accept().unwrap_err())
        };
        let acceptors: Vec<_> = (0..6).map(acceptor).collect();
        let std = std::net::TcpListener::bind((IpAddr::from(own_ip()), 0)).unwrap();
        let std = Arc::new(std);
        let own = Arc::clone(&std);
        let by_std = blocked_in(libc::SYS_accept4, move || own.accept().unwrap_err());
        SockRef::from(&*std).shutdown(Shutdown::Both).unwrap();
        let by_std = by_std.join();
        let own = Arc::clone(&listener);
        on.client(move || SockRef::from(&*own).shutdown(Shutdown::Both).unwrap()).join();
        for acceptor in acceptors {
            assert_eq!(acceptor.join().raw_os_error(), by_std.raw_os_error());
        }
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn the_mode_is_that_of_clones_and_of_calls_to_come() {
    in_three_settings(|on| {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        let acceptors = acceptors(on, &listener, 2);
        let clone = listener.try_clone().unwrap();
        let tried = on.client(move || {
            clone.set_nonblocking(true).unwrap();
            clone.accept().unwrap_err().kind()
        });
        assert_eq!(tried.join(), ErrorKind::WouldBlock);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(acceptors.iter().all(|acceptor| !acceptor.is_over()), "who waits goes on waiting");
        let names: BTreeSet<_> = (0..2).map(|_| on.client(move || knock(addr)).join().1).collect();
        assert_eq!(names, BTreeSet::from([0, 1]));
        let peers: BTreeSet<_> = acceptors.into_iter().map(Waiting::join).collect();
        assert_eq!(peers.len(), 2);
        // An accepted stream does not inherit the mode.
        let client = TcpStream::connect(addr).unwrap();
        let mut stream = None;
        wait_until(|| {
            stream = listener.accept().ok();
            stream.is_some()
        });
        let (mut stream, _) = stream.unwrap();
        let reader = waiting(on.server, move || stream.read(&mut [0]).unwrap());
        drop(client);
        assert_eq!(reader.join(), 0);
        listener.set_nonblocking(false).unwrap();
        let own = Arc::clone(&listener);
        let acceptor = waiting(on.server, move || greet(&own, 9));
        assert_eq!(on.client(move || knock(addr)).join(), (acceptor.join(), 9));
    });
}

/// SO_RCVTIMEO of a borrowed listener limits accepts, as it does those of std; streams inherit it.
#[test]
fn accepts_expire_each_after_its_own_time() {
    in_three_settings(|on| {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        let acceptor = |n: usize| {
            let timeout = ms([150, 40, 100][n % 3]);
            SockRef::from(&*listener).set_read_timeout(Some(timeout)).unwrap();
            let own = Arc::clone(&listener);
            begun(on.kind(n), move || expires(timeout, || own.accept()))
        };
        let acceptors: Vec<_> = (0..6).map(acceptor).collect();
        SockRef::from(&*listener).set_read_timeout(None).unwrap();
        let own = Arc::clone(&listener);
        let endless = waiting(on.server, move || greet(&own, 5));
        acceptors.into_iter().for_each(Waiting::join);
        assert!(!endless.is_over());
        assert_eq!(on.client(move || knock(addr)).join(), (endless.join(), 5));
        SockRef::from(&*listener).set_read_timeout(Some(ms(20))).unwrap();
        let client = TcpStream::connect(addr).unwrap();
        let inherited = on.server(move || {
            let (mut stream, _) = listener.accept().unwrap();
            expires(ms(20), || stream.read(&mut [0]));
        });
        inherited.join();
        drop(client);
    });
}

#[test]
fn binding_fails_as_in_std_and_takes_the_first_address_that_will_do() {
    in_three_settings(|on| {
        let body = move || {
            let (held, used) = listener();
            let other: SocketAddr = (IpAddr::from(own_ip()), 0).into();
            same_error(TcpListener::bind(used), std::net::TcpListener::bind(used));
            assert_eq!(TcpListener::bind(used).unwrap_err().kind(), ErrorKind::AddrInUse);
            // No address of this machine (TEST-NET-1, RFC 5737).
            let foreign = SocketAddr::from(([192, 0, 2, 1], 0));
            same_error(TcpListener::bind(foreign), std::net::TcpListener::bind(foreign));
            let none: &[SocketAddr] = &[];
            same_error(TcpListener::bind(none), std::net::TcpListener::bind(none));
            same_error(TcpListener::bind("no port"), std::net::TcpListener::bind("no port"));
            let all = [used, foreign];
            same_error(TcpListener::bind(&all[..]), std::net::TcpListener::bind(&all[..]));
            let third = TcpListener::bind(&[used, foreign, other][..]).unwrap();
            assert_eq!(third.local_addr().unwrap().ip(), other.ip());
            let first = TcpListener::bind(&[other, used][..]).unwrap();
            assert_ne!(first.local_addr().unwrap(), used);
            drop(held);
            assert_eq!(TcpListener::bind(&[used, other][..]).unwrap().local_addr().unwrap(), used);
        };
        on.server(body).join();
    });
}

/// The server closes first, so that its side is in TIME_WAIT as the address is bound again.
#[test]
fn an_address_is_bound_again_at_once() {
    in_three_settings(|on| {
        let (mut server, addr) = listener();
        for round in 0..3 {
            let client = on.client(move || knock(addr).1);
            server = on
                .server(move || {
                    greet(&server, round);
                    drop(server);
                    TcpListener::bind(addr).unwrap()
                })
                .join();
            assert_eq!(client.join(), round);
        }
    });
}

#[test]
#[allow(deprecated, reason = "std's are, too")]
fn options_pass_through_and_debug_output_is_that_of_std() {
    in_three_settings(|on| {
        let body = move || {
            let (ours, addr) = listener();
            let clone = ours.try_clone().unwrap();
            assert_eq!(clone.local_addr().unwrap(), addr);
            ours.set_ttl(33).unwrap();
            assert_eq!(clone.ttl().unwrap(), 33);
            assert_eq!(SockRef::from(&ours).ttl_v4().unwrap(), 33);
            let client = TcpStream::connect(addr).unwrap();
            assert_eq!(ours.accept().unwrap().0.ttl().unwrap(), 33, "connections inherit it");
            drop(client);
            assert!(ours.take_error().unwrap().is_none());
            let text = [format!("{ours:?}"), format!("{ours:#?}")];
            let std = std::net::TcpListener::from(ours);
            assert_eq!(text, [format!("{std:?}"), format!("{std:#?}")]);
            same_error(clone.set_ttl(256), std.set_ttl(256));
            same_error(clone.only_v6(), std.only_v6());
            same_error(clone.set_only_v6(true), std.set_only_v6(true));
        };
        on.server(body).join();
    });
}

#[test]
#[allow(deprecated, reason = "std's are, too")]
fn ipv6_listens_and_connects() {
    if !has_ipv6() {
        return;
    }
    in_three_settings(|on| {
        let ours = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let addr = ours.local_addr().unwrap();
        assert_eq!(addr.ip(), IpAddr::from(Ipv6Addr::LOCALHOST));
        let std = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(ours.only_v6().unwrap(), std.only_v6().unwrap());
        same_error(ours.set_only_v6(true), std.set_only_v6(true));
        same_error(TcpListener::bind(addr), std::net::TcpListener::bind(addr));
        let server = waiting(on.server, move || (greet(&ours, 6), ours));
        let client = on.client(move || knock(addr)).join();
        let (peer, ours) = server.join();
        assert_eq!(client, (peer, 6));
        assert!(peer.is_ipv6());
        // Of a name with addresses of both families, the one that listens.
        let v4 = refusing();
        let both = [v4.1, addr];
        let client = on.client(move || TcpStream::connect(&both[..]).unwrap().peer_addr().unwrap());
        assert_eq!(client.join(), addr);
        drop(ours);
        same_error(TcpStream::connect(addr), std::net::TcpStream::connect(addr));
    });
}
