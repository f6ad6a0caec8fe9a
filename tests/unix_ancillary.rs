//! Ancillary data of Unix sockets: descriptors and credentials arrive as they were sent, with the data they were sent
//! with, or the kernel's error does.
mod unix_ancillary_support;

use dormouse::os::linux::net::UnixSocketExt;
use dormouse::os::unix::net::{AncillaryData, AncillaryError, SocketAncillary, SocketCred, UnixDatagram, UnixStream};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use unix_ancillary_support::*;

/// The most descriptors of one send (SCM_MAX_FD).
const MOST: usize = 253;

#[test]
fn a_descriptor_arrives_with_its_data_and_works() {
    in_three_settings(|setting| {
        for (sender, receiver) in carriers() {
            let (mut kept, given) = UnixStream::pair().unwrap();
            let server = setting.server(move || {
                let (data, fds) = receiver.receive_fds(1).unwrap();
                assert_eq!((&data[..], fds.len()), (&b"here"[..], 1));
                let fd = fds.into_iter().next().unwrap();
                // SAFETY: F_GETFD takes no argument.
                assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
                let mut received = UnixStream::from(fd);
                received.write_all(b"hello").unwrap();
                let mut answer = [0; 3];
                received.read_exact(&mut answer).unwrap();
                answer
            });
            setting.client(move || assert_eq!(sender.send_fds(b"here", &[given.as_raw_fd()]).unwrap(), 4)).join();
            let mut greeting = [0; 5];
            kept.read_exact(&mut greeting).unwrap();
            assert_eq!(&greeting, b"hello");
            kept.write_all(b"bye").unwrap();
            assert_eq!(&server.join(), b"bye");
        }
    });
}

#[test]
fn as_many_as_there_may_be_arrive_in_order_and_one_more_is_refused() {
    in_three_settings(|setting| {
        for (sender, receiver) in carriers() {
            let gifts: Arc<Vec<OwnedFd>> = Arc::new((0..=MOST).map(|_| gift()).collect());
            let sent = Arc::clone(&gifts);
            let server = setting.server(move || {
                for count in [MOST, 7, MOST, 0] {
                    let (data, fds) = receiver.receive_fds(MOST).unwrap();
                    assert_eq!(data, [count as u8]);
                    assert_eq!(fds.len(), count);
                    let same = fds.iter().zip(&*sent).all(|(a, b)| identity(a.as_raw_fd()) == identity(b.as_raw_fd()));
                    assert!(same, "{count} descriptors");
                }
            });
            let client = setting.client(move || {
                let raw: Vec<RawFd> = gifts.iter().map(AsRawFd::as_raw_fd).collect();
                let error = sender.send_fds(b"x", &raw).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "nothing of it was sent");
                for count in [MOST, 7, MOST, 0] {
                    assert_eq!(sender.send_fds(&[count as u8], &raw[..count]).unwrap(), 1);
                }
            });
            client.join();
            server.join();
        }
    });
}

#[test]
fn several_messages_of_one_send_arrive_as_one() {
    bounded(|| {
        for (sender, receiver) in carriers() {
            let gifts = [gift(), gift(), gift()];
            let mut room = [0; 128];
            let mut ancillary = SocketAncillary::new(&mut room);
            assert!(ancillary.add_fds(&[gifts[0].as_raw_fd()]));
            assert!(ancillary.add_fds(&[gifts[1].as_raw_fd(), gifts[2].as_raw_fd()]));
            sender.send_all(&[IoSlice::new(b"a"), IoSlice::new(b"bc")], &mut ancillary).unwrap();

            let mut room = [0; 128];
            let mut ancillary = SocketAncillary::new(&mut room);
            let (mut first, mut second) = ([0; 2], [0; 2]);
            let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            assert_eq!(receiver.recv_all(bufs, &mut ancillary).unwrap(), 3);
            assert_eq!((&first, second[0]), (b"ab", b'c'));
            assert_eq!(ancillary.messages().count(), 1);
            assert!(!ancillary.truncated());
            let names: Vec<_> = take(&ancillary).iter().map(|fd| identity(fd.as_raw_fd())).collect();
            assert_eq!(names, gifts.each_ref().map(|fd| identity(fd.as_raw_fd())));
        }
    });
}

