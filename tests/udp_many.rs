//! Batches: as many as there are, at least one, in order, in the caller's memory alone.
mod net_support;
mod udp_support;

use dormouse::net::{Datagram, DatagramMut, SocketAddr, UdpSocket};
use net_support::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use udp_support::*;

/// Counts what the calling thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Room for so many datagrams.
fn room(memory: &mut [u8], count: usize) -> Vec<DatagramMut<'_>> {
    let size = memory.len() / count;
    memory.chunks_mut(size).take(count).map(DatagramMut::new).collect()
}

fn numbers(count: u32) -> Vec<[u8; 4]> {
    (0..count).map(u32::to_le_bytes).collect()
}

/// Receives until the numbers below `count` have come, in order, `at_once` at a time at most; gives how many calls it took.
fn receive_numbers(socket: &UdpSocket, count: u32, at_once: usize, from: Option<SocketAddr>) -> usize {
    let mut memory = vec![0; at_once * 8];
    let mut datagrams = room(&mut memory, at_once);
    let (mut next, mut calls) = (0, 0);
    while next < count {
        let n = socket.recv_many(&mut datagrams).unwrap();
        assert!((1..=at_once.min(UdpSocket::RECV_MANY_MAX)).contains(&n));
        for datagram in &datagrams[..n] {
            assert_eq!(datagram.payload(), next.to_le_bytes());
            assert_eq!((datagram.source(), datagram.is_truncated()), (from, false));
            next += 1;
        }
        calls += 1;
    }
    calls
}

fn send_all(socket: &UdpSocket, mut rest: &[Datagram<'_>]) {
    while !rest.is_empty() {
        let sent = socket.send_many(rest).unwrap();
        assert!((1..=rest.len()).contains(&sent));
        rest = &rest[sent..];
    }
}

#[test]
fn batches_go_and_come_whole_and_in_order() {
    in_three_settings(|setting| {
        for at_once in [1, 5, 32, 100] {
            let ((ours, at_ours), (sender, at_sender)) = (bound(), bound());
            let receiver = setting.server(move || receive_numbers(&ours, 100, at_once, Some(at_sender)));
            let sender = setting.client(move || {
                let numbers = numbers(100);
                let batch: Vec<_> = numbers.iter().map(|number| Datagram::to(number, at_ours)).collect();
                send_all(&sender, &batch);
            });
            sender.join();
            assert!(receiver.join() >= 100usize.div_ceil(at_once.min(UdpSocket::RECV_MANY_MAX)));
        }
    });
}

#[test]
fn connected_sockets_need_no_address() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let at_peer = peer.local_addr().unwrap();
        let receiver = setting.server(move || receive_numbers(&ours, 50, 16, Some(at_peer)));
        setting
            .client(move || {
                let numbers = numbers(50);
                let batch: Vec<_> = numbers.iter().map(|number| Datagram::new(number)).collect();
                send_all(&peer, &batch);
            })
            .join();
        receiver.join();
    });
}

/// Fewer datagrams than buffers: the call ends, and the other buffers are as they were.
#[test]
fn it_waits_for_one_datagram_and_not_for_the_rest() {
    in_three_settings(|setting| {
        let (ours, peer) = connected();
        let receiver = setting.server(move || {
            let mut memory = [b'.'; 80];
            let mut datagrams = room(&mut memory, 10);
            for _ in 0..20 {
                ours.send(b"next").unwrap();
                assert_eq!(ours.recv_many(&mut datagrams).unwrap(), 1);
                assert_eq!(datagrams[0].payload(), b"one");
                assert!(datagrams[1..].iter().all(|d| d.payload().is_empty() && d.source().is_none()));
            }
            assert!(datagrams.into_iter().skip(1).all(|datagram| datagram.into_buffer() == [b'.'; 8]));
        });
        for _ in 0..20 {
            peer.recv(&mut [0; 4]).unwrap();
            peer.send(b"one").unwrap();
        }
        receiver.join();
    });
}

