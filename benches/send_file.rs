//! How much of a server's processor does it take to send a file, and to copy one connection to another?
//!
//! What is shown as time is the processor time of the server's worker, which has a core of its own; the peers have the
//! other one. `send_file` beside a loop that reads and writes 64 KiB at a time, for a large file and for small ones;
//! `net::copy` beside such a loop and `std::io::copy`, for bulk and for messages of 64 bytes that are answered.
//!
//! Excluded: the start of threads and runtimes, making connections, and opening the files, which are in memory.

use criterion::{Criterion, SamplingMode, Throughput};
use dormouse::net::{self, TcpListener, TcpStream};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

/// Bytes carried by what is large.
const TOTAL: usize = 512 << 20;

/// Bytes of a small file.
const SMALL: usize = 4 << 10;

/// How many small files are sent, and messages answered.
const TIMES: usize = 20_000;

/// Bytes of a read of the loops.
const CHUNK: usize = 64 << 10;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(4))
        .without_plots()
        .configure_from_args();
    let (large, small) = (file_of(TOTAL), file_of(SMALL));
    let mut group = criterion.benchmark_group("sending a file of 512 MiB");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(TOTAL as u64));
    group.bench_function("send_file", |bencher| bencher.iter_custom(|n| repeat(n, || serve(&large, 1, send))));
    group.bench_function("read and write", |bencher| bencher.iter_custom(|n| repeat(n, || serve(&large, 1, carry))));
    group.finish();
    let mut group = criterion.benchmark_group("sending files of 4 KiB");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(TIMES as u64));
    group.bench_function("send_file", |bencher| bencher.iter_custom(|n| repeat(n, || serve(&small, TIMES, send))));
    group
        .bench_function("read and write", |bencher| bencher.iter_custom(|n| repeat(n, || serve(&small, TIMES, carry))));
    group.finish();
    let mut group = criterion.benchmark_group("a proxy of 512 MiB");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(TOTAL as u64));
    for (name, copy) in WAYS {
        group.bench_function(name, |bencher| bencher.iter_custom(|n| repeat(n, || proxy(copy, bulk))));
    }
    group.finish();
    let mut group = criterion.benchmark_group("a proxy of messages of 64 bytes");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(TIMES as u64));
    for (name, copy) in WAYS {
        group.bench_function(name, |bencher| bencher.iter_custom(|n| repeat(n, || proxy(copy, messages))));
    }
    group.finish();
    criterion.final_summary();
}

fn repeat(times: u64, mut program: impl FnMut() -> Duration) -> Duration {
    (0..times).map(|_| program()).sum()
}

/// A file of so many bytes, in memory and without a name.
fn file_of(bytes: usize) -> File {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}-{bytes}", std::process::id()));
    std::fs::write(&path, vec![7; bytes]).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.sync_all().unwrap();
    file
}

/// Keeps the calling thread to one core, if there are two.
fn pin(core: usize) {
    // SAFETY: `cpu_set_t` is an array of integers, for which zero is a value (no core).
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is as large as it says, and the core is within.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: reads the set, which is as large as it says. Where there is one core this fails, to no harm.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
}

/// Processor time of this thread so far.
fn used() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs `server` on one worker on its own core; gives the processor time that it took.
fn on_one_worker(server: impl FnOnce() + Send) -> Duration {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            pin(0);
            dormouse::Builder::new().workers(1).run(|| {
                let begin = used();
                server();
                used() - begin
            })
        });
        worker.join().unwrap().unwrap()
    })
}

/// A connection: ours, and a peer's.
fn connection() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nodelay(true).unwrap();
    (ours, peer)
}

/// A thread of a peer's.
fn peer<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::spawn(|| {
        pin(1);
        f()
    })
}

fn discard(mut from: impl Read, count: usize) {
    let (mut chunk, mut left) = (vec![0; 4 * CHUNK], count);
    while left > 0 {
        let piece = chunk.len().min(left);
        left -= from.read(&mut chunk[..piece]).unwrap();
    }
}

/// Sends a file so many times, each time once the peer has all of the last one.
fn serve(file: &File, times: usize, send: fn(&TcpStream, &File)) -> Duration {
    let (mut ours, mut theirs) = connection();
    let size = file.metadata().unwrap().len() as usize;
    let client = peer(move || {
        for _ in 0..times {
            theirs.write_all(b"?").unwrap();
            discard(&theirs, size);
        }
    });
    let took = on_one_worker(move || {
        for _ in 0..times {
            ours.read_exact(&mut [0]).unwrap();
            send(&ours, file);
        }
    });
    client.join().unwrap();
    took
}

fn send(to: &TcpStream, file: &File) {
    to.send_file(file, 0, u64::MAX).unwrap();
}

fn carry(mut to: &TcpStream, file: &File) {
    let (mut chunk, mut offset) = (vec![0; CHUNK], 0);
    loop {
        match file.read_at(&mut chunk, offset).unwrap() {
            0 => return,
            count => to.write_all(&chunk[..count]).unwrap(),
        }
        offset += CHUNK as u64;
    }
}

/// One direction of a proxy.
type Way = fn(&TcpStream, &TcpStream);

const WAYS: [(&str, Way); 3] = [("net::copy", copy), ("read and write", shovel), ("std::io::copy", std_copy)];

fn copy(from: &TcpStream, to: &TcpStream) {
    net::copy(from, to).unwrap();
}

fn std_copy(mut from: &TcpStream, mut to: &TcpStream) {
    io::copy(&mut from, &mut to).unwrap();
}

fn shovel(mut from: &TcpStream, mut to: &TcpStream) {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk).unwrap() {
            0 => return,
            count => to.write_all(&chunk[..count]).unwrap(),
        }
    }
}

/// Two connections and a copy in each direction, while `peers` talk.
fn proxy(way: Way, peers: fn(std::net::TcpStream, std::net::TcpStream)) -> Duration {
    let ((one, client), (two, server)) = (connection(), connection());
    peers(client, server);
    on_one_worker(|| {
        dormouse::thread::scope(|scope| {
            scope.spawn(|| {
                way(&two, &one);
                one.shutdown(Shutdown::Write).unwrap();
            });
            way(&one, &two);
            two.shutdown(Shutdown::Write).unwrap();
        });
    })
}

fn bulk(mut client: std::net::TcpStream, server: std::net::TcpStream) {
    peer(move || discard(&server, TOTAL));
    peer(move || {
        let chunk = vec![7; 4 * CHUNK];
        (0..TOTAL / chunk.len()).for_each(|_| client.write_all(&chunk).unwrap());
        client.shutdown(Shutdown::Write).unwrap();
        discard_rest(client);
    });
}

fn messages(mut client: std::net::TcpStream, mut server: std::net::TcpStream) {
    peer(move || {
        let mut message = [0; 64];
        while server.read_exact(&mut message).is_ok() {
            server.write_all(&message).unwrap();
        }
    });
    peer(move || {
        let mut message = [0; 64];
        for _ in 0..TIMES {
            client.write_all(&message).unwrap();
            client.read_exact(&mut message).unwrap();
        }
        client.shutdown(Shutdown::Write).unwrap();
        discard_rest(client);
    });
}

fn discard_rest(mut from: impl Read) {
    let _ = io::copy(&mut from, &mut io::sink());
}