/// The credentials that came, with where among the messages they were.
fn credentials(ancillary: &SocketAncillary<'_>) -> Vec<(usize, i32, u32, u32)> {
    let numbered = ancillary.messages().enumerate();
    let all = numbered.filter_map(|(at, message)| match message {
        Ok(AncillaryData::ScmCredentials(all)) => Some(all.map(move |one| (at, one))),
        _ => None,
    });
    all.flatten().map(|(at, one)| (at, one.get_pid(), one.get_uid(), one.get_gid())).collect()
}

fn own_credentials() -> SocketCred {
    let mut own = SocketCred::new();
    own.set_pid(std::process::id() as i32);
    // SAFETY: takes nothing and cannot fail.
    own.set_uid(unsafe { libc::getuid() });
    // SAFETY: takes nothing and cannot fail.
    own.set_gid(unsafe { libc::getgid() });
    own
}

/// With descriptors and without, added by the sender and by the kernel.
fn credentials_come_first(sender: &dyn Carrier, receiver: &dyn Carrier) {
    let (own, gift) = (own_credentials(), gift());
    let expected = [(0, own.get_pid(), own.get_uid(), own.get_gid())];
    for (explicit, with_fd) in [(true, false), (false, false), (true, true), (false, true)] {
        let (mut room, mut space) = ([0; 128], [0; 128]);
        let mut ancillary = SocketAncillary::new(&mut room);
        assert!(!with_fd || ancillary.add_fds(&[gift.as_raw_fd()]));
        assert!(!explicit || ancillary.add_creds(std::slice::from_ref(&own)));
        sender.send_all(&[IoSlice::new(b"x")], &mut ancillary).unwrap();
        let mut ancillary = SocketAncillary::new(&mut space);
        assert_eq!(receiver.receive(&mut ancillary).unwrap(), b"x");
        assert_eq!(credentials(&ancillary), expected);
        assert_eq!(take(&ancillary).len(), usize::from(with_fd));
        assert_eq!(ancillary.messages().count(), 1 + usize::from(with_fd));
    }
}

#[test]
fn credentials_come_with_passcred_and_only_then() {
    in_three_settings(|setting| {
        let (one, other) = UnixStream::pair().unwrap();
        let (left, right) = UnixDatagram::pair().unwrap();
        assert!(!other.passcred().unwrap() && !right.passcred().unwrap());
        let mut room = [0; 64];
        let mut ancillary = SocketAncillary::new(&mut room);
        assert!(ancillary.add_creds(&[own_credentials()]));
        one.send_all(&[IoSlice::new(b"x")], &mut ancillary).unwrap();
        assert_eq!(other.receive(&mut ancillary).unwrap(), b"x");
        assert!(ancillary.is_empty(), "nobody asked for them");

        one.send_all(&[IoSlice::new(b"early")], &mut SocketAncillary::new(&mut [])).unwrap();
        other.set_passcred(true).unwrap();
        right.set_passcred(true).unwrap();
        assert_eq!(other.receive(&mut ancillary).unwrap(), b"early");
        let nobody = credentials(&ancillary)[0];
        assert!(nobody.1 == 0 && nobody.2 != own_credentials().get_uid(), "who sent it was not recorded: {nobody:?}");
        assert!(other.passcred().unwrap() && right.passcred().unwrap());
        setting.server(move || credentials_come_first(&one, &other)).join();
        setting.client(move || credentials_come_first(&left, &right)).join();
    });
}

