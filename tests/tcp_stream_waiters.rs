//! Several coroutines and threads that wait on one stream, in three settings: what comes reaches one of them, what ends
//! the stream reaches all, and closing one clone takes nothing from another.
mod tcp_settings;

use dormouse::net::TcpStream;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use tcp_settings::*;

fn read_byte(mut stream: &TcpStream) -> u8 {
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    byte[0]
}

/// Readers by turns on the stream itself and on clones of it, all waiting.
fn readers(on: Setting, stream: &Arc<TcpStream>, count: usize) -> Vec<Waiting<u8>> {
    let reader = |n: usize| {
        let own = if n.is_multiple_of(3) { Arc::new(stream.try_clone().unwrap()) } else { Arc::clone(stream) };
        waiting(on.kind(n), move || read_byte(&own))
    };
    (0..count).map(reader).collect()
}

#[test]
fn each_byte_reaches_exactly_one_of_many_readers() {
    const READERS: u8 = 12;
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = Arc::new(server);
        for at_once in [READERS as usize, 5, 1] {
            let readers = readers(on, &server, READERS.into());
            let bytes: Vec<u8> = (0..READERS).collect();
            bytes.chunks(at_once).for_each(|some| (&client).write_all(some).unwrap());
            let got: BTreeSet<u8> = readers.into_iter().map(Waiting::join).collect();
            assert_eq!(got.len(), READERS.into(), "one byte each: {got:?}");
        }
    });
}

#[test]
fn many_writers_of_a_full_stream_all_go_on() {
    const EACH: usize = 600_000;
    const WRITERS: usize = 6;
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let client = Arc::new(client);
        let filled = fill(&client);
        let writer = |n: usize| {
            let client = Arc::clone(&client);
            waiting(on.kind(n), move || (&*client).write_all(&vec![n as u8; EACH]).unwrap())
        };
        let writers: Vec<_> = (0..WRITERS).map(writer).collect();
        let reader = on.server(move || {
            (&server).read_exact(&mut vec![0; filled]).unwrap();
            let mut all = vec![0; WRITERS * EACH];
            (&server).read_exact(&mut all).unwrap();
            (0..WRITERS).map(|n| all.iter().filter(|&&byte| usize::from(byte) == n).count()).collect::<Vec<_>>()
        });
        writers.into_iter().for_each(Waiting::join);
        assert_eq!(reader.join(), [EACH; WRITERS]);
    });
}

/// Starts three readers, and three writers of a stream that is full, all waiting.
#[allow(clippy::type_complexity, reason = "two lists")]
fn readers_and_writers(
    on: Setting,
    stream: &Arc<TcpStream>,
) -> (Vec<Waiting<io::Result<usize>>>, Vec<Waiting<io::Result<()>>>) {
    fill(stream);
    let reader = |n| {
        let stream = Arc::clone(stream);
        waiting(on.kind(n), move || (&*stream).read(&mut [0; 8]))
    };
    let readers = (0..3).map(reader).collect();
    let writer = |n| {
        let stream = Arc::clone(stream);
        waiting(on.kind(n), move || (&*stream).write_all(&[0; 1 << 20]))
    };
    (readers, (0..3).map(writer).collect())
}

#[test]
fn shutting_both_directions_down_wakes_everybody() {
    in_three_settings(|on| {
        let (server, _client) = own_pair();
        let server = Arc::new(server);
        let (readers, writers) = readers_and_writers(on, &server);
        let clone = server.try_clone().unwrap();
        on.client(move || clone.shutdown(Shutdown::Both).unwrap()).join();
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), 0));
        let kind = |writer: Waiting<io::Result<()>>| writer.join().unwrap_err().kind();
        writers.into_iter().for_each(|writer| assert_eq!(kind(writer), ErrorKind::BrokenPipe));
    });
}

#[test]
fn shutting_reading_down_wakes_the_readers_only() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = Arc::new(server);
        let (readers, writers) = readers_and_writers(on, &server);
        let own = Arc::clone(&server);
        on.client(move || own.shutdown(Shutdown::Read).unwrap()).join();
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), 0));
        assert!(writers.iter().all(|writer| !writer.is_over()));
        let drain = on.client(move || io::copy(&mut &client, &mut io::sink()).unwrap());
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        server.shutdown(Shutdown::Write).unwrap();
        assert!(drain.join() > 3 << 20);
    });
}

