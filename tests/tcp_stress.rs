//! A random mix on two workers: many clients, messages of all sizes, timeouts, half-closes, resets; every byte checked.
mod tcp_support;

use dormouse::net::{Shutdown, TcpStream};
use dormouse::{Builder, spawn, thread};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tcp_support::*;

const MIX: Duration = Duration::from_millis(2500);

/// Reads into `buf` in one of several ways; timeouts are tried again.
fn read_somehow(mut stream: &TcpStream, buf: &mut [u8], random: &mut Random) -> io::Result<usize> {
    loop {
        let timeout = (random.below(3) == 0).then(|| Duration::from_micros(1 + random.below(3000)));
        stream.set_read_timeout(timeout)?;
        let result = match random.below(3) {
            0 => {
                let (first, second) = buf.split_at_mut(buf.len() / 2);
                stream.read_vectored(&mut [IoSliceMut::new(first), IoSliceMut::new(second)])
            }
            1 => stream.peek(buf).and_then(|n| stream.read(&mut buf[..n.max(1)])),
            _ => stream.read(buf),
        };
        match result {
            Err(error) if timeout.is_some() && error.kind() == ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

/// Writes all of `bytes` in several ways; timeouts are tried again.
fn write_somehow(mut stream: &TcpStream, mut bytes: &[u8], random: &mut Random) -> io::Result<()> {
    while !bytes.is_empty() {
        let timeout = (random.below(3) == 0).then(|| Duration::from_micros(1 + random.below(3000)));
        stream.set_write_timeout(timeout)?;
        let some = &bytes[..1 + random.below(bytes.len() as u64) as usize];
        let result = match random.below(2) {
            0 => {
                let (first, second) = some.split_at(some.len() / 3);
                stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)])
            }
            _ => stream.write(some),
        };
        match result {
            Err(error) if timeout.is_some() && error.kind() == ErrorKind::WouldBlock => {}
            result => bytes = &bytes[result?..],
        }
    }
    Ok(())
}

/// Echoes in one coroutine or in two, until the end or an error.
fn serve(stream: TcpStream, seed: u64) {
    let mut random = Random(seed);
    let mut buf = vec![0; 1 + random.below(20_000) as usize];
    loop {
        match read_somehow(&stream, &mut buf, &mut random) {
            Ok(0) => break,
            Ok(n) => {
                if write_somehow(&stream, &buf[..n], &mut random).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
        if random.below(50) == 0 {
            thread::yield_now();
        }
    }
    // A client that reset the connection meanwhile is no concern of ours.
    let _ = stream.shutdown(Shutdown::Write);
}

/// One connection: a message there and back, both directions at once, and one of several ends.
fn connection(addr: SocketAddr, seed: u64) -> usize {
    let mut random = Random(seed);
    let stream = Arc::new(TcpStream::connect(addr).unwrap());
    let len = match random.below(4) {
        0 => 1 + random.below(16),
        1 => 1 + random.below(5000),
        2 => 1 + random.below(100_000),
        _ => 1 + random.below(1_500_000),
    } as usize;
    let resets = random.below(6) == 0;
    let stops_at = if resets { random.below(len as u64) as usize } else { len };
    let writer = {
        let (stream, mut random) = (Arc::clone(&stream), Random(seed ^ 0xFFFF_0000));
        spawn(move || {
            let mut sent = 0;
            while sent < stops_at {
                let n = (1 + random.below(70_000) as usize).min(stops_at - sent);
                write_somehow(&stream, &pattern_bytes(seed, sent, n), &mut random).unwrap();
                sent += n;
            }
            if !resets {
                stream.shutdown(Shutdown::Write).unwrap();
            }
        })
    };
    let (mut got, mut buf) = (0, vec![0; 1 + random.below(40_000) as usize]);
    while got < stops_at {
        let want = buf.len().min(stops_at - got);
        let n = read_somehow(&stream, &mut buf[..want], &mut random).unwrap();
        assert_ne!(n, 0, "message {seed} ends after {got} of {len} bytes");
        check_pattern(seed, got, &buf[..n]);
        got += n;
    }
    writer.join().unwrap();
    if resets {
        stream.set_linger(Some(Duration::ZERO)).unwrap();
    } else {
        assert_eq!(read_somehow(&stream, &mut buf, &mut random).unwrap(), 0);
    }
    got
}

#[test]
fn a_random_mix_loses_no_byte() {
    bounded(|| Builder::new().workers(2).run(mix).unwrap());
}

fn mix() {
    let (listener, addr) = listener();
    let listener = Arc::new(listener);
    for acceptor in 0..4 {
        let listener = Arc::clone(&listener);
        spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let stream = stream.unwrap();
                spawn(move || serve(stream, (acceptor + 1) * 1_000_003 + count as u64));
            }
        });
    }
    let until = Instant::now() + MIX;
    let (bytes, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let client = |id: u64| {
        let (bytes, connections) = (Arc::clone(&bytes), Arc::clone(&connections));
        spawn(move || {
            let mut round = 0;
            while Instant::now() < until {
                bytes.fetch_add(connection(addr, (id + 1) << 32 | round), Ordering::Relaxed);
                connections.fetch_add(1, Ordering::Relaxed);
                round += 1;
            }
        })
    };
    let clients: Vec<_> = (0..40).map(client).collect();
    let threads: Vec<_> = (0..2u64)
        .map(|id| {
            std::thread::spawn(move || {
                let mut round = 0;
                while Instant::now() < until {
                    let seed = (id + 1) << 48 | round;
                    let stream = std::net::TcpStream::connect(addr).unwrap();
                    let len = 1 + Random(seed).below(20_000) as usize;
                    send_pattern(&stream, seed, len, 3000);
                    receive_pattern(&stream, seed, len, 3000);
                    round += 1;
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    wait_until(|| threads.iter().all(|thread| thread.is_finished()));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    println!("{} bytes on {} connections", bytes.load(Ordering::Relaxed), connections.load(Ordering::Relaxed));
    assert!(connections.load(Ordering::Relaxed) >= 40);
}
