//! The end of connections: closes by the thousand, half-closes, resets, clones, and descriptors used again.
mod tcp_support;

use dormouse::net::{Shutdown, TcpStream};
use dormouse::{Builder, spawn, spawn_local};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tcp_support::*;

/// Each connection is parked on at both ends; server and client take turns in closing first.
fn connect_and_close(count: usize) {
    let (listener, addr) = listener();
    let listener = Arc::new(listener);
    let per_pair = count / 10;
    let server = |_| {
        let listener = Arc::clone(&listener);
        spawn(move || {
            for _ in 0..per_pair {
                let (mut stream, _) = listener.accept().unwrap();
                let mut order = [0];
                stream.read_exact(&mut order).unwrap();
                stream.write_all(&order).unwrap();
                if order[0] == 0 {
                    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
                }
            }
        })
    };
    let client = |_| {
        spawn(move || {
            for round in 0..per_pair {
                let order = (round % 2) as u8;
                let mut stream = TcpStream::connect(addr).unwrap();
                stream.write_all(&[order]).unwrap();
                stream.read_exact(&mut [0]).unwrap();
                if order == 1 {
                    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
                }
            }
        })
    };
    let tasks: Vec<_> = (0..10).map(server).chain((0..10).map(client)).collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

const CYCLES: &str = "ten_thousand_connections_leave_nothing_behind";

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    if !is_kid(CYCLES) {
        return Kid::start(CYCLES).finish();
    }
    for workers in [1, 2] {
        run_with(workers, || {
            connect_and_close(1000);
            let (before_fds, before) = (fds(), resident());
            connect_and_close(5000);
            assert_eq!(fds(), before_fds);
            let grown = resident().saturating_sub(before);
            assert!(grown < 1 << 20, "5,000 connections left {grown} bytes");
        });
    }
}

#[test]
fn half_close_ends_one_direction_only() {
    run_with(1, || {
        let (ours, theirs) = own_pair();
        let server = spawn_local(move || {
            let mut all = Vec::new();
            (&theirs).read_to_end(&mut all).unwrap();
            assert_eq!(all, b"question");
            send_pattern(&theirs, 5, 3 << 20, 70_000);
        });
        settle();
        (&ours).write_all(b"question").unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&ours).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        receive_pattern(&ours, 5, 3 << 20, 50_000);
        assert_eq!((&ours).read(&mut [0]).unwrap(), 0);
        server.join().unwrap();
    });
}

