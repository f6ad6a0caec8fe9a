//! Timeouts of reads and writes in three settings: never early, one for each call, fixed as the call begins to wait,
//! shared by clones, and none of the other direction's business.
mod tcp_settings;

use dormouse::net::TcpStream;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tcp_settings::*;

fn read(mut stream: &TcpStream) -> io::Result<usize> {
    stream.read(&mut [0])
}

/// Asserts that a write to a full stream expires. A full stream may have a little room again, as the kernel of the peer
/// moves things about: then the next call counts.
#[track_caller]
fn write_expires(timeout: Duration, mut write: impl FnMut() -> io::Result<usize>) {
    for _ in 0..1000 {
        let start = Instant::now();
        if let Err(error) = write() {
            let took = start.elapsed();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert!(took >= timeout, "early: {took:?} of {timeout:?}");
            return assert!(took < timeout + SLACK, "late: {took:?} of {timeout:?}");
        }
    }
    panic!("the stream is never full");
}

#[test]
fn every_call_expires_and_none_early() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let calls = move || {
            fill(&server);
            for timeout in [Duration::from_nanos(1), Duration::from_micros(300), ms(3), ms(40)] {
                server.set_read_timeout(Some(timeout)).unwrap();
                server.set_write_timeout(Some(timeout)).unwrap();
                expires(timeout, || read(&server));
                // As std's on Linux, a read of no bytes waits, and its time being over is no error.
                let start = Instant::now();
                assert_eq!((&server).read(&mut []).unwrap(), 0);
                assert!(start.elapsed() >= timeout);
                expires(timeout, || server.peek(&mut [0; 4]));
                expires(timeout, || read_sliced(&server, 1, 1));
                write_expires(timeout, || (&server).write(&[0; 65536]));
                write_expires(timeout, || (&server).write_vectored(&sliced(&[0; 65536])));
            }
            server
        };
        let server = on.server(calls).join();
        // It works on as if nothing had happened.
        server.set_read_timeout(None).unwrap();
        let reader = waiting(on.server, move || {
            assert_eq!(read(&server).unwrap(), 1);
            server
        });
        on.client(move || (&client).write_all(b"x").map(|()| client).unwrap()).join();
        reader.join();
    });
}

#[test]
fn several_wait_on_one_stream_each_with_its_own_timeout() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        fill(&server);
        let clone = Arc::new(server.try_clone().unwrap());
        let server = Arc::new(server);
        let waiter = |n: usize| {
            // Set through the one, and used through the other.
            let (set, used) = if n < 6 { (&server, &clone) } else { (&clone, &server) };
            let used = Arc::clone(used);
            if n.is_multiple_of(3) {
                // All alike: a writer that found a little room begins anew.
                set.set_write_timeout(Some(ms(100))).unwrap();
                return begun(on.kind(n), move || write_expires(ms(100), || (&*used).write(&[0; 65536])));
            }
            let timeout = ms([160, 40, 120, 80][n % 4]);
            set.set_read_timeout(Some(timeout)).unwrap();
            begun(on.kind(n), move || expires(timeout, || read(&used)))
        };
        let waiters: Vec<_> = (0..12).map(waiter).collect();
        server.set_read_timeout(None).unwrap();
        let last = Arc::clone(&server);
        let last = waiting(on.server, move || read(&last).unwrap());
        waiters.into_iter().for_each(Waiting::join);
        assert!(!last.is_over());
        (&client).write_all(b"x").unwrap();
        assert_eq!(last.join(), 1);
    });
}

#[test]
fn who_waits_keeps_its_timeout_as_that_is_changed() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = Arc::new(server);
        let start = |kind, timeout: Option<Duration>| {
            let stream = Arc::clone(&server);
            server.set_read_timeout(timeout).unwrap();
            begun(kind, move || match timeout {
                Some(timeout) => expires(timeout, || read(&stream)),
                None => assert_eq!(read(&stream).unwrap(), 1),
            })
        };
        let endless = [start(on.server, None), start(on.client, None)];
        let long = [start(on.server, Some(ms(150))), start(on.client, Some(ms(150)))];
        // For those who come later: shorter, and then without limit.
        let short = [start(on.server, Some(ms(5))), start(on.client, Some(ms(5)))];
        server.set_read_timeout(None).unwrap();
        short.into_iter().chain(long).for_each(Waiting::join);
        assert!(endless.iter().all(|waiter| !waiter.is_over()), "no timeout may come to who waits without one");
        (&client).write_all(b"xy").unwrap();
        endless.into_iter().for_each(Waiting::join);
    });
}