#[test]
fn each_datagram_says_its_length_source_and_whether_it_was_cut_off() {
    in_three_settings(|setting| {
        let (ours, at_ours) = bound();
        let (senders, ports): (Vec<_>, Vec<_>) = (0..3).map(|_| bound()).unzip();
        let receiver = setting.server(move || {
            let mut memory = [0; 32];
            let mut datagrams = room(&mut memory, 8);
            for _ in 0..3 {
                let mut said = Vec::new();
                while said.len() < 4 {
                    let room = 4 - said.len();
                    let n = ours.recv_many(&mut datagrams[..room]).unwrap();
                    let these = datagrams[..n].iter();
                    said.extend(these.map(|d| (d.payload().to_vec(), d.source().unwrap(), d.is_truncated())));
                }
                let expected = [
                    (b"".to_vec(), ports[0], false),
                    (b"full".to_vec(), ports[1], false),
                    (b"long".to_vec(), ports[2], true),
                    (b"x".to_vec(), ports[0], false),
                ];
                assert_eq!(said, expected);
                ours.send_to(b"next", ports[0]).unwrap();
            }
        });
        for _ in 0..3 {
            for (sender, text) in [(0, ""), (1, "full"), (2, "longer than that"), (0, "x")] {
                senders[sender].send_to(text.as_bytes(), at_ours).unwrap();
            }
            senders[0].recv(&mut [0; 4]).unwrap();
        }
        receiver.join();
    });
}

#[test]
fn a_buffer_can_be_changed_in_place_and_used_again() {
    let (ours, peer) = connected();
    let mut memory = [0; 8];
    let mut datagrams = [DatagramMut::new(&mut memory)];
    for text in ["long one", "short"] {
        peer.send(text.as_bytes()).unwrap();
        assert_eq!(ours.recv_many(&mut datagrams).unwrap(), 1);
        assert_eq!(datagrams[0].payload(), text.as_bytes());
        datagrams[0].payload_mut().make_ascii_uppercase();
        assert_eq!(datagrams[0].payload(), text.to_uppercase().as_bytes());
    }
    let debug = format!("{:?}", datagrams[0]);
    assert!(debug.starts_with("DatagramMut { payload: [83, 72, 79, 82, 84], source: Some(127.0.0.1:"), "{debug}");
    assert_eq!(datagrams.map(DatagramMut::into_buffer)[0], b"SHORTONE");
}

#[test]
fn nothing_to_move_is_nothing_moved() {
    in_three_settings(|setting| {
        let side = setting.server(|| {
            let (socket, _) = bound();
            assert_eq!(socket.recv_many(&mut []).unwrap(), 0);
            assert_eq!(socket.send_many(&[]).unwrap(), 0);
        });
        side.join();
    });
}

/// The datagram that fails, first or not, in the first system call or a later one.
#[test]
fn a_failure_ends_the_batch_and_is_the_error_of_the_next() {
    in_three_settings(|setting| {
        let side = setting.server(|| {
            let ((ours, at_ours), (sender, at_sender)) = (bound(), bound());
            let too_long = vec![0; 65_508];
            for bad in [0, 1, 31, 32, 40, 64] {
                let numbers = numbers(bad as u32);
                let mut batch: Vec<_> = numbers.iter().map(|number| Datagram::to(number, at_ours)).collect();
                batch.push(Datagram::to(&too_long, at_ours));
                batch.push(Datagram::to(b"never sent", at_ours));
                let mut rest = &batch[..];
                if bad > 0 {
                    assert_eq!(sender.send_many(rest).unwrap(), bad);
                    rest = &rest[bad..];
                }
                same_error(sender.send_many(rest), std::net::UdpSocket::from(bound().0).send_to(&too_long, at_ours));
                assert_eq!(receive_numbers(&ours, bad as u32, 7, Some(at_sender)), bad.div_ceil(7));
            }
            ours.set_nonblocking(true).unwrap();
            would_block(ours.recv(&mut [0; 9]));
            let error = sender.send_many(&[Datagram::new(b"no peer")]).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EDESTADDRREQ));
        });
        side.join();
    });
}

