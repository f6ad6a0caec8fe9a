//! Streams in three settings: every byte arrives once and in order, whatever moves it and whoever waits.
mod tcp_settings;

use dormouse::net::TcpStream;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use tcp_settings::*;

/// Sends messages of many sizes and expects each one back.
fn talk(mut stream: impl Read + Write, seed: u64, rounds: u64) {
    let mut random = Random(seed + 1);
    for round in 0..rounds {
        let sent = pattern_bytes(seed ^ round << 32, 0, 1 + random.below(3000) as usize);
        stream.write_all(&sent).unwrap();
        let mut back = vec![0; sent.len()];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, sent);
    }
}

#[test]
fn clients_of_both_libraries_hear_their_echo() {
    const CLIENTS: u64 = 40;
    in_three_settings(|on| {
        let (listener, addr) = listener();
        let servers = on.server(move || {
            let streams = listener.incoming().take(CLIENTS as usize + 1).map(|stream| stream.unwrap());
            streams.map(|stream| on.server(move || echo(&stream))).collect::<Vec<_>>()
        });
        let client = |seed| on.client(move || talk(TcpStream::connect(addr).unwrap(), seed, 10));
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        aside(move || talk(std::net::TcpStream::connect(addr).unwrap(), CLIENTS, 10));
        clients.into_iter().for_each(Started::join);
        servers.join().into_iter().for_each(|server| server.join().unwrap());
    });
}

/// A reader and a writer on each end, all four on `&TcpStream`.
#[test]
fn both_directions_of_both_ends_at_once() {
    const LEN: usize = 2 << 20;
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let (server, client) = (Arc::new(server), Arc::new(client));
        let (a, b, c, d) = (Arc::clone(&server), Arc::clone(&client), server, client);
        let all = [
            on.server(move || {
                send_pattern(&*a, 1, LEN, 300_000);
                a.shutdown(Shutdown::Write).unwrap();
            }),
            on.client(move || send_pattern(&*b, 2, LEN, 10_000)),
            on.client(move || receive_pattern(&*c, 2, LEN, 70_000)),
            on.server(move || {
                receive_pattern(&*d, 1, LEN, 1000);
                assert_eq!((&*d).read(&mut [0]).unwrap(), 0);
            }),
        ];
        all.into_iter().for_each(Started::join);
    });
}

/// Takes little at a time, and now and then nothing for a while.
struct Slow(TcpStream);

impl Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        dormouse::thread::yield_now();
        let len = buf.len().min(20_000);
        let n = self.0.read(&mut buf[..len])?;
        if n.is_multiple_of(7) {
            dormouse::thread::sleep(ms(1));
        }
        Ok(n)
    }
}

#[test]
fn a_write_of_8_mib_waits_for_a_slow_reader() {
    const LEN: usize = 8 << 20;
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let filled = fill(&client);
        let bytes = pattern_bytes(3, 0, LEN);
        let writer = waiting(on.client, move || (&client).write_all(&bytes).unwrap());
        let reader = on.server(move || {
            let mut slow = Slow(server);
            let mut first = vec![0; filled];
            slow.read_exact(&mut first).unwrap();
            assert!(first.iter().all(|&byte| byte == b'f'));
            receive_pattern(&mut slow, 3, LEN, 64 << 10);
            assert_eq!(slow.read(&mut [0]).unwrap(), 0);
        });
        writer.join();
        reader.join();
    });
}

