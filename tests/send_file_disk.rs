//! `send_file` of a file that is not in memory: a thread of the pool reads it, and the worker goes on. Each test has a process
//! of its own, whose pool has no thread before.

mod support;

use dormouse::os::unix::net::UnixStream;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use support::{child, limit, run};

const SIZE: usize = 3_000_000;

fn path() -> PathBuf {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("send-file-{}", std::process::id()))
}

fn contents(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n / 7) as u8).collect()
}

/// A file of that many bytes that is on the disk, and that no one else can name.
fn on_disk(size: usize) -> File {
    let mut file = File::options().read(true).write(true).create_new(true).open(path()).unwrap();
    std::fs::remove_file(path()).unwrap();
    file.write_all(&contents(size)).unwrap();
    file.sync_all().unwrap();
    file
}

/// Drops the file's pages; whether that worked, which it does not where the file system has no disk.
fn forget(file: &File) -> bool {
    // SAFETY: takes integers.
    assert_eq!(unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) }, 0);
    let is_gone = !is_in_memory(file, 0);
    if !is_gone {
        eprintln!("not tested: the file system keeps all in memory");
    }
    is_gone
}

/// Whether the page of this byte is in memory. To ask by a read that does not wait would have the kernel fetch it.
fn is_in_memory(file: &File, offset: i64) -> bool {
    // SAFETY: takes an int.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let (offset, page, fd, mut answer) = (offset / page * page, page as usize, file.as_raw_fd(), 0);
    // SAFETY: a mapping of its own, that nobody reads.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), page, libc::PROT_READ, libc::MAP_SHARED, fd, offset) };
    assert_ne!(place, libc::MAP_FAILED);
    // SAFETY: one page, thus one byte of answer.
    assert_eq!(unsafe { libc::mincore(place, page, &raw mut answer) }, 0);
    // SAFETY: mapped above.
    unsafe { libc::munmap(place, page) };
    answer & 1 == 1
}

/// Sends the whole file, and looks at what arrives.
fn is_sent(file: &File, size: usize) {
    let (one, mut two) = UnixStream::pair().unwrap();
    let file = file.try_clone().unwrap();
    let sender = dormouse::spawn(move || one.send_file(&file, 0, u64::MAX).unwrap());
    let mut received = Vec::new();
    two.read_to_end(&mut received).unwrap();
    assert_eq!(sender.join().unwrap(), size as u64);
    assert!(received == contents(size));
}

/// Writes until there is no room; gives how many bytes that took.
fn fill(mut stream: &UnixStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut total = 0;
    for size in [100_000, 1] {
        while let Ok(count) = stream.write(&vec![1; size]) {
            total += count;
        }
    }
    stream.set_nonblocking(false).unwrap();
    total
}

fn pool_threads() -> usize {
    dormouse::metrics().blocking.threads
}

#[test]
fn a_file_that_is_not_in_memory_is_read_by_the_pool() {
    let ended = child("a_file_that_is_not_in_memory_is_read_by_the_pool", 60, || {
        let file = on_disk(SIZE);
        run(|| {
            is_sent(&file, SIZE);
            assert_eq!(pool_threads(), 0, "it is in memory");
            if forget(&file) {
                is_sent(&file, SIZE);
                assert_ne!(pool_threads(), 0, "the worker has waited for the disk");
            }
        });
    });
    ended.succeeded();
}

/// What is asked for goes beyond the end of the file, and its first page is in memory.
#[test]
fn the_last_page_of_a_file_is_asked_for_too() {
    let ended = child("the_last_page_of_a_file_is_asked_for_too", 60, || {
        let size = 200_000;
        let file = on_disk(size);
        if !forget(&file) {
            return;
        }
        // SAFETY: takes integers.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
        file.read_exact_at(&mut [0], 0).unwrap();
        assert!(is_in_memory(&file, 0));
        if is_in_memory(&file, size as i64 - 1) {
            return eprintln!("not tested: the file system reads more than it is asked for");
        }
        run(|| {
            is_sent(&file, size);
            assert_ne!(pool_threads(), 0, "the worker has waited for the disk");
        });
    });
    ended.succeeded();
}

