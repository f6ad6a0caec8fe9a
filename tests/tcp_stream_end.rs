//! Streams whose peer goes away, in a process where SIGPIPE would kill, and what SO_ERROR tells of it: all as in std.
mod tcp_settings;

use dormouse::net::TcpStream;
use socket2::SockRef;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::time::Duration;
use tcp_settings::*;

/// Runs `body` in a process of its own, in which SIGPIPE has its default action: to kill.
fn where_sigpipe_kills(name: &str, body: impl Fn(Setting) + Send + Sync + 'static) {
    if !is_kid(name) {
        return Kid::start(name).finish();
    }
    in_three_settings(move |on| {
        on_sigpipe(libc::SIG_DFL);
        body(on);
    });
}

fn on_sigpipe(action: libc::sighandler_t) {
    // SAFETY: the action is the default or to ignore; no handler.
    unsafe { libc::signal(libc::SIGPIPE, action) };
}

/// Closes with a reset instead of a FIN.
fn reset_ours(peer: TcpStream) {
    peer.set_linger(Some(Duration::ZERO)).unwrap();
}

/// What the calls on `stream` answer until its end is known, beginning with a read that waits.
fn read_to_a_reset(mut stream: impl Stream) -> Vec<Answer> {
    vec![
        answer(stream.read(&mut [0; 8])),
        answer(stream.read(&mut [0; 8])),
        answer(stream.peek(&mut [0; 8])),
        answer(stream.write(b"x")),
        answer(stream.write_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"y")])),
        answer(stream.read(&mut [0; 8])),
    ]
}

#[test]
fn a_reset_while_reading_is_told_as_in_std() {
    where_sigpipe_kills("a_reset_while_reading_is_told_as_in_std", |on| {
        let (ours, peer) = own_pair();
        let by_ours = waiting(on.server, move || read_to_a_reset(ours));
        on.client(move || reset_ours(peer)).join();
        let by_ours = by_ours.join();
        // A vectored write of std's raises the signal, which std's runtime ignores.
        on_sigpipe(libc::SIG_IGN);
        let (std, peer) = std_pair();
        let by_std = blocked_in(libc::SYS_recvfrom, move || read_to_a_reset(std));
        reset(peer);
        let by_std = by_std.join();
        assert_eq!(by_ours, by_std);
        assert_eq!(by_ours[0], Err(Some(libc::ECONNRESET)));
        assert_eq!(by_ours[3..5], [Err(Some(libc::EPIPE)); 2]);
    });
}

/// What the calls on `stream` answer: a write of more than all buffers hold, which waits, and those that follow.
fn write_to_a_reset(mut stream: impl Stream) -> Vec<Answer> {
    vec![
        answer(stream.write_all(&vec![1; 64 << 20]).map(|()| 0)),
        answer(stream.write(b"x")),
        answer(stream.read(&mut [0; 8])),
        answer(stream.write_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"y")])),
    ]
}

#[test]
fn a_reset_while_writing_is_told_as_in_std() {
    where_sigpipe_kills("a_reset_while_writing_is_told_as_in_std", |on| {
        let (ours, peer) = own_pair();
        let by_ours = waiting(on.server, move || write_to_a_reset(ours));
        on.client(move || reset_ours(peer)).join();
        let by_ours = by_ours.join();
        // A vectored write of std's raises the signal, which std's runtime ignores.
        on_sigpipe(libc::SIG_IGN);
        let (std, peer) = std_pair();
        let by_std = blocked_in(libc::SYS_sendto, move || write_to_a_reset(std));
        reset(peer);
        let by_std = by_std.join();
        assert_eq!(by_ours, by_std);
        assert_eq!(by_ours[..2], [Err(Some(libc::ECONNRESET)), Err(Some(libc::EPIPE))]);
    });
}

/// The peer closes without having read everything, which resets; what it had sent before is lost, as in std.
#[test]
fn a_peer_that_leaves_data_unread_resets() {
    where_sigpipe_kills("a_peer_that_leaves_data_unread_resets", |on| {
        let (ours, peer) = own_pair();
        (&ours).write_all(b"never read").unwrap();
        let by_ours = waiting(on.server, move || read_to_a_reset(ours));
        on.client(move || {
            peer.peek(&mut [0]).unwrap();
            drop(peer);
        })
        .join();
        assert_eq!(by_ours.join()[..2], [Err(Some(libc::ECONNRESET)), Ok(0)]);
    });
}

