//! `net::BufWriter` and the writes of `net::Stream`, cut short by timeouts, cancels, errors and panics: nothing is sent twice,
//! nothing is left out, and what was taken is known.

mod support;

use bytes::{Buf, Bytes};
use dormouse::net::{BufWriter, Stream, TcpListener, TcpStream, WriteCounted};
use dormouse::os::unix::net::UnixStream;
use dormouse::{no_park, thread, time};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;
use support::{bounded, run};

const SOON: Duration = Duration::from_millis(2);

/// More than the kernel's buffers of a Unix stream, and of most TCP streams, hold.
const MUCH: usize = 12 << 20;

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

/// A byte that tells its place.
fn pattern(at: usize) -> u8 {
    (at * 31 % 251) as u8
}

fn message(length: usize) -> Vec<u8> {
    (0..length).map(pattern).collect()
}

/// Runs `body` as a coroutine, and on a plain thread.
fn everywhere(body: fn()) {
    bounded(60, move || run(body));
    bounded(60, body);
}

/// Reads to the end on a thread; gives how many bytes of the pattern there were, and nothing else.
fn reader(mut theirs: impl Read + Send + 'static) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        assert!(all.iter().enumerate().all(|(at, byte)| *byte == pattern(at)), "twice, or not at all");
        all.len()
    })
}

fn joined(reader: std::thread::JoinHandle<usize>) -> usize {
    reader.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Flushes all of a message in many tries.
fn flushed_in_tries(ours: impl Stream, theirs: impl Read + Send + 'static) {
    let mut writer = BufWriter::with_capacity(MUCH, ours);
    writer.write_all(&message(MUCH)).unwrap();
    for _ in 0..3 {
        assert!(time::timeout(SOON, || writer.flush()).is_err());
        assert!((1..MUCH).contains(&writer.buffer().len()));
    }
    let reader = reader(theirs);
    writer.flush().unwrap();
    assert!(writer.buffer().is_empty());
    drop(writer);
    assert_eq!(joined(reader), MUCH);
}

#[test]
fn a_flush_that_a_timeout_ends_goes_on_where_it_was() {
    everywhere(|| {
        let (ours, theirs) = tcp();
        flushed_in_tries(ours, theirs);
        let (ours, theirs) = UnixStream::pair().unwrap();
        flushed_in_tries(ours, theirs);
    });
}

#[test]
fn a_flush_that_fails_goes_on_where_it_was() {
    everywhere(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_write_timeout(Some(SOON)).unwrap();
        let clone = ours.try_clone().unwrap();
        let mut writer = BufWriter::with_capacity(MUCH, ours);
        writer.write_all(&message(MUCH)).unwrap();
        for _ in 0..3 {
            assert_eq!(writer.flush().unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        clone.set_write_timeout(None).unwrap();
        drop(clone);
        let reader = reader(theirs);
        // Its Drop flushes.
        drop(writer);
        assert_eq!(joined(reader), MUCH);
    });
}

#[test]
fn what_a_counted_write_took_is_sent_by_the_next_flush() {
    everywhere(|| {
        let (ours, theirs) = tcp();
        let (mut writer, message, mut count) = (BufWriter::new(ours), message(MUCH), 0);
        writer.write_all(&message[..100]).unwrap();
        let rest = &message[100..];
        for _ in 0..3 {
            let late = time::timeout(SOON, || writer.write_all_counted(rest, &mut count));
            assert!(late.is_err() && 0 < count && count < rest.len());
        }
        let reader = reader(theirs);
        writer.write_all_counted(rest, &mut count).unwrap();
        drop(writer);
        assert_eq!((joined(reader), count), (MUCH, rest.len()));
    });
}

#[test]
fn data_of_bytes_keeps_what_was_not_sent() {
    everywhere(|| {
        let (ours, theirs) = tcp();
        let mut left = Bytes::from(message(MUCH)).chain(Bytes::from(message(0)));
        for _ in 0..3 {
            assert!(time::timeout(SOON, || ours.write_all_buf(&mut left)).is_err());
            assert!((1..MUCH).contains(&left.remaining()));
        }
        let reader = reader(theirs);
        ours.write_all_buf(&mut left).unwrap();
        drop(ours);
        assert_eq!(joined(reader), MUCH);
    });
}

/// The unwind's Drop sends what there is room for, from where the flush was.
#[test]
fn a_cancelled_flush_sends_nothing_twice() {
    bounded(60, || {
        run(|| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            // So that each write looks at the socket itself, in an unwind, too: others know it.
            let _ = ours.as_fd();
            let writing = dormouse::spawn(move || {
                let mut writer = BufWriter::with_capacity(MUCH, ours);
                writer.write_all(&message(MUCH)).unwrap();
                writer.flush().unwrap();
            });
            (0..300).for_each(|_| thread::yield_now());
            let mut all = vec![0; MUCH];
            let count = theirs.read(&mut all).unwrap();
            writing.cancel();
            assert!(support::is_cancelled(&writing.join()));
            all.truncate(count);
            theirs.read_to_end(&mut all).unwrap();
            assert!(all.len() < MUCH);
            assert!(all == message(all.len()));
        });
    });
}

fn fill(stream: &UnixStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut total = 0;
    for size in [100_000, 1] {
        while let Ok(count) = (&*stream).write(&vec![pattern(0); size]) {
            total += count;
        }
    }
    stream.set_nonblocking(false).unwrap();
    total
}

/// Where a wait would panic, and a panic in a Drop of an unwind would abort.
#[test]
fn a_drop_inside_no_park_does_not_wait() {
    bounded(60, || {
        run(|| {
            for (panics, has_room) in [(false, false), (false, true), (true, false), (true, true)] {
                let (ours, mut theirs) = UnixStream::pair().unwrap();
                let full = if has_room { 0 } else { fill(&ours) };
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    no_park(|| {
                        let mut writer = BufWriter::new(ours);
                        writer.write_all(b"last words").unwrap();
                        if panics {
                            resume_unwind(Box::new("a panic"));
                        }
                    });
                }));
                assert_eq!(ended.is_err(), panics);
                let mut all = Vec::new();
                theirs.read_to_end(&mut all).unwrap();
                assert_eq!(all.len(), full + if has_room { 10 } else { 0 }, "{panics} {has_room}");
            }
        });
    });
}

