//! Unix streams: echo, half-close, resets without a signal, and nothing lost in either direction.
mod net_support;

use dormouse::os::linux::net::UnixSocketExt;
use dormouse::os::unix::net::{UCred, UnixListener, UnixStream};
use dormouse::spawn;
use net_support::*;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net as std_net;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// Sends back whatever comes, until the end.
fn echo(mut stream: &UnixStream) -> io::Result<()> {
    let mut buf = [0; 1024];
    loop {
        match stream.read(&mut buf)? {
            0 => return stream.shutdown(Shutdown::Write),
            n => stream.write_all(&buf[..n])?,
        }
    }
}

/// Sends messages of many sizes and expects each one back.
fn talk(mut stream: impl Read + Write, seed: u64, rounds: u64) {
    let mut random = Random(seed + 1);
    for round in 0..rounds {
        let sent = pattern_bytes(seed ^ round << 32, 0, 1 + random.below(3000) as usize);
        stream.write_all(&sent).unwrap();
        let mut back = vec![0; sent.len()];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, sent);
    }
}

/// Writes until nothing more fits; the stream is left in blocking mode.
fn fill(mut stream: &UnixStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut filled = 0;
    while let Ok(n) = stream.write(&[b'f'; 4096]) {
        filled += n;
    }
    stream.set_nonblocking(false).unwrap();
    filled
}

#[test]
fn forty_clients_hear_their_echo() {
    in_three_settings(|on| {
        let directory = Directory::new();
        let path = directory.join("echo");
        let listener = UnixListener::bind(&path).unwrap();
        let servers = on.server(move || {
            let streams = listener.incoming().take(41);
            streams.map(|stream| stream.unwrap()).map(|stream| on.server(move || echo(&stream))).collect::<Vec<_>>()
        });
        let clients: Vec<_> = (0..40)
            .map(|seed| {
                let path = path.clone();
                on.client(move || talk(UnixStream::connect(path).unwrap(), seed, 10))
            })
            .collect();
        let std = std::thread::spawn(move || talk(std_net::UnixStream::connect(path).unwrap(), 99, 10));
        clients.into_iter().for_each(Started::join);
        servers.join().into_iter().for_each(|server| server.join().unwrap());
        std.join().unwrap();
    });
}

#[test]
fn large_messages_go_both_ways_at_once() {
    const LEN: usize = 4 << 20;
    in_three_settings(|on| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (ours, theirs) = (Arc::new(ours), Arc::new(theirs));
        let (a, b, c, d) = (Arc::clone(&ours), Arc::clone(&theirs), ours, theirs);
        let all = [
            on.server(move || {
                send_pattern(&*a, 1, LEN, 300_000);
                a.shutdown(Shutdown::Write).unwrap();
            }),
            on.client(move || send_pattern(&*b, 2, LEN, 10_000)),
            on.client(move || receive_pattern(&*c, 2, LEN, 70_000)),
            on.server(move || {
                receive_pattern(&*d, 1, LEN, 1000);
                assert_eq!((&*d).read(&mut [0]).unwrap(), 0);
            }),
        ];
        all.into_iter().for_each(Started::join);
    });
}

#[test]
fn half_close_ends_one_direction() {
    in_three_settings(|on| {
        let (client, server) = UnixStream::pair().unwrap();
        let server = on.server(move || {
            let mut question = String::new();
            (&server).read_to_string(&mut question).unwrap();
            (&server).write_all(question.to_uppercase().as_bytes()).unwrap();
        });
        let client = on.client(move || {
            (&client).write_all(b"question").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!((&client).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            let mut answer = String::new();
            (&client).read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "QUESTION");
        });
        client.join();
        server.join();
    });
}

#[test]
fn shutting_down_wakes_who_reads() {
    in_three_settings(|on| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let ours = Arc::new(ours);
        let (reader, ready) = (Arc::clone(&ours), Channel::new());
        let tell = Arc::clone(&ready);
        let reader = on.server(move || {
            tell.send(());
            (&*reader).read(&mut [0]).unwrap()
        });
        ready.recv();
        on.client(move || ours.shutdown(Shutdown::Read).unwrap()).join();
        assert_eq!(reader.join(), 0);
    });
}

