//! Children leave the worker of whoever waits for them to others, and take no thread. That they answer as std's do is
//! for `as_std.rs`.

mod fs_support;
mod support;

use dormouse::process::{Command, Stdio};
use dormouse::thread::{no_park, yield_now};
use dormouse::{Builder, spawn, spawn_local};
use fs_support::*;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::catch_unwind;
use support::*;

/// A child that ends when its input does.
fn cat() -> Command {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn output(command: &mut Command) {
    drop(command.output());
}

fn status(command: &mut Command) {
    drop(command.status());
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    // SAFETY: asks a descriptor that is open.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    flags & libc::O_NONBLOCK != 0
}

#[test]
fn a_wait_leaves_the_worker_to_others() {
    bounded(20, || {
        run(|| {
            let mut child = cat().spawn().unwrap();
            let input = child.stdin.take();
            let waits = spawn_local(move || child.wait().unwrap());
            (0..100).for_each(|_| yield_now());
            assert!(!waits.is_finished());
            drop(input);
            assert!(waits.join().unwrap().success());
        });
    });
}

#[test]
fn reads_and_writes_leave_the_worker_to_others() {
    bounded(20, || {
        run(|| {
            let mut child = cat().spawn().unwrap();
            let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            let reads = spawn_local(move || {
                let mut all = Vec::new();
                output.read_to_end(&mut all).unwrap();
                all
            });
            (0..100).for_each(|_| yield_now());
            assert!(!reads.is_finished());
            // More than both pipes hold: it has to wait for the reader.
            let bytes: Vec<u8> = (0..500_000u32).map(|n| (n % 251) as u8).collect();
            input.write_all(&bytes).unwrap();
            drop(input);
            assert!(reads.join().unwrap() == bytes);
            assert!(child.wait().unwrap().success());
        });
    });
}

#[test]
fn a_child_takes_no_thread() {
    let ended = child("a_child_takes_no_thread", 60, || {
        run(|| {
            let before = threads();
            let mut children: Vec<_> = (0..40).map(|_| cat().spawn().unwrap()).collect();
            let inputs: Vec<_> = children.iter_mut().map(|child| child.stdin.take().unwrap()).collect();
            let waits: Vec<_> =
                children.into_iter().map(|mut child| spawn_local(move || child.wait().unwrap())).collect();
            (0..10).for_each(|_| yield_now());
            assert!(waits.iter().all(|waits| !waits.is_finished()));
            // Those that started them: one at a time, but one that is about to be idle is not idle yet.
            assert!(threads() <= before + 10, "{} threads, {before} before", threads());
            drop(inputs);
            waits.into_iter().for_each(|waits| assert!(waits.join().unwrap().success()));
        });
    });
    ended.succeeded();
}

#[test]
fn many_at_once_on_two_workers() {
    bounded(60, || {
        let sum = Builder::new().workers(2).run(|| {
            let echo = |n: u32| spawn(move || Command::new("echo").arg(n.to_string()).output().unwrap().stdout);
            let handles: Vec<_> = (0..60).map(echo).collect();
            let text =
                |handle: dormouse::thread::JoinHandle<Vec<u8>>| String::from_utf8(handle.join().unwrap()).unwrap();
            handles.into_iter().map(|handle| text(handle).trim().parse::<u32>().unwrap()).sum::<u32>()
        });
        assert_eq!(sum.unwrap(), 59 * 60 / 2);
    });
}

#[test]
fn nothing_stays_open() {
    let ended = child("nothing_stays_open", 60, || {
        run(|| {
            Command::new("true").output().unwrap();
            let before = descriptors();
            for _ in 0..20 {
                let mut child = cat().spawn().unwrap();
                child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
                child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
                child.wait().unwrap();
            }
            assert_eq!(descriptors(), before);
        });
    });
    ended.succeeded();
}

#[test]
fn without_a_descriptor_for_its_end_a_child_is_waited_for_all_the_same() {
    let ended = child("without_a_descriptor_for_its_end_a_child_is_waited_for_all_the_same", 60, || {
        run(|| {
            let mut child = cat().spawn().unwrap();
            let input = child.stdin.take();
            limit(libc::RLIMIT_NOFILE, 3);
            let waits = spawn_local(move || child.wait().unwrap());
            (0..100).for_each(|_| yield_now());
            assert!(!waits.is_finished());
            drop(input);
            assert!(waits.join().unwrap().success());
        });
    });
    ended.succeeded();
}

#[test]
fn a_cancelled_wait_leaves_the_child_alone() {
    bounded(20, || {
        run(|| {
            let mut child = cat().spawn().unwrap();
            let input = child.stdin.take();
            let child = std::rc::Rc::new(std::cell::RefCell::new(child));
            let waiting = std::rc::Rc::clone(&child);
            let waits = spawn_local(move || waiting.borrow_mut().wait());
            (0..10).for_each(|_| yield_now());
            waits.cancel();
            assert!(is_cancelled(&waits.join()));
            assert_eq!(child.borrow_mut().try_wait().unwrap(), None);
            drop(input);
            assert!(child.borrow_mut().wait().unwrap().success());
        });
    });
}

#[test]
fn a_cancelled_read_takes_nothing() {
    bounded(20, || {
        run(|| {
            let mut child = cat().spawn().unwrap();
            let output = std::rc::Rc::new(std::cell::RefCell::new(child.stdout.take().unwrap()));
            let reader = std::rc::Rc::clone(&output);
            let reads = spawn_local(move || reader.borrow_mut().read(&mut [0; 10]));
            (0..10).for_each(|_| yield_now());
            reads.cancel();
            assert!(is_cancelled(&reads.join()));
            child.stdin.take().unwrap().write_all(b"hello").unwrap();
            let mut text = String::new();
            output.borrow_mut().read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
            child.wait().unwrap();
        });
    });
}

/// Whoever cancels a call that owns its child has nobody to wait for it: the next child that is started sees to it.
#[test]
fn a_child_whose_call_was_cancelled_does_not_stay_a_zombie() {
    let ended = child("a_child_whose_call_was_cancelled_does_not_stay_a_zombie", 60, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        run(|| {
            for ask in [output as fn(&mut Command), status] {
                let (place, path) = (folder.join("pid"), fifo.clone());
                let script = format!("echo $$ > {}; exec cat {} > /dev/null", place.display(), path.display());
                let waits = spawn_local(move || ask(Command::new("sh").args(["-c", &script])));
                let mut writer = dormouse::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
                let number = std::fs::read_to_string(&place).unwrap();
                waits.cancel();
                assert!(is_cancelled(&waits.join()));
                let place = format!("/proc/{}", number.trim());
                assert!(std::fs::exists(&place).unwrap());
                writer.write_all(b"x").unwrap();
                drop(writer);
                eventually(10, "it is gone", || {
                    assert!(Command::new("true").status().unwrap().success());
                    !std::fs::exists(&place).unwrap()
                });
            }
        });
    });
    ended.succeeded();
}

