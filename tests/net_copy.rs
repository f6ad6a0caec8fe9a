//! `net::copy` and `net::copy_bidirectional`: all bytes, in order, until the end, whichever way they take; half-close, resets,
//! cancellation, and no descriptor left behind.

#[path = "net_support/mod.rs"]
mod support;

use dormouse::net::{self, TcpListener, TcpStream};
use dormouse::os::unix::net::UnixStream;
use dormouse::{cancel, time};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use support::{Random, Setting, bounded, fds, in_three_settings, ms, run, run_with, settle, wait_until};

/// Descriptors are counted: by one test at a time.
static COUNTING: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn one_at_a_time() -> std::sync::MutexGuard<'static, ()> {
    COUNTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

/// Bytes that differ at each place.
fn bytes(count: usize) -> Vec<u8> {
    let mut random = Random(count as u64 | 1);
    (0..count).map(|_| random.below(256) as u8).collect()
}

/// Writes in pieces of all sizes up to `largest`.
fn write_in_pieces(mut stream: impl Write, mut rest: &[u8], largest: u64) {
    let mut random = Random(largest);
    while !rest.is_empty() {
        let piece = (1 + random.below(largest) as usize).min(rest.len());
        stream.write_all(&rest[..piece]).unwrap();
        rest = &rest[piece..];
    }
}

/// Everything through a proxy from one kind of stream to another.
macro_rules! carries {
    ($setting:expr, $pair_in:expr, $pair_out:expr) => {
        for (count, largest) in [(0, 1), (1, 1), (5_000, 100), (300_000, 40_000), (3_000_000, 600_000)] {
            let ((client, one), (two, mut server)) = ($pair_in, $pair_out);
            let sent = Arc::new(bytes(count));
            let source = Arc::clone(&sent);
            let writer = $setting.client(move || {
                write_in_pieces(&client, &source, largest);
                client.shutdown(Shutdown::Write).unwrap();
                client
            });
            let proxy = $setting.server(move || net::copy(&one, &two).unwrap());
            let mut received = Vec::new();
            server.read_to_end(&mut received).unwrap();
            assert_eq!(proxy.join(), count as u64);
            assert!(received == *sent, "{count} bytes in pieces of up to {largest}");
            drop(writer.join());
        }
    };
}

#[test]
fn all_bytes_arrive_in_order_between_streams_of_any_kind() {
    let _alone = one_at_a_time();
    in_three_settings(|setting: Setting| {
        carries!(setting, tcp_pair(), tcp_pair());
        carries!(setting, tcp_pair(), UnixStream::pair().unwrap());
        carries!(setting, UnixStream::pair().unwrap(), tcp_pair());
        carries!(setting, UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    });
}

#[test]
fn streams_that_others_know_are_copied_too_and_keep_their_mode() {
    let _alone = one_at_a_time();
    in_three_settings(|setting: Setting| {
        for lent in ["from", "to"] {
            let ((client, one), (two, mut server)) = (tcp_pair(), tcp_pair());
            let known = if lent == "from" { &one } else { &two };
            let stranger = std::net::TcpStream::from(known.as_fd().try_clone_to_owned().unwrap());
            let sent = bytes(2_000_000);
            let source = sent.clone();
            let writer = setting.client(move || {
                write_in_pieces(&client, &source, 500_000);
                drop(client);
            });
            let proxy = setting.server(move || net::copy(&one, &two).map(|count| (count, one, two)));
            let mut received = vec![0; sent.len()];
            server.read_exact(&mut received).unwrap();
            assert!(!is_nonblocking(&stranger), "{lent}");
            assert!(received == sent);
            writer.join();
            assert_eq!(proxy.join().unwrap().0, sent.len() as u64);
        }
    });
}

fn is_nonblocking(stream: &impl std::os::fd::AsRawFd) -> bool {
    // SAFETY: takes no argument.
    unsafe { libc::fcntl(stream.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK != 0 }
}

/// The flag of a stream that nobody was shown.
fn flag_of(port: u16) -> Vec<bool> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let fd: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
        // SAFETY: only asks; a descriptor that was closed meanwhile is an error.
        let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&name) as libc::socklen_t;
        // SAFETY: writes the name, of at most its length.
        let known = unsafe { libc::getsockname(fd, (&raw mut name).cast(), &raw mut length) } == 0;
        if known && i32::from(name.sin_family) == libc::AF_INET && u16::from_be(name.sin_port) == port {
            found.push(is_nonblocking(&fd));
        }
    }
    found
}

