//! Peers that are too slow: cut off after a window of waiting, and only those.

mod support;

use bytes::BytesMut;
use dormouse::net::{self, BufReader, BufWriter, MinRate, Stream, TcpListener, TcpStream, WriteCounted};
use dormouse::os::unix::net::UnixStream;
use dormouse::{spawn, thread};
use std::io::{BufRead, ErrorKind, Read, Result, Write};
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

/// Reads to the end, and says how many bytes there were.
type Reads = fn(TcpStream) -> usize;

#[test]
fn who_is_fast_enough_may_take_any_number_of_windows() {
    let reads: [Reads; 4] = [
        |mut stream| stream.read_to_end(&mut Vec::new()).unwrap(),
        |stream| BufReader::new(stream).lines().map(|line| line.unwrap().len() + 1).sum(),
        |stream| {
            let mut all = BytesMut::new();
            loop {
                all.reserve(100);
                if stream.read_buf(&mut all).unwrap() == 0 {
                    return all.len();
                }
            }
        },
        |stream| {
            let (to, mut rest) = UnixStream::pair().unwrap();
            let count = net::copy(&stream, &to).unwrap();
            drop(to);
            assert_eq!(rest.read_to_end(&mut Vec::new()).unwrap(), count as usize);
            count as usize
        },
    ];
    bounded(20, move || {
        run(|| {
            let all = reads.map(|read| {
                let (stream, mut peer) = pair();
                stream.set_min_read_rate(hundred_in(2000));
                std::thread::spawn(move || {
                    for _ in 0..100 {
                        std::thread::sleep(Duration::from_millis(45));
                        peer.write_all(&[b'\n'; 50]).unwrap();
                    }
                });
                spawn(move || read(stream))
            });
            assert_eq!(all.map(|reader| reader.join().unwrap()), [100 * 50; 4]);
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

/// Sends all of a message.
type Writes = fn(UnixStream, &[u8]);

#[test]
fn a_peer_that_takes_its_time_but_takes_enough_gets_everything() {
    let writes: [Writes; 6] = [
        |mut stream, message| stream.write_all(message).unwrap(),
        |mut stream, message| stream.write_all_counted(message, &mut 0).unwrap(),
        |stream, message| BufWriter::new(stream).write_all(message).unwrap(),
        |stream, message| stream.write_all_buf(&mut &*message).unwrap(),
        |stream, message| {
            let mut file = tempfile();
            file.write_all(message).unwrap();
            assert_eq!(stream.send_file(&file, 0, u64::MAX).unwrap(), message.len() as u64);
        },
        |stream, message| {
            let (mut from, middle) = UnixStream::pair().unwrap();
            let proxy = spawn(move || net::copy(&middle, &stream).unwrap());
            from.write_all(message).unwrap();
            drop(from);
            assert_eq!(proxy.join().unwrap(), message.len() as u64);
        },
    ];
    bounded(30, move || {
        run(|| {
            let all = writes.map(|write| {
                let (stream, peer) = UnixStream::pair().unwrap();
                let mut peer = std::os::unix::net::UnixStream::from(peer);
                stream.set_min_write_rate(hundred_in(2000));
                let writer = spawn(move || write(stream, &vec![1; 2 << 20]));
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
                (writer, reader)
            });
            for (writer, reader) in all {
                writer.join().unwrap();
                assert_eq!(reader.join().unwrap(), 2 << 20);
            }
        });
    });
}

/// A file that no one else can name.
fn tempfile() -> std::fs::File {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("min-rate-{}", std::process::id()));
    let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
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