/// How long a wait for room takes nobody knows.
#[test]
fn what_was_dropped_from_memory_while_there_was_no_room_is_read_by_the_pool() {
    let ended = child("what_was_dropped_from_memory_while_there_was_no_room_is_read_by_the_pool", 60, || {
        let file = on_disk(SIZE);
        run(|| {
            let (one, mut two) = UnixStream::pair().unwrap();
            let full = fill(&one);
            let sends = file.try_clone().unwrap();
            let sender = dormouse::spawn(move || one.send_file(&sends, 0, u64::MAX).unwrap());
            // On one worker: it runs up to its wait.
            for _ in 0..64 {
                dormouse::thread::yield_now();
            }
            assert_eq!(pool_threads(), 0, "it is in memory");
            let is_gone = forget(&file);
            let mut received = Vec::new();
            two.read_to_end(&mut received).unwrap();
            assert_eq!(sender.join().unwrap(), SIZE as u64);
            assert!(received[full..] == contents(SIZE));
            assert!(!is_gone || pool_threads() != 0, "the worker has waited for the disk");
        });
    });
    ended.succeeded();
}

/// Late is better than not at all.
#[test]
fn without_a_descriptor_for_the_pool_the_worker_reads() {
    let ended = child("without_a_descriptor_for_the_pool_the_worker_reads", 60, || {
        let file = on_disk(SIZE);
        if !forget(&file) {
            return;
        }
        run(|| {
            let (one, mut two) = UnixStream::pair().unwrap();
            let reader = dormouse::spawn(move || {
                let mut received = Vec::new();
                two.read_to_end(&mut received).unwrap();
                received
            });
            dormouse::thread::yield_now();
            limit(libc::RLIMIT_NOFILE, 64);
            let all: Vec<_> = std::iter::from_fn(|| file.try_clone().ok()).collect();
            assert!(all.len() < 64);
            assert_eq!(one.send_file(&file, 0, u64::MAX).unwrap(), SIZE as u64);
            drop((one, all));
            assert!(reader.join().unwrap() == contents(SIZE));
            assert_eq!(pool_threads(), 0);
        });
    });
    ended.succeeded();
}

/// Reads past the kernel's memory take whole blocks only: from a coroutine by the pool, on a plain thread right there.
#[test]
fn files_without_memory_are_sent_from_any_offset() {
    type Start = fn(Box<dyn FnOnce() -> u64 + Send>) -> Box<dyn FnOnce() -> u64>;
    fn ranges(file: &File, start: Start) {
        let ranges = [(0, u64::MAX), (1, 5), (4096, 4096), (4095, 70_000), (199_990, 100), (200_000, 1), (1 << 40, 1)];
        for (offset, count) in ranges {
            let expected: Vec<u8> = contents(200_000).into_iter().skip(offset as usize).take(count as usize).collect();
            let (one, mut two) = UnixStream::pair().unwrap();
            let file = file.try_clone().unwrap();
            let sent = start(Box::new(move || one.send_file(&file, offset, count).unwrap()));
            let mut received = Vec::new();
            two.read_to_end(&mut received).unwrap();
            assert!(received == expected, "{offset} {count}");
            assert_eq!(sent(), expected.len() as u64);
        }
    }
    let ended = child("files_without_memory_are_sent_from_any_offset", 60, || {
        std::fs::write(path(), contents(200_000)).unwrap();
        let file = File::options().read(true).custom_flags(libc::O_DIRECT).open(path());
        std::fs::remove_file(path()).unwrap();
        let Ok(file) = file else {
            return eprintln!("not tested: the file system knows no O_DIRECT");
        };
        ranges(&file, |send| {
            let sender = std::thread::spawn(send);
            Box::new(|| sender.join().unwrap())
        });
        run(|| {
            ranges(&file, |send| {
                let sender = dormouse::spawn(send);
                Box::new(|| sender.join().unwrap())
            });
            assert_ne!(pool_threads(), 0, "the worker has waited for the disk");
        });
    });
    ended.succeeded();
}