#[test]
fn a_call_ends_in_time() {
    let ((_sink, at_sink), (sender, _)) = (bound(), bound());
    let batch = vec![Datagram::to(b"", at_sink); 100];
    assert_eq!(sender.send_many(&batch).unwrap(), 64);
    assert_eq!(sender.send_many(&batch[64..]).unwrap(), 36);
    let long = vec![0; 60_000];
    let batch = vec![Datagram::to(&long, at_sink); 10];
    assert_eq!(sender.send_many(&batch).unwrap(), 5, "none behind the first 256 KiB");
}

/// A coroutine that sends and sends lets others run as often as one that sends datagram by datagram.
#[test]
fn batches_leave_the_worker_to_others() {
    run_with(1, || {
        let ((_sink, at_sink), (sender, _)) = (bound(), bound());
        let turns = Rc::new(Cell::new(0));
        let counts = Rc::clone(&turns);
        let other = dormouse::spawn_local(move || {
            loop {
                counts.set(counts.get() + 1);
                dormouse::thread::yield_now();
            }
        });
        let batch = vec![Datagram::to(b"", at_sink); 32];
        for _ in 0..100 {
            assert_eq!(sender.send_many(&batch).unwrap(), 32);
        }
        assert!(turns.get() >= 49, "{} turns for others while 3200 datagrams went", turns.get());
        other.cancel();
        drop(other.join());
    });
}

/// A send buffer that is full parks the sender, which goes on when there is room again, with what is left.
#[test]
fn a_full_send_buffer_is_waited_for() {
    in_three_settings(|setting| {
        let (ours, theirs) = narrow_pair();
        let numbers = numbers(300);
        let batch: Vec<_> = numbers.iter().map(|number| Datagram::new(number)).collect();
        let sent = ours.send_many(&batch).unwrap();
        assert!((1..300).contains(&sent), "nobody receives yet");
        let sender = setting.client(move || {
            let batch: Vec<_> = numbers.iter().map(|number| Datagram::new(number)).collect();
            send_all(&ours, &batch[sent..]);
        });
        settle();
        let receiver = setting.server(move || receive_numbers(&UdpSocket::from(fd(theirs)), 300, 10, None));
        sender.join();
        receiver.join();
    });
}

fn fd(socket: UnixDatagram) -> std::os::fd::OwnedFd {
    socket.into()
}

#[test]
fn no_call_allocates() {
    run_with(1, || {
        let (ours, peer) = connected();
        let numbers = numbers(40);
        let batch: Vec<_> = numbers.iter().map(|number| Datagram::new(number)).collect();
        let mut memory = vec![0; 40 * 4];
        let mut datagrams = room(&mut memory, 40);
        let reader = dormouse::spawn_local({
            let ours = ours.try_clone().unwrap();
            move || ours.recv(&mut [0; 4]).unwrap()
        });
        // The first wait registers the socket.
        settle();
        peer.send(b"warm").unwrap();
        reader.join().unwrap();
        let before = ALLOCATIONS.get();
        for _ in 0..5 {
            assert_eq!(peer.send_many(&batch).unwrap(), 40);
            let mut received = 0;
            while received < 40 {
                received += ours.recv_many(&mut datagrams).unwrap();
            }
        }
        assert_eq!(ALLOCATIONS.get(), before);
        ours.set_nonblocking(true).unwrap();
        assert_eq!(ours.recv_many(&mut datagrams).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

/// The headers of a batch fit into the stack of a coroutine of the size that release builds give.
#[test]
fn a_small_stack_is_enough() {
    run_with(1, || {
        let (ours, peer) = connected();
        let at_peer = peer.local_addr().unwrap();
        let task = dormouse::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
            let numbers = numbers(64);
            let batch: Vec<_> = numbers.iter().map(|number| Datagram::new(number)).collect();
            send_all(&peer, &batch);
            receive_numbers(&ours, 64, 64, Some(at_peer))
        });
        assert!(task.unwrap().join().unwrap() >= 2);
    });
}
