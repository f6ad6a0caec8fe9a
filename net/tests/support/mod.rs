//! What the tests on plain threads share.

#![allow(dead_code, reason = "each file uses a part")]

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dormouse_net::{SocketAddr, TcpListener, TcpStream};
use socket2::SockRef;

/// How long a test may take before it is called a hang.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Longer than any scheduling delay that a test should be confused by.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(60);

/// Runs a test body on a thread of its own, and fails instead of hanging.
pub(crate) fn bounded(body: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let test = thread::spawn(move || {
        body();
        done.send(()).ok();
    });
    if finished.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("hangs");
    }
    if let Err(payload) = test.join() {
        std::panic::resume_unwind(payload);
    }
}

pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A client and a server end.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listener();
    let client = TcpStream::connect(addr).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}

pub(crate) fn fill(mut stream: &TcpStream) {
    let block = [7; 65536];
    while stream.write(&block).is_ok() {}
}

/// Asserts that `call` takes at least `TIMEOUT` and fails as a timeout of std does on Linux.
#[track_caller]
pub(crate) fn assert_times_out<T: std::fmt::Debug>(call: impl FnOnce() -> io::Result<T>) {
    let start = Instant::now();
    let error = call().unwrap_err();
    assert!(start.elapsed() >= TIMEOUT, "early: {:?}", start.elapsed());
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
}

#[track_caller]
pub(crate) fn assert_would_block<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

pub(crate) fn is_nonblocking(fd: impl AsFd) -> bool {
    SockRef::from(&fd).nonblocking().unwrap()
}