/// The drop is made by the very unwind that says that the time is over; or by a panic inside a timeout, which it then may not
/// outlast.
#[test]
fn a_drop_in_an_unwind_does_not_wait() {
    everywhere(|| {
        for (panics, has_room) in [(false, false), (true, false), (true, true)] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let full = if has_room { 0 } else { fill(&ours) };
            let ended = catch_unwind(AssertUnwindSafe(|| {
                time::timeout(SOON, || {
                    let mut writer = BufWriter::new(ours);
                    writer.write_all(b"last words").unwrap();
                    if panics {
                        resume_unwind(Box::new("a panic"));
                    }
                    writer.flush()
                })
            }));
            match ended {
                Ok(ended) => assert!(ended.is_err() && !panics),
                Err(_) => assert!(panics),
            }
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).unwrap();
            assert_eq!(all.len(), full + if has_room { 10 } else { 0 }, "{panics} {has_room}");
        }
    });
}

#[test]
fn empty_buffers_hide_no_full_one() {
    everywhere(|| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut writer = BufWriter::with_capacity(4, &ours);
        let mut bufs = vec![IoSlice::new(&[]); 2_000];
        bufs.push(IoSlice::new(b"behind "));
        assert_eq!(writer.write_vectored(&bufs).unwrap(), 7);
        writer.write_all(b"it").unwrap();
        assert_eq!(writer.write_vectored(&bufs).unwrap(), 7);
        ours.write_all_vectored(&mut bufs).unwrap();
        let mut text = [0; 23];
        theirs.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"behind itbehind behind ");
    });
}

#[test]
fn nothing_needs_no_room() {
    everywhere(|| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        fill(&ours);
        ours.set_write_timeout(Some(SOON)).unwrap();
        assert_eq!(ours.write_buf(&mut Bytes::from_static(b"x")).unwrap_err().kind(), ErrorKind::WouldBlock);
        ours.set_write_timeout(None).unwrap();
        assert_eq!(ours.write_buf(&mut Bytes::new()).unwrap(), 0);
        assert_eq!(BufWriter::new(&ours).write(b"").unwrap(), 0);
        BufWriter::new(&ours).flush().unwrap();
    });
}
