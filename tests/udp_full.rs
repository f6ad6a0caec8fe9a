//! A full send buffer: sends wait until there is room, or for as long as the timeout says.
mod net_support;
mod udp_support;

use dormouse::net::{SocketAddr, UdpSocket};
use net_support::*;
use std::os::fd::AsFd;
use std::process::Command;
use udp_support::*;

/// Sends until nothing more fits, and says how many datagrams did. The socket is left in blocking mode.
fn fill(socket: &UdpSocket) -> usize {
    socket.set_nonblocking(true).unwrap();
    let filled = std::iter::from_fn(|| socket.send(b"fill").ok()).count();
    would_block(socket.send(b"more"));
    socket.set_nonblocking(false).unwrap();
    filled
}

#[test]
fn a_send_waits_for_room() {
    in_three_settings(|setting| {
        let (ours, theirs) = narrow_pair();
        let filled = fill(&ours);
        assert!(filled > 0);
        let sender = setting.client(move || {
            for _ in 0..100 {
                assert_eq!(ours.send(b"late").unwrap(), 4);
            }
        });
        settle();
        let receiver = setting.server(move || {
            let receiver = UdpSocket::from(std::os::fd::OwnedFd::from(theirs));
            let mut buf = [0; 8];
            for n in 0..filled + 100 {
                assert_eq!(receiver.recv(&mut buf).unwrap(), 4);
                assert_eq!(&buf[..4], if n < filled { b"fill" } else { b"late" });
            }
        });
        sender.join();
        receiver.join();
    });
}

#[test]
fn a_send_expires() {
    in_three_settings(|setting| {
        let (ours, theirs) = narrow_pair();
        fill(&ours);
        let sender = setting.client(move || {
            ours.set_write_timeout(Some(ms(30))).unwrap();
            for _ in 0..3 {
                let before = processor_time();
                expires(ms(30), || ours.send(b"late"));
                expires(ms(30), || ours.send_many(&[dormouse::net::Datagram::new(b"late")]));
                assert!(processor_time() - before < ms(30), "it spins");
            }
            ours
        });
        let ours = sender.join();
        theirs.recv(&mut [0; 8]).unwrap();
        assert_eq!(ours.send(b"late").unwrap(), 4);
    });
}

/// Sockets of a network whose loopback interface passes 1 MB/s, so that a small send buffer is full most of the time.
fn in_slow_network() -> Result<(UdpSocket, UdpSocket), String> {
    let run = |command: &str| {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).output();
        let output = output.map_err(|error| format!("{command}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        output.status.success().then_some(()).ok_or(format!("{command}: {said}"))
    };
    // The network is that of this thread alone, and of the sockets that it makes.
    let make = move || {
        // SAFETY: takes flags only; this thread has no open files of its own to lose.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Err(format!("unshare: {}", std::io::Error::last_os_error()));
        }
        run("ip link set lo up")?;
        run("tc qdisc add dev lo root tbf rate 8mbit burst 16kb limit 4mb")?;
        Ok(connected())
    };
    std::thread::spawn(make).join().unwrap()
}

/// A network of one's own takes privileges that not everybody has, and tools that the gate sees to.
fn skip(reason: &str) {
    let without_tool = reason.contains("No such file");
    assert!(!without_tool || std::env::var_os("DORMOUSE_MUST_RUN").is_none(), "{reason}");
    eprintln!("skipped: no network of our own: {reason}");
}

/// Datagrams that are sent while the buffer is full.
const COUNT: u32 = 120;

#[test]
fn a_slow_network_is_waited_for() {
    in_three_settings(|setting| {
        let (ours, peer) = match in_slow_network() {
            Ok(pair) => pair,
            Err(reason) => return skip(&reason),
        };
        socket2::SockRef::from(&ours.as_fd()).set_send_buffer_size(8 * 1024).unwrap();
        // All that is sent fits in, however late the receiver is.
        socket2::SockRef::from(&peer.as_fd()).set_recv_buffer_size(1 << 20).unwrap();
        let at_ours: SocketAddr = ours.local_addr().unwrap();
        ours.set_nonblocking(true).unwrap();
        let sent = std::iter::from_fn(|| ours.send(&[0; 1400]).ok()).take(1000).count();
        assert!(sent < 1000, "the buffer is never full");
        ours.set_nonblocking(false).unwrap();
        let sender = setting.client(move || {
            let before = processor_time();
            for n in 0..COUNT {
                let mut message = [1; 1400];
                message[..4].copy_from_slice(&n.to_le_bytes());
                assert_eq!(ours.send(&message).unwrap(), 1400);
            }
            processor_time() - before
        });
        let receiver = setting.server(move || {
            let (mut buf, mut next) = ([0; 1500], 0);
            while next < COUNT {
                assert_eq!(peer.recv_from(&mut buf).unwrap(), (1400, at_ours));
                if buf[4] == 1 {
                    assert_eq!(buf[..4], next.to_le_bytes());
                    next += 1;
                }
            }
        });
        let used = sender.join();
        receiver.join();
        assert!(used < ms(60), "{used:?} of processor time in a wait of 160 ms");
    });
}
