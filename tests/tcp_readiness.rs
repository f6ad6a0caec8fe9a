//! Latched readiness: what a short read proves, and what it does not.
//!
//! Everything a peer does between two calls of `settle` reaches the reader's poller as one edge: there is one worker,
//! it does not look at its poller meanwhile, and loopback delivers at once.
mod tcp_support;

use dormouse::net::{Shutdown, TcpStream};
use dormouse::spawn_local;
use dormouse::thread::LocalJoinHandle;
use std::io::{self, ErrorKind, IoSliceMut, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tcp_support::*;

/// A read of at most 64 bytes, plain or vectored.
type ReadOnce = fn(&TcpStream, &mut [u8; 64]) -> io::Result<usize>;

const READS: [ReadOnce; 2] = [
    |mut stream, buf| stream.read(buf),
    |mut stream, buf| {
        let (first, second) = buf.split_at_mut(2);
        stream.read_vectored(&mut [IoSliceMut::new(first), IoSliceMut::new(second)])
    },
];

/// A coroutine that is parked reading, and gives each read until the end or an error.
fn reading(ours: TcpStream, read: ReadOnce) -> LocalJoinHandle<Vec<Result<Vec<u8>, ErrorKind>>> {
    let reader = spawn_local(move || {
        let mut reads = Vec::new();
        loop {
            let mut buf = [0; 64];
            match read(&ours, &mut buf) {
                Ok(0) => return reads,
                Ok(n) => reads.push(Ok(buf[..n].to_vec())),
                Err(error) => {
                    reads.push(Err(error.kind()));
                    return reads;
                }
            }
        }
    });
    settle();
    reader
}

#[test]
fn data_and_fin_in_one_edge() {
    run_with(1, || {
        for read in READS {
            let (ours, mut peer) = pair();
            let reader = reading(ours, read);
            peer.write_all(b"bye").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(reader.join().unwrap(), [Ok(b"bye".to_vec())]);
        }
    });
}

#[test]
fn data_and_close_in_one_edge() {
    run_with(1, || {
        for read in READS {
            let (ours, mut peer) = pair();
            let reader = reading(ours, read);
            peer.write_all(b"bye").unwrap();
            drop(peer);
            assert_eq!(reader.join().unwrap(), [Ok(b"bye".to_vec())]);
        }
    });
}

#[test]
fn fin_after_data_but_before_the_reader_ran() {
    run_with(1, || {
        for read in READS {
            let (ours, mut peer) = pair();
            let reader = reading(ours, read);
            peer.write_all(b"bye").unwrap();
            // One look: the reader is ready now, behind us in the queue.
            dormouse::thread::yield_now();
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(reader.join().unwrap(), [Ok(b"bye".to_vec())]);
        }
    });
}

#[test]
fn data_and_reset_in_one_edge() {
    run_with(1, || {
        for read in READS {
            let (ours, mut peer) = pair();
            let reader = reading(ours, read);
            peer.write_all(b"bye").unwrap();
            reset(peer);
            let reads = reader.join().unwrap();
            assert_eq!(reads.last(), Some(&Err(ErrorKind::ConnectionReset)), "{reads:?}");
        }
    });
}

/// Sends a byte that leaves an urgent mark.
fn send_urgent(peer: &std::net::TcpStream, byte: u8) {
    assert_eq!(socket2::SockRef::from(peer).send_out_of_band(&[byte]).unwrap(), 1);
}

#[test]
fn an_urgent_mark_shortens_a_read_with_more_behind_it() {
    run_with(1, || {
        for read in READS {
            let (ours, mut peer) = pair();
            let reader = reading(ours, read);
            peer.write_all(b"abc").unwrap();
            send_urgent(&peer, b'!');
            peer.write_all(b"def").unwrap();
            settle();
            peer.write_all(b"ghi").unwrap();
            settle();
            peer.shutdown(Shutdown::Write).unwrap();
            let expected: Vec<Result<Vec<u8>, ErrorKind>> = ["abc", "def", "ghi"].map(|s| Ok(s.into())).into();
            assert_eq!(reader.join().unwrap(), expected);
        }
    });
}

/// As above, but nothing comes afterwards that would wake a reader which believes that there is nothing.
#[test]
fn what_is_behind_an_urgent_mark_is_read_at_once() {
    run_with(1, || {
        for read in READS {
            let (ours, mut peer) = pair();
            let got = Rc::new(std::cell::RefCell::new(Vec::new()));
            let into = Rc::clone(&got);
            let _reader = spawn_local(move || {
                loop {
                    let mut buf = [0; 64];
                    let n = read(&ours, &mut buf).unwrap();
                    into.borrow_mut().extend_from_slice(&buf[..n]);
                }
            });
            settle();
            peer.write_all(b"abc").unwrap();
            send_urgent(&peer, b'!');
            peer.write_all(b"def").unwrap();
            settle();
            assert_eq!(&*got.borrow(), b"abcdef");
            // A second mark, with the first one still the receiver's.
            send_urgent(&peer, b'?');
            peer.write_all(b"ghi").unwrap();
            settle();
            assert_eq!(&*got.borrow(), b"abcdefghi");
        }
    });
}

#[test]
fn an_urgent_mark_after_data_but_before_the_reader_ran() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let reader = reading(ours, READS[0]);
        peer.write_all(b"abc").unwrap();
        dormouse::thread::yield_now();
        send_urgent(&peer, b'!');
        peer.write_all(b"def").unwrap();
        settle();
        peer.shutdown(Shutdown::Write).unwrap();
        let reads: Vec<u8> = reader.join().unwrap().into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(reads, b"abcdef");
    });
}

