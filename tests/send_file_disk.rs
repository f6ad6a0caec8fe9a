//! `send_file` of a file that is not in memory: a thread of the pool reads it, and the worker goes on. Alone in its process,
//! whose pool has no thread before.

#[path = "net_support/mod.rs"]
mod support;

use dormouse::os::unix::net::UnixStream;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use support::{bounded, run};

const SIZE: usize = 3_000_000;

/// Drops the file's pages; whether that worked, which it does not where the file system has no disk.
fn forget(file: &File) -> bool {
    // SAFETY: takes integers.
    assert_eq!(unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) }, 0);
    let mut byte = 0u8;
    let buffer = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: reads one byte into `byte`.
    unsafe { libc::preadv2(file.as_raw_fd(), &raw const buffer, 1, 0, libc::RWF_NOWAIT) == -1 }
}

fn sent(file: &File) -> Vec<u8> {
    let (one, mut two) = UnixStream::pair().unwrap();
    let file = file.try_clone().unwrap();
    let sender = dormouse::spawn(move || one.send_file(&file, 0, u64::MAX).unwrap());
    let mut received = Vec::new();
    two.read_to_end(&mut received).unwrap();
    assert_eq!(sender.join().unwrap(), SIZE as u64);
    received
}

#[test]
fn a_file_that_is_not_in_memory_is_read_by_the_pool() {
    bounded(|| {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("send-file-{}", std::process::id()));
        let contents: Vec<u8> = (0..SIZE).map(|n| (n / 7) as u8).collect();
        std::fs::write(&path, &contents).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.sync_all().unwrap();
        run(|| {
            assert!(sent(&file) == contents);
            assert_eq!(dormouse::metrics().blocking.threads, 0, "it is in memory");
            if !forget(&file) {
                return eprintln!("not tested: the file system keeps all in memory");
            }
            assert!(sent(&file) == contents);
            assert_ne!(dormouse::metrics().blocking.threads, 0, "the worker has waited for the disk");
        });
    });
}