/// After a FIN the first write goes out, the answer is a reset, and a later write says so.
#[test]
fn writing_to_a_peer_that_has_closed_ends_in_a_broken_pipe() {
    where_sigpipe_kills("writing_to_a_peer_that_has_closed_ends_in_a_broken_pipe", |on| {
        let (ours, peer) = own_pair();
        let writer = waiting(on.server, move || {
            assert_eq!((&ours).read(&mut [0]).unwrap(), 0);
            let mut kinds = Vec::new();
            while kinds.last() != Some(&ErrorKind::BrokenPipe) {
                // Until the reset is there, which no wait tells of: the stream is readable since the FIN.
                if let Err(error) = (&ours).write(b"x") {
                    kinds.push(error.kind());
                }
                assert!(kinds.len() < 4, "{kinds:?}");
            }
            kinds
        });
        on.client(move || drop(peer)).join();
        let kinds = writer.join();
        assert!(kinds[..kinds.len() - 1].iter().all(|&kind| kind == ErrorKind::ConnectionReset), "{kinds:?}");
    });
}

#[test]
fn so_error_is_told_once_and_then_no_call_repeats_it() {
    in_three_settings(|on| {
        let (ours, peer) = own_pair();
        assert!(ours.take_error().unwrap().is_none());
        on.client(move || reset_ours(peer)).join();
        let told = on.server(move || {
            let mut error = None;
            wait_until(|| {
                error = ours.take_error().unwrap();
                error.is_some()
            });
            assert!(ours.take_error().unwrap().is_none());
            assert_eq!((&ours).read(&mut [0]).unwrap(), 0, "the error was taken");
            assert_eq!((&ours).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            error.unwrap()
        });
        assert_eq!(told.join().raw_os_error(), Some(libc::ECONNRESET));
    });
}

/// What arrives together with a FIN or before it is read first, in whatever pieces.
#[test]
fn everything_written_before_the_close_arrives() {
    const LEN: usize = 1 << 20;
    in_three_settings(|on| {
        for piece in [LEN, 1000] {
            let (server, client) = own_pair();
            let reader = waiting(on.server, move || {
                receive_pattern(&server, 6, LEN, 4096);
                assert_eq!((&server).read(&mut [0]).unwrap(), 0);
            });
            on.client(move || send_pattern(&client, 6, LEN, piece)).join();
            reader.join();
        }
    });
}

#[test]
fn options_pass_through_and_are_those_of_clones_and_of_the_kernel() {
    in_three_settings(|on| {
        let (ours, _peer) = own_pair();
        let body = move || {
            let clone = ours.try_clone().unwrap();
            for nodelay in [false, true] {
                ours.set_nodelay(nodelay).unwrap();
                assert_eq!(clone.nodelay().unwrap(), nodelay);
                assert_eq!(SockRef::from(&clone).tcp_nodelay().unwrap(), nodelay);
            }
            for ttl in [1, 42, 255] {
                clone.set_ttl(ttl).unwrap();
                assert_eq!(ours.ttl().unwrap(), ttl);
                assert_eq!(SockRef::from(&ours).ttl_v4().unwrap(), ttl);
            }
            let std = std::net::TcpStream::from(ours.try_clone().unwrap());
            same_error(ours.set_ttl(256), std.set_ttl(256));
            assert_eq!(ours.ttl().unwrap(), 255);
            for linger in [Some(Duration::from_secs(3)), Some(Duration::ZERO), None] {
                ours.set_linger(linger).unwrap();
                assert_eq!(clone.linger().unwrap(), linger);
                assert_eq!(SockRef::from(&clone).linger().unwrap(), linger);
            }
        };
        on.server(body).join();
    });
}

#[test]
fn debug_output_is_that_of_std() {
    in_three_settings(|on| {
        let (ours, peer) = own_pair();
        drop(peer);
        let body = move || {
            let by_ours = [format!("{ours:?}"), format!("{ours:#?}")];
            let std = std::net::TcpStream::from(ours);
            assert_eq!(by_ours, [format!("{std:?}"), format!("{std:#?}")]);
            assert!(by_ours[0].contains("addr: 127.") && by_ours[0].contains("fd: "), "{by_ours:?}");
            // Without a peer, of which there is then nothing to say.
            std.shutdown(std::net::Shutdown::Both).unwrap();
            wait_until(|| std.peer_addr().is_err());
            let alone = format!("{std:?}");
            assert_eq!(format!("{:?}", TcpStream::from(std)), alone);
            assert!(!alone.contains("peer"), "{alone}");
        };
        on.server(body).join();
    });
}
