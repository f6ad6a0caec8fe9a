//! Peers that are too slow: cut off after a window of waiting, and only those.

mod support;

use dormouse::net::{MinRate, TcpListener, TcpStream};
use dormouse::os::unix::net::UnixStream;
use dormouse::{spawn, thread};
use std::io::{ErrorKind, Read, Result, Write};
use std::time::{Duration, Instant};
use support::{bounded, run};

/// 100 bytes in so many milliseconds.
fn hundred_in(millis: u64) -> Option<MinRate> {
    let rate = MinRate::bytes_per_second(100_000u64.div_ceil(millis) as u32).over(Duration::from_millis(millis));
    assert_eq!(rate.bytes(), 100);
    Some(rate)
}

fn pair() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    (listener.accept().unwrap().0, peer)
}

/// A peer that sends a byte every five milliseconds until nobody listens.
fn trickle(mut to: impl Write + Send + 'static) {
    std::thread::spawn(move || {
        while to.write_all(b".").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

fn reads_and_is_cut_off(mut stream: impl Read) {
    let start = Instant::now();
    let mut buffer = [0; 1000];
    let error = stream.read_exact(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("slow"), "{error}");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(99), "{took:?}");
}

#[test]
fn a_byte_now_and_then_is_too_slow() {
    fn tcp() {
        let (stream, peer) = pair();
        stream.set_min_read_rate(hundred_in(100));
        trickle(peer);
        reads_and_is_cut_off(stream);
    }
    fn unix() {
        let (stream, peer) = UnixStream::pair().unwrap();
        stream.set_min_read_rate(hundred_in(100));
        trickle(std::os::unix::net::UnixStream::from(peer));
        reads_and_is_cut_off(stream);
    }
    bounded(20, || run(|| [tcp, unix].map(|f| spawn(f).join().unwrap())));
    bounded(20, || [tcp, unix].map(|f| f()));
}

/// It has been cut off, and stays so for whoever would have to wait; what comes is read all the same.
#[test]
fn once_too_slow_it_stays_so_until_it_sends_enough() {
    bounded(10, || {
        run(|| {
            let (mut stream, mut peer) = pair();
            stream.set_min_read_rate(hundred_in(1000));
            let mut buffer = [0; 200];
            assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
            let start = Instant::now();
            assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() < Duration::from_millis(900), "no further window");
            peer.write_all(&[1; 100]).unwrap();
            let mut got = 0;
            while got < 100 {
                match stream.read(&mut buffer) {
                    Ok(n) => got += n,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                }
            }
            let start = Instant::now();
            assert_eq!(stream.read(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() >= Duration::from_millis(999), "a new window");
        });
    });
}

#[test]
fn who_is_fast_enough_may_take_any_number_of_windows() {
    bounded(20, || {
        run(|| {
            let (mut stream, mut peer) = pair();
            stream.set_min_read_rate(hundred_in(2000));
            let sender = std::thread::spawn(move || {
                for _ in 0..100 {
                    std::thread::sleep(Duration::from_millis(45));
                    peer.write_all(&[7; 50]).unwrap();
                }
            });
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            assert_eq!(all.len(), 100 * 50);
            sender.join().unwrap();
        });
    });
}

/// The peer is not to blame for the time that nobody reads.
#[test]
fn time_in_which_nobody_waits_does_not_count() {
    bounded(10, || {
        run(|| {
            let (mut stream, mut peer) = pair();
            stream.set_min_read_rate(hundred_in(2000));
            thread::sleep(Duration::from_millis(2500));
            let sender = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                peer.write_all(&[0; 100]).map(|()| peer)
            });
            stream.read_exact(&mut [0; 100]).unwrap();
            drop(sender.join().unwrap());
        });
    });
}

/// Nor for that in which the worker does something else: what came meanwhile is read, however late.
#[test]
fn a_worker_that_is_late_does_not_blame_the_peer() {
    bounded(10, || {
        run(|| {
            let (mut stream, mut peer) = pair();
            stream.set_min_read_rate(hundred_in(100));
            let reader = spawn(move || stream.read_exact(&mut [0; 200]));
            thread::yield_now();
            peer.write_all(&[0; 30]).unwrap();
            thread::sleep(Duration::from_millis(5));
            peer.write_all(&[0; 170]).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            reader.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_timeout_of_one_wait_is_still_what_it_was() {
    bounded(10, || {
        run(|| {
            let (mut stream, _peer) = pair();
            stream.set_min_read_rate(hundred_in(10_000));
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            stream.set_min_read_rate(hundred_in(20));
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
            stream.set_nonblocking(true).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        });
    });
}

#[test]
fn handles_share_it_and_none_is_none() {
    bounded(10, || {
        run(|| {
            let (stream, mut peer) = pair();
            let mut clone = stream.try_clone().unwrap();
            stream.set_min_read_rate(hundred_in(30));
            assert_eq!(clone.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
            clone.set_min_read_rate(None);
            let reader = spawn(move || (&stream).read(&mut [0]));
            thread::sleep(Duration::from_millis(100));
            peer.write_all(b"!").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 1);
        });
    });
}

/// Fills all buffers, then meets a peer that takes nothing.
#[test]
fn a_peer_that_takes_nothing_is_too_slow() {
    fn writes(mut stream: impl Write) -> Result<()> {
        let block = vec![0; 1 << 20];
        (0..64).try_for_each(|_| stream.write_all(&block))
    }
    fn tcp() {
        let (stream, _peer) = pair();
        stream.set_min_write_rate(hundred_in(100));
        assert_eq!(writes(stream).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    fn unix() {
        let (stream, _peer) = UnixStream::pair().unwrap();
        stream.set_min_write_rate(hundred_in(100));
        assert_eq!(writes(stream).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    bounded(20, || run(|| [tcp, unix].map(|f| spawn(f).join().unwrap())));
    bounded(20, || [tcp, unix].map(|f| f()));
}

#[test]
fn a_peer_that_takes_its_time_but_takes_enough_gets_everything() {
    bounded(30, || {
        run(|| {
            let (mut stream, peer) = UnixStream::pair().unwrap();
            let mut peer = std::os::unix::net::UnixStream::from(peer);
            stream.set_min_write_rate(hundred_in(2000));
            let reader = std::thread::spawn(move || {
                let (mut buffer, mut got) = (vec![0; 64 << 10], 0);
                loop {
                    match peer.read(&mut buffer).unwrap() {
                        0 => return got,
                        n => got += n,
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
            stream.write_all(&vec![1; 2 << 20]).unwrap();
            drop(stream);
            assert_eq!(reader.join().unwrap(), 2 << 20);
        });
    });
}

/// A reader that is cut off does not disturb the other direction.
#[test]
fn directions_are_apart() {
    bounded(10, || {
        run(|| {
            let (stream, mut peer) = pair();
            stream.set_min_write_rate(hundred_in(20));
            let reader = spawn(move || {
                let mut buffer = [0; 1];
                (&stream).read(&mut buffer).map(|_| buffer[0])
            });
            thread::sleep(Duration::from_millis(60));
            peer.write_all(b"x").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), b'x');
        });
    });
}
