//! How many requests does `examples/resp` answer in a second of its CPU time, and how many does Redis?
//!
//! Each server has core 0, with one worker, and keeps nothing on disk; `redis-benchmark`, with 50 connections, has
//! core 1. The two take turns; what is told are medians, and the median of the ratios of each pair. The CPU time is that of
//! the server's threads, as the kernel counts it, so that a client that is too slow does not matter.
//!
//! Excluded: the start of the servers. With `--test` it runs once, for a moment.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Requests of a run: without pipelining, and with sixteen at a time.
const LOADS: [(&str, usize); 2] = [("1", 100_000), ("16", 1_000_000)];

/// Pairs of runs.
const PAIRS: usize = 7;

/// A server on core 0, killed when dropped.
struct Server {
    process: Child,
    port: String,
}

impl Server {
    fn start(program: &str, arguments: impl FnOnce(&str) -> Vec<String>) -> Server {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = address.port().to_string();
        let process = pinned("0", program).args(arguments(&port)).stdout(Stdio::null()).spawn().unwrap();
        let server = Server { process, port };
        server.listens(address);
        server
    }

    fn listens(&self, address: SocketAddr) {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nanoseconds that its threads have run.
    fn cpu(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let nanos = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        threads.map(|thread| nanos(thread.unwrap())).sum()
    }

    /// Requests that it answers in a second of its CPU time.
    fn run(&self, test: &str, pipeline: &str, requests: usize) -> f64 {
        let (before, count) = (self.cpu(), requests.to_string());
        let mut client = pinned("1", "redis-benchmark");
        client.args(["-p", &self.port, "-t", test, "-P", pipeline, "-n", &count, "-c", "50", "-q"]);
        let status = client.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "redis-benchmark: {status}");
        requests as f64 * 1e9 / (self.cpu() - before) as f64
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program on one core. Where there is one core only, it is that.
fn pinned(core: &str, program: &str) -> Command {
    let core = if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) { core } else { "0" };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", core, program]);
    command
}

/// The example, which is built beside this.
fn example() -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let built = cargo.args(["build", "--quiet", "--release", "--example", "resp"]).status().unwrap();
    assert!(built.success(), "the example does not build");
    let beside = std::env::current_exe().unwrap();
    let directory = beside.ancestors().nth(2).unwrap();
    directory.join("examples/resp").to_str().unwrap().to_owned()
}

/// Whether these are here. Where everything must run, they have to be.
fn are_here(programs: &[&str]) -> bool {
    let must_run = std::env::var_os("DORMOUSE_MUST_RUN").is_some();
    programs.iter().all(|program| {
        let is_here = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
        assert!(is_here || !must_run, "there is no {program}, and everything must run");
        if !is_here {
            println!("skipped: there is no {program}");
        }
        is_here
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if !are_here(&["redis-server", "redis-benchmark", "taskset"]) {
        return;
    }
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (pairs, share) = if is_test { (1, 100) } else { (PAIRS, 1) };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let ours = Server::start(&example(), |port| words(&["--addr", &format!("127.0.0.1:{port}"), "--workers", "1"]));
    let theirs = Server::start("redis-server", |port| words(&["--port", port, "--save", "", "--appendonly", "no"]));
    println!("{:<14}{:>16}{:>16}{:>8}", "per CPU second", "dormouse", "redis", "ratio");
    for (pipeline, requests) in LOADS {
        for test in ["set", "get"] {
            let run = |server: &Server| server.run(test, pipeline, requests / share);
            let runs: Vec<(f64, f64)> = (0..pairs).map(|_| (run(&ours), run(&theirs))).collect();
            let our = median(runs.iter().map(|(our, _)| *our).collect());
            let their = median(runs.iter().map(|(_, their)| *their).collect());
            let ratio = median(runs.iter().map(|(our, their)| our / their).collect());
            println!("{:<14}{our:>16.0}{their:>16.0}{ratio:>8.2}", format!("{test}, -P {pipeline}"));
        }
    }
}