#[test]
fn shutdown_by_another_coroutine_wakes_who_is_parked() {
    run_with(1, || {
        for how in [Shutdown::Read, Shutdown::Both] {
            let (ours, _peer) = pair();
            let ours = Rc::new(ours);
            let reader = Rc::clone(&ours);
            let reader = spawn_local(move || (&*reader).read(&mut [0]).unwrap());
            settle();
            ours.shutdown(how).unwrap();
            assert_eq!(reader.join().unwrap(), 0);
        }
        for how in [Shutdown::Write, Shutdown::Both] {
            let (ours, _peer) = pair();
            let ours = Rc::new(ours);
            fill(&ours);
            let writer = Rc::clone(&ours);
            let writer = spawn_local(move || (&*writer).write_all(&[0; 1 << 20]).unwrap_err().kind());
            settle();
            ours.shutdown(how).unwrap();
            assert_eq!(writer.join().unwrap(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn a_reset_wakes_a_parked_reader_and_a_parked_writer() {
    run_with(1, || {
        let (ours, peer) = pair();
        let reader = spawn_local(move || (&ours).read(&mut [0]).unwrap_err().kind());
        settle();
        reset(peer);
        assert_eq!(reader.join().unwrap(), ErrorKind::ConnectionReset);

        let (ours, peer) = pair();
        fill(&ours);
        let writer = spawn_local(move || (&ours).write_all(&[0; 1 << 20]).unwrap_err().kind());
        settle();
        reset(peer);
        assert_eq!(writer.join().unwrap(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn what_was_written_before_the_drop_arrives() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let writer = spawn_local(move || {
            (&ours).read_exact(&mut [0]).unwrap();
            send_pattern(&ours, 6, 1 << 20, 1 << 20);
        });
        settle();
        let done = Channel::new();
        let answer = Arc::clone(&done);
        std::thread::spawn(move || {
            peer.write_all(b"x").unwrap();
            receive_pattern(&peer, 6, 1 << 20, 4096);
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
            answer.send(());
        });
        writer.join().unwrap();
        done.recv();
    });
}

/// Registers a stream: waits on it in vain.
fn touch(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(Duration::from_micros(100))).unwrap();
    assert_eq!(stream.read(&mut [0; 64]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(None).unwrap();
}

/// The clone gets the same descriptor each time. Epoll knows a descriptor and its description until the last close of
/// the description, so a clone that is not removed from it is in its own way the next time.
#[test]
fn a_clone_closed_while_the_other_is_parked_on() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let ours = Rc::new(ours);
        let (reader, got) = (Rc::clone(&ours), Channel::new());
        let answer = Arc::clone(&got);
        spawn_local(move || {
            loop {
                let mut byte = [0];
                (&*reader).read_exact(&mut byte).unwrap();
                answer.send(byte[0]);
            }
        });
        settle();
        for round in 0..20 {
            let clone = ours.try_clone().unwrap();
            // Its reader is parked before us and takes what comes; we only wait.
            touch(&clone);
            drop(clone);
            settle();
            peer.write_all(&[round]).unwrap();
            assert_eq!(got.recv(), round);
        }
    });
}

#[test]
fn the_original_closed_while_its_clone_is_parked_on() {
    run_with(1, || {
        let (mut ours, mut peer) = pair();
        for round in 0..20 {
            let clone = ours.try_clone().unwrap();
            touch(&ours);
            let reader = spawn_local(move || {
                let mut byte = [0];
                (&clone).read_exact(&mut byte).unwrap();
                assert_eq!(byte[0], round);
                clone
            });
            settle();
            drop(ours);
            settle();
            assert!(!reader.is_finished());
            peer.write_all(&[round]).unwrap();
            ours = reader.join().unwrap();
        }
    });
}

#[test]
fn a_lent_stream_is_removed_before_it_is_closed() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        // SAFETY: the descriptor is open; the duplicate is closed below.
        let other = unsafe { libc::dup(ours.as_raw_fd()) };
        touch(&ours);
        drop(ours);
        // The description lives on, and so would its registration.
        let (second, mut second_peer) = pair();
        let reader = spawn_local(move || (&second).read(&mut [0; 8]).unwrap());
        settle();
        peer.write_all(b"stale").unwrap();
        settle();
        assert!(!reader.is_finished());
        second_peer.write_all(b"ok").unwrap();
        assert_eq!(reader.join().unwrap(), 2);
        // SAFETY: made by `dup` above and used nowhere else.
        unsafe { libc::close(other) };
    });
}

/// The number that the next descriptor will get.
fn next_fd() -> RawFd {
    // SAFETY: duplicates standard input and closes the duplicate.
    unsafe {
        let fd = libc::dup(0);
        libc::close(fd);
        fd
    }
}

/// Each stream is closed with an event of its on the way, and the next one gets its descriptor and its place.
#[test]
fn a_descriptor_used_again_while_stale_events_are_in_flight() {
    const NAME: &str = "a_descriptor_used_again_while_stale_events_are_in_flight";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    bounded(|| {
        run(|| {
            let (listener, addr) = listener();
            let mut used = std::collections::HashMap::<RawFd, u32>::new();
            let mut peers = Vec::new();
            for round in 0..300u32 {
                let mut peer = std::net::TcpStream::connect(addr).unwrap();
                let fd = next_fd();
                let (stream, _) = listener.accept().unwrap();
                *used.entry(fd).or_default() += 1;
                touch(&stream);
                let reader = spawn_local(move || {
                    let mut buf = [0; 64];
                    let n = (&stream).read(&mut buf).unwrap();
                    assert_eq!(buf[..n], round.to_le_bytes());
                    stream
                });
                settle();
                assert!(!reader.is_finished(), "woken by somebody else's event");
                peer.write_all(&round.to_le_bytes()).unwrap();
                let stream = reader.join().unwrap();
                // The event that is on the way when the stream is closed.
                peer.write_all(b"never read").unwrap();
                drop(stream);
                peers.push(peer);
                if round % 8 == 7 {
                    peers.clear();
                }
            }
            assert!(used.values().any(|&times| times > 10), "no descriptor was used again: {used:?}");
        });
    });
}

/// A forked child holds the description, which nobody told the socket: it is closed without being removed from epoll,
/// and its events go on coming.
#[test]
fn events_of_a_stream_that_a_child_inherited_are_ignored() {
    const NAME: &str = "events_of_a_stream_that_a_child_inherited_are_ignored";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    bounded(|| {
        run(|| {
            let (ours, mut peer) = pair();
            touch(&ours);
            // SAFETY: the child only sleeps until it is killed.
            let child = unsafe { libc::fork() };
            if child == 0 {
                loop {
                    // SAFETY: takes nothing.
                    unsafe { libc::pause() };
                }
            }
            drop(ours);
            peer.write_all(b"stale").unwrap();
            // This one has the descriptor and the place of the first.
            let (second, mut second_peer) = pair();
            let second = Rc::new(second);
            touch(&second);
            for round in 0..50u8 {
                let reader = Rc::clone(&second);
                let reader = spawn_local(move || (&*reader).read(&mut [0; 8]).unwrap());
                settle();
                peer.write_all(b"stale").unwrap();
                settle();
                assert!(!reader.is_finished());
                second_peer.write_all(&[round]).unwrap();
                assert_eq!(reader.join().unwrap(), 1);
            }
            // SAFETY: our own child.
            unsafe { libc::kill(child, libc::SIGKILL) };
            // SAFETY: reaps it; no status is asked for.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            assert_eq!((&peer).read(&mut [0]).unwrap_or(0), 0);
        });
    });
}

/// Descriptors change hands among two workers and plain threads as fast as they can; each connection has its own
/// message, and whoever got another's would see it.
#[test]
fn descriptors_change_hands_quickly() {
    bounded(|| {
        Builder::new()
            .workers(2)
            .run(|| {
                let (listener, addr) = listener();
                let listener = Arc::new(listener);
                for _ in 0..6 {
                    let listener = Arc::clone(&listener);
                    spawn(move || {
                        loop {
                            let (stream, _) = listener.accept().unwrap();
                            // Closed at an arbitrary moment, with data on the way.
                            let _ = echo_some(&stream);
                        }
                    });
                }
                let client = |seed: u64| {
                    move || {
                        let mut random = Random(seed + 1);
                        for round in 0..150 {
                            let mut stream = TcpStream::connect(addr).unwrap();
                            let message = seed << 32 | round;
                            let len = 1 + random.below(300) as usize;
                            stream.write_all(&pattern_bytes(message, 0, len)).unwrap();
                            // Fails if the server has closed with a reset meanwhile.
                            let _ = stream.shutdown(Shutdown::Write);
                            let mut got = Vec::new();
                            // The server echoes what it got before it lost interest; it may close with data unread.
                            match stream.read_to_end(&mut got) {
                                Ok(_) => {}
                                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                            }
                            check_pattern(message, 0, &got);
                        }
                    }
                };
                let threads: Vec<_> = (0..2).map(|seed| std::thread::spawn(client(seed))).collect();
                let tasks: Vec<_> = (10..14).map(|seed| spawn(client(seed))).collect();
                tasks.into_iter().for_each(|task| task.join().unwrap());
                wait_until(|| threads.iter().all(|thread| thread.is_finished()));
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            })
            .unwrap();
    });
}

/// Echoes a few small pieces and stops.
fn echo_some(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut buf = [0; 50];
    for _ in 0..3 {
        let n = stream.read(&mut buf)?;
        stream.write_all(&buf[..n])?;
        if n < buf.len() {
            return Ok(());
        }
    }
    Ok(())
}

#[test]
fn a_stream_keeps_no_descriptor_of_an_ended_runtime() {
    const NAME: &str = "a_stream_keeps_no_descriptor_of_an_ended_runtime";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    bounded(|| {
        let (ours, peer) = pair();
        let use_it = || {
            run(|| {
                ours.set_read_timeout(Some(std::time::Duration::from_millis(1))).unwrap();
                assert!((&ours).read(&mut [0]).is_err());
            });
        };
        use_it();
        let before = fds();
        (0..20).for_each(|_| use_it());
        assert_eq!(fds(), before, "descriptors after 20 more runtimes that are all gone");
        (&peer).write_all(b"x").unwrap();
        assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
    });
}
