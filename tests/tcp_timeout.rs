//! Timeouts of single operations: never early, one deadline a call, errors as std's.
mod tcp_support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::{spawn, spawn_local, thread};
use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tcp_support::*;

/// How much later than its timeout a wait may end on a loaded machine.
const SLACK: Duration = Duration::from_millis(1500);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[track_caller]
fn expires<T: std::fmt::Debug>(timeout: Duration, kind: ErrorKind, call: impl FnOnce() -> io::Result<T>) {
    let start = Instant::now();
    let error = call().unwrap_err();
    let took = start.elapsed();
    assert_eq!(error.kind(), kind);
    assert!(took >= timeout, "early: {took:?} of {timeout:?}");
    assert!(took < timeout + SLACK, "late: {took:?} of {timeout:?}");
}

#[test]
fn reads_and_writes_expire_as_would_block() {
    run_with(1, || {
        let (ours, _peer) = pair();
        fill(&ours);
        for timeout in [Duration::from_nanos(1), Duration::from_micros(300), ms(3), ms(40)] {
            ours.set_read_timeout(Some(timeout)).unwrap();
            ours.set_write_timeout(Some(timeout)).unwrap();
            expires(timeout, ErrorKind::WouldBlock, || (&ours).read(&mut [0; 4]));
            expires(timeout, ErrorKind::WouldBlock, || ours.peek(&mut [0; 4]));
            // The kernel may find room once more.
            expires(timeout, ErrorKind::WouldBlock, || -> io::Result<()> {
                while (&ours).write(&[0; 1 << 20])? > 0 {}
                Ok(())
            });
        }
    });
}

#[test]
fn an_expired_stream_goes_on_working() {
    run_with(1, || {
        let (mut ours, mut peer) = pair();
        for round in 0..20u8 {
            ours.set_read_timeout(Some(ms(2))).unwrap();
            expires(ms(2), ErrorKind::WouldBlock, || ours.read(&mut [0; 4]));
            ours.set_read_timeout(None).unwrap();
            let late = spawn_local(move || {
                settle();
                peer.write_all(&[round]).unwrap();
                peer
            });
            let mut byte = [0];
            ours.read_exact(&mut byte).unwrap();
            assert_eq!(byte[0], round);
            peer = late.join().unwrap();
        }
    });
}

#[test]
fn clones_share_timeouts_and_those_who_wait_keep_theirs() {
    run_with(1, || {
        let (ours, _peer) = pair();
        let clone = ours.try_clone().unwrap();
        clone.set_read_timeout(Some(ms(60))).unwrap();
        let waiting = spawn_local(move || {
            expires(ms(60), ErrorKind::WouldBlock, || (&ours).read(&mut [0]));
            expires(ms(5), ErrorKind::WouldBlock, || (&ours).read(&mut [0]));
        });
        settle();
        clone.set_read_timeout(Some(ms(5))).unwrap();
        expires(ms(5), ErrorKind::WouldBlock, || (&clone).read(&mut [0]));
        waiting.join().unwrap();
    });
}

/// The reader is woken every few milliseconds, always in vain: an urgent byte is an event, but nothing to read.
#[test]
fn being_woken_in_vain_does_not_move_the_deadline() {
    run_with(1, || {
        let (ours, peer) = pair();
        ours.set_read_timeout(Some(ms(150))).unwrap();
        let reader = spawn_local(move || {
            expires(ms(150), ErrorKind::WouldBlock, || (&ours).read(&mut [0]));
            ours
        });
        settle();
        let mut disturbed = 0;
        let start = Instant::now();
        while !reader.is_finished() && start.elapsed() < ms(2000) {
            thread::sleep(ms(4));
            socket2::SockRef::from(&peer).send_out_of_band(b"!").unwrap();
            disturbed += 1;
        }
        drop(reader.join().unwrap());
        assert!(disturbed >= 2, "the reader was hardly disturbed: {disturbed}");
    });
}

#[test]
fn read_exact_has_a_deadline_for_each_read() {
    run_with(1, || {
        let (mut ours, mut peer) = pair();
        ours.set_read_timeout(Some(ms(900))).unwrap();
        let slow = spawn_local(move || {
            for byte in 0..5 {
                thread::sleep(ms(250));
                peer.write_all(&[byte]).unwrap();
            }
            peer
        });
        let start = Instant::now();
        ours.read_exact(&mut [0; 5]).unwrap();
        assert!(start.elapsed() >= ms(1250));
        slow.join().unwrap();
    });
}

fn several_with_timeouts(workers_count: usize) {
    run_with(workers_count, move || {
        let workers = workers(workers_count);
        let (ours, mut peer) = pair();
        let ours = Arc::new(ours);
        let mut tasks = Vec::new();
        for (index, timeout) in [30, 60, 90, 120].into_iter().map(ms).cycle().take(16).enumerate() {
            let stream = Arc::clone(&ours);
            ours.set_read_timeout(Some(timeout)).unwrap();
            let worker = &workers[index % workers.len()];
            tasks.push(worker.spawn(move || expires(timeout, ErrorKind::WouldBlock, || (&*stream).read(&mut [0]))));
            worker.settle();
        }
        ours.set_read_timeout(None).unwrap();
        let last = Arc::clone(&ours);
        let last = workers[0].spawn(move || (&*last).read(&mut [0; 8]).unwrap());
        tasks.into_iter().for_each(Task::join);
        peer.write_all(b"abc").unwrap();
        assert_eq!(last.join(), 3);
    });
}

