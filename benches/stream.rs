//! How fast does one connection carry 1 GiB over loopback, written 64 KiB at a time?
//!
//! One side writes, the other reads until the end, each on a thread and a core of its own: a worker with one coroutine, or a
//! thread of std that blocks. What one worker does with both sides is there for scale: it has one core.
//!
//! Excluded: the start of threads and runtimes, and making the connection.

use criterion::{Criterion, SamplingMode, Throughput};
use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// As `dormouse::run`, on one worker: what is measured here is one worker's.
fn on_one_worker<T>(f: impl FnOnce() -> T) -> T {
    dormouse::Builder::new().workers(1).run(f).unwrap()
}

/// Bytes carried.
const TOTAL: usize = 1 << 30;

/// Bytes of one write, and of the reader's buffer.
const CHUNK: usize = 64 << 10;

/// Carries it all, and says how long that took.
type Program = fn() -> Duration;

fn main() {
    pin(0);
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(10))
        .without_plots()
        .configure_from_args();
    let mut group = criterion.benchmark_group("1 GiB one way, 64 KiB writes");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(TOTAL as u64));
    let programs: [(&str, Program); 3] =
        [("dormouse", two_workers), ("std threads", std_threads), ("dormouse, one worker", one_worker)];
    for (name, program) in programs {
        group.bench_function(name, |bencher| bencher.iter_custom(|iters| (0..iters).map(|_| program()).sum()));
    }
    group.finish();
    criterion.final_summary();
}

/// Keeps the calling thread to one core, if there are two: where the scheduler would put it decides more than anything
/// measured here.
fn pin(core: usize) {
    // SAFETY: `cpu_set_t` is an array of integers, for which zero is a value (no core).
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is as large as it says, and the core is within.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: reads the set, which is as large as it says. Where there is one core this fails, to no harm.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
}

/// Writes all, and says when it began.
fn write(mut stream: impl Write) -> Instant {
    let chunk = vec![7; CHUNK];
    let begin = Instant::now();
    for _ in 0..TOTAL / CHUNK {
        stream.write_all(&chunk).unwrap();
    }
    begin
}

/// Reads to the end, and says when that came.
fn read(mut stream: impl Read) -> Instant {
    let (mut chunk, mut total) = (vec![0; CHUNK], 0);
    loop {
        match stream.read(&mut chunk).unwrap() {
            0 => break,
            count => total += count,
        }
    }
    assert_eq!(total, TOTAL);
    Instant::now()
}

fn std_threads() -> Duration {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let reader = thread::spawn(move || {
        pin(1);
        read(listener.accept().unwrap().0)
    });
    let begin = write(std::net::TcpStream::connect(addr).unwrap());
    reader.join().unwrap() - begin
}

/// A runtime of one worker for each side.
fn two_workers() -> Duration {
    let (addr, known) = channel();
    let reader = thread::spawn(move || {
        pin(1);
        on_one_worker(|| {
            let listener = dormouse::net::TcpListener::bind("127.0.0.1:0").unwrap();
            addr.send(listener.local_addr().unwrap()).unwrap();
            read(listener.accept().unwrap().0)
        })
    });
    let addr = known.recv().unwrap();
    let begin = on_one_worker(|| write(dormouse::net::TcpStream::connect(addr).unwrap()));
    reader.join().unwrap() - begin
}

fn one_worker() -> Duration {
    on_one_worker(|| {
        let listener = dormouse::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let reader = dormouse::spawn(move || read(listener.accept().unwrap().0));
        let begin = write(dormouse::net::TcpStream::connect(addr).unwrap());
        reader.join().unwrap() - begin
    })
}
