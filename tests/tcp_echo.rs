//! Echo servers of one coroutine per client, in plain blocking style.
mod tcp_support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::{spawn, spawn_local};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use tcp_support::*;

/// Serves for as long as the runtime lives.
fn serve(listener: TcpListener) {
    spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            spawn(move || echo(&stream));
        }
    });
}

/// Sends messages of many sizes and expects each one back.
fn talk(mut stream: impl Read + Write, seed: u64, rounds: u64) {
    let mut random = Random(seed + 1);
    for round in 0..rounds {
        let len = 1 + random.below(3000) as usize;
        let sent = pattern_bytes(seed ^ round << 32, 0, len);
        stream.write_all(&sent).unwrap();
        let mut back = vec![0; len];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, sent);
    }
}

fn echo_to_coroutines(workers: usize) {
    run_with(workers, || {
        let (listener, addr) = listener();
        serve(listener);
        let client = |seed| spawn(move || talk(TcpStream::connect(addr).unwrap(), seed, 20));
        let clients: Vec<_> = (0..100).map(client).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

#[test]
fn a_hundred_coroutines_talk_to_a_hundred_on_one_worker() {
    echo_to_coroutines(1);
}

#[test]
fn a_hundred_coroutines_talk_to_a_hundred_on_two_workers() {
    echo_to_coroutines(2);
}

fn echo_to_threads(workers: usize) {
    run_with(workers, || {
        let (listener, addr) = listener();
        serve(listener);
        let done = Channel::new();
        for seed in 0..8 {
            let done = Arc::clone(&done);
            std::thread::spawn(move || {
                talk(std::net::TcpStream::connect(addr).unwrap(), seed, 50);
                talk(TcpStream::connect(addr).unwrap(), seed, 50);
                done.send(());
            });
        }
        (0..8).for_each(|_| done.recv());
    });
}

#[test]
fn plain_threads_talk_to_coroutines_on_one_worker() {
    echo_to_threads(1);
}

#[test]
fn plain_threads_talk_to_coroutines_on_two_workers() {
    echo_to_threads(2);
}

#[test]
fn coroutines_of_the_default_runtime_serve_plain_threads() {
    bounded(|| {
        let (listener, addr): (_, SocketAddr) = listener();
        let server = spawn(move || echo(&listener.accept().unwrap().0));
        talk(TcpStream::connect(addr).unwrap(), 7, 100);
        server.join().unwrap().unwrap();
    });
}

#[test]
fn a_message_larger_than_all_buffers_comes_back() {
    const LEN: usize = 8 << 20;
    run_with(1, || {
        let (server, client) = own_pair();
        let client = Arc::new(client);
        spawn(move || echo(&server));
        let writer = Arc::clone(&client);
        let writer = spawn(move || {
            send_pattern(&*writer, 1, LEN, 1 << 20);
            writer.shutdown(Shutdown::Write).unwrap();
        });
        receive_pattern(&*client, 1, LEN, 100_000);
        assert_eq!((&*client).read(&mut [0]).unwrap(), 0);
        writer.join().unwrap();
    });
}

#[test]
fn vectored_calls_park_and_move_every_byte() {
    const LEN: usize = 2 << 20;
    run_with(1, || {
        let (server, client) = own_pair();
        let writer = spawn(move || {
            let mut sent = 0;
            while sent < LEN {
                let bytes = pattern_bytes(2, sent, 200_000.min(LEN - sent));
                let (first, second) = bytes.split_at(bytes.len() / 3);
                sent += (&client).write_vectored(&[IoSlice::new(first), IoSlice::new(second)]).unwrap();
            }
        });
        let (mut first, mut second, mut got) = (vec![0; 1000], vec![0; 70_000], 0);
        while got < LEN {
            let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            let n = (&server).read_vectored(bufs).unwrap();
            assert_ne!(n, 0);
            check_pattern(2, got, &first[..n.min(1000)]);
            check_pattern(2, got + 1000, &second[..n.saturating_sub(1000)]);
            got += n;
        }
        writer.join().unwrap();
    });
}

#[test]
fn peek_parks_and_leaves_the_data() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let ours = Arc::new(ours);
        let reader = Arc::clone(&ours);
        let reader = spawn_local(move || {
            for round in 0..3 {
                let mut buf = [0; 16];
                assert_eq!(reader.peek(&mut buf).unwrap(), 5, "round {round}");
                assert_eq!(reader.peek(&mut buf).unwrap(), 5, "a short peek says nothing about the next");
                assert_eq!((&*reader).read(&mut buf).unwrap(), 5);
                assert_eq!(&buf[..5], b"hello");
            }
        });
        for _ in 0..3 {
            settle();
            peer.write_all(b"hello").unwrap();
        }
        reader.join().unwrap();
        drop(peer);
        assert_eq!(ours.peek(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_refused_connect_says_so() {
    bounded(|| {
        run(|| {
            let (listener, addr) = listener();
            drop(listener);
            assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn a_stream_outlives_the_runtime_it_was_used_in() {
    bounded(|| {
        let (mut ours, peer) = pair();
        for round in 0..3u8 {
            let mut peer = &peer;
            let read = move || {
                let reader = spawn(move || {
                    let mut byte = [0];
                    ours.read_exact(&mut byte).unwrap();
                    (ours, byte[0])
                });
                settle();
                peer.write_all(&[round]).unwrap();
                reader.join().unwrap()
            };
            let (back, byte) = run(read);
            assert_eq!(byte, round);
            ours = back;
        }
        drop(ours);
        assert_eq!((&peer).read(&mut [0]).unwrap(), 0);
    });
}
