//! Ancillary data of datagrams: by path, from an address, cut off, and to a peer that is full.
mod unix_ancillary_support;

use dormouse::os::unix::net::{SocketAncillary, UnixDatagram};
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unix_ancillary_support::*;

/// Sends `data` with the descriptor to `path`.
fn send_to(sender: &UnixDatagram, data: &[u8], fd: &OwnedFd, path: &Path) -> std::io::Result<usize> {
    let mut room = room_for(1);
    let mut ancillary = SocketAncillary::new(&mut room);
    assert!(ancillary.add_fds(&[fd.as_raw_fd()]));
    sender.send_vectored_with_ancillary_to(&[IoSlice::new(data)], &mut ancillary, path)
}

/// Receives into two buffers of 4 bytes: the data, whether they were cut off, the sender's path, and the descriptors.
fn receive_from(receiver: &UnixDatagram) -> (Vec<u8>, bool, Option<PathBuf>, Vec<OwnedFd>) {
    let (mut first, mut second, mut room) = ([0; 4], [0; 4], room_for(1));
    let mut ancillary = SocketAncillary::new(&mut room);
    let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    let (n, cut, addr) = receiver.recv_vectored_with_ancillary_from(bufs, &mut ancillary).unwrap();
    let data = first.iter().chain(&second).copied().take(n).collect();
    (data, cut, addr.as_pathname().map(Path::to_owned), take(&ancillary))
}

#[test]
fn a_datagram_goes_to_a_path_and_says_where_it_comes_from() {
    in_three_settings(|setting| {
        let directory = Directory::new();
        let (here, there) = (directory.join("here"), directory.join("there"));
        let (named, receiver) = (UnixDatagram::bind(&here).unwrap(), UnixDatagram::bind(&there).unwrap());
        let server = setting.server(move || {
            for (expected, from) in [(&b"named"[..], Some(here)), (b"nobody", None)] {
                let (data, cut, path, fds) = receive_from(&receiver);
                assert_eq!((&data[..], cut, path, fds.len()), (expected, false, from, 1));
            }
        });
        let gift = gift();
        let client = setting.client(move || {
            assert_eq!(send_to(&named, b"named", &gift, &there).unwrap(), 5);
            assert_eq!(send_to(&UnixDatagram::unbound().unwrap(), b"nobody", &gift, &there).unwrap(), 6);
            gift
        });
        server.join();
        assert_eq!(holders(&client.join()), 1);
    });
}

#[test]
fn data_that_have_no_room_are_cut_off_and_the_descriptors_come() {
    in_three_settings(|setting| {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        let gift = gift();
        let server = setting.server(move || {
            let (data, cut, _, fds) = receive_from(&receiver);
            assert_eq!((&data[..], cut, fds.len()), (&b"too long"[..], true, 1));
            let (mut buf, mut room) = ([0; 4], room_for(1));
            let mut ancillary = SocketAncillary::new(&mut room);
            let bufs = &mut [IoSliceMut::new(&mut buf)];
            assert_eq!(receiver.recv_vectored_with_ancillary(bufs, &mut ancillary).unwrap(), (4, true));
            assert_eq!((&buf, take(&ancillary).len(), ancillary.truncated()), (b"too ", 1, false));
        });
        let client = setting.client(move || {
            for _ in 0..2 {
                assert_eq!(sender.send_fds(b"too long for it", &[gift.as_raw_fd()]).unwrap(), 15);
            }
        });
        client.join();
        server.join();
    });
}

#[test]
fn paths_that_cannot_be_are_refused_as_by_std() {
    bounded(|| {
        let (socket, gift) = (UnixDatagram::unbound().unwrap(), gift());
        let std = std::os::unix::net::UnixDatagram::unbound().unwrap();
        for path in ["with\0zero".to_owned(), "x".repeat(200), "not/there".to_owned(), String::new()] {
            let path = Path::new(&path);
            same_error(send_to(&socket, b"x", &gift, path), std.send_to(b"x", path));
        }
    });
}

