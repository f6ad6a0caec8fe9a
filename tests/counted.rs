//! `net::ReadCounted` and `net::WriteCounted`: however a transfer is cut short, its count is what was transferred.

mod support;

use dormouse::net::{ReadCounted, TcpListener, TcpStream, WriteCounted};
use dormouse::os::unix::net::UnixStream;
use dormouse::{Builder, cancel, spawn_local, thread, time};
use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;
use support::{Random, bounded, is_cancelled, run};

const SOON: Duration = Duration::from_millis(2);

/// More than any buffer of the kernel's holds.
const MUCH: usize = 16 << 20;

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

/// What the peer has got of what was written so far.
fn arrived(mut theirs: impl Read) -> usize {
    let mut all = Vec::new();
    theirs.read_to_end(&mut all).unwrap();
    assert!(all.iter().enumerate().all(|(at, byte)| *byte == pattern(at)));
    all.len()
}

#[test]
fn a_write_that_a_timeout_ends() {
    everywhere(|| {
        let message = message(MUCH);
        let (mut ours, theirs) = tcp();
        let mut count = 0;
        for _ in 0..3 {
            let late = time::timeout(SOON, || ours.write_all_counted(&message, &mut count));
            assert!(late.is_err() && 0 < count && count < MUCH);
        }
        drop(ours);
        assert_eq!(arrived(theirs), count);
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut count = 0;
        let late = time::timeout(SOON, || (&mut &ours).write_all_counted(&message, &mut count));
        assert!(late.is_err() && 0 < count && count < MUCH);
        ours.write_all_counted(&message[..count], &mut count).unwrap();
        drop(ours);
        assert_eq!(arrived(theirs), count);
    });
}

#[test]
fn a_transfer_that_a_timeout_of_the_stream_ends() {
    everywhere(|| {
        let message = message(MUCH);
        let (mut ours, mut theirs) = tcp();
        ours.set_write_timeout(Some(SOON)).unwrap();
        theirs.set_read_timeout(Some(SOON)).unwrap();
        let mut sent = 0;
        let error = ours.write_all_counted(&message, &mut sent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let (mut buffer, mut got) = (vec![0; MUCH], 0);
        let error = theirs.read_exact_counted(&mut buffer, &mut got).unwrap_err();
        assert_eq!((error.kind(), got), (ErrorKind::WouldBlock, sent));
        assert_eq!(buffer[..got], message[..got]);
    });
}

/// What is known of a count outside of its coroutine.
struct Tells<'a>(&'a mut usize, Rc<Cell<usize>>);

impl Drop for Tells<'_> {
    fn drop(&mut self) {
        self.1.set(*self.0);
    }
}

#[test]
fn a_transfer_that_a_cancel_ends() {
    bounded(60, || {
        run(|| {
            let (mut ours, mut theirs) = tcp();
            let (sent, got) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let (counts, reads) = (Rc::clone(&sent), Rc::clone(&got));
            let writer = spawn_local(move || {
                let (mut count, message) = (0, message(MUCH));
                let tells = Tells(&mut count, counts);
                ours.write_all_counted(&message, tells.0).unwrap();
            });
            thread::sleep(SOON);
            writer.cancel();
            assert!(is_cancelled(&writer.join()));
            let reader = spawn_local(move || {
                let mut all = vec![0; MUCH];
                let mut count = 0;
                let error = theirs.read_exact_counted(&mut all, &mut count).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                reads.set(count);
            });
            reader.join().unwrap();
            assert!(sent.get() > 0);
            assert_eq!(got.get(), sent.get());
        });
    });
}

#[test]
fn a_transfer_where_errors_are_asked_for() {
    everywhere(|| {
        let (mut ours, theirs) = tcp();
        let (message, mut count, mut kind) = (message(MUCH), 0, None);
        let late = time::timeout(SOON, || {
            let ended = cancel::as_errors(|| ours.write_all_counted(&message, &mut count));
            kind = Some(ended.unwrap_err().kind());
            thread::sleep(Duration::from_secs(3600));
        });
        assert!(late.is_err());
        assert_eq!(kind, Some(ErrorKind::Other));
        drop(ours);
        assert_eq!(arrived(theirs), count);
    });
}

#[test]
fn a_peer_that_goes_is_an_error_with_a_count() {
    everywhere(|| {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"abc").unwrap();
        drop(theirs);
        let (mut buffer, mut count) = ([0; 8], 0);
        let error = ours.read_exact_counted(&mut buffer, &mut count).unwrap_err();
        assert_eq!((error.kind(), count), (ErrorKind::UnexpectedEof, 3));
        let error = ours.write_all_counted(b"abc", &mut 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        // What is there already is not asked for.
        ours.read_exact_counted(&mut buffer[..3], &mut count).unwrap();
        ours.write_all_counted(b"abc", &mut 3).unwrap();
    });
}

/// Both ends are cut short again and again, each by timeouts of its own, and every byte arrives once.
#[test]
fn cut_short_at_random_every_byte_arrives_once() {
    for workers in [1, 2] {
        bounded(60, move || {
            let body = move || {
                let (mut ours, mut theirs) = tcp();
                let message = Rc::new(message(4 << 20));
                let whole = Rc::clone(&message);
                let cuts = Rc::new(RefCell::new((0, 0)));
                let counts = Rc::clone(&cuts);
                let writer = spawn_local(move || {
                    let (mut random, mut count) = (Random(11), 0);
                    while count < whole.len() {
                        let limit = Duration::from_micros(random.below(400));
                        match time::timeout(limit, || ours.write_all_counted(&whole, &mut count)) {
                            Ok(written) => written.unwrap(),
                            Err(_) => counts.borrow_mut().0 += 1,
                        }
                    }
                });
                let (mut random, mut got) = (Random(13), vec![0; message.len()]);
                let mut count = 0;
                while count < got.len() {
                    let limit = Duration::from_micros(random.below(300));
                    match time::timeout(limit, || theirs.read_exact_counted(&mut got, &mut count)) {
                        Ok(read) => read.unwrap(),
                        Err(_) => cuts.borrow_mut().1 += 1,
                    }
                    if random.below(3) == 0 {
                        thread::sleep(Duration::from_micros(500));
                    }
                }
                writer.join().unwrap();
                assert!(got == **message, "other bytes than were sent");
                let (writes, reads) = *cuts.borrow();
                assert!(writes > 0 && reads > 0, "{writes} {reads}");
            };
            Builder::new().workers(workers).run(body).unwrap();
        });
    }
}
