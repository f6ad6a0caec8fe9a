//! Closing a stream with SO_LINGER waits for what was sent, as in std, and the worker goes on meanwhile.
mod support;
mod tcp_support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::{spawn_local, thread};
use socket2::SockRef;
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};
use support::{child, is_cancelled, limit, run, status_field};
use tcp_support::*;

const LONG: Option<Duration> = Some(Duration::from_secs(15));
const SECOND: Option<Duration> = Some(Duration::from_secs(1));

/// A stream that lingers, with its buffers full, its peer, and how much the peer has yet to read.
fn lingering(linger: Option<Duration>) -> (TcpStream, std::net::TcpStream, usize) {
    let (ours, peer) = pair();
    let filled = fill(&ours);
    ours.set_linger(linger).unwrap();
    assert_eq!(ours.linger().unwrap(), linger);
    (ours, peer, filled)
}

/// Takes all that was sent, which ends in order.
fn drain(mut peer: std::net::TcpStream, filled: usize) {
    assert_eq!(peer.read_to_end(&mut Vec::new()).unwrap(), filled);
}

/// Drops the stream in a coroutine of this worker: that waits until the peer has read, while others run.
#[track_caller]
fn drop_waits(stream: TcpStream, peer: std::net::TcpStream, filled: usize) {
    let start = Instant::now();
    let drops = spawn_local(move || drop(stream));
    settle();
    assert!(!drops.is_finished(), "the drop did not wait");
    drain(peer, filled);
    drops.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn the_worker_goes_on_while_a_drop_lingers() {
    run_with(1, || {
        let (ours, peer, filled) = lingering(LONG);
        drop_waits(ours, peer, filled);
    });
}

/// What a parked coroutine's registration left in epoll does not outlive it, either.
#[test]
fn a_registered_stream_lingers_as_well() {
    run_with(1, || {
        for _ in 0..10 {
            let (ours, peer, filled) = lingering(LONG);
            ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            assert_eq!((&ours).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            drop_waits(ours, peer, filled);
        }
    });
}

#[test]
fn whoever_has_set_it() {
    run_with(1, || {
        // A clone that is gone.
        let (ours, peer) = pair();
        let filled = fill(&ours);
        let clone = ours.try_clone().unwrap();
        clone.set_linger(LONG).unwrap();
        drop(clone);
        drop_waits(ours, peer, filled);
        // A borrower of the fd.
        let (ours, peer) = pair();
        let filled = fill(&ours);
        SockRef::from(&ours).set_linger(LONG).unwrap();
        drop_waits(ours, peer, filled);
        // An earlier owner.
        let (ours, peer, filled) = lingering(LONG);
        let ours = TcpStream::from(std::net::TcpStream::from(ours));
        drop_waits(ours, peer, filled);
    });
}

fn accepted(listener: &TcpListener) -> (TcpStream, std::net::TcpStream) {
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, peer)
}

#[test]
fn accepted_streams_inherit_it() {
    run_with(1, || {
        let (ours, _) = listener();
        ours.set_linger(LONG).unwrap();
        assert_eq!(ours.linger().unwrap(), LONG);
        let (lent, _) = listener();
        SockRef::from(&lent).set_linger(LONG).unwrap();
        for listener in [ours, lent] {
            let (stream, peer) = accepted(&listener);
            assert_eq!(stream.linger().unwrap(), LONG);
            let filled = fill(&stream);
            drop_waits(stream, peer, filled);
            // One that comes from the time before the option was taken back.
            let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            listener.set_linger(None).unwrap();
            let (stream, _) = listener.accept().unwrap();
            assert_eq!(stream.linger().unwrap(), LONG);
            let filled = fill(&stream);
            drop_waits(stream, peer, filled);
            assert_eq!(accepted(&listener).0.linger().unwrap(), None);
        }
    });
}

#[test]
fn the_drop_gives_up_after_the_time_that_was_set() {
    run_with(1, || {
        let (ours, _peer, _) = lingering(SECOND);
        let start = Instant::now();
        let drops = spawn_local(move || drop(ours));
        settle();
        assert!(!drops.is_finished() && start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
        drops.join().unwrap();
        assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&start.elapsed()));
    });
}