#[test]
fn a_spliced_stream_gets_its_mode_back_when_it_is_lent_or_given_away() {
    let _alone = one_at_a_time();
    run_with(1, || {
        for way in ["lent", "given away", "cloned and given away", "lent while others wait"] {
            let ((client, one), (two, server)) = (tcp_pair(), tcp_pair());
            let (one, two) = (Arc::new(one), Arc::new(two));
            let drain = dormouse::spawn(move || std::io::copy(&mut &server, &mut std::io::sink()).unwrap());
            let (from, to) = (Arc::clone(&one), Arc::clone(&two));
            let proxy = dormouse::spawn(move || net::copy(&from, &to).unwrap());
            write_in_pieces(&client, &bytes(2_000_000), 1_000_000);
            let port = two.local_addr().unwrap().port();
            // It is spliced.
            wait_until(|| flag_of(port).contains(&true));
            if way != "lent while others wait" {
                client.shutdown(Shutdown::Both).unwrap();
                assert_eq!(proxy.join().unwrap(), 2_000_000);
                match way {
                    "lent" => {
                        assert!(!is_nonblocking(&two.as_fd().try_clone_to_owned().unwrap()));
                        drop(two);
                    }
                    "given away" => {
                        let std = std::net::TcpStream::from(Arc::into_inner(two).unwrap());
                        assert!(!is_nonblocking(&std));
                    }
                    _ => {
                        let clone = two.try_clone().unwrap();
                        let std = std::net::TcpStream::from(Arc::into_inner(two).unwrap());
                        assert!(!is_nonblocking(&std));
                        // A clone of ours is copied to all the same, and without the flag.
                        let (client, one) = tcp_pair();
                        let writer = dormouse::spawn(move || write_in_pieces(&client, &bytes(1_000_000), 500_000));
                        assert_eq!(net::copy(&one, &clone).unwrap(), 1_000_000);
                        writer.join().unwrap();
                        assert!(!is_nonblocking(&std));
                        clone.shutdown(Shutdown::Both).unwrap();
                    }
                }
            } else {
                assert!(!is_nonblocking(&one.as_fd()), "the flag is off at once");
                let (more, wrote) = (bytes(1_000_000), 1_000_000);
                write_in_pieces(&client, &more, 500_000);
                client.shutdown(Shutdown::Both).unwrap();
                assert_eq!(proxy.join().unwrap(), 2_000_000 + wrote);
                two.shutdown(Shutdown::Both).unwrap();
            }
            drop(one);
            assert!(drain.join().unwrap() >= 2_000_000);
        }
    });
}

#[test]
fn a_user_who_wants_no_waiting_gets_none_and_the_wish_outlives_the_splices() {
    let _alone = one_at_a_time();
    run_with(1, || {
        let ((client, one), (two, server)) = (tcp_pair(), tcp_pair());
        let clone = one.try_clone().unwrap();
        let drain = dormouse::spawn(move || std::io::copy(&mut &server, &mut std::io::sink()).unwrap());
        let proxy = dormouse::spawn(move || net::copy(&one, &two));
        write_in_pieces(&client, &bytes(2_000_000), 1_000_000);
        settle();
        // Who waits already goes on waiting; what comes then is spliced without waiting again.
        clone.set_nonblocking(true).unwrap();
        write_in_pieces(&client, b"x", 1);
        let error = proxy.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(is_nonblocking(&clone.as_fd()));
        clone.set_nonblocking(false).unwrap();
        assert!(!is_nonblocking(&clone.as_fd()));
        drop(client);
        assert_eq!(drain.join().unwrap(), 2_000_001);
    });
}

#[test]
fn a_half_closed_connection_stays_one() {
    let _alone = one_at_a_time();
    in_three_settings(|setting: Setting| {
        for size in [10, 1_500_000] {
            let ((mut client, one), (two, mut server)) = (tcp_pair(), UnixStream::pair().unwrap());
            let proxy = setting.server(move || net::copy_bidirectional(&one, &two).unwrap());
            let question = bytes(size);
            let asked = question.clone();
            let answers = setting.server(move || {
                let mut heard = Vec::new();
                server.read_to_end(&mut heard).unwrap();
                assert!(heard == asked, "the question ends while its connection goes on");
                write_in_pieces(&server, &heard, 100_000);
                server.write_all(b"!").unwrap();
            });
            client.write_all(&question).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer.len(), size + 1);
            assert!(answer[..size] == question);
            answers.join();
            assert_eq!(proxy.join(), (size as u64, size as u64 + 1));
        }
    });
}

