//! Crowds on one socket: every message arrives exactly once. Senders wait for an answer, so that no kernel buffer overflows.
mod net_support;
mod udp_support;

use dormouse::net::{Datagram, DatagramMut, SocketAddr, UdpSocket};
use net_support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use udp_support::*;

const STOP: u32 = u32::MAX;

/// Which messages have come.
type Seen = Arc<[AtomicU8]>;

/// Notes a message, and tells whether it was the last for this receiver.
fn note(seen: &Seen, message: &[u8]) -> bool {
    let number = u32::from_le_bytes(message.try_into().unwrap());
    if number != STOP {
        seen[number as usize].fetch_add(1, Ordering::Relaxed);
    }
    number == STOP
}

/// Takes one message at a time and answers it.
fn receive_singly(socket: &UdpSocket, seen: &Seen) {
    let mut buf = [0; 8];
    loop {
        let (n, source) = socket.recv_from(&mut buf).unwrap();
        let stop = note(seen, &buf[..n]);
        socket.send_to(&buf[..n], source).unwrap();
        if stop {
            return;
        }
    }
}

/// Takes what is there and answers it at once. A `STOP` for another receiver is sent on.
fn receive_batches(socket: &UdpSocket, addr: SocketAddr, seen: &Seen) {
    let mut memory = [0; 4 * 8];
    let mut requests: Vec<_> = memory.chunks_mut(8).map(DatagramMut::new).collect();
    loop {
        let n = socket.recv_many(&mut requests).unwrap();
        let stops = requests[..n].iter().filter(|request| note(seen, request.payload())).count();
        let answers = requests[..n].iter().map(|request| Datagram::to(request.payload(), request.source().unwrap()));
        let answers: Vec<_> = answers.collect();
        let mut rest = &answers[..];
        while !rest.is_empty() {
            rest = &rest[socket.send_many(rest).unwrap()..];
        }
        for _ in 1..stops {
            bound().0.send_to(&STOP.to_le_bytes(), addr).unwrap();
        }
        if stops > 0 {
            return;
        }
    }
}

/// Sends each number and waits for its answer.
fn send(addr: SocketAddr, numbers: impl Iterator<Item = u32>) {
    let (socket, _) = bound();
    socket.connect(addr).unwrap();
    for number in numbers {
        socket.send(&number.to_le_bytes()).unwrap();
        let mut buf = [0; 8];
        assert_eq!(socket.recv(&mut buf).unwrap(), 4);
        assert_eq!(u32::from_le_bytes(buf[..4].try_into().unwrap()), number);
    }
}

/// A crowd of receivers on one socket, a third of them on clones; `batches` says which of them take batches.
fn crowd(setting: Setting, receivers: usize, messages: u32, batches: fn(usize) -> bool) {
    const SENDERS: u32 = 8;
    let (socket, addr) = bound();
    let socket = Arc::new(socket);
    let seen: Seen = (0..messages).map(|_| AtomicU8::new(0)).collect();
    let receivers: Vec<_> = (0..receivers)
        .map(|n| {
            let handle = if n % 3 == 0 { Arc::new(socket.try_clone().unwrap()) } else { Arc::clone(&socket) };
            let seen = Arc::clone(&seen);
            setting.nth(n, move || match batches(n) {
                true => receive_batches(&handle, addr, &seen),
                false => receive_singly(&handle, &seen),
            })
        })
        .collect();
    let part = move |sender: u32| (sender..messages).step_by(SENDERS as usize);
    let senders: Vec<_> = (0..SENDERS).map(|n| setting.nth(n as usize, move || send(addr, part(n)))).collect();
    senders.into_iter().for_each(|sender| sender.join());
    assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1), "each exactly once");
    for _ in 0..receivers.len() {
        send(addr, std::iter::once(STOP));
    }
    receivers.into_iter().for_each(|receiver| receiver.join());
}

/// Threads in such a crowd all wake for each datagram, so that there are fewer of them.
fn size(setting: Setting) -> (usize, u32) {
    if setting.is_all_coroutines() { (200, 4000) } else { (24, 1200) }
}

#[test]
fn many_receivers_on_one_socket_lose_nothing() {
    in_three_settings(|setting| {
        let (receivers, messages) = size(setting);
        crowd(setting, receivers, messages, |_| false);
    });
}

#[test]
fn batches_and_single_receives_mix() {
    in_three_settings(|setting| {
        let (receivers, messages) = size(setting);
        crowd(setting, receivers, messages, |n| n % 2 == 0);
    });
}

/// All receivers on one worker: the turn goes round among them.
#[test]
fn many_receivers_on_one_worker_lose_nothing() {
    run_with(1, || {
        crowd(Setting { server: Kind::Coroutine, client: Kind::Coroutine }, 200, 4000, |n| n % 5 == 0);
    });
}
