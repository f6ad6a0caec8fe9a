//! `set_nonblocking(true)` in coroutines: calls answer WouldBlock instead of parking, for clones and std too.
mod tcp_support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::spawn_local;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use tcp_support::*;

#[track_caller]
fn would_block<T: std::fmt::Debug>(result: std::io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn calls_answer_at_once() {
    run_with(1, || {
        let (mut ours, mut peer) = pair();
        fill(&ours);
        ours.set_nonblocking(true).unwrap();
        // None of these may park, which inside `no_park` would be a panic.
        dormouse::thread::no_park(|| {
            would_block(ours.read(&mut [0; 8]));
            would_block(ours.peek(&mut [0; 8]));
            would_block(ours.write(&[0; 1 << 20]));
            peer.write_all(b"abc").unwrap();
            assert_eq!(ours.peek(&mut [0; 8]).unwrap(), 3);
            assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
            would_block(ours.read(&mut [0; 8]));
        });
    });
}

#[test]
fn a_listener_answers_at_once() {
    run_with(1, || {
        let (listener, addr) = listener();
        listener.set_nonblocking(true).unwrap();
        dormouse::thread::no_park(|| {
            would_block(listener.accept());
            let client = std::net::TcpStream::connect(addr).unwrap();
            let (stream, peer) = listener.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            would_block(listener.accept());
            drop(stream);
        });
        listener.set_nonblocking(false).unwrap();
        let client = spawn_local(move || TcpStream::connect(addr).unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        // The mode of the listener is not inherited.
        let mut client = client.join().unwrap();
        let reader = spawn_local(move || stream.read(&mut [0; 8]).unwrap());
        settle();
        assert!(!reader.is_finished());
        client.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

/// The source of a stream that parked before knows that it is empty; a non-blocking call must look all the same.
#[test]
fn a_registered_stream_is_looked_at_each_time() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let ours = Rc::new(ours);
        let reader = Rc::clone(&ours);
        let reader = spawn_local(move || assert_eq!((&*reader).read(&mut [0; 8]).unwrap(), 3));
        settle();
        peer.write_all(b"abc").unwrap();
        reader.join().unwrap();
        ours.set_nonblocking(true).unwrap();
        dormouse::thread::no_park(|| {
            for _ in 0..3 {
                would_block((&*ours).read(&mut [0; 8]));
                peer.write_all(b"de").unwrap();
                assert_eq!((&*ours).read(&mut [0; 8]).unwrap(), 2);
            }
        });
        ours.set_nonblocking(false).unwrap();
        let reader = spawn_local(move || (&*ours).read(&mut [0; 8]).unwrap());
        settle();
        assert!(!reader.is_finished());
        peer.write_all(b"f").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn clones_share_the_mode() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let early = ours.try_clone().unwrap();
        ours.set_nonblocking(true).unwrap();
        let late = early.try_clone().unwrap();
        for mut stream in [&ours, &early, &late] {
            would_block(stream.read(&mut [0; 8]));
        }
        late.set_nonblocking(false).unwrap();
        let reader = spawn_local(move || (&ours).read(&mut [0; 8]).unwrap());
        settle();
        assert!(!reader.is_finished());
        peer.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn listener_clones_share_the_mode() {
    run_with(1, || {
        let (listener, addr) = listener();
        let clone = listener.try_clone().unwrap();
        clone.set_nonblocking(true).unwrap();
        would_block(listener.accept());
        listener.set_nonblocking(false).unwrap();
        let acceptor = spawn_local(move || clone.accept().unwrap().1);
        settle();
        assert!(!acceptor.is_finished());
        let client = std::net::TcpStream::connect(addr).unwrap();
        assert_eq!(acceptor.join().unwrap(), client.local_addr().unwrap());
    });
}

/// Whoever waits already is not called back by a change of the mode; what comes still reaches it.
#[test]
fn who_waits_goes_on_waiting() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let ours = Rc::new(ours);
        let reader = Rc::clone(&ours);
        let reader = spawn_local(move || (&*reader).read(&mut [0; 8]).unwrap());
        settle();
        ours.set_nonblocking(true).unwrap();
        settle();
        assert!(!reader.is_finished());
        would_block((&*ours).read(&mut [0; 8]));
        peer.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn conversions_keep_the_mode_of_streams() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        for nonblocking in [true, false, true] {
            ours.set_nonblocking(nonblocking).unwrap();
            let clone = ours.try_clone().unwrap();
            let std_stream = std::net::TcpStream::from(clone);
            if nonblocking {
                would_block((&std_stream).read(&mut [0; 8]));
            } else {
                peer.write_all(b"x").unwrap();
                assert_eq!((&std_stream).read(&mut [0; 8]).unwrap(), 1);
            }
            let back = TcpStream::from(std_stream);
            if nonblocking {
                would_block((&back).read(&mut [0; 8]));
            } else {
                let reader = spawn_local(move || (&back).read(&mut [0; 8]).unwrap());
                settle();
                assert!(!reader.is_finished());
                peer.write_all(b"x").unwrap();
                assert_eq!(reader.join().unwrap(), 1);
            }
        }
        // Std changes it behind our back, and ours heeds it.
        let theirs = std::net::TcpStream::from(ours.try_clone().unwrap());
        theirs.set_nonblocking(false).unwrap();
        let reader = spawn_local(move || (&ours).read(&mut [0; 8]).unwrap());
        settle();
        assert!(!reader.is_finished());
        peer.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn a_registered_stream_goes_to_std_and_comes_back() {
    run_with(1, || {
        let (mut ours, mut peer) = pair();
        for round in 0..10 {
            let reader = spawn_local(move || {
                let mut byte = [0];
                ours.read_exact(&mut byte).unwrap();
                assert_eq!(byte[0], round);
                ours
            });
            settle();
            assert!(!reader.is_finished());
            peer.write_all(&[round]).unwrap();
            let mut theirs = std::net::TcpStream::from(reader.join().unwrap());
            peer.write_all(b"s").unwrap();
            assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 1);
            ours = TcpStream::from(theirs);
        }
    });
}

#[test]
fn conversions_keep_the_mode_of_listeners() {
    run_with(1, || {
        let (mut ours, addr) = listener();
        for nonblocking in [false, true, false] {
            ours.set_nonblocking(nonblocking).unwrap();
            let theirs = std::net::TcpListener::from(ours);
            let client = std::net::TcpStream::connect(addr).unwrap();
            theirs.accept().unwrap();
            if nonblocking {
                would_block(theirs.accept());
            }
            drop(client);
            ours = TcpListener::from(theirs);
            if nonblocking {
                would_block(ours.accept());
                continue;
            }
            let acceptor = spawn_local(move || {
                ours.accept().unwrap();
                ours
            });
            settle();
            assert!(!acceptor.is_finished());
            let _client = std::net::TcpStream::connect(addr).unwrap();
            ours = acceptor.join().unwrap();
        }
    });
}