#[test]
fn a_short_peek_proves_nothing() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let reader = spawn_local(move || {
            let mut buf = [0; 64];
            for _ in 0..3 {
                assert_eq!(ours.peek(&mut buf).unwrap(), 3);
            }
            (&ours).read(&mut buf).unwrap()
        });
        settle();
        peer.write_all(b"abc").unwrap();
        assert_eq!(reader.join().unwrap(), 3);
    });
}

#[test]
fn an_empty_read_takes_nothing_and_proves_nothing() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let reader = spawn_local(move || {
            let mut buf = [0; 2];
            (&ours).read_exact(&mut buf).unwrap();
            // On std's terms it answers 0 while there is data.
            assert_eq!((&ours).read(&mut []).unwrap(), 0);
            assert_eq!((&ours).read_vectored(&mut []).unwrap(), 0);
            (&ours).read(&mut buf).unwrap()
        });
        settle();
        peer.write_all(b"abc").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn what_comes_while_nobody_waits_is_kept() {
    run_with(1, || {
        let (mut ours, mut peer) = pair();
        let mut buf = [0; 64];
        for round in 0..20u8 {
            // The stream is registered and known to be empty.
            ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            assert_eq!(ours.read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
            ours.set_read_timeout(None).unwrap();
            peer.write_all(&[round]).unwrap();
            if round % 2 == 0 {
                settle();
            }
            assert_eq!(ours.read(&mut buf).unwrap(), 1);
            assert_eq!(buf[0], round);
        }
    });
}

#[test]
fn a_fin_that_comes_while_nobody_waits_is_kept() {
    run_with(1, || {
        for settles in [false, true] {
            let (mut ours, mut peer) = pair();
            ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            assert_eq!(ours.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::WouldBlock);
            ours.set_read_timeout(None).unwrap();
            peer.write_all(b"bye").unwrap();
            drop(peer);
            if settles {
                settle();
            }
            let mut rest = Vec::new();
            ours.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"bye");
        }
    });
}

/// The writer's side: a short write clears the latch, and the room that the peer makes restores it.
#[test]
fn a_short_write_goes_on_when_there_is_room() {
    const LEN: usize = 16 << 20;
    run_with(1, || {
        let (ours, peer) = pair();
        let writer = spawn_local(move || send_pattern(&ours, 3, LEN, 1 << 20));
        settle();
        let done = Channel::new();
        let answer = Arc::clone(&done);
        std::thread::spawn(move || {
            receive_pattern(&peer, 3, LEN, 300_000);
            answer.send(());
        });
        writer.join().unwrap();
        done.recv();
    });
}

/// Nobody waited to write, so nothing will tell of the room that the peer made since: the next write has to try.
#[test]
fn after_a_short_write_without_a_wait_the_next_write_tries() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        (&ours).read(&mut [0]).unwrap_err();
        let all = vec![0; 64 << 20];
        ours.set_nonblocking(true).unwrap();
        let written = (&ours).write(&all).unwrap();
        assert!(written < all.len(), "short");
        ours.set_nonblocking(false).unwrap();
        let drained = Channel::new();
        let answer = Arc::clone(&drained);
        std::thread::spawn(move || {
            peer.read_exact(&mut vec![0; written]).unwrap();
            answer.send(peer);
        });
        let _peer = drained.recv();
        assert_eq!(dormouse::no_park(|| (&ours).write(b"x")).unwrap(), 1);
    });
}

/// Data that arrives at any moment around a short read, a latch that is cleared, a park: none is overlooked. The peer
/// goes on only when it has an answer, so that nothing later repairs what was missed.
#[test]
fn no_moment_is_bad_for_data_to_arrive() {
    run_with(2, || {
        let serve = |seed: u64| {
            let (ours, mut peer) = pair();
            std::thread::spawn(move || {
                let mut random = Random(seed + 1);
                for round in 0..2500u32 {
                    let bytes = round.to_le_bytes();
                    // Often in two parts, which may be one edge or two.
                    let split = random.below(5) as usize;
                    peer.write_all(&bytes[..split]).unwrap();
                    (0..random.below(200)).for_each(|_| std::hint::spin_loop());
                    peer.write_all(&bytes[split..]).unwrap();
                    let mut answer = [0; 4];
                    peer.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, bytes);
                }
            });
            dormouse::spawn(move || {
                let (mut stream, mut got, mut buf) = (&ours, 0, [0; 64]);
                loop {
                    match stream.read(&mut buf[got..]).unwrap() {
                        0 => return,
                        n => got += n,
                    }
                    if got == 4 {
                        stream.write_all(&buf[..4]).unwrap();
                        got = 0;
                    }
                }
            })
        };
        let servers: Vec<_> = (0..4).map(serve).collect();
        servers.into_iter().for_each(|server| server.join().unwrap());
    });
}