/// Whoever closes with data unread resets the connection. In a process where SIGPIPE would kill.
#[test]
fn a_peer_that_goes_away_is_an_error_and_no_signal() {
    const NAME: &str = "a_peer_that_goes_away_is_an_error_and_no_signal";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    // SAFETY: sets the default action.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    in_three_settings(|on| {
        // While reading.
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(b"never read").unwrap();
        let reader = on.server(move || {
            let error = (&ours).read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 0, "the error is reported once");
            assert_eq!((&ours).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            let lists = [IoSlice::new(b"x"), IoSlice::new(b"y")];
            assert_eq!((&ours).write_vectored(&lists).unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
        on.client(move || drop(theirs)).join();
        reader.join();
        // While writing.
        let (ours, theirs) = UnixStream::pair().unwrap();
        fill(&ours);
        let ready = Channel::new();
        let tell = Arc::clone(&ready);
        let writer = on.server(move || {
            tell.send(());
            let error = (&ours).write_all(&[1; 1 << 20]).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
        });
        ready.recv();
        on.client(move || drop(theirs)).join();
        writer.join();
    });
}

#[test]
fn vectored_calls_park_and_move_every_byte() {
    const LEN: usize = 1 << 20;
    in_three_settings(|on| {
        let (server, client) = UnixStream::pair().unwrap();
        let writer = on.client(move || {
            let mut sent = 0;
            while sent < LEN {
                let bytes = pattern_bytes(2, sent, 200_000.min(LEN - sent));
                let (first, second) = bytes.split_at(bytes.len() / 3);
                sent += (&client).write_vectored(&[IoSlice::new(first), IoSlice::new(second)]).unwrap();
            }
        });
        let reader = on.server(move || {
            let (mut first, mut second, mut got) = (vec![0; 1000], vec![0; 70_000], 0);
            while got < LEN {
                let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
                let n = (&server).read_vectored(bufs).unwrap();
                assert_ne!(n, 0);
                check_pattern(2, got, &first[..n.min(1000)]);
                check_pattern(2, got + 1000, &second[..n.saturating_sub(1000)]);
                got += n;
            }
            assert_eq!((&server).read_vectored(&mut []).unwrap(), 0);
            assert_eq!((&server).read_vectored(&mut [IoSliceMut::new(&mut [])]).unwrap(), 0);
        });
        writer.join();
        reader.join();
    });
}

#[test]
fn peek_parks_and_leaves_the_data() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let reader = on.server(move || {
            let mut buf = [0; 16];
            for _ in 0..3 {
                assert_eq!(ours.peek(&mut buf).unwrap(), 5);
                assert_eq!(ours.peek(&mut buf[..2]).unwrap(), 2);
                (&ours).read_exact(&mut buf[..5]).unwrap();
                assert_eq!(&buf[..5], b"hello");
                (&ours).write_all(b"!").unwrap();
            }
            assert_eq!(ours.peek(&mut buf).unwrap(), 0);
        });
        let writer = on.client(move || {
            for _ in 0..3 {
                (&theirs).write_all(b"hello").unwrap();
                (&theirs).read_exact(&mut [0]).unwrap();
            }
        });
        writer.join();
        reader.join();
    });
}

/// As in std: nothing to read and no room for it either is still nothing to read.
#[test]
fn an_empty_read_waits_for_data_as_in_std() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (std, _other) = std_net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        std.set_nonblocking(true).unwrap();
        same_error((&ours).read(&mut []), (&std).read(&mut []));
        ours.set_nonblocking(false).unwrap();
        let reader = on.server(move || {
            assert_eq!((&ours).read(&mut []).unwrap(), 0);
            let mut byte = [0];
            (&ours).read_exact(&mut byte).unwrap();
            byte[0]
        });
        on.client(move || {
            assert_eq!((&theirs).write(&[]).unwrap(), 0);
            (&theirs).write_all(b"x").unwrap();
        })
        .join();
        assert_eq!(reader.join(), b'x');
    });
}

/// Sends `data` with one descriptor attached.
fn send_with_fd(to: &UnixStream, data: &[u8], fd: impl AsFd) {
    #[repr(C)]
    struct Control(libc::cmsghdr, [libc::c_int; 2]);
    let mut control = Control(
        libc::cmsghdr {
            cmsg_len: size_of::<libc::cmsghdr>() + size_of::<libc::c_int>(),
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        [fd.as_fd().as_raw_fd(), 0],
    );
    let mut buffer = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut buffer, 1);
    (message.msg_control, message.msg_controllen) = ((&raw mut control).cast(), size_of::<Control>());
    // SAFETY: everything that the header points to lives through the call.
    let sent = unsafe { libc::sendmsg(to.as_fd().as_raw_fd(), &raw const message, 0) };
    assert_eq!(sent, data.len() as isize, "{}", io::Error::last_os_error());
}

/// Three pieces, the last two with a descriptor each.
fn send_in_pieces(to: &UnixStream) {
    (&*to).write_all(b".first").unwrap();
    send_with_fd(to, b"se", std::fs::File::open("/dev/null").unwrap());
    send_with_fd(to, b"c?", std::fs::File::open("/dev/null").unwrap());
}

