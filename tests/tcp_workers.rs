//! Streams that move between workers, are used on several at once, or are closed where they were not registered.
mod tcp_support;

use dormouse::net::TcpStream;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;
use tcp_support::*;

/// Reads one byte on `worker`, which parks: the byte is sent only afterwards.
fn read_there(worker: &Worker, ours: &Arc<TcpStream>, mut peer: &std::net::TcpStream, byte: u8) {
    let stream = Arc::clone(ours);
    let reader = worker.spawn(move || {
        let mut got = [0];
        (&*stream).read_exact(&mut got).unwrap();
        got[0]
    });
    worker.settle();
    peer.write_all(&[byte]).unwrap();
    assert_eq!(reader.join(), byte);
}

#[test]
fn a_stream_moves_there_and_back() {
    run_with(2, || {
        let workers = workers(2);
        let (ours, peer) = pair();
        let ours = Arc::new(ours);
        for byte in 0..60 {
            read_there(&workers[[0, 1, 0, 0, 1, 1][usize::from(byte) % 6]], &ours, &peer, byte);
        }
    });
}

#[test]
fn a_stream_moves_while_others_wait_for_it() {
    run_with(2, || {
        let workers = workers(2);
        for first in 0..2 {
            let (ours, mut peer) = pair();
            let ours = Arc::new(ours);
            let filled = fill(&ours);
            // Writers wait on both workers, in the other direction, the whole time.
            let writers = [0, 1].map(|index| {
                let stream = Arc::clone(&ours);
                let writer = workers[index].spawn(move || (&*stream).write_all(&[b'w'; 200_000]).unwrap());
                workers[index].settle();
                writer
            });
            for byte in 0..40 {
                read_there(&workers[(first + usize::from(byte)) % 2], &ours, &peer, byte);
            }
            // Readers on both, then a byte for each, then the room for the writers.
            let readers: Vec<_> = (0..6)
                .map(|index| {
                    let stream = Arc::clone(&ours);
                    workers[index % 2].spawn(move || (&*stream).read_exact(&mut [0]).unwrap())
                })
                .collect();
            workers.iter().for_each(Worker::settle);
            peer.write_all(&[1; 6]).unwrap();
            readers.into_iter().for_each(Task::join);
            let drain = std::thread::spawn(move || {
                peer.read_exact(&mut vec![0; filled + 400_000]).unwrap();
                peer
            });
            writers.into_iter().for_each(Task::join);
            drop(drain.join().unwrap());
            assert_eq!((&*ours).read(&mut [0]).unwrap(), 0);
        }
    });
}

/// Context switches of the thread of `idle` while `busy` plays ping-pong on the stream.
fn woken_meanwhile(idle: &Worker, busy: &Worker, ours: &Arc<TcpStream>, peer: std::net::TcpStream) -> u64 {
    const ROUNDS: u32 = 500;
    let start = {
        let stream = Arc::clone(ours);
        busy.spawn(move || {
            for _ in 0..ROUNDS {
                let mut byte = [0];
                (&*stream).read_exact(&mut byte).unwrap();
                (&*stream).write_all(&byte).unwrap();
            }
        })
    };
    busy.settle();
    let before = switches_of(std::process::id(), idle.tid);
    let player = std::thread::spawn(move || {
        let mut peer = peer;
        for _ in 0..ROUNDS {
            peer.write_all(b"x").unwrap();
            peer.read_exact(&mut [0]).unwrap();
        }
        peer
    });
    start.join();
    let woken = switches_of(std::process::id(), idle.tid) - before;
    drop(player.join().unwrap());
    woken
}

/// One of the workers is the caller's own, which waits for the test's coroutine; the other one is measured.
#[test]
fn the_old_worker_is_not_woken_any_more() {
    run_with(2, || {
        let workers = workers(2);
        let idle = workers.iter().position(|worker| worker.tid != gettid()).unwrap();
        let (ours, peer) = pair();
        let ours = Arc::new(ours);
        read_there(&workers[idle], &ours, &peer, 1);
        read_there(&workers[1 - idle], &ours, &peer, 2);
        workers[idle].settle();
        let woken = woken_meanwhile(&workers[idle], &workers[1 - idle], &ours, peer);
        assert!(woken < 100, "woken {woken} times");
    });
}

/// While the stream moved, somebody still waited on the old worker.
#[test]
fn the_old_worker_is_not_woken_any_more_once_nobody_waits_there() {
    run_with(2, || {
        let workers = workers(2);
        let idle = workers.iter().position(|worker| worker.tid != gettid()).unwrap();
        let (ours, mut peer) = pair();
        let ours = Arc::new(ours);
        let readers = [idle, 1 - idle].map(|index| {
            let stream = Arc::clone(&ours);
            let reader = workers[index].spawn(move || (&*stream).read_exact(&mut [0]).unwrap());
            workers[index].settle();
            reader
        });
        workers[idle].settle();
        peer.write_all(&[1, 2]).unwrap();
        readers.into_iter().for_each(Task::join);
        // The stream is used on the new worker only from now on.
        read_there(&workers[1 - idle], &ours, &peer, 3);
        workers[idle].settle();
        let woken = woken_meanwhile(&workers[idle], &workers[1 - idle], &ours, peer);
        assert!(woken < 100, "woken {woken} times");
    });
}

