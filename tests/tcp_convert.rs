//! Streams and listeners that become std's types, plain descriptors, and ours again, in three settings: mode and
//! timeouts go along, clones that stay go on, and whoever borrows the descriptor is heeded.
mod tcp_settings;

use dormouse::net::{TcpListener, TcpStream};
use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tcp_settings::*;

/// The ways that a stream of ours can go out and come back.
fn there_and_back() -> Vec<fn(TcpStream) -> TcpStream> {
    vec![
        |stream| TcpStream::from(std::net::TcpStream::from(stream)),
        |stream| TcpStream::from(OwnedFd::from(stream)),
        |stream| {
            let number = stream.as_raw_fd();
            let raw = stream.into_raw_fd();
            assert_eq!(raw, number);
            // SAFETY: just given up by its owner, which is gone.
            unsafe { TcpStream::from_raw_fd(raw) }
        },
        |stream| {
            let twin = TcpStream::from(stream.as_fd().try_clone_to_owned().unwrap());
            drop(stream);
            twin
        },
    ]
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    // SAFETY: F_GETFL takes no argument.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    assert_ne!(flags, -1);
    flags & libc::O_NONBLOCK != 0
}

#[track_caller]
fn would_block<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Waits on `stream` on the given side, so that it is registered there, and gives it back.
fn used(kind: Kind, stream: TcpStream, mut peer: &TcpStream) -> TcpStream {
    let reader = waiting(kind, move || {
        (&stream).read_exact(&mut [0]).unwrap();
        stream
    });
    peer.write_all(b"u").unwrap();
    reader.join()
}

#[test]
fn the_mode_goes_out_and_comes_back() {
    in_three_settings(|on| {
        let (mut ours, client) = own_pair();
        for (n, convert) in there_and_back().into_iter().enumerate() {
            let clone = used(on.kind(n), ours, &client);
            ours = clone.try_clone().unwrap();
            clone.set_nonblocking(true).unwrap();
            let converted = on.nth(n, move || {
                let converted = convert(clone);
                would_block((&converted).read(&mut [0]));
                converted
            });
            let converted = converted.join();
            would_block((&ours).read(&mut [0]));
            converted.set_nonblocking(false).unwrap();
            ours = used(on.kind(n + 1), ours, &client);
            drop(used(on.kind(n), convert(converted), &client));
        }
    });
}

/// What std gets blocks its thread in the system call itself, as a stream of std's own does.
#[test]
fn a_stream_given_to_std_blocks_as_one_of_std() {
    in_three_settings(|on| {
        let (mut ours, mut client) = own_pair();
        for n in 0..4 {
            // The accepted one and the connected one by turns.
            std::mem::swap(&mut ours, &mut client);
            ours = used(on.kind(n), ours, &client);
            let std = std::net::TcpStream::from(ours);
            assert!(!is_nonblocking(&std));
            let reader = blocked_in(libc::SYS_recvfrom, move || {
                (&std).read_exact(&mut [0]).unwrap();
                std
            });
            on.nth(n, {
                let client = client.try_clone().unwrap();
                move || (&client).write_all(b"x").unwrap()
            })
            .join();
            ours = TcpStream::from(reader.join());
            ours.set_nonblocking(true).unwrap();
            let std = std::net::TcpStream::from(ours);
            assert!(is_nonblocking(&std));
            would_block((&std).read(&mut [0]));
            std.set_nonblocking(false).unwrap();
            ours = TcpStream::from(std);
        }
    });
}

#[test]
fn timeouts_hold_in_std_and_after_the_return() {
    in_three_settings(|on| {
        let (ours, _client) = own_pair();
        let body = move || {
            let mut ours = ours;
            for (n, convert) in there_and_back().into_iter().enumerate() {
                let (read, write) = (ms(10 + n as u64), ms(25 + n as u64));
                ours.set_read_timeout(Some(read)).unwrap();
                ours.set_write_timeout(Some(write)).unwrap();
                expires(read, || ours.read(&mut [0]));
                let std = std::net::TcpStream::from(ours);
                let std = aside(move || {
                    expires(read, || (&std).read(&mut [0]));
                    expires(read, || std.peek(&mut [0]));
                    expires(write, || (&std).write_all(&vec![0; 16 << 20]));
                    std
                });
                ours = convert(TcpStream::from(std));
                let twin = ours.try_clone().unwrap();
                for stream in [&mut ours, &mut twin.try_clone().unwrap()] {
                    expires(read, || stream.read(&mut [0]));
                    expires(read, || stream.peek(&mut [0]));
                    expires(write, || stream.write_all(&vec![0; 4 << 20]));
                }
            }
        };
        on.server(body).join();
    });
}

