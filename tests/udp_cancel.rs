//! A parked receive that is cancelled takes no datagram with it; closing one handle leaves who waits on another alone.
mod net_support;
mod udp_support;

use dormouse::net::{DatagramMut, UdpSocket};
use dormouse::spawn_local;
use net_support::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use udp_support::*;

/// One way or another to receive a number.
fn receive_number(socket: &UdpSocket, way: usize) -> u32 {
    let mut buf = [0; 4];
    let n = match way % 3 {
        0 => socket.recv(&mut buf).unwrap(),
        1 => socket.recv_from(&mut buf).unwrap().0,
        _ => {
            let mut datagrams = [DatagramMut::new(&mut buf)];
            assert_eq!(socket.recv_many(&mut datagrams).unwrap(), 1);
            datagrams[0].payload().len()
        }
    };
    assert_eq!(n, 4);
    u32::from_le_bytes(buf)
}

/// The one who waits longest is cancelled just as its datagram comes, before or after the poller has said so.
#[test]
fn a_cancelled_receive_leaves_the_datagram_to_the_next() {
    run_with(1, || {
        let (socket, sender) = connected();
        let (socket, got) = (Rc::new(socket), Rc::new(RefCell::new(Vec::new())));
        let mut receivers = VecDeque::new();
        let mut random = Random(7);
        for number in 0..600u32 {
            while receivers.len() < 3 {
                let (socket, got, way) = (Rc::clone(&socket), Rc::clone(&got), number as usize);
                receivers.push_back(spawn_local(move || {
                    loop {
                        let number = receive_number(&socket, way);
                        got.borrow_mut().push(number);
                    }
                }));
            }
            settle();
            sender.send(&number.to_le_bytes()).unwrap();
            for _ in 0..random.below(4) {
                dormouse::thread::yield_now();
            }
            let first = receivers.pop_front().unwrap();
            first.cancel();
            assert!(first.join().is_err(), "it ends by the cancel alone");
            wait_until(|| got.borrow().len() as u32 == number + 1);
            assert_eq!(got.borrow().last(), Some(&number));
        }
        receivers.iter().for_each(|receiver| receiver.cancel());
    });
}