#[derive(Clone, Copy, Debug)]
enum Where {
    There,
    OtherWorker,
    Thread,
}

/// Registered on one worker, closed elsewhere: the peer sees the end at once, and nothing is left.
#[test]
fn a_stream_is_closed_where_it_was_not_registered() {
    const NAME: &str = "a_stream_is_closed_where_it_was_not_registered";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    run_with(2, || {
        let workers = workers(2);
        let mut before = 0;
        for round in 0..300 {
            let (ours, mut peer) = pair();
            let ours = Arc::new(ours);
            let (home, other) = (&workers[round % 2], &workers[(round + 1) % 2]);
            read_there(home, &ours, &peer, 1);
            if round % 4 >= 2 {
                read_there(other, &ours, &peer, 2);
            }
            // An event is on the way as it is closed.
            peer.write_all(b"unread").unwrap();
            let ours = Arc::into_inner(ours).expect("both readers are done with it");
            match [Where::There, Where::OtherWorker, Where::Thread][round % 3] {
                Where::There => home.run(move || drop(ours)),
                Where::OtherWorker => other.run(move || drop(ours)),
                Where::Thread => std::thread::spawn(move || drop(ours)).join().unwrap(),
            }
            let error = peer.read(&mut [0]).map(|n| assert_eq!(n, 0)).err();
            assert!(error.is_none_or(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
            drop(peer);
            if round == 50 {
                before = fds();
            }
        }
        assert_eq!(fds(), before);
        // The places of the closed ones serve others now.
        let (ours, peer) = pair();
        let ours = Arc::new(ours);
        (0..20).for_each(|byte| read_there(&workers[usize::from(byte) % 2], &ours, &peer, byte));
    });
}

/// A clone closed on the other worker or on a thread, while the original is parked on here.
#[test]
fn a_clone_is_closed_elsewhere_while_the_original_is_parked_on() {
    run_with(2, || {
        let workers = workers(2);
        let (ours, mut peer) = pair();
        let ours = Arc::new(ours);
        for round in 0..60u8 {
            let clone = Arc::new(ours.try_clone().unwrap());
            read_there(&workers[usize::from(round) % 2], &clone, &peer, round);
            let stream = Arc::clone(&ours);
            let parked = workers[usize::from(round / 2) % 2].spawn(move || {
                let mut byte = [0];
                (&*stream).read_exact(&mut byte).unwrap();
                byte[0]
            });
            workers[usize::from(round / 2) % 2].settle();
            let clone = Arc::into_inner(clone).unwrap();
            if round % 3 == 0 {
                std::thread::spawn(move || drop(clone)).join().unwrap();
            } else {
                workers[usize::from(round / 3) % 2].run(move || drop(clone));
            }
            peer.write_all(&[round]).unwrap();
            assert_eq!(parked.join(), round);
        }
    });
}

/// Coroutines of both workers take bytes off one stream, in turns of no order at all.
#[test]
fn hopping_between_workers_loses_nothing() {
    const BYTES: usize = 6000;
    run_with(2, || {
        let workers = workers(2);
        let (ours, peer) = pair();
        let ours = Arc::new(ours);
        let tasks: Vec<_> = (0..6)
            .map(|index| {
                let stream = Arc::clone(&ours);
                workers[index % 2].spawn(move || {
                    let (mut random, mut sum, mut count) = (Random(index as u64 + 1), 0, 0);
                    loop {
                        let mut buf = [0; 3];
                        let want = 1 + random.below(3) as usize;
                        match (&*stream).read(&mut buf[..want]).unwrap() {
                            0 => return (count, sum),
                            n => {
                                count += n;
                                sum += buf[..n].iter().map(|&byte| u64::from(byte)).sum::<u64>();
                            }
                        }
                        if random.below(4) == 0 {
                            dormouse::thread::sleep(Duration::from_micros(random.below(200)));
                        }
                    }
                })
            })
            .collect();
        workers.iter().for_each(Worker::settle);
        let sender = std::thread::spawn(move || {
            let (mut random, mut sent, mut peer) = (Random(99), 0, peer);
            while sent < BYTES {
                let len = (1 + random.below(6) as usize).min(BYTES - sent);
                peer.write_all(&pattern_bytes(8, sent, len)).unwrap();
                sent += len;
                (0..random.below(3000)).for_each(|_| std::hint::spin_loop());
            }
        });
        let results: Vec<_> = tasks.into_iter().map(Task::join).collect();
        sender.join().unwrap();
        assert_eq!(results.iter().map(|result| result.0).sum::<usize>(), BYTES);
        let expected: u64 = pattern_bytes(8, 0, BYTES).into_iter().map(u64::from).sum();
        assert_eq!(results.iter().map(|result| result.1).sum::<u64>(), expected);
    });
}
