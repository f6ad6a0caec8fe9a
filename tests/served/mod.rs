//! A server among the examples, on a thread of this process, and what its tests need of sockets.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dormouse::sync::mpsc;
use socket2::{Domain, Socket, Type};

/// What nothing here takes: after that, something hangs.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// A server on a thread of its own. Dropped, it is asked to end, and waited for.
pub(crate) struct Served<S> {
    pub(crate) address: SocketAddr,
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<io::Result<S>>>,
}

impl<S: Send + 'static> Served<S> {
    /// Calls `run` with what is to be told where it listens, and what waits until it is to end.
    pub(crate) fn start<F>(run: F) -> Served<S>
    where
        F: FnOnce(Box<dyn FnOnce(SocketAddr)>, Box<dyn FnOnce() -> io::Result<()>>) -> io::Result<S> + Send + 'static,
    {
        let (stop, stopped) = mpsc::channel();
        let (ready, address) = channel();
        let thread = thread::spawn(move || {
            let ready = Box::new(move |address| ready.send(address).unwrap());
            // An error is a test that has ended.
            run(ready, Box::new(move || stopped.recv().or(Ok(()))))
        });
        let address = address.recv_timeout(BOUND).expect("the server does not start");
        Served { address, stop, thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Asks it to end, without waiting.
    pub(crate) fn ask_to_end(&self) {
        self.stop.send(()).unwrap();
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn ended_when_asked(self) -> S {
        self.ask_to_end();
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> S {
        self.thread.take().unwrap().join().unwrap().unwrap()
    }
}

impl<S> Drop for Served<S> {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A connection, each of whose waits is bounded.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    with_bounds(TcpStream::connect(address).unwrap())
}

fn with_bounds(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.set_write_timeout(Some(BOUND)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// As `connect`, with little room for what comes: the kernel's own choice grows to many megabytes.
pub(crate) fn connect_small(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(32 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    with_bounds(socket.into())
}

/// Whether a program is here. Where everything must run, it has to be.
pub(crate) fn is_here(program: &str, asks_version: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(asks_version).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let is_here = command.status().is_ok_and(|status| status.success());
    let must_run = std::env::var_os("DORMOUSE_MUST_RUN").is_some();
    assert!(is_here || !must_run, "there is no {program}, and everything must run");
    if !is_here {
        eprintln!("skipped: there is no {program}");
    }
    is_here
}