/// The same with plain threads, which cannot be cancelled, among those who wait.
#[test]
fn cancels_lose_nothing_among_coroutines_and_threads() {
    bounded(|| {
        let (socket, addr) = bound();
        let (socket, got) = (Arc::new(socket), Arc::new(Mutex::new(Vec::new())));
        let body = |way: usize| {
            let (socket, got) = (Arc::clone(&socket), Arc::clone(&got));
            move || {
                loop {
                    match receive_number(&socket, way) {
                        u32::MAX => return,
                        number => got.lock().unwrap().push(number),
                    }
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|way| std::thread::spawn(body(way))).collect();
        dormouse::Builder::new()
            .workers(2)
            .run(|| {
                let (sender, _) = bound();
                let mut coroutines = VecDeque::new();
                for number in 0..400u32 {
                    while coroutines.len() < 6 {
                        coroutines.push_back(dormouse::spawn(body(number as usize)));
                    }
                    sender.send_to(&number.to_le_bytes(), addr).unwrap();
                    if number % 2 == 0 {
                        coroutines.pop_front().unwrap().cancel();
                    }
                    wait_until(|| got.lock().unwrap().contains(&number));
                }
                coroutines.into_iter().for_each(|coroutine| {
                    coroutine.cancel();
                    assert!(coroutine.join().is_err());
                });
                for _ in 0..threads.len() {
                    sender.send_to(&u32::MAX.to_le_bytes(), addr).unwrap();
                }
            })
            .unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut got = got.lock().unwrap().clone();
        got.sort_unstable();
        assert_eq!(got, (0..400).collect::<Vec<_>>(), "each exactly once");
    });
}

/// A sender that is cancelled while the buffer is full has sent nothing.
#[test]
fn a_cancelled_send_has_not_sent() {
    run_with(1, || {
        let (ours, theirs) = narrow_pair();
        let ours = Rc::new(ours);
        let mut filled = 0;
        ours.set_nonblocking(true).unwrap();
        while ours.send(b"fill").is_ok() {
            filled += 1;
        }
        ours.set_nonblocking(false).unwrap();
        let sender = Rc::clone(&ours);
        let sender = spawn_local(move || sender.send(b"cancelled"));
        settle();
        assert!(!sender.is_finished());
        sender.cancel();
        assert!(sender.join().is_err());
        theirs.set_nonblocking(true).unwrap();
        let mut buf = [0; 16];
        for _ in 0..filled {
            assert_eq!(theirs.recv(&mut buf).unwrap(), 4);
        }
        would_block(theirs.recv(&mut buf));
        assert_eq!(ours.send(b"goes on").unwrap(), 7);
    });
}

/// Ways to let go of a handle.
fn let_go(handle: UdpSocket, way: usize) {
    match way % 3 {
        0 => drop(handle),
        1 => drop(OwnedFd::from(handle)),
        _ => drop(std::net::UdpSocket::from(handle)),
    }
}

/// All handles are registered with the worker that closes some of them.
#[test]
fn closing_clones_leaves_who_waits_on_another_alone() {
    run_with(1, || {
        for way in 0..6 {
            let (socket, sender) = connected();
            let clones: Vec<_> = (0..3).map(|_| socket.try_clone().unwrap()).collect();
            let waits = |socket: UdpSocket| {
                spawn_local(move || {
                    let number = receive_number(&socket, way);
                    (socket, number)
                })
            };
            let waiters: Vec<_> = clones.into_iter().map(waits).collect();
            settle();
            for number in 0..3u32 {
                sender.send(&number.to_le_bytes()).unwrap();
            }
            // Each handle has been waited on; now all but one are let go while the last is waited on.
            let (handles, mut numbers): (Vec<_>, Vec<_>) = waiters.into_iter().map(|w| w.join().unwrap()).unzip();
            numbers.sort_unstable();
            assert_eq!(numbers, [0, 1, 2]);
            let waiter = waits(socket);
            settle();
            handles.into_iter().for_each(|handle| let_go(handle, way));
            settle();
            assert!(!waiter.is_finished());
            sender.send(&7u32.to_le_bytes()).unwrap();
            assert_eq!(waiter.join().unwrap().1, 7);
        }
    });
}

/// The same across workers and threads, where closing and waiting run at the same time.
#[test]
fn closing_clones_elsewhere_leaves_who_waits_alone() {
    const STOP: u32 = u32::MAX;
    in_three_settings(|setting| {
        for way in 0..12 {
            let (socket, sender) = connected();
            let (clone, closed) = (socket.try_clone().unwrap(), Arc::new(AtomicBool::new(false)));
            let all_closed = Arc::clone(&closed);
            let waiter = setting.server(move || {
                loop {
                    let number = receive_number(&socket, way);
                    socket.send(b"next").unwrap();
                    if number == STOP {
                        return;
                    }
                }
            });
            let closer = setting.client(move || {
                for round in 0..5 {
                    // It waits beside the waiter until one of the numbers is its own, and is closed at once.
                    let another = clone.try_clone().unwrap();
                    receive_number(&another, round);
                    another.send(b"next").unwrap();
                    let_go(another, round + way);
                }
                all_closed.store(true, Ordering::Release);
            });
            let send = |number: u32| {
                sender.send(&number.to_le_bytes()).unwrap();
                assert_eq!(sender.recv(&mut [0; 4]).unwrap(), 4);
            };
            (0..).take_while(|_| !closed.load(Ordering::Acquire)).for_each(send);
            closer.join();
            // The waiter is alone now, and hears it all the same.
            send(STOP);
            waiter.join();
        }
    });
}
