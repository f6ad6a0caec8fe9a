//! `net::BufReader` and `net::BufWriter`: the same bytes as std's, and no memory while there is nothing in it; and the
//! data of `bytes`.

#[path = "net_support/mod.rs"]
mod support;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dormouse::net::{BufReader, BufWriter, Stream, TcpListener, TcpStream};
use dormouse::os::unix::net::UnixStream;
use std::io::{self, BufRead, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use support::{Random, bounded, expires, in_three_settings, ms, resident, run, settle};

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

fn bytes(count: usize) -> Vec<u8> {
    let mut random = Random(count as u64 | 1);
    (0..count).map(|_| random.below(256) as u8).collect()
}

#[test]
fn reads_of_any_size_give_what_std_gives() {
    in_three_settings(|setting| {
        for capacity in [0, 1, 7, 4096, 8192, 300_000] {
            let (mut ours, theirs) = tcp_pair();
            let expected = bytes(if capacity < 4096 { 5_000 } else { 400_000 });
            let sent = expected.clone();
            let writer = setting.client(move || {
                let mut random = Random(3);
                let mut rest = &sent[..];
                while !rest.is_empty() {
                    let count = rest.len().min(1 + random.below(20_000) as usize);
                    ours.write_all(&rest[..count]).unwrap();
                    rest = &rest[count..];
                }
            });
            let reader = setting.server(move || {
                let (mut reader, mut random, mut got) =
                    (BufReader::with_capacity(capacity, theirs), Random(9), Vec::new());
                loop {
                    let mut piece = vec![0; random.below(10_000) as usize];
                    let count = match random.below(4) {
                        0 => {
                            let middle = random.below(3) as usize % (1 + piece.len());
                            let (one, two) = piece.split_at_mut(middle);
                            reader.read_vectored(&mut [IoSliceMut::new(one), IoSliceMut::new(two)]).unwrap()
                        }
                        1 => {
                            let some = reader.fill_buf().unwrap();
                            let count = some.len().min(piece.len());
                            piece[..count].copy_from_slice(&some[..count]);
                            reader.consume(count);
                            count
                        }
                        2 if reader.buffer().len() < reader.capacity() => {
                            let before = reader.buffer().to_vec();
                            let more = reader.read_more().unwrap();
                            assert_eq!(reader.buffer().len(), before.len() + more);
                            assert_eq!(reader.buffer()[..before.len()], before);
                            0
                        }
                        _ => reader.read(&mut piece).unwrap(),
                    };
                    got.extend_from_slice(&piece[..count]);
                    if count == 0 && reader.fill_buf().unwrap().is_empty() {
                        return got;
                    }
                }
            });
            assert!(reader.join() == expected, "capacity {capacity}");
            writer.join();
        }
    });
}

#[test]
fn a_full_buffer_is_told_and_kept() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut reader = BufReader::with_capacity(4, &ours);
    theirs.write_all(b"abcdef").unwrap();
    assert_eq!(reader.read_more().unwrap(), 4);
    assert_eq!(reader.read_more().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(reader.buffer(), b"abcd");
    reader.consume(3);
    assert_eq!((reader.read_more().unwrap(), reader.buffer()), (2, &b"def"[..]));
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!((reader.read_more().unwrap(), reader.buffer()), (0, &b"def"[..]));
    reader.consume(99);
    assert!(reader.fill_buf().unwrap().is_empty());
}

#[test]
fn nothing_is_lost_by_a_timeout_or_a_cancellation() {
    bounded(|| {
        run(|| {
            let (ours, mut theirs) = tcp_pair();
            ours.set_read_timeout(Some(ms(20))).unwrap();
            let mut reader = BufReader::new(&ours);
            expires(ms(20), || reader.fill_buf().map(<[u8]>::len));
            theirs.write_all(b"head").unwrap();
            assert_eq!(reader.fill_buf().unwrap(), b"head");
            expires(ms(20), || reader.read_more());
            assert_eq!(reader.buffer(), b"head");
            ours.set_read_timeout(None).unwrap();

            let shared = Arc::new(dormouse::sync::Mutex::new(BufReader::new(ours)));
            let waiting = dormouse::spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let mut reader = shared.lock().unwrap();
                    reader.fill_buf().unwrap();
                    reader.read_more().unwrap()
                }
            });
            theirs.write_all(b"more").unwrap();
            settle();
            waiting.cancel();
            assert!(waiting.join().unwrap_err().is::<dormouse::Cancelled>());
            let mut reader = shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            assert_eq!(reader.buffer(), b"more");
            theirs.write_all(b" to come").unwrap();
            reader.read_more().unwrap();
            assert_eq!(reader.buffer(), b"more to come");
        });
    });
}

