//! What the `tcp_*` tests share: a watchdog, chosen workers, a channel that parks, socket pairs, and what /proc counts.
#![allow(dead_code)]

use dormouse::net::{TcpListener, TcpStream};
use dormouse::thread::{self, LocalJoinHandle, Thread};
use dormouse::{Builder, spawn, spawn_local};
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// After this a test counts as hung.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Runs `body` on a thread of its own; a hang fails with a message instead of blocking the suite.
#[track_caller]
pub(crate) fn bounded<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let (done, end) = channel();
    let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(body));
        let _ = done.send(());
        result
    });
    let thread = thread.unwrap();
    match end.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("{name} hangs: not done after {LIMIT:?}"),
        _ => thread.join().unwrap().unwrap_or_else(|panic| resume_unwind(panic)),
    }
}

/// As `dormouse::run`, on one worker: for what is told by the order in which coroutines run.
#[track_caller]
pub(crate) fn run<T>(f: impl FnOnce() -> T) -> T {
    dormouse::Builder::new().workers(1).run(f).expect("the runtime cannot start")
}

/// [`bounded`], in a runtime with that many workers.
#[track_caller]
pub(crate) fn run_with(workers: usize, body: impl FnOnce() + Send + 'static) {
    bounded(move || Builder::new().workers(workers).run(body).unwrap());
}

/// Lets every coroutine of this worker that can run do so until it parks, and the poller be looked at several times:
/// it is after at most 64 resumes.
pub(crate) fn settle() {
    for _ in 0..4 * 64 {
        thread::yield_now();
    }
}

/// Lets others run until `done`; the watchdog ends it if that never comes.
pub(crate) fn wait_until(mut done: impl FnMut() -> bool) {
    while !done() {
        thread::sleep(Duration::from_micros(200));
    }
}

/// A queue with one receiver, which parks; works from coroutines and plain threads alike.
pub(crate) struct Channel<T> {
    state: Mutex<(VecDeque<T>, Option<Thread>)>,
}

impl<T> Channel<T> {
    pub(crate) fn new() -> Arc<Channel<T>> {
        Arc::new(Channel { state: Mutex::new((VecDeque::new(), None)) })
    }

    pub(crate) fn send(&self, value: T) {
        let waiter = {
            let mut state = self.state.lock().unwrap();
            state.0.push_back(value);
            state.1.take()
        };
        if let Some(waiter) = waiter {
            waiter.unpark();
        }
    }

    pub(crate) fn try_recv(&self) -> Option<T> {
        self.state.lock().unwrap().0.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().unwrap().0.is_empty()
    }

    pub(crate) fn recv(&self) -> T {
        loop {
            {
                let mut state = self.state.lock().unwrap();
                if let Some(value) = state.0.pop_front() {
                    return value;
                }
                state.1 = Some(thread::current());
            }
            thread::park();
        }
    }
}

type Tasks = HashMap<u64, LocalJoinHandle<()>>;
type Job = Box<dyn FnOnce(&mut Tasks) + Send>;

/// One worker of the present runtime, to start coroutines on.
pub(crate) struct Worker {
    jobs: Arc<Channel<Job>>,
    /// The kernel's id of its thread.
    pub(crate) tid: i32,
}

/// A coroutine on a chosen worker.
pub(crate) struct Task<T> {
    id: u64,
    worker: Arc<Channel<Job>>,
    result: Arc<Channel<std::thread::Result<T>>>,
}

/// The workers of the present runtime, found by spawning until each has one of ours.
pub(crate) fn workers(count: usize) -> Vec<Worker> {
    let mut found: Vec<Worker> = Vec::new();
    while found.len() < count {
        let (jobs, hello) = (Channel::<Job>::new(), Channel::new());
        let (theirs, answer) = (Arc::clone(&jobs), Arc::clone(&hello));
        spawn(move || {
            answer.send(gettid());
            let mut tasks = Tasks::new();
            loop {
                theirs.recv()(&mut tasks);
            }
        });
        let tid = hello.recv();
        if found.iter().all(|worker| worker.tid != tid) {
            found.push(Worker { jobs, tid });
        }
    }
    found
}

impl Worker {
    pub(crate) fn spawn<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let result = Channel::new();
        let answer = Arc::clone(&result);
        let tid = self.tid;
        self.jobs.send(Box::new(move |tasks| {
            let body = move || {
                assert_eq!(gettid(), tid, "a started coroutine never moves");
                answer.send(catch_unwind(AssertUnwindSafe(f)));
            };
            tasks.insert(id, spawn_local(body));
        }));
        Task { id, worker: Arc::clone(&self.jobs), result }
    }

    /// Runs `f` there and waits for it.
    pub(crate) fn run<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(f).join()
    }

    /// [`settle`], there: whatever was spawned before is parked, as far as it can.
    pub(crate) fn settle(&self) {
        self.run(settle);
    }
}

impl<T> Task<T> {
    pub(crate) fn join(self) -> T {
        self.result.recv().unwrap_or_else(|panic| resume_unwind(panic))
    }

    pub(crate) fn try_join(self) -> Result<T, Box<dyn Any + Send>> {
        self.result.recv()
    }

    pub(crate) fn cancel(&self) {
        let id = self.id;
        self.worker.send(Box::new(move |tasks: &mut Tasks| tasks[&id].cancel()));
    }
}

