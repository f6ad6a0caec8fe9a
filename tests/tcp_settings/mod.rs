//! What the tests of TCP in three settings share: sides that are known to wait, listeners that accept nobody, addresses
//! that refuse, and a view of streams that ours and std's have in common.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

#[path = "../net_support/mod.rs"]
mod net_support;
#[allow(clippy::duplicate_mod, reason = "`net_support` shows only what has no family")]
#[path = "../tcp_support/mod.rs"]
mod tcp_support;

pub(crate) use net_support::*;
pub(crate) use tcp_support::{echo, listener, own_ip, own_pair, pair, reset};

use dormouse::net::TcpStream;
use socket2::{Domain, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The system calls that a thread waits in, for a descriptor of its own or as a worker.
const WAITS: &[libc::c_long] = &[
    libc::SYS_ppoll,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
];

impl Setting {
    /// The kind of the `n`th of a crowd of equals.
    pub(crate) fn kind(self, n: usize) -> Kind {
        if n.is_multiple_of(2) { self.server } else { self.client }
    }
}

/// Something that was started and seen waiting for a descriptor.
pub(crate) struct Waiting<T> {
    started: Started<T>,
    over: Arc<AtomicBool>,
}

impl<T> Waiting<T> {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    #[track_caller]
    pub(crate) fn join(self) -> T {
        self.started.join()
    }
}

/// Says that it is over however its body ends.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What tells how far a watched body has come.
pub(crate) struct Watch {
    place: Arc<Channel<i32>>,
    over: Arc<AtomicBool>,
}

/// A body that does what `f` does, and what tells from outside whether it waits.
pub(crate) fn watched<T>(f: impl FnOnce() -> T + Send + 'static) -> (impl FnOnce() -> T + Send + 'static, Watch) {
    let (place, over) = (Channel::new(), Arc::new(AtomicBool::new(false)));
    let (tell, end) = (Arc::clone(&place), Over(Arc::clone(&over)));
    let body = move || {
        let _end = end;
        tell.send(gettid());
        f()
    };
    (body, Watch { place, over })
}

impl Watch {
    /// Returns once the body, which somebody has started, waits for a descriptor or is over.
    pub(crate) fn until_waiting(&self) {
        self.until_blocked_in(WAITS);
    }

    fn until_blocked_in(&self, numbers: &[libc::c_long]) {
        let tid = self.place.recv();
        if tid == gettid() {
            settle();
        } else {
            wait_until(|| is_blocked(tid, numbers) || self.over.load(Ordering::Acquire));
        }
    }
}

/// Starts `f` and returns once it waits for a descriptor; or is over, which only a timeout may bring about.
pub(crate) fn begun<T: Send + 'static>(kind: Kind, f: impl FnOnce() -> T + Send + 'static) -> Waiting<T> {
    let (body, watch) = watched(f);
    let started = kind.spawn(body);
    watch.until_waiting();
    Waiting { started, over: watch.over }
}

/// Starts `f`, which is to wait for a descriptor: a coroutine is parked and a thread blocked when this returns.
#[track_caller]
pub(crate) fn waiting<T: Send + 'static>(kind: Kind, f: impl FnOnce() -> T + Send + 'static) -> Waiting<T> {
    let waiting = begun(kind, f);
    assert!(!waiting.is_over(), "the {kind:?} does not wait");
    waiting
}

/// Whether the thread `tid` is blocked in one of the system calls `numbers`. A worker is blocked in one of [`WAITS`] when
/// none of its coroutines can run.
fn is_blocked(tid: i32, numbers: &[libc::c_long]) -> bool {
    let call = std::fs::read_to_string(format!("/proc/self/task/{tid}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    number.is_some_and(|number| numbers.contains(&number))
}

/// Runs `f` on a thread of std's, and returns once the thread is blocked in system call `number`.
#[track_caller]
pub(crate) fn blocked_in<T: Send + 'static>(
    number: libc::c_long,
    f: impl FnOnce() -> T + Send + 'static,
) -> Started<T> {
    let (body, watch) = watched(f);
    let started = Kind::Thread.spawn(body);
    watch.until_blocked_in(&[number]);
    assert!(!watch.over.load(Ordering::Acquire), "the thread does not block");
    started
}

/// What `f` answers on a thread of its own: for calls of std's, which would block a worker.
pub(crate) fn aside<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    Kind::Thread.spawn(f).join()
}

/// What ours and std's streams have in common.
pub(crate) trait Stream: Read + Write + Send + 'static {
    fn peek(&self, buf: &mut [u8]) -> io::Result<usize>;
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        TcpStream::peek(self, buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        TcpStream::shutdown(self, how)
    }
}

impl Stream for std::net::TcpStream {
    fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        std::net::TcpStream::peek(self, buf)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        std::net::TcpStream::shutdown(self, how)
    }
}

/// A count, or errno: what can be compared.
pub(crate) type Answer = Result<usize, Option<i32>>;

pub(crate) fn answer(result: io::Result<usize>) -> Answer {
    result.map_err(|error| error.raw_os_error())
}

/// A connection of which both ends are std's.
pub(crate) fn std_pair() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind((IpAddr::from(own_ip()), 0)).unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    (server, client)
}

/// Writes until nothing more fits, and goes on to until that has been so for a while: the kernel of the peer may make a
/// little room yet. Gives how much was written; the stream is left in blocking mode.
pub(crate) fn fill(stream: &TcpStream) -> usize {
    let (mut filled, mut full) = (0, 0);
    while full < 5 {
        match tcp_support::fill(stream) {
            0 => full += 1,
            more => (filled, full) = (filled + more, 0),
        }
        dormouse::thread::sleep(ms(1));
    }
    filled
}

/// A socket that is bound but does not listen, and its address: whoever connects is refused, and nobody else gets the
/// port meanwhile.
pub(crate) fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((IpAddr::from(own_ip()), 0)).into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, addr)
}

/// A listener that accepts nobody and whose queue is full: a connect to it stays in progress.
pub(crate) struct Deaf {
    pub(crate) listener: Socket,
    pub(crate) addr: SocketAddr,
    /// Those in the queue, and those who would be.
    pub(crate) queue: Vec<Socket>,
}

impl Deaf {
    pub(crate) fn new() -> Deaf {
        let (listener, addr) = refusing();
        listener.listen(0).unwrap();
        let client = |_| {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            let _ = client.connect(&addr.into());
            client
        };
        let queue: Vec<_> = (0..4).map(client).collect();
        wait_until(|| queue[0].peer_addr().is_ok());
        Deaf { listener, addr, queue }
    }
}

/// Whether this machine has an IPv6 loopback; says so if a test is skipped.
pub(crate) fn has_ipv6() -> bool {
    let has = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        eprintln!("SKIPPED: this machine has no IPv6 loopback address (::1)");
    }
    has
}

/// The two halves of `bytes` and two empty buffers around them.
pub(crate) fn sliced(bytes: &[u8]) -> [IoSlice<'_>; 4] {
    let (first, second) = bytes.split_at(bytes.len() / 3);
    [IoSlice::new(&[]), IoSlice::new(first), IoSlice::new(&[]), IoSlice::new(second)]
}

/// Reads into three buffers, of which the second is empty, as many bytes as they hold at most; gives what came.
pub(crate) fn read_sliced(mut from: impl Read, first: usize, second: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; first + second];
    let (one, two) = bytes.split_at_mut(first);
    let n = from.read_vectored(&mut [IoSliceMut::new(one), IoSliceMut::new(&mut []), IoSliceMut::new(two)])?;
    bytes.truncate(n);
    Ok(bytes)
}