/// Set by std before ours ever saw the stream, or after it through a twin: it holds for each wait that begins.
#[test]
fn timeouts_and_mode_set_by_std_hold_in_ours() {
    in_three_settings(|on| {
        let (std, mut peer) = std_pair();
        std.set_read_timeout(Some(ms(30))).unwrap();
        let twin = std.try_clone().unwrap();
        let ours = Arc::new(TcpStream::from(std));
        let wait = |kind, timeout: Option<Duration>| {
            let ours = Arc::clone(&ours);
            begun(kind, move || match timeout {
                Some(timeout) => expires(timeout, || (&*ours).read(&mut [0])),
                None => (&*ours).read_exact(&mut [0]).unwrap(),
            })
        };
        let mut waiters = vec![wait(on.server, Some(ms(30))), wait(on.client, Some(ms(30)))];
        for timeout in [120, 60, 90].map(ms) {
            twin.set_read_timeout(Some(timeout)).unwrap();
            waiters.extend([on.server, on.client].map(|kind| wait(kind, Some(timeout))));
        }
        twin.set_read_timeout(None).unwrap();
        let endless = [on.server, on.client].map(|kind| wait(kind, None));
        twin.set_nonblocking(true).unwrap();
        would_block((&*ours).read(&mut [0]));
        waiters.into_iter().for_each(Waiting::join);
        assert!(endless.iter().all(|waiter| !waiter.is_over()));
        peer.write_all(b"xy").unwrap();
        endless.into_iter().for_each(Waiting::join);
        twin.set_nonblocking(false).unwrap();
        let last = wait(on.server, None);
        assert!(!last.is_over());
        drop((twin, peer.write_all(b"z")));
        last.join();
    });
}

#[test]
fn what_a_borrower_sets_holds() {
    in_three_settings(|on| {
        let (ours, client) = own_pair();
        let twin = Arc::new(used(on.client, ours.try_clone().unwrap(), &client));
        let body = move || {
            let borrowed = SockRef::from(&ours);
            borrowed.set_tcp_nodelay(false).unwrap();
            assert!(!ours.nodelay().unwrap());
            borrowed.set_keepalive(true).unwrap();
            assert!(SockRef::from(&ours).keepalive().unwrap());
            assert!(borrowed.take_error().unwrap().is_none());
            borrowed.set_read_timeout(Some(ms(30))).unwrap();
            assert_eq!(ours.read_timeout().unwrap(), SockRef::from(&ours).read_timeout().unwrap());
            expires(ms(30), || (&ours).read(&mut [0]));
            borrowed.set_write_timeout(Some(ms(30))).unwrap();
            expires(ms(30), || (&ours).write_all(&vec![0; 16 << 20]));
            borrowed.set_nonblocking(true).unwrap();
            would_block((&ours).read(&mut [0]));
            borrowed.set_nonblocking(false).unwrap();
            expires(ms(30), || (&ours).read(&mut [0]));
        };
        on.server(body).join();
        // A clone from before the borrowing heeds it, on the other side.
        let own = Arc::clone(&twin);
        on.client(move || expires(ms(30), || (&*own).read(&mut [0]))).join();
        SockRef::from(&*twin).set_read_timeout(None).unwrap();
        let reader = waiting(on.client, move || (&*twin).read(&mut [0]).unwrap());
        (&client).write_all(b"x").unwrap();
        assert_eq!(reader.join(), 1);
    });
}

/// One of the clones goes to std and comes back; those that stay are waited on all the while.
#[test]
fn clones_of_what_is_converted_go_on() {
    in_three_settings(|on| {
        let (ours, client) = own_pair();
        let (mut leaver, ours) = (used(on.client, ours.try_clone().unwrap(), &client), Arc::new(ours));
        for (n, convert) in there_and_back().into_iter().enumerate() {
            let readers = [on.server, on.client].map(|kind| {
                let ours = Arc::clone(&ours);
                waiting(kind, move || (&*ours).read_exact(&mut [0]).unwrap())
            });
            leaver = on.nth(n, move || convert(leaver)).join();
            assert!(readers.iter().all(|reader| !reader.is_over()));
            (&client).write_all(b"xy").unwrap();
            readers.into_iter().for_each(Waiting::join);
            leaver = used(on.kind(n), leaver, &client);
            // What comes can go to either, and the next to the other.
            let both = [Arc::clone(&ours), Arc::new(leaver.try_clone().unwrap())];
            let readers = both.map(|own| waiting(on.kind(n), move || (&*own).read_exact(&mut [0]).unwrap()));
            (&client).write_all(b"xy").unwrap();
            readers.into_iter().for_each(Waiting::join);
        }
    });
}