#[test]
fn a_start_that_has_begun_is_not_cut_short() {
    let ended = child("a_start_that_has_begun_is_not_cut_short", 60, || {
        run(|| {
            let open = occupy_the_pool();
            let starts = spawn_local(|| {
                let mut command = Command::new("true");
                let child = command.spawn();
                (command.get_program().to_owned(), child)
            });
            (0..10).for_each(|_| yield_now());
            starts.cancel();
            (0..10).for_each(|_| yield_now());
            assert!(!starts.is_finished());
            drop(open);
            let (program, child) = starts.join().unwrap();
            assert_eq!(program, "true");
            assert!(child.unwrap().wait().unwrap().success());
        });
    });
    ended.succeeded();
}

#[test]
fn a_command_that_may_not_park_is_as_it_was() {
    bounded(20, || {
        run(|| {
            let mut command = Command::new("echo");
            command.arg("hello");
            catch_unwind(std::panic::AssertUnwindSafe(|| no_park(|| command.output().is_ok()))).unwrap_err();
            assert_eq!(command.output().unwrap().stdout, b"hello\n");
            let silent = command.spawn().unwrap();
            assert!(silent.stdout.is_none() && silent.stdin.is_none());
            catch_unwind(std::panic::AssertUnwindSafe(|| no_park(|| command.output().is_ok()))).unwrap_err();
            assert!(command.spawn().unwrap().stdout.is_none(), "what `output` chose for itself is not for others");
        });
    });
}

#[test]
fn pipes_are_given_away_in_blocking_mode() {
    bounded(20, || {
        run(|| {
            let mut child = cat().spawn().unwrap();
            let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            assert!(is_nonblocking(&input) && is_nonblocking(&output));
            let (input, output) = (OwnedFd::from(input), OwnedFd::from(output));
            assert!(!is_nonblocking(&input) && !is_nonblocking(&output));
            drop(input);
            child.wait().unwrap();
        });
    });
}

#[test]
fn a_plain_thread_waits_for_its_own() {
    bounded(20, || {
        let both = Command::new("sh").args(["-c", "echo out; echo err >&2"]).output().unwrap();
        assert_eq!((&*both.stdout, &*both.stderr), (&b"out\n"[..], &b"err\n"[..]));
        // Started by a coroutine, waited for by a thread, and the other way round.
        let mut child = run(|| cat().spawn().unwrap());
        child.stdin.as_mut().unwrap().write_all(b"hello").unwrap();
        let mut bytes = [0; 5];
        child.stdout.as_mut().unwrap().read_exact(&mut bytes).unwrap();
        assert!(child.wait().unwrap().success());
        let mut child = cat().spawn().unwrap();
        assert!(run(|| child.wait().unwrap().success()));
    });
}
