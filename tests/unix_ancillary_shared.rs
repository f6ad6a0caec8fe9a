//! Sending a descriptor of ours makes others share its description: whoever is parked on it stays so, both ends keep
//! working, and closing ours leaves nothing of it at the poller.
mod unix_ancillary_support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::os::unix::net::UnixStream;
use dormouse::spawn_local;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use unix_ancillary_support::*;

/// Sends the descriptor and receives it again.
fn pass(stream: &UnixStream) -> UnixStream {
    let (sender, receiver) = UnixStream::pair().unwrap();
    sender.send_fds(b"x", &[stream.as_raw_fd()]).unwrap();
    UnixStream::from(receiver.receive_fds(1).unwrap().1.remove(0))
}

fn read_one(mut stream: &UnixStream) -> u8 {
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    byte[0]
}

/// Each gets one byte, in whichever order.
#[track_caller]
fn both(one: u8, other: u8) {
    assert_eq!([one.min(other), one.max(other)], *b"ab");
}

#[test]
fn both_ends_keep_working_where_a_coroutine_is_parked() {
    run_with(1, || {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let ours = Rc::new(ours);
        let parked = |stream: &Rc<UnixStream>| {
            let stream = Rc::clone(stream);
            spawn_local(move || read_one(&stream))
        };
        for _ in 0..20 {
            let first = parked(&ours);
            settle();
            let other = Rc::new(pass(&ours));
            settle();
            assert!(!first.is_finished(), "woken by being sent");
            peer.write_all(b"1").unwrap();
            assert_eq!(first.join().unwrap(), b'1');
            let (one, two) = (parked(&ours), parked(&other));
            settle();
            peer.write_all(b"ab").unwrap();
            both(one.join().unwrap(), two.join().unwrap());
            (&*other).write_all(b"x").unwrap();
            (&*ours).write_all(b"y").unwrap();
            let mut answer = [0; 2];
            peer.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"xy");
        }
    });
}

#[test]
fn both_ends_keep_working_among_coroutines_and_threads() {
    in_three_settings(|setting| {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let (other, ours) = (Arc::new(pass(&ours)), Arc::new(ours));
        for _ in 0..50 {
            let (here, there) = (Arc::clone(&ours), Arc::clone(&other));
            let one = setting.server(move || read_one(&here));
            let two = setting.client(move || read_one(&there));
            peer.write_all(b"ab").unwrap();
            both(one.join(), two.join());
        }
    });
}

/// Parks on a stream that has nothing to read, so that this worker registers it.
fn touch(stream: UnixStream) -> UnixStream {
    stream.set_read_timeout(Some(ms(1))).unwrap();
    expires(ms(1), || (&stream).read(&mut [0]));
    stream.set_read_timeout(None).unwrap();
    stream
}

/// The received one is parked on while ours, which was parked on before, is closed.
#[test]
fn ours_is_closed_while_the_received_one_is_parked_on() {
    run_with(1, || {
        let (mut ours, mut peer) = UnixStream::pair().unwrap();
        for round in 0..50 {
            ours = touch(ours);
            let other = pass(&ours);
            let reader = spawn_local(move || (read_one(&other), other));
            settle();
            drop(ours);
            settle();
            assert!(!reader.is_finished());
            peer.write_all(&[round]).unwrap();
            let (byte, other) = reader.join().unwrap();
            assert_eq!(byte, round);
            ours = other;
        }
    });
}

/// As above, with the received one on another worker and ours parked on, there, until it is closed.
#[test]
fn ours_is_closed_on_one_worker_while_the_received_one_is_parked_on_at_another() {
    run_with(2, || {
        let workers = workers(2);
        let (mut ours, mut peer) = UnixStream::pair().unwrap();
        for round in 0..50 {
            let (here, there) = (&workers[round % 2], &workers[1 - round % 2]);
            ours = here.run(move || touch(ours));
            let other = pass(&ours);
            let reader = there.spawn(move || (read_one(&other), other));
            there.settle();
            here.run(move || drop(ours));
            peer.write_all(&[round as u8]).unwrap();
            let (byte, other) = reader.join();
            assert_eq!(byte, round as u8);
            ours = other;
        }
    });
}