#[test]
fn the_timeout_of_one_direction_is_not_that_of_the_other() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = Arc::new(server);
        let filled = fill(&server);
        server.set_read_timeout(Some(ms(40))).unwrap();
        let own = Arc::clone(&server);
        let writer = waiting(on.client, move || (&*own).write_all(&[0; 1 << 20]));
        let own = Arc::clone(&server);
        begun(on.server, move || expires(ms(40), || read(&own))).join();
        assert!(!writer.is_over());
        on.client(move || (&client).read_exact(&mut vec![0; filled + (1 << 20)]).unwrap()).join();
        writer.join().unwrap();

        let (server, client) = own_pair();
        let server = Arc::new(server);
        fill(&server);
        server.set_write_timeout(Some(ms(40))).unwrap();
        let own = Arc::clone(&server);
        let reader = waiting(on.client, move || read(&own));
        let own = Arc::clone(&server);
        begun(on.server, move || write_expires(ms(40), || (&*own).write(&[0; 65536]))).join();
        assert!(!reader.is_over());
        (&client).write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

/// The waiter is woken every few milliseconds, always in vain: an urgent byte is an event, but nothing to read.
#[test]
fn being_woken_in_vain_moves_no_deadline() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        server.set_read_timeout(Some(ms(150))).unwrap();
        let server = Arc::new(server);
        let readers = [on.server, on.client].map(|kind| {
            let server = Arc::clone(&server);
            begun(kind, move || expires(ms(150), || read(&server)))
        });
        let mut disturbed = 0;
        while readers.iter().any(|reader| !reader.is_over()) {
            dormouse::thread::sleep(ms(4));
            socket2::SockRef::from(&client).send_out_of_band(b"!").unwrap();
            disturbed += 1;
        }
        readers.into_iter().for_each(Waiting::join);
        assert!(disturbed >= 2, "the readers were hardly disturbed: {disturbed}");
    });
}

/// Each call has the whole of the timeout: what comes in pieces is received however long it takes.
#[test]
fn read_exact_and_write_all_have_a_timeout_for_each_call_within() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        server.set_read_timeout(Some(ms(1000))).unwrap();
        let reader = begun(on.server, move || {
            let start = Instant::now();
            (&server).read_exact(&mut [0; 6]).unwrap();
            assert!(start.elapsed() >= ms(1200), "{:?}", start.elapsed());
        });
        let writer = on.client(move || {
            for byte in 0..6 {
                dormouse::thread::sleep(ms(210));
                (&client).write_all(&[byte]).unwrap();
            }
            client
        });
        reader.join();
        writer.join();
    });
}

/// What fits is written before the timeout counts, and said to be.
#[test]
fn a_write_that_fits_in_part_is_short_and_the_next_one_expires() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let body = move || {
            server.set_write_timeout(Some(ms(20))).unwrap();
            let (bytes, mut written) = (pattern_bytes(9, 0, 16 << 20), 0);
            loop {
                let start = Instant::now();
                match (&server).write(&bytes[written..]) {
                    Ok(n) => written += n,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        assert!(start.elapsed() >= ms(20));
                        return written;
                    }
                }
            }
        };
        let writer = begun(on.server, body);
        let written = writer.join();
        assert!((1..16 << 20).contains(&written), "{written}");
        on.client(move || {
            receive_pattern(&client, 9, written, 100_000);
            assert_eq!((&client).read(&mut [0]).unwrap(), 0, "no byte that was not said to be written");
        })
        .join();
    });
}

#[test]
fn a_timeout_of_zero_is_invalid_and_changes_nothing() {
    in_three_settings(|on| {
        let (ours, _peer) = pair();
        let (std, _std_peer) = std_pair();
        let body = move || {
            ours.set_read_timeout(Some(ms(20))).unwrap();
            ours.set_write_timeout(Some(ms(20))).unwrap();
            for _ in 0..2 {
                let (of_ours, of_std) = (ours.set_read_timeout(Some(ms(0))), std.set_read_timeout(Some(ms(0))));
                assert_eq!(of_ours.as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
                same_error(of_ours, of_std);
                same_error(ours.set_write_timeout(Some(ms(0))), std.set_write_timeout(Some(ms(0))));
                assert_eq!(ours.read_timeout().unwrap(), Some(ms(20)));
                assert_eq!(ours.write_timeout().unwrap(), Some(ms(20)));
                expires(ms(20), || read(&ours));
            }
        };
        on.server(body).join();
    });
}

#[test]
fn timeouts_read_back_as_those_of_std() {
    // The longest is none to the kernel.
    let timeouts = [1, 999, 1_000, 1_234_567, 3_999_999, 1_500_000_000, u64::MAX].map(Duration::from_nanos);
    in_three_settings(move |on| {
        let (ours, _peer) = pair();
        let (std, _std_peer) = std_pair();
        let body = move || {
            let clone = ours.try_clone().unwrap();
            for timeout in timeouts.into_iter().chain([Duration::MAX]).map(Some).chain([None]) {
                ours.set_read_timeout(timeout).unwrap();
                clone.set_write_timeout(timeout).unwrap();
                std.set_read_timeout(timeout).unwrap();
                assert_eq!(clone.read_timeout().unwrap(), std.read_timeout().unwrap());
                assert_eq!(ours.write_timeout().unwrap(), std.read_timeout().unwrap());
                assert_eq!(ours.read_timeout().unwrap().is_some(), timeout.is_some_and(|t| t < Duration::MAX));
            }
        };
        on.server(body).join();
    });
}