pub(crate) fn gettid() -> i32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// An address of this process's own in 127/8, so that TIME_WAIT of earlier runs is not in the way.
pub(crate) fn own_ip() -> [u8; 4] {
    let pid = std::process::id();
    [127, 1 + (pid >> 16) as u8 % 250, (pid >> 8) as u8, 1 + (pid % 250) as u8]
}

pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((std::net::IpAddr::from(own_ip()), 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A connection of which our end is dormouse's and the other std's, which blocks the thread: for what is done at once.
pub(crate) fn pair() -> (TcpStream, std::net::TcpStream) {
    let (listener, addr) = listener();
    let peer = std::net::TcpStream::connect(addr).unwrap();
    peer.set_nodelay(true).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nodelay(true).unwrap();
    (ours, peer)
}

/// A connection of which both ends are dormouse's.
pub(crate) fn own_pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listener();
    let client = TcpStream::connect(addr).unwrap();
    client.set_nodelay(true).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nodelay(true).unwrap();
    (server, client)
}

/// Closes with a reset instead of a FIN.
pub(crate) fn reset(peer: std::net::TcpStream) {
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Writes until nothing more fits; gives how much did. The stream is left in blocking mode.
pub(crate) fn fill(mut stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut filled = 0;
    let mut attempts_without_room = 0;
    // Twice, because the peer's kernel may still be taking what was sent.
    while attempts_without_room < 3 {
        match stream.write(&[b'f'; 65536]) {
            Ok(n) => filled += n,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                attempts_without_room += 1;
                std::thread::yield_now();
            }
        }
    }
    stream.set_nonblocking(false).unwrap();
    filled
}

/// The byte at `offset` of the endless message number `seed`.
pub(crate) fn pattern(seed: u64, offset: usize) -> u8 {
    let mixed = (offset as u64 ^ seed.wrapping_mul(0xD6E8_FEB8_6659_FD93)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as u8
}

pub(crate) fn pattern_bytes(seed: u64, offset: usize, len: usize) -> Vec<u8> {
    (offset..offset + len).map(|at| pattern(seed, at)).collect()
}

/// Checks that `bytes` are those at `offset` of message `seed`.
#[track_caller]
pub(crate) fn check_pattern(seed: u64, offset: usize, bytes: &[u8]) {
    for (at, &byte) in bytes.iter().enumerate() {
        assert_eq!(byte, pattern(seed, offset + at), "byte {} of message {seed}", offset + at);
    }
}

/// Sends `len` bytes of message `seed` in pieces of `piece`.
pub(crate) fn send_pattern(mut to: impl Write, seed: u64, len: usize, piece: usize) {
    let mut sent = 0;
    while sent < len {
        let n = piece.min(len - sent);
        to.write_all(&pattern_bytes(seed, sent, n)).unwrap();
        sent += n;
    }
}

/// Receives exactly `len` bytes of message `seed`, at most `piece` at a time.
pub(crate) fn receive_pattern(mut from: impl Read, seed: u64, len: usize, piece: usize) {
    let mut buf = vec![0; piece];
    let mut got = 0;
    while got < len {
        let want = piece.min(len - got);
        let n = from.read(&mut buf[..want]).unwrap();
        assert_ne!(n, 0, "message {seed} ends after {got} of {len} bytes");
        check_pattern(seed, got, &buf[..n]);
        got += n;
    }
}

/// Sends back whatever comes, until the end.
pub(crate) fn echo(mut stream: &TcpStream) -> io::Result<()> {
    let mut buf = [0; 1024];
    loop {
        match stream.read(&mut buf)? {
            0 => return stream.shutdown(Shutdown::Write),
            n => stream.write_all(&buf[..n])?,
        }
    }
}

/// Open descriptors of this process.
pub(crate) fn fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident bytes of this process.
pub(crate) fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Context switches so far of one thread.
pub(crate) fn switches_of(pid: u32, tid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap();
    let fields = status.lines().filter(|line| line.contains("ctxt_switches"));
    fields.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

/// Context switches so far of all threads of a process.
pub(crate) fn switches(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.map(|task| switches_of(pid, task.unwrap().file_name().to_str().unwrap().parse().unwrap())).sum()
}

/// Waits until thread `tid` of this process is blocked in system call `number`.
pub(crate) fn wait_blocked_in(tid: i32, number: i64) {
    let path = format!("/proc/self/task/{tid}/syscall");
    let prefix = format!("{number} ");
    wait_until(|| std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with(&prefix)));
}

/// Small random numbers, the same at each run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// Keeps the thread computing, without parking.
pub(crate) fn compute(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

const ROLE: &str = "DORMOUSE_TCP_TEST_CHILD";

/// Whether this process is the child that [`Kid::start`] started for the test `name`; it then dies with its parent.
pub(crate) fn is_kid(name: &str) -> bool {
    let kid = std::env::var(ROLE).is_ok_and(|role| role == name);
    if kid {
        // SAFETY: takes integers only.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    }
    kid
}

/// This test binary, re-executed to run one test; killed when dropped.
pub(crate) struct Kid {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Kid {
    pub(crate) fn start(name: &str) -> Kid {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(ROLE, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Kid { child, lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The rest of the next line that starts with `tag`.
    pub(crate) fn line(&mut self, tag: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "the child ended before it said '{tag}'");
            if let Some((_, rest)) = line.split_once(tag) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Ends the child's standard input, which it waits for, and expects it to succeed.
    pub(crate) fn finish(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "the child failed:\n{rest}");
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