/// Closes a stream that was parked on while its description lives on in what `keep` makes of it. The next stream gets
/// its descriptor and its place, and must hear nothing of it. Gives what was kept, with the peer's 20 stale messages in
/// it.
fn close_while_it_lives<T>(keep: impl FnOnce(&UnixStream) -> T) -> T {
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let ours = touch(ours);
    let kept = keep(&ours);
    let number = ours.as_raw_fd();
    drop(ours);
    let (second, mut second_peer) = UnixStream::pair().unwrap();
    assert_eq!(second.as_raw_fd(), number, "not used again");
    let reader = spawn_local(move || read_one(&second));
    settle();
    for _ in 0..20 {
        peer.write_all(b"stale").unwrap();
        settle();
        assert!(!reader.is_finished());
    }
    second_peer.write_all(b"!").unwrap();
    assert_eq!(reader.join().unwrap(), b'!');
    kept
}

fn read_stale(mut kept: &UnixStream) {
    let mut all = [0; 100];
    kept.read_exact(&mut all).unwrap();
    assert_eq!(all, *b"stale".repeat(20));
}

/// Descriptors of this process are used again from the lowest on, so each of these tests has a process of its own.
#[test]
fn ours_is_closed_while_the_received_one_lives() {
    const NAME: &str = "ours_is_closed_while_the_received_one_lives";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    run_with(1, || {
        for _ in 0..10 {
            read_stale(&close_while_it_lives(pass));
        }
    });
}

#[test]
fn ours_is_closed_while_it_is_on_the_way() {
    const NAME: &str = "ours_is_closed_while_it_is_on_the_way";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    run_with(1, || {
        for (sender, receiver) in carriers() {
            close_while_it_lives(|ours| sender.send_fds(b"x", &[ours.as_raw_fd()]).unwrap());
            let fd = receiver.receive_fds(1).unwrap().1.remove(0);
            read_stale(&UnixStream::from(fd));
        }
    });
}

/// The worker sleeps on while things happen to the description of the stream that it has closed.
#[test]
fn nothing_of_ours_is_left_at_the_poller() {
    const ROUNDS: u32 = 500;
    run_with(1, || {
        let (ours, peer) = UnixStream::pair().unwrap();
        let ours = touch(ours);
        let mut kept = std::os::unix::net::UnixStream::from(OwnedFd::from(pass(&ours)));
        drop(ours);
        settle();
        let (tid, done) = (gettid(), Channel::new());
        let answer = Arc::clone(&done);
        let mut peer = std::os::unix::net::UnixStream::from(OwnedFd::from(peer));
        let player = std::thread::spawn(move || {
            let before = switches_of(std::process::id(), tid);
            for _ in 0..ROUNDS {
                peer.write_all(b"x").unwrap();
                kept.read_exact(&mut [0]).unwrap();
                std::thread::yield_now();
            }
            answer.send(switches_of(std::process::id(), tid) - before);
        });
        let woken = done.recv();
        assert!(woken < 100, "woken {woken} times in {ROUNDS} rounds");
        player.join().unwrap();
    });
}

/// A connection and a listener are handed over, as when a new version of a program takes over. The old listener lives
/// on, so the new one is O_NONBLOCK as it comes, which a listener from outside takes for its user's wish.
#[test]
fn a_connection_and_a_listener_are_handed_over() {
    in_three_settings(|setting| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (sender, receiver) = UnixStream::pair().unwrap();
        let old = setting.server(move || {
            let mut byte = [0];
            (&server).read_exact(&mut byte).unwrap();
            sender.send_fds(b"yours", &[server.as_raw_fd(), listener.as_raw_fd()]).unwrap();
            (byte[0], listener)
        });
        let new = setting.client(move || {
            let (data, mut fds) = receiver.receive_fds(2).unwrap();
            assert_eq!((&data[..], fds.len()), (&b"yours"[..], 2));
            let (listener, mut server) = (TcpListener::from(fds.remove(1)), TcpStream::from(fds.remove(0)));
            listener.set_nonblocking(false).unwrap();
            let mut word = [0; 4];
            server.read_exact(&mut word).unwrap();
            server.write_all(&word).unwrap();
            let (mut next, _) = listener.accept().unwrap();
            next.write_all(b"welcome").unwrap();
            listener.local_addr().unwrap()
        });
        client.write_all(b"1").unwrap();
        let (byte, _old_listener) = old.join();
        assert_eq!(byte, b'1');
        client.write_all(b"word").unwrap();
        let mut word = [0; 4];
        client.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"word");
        let addr = client.peer_addr().unwrap();
        let mut welcome = String::new();
        TcpStream::connect(addr).unwrap().read_to_string(&mut welcome).unwrap();
        assert_eq!(welcome, "welcome");
        assert_eq!(new.join(), addr);
    });
}