#[test]
fn on_a_plain_thread_it_blocks_as_in_std() {
    bounded(|| {
        let (ours, _peer, _) = lingering(SECOND);
        let start = Instant::now();
        drop(ours);
        assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&start.elapsed()));
    });
}

#[test]
fn zero_resets_at_once() {
    let reset_seen = || {
        let (ours, mut peer, _) = lingering(Some(Duration::ZERO));
        thread::no_park(|| drop(ours));
        peer.set_read_timeout(LONG).unwrap();
        assert_eq!(peer.read_to_end(&mut Vec::new()).unwrap_err().kind(), ErrorKind::ConnectionReset);
    };
    bounded(reset_seen);
    run_with(1, reset_seen);
}

#[test]
fn one_that_was_told_not_to_linger_does_not() {
    run_with(1, || {
        let (ours, peer, filled) = lingering(LONG);
        ours.set_linger(None).unwrap();
        thread::no_park(|| drop(ours));
        drain(peer, filled);
    });
}

#[test]
fn a_drop_that_may_not_wait_leaves_the_close_to_others() {
    run_with(1, || {
        let start = Instant::now();
        let (ours, peer, filled) = lingering(LONG);
        thread::no_park(|| drop(ours));
        drain(peer, filled);

        let (ours, peer, filled) = lingering(LONG);
        let cancelled = spawn_local(move || {
            let _ours = ours;
            thread::park();
        });
        settle();
        cancelled.cancel();
        assert!(is_cancelled(&cancelled.join()));
        drain(peer, filled);

        let (ours, peer, filled) = lingering(LONG);
        let panicked = spawn_local(move || {
            let _ours = ours;
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panicked.join().is_err());
        drain(peer, filled);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    });
}

#[test]
fn a_cancel_does_not_cut_a_lingering_drop_short() {
    run_with(1, || {
        let (ours, peer, filled) = lingering(LONG);
        let done = Channel::new();
        let says = std::sync::Arc::clone(&done);
        let drops = spawn_local(move || {
            drop(ours);
            says.send(());
            thread::park();
        });
        settle();
        drops.cancel();
        settle();
        assert!(!drops.is_finished() && done.try_recv().is_none());
        drain(peer, filled);
        assert!(is_cancelled(&drops.join()));
        done.try_recv().unwrap();
    });
}

/// Without a thread to hand it to, the close blocks the worker; but the descriptor is closed.
#[test]
fn without_threads_it_is_closed_in_place() {
    let ended = child("without_threads_it_is_closed_in_place", 20, || {
        run(|| {
            let (ours, _peer, _) = lingering(SECOND);
            let before = fds();
            let size = status_field("/proc/self/status", "VmSize");
            limit(libc::RLIMIT_AS, (size + 1000) << 10);
            let start = Instant::now();
            let other = spawn_local(Instant::now);
            drop(ours);
            let end = Instant::now();
            limit(libc::RLIMIT_AS, u64::MAX);
            assert_eq!(fds(), before - 1);
            assert!(end - start >= Duration::from_millis(900), "{:?}", end - start);
            assert!(other.join().unwrap() >= end, "there was a thread after all");
        });
    });
    ended.succeeded();
}

/// More of them at a time than one thread could close in time.
#[test]
fn many_drops_linger_side_by_side() {
    run_with(2, || {
        let start = Instant::now();
        let drops: Vec<_> = (0..40)
            .map(|_| {
                let (ours, peer, _) = lingering(SECOND);
                dormouse::spawn(move || {
                    drop(ours);
                    drop(peer);
                })
            })
            .collect();
        drops.into_iter().for_each(|drops| drops.join().unwrap());
        assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&start.elapsed()));
    });
}
