//! The same commands, to this server and to Redis: each answer is the same, byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{BOUND, Server, encoded};
use crate::support::bounded;

const SCRIPTS: &[(&str, &str)] = &[
    ("connection", include_str!("scripts/connection.txt")),
    ("hashes", include_str!("scripts/hashes.txt")),
    ("keys", include_str!("scripts/keys.txt")),
    ("listening", include_str!("scripts/listening.txt")),
    ("lists", include_str!("scripts/lists.txt")),
    ("sets", include_str!("scripts/sets.txt")),
    ("strings", include_str!("scripts/strings.txt")),
    ("transactions", include_str!("scripts/transactions.txt")),
];

/// What no client may say, or says in another form.
const BYTES: &[&[u8]] = &[
    b"PING\r\n\r\n\nECHO \"a b\"\n  SET  k 'v'  \r\nGET k\r\nQUIT\r\n",
    b"ECHO \"\\x41\\n\\\"\" \r\nECHO 'it\\'s'\r\nQUIT\r\n",
    b"ECHO \"open\r\nPING\r\n",
    b"ECHO \"a\"b\r\nPING\r\n",
    b"ECHO 'a'b\r\n",
    b"PING\r\n*x\r\nPING\r\n",
    b"*\r\n",
    b"*99999999999\r\n",
    b"*2147483648\r\n",
    b"*0\r\n*-1\r\n*-5\r\nPING\r\nQUIT\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n:4\r\nPING\r\n",
    b"*1\r\n\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*2\r\n$4\r\nECHO\r\n$2\r\nab\r\n*1\r\n$4\r\nQUIT\r\n",
    b"*2\r\n$4\r\nECHO\r\n$2\r\nabcd*1\r\n$4\r\nQUIT\r\n",
    b"*1\rx$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
];

/// Redis itself, killed when dropped.
struct Redis {
    process: Child,
    address: SocketAddr,
}

impl Redis {
    /// `None` if it is not installed, or behaves as another version. Where everything must run, it has to be here.
    fn start() -> Option<Redis> {
        let version = Command::new("redis-server").arg("--version").output();
        let is_meant = version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(" v=7.0."));
        if !is_meant {
            let must_run = std::env::var_os("DORMOUSE_MUST_RUN").is_some();
            assert!(!must_run, "there is no redis-server 7.0, and everything must run");
            eprintln!("skipped: there is no redis-server 7.0");
            return None;
        }
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = address.port().to_string();
        let fixed = ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--port", &port];
        let process = Command::new("redis-server").args(fixed).stdout(Stdio::null()).spawn().unwrap();
        let (redis, start) = (Redis { process, address }, Instant::now());
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < BOUND, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(2));
        }
        Some(redis)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The words of a line, with quotes and escapes.
fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut all, mut rest) = (Vec::new(), line.trim_start());
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        let word = word.replace("\\r", "\r").replace("\\n", "\n").replace("\\x00", "\0");
        all.push(word.into_bytes());
        rest = after.trim_start();
    }
    all
}

/// All that is said to these bytes, up to the end.
fn heard(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap_or_else(|error| panic!("{error} after {}", answers.escape_ascii()));
    answers
}

/// Where an answer ends that begins at `at`.
fn end(bytes: &[u8], at: usize) -> usize {
    let line = bytes[at..].windows(2).position(|pair| pair == b"\r\n").unwrap() + at;
    let number = || str::from_utf8(&bytes[at + 1..line]).unwrap().parse::<i64>().unwrap();
    match bytes[at] {
        b'$' | b'=' if number() >= 0 => line + 4 + number() as usize,
        b'*' | b'~' | b'>' => (0..number()).fold(line + 2, |at, _| end(bytes, at)),
        b'%' => (0..2 * number()).fold(line + 2, |at, _| end(bytes, at)),
        _ => line + 2,
    }
}

fn split(bytes: &[u8]) -> Vec<String> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let end = end(bytes, at);
        all.push(bytes[at..end].escape_ascii().to_string());
        at = end;
    }
    all
}

#[test]
fn commands_are_answered_as_redis_answers_them() {
    let Some(redis) = Redis::start() else { return };
    bounded(120, move || {
        let server = Server::start(&[]);
        for (name, script) in SCRIPTS {
            let commands: Vec<u8> = script.lines().flat_map(|line| encoded(&words(line))).collect();
            for version in ["2", "3"] {
                let said = [encoded(&words("FLUSHALL")), version_switch(version), commands.clone(), quit()].concat();
                let (ours, theirs) = (told(server.address, &said, version), told(redis.address, &said, version));
                let first = ours.iter().zip(&theirs).position(|(our, their)| our != their);
                if let Some(at) = first {
                    panic!("{name}, version {version}, answer {at}: {} is not {}", ours[at], theirs[at]);
                }
                assert_eq!(ours.len(), theirs.len(), "{name}, version {version}");
                assert!(ours.len() > 40, "{name}: {ours:?}");
            }
        }
    });
}

fn version_switch(version: &str) -> Vec<u8> {
    if version == "3" { encoded(&words("HELLO 3")) } else { Vec::new() }
}

fn quit() -> Vec<u8> {
    encoded(&words("QUIT"))
}

/// The answers, without the greeting, which tells a client's number.
fn told(address: SocketAddr, said: &[u8], version: &str) -> Vec<String> {
    let mut answers = split(&heard(address, said));
    if version == "3" {
        assert!(answers.remove(1).starts_with("%7"));
    }
    answers
}

#[test]
fn malformed_bytes_are_answered_as_redis_answers_them() {
    let Some(redis) = Redis::start() else { return };
    bounded(120, move || {
        let server = Server::start(&[]);
        let long = |begin: &[u8], count| [begin, &vec![b'1'; count]].concat();
        let mut all: Vec<Vec<u8>> = BYTES.iter().map(|bytes| bytes.to_vec()).collect();
        all.extend([long(b"PING ", 70_000), long(b"*", 70_000), long(b"*1\r\n$", 70_000)]);
        for bytes in all {
            let (ours, theirs) = (heard(server.address, &bytes), heard(redis.address, &bytes));
            let shown = bytes[..bytes.len().min(80)].escape_ascii().to_string();
            assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string(), "to {shown}");
        }
    });
}
