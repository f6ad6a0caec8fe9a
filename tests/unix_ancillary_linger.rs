//! Descriptors that nobody took are closed without waiting, even if their sender had them linger.
mod unix_ancillary_support;

use dormouse::os::unix::net::SocketAncillary;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use unix_ancillary_support::*;

/// A close that waits so long is noticed.
const LINGER: Duration = Duration::from_secs(15);

/// A connection whose close lingers, since its peer does not read, and how much that has yet to read.
fn lingering() -> (TcpStream, TcpStream, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut filled = 0;
    while let Ok(n) = stream.write(&[0; 65536]) {
        filled += n;
    }
    SockRef::from(&stream).set_linger(Some(LINGER)).unwrap();
    (stream, peer, filled)
}

/// Receives one of them with `sender` and `receiver`, and has `ends` get rid of it.
fn untaken((sender, receiver): &Pair, ends: impl FnOnce(&mut SocketAncillary<'_>)) {
    let (stream, mut peer, filled) = lingering();
    sender.send_fds(b"x", &[stream.as_raw_fd()]).unwrap();
    let mut room = room_for(1);
    let mut ancillary = SocketAncillary::new(&mut room);
    receiver.receive(&mut ancillary).unwrap();
    // The one that was received is the last.
    drop(stream);
    let start = Instant::now();
    ends(&mut ancillary);
    drop(ancillary);
    assert!(start.elapsed() < LINGER / 3, "{:?}", start.elapsed());
    assert_eq!(peer.read_to_end(&mut Vec::new()).unwrap(), filled, "it is closed in the end");
    assert!(start.elapsed() < LINGER / 3 * 2, "{:?}", start.elapsed());
}

#[test]
fn no_way_to_close_them_waits() {
    in_three_settings(|setting| {
        setting
            .server(|| {
                for pair in carriers() {
                    untaken(&pair, |_| ());
                    untaken(&pair, |ancillary| ancillary.clear());
                    untaken(&pair, |ancillary| {
                        pair.0.send_fds(b"y", &[]).unwrap();
                        pair.1.receive(ancillary).unwrap();
                    });
                }
            })
            .join();
    });
}

/// Where no Drop may park.
#[test]
fn nor_does_it_park() {
    run_with(1, || {
        for pair in carriers() {
            dormouse::thread::no_park(|| untaken(&pair, |_| ()));
        }
    });
}
