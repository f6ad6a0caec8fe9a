//! A receiver whose queue is full, and many that send to it: connected ones wait for readiness, the others pause. Nothing
//! is lost, each sender's datagrams come in order, and nobody spins.
mod net_support;

use dormouse::os::unix::net::{SocketAddr, UnixDatagram};
use dormouse::{spawn, spawn_local, thread};
use net_support::*;
use std::cell::Cell;
use std::io::ErrorKind;
use std::os::unix::net as std_net;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

fn bound() -> (UnixDatagram, SocketAddr) {
    let datagram = UnixDatagram::bind("").unwrap();
    let addr = datagram.local_addr().unwrap();
    (datagram, addr)
}

/// Sends without waiting until no more fits.
fn fill(addr: &SocketAddr) -> usize {
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    let mut sent = 0;
    loop {
        match sender.send_to_addr(&[], addr) {
            Ok(_) => sent += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return sent;
            }
        }
    }
}

/// How a sender names its receiver.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// `connect` once, then `send`.
    Connected,
    /// `send_to` each time.
    Named,
    /// As `Connected`, through clones of one socket, which all senders share.
    Shared,
}

/// `senders` send `each` numbered datagrams; one receiver takes them all, and checks that each sender's come in order.
fn senders_to_one(way: Way, senders: usize, each: u32) {
    in_three_settings(move |on| {
        let (receiver, addr) = bound();
        let filled = fill(&addr);
        let shared = UnixDatagram::unbound().unwrap();
        shared.connect_addr(&addr).unwrap();
        let all: Vec<_> = (0..senders)
            .map(|sender| {
                let addr = addr.clone();
                let own = match way {
                    Way::Shared => shared.try_clone().unwrap(),
                    _ => UnixDatagram::unbound().unwrap(),
                };
                on.client(move || {
                    if way == Way::Connected {
                        own.connect_addr(&addr).unwrap();
                    }
                    for number in 0..each {
                        let datagram = [(sender as u32).to_ne_bytes(), number.to_ne_bytes()].concat();
                        let sent = match way {
                            Way::Named => own.send_to_addr(&datagram, &addr),
                            _ => own.send(&datagram),
                        };
                        assert_eq!(sent.unwrap(), 8);
                    }
                })
            })
            .collect();
        let server = on.server(move || {
            (0..filled).for_each(|_| assert_eq!(receiver.recv(&mut [0; 16]).unwrap(), 0));
            let mut next = vec![0; senders];
            for _ in 0..senders * each as usize {
                let mut buf = [0; 16];
                assert_eq!(receiver.recv(&mut buf).unwrap(), 8);
                let (sender, number) = buf[..8].split_at(4);
                let sender = u32::from_ne_bytes(sender.try_into().unwrap()) as usize;
                assert_eq!(u32::from_ne_bytes(number.try_into().unwrap()), next[sender], "from {sender}");
                next[sender] += 1;
            }
            receiver.set_nonblocking(true).unwrap();
            assert_eq!(receiver.recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
        });
        all.into_iter().for_each(Started::join);
        server.join();
    });
}

#[test]
fn connected_senders_wait_for_readiness() {
    senders_to_one(Way::Connected, 16, 400);
}

#[test]
fn clones_of_one_connected_sender_wait_for_readiness() {
    senders_to_one(Way::Shared, 16, 400);
}

#[test]
fn senders_that_name_the_receiver_pause() {
    senders_to_one(Way::Named, 16, 30);
}

/// Two connected to each other are limited by the sender's buffer only.
#[test]
fn a_pair_fills_the_senders_buffer_and_waits() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let sender = on.client(move || {
            for number in 0..2000u32 {
                let datagram = number.to_ne_bytes().repeat(1000);
                assert_eq!(theirs.send(&datagram).unwrap(), 4000);
            }
        });
        let receiver = on.server(move || {
            for number in 0..2000u32 {
                let mut buf = [0; 4000];
                assert_eq!(ours.recv(&mut buf).unwrap(), 4000);
                assert!(buf.chunks(4).all(|chunk| chunk == number.to_ne_bytes()));
            }
        });
        sender.join();
        receiver.join();
    });
}

/// Several senders on several workers and threads at once, with a receiver that now and then lets the queue stay full.
#[test]
fn connected_senders_on_all_workers_are_never_forgotten() {
    const SENDERS: usize = 12;
    const EACH: usize = 300;
    run_with(2, || {
        let (receiver, addr) = bound();
        let workers = workers(2);
        let sender = |addr: SocketAddr| {
            move || {
                let sender = UnixDatagram::unbound().unwrap();
                sender.connect_addr(&addr).unwrap();
                (0..EACH).for_each(|_| assert_eq!(sender.send(b"x").unwrap(), 1));
            }
        };
        let tasks: Vec<_> = (0..SENDERS - 2).map(|n| workers[n % 2].spawn(sender(addr.clone()))).collect();
        let threads: Vec<_> = (0..2).map(|_| Kind::Thread.spawn(sender(addr.clone()))).collect();
        for number in 0..SENDERS * EACH {
            if number % 200 == 0 {
                settle();
            }
            assert_eq!(receiver.recv(&mut [0; 4]).unwrap(), 1);
        }
        tasks.into_iter().for_each(Task::join);
        threads.into_iter().for_each(Started::join);
    });
}

