//! Nobody is starved by coroutines whose I/O never waits or that compute; shutdown reaches whoever is parked.
mod tcp_support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tcp_support::*;

/// Short coroutines, one after the other, are run without a look at the poller in between, but not many.
#[test]
fn spawns_and_joins_do_not_keep_the_worker_from_the_poller() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let arrived = Rc::new(Cell::new(false));
        let reader = {
            let arrived = Rc::clone(&arrived);
            spawn_local(move || {
                (&ours).read_exact(&mut [0]).unwrap();
                arrived.set(true);
            })
        };
        let round = || spawn_local(|| ()).join().unwrap();
        (0..10_000).for_each(|_| round());
        peer.write_all(&[0]).unwrap();
        let mut rounds = 0;
        while !arrived.get() {
            round();
            rounds += 1;
        }
        reader.join().unwrap();
        assert!(rounds <= 6, "seen after {rounds} rounds");
    });
}

#[test]
fn reads_that_never_wait_let_others_run() {
    const BYTES: usize = 6400;
    run_with(1, || {
        let (ours, mut peer) = pair();
        peer.write_all(&[7; BYTES]).unwrap();
        let turns = Rc::new(Cell::new(0));
        let other = {
            let turns = Rc::clone(&turns);
            spawn_local(move || {
                loop {
                    turns.set(turns.get() + 1);
                    thread::yield_now();
                }
            })
        };
        for _ in 0..BYTES {
            (&ours).read_exact(&mut [0]).unwrap();
        }
        other.cancel();
        assert!(turns.get() >= 50, "{} turns during {BYTES} reads", turns.get());
    });
}

#[test]
fn writes_that_never_wait_let_others_run() {
    const WRITES: usize = 1000;
    run_with(1, || {
        let (ours, _peer) = pair();
        let turns = Rc::new(Cell::new(0));
        let other = {
            let turns = Rc::clone(&turns);
            spawn_local(move || {
                loop {
                    turns.set(turns.get() + 1);
                    thread::yield_now();
                }
            })
        };
        for _ in 0..WRITES {
            (&ours).write_all(&[0]).unwrap();
        }
        other.cancel();
        assert!(turns.get() >= 8, "{} turns during {WRITES} writes", turns.get());
    });
}

#[test]
fn accepts_that_never_wait_let_others_run() {
    run_with(1, || {
        let (listener, addr) = listener();
        let clients: Vec<_> = (0..400).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
        let turns = Rc::new(Cell::new(0));
        let other = {
            let turns = Rc::clone(&turns);
            spawn_local(move || {
                loop {
                    turns.set(turns.get() + 1);
                    thread::yield_now();
                }
            })
        };
        let accepted: Vec<_> = listener.incoming().take(400).map(Result::unwrap).collect();
        other.cancel();
        assert_eq!(accepted.len(), clients.len());
        assert!(turns.get() >= 3, "{} turns during 400 accepts", turns.get());
    });
}