/// One direction has ended, and it is the other one that waits.
#[test]
fn a_timeout_ends_a_half_closed_copy_too() {
    let _alone = one_at_a_time();
    in_three_settings(|setting: Setting| {
        for from_a in [true, false] {
            let ((client, one), (two, server)) = (tcp_pair(), UnixStream::pair().unwrap());
            (&client).write_all(b"question").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let proxy = setting.server(move || match from_a {
                true => time::timeout(ms(50), || net::copy_bidirectional(&one, &two)).is_err(),
                false => time::timeout(ms(50), || net::copy_bidirectional(&two, &one)).is_err(),
            });
            let silent = setting.client(move || {
                let mut heard = String::new();
                (&server).read_to_string(&mut heard).unwrap();
                (heard, server)
            });
            assert!(proxy.join(), "the server is silent");
            assert_eq!(silent.join().0, "question");
            assert_eq!((&client).read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn a_half_closed_copy_that_must_not_unwind_answers_an_error_when_its_time_is_over() {
    let _alone = one_at_a_time();
    bounded(|| {
        let ((client, one), (two, _silent)) = (tcp_pair(), UnixStream::pair().unwrap());
        client.shutdown(Shutdown::Write).unwrap();
        let both = || cancel::as_errors(|| net::copy_bidirectional(&one, &two));
        let error = time::timeout(ms(50), both).unwrap().unwrap_err();
        assert!(error.get_ref().is_some_and(|error| error.is::<dormouse::Cancelled>()), "{error}");
    });
}

#[test]
fn a_reset_ends_both_directions_with_its_error() {
    let _alone = one_at_a_time();
    in_three_settings(|setting: Setting| {
        let ((client, one), (two, mut server)) = (tcp_pair(), tcp_pair());
        let proxy = setting.server(move || net::copy_bidirectional(&one, &two));
        (&client).write_all(b"hello").unwrap();
        let mut hello = [0; 5];
        server.read_exact(&mut hello).unwrap();
        client.set_linger(Some(ms(0))).unwrap();
        drop(client);
        assert_eq!(proxy.join().unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(server.read(&mut hello).unwrap(), 0, "the other peer is told of the end");
    });
}

#[test]
fn a_peer_that_is_gone_ends_the_copy_to_it_without_a_signal() {
    let _alone = one_at_a_time();
    // SAFETY: as programs have it whose `main` is C's; the other tests raise none.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    in_three_settings(|setting: Setting| {
        let ((client, one), (two, server)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let proxy = setting.server(move || net::copy(&one, &two));
        let drain = setting.client(move || {
            let mut some = vec![0; 1_000_000];
            (&server).read_exact(&mut some).unwrap();
        });
        let writer = setting.client(move || {
            let chunk = bytes(200_000);
            while (&client).write_all(&chunk).is_ok() {}
        });
        drain.join();
        assert_eq!(proxy.join().unwrap_err().kind(), ErrorKind::BrokenPipe);
        writer.join();
    });
    // SAFETY: as it was.
    unsafe { libc::signal(libc::SIGPIPE, before) };
}

#[test]
fn each_wait_has_the_timeout_of_its_stream() {
    let _alone = one_at_a_time();
    in_three_settings(|_| {
        let ((client, one), (two, server)) = (tcp_pair(), tcp_pair());
        one.set_read_timeout(Some(ms(30))).unwrap();
        (&client).write_all(b"x").unwrap();
        support::expires(ms(30), || net::copy(&one, &two));
        one.set_read_timeout(None).unwrap();

        two.set_write_timeout(Some(ms(30))).unwrap();
        let flood = std::thread::spawn(move || {
            let chunk = bytes(1_000_000);
            while (&client).write_all(&chunk).is_ok() {}
        });
        let error = net::copy(&one, &two).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "nobody reads");
        drop((one, two, server));
        flood.join().unwrap();
    });
}

#[test]
fn a_cancelled_copy_leaves_nothing_open() {
    let _alone = one_at_a_time();
    bounded(|| {
        let before = fds();
        run(|| {
            for full in [false, true] {
                let ((client, one), (two, server)) = (tcp_pair(), tcp_pair());
                let proxy = dormouse::spawn(move || net::copy_bidirectional(&one, &two));
                let writer = dormouse::spawn(move || {
                    let chunk = bytes(1_000_000);
                    while full && (&client).write_all(&chunk).is_ok() {}
                    client
                });
                if full {
                    // Until nothing moves any more.
                    let mut last = 0;
                    wait_until(|| std::mem::replace(&mut last, queued(&server)) == queued(&server) && last > 0);
                }
                settle();
                proxy.cancel();
                assert!(proxy.join().unwrap_err().is::<dormouse::Cancelled>());
                drop((writer.join(), server));
            }
        });
        assert_eq!(fds(), before, "no pipe is left, on a shelf or off it");
    });
}

/// A copy that is cut short in the middle leaves a pipe with something in it. Nobody else may get that.
#[test]
fn what_a_cancelled_copy_had_taken_is_in_no_other_copy() {
    let _alone = one_at_a_time();
    bounded(|| {
        run(|| {
            for _ in 0..4 {
                let ((client, one), (two, server)) = (tcp_pair(), tcp_pair());
                let stuck = dormouse::spawn(move || net::copy(&one, &two));
                let flood = dormouse::spawn(move || while (&client).write_all(&[0xEE; 100_000]).is_ok() {});
                let mut last = 0;
                wait_until(|| std::mem::replace(&mut last, queued(&server)) == queued(&server) && last > 0);
                settle();
                stuck.cancel();
                assert!(stuck.join().unwrap_err().is::<dormouse::Cancelled>());
                flood.join().unwrap();
            }
            let ((client, one), (two, mut server)) = (tcp_pair(), tcp_pair());
            let copy = dormouse::spawn(move || net::copy(&one, &two).unwrap());
            let sent = bytes(1_000_000);
            let writer = dormouse::spawn({
                let sent = sent.clone();
                move || (&client).write_all(&sent).unwrap()
            });
            let mut received = Vec::new();
            server.read_to_end(&mut received).unwrap();
            writer.join().unwrap();
            assert_eq!(copy.join().unwrap(), sent.len() as u64);
            assert!(received == sent);
        });
    });
}

/// Bytes that wait to be read.
fn queued(stream: &TcpStream) -> i32 {
    use std::os::fd::AsRawFd;
    let mut count = 0;
    // SAFETY: writes one int.
    unsafe { libc::ioctl(stream.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    count
}

#[test]
fn a_copy_that_waits_holds_no_pipe_and_idle_workers_keep_none() {
    let _alone = one_at_a_time();
    bounded(|| {
        run(|| {
            let proxies: Vec<_> = (0..20)
                .map(|_| {
                    let ((client, one), (two, server)) = (tcp_pair(), tcp_pair());
                    let proxy = dormouse::spawn(move || net::copy(&one, &two).unwrap());
                    (client, server, proxy)
                })
                .collect();
            settle();
            let before = fds();
            for (mut client, mut server) in proxies.iter().map(|(client, server, _)| (client, server)) {
                let reader = dormouse::spawn({
                    let server = server.try_clone().unwrap();
                    move || (&server).read_exact(&mut vec![0; 1_000_000]).unwrap()
                });
                client.write_all(&bytes(1_000_000)).unwrap();
                reader.join().unwrap();
                settle();
                client.write_all(b"x").unwrap();
                server.read_exact(&mut [0]).unwrap();
            }
            settle();
            assert!(fds() <= before + 2, "one pipe did for all of them: {} and {before}", fds());
            // Two alarms of a second each.
            wait_until(|| fds() == before);
            for (client, server, proxy) in proxies {
                drop(client);
                assert_eq!(proxy.join().unwrap(), 1_000_001);
                drop(server);
            }
        });
    });
}

#[test]
fn urgent_data_does_not_end_a_copy() {
    let _alone = one_at_a_time();
    in_three_settings(|setting: Setting| {
        let ((client, one), (two, mut server)) = (tcp_pair(), tcp_pair());
        let sent = bytes(1_000_000);
        let source = sent.clone();
        let proxy = setting.server(move || net::copy(&one, &two).unwrap());
        let writer = setting.client(move || {
            use std::os::fd::AsRawFd;
            (&client).write_all(&source[..500_000]).unwrap();
            // SAFETY: one byte.
            let n = unsafe { libc::send(client.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
            assert_eq!(n, 1);
            (&client).write_all(&source[500_000..]).unwrap();
        });
        let mut received = Vec::new();
        server.read_to_end(&mut received).unwrap_or_else(|error| panic!("{error}"));
        writer.join();
        assert_eq!(proxy.join(), sent.len() as u64);
        assert!(received == sent);
    });
}