#[test]
fn credentials_that_cannot_be_are_refused() {
    bounded(|| {
        for (sender, receiver) in carriers() {
            let (mut room, mut wrong) = ([0; 64], own_credentials());
            wrong.set_uid(u32::MAX);
            let mut ancillary = SocketAncillary::new(&mut room);
            assert!(ancillary.add_creds(&[wrong]));
            let error = sender.send_all(&[IoSlice::new(b"x")], &mut ancillary).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
            receiver.set_mode(true);
            assert_eq!(receiver.receive(&mut ancillary).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    });
}

/// A receive that brings descriptors ends with the data that they were sent with. All sends are there at the first
/// event, so that what is behind a boundary raises none of its own.
#[test]
fn what_is_behind_a_boundary_is_received_at_once() {
    run_with(1, || {
        for (sender, receiver) in carriers() {
            let reader = dormouse::spawn_local(move || {
                let mut all = Vec::new();
                while all.len() < 5 {
                    all.push(receiver.receive_fds(2).map(|(data, fds)| (data, fds.len())).unwrap());
                }
                all
            });
            settle();
            assert!(!reader.is_finished());
            let gifts = [gift(), gift()];
            for (byte, count) in [(b'a', 1), (b'b', 2), (b'c', 1), (b'd', 2), (b'e', 1)] {
                let fds: Vec<_> = gifts[..count].iter().map(AsRawFd::as_raw_fd).collect();
                assert_eq!(sender.send_fds(&[byte; 3], &fds).unwrap(), 3);
            }
            let expected = [(b'a', 1), (b'b', 2), (b'c', 1), (b'd', 2), (b'e', 1)];
            assert_eq!(reader.join().unwrap(), expected.map(|(byte, count)| (vec![byte; 3], count)));
        }
    });
}

/// A plain read drops descriptors, and ends with the data that they were sent with.
#[test]
fn a_plain_read_ends_at_a_boundary_with_more_behind_it() {
    run_with(1, || {
        let (sender, mut receiver) = UnixStream::pair().unwrap();
        let reader = dormouse::spawn_local(move || {
            let mut all = [0; 6];
            receiver.read_exact(&mut all).unwrap();
            all
        });
        settle();
        let gift = gift();
        sender.send_fds(b"abc", &[gift.as_raw_fd()]).unwrap();
        sender.send_fds(b"def", &[gift.as_raw_fd()]).unwrap();
        assert_eq!(&reader.join().unwrap(), b"abcdef");
        assert_eq!(holders(&gift), 1);
    });
}

#[test]
fn the_end_of_a_stream_comes_with_nothing() {
    in_three_settings(|setting| {
        let (sender, receiver) = UnixStream::pair().unwrap();
        let gift = gift();
        sender.send_fds(b"last", &[gift.as_raw_fd()]).unwrap();
        let server = setting.server(move || {
            let mut room = room_for(1);
            let mut ancillary = SocketAncillary::new(&mut room);
            assert_eq!(receiver.receive(&mut ancillary).unwrap(), b"last");
            assert!(!ancillary.is_empty());
            assert_eq!(receiver.receive(&mut ancillary).unwrap(), b"");
            assert!(ancillary.is_empty() && !ancillary.truncated());
        });
        setting.client(move || drop(sender)).join();
        server.join();
        assert_eq!(holders(&gift), 1);
    });
}

#[test]
fn without_a_byte_nothing_is_sent_on_a_stream_and_all_of_it_in_a_datagram() {
    bounded(|| {
        let gift = gift();
        for (index, (sender, receiver)) in carriers().into_iter().enumerate() {
            assert_eq!(sender.send_fds(b"", &[gift.as_raw_fd()]).unwrap(), 0);
            receiver.set_mode(true);
            match (index, receiver.receive_fds(1)) {
                (0, answer) => assert_eq!(answer.unwrap_err().kind(), ErrorKind::WouldBlock),
                (_, answer) => {
                    let (data, fds) = answer.unwrap();
                    assert_eq!((data.len(), fds.len()), (0, 1));
                }
            }
        }
    });
}

#[test]
fn without_room_for_a_byte_a_stream_gives_the_descriptors_and_keeps_the_data() {
    run_with(1, || {
        let (sender, receiver) = UnixStream::pair().unwrap();
        let reader = dormouse::spawn_local(move || {
            let mut room = room_for(1);
            let mut ancillary = SocketAncillary::new(&mut room);
            assert_eq!(receiver.recv_vectored_with_ancillary(&mut [], &mut ancillary).unwrap(), 0);
            assert_eq!(take(&ancillary).len(), 1);
            assert_eq!(receiver.receive_fds(1).map(|(data, fds)| (data, fds.len())).unwrap(), (b"data".to_vec(), 0));
        });
        settle();
        assert!(!reader.is_finished(), "it waits for data all the same");
        sender.send_fds(b"data", &[gift().as_raw_fd()]).unwrap();
        reader.join().unwrap();
    });
}

/// The descriptors go with the first byte; what was not sent is sent without them.
#[test]
fn a_short_send_has_sent_the_descriptors() {
    in_three_settings(|setting| {
        const LENGTH: usize = 3 << 20;
        let (sender, receiver) = UnixStream::pair().unwrap();
        let gift = gift();
        sender.set_nonblocking(true).unwrap();
        let data = pattern_bytes(1, 0, LENGTH);
        let sent = sender.send_fds(&data, &[gift.as_raw_fd()]).unwrap();
        assert!((1..LENGTH).contains(&sent), "sent {sent}");
        sender.set_nonblocking(false).unwrap();
        let client = setting.client(move || (&sender).write_all(&data[sent..]).unwrap());
        let server = setting.server(move || {
            let (mut got, mut fds, mut buf) = (0, Vec::new(), vec![0; 100_000]);
            while got < LENGTH {
                let mut room = room_for(2);
                let mut ancillary = SocketAncillary::new(&mut room);
                let n = receiver.recv_all(&mut [IoSliceMut::new(&mut buf)], &mut ancillary).unwrap();
                assert_ne!(n, 0);
                check_pattern(1, got, &buf[..n]);
                fds.extend(take(&ancillary).into_iter().map(|fd| (got, fd)));
                got += n;
            }
            assert_eq!(fds.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0], "with the first receive only");
        });
        client.join();
        server.join();
        assert_eq!(holders(&gift), 1);
    });
}

#[test]
fn buffers_may_lie_at_any_address() {
    bounded(|| {
        let gifts = [gift(), gift(), gift()];
        let raw = gifts.each_ref().map(AsRawFd::as_raw_fd);
        for (sender, receiver) in carriers() {
            for offset in 0..16 {
                let (mut room, mut space) = ([0xA5; 80], [0xA5; 80]);
                let mut ancillary = SocketAncillary::new(&mut room[offset..]);
                assert!(ancillary.add_fds(&raw[..1]) && ancillary.add_fds(&raw[1..]));
                sender.send_all(&[IoSlice::new(b"x")], &mut ancillary).unwrap();
                let mut ancillary = SocketAncillary::new(&mut space[15 - offset..][..32]);
                assert_eq!(receiver.receive(&mut ancillary).unwrap(), b"x");
                assert!(!ancillary.truncated(), "all of the buffer is used");
                let names: Vec<_> = take(&ancillary).iter().map(|fd| identity(fd.as_raw_fd())).collect();
                assert_eq!(names, raw.map(identity));
            }
        }
    });
}

#[test]
fn messages_without_a_name_are_told_from_others() {
    bounded(|| {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        let (on, size) = (1_i32, size_of::<i32>() as u32);
        let (level, option) = (libc::SOL_SOCKET, libc::SO_TIMESTAMP);
        // SAFETY: reads one int.
        let answer = unsafe { libc::setsockopt(receiver.raw(), level, option, (&raw const on).cast(), size) };
        assert_eq!(answer, 0);
        let gift = gift();
        sender.send_fds(b"x", &[gift.as_raw_fd()]).unwrap();
        let mut room = [0; 128];
        let mut ancillary = SocketAncillary::new(&mut room);
        assert_eq!(receiver.receive(&mut ancillary).unwrap(), b"x");
        let strangers: Vec<_> = ancillary.messages().filter_map(Result::err).collect();
        let [AncillaryError::Unknown { cmsg_level, cmsg_type }] = strangers[..] else {
            panic!("no time came: {strangers:?}");
        };
        assert_eq!((cmsg_level, cmsg_type), (libc::SOL_SOCKET, libc::SO_TIMESTAMP));
        assert_eq!(ancillary.messages().count(), 2);
        assert_eq!(identity(take(&ancillary)[0].as_raw_fd()), identity(gift.as_raw_fd()));
    });
}

#[test]
fn what_was_received_can_be_sent_on_with_more() {
    bounded(|| {
        let gifts = [gift(), gift()];
        for ((sender, relay), (next, receiver)) in carriers().into_iter().zip(carriers()) {
            sender.send_fds(b"x", &[gifts[0].as_raw_fd()]).unwrap();
            let mut room = [0; 64];
            let mut ancillary = SocketAncillary::new(&mut room);
            relay.receive(&mut ancillary).unwrap();
            assert!(ancillary.add_fds(&[gifts[1].as_raw_fd()]));
            next.send_all(&[IoSlice::new(b"y")], &mut ancillary).unwrap();
            drop(ancillary);
            let (data, fds) = receiver.receive_fds(2).unwrap();
            assert_eq!(data, b"y");
            let names: Vec<_> = fds.iter().map(|fd| identity(fd.as_raw_fd())).collect();
            assert_eq!(names, gifts.each_ref().map(|fd| identity(fd.as_raw_fd())));
            drop(fds);
            assert_eq!((holders(&gifts[0]), holders(&gifts[1])), (1, 1));
        }
    });
}

#[test]
fn errors_are_those_of_the_kernel_and_change_nothing() {
    in_three_settings(|setting| {
        let body = || {
            for (sender, receiver) in carriers() {
                let error = sender.send_fds(b"x", &[RawFd::MAX]).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EBADF));
                let many = [IoSlice::new(&[]); 1025];
                let error = sender.send_all(&many, &mut SocketAncillary::new(&mut [])).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
                drop(receiver);
                let error = sender.send_fds(b"x", &[sender.raw()]).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionRefused), "{error}");
            }
        };
        setting.server(body).join();
        setting.client(body).join();
    });
}