#[test]
fn vectored_calls_wait_and_move_every_byte() {
    const LEN: usize = 2 << 20;
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let reader = waiting(on.server, move || {
            let (mut got, mut random) = (0, Random(5));
            while got < LEN {
                let bytes = read_sliced(&server, random.below(2000) as usize, 70_000).unwrap();
                assert!(!bytes.is_empty());
                check_pattern(2, got, &bytes);
                got += bytes.len();
            }
            server
        });
        let writer = on.client(move || {
            send_sliced(&client, LEN);
            client
        });
        let (server, client) = (reader.join(), writer.join());
        // Nothing came twice, and a full stream lets a vectored write wait, too.
        server.set_nonblocking(true).unwrap();
        assert_eq!((&server).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        server.set_nonblocking(false).unwrap();
        let filled = fill(&client);
        let writer = waiting(on.client, move || send_sliced(&client, LEN));
        let reader = on.server(move || {
            (&server).read_exact(&mut vec![0; filled]).unwrap();
            receive_pattern(&server, 2, LEN, 50_000);
        });
        writer.join();
        reader.join();
    });
}

/// Sends `len` bytes of message 2 with vectored writes.
fn send_sliced(mut to: &TcpStream, len: usize) {
    let mut sent = 0;
    while sent < len {
        let bytes = pattern_bytes(2, sent, 300_000.min(len - sent));
        sent += to.write_vectored(&sliced(&bytes)).unwrap();
    }
    assert_eq!(sent, len);
}

/// The kernel takes 1024 buffers; std cuts longer lists, and so do we.
#[test]
fn longer_lists_of_buffers_than_the_kernel_takes_are_cut() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let reader = waiting(on.server, move || {
            server.peek(&mut [0]).unwrap();
            let mut bytes = [0; 3000];
            let mut bufs: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
            let n = (&server).read_vectored(&mut bufs).unwrap();
            (n, bytes[0], bytes[1023], bytes[1024])
        });
        let writer = on.client(move || {
            assert_eq!((&client).write_vectored(&[IoSlice::new(b"ab"); 3000]).unwrap(), 2048);
            client
        });
        assert_eq!(reader.join(), (1024, b'a', b'b', 0));
        writer.join();
    });
}

/// Peeking takes nothing, so that one arrival is enough for all who peek and for the one who reads.
#[test]
fn all_who_peek_see_what_one_then_reads() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = Arc::new(server);
        for round in 0..3u8 {
            let peek = |n: usize| {
                let server = Arc::clone(&server);
                waiting(on.kind(n), move || {
                    let mut buf = [0; 8];
                    let len = if n < 4 { 8 } else { 2 };
                    let peeked = server.peek(&mut buf[..len]).unwrap();
                    (buf, peeked)
                })
            };
            let peekers: Vec<_> = (0..6).map(peek).collect();
            (&client).write_all(&[round; 5]).unwrap();
            for (n, peeker) in peekers.into_iter().enumerate() {
                let (buf, peeked) = peeker.join();
                assert_eq!(peeked, if n < 4 { 5 } else { 2 });
                assert_eq!(buf[..peeked], [round; 5][..peeked]);
            }
            let mut buf = [0; 8];
            assert_eq!((&*server).read(&mut buf).unwrap(), 5);
            assert_eq!(buf[..5], [round; 5]);
        }
        let reader = Arc::clone(&server);
        let ended = waiting(on.server, move || reader.peek(&mut [0]).unwrap());
        drop(client);
        assert_eq!(ended.join(), 0);
    });
}

#[test]
fn each_direction_ends_on_its_own() {
    const LEN: usize = 3 << 20;
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = waiting(on.server, move || {
            let mut question = String::new();
            (&server).read_to_string(&mut question).unwrap();
            assert_eq!(question, "question");
            assert_eq!((&server).read(&mut [0]).unwrap(), 0, "the end is there to stay");
            send_pattern(&server, 5, LEN, LEN);
            server.shutdown(Shutdown::Write).unwrap();
            let error = (&server).write(b"x").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            server
        });
        let client = on.client(move || {
            (&client).write_all(b"question").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!((&client).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!((&client).write_vectored(&sliced(b"x")).unwrap_err().kind(), ErrorKind::BrokenPipe);
            receive_pattern(&client, 5, LEN, 50_000);
            assert_eq!((&client).read(&mut [0]).unwrap(), 0);
            client
        });
        server.join();
        client.join();
    });
}

