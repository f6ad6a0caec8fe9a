//! Who holds received descriptors: none is lost, none is closed twice, whatever becomes of them. Each test counts the
//! descriptors of the process that are open for what it sent.
mod unix_ancillary_support;

use dormouse::os::unix::net::{AncillaryData, SocketAncillary, UnixDatagram, UnixStream};
use std::fs::File;
use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use unix_ancillary_support::*;

/// `count` times the same descriptor.
fn times(gift: &OwnedFd, count: usize) -> Vec<RawFd> {
    vec![gift.as_raw_fd(); count]
}

/// Takes the next `count` descriptors of the first message.
fn take_some(ancillary: &SocketAncillary<'_>, count: usize) -> Vec<OwnedFd> {
    let Some(Ok(AncillaryData::ScmRights(rights))) = ancillary.messages().next() else {
        panic!("no descriptors came");
    };
    // SAFETY: they were received, and are handed over.
    rights.take(count).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

#[test]
fn what_nobody_took_is_closed_by_the_drop() {
    in_three_settings(|setting| {
        let body = || {
            for (sender, receiver) in carriers() {
                let gift = gift();
                sender.send_fds(b"x", &times(&gift, 5)).unwrap();
                let mut room = room_for(5);
                let mut ancillary = SocketAncillary::new(&mut room);
                receiver.receive(&mut ancillary).unwrap();
                assert_eq!(holders(&gift), 6);
                assert_eq!(ancillary.messages().count(), 1, "looking at a message takes nothing");
                let taken = take_some(&ancillary, 2);
                drop(ancillary);
                assert_eq!(holders(&gift), 3);
                drop(taken);
                assert_eq!(holders(&gift), 1);
            }
        };
        setting.server(body).join();
        setting.client(body).join();
    });
}

#[test]
fn what_nobody_took_is_closed_when_cleared() {
    bounded(|| {
        for (sender, receiver) in carriers() {
            let gift = gift();
            sender.send_fds(b"x", &times(&gift, 4)).unwrap();
            let mut room = room_for(4);
            let mut ancillary = SocketAncillary::new(&mut room);
            receiver.receive(&mut ancillary).unwrap();
            let taken = take_some(&ancillary, 1);
            ancillary.clear();
            assert!(ancillary.is_empty() && ancillary.messages().next().is_none());
            assert_eq!(holders(&gift), 2);
            drop(ancillary);
            assert_eq!(holders(&gift), 2);
            drop(taken);
        }
    });
}

#[test]
fn what_nobody_took_is_closed_by_the_next_receive_but_not_by_one_that_fails() {
    bounded(|| {
        for (sender, receiver) in carriers() {
            let (first, second) = (gift(), gift());
            sender.send_fds(b"1", &times(&first, 3)).unwrap();
            let mut room = room_for(3);
            let mut ancillary = SocketAncillary::new(&mut room);
            receiver.receive(&mut ancillary).unwrap();
            let length = ancillary.len();

            receiver.set_mode(true);
            assert_eq!(receiver.receive(&mut ancillary).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!((ancillary.len(), holders(&first)), (length, 4));
            let taken = take_some(&ancillary, 1);

            sender.send_fds(b"2", &times(&second, 1)).unwrap();
            assert_eq!(receiver.receive(&mut ancillary).unwrap(), b"2");
            assert_eq!((holders(&first), holders(&second)), (2, 2));
            sender.send_fds(b"3", &[]).unwrap();
            assert_eq!(receiver.receive(&mut ancillary).unwrap(), b"3");
            assert_eq!((holders(&first), holders(&second)), (2, 1));
            drop(taken);
            assert_eq!(holders(&first), 1);
        }
    });
}

/// A second walk yields the same numbers, and neither takes nor closes anything again.
#[test]
fn what_was_taken_stays_taken() {
    bounded(|| {
        for (sender, receiver) in carriers() {
            let gift = gift();
            sender.send_fds(b"x", &times(&gift, 3)).unwrap();
            let mut room = room_for(3);
            let mut ancillary = SocketAncillary::new(&mut room);
            receiver.receive(&mut ancillary).unwrap();
            let taken = take(&ancillary);
            let Some(Ok(AncillaryData::ScmRights(again))) = ancillary.messages().next() else {
                panic!("no second walk");
            };
            assert!(again.eq(taken.iter().map(AsRawFd::as_raw_fd)));
            drop(ancillary);
            assert_eq!(holders(&gift), 4);
            drop(taken);
            assert_eq!(holders(&gift), 1);
        }
    });
}

/// What was added to be sent is the caller's.
#[test]
fn what_was_added_is_never_closed() {
    bounded(|| {
        let (sent, received) = (gift(), gift());
        for (sender, receiver) in carriers() {
            sender.send_fds(b"x", &times(&received, 1)).unwrap();
            let mut room = [0; 64];
            let mut ancillary = SocketAncillary::new(&mut room);
            receiver.receive(&mut ancillary).unwrap();
            assert!(ancillary.add_fds(&[sent.as_raw_fd()]));
            ancillary.clear();
            assert!(ancillary.add_fds(&[sent.as_raw_fd()]));
            let Some(Ok(AncillaryData::ScmRights(rights))) = ancillary.messages().next() else {
                panic!("nothing was added");
            };
            assert!(rights.eq([sent.as_raw_fd()]));
            drop(ancillary);
            assert_eq!((holders(&sent), holders(&received)), (1, 1));
        }
    });
}

/// With any size of buffer, at any address, what does not fit is closed, and said to be missing.
#[test]
fn what_has_no_room_is_closed_and_said_to_be_missing() {
    in_three_settings(|setting| {
        let body = || {
            let gift = gift();
            for (sender, receiver) in carriers() {
                for size in 0..48 {
                    sender.send_fds(b"data", &times(&gift, 5)).unwrap();
                    let mut room = [0; 64];
                    let mut ancillary = SocketAncillary::new(&mut room[size % 8..][..size]);
                    assert_eq!(receiver.receive(&mut ancillary).unwrap(), b"data");
                    let fits = (size.saturating_sub(16) / 4).min(5);
                    assert_eq!(ancillary.truncated(), fits < 5, "{size} bytes");
                    assert_eq!(holders(&gift), 1 + fits, "{size} bytes");
                    let taken = take_some_or_none(&ancillary, fits);
                    assert_eq!(taken.len(), fits);
                    ancillary.clear();
                    assert!(!ancillary.truncated());
                    drop(taken);
                    assert_eq!(holders(&gift), 1, "{size} bytes");
                }
            }
        };
        setting.server(body).join();
        setting.client(body).join();
    });
}

fn take_some_or_none(ancillary: &SocketAncillary<'_>, count: usize) -> Vec<OwnedFd> {
    if count == 0 { Vec::new() } else { take_some(ancillary, count) }
}

#[test]
fn a_receive_without_ancillary_data_closes_descriptors() {
    bounded(|| {
        let gift = gift();
        let (sender, mut receiver) = UnixStream::pair().unwrap();
        sender.send_fds(b"x", &times(&gift, 3)).unwrap();
        assert_eq!(receiver.read(&mut [0; 8]).unwrap(), 1);
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        sender.send_fds(b"x", &times(&gift, 3)).unwrap();
        assert_eq!(receiver.recv(&mut [0; 8]).unwrap(), 1);
        assert_eq!(holders(&gift), 1);
    });
}

/// What has not been received is closed with the socket that it waits in.
#[test]
fn what_is_on_the_way_is_closed_with_its_socket() {
    bounded(|| {
        for (sender, receiver) in carriers() {
            let (gift, mut peer) = UnixStream::pair().unwrap();
            sender.send_fds(b"x", &[gift.as_raw_fd()]).unwrap();
            drop(gift);
            peer.write_all(b"still open").unwrap();
            drop((sender, receiver));
            // The kernel collects such descriptors when it gets to it.
            wait_until(|| peer.write_all(b"x").is_err());
        }
    });
}

/// Uses up the descriptors of this process but for `left`.
fn leave_descriptors(left: usize) -> Vec<File> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one rlimit.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    limit.rlim_cur = 200;
    // SAFETY: reads one rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let mut files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.truncate(files.len() - left);
    files
}

#[test]
fn without_descriptors_the_data_come_and_what_is_missing_is_closed() {
    const NAME: &str = "without_descriptors_the_data_come_and_what_is_missing_is_closed";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    let body = || {
        for (sender, receiver) in carriers() {
            let gift = gift();
            sender.send_fds(b"first", &times(&gift, 5)).unwrap();
            sender.send_fds(b"second", &times(&gift, 5)).unwrap();
            let mut room = room_for(5);
            let mut ancillary = SocketAncillary::new(&mut room);
            let files = leave_descriptors(2);
            let data = receiver.receive(&mut ancillary);
            drop(files);
            assert_eq!(data.unwrap(), b"first");
            assert!(ancillary.truncated());
            assert_eq!(holders(&gift), 3);
            assert_eq!(take(&ancillary).len(), 2);
            assert_eq!(holders(&gift), 1);

            let files = leave_descriptors(0);
            let data = receiver.receive(&mut ancillary);
            drop(files);
            assert_eq!(data.unwrap(), b"second");
            assert!(ancillary.truncated() && take(&ancillary).is_empty());
            assert_eq!(holders(&gift), 1);
        }
    };
    bounded(body);
    run_with(1, body);
}

#[test]
fn a_receive_that_is_cancelled_loses_nothing() {
    run_with(1, || {
        for (sender, receiver) in carriers() {
            let gift = gift();
            let receiver = Arc::new(receiver);
            let theirs = Arc::clone(&receiver);
            let parked = dormouse::spawn_local(move || theirs.receive_fds(1).map(|(_, fds)| fds));
            settle();
            parked.cancel();
            assert!(parked.join().unwrap_err().is::<dormouse::Cancelled>());
            sender.send_fds(b"x", &times(&gift, 1)).unwrap();
            assert_eq!(receiver.receive_fds(1).unwrap().1.len(), 1);
            assert_eq!(holders(&gift), 1);
        }
    });
}

/// The descriptor and the cancel come at the same time: either the coroutine got it, or the next one does.
#[test]
fn a_cancel_that_races_with_a_descriptor_loses_nothing() {
    run_with(2, || {
        let gift = gift();
        let mut random = Random(0x9E37_79B9);
        for _ in 0..300 {
            for (sender, receiver) in carriers() {
                let receiver = Arc::new(receiver);
                let theirs = Arc::clone(&receiver);
                let parked = dormouse::spawn(move || theirs.receive_fds(1).unwrap().1);
                let fd = gift.as_raw_fd();
                let sending = dormouse::spawn(move || sender.send_fds(b"x", &[fd]).map(|_| sender).unwrap());
                (0..random.below(40)).for_each(|_| dormouse::thread::yield_now());
                parked.cancel();
                let got = parked.join();
                let _open = sending.join().unwrap();
                match got {
                    Ok(fds) => assert_eq!((fds.len(), holders(&gift)), (1, 2)),
                    Err(_) => {
                        assert_eq!(holders(&gift), 1);
                        assert_eq!(receiver.receive_fds(1).unwrap().1.len(), 1);
                    }
                }
            }
        }
        assert_eq!(holders(&gift), 1);
    });
}

/// As the cancel, with the read timeout.
#[test]
fn a_timeout_that_races_with_a_descriptor_loses_nothing() {
    run_with(1, || {
        let gift = gift();
        for round in 0..100_u64 {
            let (sender, receiver) = UnixStream::pair().unwrap();
            receiver.set_read_timeout(Some(std::time::Duration::from_micros(300))).unwrap();
            let fd = gift.as_raw_fd();
            let sending = std::thread::spawn(move || {
                let start = std::time::Instant::now();
                while start.elapsed() < std::time::Duration::from_micros(250 + round % 100) {
                    std::hint::spin_loop();
                }
                sender.send_fds(b"x", &[fd]).map(|_| sender).unwrap()
            });
            let got = loop {
                match receiver.receive_fds(1) {
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    Ok((_, fds)) => break fds,
                }
            };
            assert_eq!((got.len(), holders(&gift)), (1, 2));
            drop((sending.join().unwrap(), got));
        }
        assert_eq!(holders(&gift), 1);
    });
}

/// An address that std could not give is an error after the fact: what came is there all the same.
#[test]
fn an_error_after_the_receive_keeps_what_came() {
    bounded(|| {
        let (one, other) =
            (std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), std::net::UdpSocket::bind("127.0.0.1:0"));
        other.unwrap().send_to(b"not unix", one.local_addr().unwrap()).unwrap();
        let stranger = UnixDatagram::from(OwnedFd::from(one));
        let (mut data, mut room) = ([0; 16], room_for(1));
        let mut ancillary = SocketAncillary::new(&mut room);
        let bufs = &mut [IoSliceMut::new(&mut data)];
        let error = stranger.recv_vectored_with_ancillary_from(bufs, &mut ancillary).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(&data[..8], b"not unix");
    });
}