/// Voluntary and other context switches tell how often a worker woke up.
#[test]
fn waiting_for_a_full_peer_does_not_spin() {
    const NAME: &str = "waiting_for_a_full_peer_does_not_spin";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    run_with(1, || {
        let (receiver, addr) = bound();
        let filled = fill(&addr);
        let there = addr.clone();
        let named = spawn(move || UnixDatagram::unbound().unwrap().send_to_addr(b"x", &there).unwrap());
        let connected = spawn(move || {
            let sender = UnixDatagram::unbound().unwrap();
            sender.connect_addr(&addr).unwrap();
            sender.send(b"x").unwrap()
        });
        settle();
        let (cpu, start) = (cpu_nanos(), Instant::now());
        thread::sleep(ms(1000));
        let (used, took) = (cpu_nanos() - cpu, start.elapsed());
        assert!(used < took.as_nanos() as u64 / 10, "{used} ns of processor in {took:?}");
        assert!(!named.is_finished() && !connected.is_finished());
        (0..filled + 2).for_each(|_| assert!(receiver.recv(&mut [0; 4]).unwrap() <= 1));
        assert_eq!((named.join().unwrap(), connected.join().unwrap()), (1, 1));
    });
}

/// Nanoseconds of processor that this thread has used.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/task/{}/schedstat", gettid())).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn others_run_meanwhile_and_a_cancel_ends_the_wait() {
    bounded(|| {
        run(|| {
            let (receiver, addr) = bound();
            let filled = fill(&addr);
            let ticked = Rc::new(Cell::new(0));
            let ticking = Rc::clone(&ticked);
            let ticks = spawn_local(move || {
                loop {
                    thread::sleep(ms(1));
                    ticking.set(ticking.get() + 1);
                }
            });
            let waiting: Vec<_> = (0..10)
                .map(|index| {
                    let addr = addr.clone();
                    spawn(move || {
                        let sender = UnixDatagram::unbound().unwrap();
                        sender.connect_addr(&addr).unwrap();
                        if index % 2 == 0 { sender.send(b"x") } else { sender.send_to_addr(b"x", &addr) }
                    })
                })
                .collect();
            wait_until(|| ticked.get() > 60);
            assert!(waiting.iter().all(|one| !one.is_finished()));
            waiting.iter().for_each(|one| one.cancel());
            waiting.into_iter().for_each(|one| assert!(one.join().is_err()));
            // Nothing of what was cancelled was sent.
            receiver.set_nonblocking(true).unwrap();
            (0..filled).for_each(|_| assert_eq!(receiver.recv(&mut [0; 4]).unwrap(), 0));
            assert_eq!(receiver.recv(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
            ticks.cancel();
        });
    });
}

#[test]
fn a_coroutine_that_unwinds_does_not_wait_for_room() {
    struct Send(SocketAddr, Arc<Channel<std::io::Result<usize>>>);
    impl Drop for Send {
        fn drop(&mut self) {
            let sender = UnixDatagram::unbound().unwrap();
            self.1.send(sender.send_to_addr(b"x", &self.0));
            sender.connect_addr(&self.0).unwrap();
            self.1.send(sender.send(b"x"));
        }
    }
    run_with(1, || {
        let (_receiver, addr) = bound();
        fill(&addr);
        let answer = Channel::new();
        let tell = Arc::clone(&answer);
        let unwinding = spawn(move || {
            let _send = Send(addr, tell);
            thread::park();
        });
        settle();
        unwinding.cancel();
        assert!(unwinding.join().is_err());
        for _ in 0..2 {
            assert_eq!(answer.try_recv().unwrap().unwrap_err().kind(), ErrorKind::Other);
        }
    });
}

/// std's sockets and ours send to one receiver and take turns.
#[test]
fn senders_of_std_are_among_them() {
    in_three_settings(|on| {
        let (receiver, addr) = bound();
        let there = addr.clone();
        let std = std::thread::spawn(move || {
            let sender = std_net::UnixDatagram::unbound().unwrap();
            (0..500).for_each(|_| assert_eq!(sender.send_to_addr(b"s", &there).unwrap(), 1));
        });
        let ours = on.client(move || {
            let sender = UnixDatagram::unbound().unwrap();
            sender.connect_addr(&addr).unwrap();
            (0..500).for_each(|_| assert_eq!(sender.send(b"o").unwrap(), 1));
        });
        let counts = on.server(move || {
            let mut counts = (0, 0);
            for _ in 0..1000 {
                let mut byte = [0];
                receiver.recv(&mut byte).unwrap();
                if byte[0] == b's' { counts.0 += 1 } else { counts.1 += 1 }
            }
            counts
        });
        assert_eq!(counts.join(), (500, 500));
        ours.join();
        std.join().unwrap();
    });
}