/// A loop around a non-blocking call waits for something that only another coroutine of this worker can do.
#[test]
fn a_loop_around_a_nonblocking_call_lets_others_run() {
    run_with(1, || {
        let (mut ours, mut peer) = pair();
        ours.set_nonblocking(true).unwrap();
        let other = spawn_local(move || {
            settle();
            peer.write_all(b"x").unwrap();
            peer
        });
        loop {
            match ours.read(&mut [0; 8]) {
                Ok(n) => break assert_eq!(n, 1),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn an_endless_transfer_does_not_starve_another_connection() {
    run_with(1, || {
        let (ours, theirs) = own_pair();
        spawn_local(move || {
            loop {
                (&theirs).write_all(&[0; 100]).unwrap();
            }
        });
        spawn_local(move || {
            loop {
                (&ours).read_exact(&mut [0; 100]).unwrap();
            }
        });
        assert_prompt_echo(20);
    });
}

/// Echoes to a plain thread, which is not kept waiting long. One answer in five may be: on a busy machine its thread waits for a
/// processor.
fn assert_prompt_echo(rounds: usize) {
    let (ours, mut peer) = pair();
    let echoing = spawn_local(move || echo(&ours));
    let player = std::thread::spawn(move || {
        let play = |_| {
            let start = Instant::now();
            peer.write_all(b"x").unwrap();
            peer.read_exact(&mut [0]).unwrap();
            start.elapsed()
        };
        (0..rounds).map(play).collect::<Vec<_>>()
    });
    echoing.join().unwrap().unwrap();
    let mut waits = player.join().unwrap();
    waits.sort_unstable();
    let long = waits[rounds * 4 / 5];
    assert!(long < Duration::from_millis(200), "{long:?} for an answer: {waits:?}");
}

#[test]
fn a_coroutine_that_computes_10_ms_between_yields_holds_up_no_socket_for_long() {
    run_with(1, || {
        spawn_local(|| {
            loop {
                compute(Duration::from_millis(10));
                thread::yield_now();
            }
        });
        assert_prompt_echo(30);
    });
}

#[test]
fn many_busy_yielders_hold_up_no_socket_for_long() {
    run_with(1, || {
        for _ in 0..500 {
            spawn_local(|| {
                loop {
                    thread::yield_now();
                }
            });
        }
        assert_prompt_echo(30);
    });
}

/// Counts the destructors that ran.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connect to this address stays in progress: its listener accepts nobody and its queue is full.
fn deaf_listener() -> (socket2::Socket, SocketAddr, Vec<socket2::Socket>) {
    let new = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = new();
    listener.bind(&SocketAddr::from((std::net::IpAddr::from(own_ip()), 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let queue = (0..4).map(|_| {
        let client = new();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&addr);
        client
    });
    let queue = queue.collect();
    (listener, addr.as_socket().unwrap(), queue)
}

fn everybody_parks(workers: usize, ended: &Arc<AtomicUsize>, addr: SocketAddr, peers: &mut Vec<std::net::TcpStream>) {
    let (listener, _) = listener();
    let listener: Arc<TcpListener> = Arc::new(listener);
    let found = tcp_support::workers(workers);
    for index in 0..40 {
        let worker = &found[index % workers];
        let counted = Counted(Arc::clone(ended));
        let (ours, peer) = pair();
        match index / workers % 5 {
            0 => drop(worker.spawn(move || {
                let _counted = counted;
                let _ = (&ours).read(&mut [0]);
            })),
            1 => drop(worker.spawn(move || {
                let _counted = counted;
                fill(&ours);
                let _ = (&ours).write_all(&[0; 1 << 20]);
            })),
            2 => {
                let listener = Arc::clone(&listener);
                drop(worker.spawn(move || {
                    let _counted = counted;
                    let _ = listener.accept();
                }));
            }
            3 => drop(worker.spawn(move || {
                let _counted = counted;
                let _ = TcpStream::connect(addr);
            })),
            _ => drop(worker.spawn(move || {
                let _counted = counted;
                ours.set_read_timeout(Some(Duration::from_secs(3600))).unwrap();
                // Level-triggered: a coroutine that goes on is thrown into again; and a Drop that reads gets an error.
                struct Reads(TcpStream);
                impl Drop for Reads {
                    fn drop(&mut self) {
                        assert!((&self.0).read(&mut [0]).is_err());
                    }
                }
                let ours = Reads(ours);
                let _ = (&ours.0).read(&mut [0]);
            })),
        }
        peers.push(peer);
    }
    found.iter().for_each(Worker::settle);
    assert_eq!(ended.load(Ordering::Relaxed), 0);
}

#[test]
fn shutdown_ends_whoever_is_parked_on_a_socket() {
    const NAME: &str = "shutdown_ends_whoever_is_parked_on_a_socket";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    bounded(|| {
        let (_deaf, addr, _queue) = deaf_listener();
        for workers in [1, 2, 1, 2] {
            let before = fds();
            let ended = Arc::new(AtomicUsize::new(0));
            let mut peers = Vec::new();
            let start = Instant::now();
            Builder::new().workers(workers).run(|| everybody_parks(workers, &ended, addr, &mut peers)).unwrap();
            assert!(start.elapsed() < Duration::from_secs(3), "the end took {:?}", start.elapsed());
            assert_eq!(ended.load(Ordering::Relaxed), 40, "destructors");
            assert_eq!(fds(), before + peers.len(), "descriptors");
            for mut peer in peers {
                // Whatever was sent, then the end: our side is closed.
                let mut buf = vec![0; 1 << 20];
                while peer.read(&mut buf).is_ok_and(|n| n > 0) {}
            }
        }
    });
}

#[test]
fn shutdown_ends_coroutines_that_never_wait() {
    bounded(|| {
        let start = Instant::now();
        Builder::new()
            .workers(2)
            .run(|| {
                for _ in 0..4 {
                    let (ours, theirs) = own_pair();
                    spawn(move || {
                        loop {
                            (&theirs).write_all(&[0; 10]).unwrap();
                            (&ours).read_exact(&mut [0; 10]).unwrap();
                        }
                    });
                }
                settle();
            })
            .unwrap();
        assert!(start.elapsed() < Duration::from_secs(3), "the end took {:?}", start.elapsed());
    });
}