/// The test harness ignores SIGPIPE; programs need not.
#[test]
fn a_peer_that_is_gone_raises_no_signal() {
    const NAME: &str = "a_peer_that_is_gone_raises_no_signal";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    // SAFETY: restores the default action.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run_with(1, || {
        let (sender, receiver) = UnixStream::pair().unwrap();
        drop(receiver);
        let error = sender.send_fds(b"x", &[sender.raw()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn timeouts_and_the_mode_hold() {
    in_three_settings(|setting| {
        let body = || {
            let (one, other) = UnixStream::pair().unwrap();
            one.set_read_timeout(Some(ms(20))).unwrap();
            expires(ms(20), || one.receive_fds(1));
            other.send_fds(b"x", &[gift().as_fd().as_raw_fd()]).unwrap();
            assert_eq!(one.receive_fds(1).unwrap().1.len(), 1);
            one.set_nonblocking(true).unwrap();
            assert_eq!(one.receive_fds(1).unwrap_err().kind(), ErrorKind::WouldBlock);
            while one.send_fds(&[0; 4096], &[]).is_ok() {}
            one.set_nonblocking(false).unwrap();
            one.set_write_timeout(Some(ms(20))).unwrap();
            expires(ms(20), || one.send_fds(&[0; 4096], &[]));
        };
        setting.server(body).join();
        setting.client(body).join();
    });
}

/// Nothing is sent, as std has it, and so no room is needed: neither for data nor for what would go with them.
#[test]
fn sending_nothing_to_a_full_stream_does_not_wait() {
    in_three_settings(|setting| {
        let side = setting.server(|| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            ours.set_write_timeout(Some(ms(20))).unwrap();
            while (&ours).write(&[0; 65536]).is_ok() {}
            ours.set_write_timeout(None).unwrap();
            let gift = gift();
            assert_eq!(ours.send_fds(b"", &[gift.as_raw_fd()]).unwrap(), 0);
            assert_eq!((&ours).write(&[]).unwrap(), 0);
            assert_eq!(ours.send_vectored_with_ancillary(&[], &mut SocketAncillary::new(&mut [])).unwrap(), 0);
            theirs.set_nonblocking(true).unwrap();
            while theirs.read(&mut vec![0; 65536]).is_ok() {}
            assert_eq!(holders(&gift), 1);
            ours.shutdown(Shutdown::Write).unwrap();
            assert_eq!(ours.send_fds(b"", &[gift.as_raw_fd()]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
        side.join();
    });
}