#[test]
fn connections_that_wait_hold_no_buffer() {
    const CONNECTIONS: usize = 300;
    const CAPACITY: usize = 64 << 10;
    bounded(|| {
        run(|| {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                let (ours, theirs) = UnixStream::pair().unwrap();
                let server = dormouse::spawn(move || {
                    let mut reader = BufReader::with_capacity(CAPACITY, &ours);
                    let mut writer = BufWriter::with_capacity(CAPACITY, &ours);
                    let mut line = String::new();
                    while reader.read_line(&mut line).unwrap() > 0 {
                        writer.write_all(line.as_bytes()).unwrap();
                        writer.flush().unwrap();
                        line.clear();
                    }
                });
                connections.push((theirs, server));
            }
            settle();
            let before = resident();
            let message = format!("{}\n", "x".repeat(50_000));
            for (theirs, _) in &mut connections {
                theirs.write_all(message.as_bytes()).unwrap();
                let mut answer = vec![0; message.len()];
                theirs.read_exact(&mut answer).unwrap();
                assert!(answer == message.as_bytes());
            }
            settle();
            let grown = resident().saturating_sub(before);
            // Lines of 50,000 bytes are the users' own here; of 64 KiB for each there would be 39 MB more.
            let own = CONNECTIONS * 50_000;
            assert!(grown < own + CONNECTIONS * CAPACITY / 2, "{grown} bytes");
            for (theirs, server) in connections {
                drop(theirs);
                server.join().unwrap();
            }
        });
    });
}

#[test]
fn writes_of_any_size_arrive_in_order() {
    in_three_settings(|setting| {
        for capacity in [0, 1, 100, 8192] {
            let (ours, mut theirs) = tcp_pair();
            let expected = bytes(300_000);
            let sent = expected.clone();
            let writer = setting.client(move || {
                let (mut writer, mut random, mut rest) =
                    (BufWriter::with_capacity(capacity, ours), Random(5), &sent[..]);
                while !rest.is_empty() {
                    let count = rest.len().min(random.below(12_000) as usize);
                    let (one, two) = rest[..count].split_at(random.below(1 + count as u64) as usize);
                    let taken = match random.below(3) {
                        0 => writer.write(&rest[..count]).unwrap(),
                        1 => writer.write_vectored(&[IoSlice::new(one), IoSlice::new(&[]), IoSlice::new(two)]).unwrap(),
                        _ => {
                            writer.flush().unwrap();
                            assert!(writer.buffer().is_empty());
                            0
                        }
                    };
                    assert!(taken > 0 || count == 0 || writer.buffer().is_empty());
                    rest = &rest[taken..];
                }
                match random.below(2) {
                    0 => drop(writer),
                    _ => drop(writer.into_inner().unwrap()),
                }
            });
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).unwrap();
            assert!(got == expected, "capacity {capacity}");
            writer.join();
        }
    });
}

#[test]
fn what_does_not_fit_goes_together_with_what_is_there() {
    // A datagram-like socket would show it; here one receive does, since nothing else is sent in between.
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut writer = BufWriter::with_capacity(10, &ours);
    writer.write_all(b"head").unwrap();
    assert_eq!(writer.buffer(), b"head");
    assert_eq!(writer.write(b"a body that is long").unwrap(), 19);
    assert!(writer.buffer().is_empty());
    let mut got = [0; 64];
    assert_eq!(theirs.read(&mut got).unwrap(), 23);
    assert_eq!(&got[..23], b"heada body that is long");
}

#[test]
fn an_error_keeps_what_was_not_sent() {
    in_three_settings(|_| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_write_timeout(Some(ms(20))).unwrap();
        while (&ours).write(&[7; 100_000]).is_ok() {}
        let mut writer = BufWriter::new(&ours);
        writer.write_all(b"kept").unwrap();
        expires(ms(20), || writer.flush());
        assert_eq!(writer.buffer(), b"kept");
        let error = writer.into_inner().unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::WouldBlock);
        drop(theirs);
        let mut writer = error.into_inner();
        assert_eq!(writer.buffer(), b"kept");
        assert_eq!(writer.flush().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_drop_flushes_and_neither_cancellation_nor_panic_turns_it_into_an_abort() {
    bounded(|| {
        run(|| {
            // In a panic: what there is room for goes.
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let mut writer = BufWriter::new(ours);
                writer.write_all(b"last words").unwrap();
                std::panic::resume_unwind(Box::new("a panic"));
            }));
            assert!(unwound.is_err());
            let mut text = String::new();
            theirs.read_to_string(&mut text).unwrap();
            assert_eq!(text, "last words");

            // Cancelled while the drop itself waits for room: goes on behind the drop, up to the next park.
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let full = fill(&ours);
            let (reached, seen) = std::sync::mpsc::channel();
            let dropping = dormouse::spawn(move || {
                let mut writer = BufWriter::new(ours);
                writer.write_all(b"too much").unwrap();
                drop(writer);
                reached.send("behind the drop").unwrap();
                dormouse::thread::park();
                reached.send("behind the park").unwrap();
            });
            settle();
            assert!(seen.try_recv().is_err(), "it waits");
            dropping.cancel();
            assert!(dropping.join().unwrap_err().is::<dormouse::Cancelled>());
            assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["behind the drop"]);
            assert_eq!(count_rest(&mut theirs), full);
        });
    });
}