/// Threads and coroutines pass descriptors to and fro; in the end there are as many as in the beginning.
#[test]
fn nothing_is_left_after_a_storm() {
    const NAME: &str = "nothing_is_left_after_a_storm";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    in_three_settings(|setting| {
        let before = fds();
        let pairs: Vec<_> = (0..6).flat_map(|_| carriers()).collect();
        let started: Vec<_> = pairs.into_iter().enumerate().map(|(n, pair)| storm(setting, n, pair)).collect();
        for (sending, receiving) in started {
            sending.join();
            receiving.join();
        }
        // Descriptors that the runtime needs for itself, and those of threads that are ending, come and go.
        wait_until(|| fds() <= before);
    });
}

/// One side sends 0 to 9 descriptors at a time; the other has room for some, takes some, and drops the rest.
fn storm(setting: Setting, n: usize, (sender, receiver): Pair) -> (Started<()>, Started<()>) {
    const ROUNDS: u64 = 300;
    let sending = setting.nth(n, move || {
        let (gift, mut random) = (gift(), Random(n as u64 + 1));
        for _ in 0..ROUNDS {
            assert_eq!(sender.send_fds(b"x", &times(&gift, random.below(10) as usize)).unwrap(), 1);
        }
    });
    let receiving = setting.nth(n + 1, move || {
        let (mut random, mut got, mut room) = (Random(n as u64 + 100), 0, room_for(9));
        let mut ancillary = SocketAncillary::new(&mut room);
        while got < ROUNDS {
            got += receiver.receive(&mut ancillary).unwrap().len() as u64;
            if let (0..5, Some(Ok(AncillaryData::ScmRights(rights)))) = (random.below(10), ancillary.messages().next())
            {
                // SAFETY: they were received, and are handed over.
                rights.take(4).for_each(|fd| drop(unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        assert_eq!(got, ROUNDS);
    });
    (sending, receiving)
}

#[test]
fn walks_may_be_made_on_several_threads() {
    bounded(|| {
        let (sender, receiver) = UnixStream::pair().unwrap();
        let gift = gift();
        sender.send_fds(b"x", &times(&gift, 200)).unwrap();
        let mut room = room_for(200);
        let mut ancillary = SocketAncillary::new(&mut room);
        receiver.receive(&mut ancillary).unwrap();
        let raw = |walk: &SocketAncillary<'_>| match walk.messages().next() {
            Some(Ok(AncillaryData::ScmRights(rights))) => rights.collect::<Vec<_>>(),
            _ => panic!("no descriptors came"),
        };
        let walks = std::thread::scope(|scope| {
            let walks = [(); 3].map(|()| scope.spawn(|| raw(&ancillary)));
            walks.map(|walk| walk.join().unwrap())
        });
        assert!(walks[0] == walks[1] && walks[1] == walks[2]);
        drop(ancillary);
        assert_eq!(holders(&gift), 201, "all were handed over");
        // SAFETY: they were received, and handed over; closed once.
        walks[0].iter().for_each(|fd| drop(unsafe { OwnedFd::from_raw_fd(*fd) }));
        assert_eq!(holders(&gift), 1);
    });
}
