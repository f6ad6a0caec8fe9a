//! A process whose coroutines are all parked on sockets makes no wake-ups at all.
mod tcp_support;

use dormouse::Builder;
use dormouse::net::{Shutdown, TcpStream};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tcp_support::*;

/// What lies about in such a process: people who wait, and events that nobody waits for.
fn park_everybody(worker_count: usize) {
    let workers = workers(worker_count);
    let (listener, addr) = listener();
    let listener = Arc::new(listener);
    let mut keep = Vec::new();
    for index in 0..200 {
        let worker = &workers[index % workers.len()];
        let (ours, mut peer) = pair();
        match index / workers.len() % 5 {
            // Readers, once woken, some with a deadline far away.
            0 => {
                ours.set_read_timeout((index % 3 == 0).then_some(Duration::from_secs(3600))).unwrap();
                worker.spawn(move || loop_reading(&ours));
                worker.settle();
                peer.write_all(b"x").unwrap();
            }
            // Writers.
            1 => drop(worker.spawn(move || {
                fill(&ours);
                (&ours).write_all(&[0; 1 << 20])
            })),
            // Acceptors.
            2 => {
                let listener = Arc::clone(&listener);
                worker.spawn(move || listener.accept().map(|_| loop_reading(&ours)));
            }
            // Streams with data, urgent data and the end unread, while their owners wait for something else.
            3 => {
                let registered = Channel::new();
                let tell = Arc::clone(&registered);
                worker.spawn(move || {
                    ours.set_read_timeout(Some(Duration::from_micros(100))).unwrap();
                    assert!((&ours).read(&mut [0]).is_err());
                    tell.send(());
                    dormouse::thread::park();
                    drop(ours);
                });
                registered.recv();
                peer.write_all(b"unread").unwrap();
                socket2::SockRef::from(&peer).send_out_of_band(b"!").unwrap();
                if index % 2 == 0 {
                    peer.shutdown(Shutdown::Write).unwrap();
                }
            }
            // Listeners with connections in their queue that nobody accepts, though somebody did before.
            _ => {
                let (deaf, deaf_addr) = tcp_support::listener();
                worker.spawn(move || {
                    deaf.accept().unwrap();
                    dormouse::thread::park();
                    drop((deaf, ours));
                });
                worker.settle();
                let clients = (0..3).map(|_| std::net::TcpStream::connect(deaf_addr).unwrap());
                keep.extend(clients);
            }
        }
        keep.push(peer);
    }
    // Each connection wakes one acceptor, the others go on waiting.
    keep.extend((0..10).map(|_| std::net::TcpStream::connect(addr).unwrap()));
    workers.iter().for_each(Worker::settle);
    println!("parked");
    dormouse::thread::park();
}

fn loop_reading(mut stream: &TcpStream) {
    while stream.read(&mut [0; 8]).is_ok_and(|n| n > 0) {}
}

fn stays_asleep(name: &str, workers: usize) {
    if is_kid(name) {
        return Builder::new().workers(workers).run(|| park_everybody(workers)).unwrap();
    }
    let name = name.to_owned();
    bounded(move || {
        let mut kid = Kid::start(&name);
        kid.line("parked");
        // The trim of parked stacks comes a second after they were last used; twice, if it was set before.
        let start = Instant::now();
        let mut before = switches(kid.pid());
        let mut since = start;
        while since.elapsed() < Duration::from_millis(1300) {
            std::thread::sleep(Duration::from_millis(100));
            let now = switches(kid.pid());
            if now != before {
                (before, since) = (now, Instant::now());
            }
            assert!(start.elapsed() < Duration::from_secs(5), "does not come to rest");
        }
        std::thread::sleep(Duration::from_millis(3000));
        assert_eq!(switches(kid.pid()) - before, 0, "wake-ups in 3 s of idleness");
    });
}

#[test]
fn one_worker_sleeps() {
    stays_asleep("one_worker_sleeps", 1);
}

#[test]
fn two_workers_sleep() {
    stays_asleep("two_workers_sleep", 2);
}
