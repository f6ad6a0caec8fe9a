//! Non-blocking streams in three settings: no call waits, each looks at the socket, clones know, and who waits already
//! goes on waiting.
mod tcp_settings;

use dormouse::net::TcpStream;
use dormouse::thread::no_park;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tcp_settings::*;

#[track_caller]
fn would_block<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::WouldBlock, Some(libc::EAGAIN)));
}

/// Waits until there is data, as far as a non-blocking stream can tell.
fn wait_for_data(stream: &TcpStream) {
    wait_until(|| match stream.peek(&mut [0]) {
        Ok(n) => n == 1,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    });
}

#[test]
fn no_call_waits() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = on.server(move || {
            let filled = fill(&server);
            // A timeout does not make a non-blocking call wait.
            server.set_read_timeout(Some(LIMIT)).unwrap();
            server.set_write_timeout(Some(LIMIT)).unwrap();
            server.set_nonblocking(true).unwrap();
            let more = no_park(|| {
                would_block((&server).read(&mut [0; 8]));
                would_block(read_sliced(&server, 4, 4));
                would_block(server.peek(&mut [0; 8]));
                // A full stream may have a little room again.
                let mut more = 0;
                let error = loop {
                    match (&server).write(&[0; 65536]) {
                        Ok(n) => more += n,
                        Err(error) => break error,
                    }
                };
                would_block::<()>(Err(error));
                more
            });
            (server, filled + more)
        });
        let (server, filled) = server.join();
        on.client(move || {
            (&client).read_exact(&mut vec![0; filled]).unwrap();
            (&client).write_all(b"abc").unwrap();
            client
        })
        .join();
        wait_for_data(&server);
        no_park(|| {
            assert_eq!((&server).write(b"room").unwrap(), 4);
            assert_eq!(server.peek(&mut [0; 8]).unwrap(), 3);
            assert_eq!((&server).read(&mut [0; 2]).unwrap(), 2);
            assert_eq!(read_sliced(&server, 4, 4).unwrap(), b"c");
        });
    });
}

/// Reads from a non-blocking stream that has data, or is about to have it, without letting the worker look at its
/// poller: 20 calls are within the budget of a coroutine.
fn read_at_once(mut stream: &TcpStream) -> usize {
    for _ in 0..20 {
        match stream.read(&mut [0; 8]) {
            Ok(n) => return n,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        std::thread::yield_now();
    }
    panic!("what the peer wrote does not arrive");
}

/// What a wait once found out about the stream must not answer for the socket.
#[test]
fn a_stream_that_was_waited_on_is_looked_at_each_time() {
    in_three_settings(|on| {
        let (server, mut client) = own_pair();
        let server = Arc::new(server);
        for round in 0..4 {
            let (own, peer) = (Arc::clone(&server), client.try_clone().unwrap());
            let looker = waiting(on.kind(round), move || {
                assert_eq!((&*own).read(&mut [0; 8]).unwrap(), 3);
                own.set_nonblocking(true).unwrap();
                for _ in 0..3 {
                    dormouse::thread::yield_now();
                    would_block((&*own).read(&mut [0; 8]));
                    (&peer).write_all(b"de").unwrap();
                    assert_eq!(read_at_once(&own), 2);
                }
                own.set_nonblocking(false).unwrap();
            });
            client.write_all(b"abc").unwrap();
            looker.join();
        }
    });
}

#[test]
fn clones_of_before_and_after_share_the_mode() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let early = server.try_clone().unwrap();
        early.set_nonblocking(true).unwrap();
        let late = server.try_clone().unwrap();
        let streams = [server, early, late].map(Arc::new);
        for (n, stream) in streams.iter().enumerate() {
            let own = Arc::clone(stream);
            on.nth(n, move || would_block((&*own).read(&mut [0]))).join();
        }
        let late = Arc::clone(&streams[2]);
        on.client(move || late.set_nonblocking(false).unwrap()).join();
        let reader = |n: usize| {
            let own = Arc::clone(&streams[n]);
            waiting(on.kind(n), move || (&*own).read_exact(&mut [0]).unwrap())
        };
        let readers = [0, 1, 2].map(reader);
        (&client).write_all(b"xyz").unwrap();
        readers.into_iter().for_each(Waiting::join);
    });
}

/// The readers have their byte; each writer ends the call that waited, and only the next one says WouldBlock.
#[test]
fn who_waits_goes_on_waiting() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = Arc::new(server);
        fill(&server);
        let written = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let readers = [0, 1].map(|n| {
            let own = Arc::clone(&server);
            waiting(on.kind(n), move || (&*own).read_exact(&mut [0]).unwrap())
        });
        let writers = [0, 1].map(|n| {
            let (own, written) = (Arc::clone(&server), Arc::clone(&written));
            waiting(on.kind(n), move || {
                let error = loop {
                    match (&*own).write(&[0; 65536]) {
                        Ok(more) => written[n].fetch_add(more, Ordering::AcqRel),
                        Err(error) => break error,
                    };
                };
                would_block::<()>(Err(error));
            })
        });
        let clone = server.try_clone().unwrap();
        on.client(move || clone.set_nonblocking(true).unwrap()).join();
        would_block((&*server).read(&mut [0]));
        assert!(readers.iter().all(|reader| !reader.is_over()));
        assert!(writers.iter().all(|writer| !writer.is_over()));
        let before = [0, 1].map(|n| written[n].load(Ordering::Acquire));
        let drain = on.client(move || {
            (&client).write_all(b"xy").unwrap();
            io::copy(&mut &client, &mut io::sink()).unwrap();
        });
        readers.into_iter().for_each(Waiting::join);
        writers.into_iter().for_each(Waiting::join);
        server.shutdown(Shutdown::Write).unwrap();
        drain.join();
        assert!((0..2).all(|n| written[n].load(Ordering::Acquire) > before[n]), "{before:?} {written:?}");
    });
}