#[test]
fn the_reading_half_closes_and_the_writing_one_goes_on() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = on.server(move || {
            server.shutdown(Shutdown::Read).unwrap();
            assert_eq!((&server).read(&mut [0]).unwrap(), 0);
            assert_eq!(server.peek(&mut [0]).unwrap(), 0);
            (&server).write_all(b"still here").unwrap();
        });
        let client = on.client(move || {
            let mut text = String::new();
            (&client).read_to_string(&mut text).unwrap();
            assert_eq!(text, "still here");
        });
        server.join();
        client.join();
    });
}

/// What calls without bytes answer on a non-blocking stream: idle, with data, after the end, and closed for writing.
fn empty_calls(mut stream: impl Stream, mut peer: std::net::TcpStream) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut ask = |stream: &mut dyn Stream| {
        answers.push(answer(stream.read(&mut [])));
        answers.push(answer(stream.peek(&mut [])));
        answers.push(answer(stream.read_vectored(&mut [])));
        answers.push(answer(stream.read_vectored(&mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])])));
        answers.push(answer(stream.write(&[])));
        answers.push(answer(stream.write_vectored(&[])));
        answers.push(answer(stream.write_vectored(&[IoSlice::new(&[]), IoSlice::new(&[])])));
    };
    ask(&mut stream);
    peer.write_all(b"x").unwrap();
    wait_until(|| stream.peek(&mut [0]).is_ok());
    ask(&mut stream);
    stream.read_exact(&mut [0]).unwrap();
    drop(peer);
    wait_until(|| stream.peek(&mut [0]).is_ok());
    ask(&mut stream);
    stream.shutdown(Shutdown::Write).unwrap();
    ask(&mut stream);
    answers
}

#[test]
fn calls_without_bytes_answer_as_in_std() {
    in_three_settings(|on| {
        let (ours, peer) = pair();
        ours.set_nonblocking(true).unwrap();
        let by_ours = on.server(move || empty_calls(ours, peer)).join();
        let (std, peer) = std_pair();
        std.set_nonblocking(true).unwrap();
        let by_std = aside(move || empty_calls(std, peer));
        assert_eq!(by_ours, by_std);
        assert_eq!(by_std[0], Err(Some(libc::EAGAIN)), "this test sees a difference between empty calls");
    });
}

/// As in std: nothing to read and no room for it either is still nothing to read.
#[test]
fn an_empty_read_waits_for_data_and_takes_none() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let reader = waiting(on.server, move || {
            assert_eq!((&server).read(&mut []).unwrap(), 0);
            let mut byte = [0];
            (&server).read_exact(&mut byte).unwrap();
            byte
        });
        assert_eq!((&client).write(&[]).unwrap(), 0);
        assert_eq!((&client).write_vectored(&sliced(&[])).unwrap(), 0);
        if on.is_all_coroutines() {
            settle();
        }
        assert!(!reader.is_over(), "no bytes are no data");
        on.client(move || (&client).write_all(b"x").map(|()| client).unwrap()).join();
        assert_eq!(reader.join(), *b"x");
    });
}

/// As the kernel's blocking write does, which programs that ignore the count rely on.
#[test]
fn one_write_sends_all_however_slow_the_reader() {
    const LEN: usize = 8 << 20;
    in_three_settings(|setting| {
        for vectored in [false, true] {
            let (ours, theirs) = own_pair();
            let writer = setting.server(move || {
                let bytes = pattern_bytes(5, 0, LEN);
                if !vectored {
                    return (&ours).write(&bytes).unwrap();
                }
                let (first, rest) = bytes.split_at(1_234_567);
                let bufs = [IoSlice::new(b""), IoSlice::new(first), IoSlice::new(rest)];
                (&ours).write_vectored(&bufs).unwrap()
            });
            let reader = setting.client(move || receive_pattern(&theirs, 5, LEN, 50_000));
            assert_eq!(writer.join(), LEN);
            reader.join();
        }
    });
}