#[test]
fn several_coroutines_wait_with_timeouts_of_their_own_on_one_worker() {
    several_with_timeouts(1);
}

#[test]
fn several_coroutines_wait_with_timeouts_of_their_own_on_two_workers() {
    several_with_timeouts(2);
}

/// Data and the timeout meet: each byte is received once, by a read that says so.
#[test]
fn data_that_races_with_the_timeout_is_never_lost() {
    const BYTES: usize = 300;
    run_with(2, || {
        let workers = workers(2);
        let (ours, mut peer) = pair();
        let ours = Arc::new(ours);
        ours.set_read_timeout(Some(ms(1))).unwrap();
        let got = Channel::new();
        let read = |stream: Arc<TcpStream>, got: Arc<Channel<Option<u8>>>| {
            move || {
                loop {
                    let mut byte = [0];
                    match (&*stream).read(&mut byte) {
                        Ok(0) => return got.send(None),
                        Ok(_) => got.send(Some(byte[0])),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                }
            }
        };
        for index in 0..4 {
            workers[index % 2].spawn(read(Arc::clone(&ours), Arc::clone(&got)));
        }
        std::thread::spawn(move || {
            let mut random = Random(5);
            for byte in 0..BYTES {
                std::thread::sleep(Duration::from_micros(800 + random.below(500)));
                peer.write_all(&[byte as u8]).unwrap();
            }
        });
        let mut counts = [0; 256];
        let mut ended = 0;
        while ended < 4 {
            match got.recv() {
                Some(byte) => counts[usize::from(byte)] += 1,
                None => ended += 1,
            }
        }
        let expected: Vec<usize> = (0..256).map(|byte| 1 + usize::from(byte < BYTES - 256)).collect();
        assert_eq!(counts.to_vec(), expected);
    });
}

/// A listener that accepts nobody and whose queue is full: a connect to it stays in progress.
fn deaf_listener() -> (socket2::Socket, SocketAddr, Vec<socket2::Socket>) {
    let ip = std::net::IpAddr::from(own_ip());
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((ip, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    for _ in 0..4 {
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&addr);
        queue.push(client);
    }
    (listener, addr.as_socket().unwrap(), queue)
}

#[test]
fn connect_timeout_gives_up_and_others_run_meanwhile() {
    const NAME: &str = "connect_timeout_gives_up_and_others_run_meanwhile";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    run_with(1, || {
        let (_listener, addr, _queue) = deaf_listener();
        let before = fds();
        let ticked = Rc::new(Cell::new(0));
        let ticking = Rc::clone(&ticked);
        let ticks = spawn_local(move || {
            loop {
                thread::sleep(ms(1));
                ticking.set(ticking.get() + 1);
            }
        });
        let call =
            |timeout| move || expires(timeout, ErrorKind::TimedOut, || TcpStream::connect_timeout(&addr, timeout));
        let many: Vec<_> = (1..=10).map(|n| spawn_local(call(ms(10 * n)))).collect();
        call(ms(150))();
        many.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(fds(), before, "a connect that gave up keeps no descriptor");
        assert!(ticked.get() > 20);
        ticks.cancel();
    });
}

#[test]
fn connect_timeout_connects_when_there_is_somebody() {
    run_with(1, || {
        let (listener, addr) = listener();
        let server = spawn(move || echo(&listener.accept().unwrap().0));
        let mut stream = TcpStream::connect_timeout(&addr, ms(5000)).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        // What limited the connect limits nothing afterwards.
        assert_eq!(stream.read_timeout().unwrap(), None);
        drop(stream);
        server.join().unwrap().unwrap();
    });
}

#[test]
fn a_connect_in_progress_succeeds_once_the_queue_has_room() {
    run_with(1, || {
        let (listener, addr, queue) = deaf_listener();
        let waiting = spawn_local(move || TcpStream::connect(addr).unwrap());
        settle();
        assert!(!waiting.is_finished());
        listener.set_nonblocking(true).unwrap();
        let mut accepted = Vec::new();
        // The kernel repeats the SYN after a second.
        wait_until(|| {
            accepted.extend(listener.accept());
            waiting.is_finished()
        });
        let stream = waiting.join().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addr);
        drop(queue);
    });
}

/// SO_RCVTIMEO of a borrowed listener limits its accepts, as the kernel's would.
#[test]
fn an_accept_may_expire() {
    bounded(|| {
        run(|| {
            let (listener, addr) = listener();
            socket2::SockRef::from(&listener.as_fd()).set_read_timeout(Some(ms(20))).unwrap();
            for _ in 0..3 {
                expires(ms(20), ErrorKind::WouldBlock, || listener.accept());
                let client = spawn_local(move || TcpStream::connect(addr).unwrap());
                let (stream, _): (TcpStream, _) = listener.accept().unwrap();
                assert_eq!(stream.read_timeout().unwrap(), Some(ms(20)));
                client.join().unwrap();
            }
            let _: TcpListener = listener;
        });
    });
}