fn receive_pieces(mut from: &UnixStream) {
    let (mut buf, mut got) = ([0; 64], 0);
    while got < 10 {
        got += from.read(&mut buf[got..]).unwrap();
    }
    assert_eq!(&buf[..got], b".firstsec?");
}

/// A descriptor that comes along ends a read: more bytes lie behind, and no further event tells of them. All is sent
/// before the reader runs again, so that there is one event for all of it, and the stream stays open.
#[test]
fn a_read_that_a_passed_descriptor_ends_hides_nothing() {
    run_with(1, || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let reader = spawn(move || (0..3).for_each(|_| receive_pieces(&ours)));
        for _ in 0..3 {
            settle();
            send_in_pieces(&theirs);
        }
        reader.join().unwrap();
        drop(theirs);
    });
}

#[test]
fn passed_descriptors_do_not_keep_bytes_from_anybody() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let reader = on.server(move || (0..50).for_each(|_| receive_pieces(&ours)));
        let writer = on.client(move || {
            (0..50).for_each(|_| send_in_pieces(&theirs));
            theirs
        });
        reader.join();
        writer.join();
    });
}

#[test]
fn closing_a_clone_leaves_who_waits_on_another() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let clone = ours.try_clone().unwrap();
        let ready = Channel::new();
        let tell = Arc::clone(&ready);
        let reader = on.server(move || {
            tell.send(());
            let mut byte = [0];
            (&ours).read_exact(&mut byte).unwrap();
            byte[0]
        });
        ready.recv();
        if on.is_all_coroutines() {
            settle();
        }
        on.client(move || drop(clone)).join();
        on.client(move || (&theirs).write_all(b"x").unwrap()).join();
        assert_eq!(reader.join(), b'x');
    });
}

#[test]
fn a_cancelled_reader_takes_nothing_with_it() {
    run_with(1, || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = Arc::new(ours);
        let reader = Arc::clone(&ours);
        let reader = spawn(move || (&*reader).read(&mut [0; 8]));
        settle();
        (&theirs).write_all(b"x").unwrap();
        reader.cancel();
        // Whichever came first: the byte is there for exactly one.
        match reader.join() {
            Ok(read) => assert_eq!(read.unwrap(), 1),
            Err(_) => assert_eq!((&*ours).read(&mut [0; 8]).unwrap(), 1),
        }
        ours.set_nonblocking(true).unwrap();
        assert_eq!((&*ours).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn credentials_options_and_errors_pass_through() {
    in_three_settings(|on| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let body = move || {
            // SAFETY: these take nothing and cannot fail.
            let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
            let own = UCred { uid, gid, pid: Some(std::process::id() as i32) };
            assert_eq!(ours.peer_cred().unwrap(), own);
            assert!(!ours.passcred().unwrap());
            ours.set_passcred(true).unwrap();
            assert!(ours.passcred().unwrap() && !theirs.passcred().unwrap());
            assert!(ours.take_error().unwrap().is_none());
            match ours.set_mark(7) {
                Ok(()) => assert_eq!(socket2::SockRef::from(&ours).mark().unwrap(), 7),
                Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
            }
            ours.set_passcred(false).unwrap();
            (&theirs).write_all(b"lost").unwrap();
            (&ours).write_all(b"unread").unwrap();
            drop(theirs);
            let error = ours.take_error().unwrap().unwrap();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            assert!(ours.take_error().unwrap().is_none());
        };
        on.server(body).join();
    });
}

/// std writes its descriptor as `FileDesc(OwnedFd { fd: 3 })`, we as `3`; the rest is the same.
#[test]
fn debug_output_is_that_of_std() {
    bounded(|| {
        let directory = Directory::new();
        let listener = std_net::UnixListener::bind(directory.join("debug")).unwrap();
        let stream = std_net::UnixStream::connect(directory.join("debug")).unwrap();
        let datagram = std_net::UnixDatagram::bind(directory.join("datagram")).unwrap();
        datagram.connect(directory.join("datagram")).unwrap();
        let by_std = [format!("{listener:?}"), format!("{stream:?}"), format!("{datagram:?}")];
        let ours = [
            format!("{:?}", UnixListener::from(listener)),
            format!("{:?}", UnixStream::from(stream)),
            format!("{:?}", dormouse::os::unix::net::UnixDatagram::from(datagram)),
        ];
        assert_eq!(ours, by_std);
    });
}

#[test]
fn the_types_have_the_auto_traits_of_std() {
    fn check<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    check::<UnixStream>();
    check::<UnixListener>();
    check::<dormouse::os::unix::net::UnixDatagram>();
    check::<dormouse::os::unix::net::Incoming<'_>>();
    check::<UCred>();
}