#[test]
fn shutting_writing_down_wakes_the_writers_only() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let server = Arc::new(server);
        let (readers, writers) = readers_and_writers(on, &server);
        let own = Arc::clone(&server);
        on.client(move || own.shutdown(Shutdown::Write).unwrap()).join();
        let kind = |writer: Waiting<io::Result<()>>| writer.join().unwrap_err().kind();
        writers.into_iter().for_each(|writer| assert_eq!(kind(writer), ErrorKind::BrokenPipe));
        assert!(readers.iter().all(|reader| !reader.is_over()));
        (&client).write_all(&[0; 8]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(readers.into_iter().map(|reader| reader.join().unwrap()).sum::<usize>(), 8);
    });
}

/// The kernel tells one of them of the reset; the others see an ended stream. None waits for ever.
#[test]
fn a_reset_wakes_everybody() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let (readers, writers) = readers_and_writers(on, &Arc::new(server));
        on.client(move || client.set_linger(Some(std::time::Duration::ZERO)).unwrap()).join();
        let mut resets = 0;
        for reader in readers {
            match reader.join() {
                Ok(n) => assert_eq!(n, 0),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => resets += 1,
                Err(error) => panic!("{error}"),
            }
        }
        for writer in writers {
            match writer.join().unwrap_err().kind() {
                ErrorKind::BrokenPipe => {}
                ErrorKind::ConnectionReset => resets += 1,
                kind => panic!("{kind}"),
            }
        }
        assert_eq!(resets, 1);
    });
}

#[test]
fn closing_a_clone_leaves_who_waits_on_another() {
    in_three_settings(|on| {
        let (server, client) = own_pair();
        let mut clones: Vec<_> = (0..4).map(|_| server.try_clone().unwrap()).collect();
        let filled = fill(&server);
        let server = Arc::new(server);
        let (reading, writing) = (Arc::clone(&server), server);
        let reader = waiting(on.server, move || read_byte(&reading));
        let writer = waiting(on.client, move || (&*writing).write_all(&[b'w'; 1 << 20]).unwrap());
        // Two that were never waited on, and two that were, on either side, and whose waits are over.
        for (n, clone) in clones.drain(..).enumerate() {
            let close = move || {
                if n >= 2 {
                    clone.set_read_timeout(Some(ms(1))).unwrap();
                    assert_eq!((&clone).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
                    clone.set_read_timeout(None).unwrap();
                }
                drop(clone);
            };
            on.nth(n, close).join();
        }
        assert!(!reader.is_over() && !writer.is_over());
        on.client(move || {
            (&client).write_all(b"x").unwrap();
            (&client).read_exact(&mut vec![0; filled + (1 << 20)]).unwrap();
            // Only now the last one is closed.
            assert_eq!((&client).read(&mut [0]).unwrap(), 0);
        })
        .join();
        assert_eq!(reader.join(), b'x');
        writer.join();
    });
}

/// As the clone that was registered first goes, the other one is waited on by several.
#[test]
fn closing_the_original_leaves_who_waits_on_a_clone() {
    in_three_settings(|on| {
        let (mut ours, client) = own_pair();
        for round in 0..6 {
            let clone = Arc::new(ours.try_clone().unwrap());
            ours.set_read_timeout(Some(ms(1))).unwrap();
            let touched = on.nth(round, move || {
                assert_eq!((&ours).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
                ours.set_read_timeout(None).unwrap();
                ours
            });
            let original = touched.join();
            let readers = [0, 1].map(|n| {
                let clone = Arc::clone(&clone);
                waiting(on.kind(n), move || read_byte(&clone))
            });
            on.nth(round + 1, move || drop(original)).join();
            assert!(readers.iter().all(|reader| !reader.is_over()));
            (&client).write_all(&[7, 7]).unwrap();
            readers.into_iter().for_each(|reader| assert_eq!(reader.join(), 7));
            ours = Arc::into_inner(clone).unwrap();
        }
    });
}

/// Cancelled as data comes, a coroutine either has the byte or leaves it to whoever else waits.
#[test]
fn a_cancelled_reader_leaves_what_there_is_to_the_other() {
    in_three_settings(|on| {
        for yields in [0, 1, 3, 64, 66] {
            let (server, client) = own_pair();
            let server = Arc::new(server);
            let (first, second) = (Arc::clone(&server), Arc::clone(&server));
            let (body, watch) = watched(move || read_byte(&first));
            let leaver = dormouse::spawn(body);
            watch.until_waiting();
            let stayer = waiting(on.client, move || read_byte(&second));
            (&client).write_all(b"1").unwrap();
            (0..yields).for_each(|_| dormouse::thread::yield_now());
            leaver.cancel();
            match leaver.join() {
                Ok(byte) => {
                    assert_eq!(byte, b'1');
                    (&client).write_all(b"2").unwrap();
                    assert_eq!(stayer.join(), b'2');
                }
                Err(_) => assert_eq!(stayer.join(), b'1'),
            }
        }
    });
}
