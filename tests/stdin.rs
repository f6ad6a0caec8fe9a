//! Standard input parks whoever reads it, and loses nothing. Each test runs its body in a process of its own, and is
//! what that process reads from.

mod support;

use dormouse::io::{self, stdin};
use dormouse::spawn_local;
use dormouse::thread::yield_now;
use std::io::{BufRead, Read, Write};
use std::os::fd::AsRawFd;
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use support::*;

/// Names the test whose body the child is to run.
const BODY: &str = "DORMOUSE_STDIN_BODY";

/// What the child says on standard error to be fed.
const HUNGRY: &str = "hungry";

/// Runs `body` in a child. Each time it says that it is hungry, it is fed by the next of `meals`; then its input ends.
#[track_caller]
fn fed(test: &str, body: fn(), meals: &[&str]) {
    if std::env::var_os(BODY).is_some_and(|name| name == test) {
        body();
        std::process::exit(86);
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(BODY, test)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input: Option<ChildStdin> = child.stdin.take();
    let stderr = child.stderr.take().unwrap();
    let meals: Vec<String> = meals.iter().map(|meal| (*meal).to_owned()).collect();
    let feeder = std::thread::spawn(move || {
        let (mut meals, mut said) = (meals.into_iter(), String::new());
        if meals.len() == 0 {
            input = None;
        }
        for line in std::io::BufReader::new(stderr).lines().map_while(Result::ok) {
            if line == HUNGRY {
                let meal = meals.next().unwrap_or_default();
                let _ = input.as_mut().map(|input| input.write_all(meal.as_bytes()));
                if meals.len() == 0 {
                    input = None;
                }
            } else {
                said.push_str(&line);
                said.push('\n');
            }
        }
        said
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(30) {
            let _ = child.kill();
            let _ = child.wait();
            panic!("hung: the child was not done within 30 s; it said:\n{}", feeder.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let said = feeder.join().unwrap();
    assert!(status.code() == Some(86), "the child ended with {status}:\n{said}");
}

#[test]
fn lines_leave_the_worker_to_others() {
    let body = || {
        run(|| {
            let reads = spawn_local(|| stdin().lines().collect::<io::Result<Vec<_>>>().unwrap());
            (0..100).for_each(|_| yield_now());
            assert!(!reads.is_finished());
            eprintln!("{HUNGRY}");
            assert_eq!(reads.join().unwrap(), ["one", "two", "three"]);
            assert_eq!(stdin().read_line(&mut String::new()).unwrap(), 0);
        });
    };
    fed("lines_leave_the_worker_to_others", body, &["one\ntwo\r\nthree"]);
}

#[test]
fn a_cancelled_reader_leaves_what_comes_to_the_next() {
    let body = || {
        run(|| {
            for _ in 0..20 {
                let reads = spawn_local(|| stdin().read_line(&mut String::new()));
                (0..10).for_each(|_| yield_now());
                reads.cancel();
                assert!(is_cancelled(&reads.join()));
            }
            eprintln!("{HUNGRY}");
            let mut line = String::new();
            stdin().read_line(&mut line).unwrap();
            assert_eq!(line, "hello\n");
            stdin().lock().read_to_string(&mut line).unwrap();
            assert_eq!(line, "hello\nworld");
        });
    };
    fed("a_cancelled_reader_leaves_what_comes_to_the_next", body, &["hello\nworld"]);
}

/// Half a line has come when its reader is cancelled.
#[test]
fn half_a_line_is_not_lost() {
    let ended = child("half_a_line_is_not_lost", 60, || {
        let (reader, mut writer) = std::io::pipe().unwrap();
        // SAFETY: both are open, and nobody else uses the one that is replaced.
        assert_eq!(unsafe { libc::dup2(reader.as_raw_fd(), 0) }, 0);
        run(|| {
            let line = || drop(stdin().read_line(&mut String::new()));
            let lines = || drop(stdin().lines().next());
            let until = || drop(stdin().lock().read_until(b'x', &mut Vec::new()));
            for (wait, part) in [(line as fn(), "a line "), (lines, "in four "), (until, "parts, ")] {
                let reads = spawn_local(wait);
                (0..10).for_each(|_| yield_now());
                writer.write_all(part.as_bytes()).unwrap();
                eventually(10, "somebody has it", || waiting_bytes() == 0);
                (0..10).for_each(|_| yield_now());
                reads.cancel();
                assert!(is_cancelled(&reads.join()));
            }
            writer.write_all(b"all there\n").unwrap();
            let mut line = String::new();
            stdin().read_line(&mut line).unwrap();
            assert_eq!(line, "a line in four parts, all there\n");
        });
    });
    ended.succeeded();
}

/// Bytes in the pipe behind standard input.
fn waiting_bytes() -> i32 {
    let mut count = 0;
    // SAFETY: writes one int.
    assert_eq!(unsafe { libc::ioctl(0, libc::FIONREAD, &raw mut count) }, 0);
    count
}

#[test]
fn two_readers_take_turns() {
    let body = || {
        run(|| {
            let readers = [0, 1].map(|_| {
                spawn_local(|| {
                    let mut line = String::new();
                    stdin().read_line(&mut line).unwrap();
                    line
                })
            });
            (0..10).for_each(|_| yield_now());
            eprintln!("{HUNGRY}");
            assert_eq!(readers.map(|reader| reader.join().unwrap()), ["first\n", "second\n"]);
        });
    };
    fed("two_readers_take_turns", body, &["first\nsecond\n"]);
}

#[test]
fn a_plain_thread_and_a_coroutine_share_what_is_there() {
    let body = || {
        eprintln!("{HUNGRY}");
        let mut line = String::new();
        stdin().read_line(&mut line).unwrap();
        run(|| stdin().read_line(&mut line).unwrap());
        let mut rest = [0; 5];
        stdin().read_exact(&mut rest).unwrap();
        assert_eq!((line.as_str(), &rest), ("one\ntwo\n", b"three"));
        assert_eq!(stdin().read(&mut rest).unwrap(), 0);
    };
    fed("a_plain_thread_and_a_coroutine_share_what_is_there", body, &["one\ntwo\nthree"]);
}

#[test]
fn what_std_has_read_ahead_comes_first() {
    let body = || {
        eprintln!("{HUNGRY}");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        run(|| stdin().read_line(&mut line).unwrap());
        assert_eq!(line, "one\ntwo\n");
    };
    fed("what_std_has_read_ahead_comes_first", body, &["one\ntwo\n"]);
}

#[test]
fn long_lines_and_what_is_no_text() {
    let body = || {
        eprintln!("{HUNGRY}");
        run(|| {
            let mut lock = stdin().lock();
            let mut line = String::new();
            assert_eq!(lock.read_line(&mut line).unwrap(), 100_001);
            let mut bytes = Vec::new();
            assert_eq!(lock.read_until(b';', &mut bytes).unwrap(), 3);
            assert_eq!((lock.fill_buf().unwrap()[0], bytes.len()), (b'd', 3));
            lock.consume(1);
            lock.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"ab;ef");
        });
    };
    let long = format!("{}\nab;def", "x".repeat(100_000));
    fed("long_lines_and_what_is_no_text", body, &[&long]);
}
