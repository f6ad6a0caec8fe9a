//! Connecting in three settings: to nobody, to somebody who does not answer, to several addresses in order, and by many
//! at once.
mod tcp_settings;

use dormouse::net::TcpStream;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tcp_settings::*;

/// Asserts that connecting fails as std's does, with and without a timeout.
#[track_caller]
fn fails_alike(addr: SocketAddr) {
    same_error(TcpStream::connect(addr), std::net::TcpStream::connect(addr));
    same_error(TcpStream::connect_timeout(&addr, LIMIT), std::net::TcpStream::connect_timeout(&addr, LIMIT));
}

#[test]
fn a_connect_that_is_refused_or_impossible_fails_as_in_std() {
    in_three_settings(|on| {
        let body = move || {
            let (_held, addr) = refusing();
            fails_alike(addr);
            assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            fails_alike(([127, 0, 0, 1], 0).into());
            // Neither of these leaves the machine: the kernel connects to no broadcast address and no port 0.
            fails_alike(([255, 255, 255, 255], 9).into());
        };
        on.server(body).join();
    });
}

#[test]
fn addresses_are_tried_in_order() {
    in_three_settings(|on| {
        let (listener, open) = listener();
        let (_held, dead) = refusing();
        let (_other, other) = refusing();
        let broadcast = SocketAddr::from(([255, 255, 255, 255], 9));
        let server = on.server(move || {
            let streams = listener.incoming().take(4).map(|stream| stream.unwrap());
            streams.for_each(|mut stream| stream.write_all(b"!").unwrap());
            listener
        });
        let client = on.client(move || {
            for list in [&[dead, open][..], &[open, dead], &[dead, other, broadcast, open], &[open]] {
                let mut stream = TcpStream::connect(list).unwrap();
                assert_eq!(stream.peer_addr().unwrap(), open);
                stream.read_exact(&mut [0]).unwrap();
            }
            for list in [&[dead, broadcast][..], &[broadcast, dead], &[]] {
                same_error(TcpStream::connect(list), std::net::TcpStream::connect(list));
            }
            same_error(TcpStream::connect("no port"), std::net::TcpStream::connect("no port"));
        });
        client.join();
        // The ones that came second were never tried.
        let listener = server.join();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_timeout_of_zero_is_invalid() {
    in_three_settings(|on| {
        let (_listener, addr) = listener();
        let body = move || {
            let ours = TcpStream::connect_timeout(&addr, Duration::ZERO);
            assert_eq!(ours.as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
            same_error(ours, std::net::TcpStream::connect_timeout(&addr, Duration::ZERO));
        };
        on.server(body).join();
    });
}

/// Asserts that connecting to `addr`, where nobody answers, takes `timeout` and fails as std's does.
fn gives_up(addr: SocketAddr, timeout: Duration) {
    let start = Instant::now();
    let ours = TcpStream::connect_timeout(&addr, timeout);
    let took = start.elapsed();
    assert_eq!(ours.as_ref().unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(took >= timeout, "early: {took:?} of {timeout:?}");
    assert!(took < timeout + SLACK, "late: {took:?} of {timeout:?}");
    same_error(ours, aside(move || std::net::TcpStream::connect_timeout(&addr, ms(1))));
}

#[test]
fn connects_to_a_full_queue_time_out_each_in_its_time_and_keep_no_descriptor() {
    const NAME: &str = "connects_to_a_full_queue_time_out_each_in_its_time_and_keep_no_descriptor";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    in_three_settings(|on| {
        let deaf = Deaf::new();
        let (addr, before) = (deaf.addr, fds());
        let times = [Duration::from_nanos(1), Duration::from_micros(300), ms(150), ms(60), ms(100), ms(30)];
        let connects: Vec<_> = (0..12).map(|n| begun(on.kind(n), move || gives_up(addr, times[n % 6]))).collect();
        connects.into_iter().for_each(Waiting::join);
        assert_eq!(fds(), before);
    });
}

/// The kernel repeats what it sent to the full queue after a second; then there is room.
#[test]
fn connects_that_wait_get_through_once_the_queue_has_room() {
    in_three_settings(|on| {
        let Deaf { listener, addr, queue } = Deaf::new();
        let connects = [0, 1, 2, 3].map(|n| {
            waiting(on.kind(n), move || {
                let mut stream = match n {
                    0 | 1 => TcpStream::connect(addr).unwrap(),
                    _ => TcpStream::connect_timeout(&addr, LIMIT).unwrap(),
                };
                assert_eq!(stream.read_timeout().unwrap(), None, "the timeout was the connect's only");
                stream.read_exact(&mut [0]).unwrap();
                stream.local_addr().unwrap()
            })
        });
        // Room for all; those who stood in the queue before them come, too.
        listener.listen(64).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut accepted = Vec::new();
        wait_until(|| {
            if let Ok((stream, _)) = listener.accept() {
                let _ = stream.send(b"!");
                accepted.push(stream);
            }
            connects.iter().all(Waiting::is_over)
        });
        let locals: BTreeSet<_> = connects.map(Waiting::join).into();
        assert_eq!(locals.len(), 4);
        drop(queue);
    });
}

/// The listener closes meanwhile: what the kernel sends again after a second is refused.
#[test]
fn a_connect_that_waits_hears_of_the_refusal() {
    in_three_settings(|on| {
        let Deaf { listener, addr, queue } = Deaf::new();
        let connects = [0, 1, 2, 3].map(|n| {
            waiting(on.kind(n), move || match n {
                0 | 1 => TcpStream::connect(addr).unwrap_err(),
                _ => TcpStream::connect_timeout(&addr, LIMIT).unwrap_err(),
            })
        });
        let bound = listener.try_clone().unwrap();
        drop((listener, queue));
        // Ends the listening, and keeps the port from anybody else.
        bound.shutdown(std::net::Shutdown::Both).unwrap();
        for connect in connects {
            assert_eq!(connect.join().raw_os_error(), Some(libc::ECONNREFUSED));
        }
    });
}

#[test]
fn many_connect_at_once() {
    const CLIENTS: usize = 150;
    in_three_settings(|on| {
        let (listener, addr) = listener();
        let client = move |n: usize| {
            let mut stream = match n % 3 {
                0 => TcpStream::connect_timeout(&addr, LIMIT).unwrap(),
                _ => TcpStream::connect(addr).unwrap(),
            };
            stream.write_all(&[n as u8]).unwrap();
            let mut back = [0];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, [n as u8]);
        };
        let clients: Vec<_> = (0..CLIENTS).map(|n| on.nth(n, move || client(n))).collect();
        let server = on.server(move || {
            let streams = listener.incoming().take(CLIENTS).map(|stream| stream.unwrap());
            let echoes: Vec<_> = streams.map(|stream| on.server(move || echo(&stream))).collect();
            echoes.into_iter().for_each(|echo| echo.join().unwrap());
        });
        clients.into_iter().for_each(Started::join);
        server.join();
    });
}