/// Writes until there is no room; gives how many bytes that took.
fn fill(stream: &UnixStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut total = 0;
    for size in [100_000, 1] {
        while let Ok(count) = (&*stream).write(&vec![1; size]) {
            total += count;
        }
    }
    stream.set_nonblocking(false).unwrap();
    total
}

fn count_rest(stream: &mut UnixStream) -> usize {
    io::copy(stream, &mut io::sink()).unwrap() as usize
}

#[test]
fn frozen_bytes_outlive_the_reader_and_the_worker() {
    let frozen = bounded(|| {
        run(|| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let mut reader = BufReader::new(ours);
            theirs.write_all(b"x first").unwrap();
            reader.fill_buf().unwrap();
            reader.consume(2);
            let first = reader.freeze();
            assert!(reader.freeze().is_empty());
            theirs.write_all(b"second").unwrap();
            assert_eq!(reader.fill_buf().unwrap(), b"second");
            assert_eq!(first, "first");
            first
        })
    });
    assert_eq!(frozen, "first");
    assert_eq!(std::thread::spawn(move || frozen.slice(1..3)).join().unwrap(), "ir");
}

#[test]
fn bytes_go_in_and_out_without_a_copy() {
    in_three_settings(|setting| {
        let (ours, theirs) = tcp_pair();
        let expected = bytes(500_000);
        let sent = Bytes::from(expected.clone());
        let writer = setting.client(move || {
            // 100 pieces: more than go in one call.
            let mut pieces: Box<dyn Buf + Send> = Box::new(Bytes::new());
            for piece in sent.chunks(5_000) {
                pieces = Box::new(pieces.chain(sent.slice_ref(piece)));
            }
            ours.write_all_buf(&mut pieces).unwrap();
            assert!(!pieces.has_remaining());
            assert_eq!(ours.write_buf(&mut pieces).unwrap(), 0);
        });
        let mut got = BytesMut::new();
        loop {
            got.reserve(30_000);
            let before = got.len();
            let count = theirs.read_buf(&mut got).unwrap();
            assert_eq!(got.len(), before + count);
            if count == 0 {
                break;
            }
        }
        assert!(got == expected);
        let mut none = (&mut [0u8; 0][..]).limit(0);
        assert_eq!(theirs.read_buf(&mut none).unwrap(), 0);
        writer.join();
    });
}

#[test]
fn lists_of_buffers_are_written_whole() {
    in_three_settings(|setting| {
        let (ours, mut theirs) = tcp_pair();
        let expected = bytes(3_000 * 100);
        let sent = expected.clone();
        let writer = setting.client(move || {
            // More than the kernel takes in one call, with empty ones in between.
            let mut bufs: Vec<_> =
                sent.chunks(100).flat_map(|chunk| [IoSlice::new(&[]), IoSlice::new(chunk)]).collect();
            ours.write_all_vectored(&mut bufs).unwrap();
            ours.write_all_vectored(&mut [IoSlice::new(&[])]).unwrap();
        });
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).unwrap();
        assert!(got == expected);
        writer.join();
    });
}

#[test]
fn a_cork_holds_back_what_is_no_whole_segment() {
    let (one, two) = tcp_pair();
    assert!(!one.cork().unwrap());
    one.set_cork(true).unwrap();
    assert!(one.cork().unwrap());
    (&one).write_all(b"head").unwrap();
    two.set_read_timeout(Some(ms(20))).unwrap();
    expires(ms(20), || (&two).read(&mut [0]));
    one.set_cork(false).unwrap();
    two.set_read_timeout(None).unwrap();
    (&two).read_exact(&mut [0; 4]).unwrap();
}
