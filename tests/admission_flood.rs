//! Refusing while more come than are refused: accept keeps its deadline, and does not wait where it is not to.

mod support;

use dormouse::net::{Admission, TcpListener};
use dormouse::{Builder, time};
use std::io::{ErrorKind, Result};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{bounded, eventually, run};

/// How many connections there are at least before the call that is looked at.
const BACKLOG: u64 = 400;

/// A listener that refuses everybody.
fn refusing() -> (TcpListener, Admission) {
    let admission = Admission::new().max_connections(0);
    (TcpListener::bind("127.0.0.1:0").unwrap().with_admission(&admission), admission)
}

/// Threads that connect, and are refused, until told to end.
struct Flood {
    ends: Arc<AtomicBool>,
    all: Vec<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn at(listener: &TcpListener) -> Flood {
        let (ends, addr) = (Arc::new(AtomicBool::new(false)), listener.local_addr().unwrap());
        let flood = |ends: Arc<AtomicBool>| {
            move || {
                while !ends.load(SeqCst) {
                    // It may be full.
                    let _ = TcpStream::connect_timeout(&addr, Duration::from_millis(50));
                }
            }
        };
        let all = (0..3).map(|_| std::thread::spawn(flood(Arc::clone(&ends)))).collect();
        Flood { ends, all }
    }

    fn end(self) {
        self.ends.store(true, SeqCst);
        self.all.into_iter().for_each(|one| one.join().unwrap());
    }
}

/// SO_RCVTIMEO, which accept obeys.
fn set_accept_timeout(listener: &TcpListener, time: Duration) {
    let time = libc::timeval { tv_sec: time.as_secs() as libc::time_t, tv_usec: time.subsec_micros().into() };
    let (value, length) = ((&raw const time).cast(), size_of::<libc::timeval>() as libc::socklen_t);
    // SAFETY: the descriptor is open, and as many bytes are read as there are.
    let set = unsafe { libc::setsockopt(listener.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, length) };
    assert_eq!(set, 0);
}

/// From a coroutine and from a plain thread.
#[test]
fn accept_ends_at_its_deadline_while_it_refuses() {
    fn accepts_in_vain() {
        let (listener, admission) = refusing();
        let flood = Flood::at(&listener);
        let limit = Duration::from_millis(200);
        set_accept_timeout(&listener, limit);
        let start = Instant::now();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= limit && admission.metrics().refused > 0);
        flood.end();
    }
    bounded(20, accepts_in_vain);
    bounded(20, || run(accepts_in_vain));
}

#[test]
fn accept_that_is_not_to_wait_ends_after_some_refusals() {
    bounded(20, || {
        let (listener, admission) = refusing();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect(addr).unwrap();
        let clients: Vec<_> = (0..BACKLOG).map(connect).collect();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let refused = admission.metrics().refused;
        assert!(0 < refused && refused < BACKLOG, "{refused}");
        eventually(5, "all are refused by further calls", || {
            assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
            admission.metrics().refused == BACKLOG
        });
        drop(clients);
    });
}

#[test]
fn accept_is_cancelled_while_it_refuses() {
    bounded(20, || {
        let accepts = || -> Option<Result<()>> {
            let (listener, _) = refusing();
            let flood = Flood::at(&listener);
            let accepted = time::timeout(Duration::from_millis(100), || listener.accept().map(drop));
            flood.end();
            accepted.ok()
        };
        assert!(Builder::new().workers(1).run(accepts).unwrap().is_none());
    });
}