#[test]
fn conversions_keep_no_descriptor() {
    const NAME: &str = "conversions_keep_no_descriptor";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    in_three_settings(|on| {
        let (mut ours, client) = own_pair();
        ours = used(on.server, used(on.client, ours, &client), &client);
        let before = fds();
        for _ in 0..50 {
            for (n, convert) in there_and_back().into_iter().enumerate() {
                ours = convert(ours);
                // Registered under each of its numbers and identities.
                ours = used(on.kind(n), ours, &client);
            }
        }
        assert_eq!(fds(), before);
        drop(ours);
        assert_eq!((&client).read(&mut [0]).unwrap(), 0, "the last descriptor was closed");
    });
}

/// Accepts on the given side, which waits, and gives the listener back.
fn accepting(kind: Kind, listener: TcpListener, addr: SocketAddr) -> TcpListener {
    let acceptor = waiting(kind, move || (listener.accept().unwrap().1, listener));
    let client = TcpStream::connect(addr).unwrap();
    let (peer, listener) = acceptor.join();
    assert_eq!(peer, client.local_addr().unwrap());
    listener
}

#[test]
fn a_listener_given_to_std_blocks_as_one_of_std() {
    in_three_settings(|on| {
        let (mut ours, addr) = listener();
        for n in 0..4 {
            ours = accepting(on.kind(n), ours, addr);
            let std = std::net::TcpListener::from(ours);
            assert!(!is_nonblocking(&std));
            let acceptor = blocked_in(libc::SYS_accept4, move || (std.accept().unwrap().1, std));
            let client = TcpStream::connect(addr).unwrap();
            let (peer, std) = acceptor.join();
            assert_eq!(peer, client.local_addr().unwrap());
            std.set_nonblocking(true).unwrap();
            ours = on.nth(n, move || TcpListener::from(std)).join();
            would_block(ours.accept());
            let std = std::net::TcpListener::from(ours);
            assert!(is_nonblocking(&std));
            would_block(std.accept());
            std.set_nonblocking(false).unwrap();
            ours = TcpListener::from(OwnedFd::from(TcpListener::from(std)));
            let raw = ours.into_raw_fd();
            // SAFETY: just given up by its owner, which is gone.
            ours = unsafe { TcpListener::from_raw_fd(raw) };
        }
    });
}

/// While a clone of ours is waited on, what std got answers at once; the last of ours gives it its mode back.
#[test]
fn a_listener_is_given_away_while_its_clones_are_waited_on() {
    in_three_settings(|on| {
        let (given, addr) = listener();
        let given = accepting(on.client, given, addr);
        let stays = Arc::new(given.try_clone().unwrap());
        let acceptors = [on.server, on.client].map(|kind| {
            let stays = Arc::clone(&stays);
            waiting(kind, move || stays.accept().unwrap().1)
        });
        let std = on.client(move || std::net::TcpListener::from(given)).join();
        assert!(is_nonblocking(&std), "ours still need it so");
        would_block(std.accept());
        assert!(acceptors.iter().all(|acceptor| !acceptor.is_over()));
        let clients = [(); 2].map(|()| TcpStream::connect(addr).unwrap());
        let mut locals = clients.each_ref().map(|client| client.local_addr().unwrap());
        let mut peers = acceptors.map(Waiting::join);
        locals.sort_unstable();
        peers.sort_unstable();
        assert_eq!(peers, locals);
        on.server(move || drop(stays)).join();
        assert!(!is_nonblocking(&std));
        let acceptor = blocked_in(libc::SYS_accept4, move || std.accept().unwrap().1);
        let client = TcpStream::connect(addr).unwrap();
        assert_eq!(acceptor.join(), client.local_addr().unwrap());
    });
}

/// A borrower who makes the descriptor blocking makes no accept of ours block a worker.
#[test]
fn a_listener_waits_whatever_a_borrower_does_to_its_mode() {
    in_three_settings(|on| {
        let std = std::net::TcpListener::bind((std::net::IpAddr::from(own_ip()), 0)).unwrap();
        let addr = std.local_addr().unwrap();
        let twin = std.try_clone().unwrap();
        let mut ours = TcpListener::from(std);
        for n in 0..4 {
            twin.set_nonblocking(false).unwrap();
            ours = accepting(on.kind(n), ours, addr);
            SockRef::from(&ours).set_nonblocking(false).unwrap();
            let shared = Arc::new(ours);
            let acceptors = [on.server, on.client].map(|kind| {
                let shared = Arc::clone(&shared);
                waiting(kind, move || shared.accept().unwrap().1)
            });
            twin.set_nonblocking(false).unwrap();
            let clients = [(); 2].map(|()| TcpStream::connect(addr).unwrap());
            let mut locals = clients.each_ref().map(|client| client.local_addr().unwrap());
            let mut peers = acceptors.map(Waiting::join);
            locals.sort_unstable();
            peers.sort_unstable();
            assert_eq!(peers, locals);
            ours = Arc::into_inner(shared).unwrap();
        }
    });
}