/// More datagrams than fit wait at the sender, which is not connected to the receiver, and all of them arrive.
#[test]
fn a_full_peer_is_waited_for() {
    in_three_settings(|setting| {
        const COUNT: u8 = 200;
        let directory = Directory::new();
        let path = directory.join("full");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let (sender, gift) = (UnixDatagram::unbound().unwrap(), Arc::new(gift()));
        let given = Arc::clone(&gift);
        sender.set_nonblocking(true).unwrap();
        let filled = (0..COUNT).take_while(|n| send_to(&sender, &[*n], &given, &path).is_ok()).count() as u8;
        assert!((1..COUNT).contains(&filled), "{filled} fit");
        let error = send_to(&sender, b"x", &given, &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        sender.set_nonblocking(false).unwrap();
        sender.set_write_timeout(Some(ms(20))).unwrap();
        expires(ms(20), || send_to(&sender, b"x", &given, &path));
        sender.set_write_timeout(None).unwrap();
        let client = setting.client(move || {
            for n in filled..COUNT {
                assert_eq!(send_to(&sender, &[n], &given, &path).unwrap(), 1);
            }
        });
        let server = setting.server(move || {
            for n in 0..COUNT {
                let (data, cut, from, fds) = receive_from(&receiver);
                assert_eq!((data, cut, from, fds.len()), (vec![n], false, None, 1));
            }
        });
        client.join();
        server.join();
        assert_eq!(holders(&*gift), 1);
    });
}

/// A receive that is over: no bytes, nothing cut off, no ancillary data, and what was there before is closed.
fn receives_nothing(receiver: &UnixDatagram) {
    let mut room = room_for(1);
    let mut ancillary = SocketAncillary::new(&mut room);
    assert!(ancillary.add_fds(&[0]));
    let mut data = [0; 4];
    let received = receiver.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut data)], &mut ancillary);
    assert_eq!((received.unwrap(), ancillary.len(), ancillary.truncated()), ((0, false), 0, false));
    let bufs = &mut [IoSliceMut::new(&mut data)];
    let (n, cut, addr) = receiver.recv_vectored_with_ancillary_from(bufs, &mut ancillary).unwrap();
    assert!(n == 0 && !cut && addr.is_unnamed() && ancillary.is_empty());
}

#[test]
fn after_a_shutdown_there_is_nothing_to_wait_for() {
    in_three_settings(|setting| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let gift = gift();
        theirs.send_fds(b"last", &[gift.as_raw_fd()]).unwrap();
        let (begun, ours) = (Channel::new(), Arc::new(ours));
        let waiting: Vec<_> = (0..2)
            .map(|n| {
                let (tell, ours) = (Arc::clone(&begun), Arc::new(ours.try_clone().unwrap()));
                setting.nth(n, move || {
                    tell.send(());
                    ours.receive_fds(1).unwrap()
                })
            })
            .collect();
        (0..2).for_each(|_| begun.recv());
        settle();
        ours.shutdown(Shutdown::Read).unwrap();
        let mut got: Vec<_> = waiting.into_iter().map(|one| one.join()).map(|(data, fds)| (data, fds.len())).collect();
        got.sort();
        assert_eq!(got, [(vec![], 0), (b"last".to_vec(), 1)]);
        setting.server(move || receives_nothing(&ours)).join();
        drop(theirs);
    });
}

#[test]
fn a_shutdown_ends_no_call_that_does_not_wait() {
    in_three_settings(|setting| {
        setting
            .server(|| {
                let (ours, _theirs) = UnixDatagram::pair().unwrap();
                ours.shutdown(Shutdown::Read).unwrap();
                ours.set_nonblocking(true).unwrap();
                let mut room = room_for(1);
                let error = ours.receive(&mut SocketAncillary::new(&mut room)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
            })
            .join();
    });
}
